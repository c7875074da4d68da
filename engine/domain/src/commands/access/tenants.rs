//! Tenants, their users and their API keys. Passwords and keys pass through here once and are never stored, only their hashes.

use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::commands::Commands;
use crate::commands::text::{self, Rule};
use crate::model::{ApiKey, Tenant, User};
use crate::ports::{Batch, Change};
use crate::{Error, ErrorCode, Field, FieldProblem, Result, TenantIndex};

/// Minimum length of a password, in characters.
pub const MIN_PASSWORD_CHARS: usize = 10;
/// Maximum length of a password, in characters, so that hashing cannot be used to keep the machine busy.
pub const MAX_PASSWORD_CHARS: usize = 128;
/// Prefix of every API key.
pub const API_KEY_START: &str = "sk_live_";

const API_KEY_RANDOM_CHARS: usize = 40;
const API_KEY_SHOWN_CHARS: usize = 4;
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A user to create.
pub struct UserRequest {
    /// E-mail address for the login.
    pub email: String,
    /// Display name.
    pub name: String,
    /// Password, from 10 to 128 characters.
    pub password: String,
}

/// A new API key, at the only moment at which its text is known.
pub struct CreatedApiKey {
    /// The stored record.
    pub record: ApiKey,
    /// The key itself.
    pub key: String,
}

impl Commands {
    /// Creates a tenant.
    pub async fn create_tenant(&self, name: &str) -> Result<Tenant> {
        let name = text::checked(Rule { field: Field::Name, max_chars: 120, lines: false }, name)?;
        let index = self.ports().store.next_tenant_index().await?;
        let tenant = Tenant { id: self.ports().entropy.uuid(), index, name, created_at: self.ports().clock.now() };
        self.ports().store.commit(Batch::of(vec![Change::Tenant(tenant.clone())])).await?;
        Ok(tenant)
    }

    /// All tenants, oldest first.
    pub fn list_tenants(&self) -> Result<Vec<Tenant>> {
        let mut tenants = self.ports().store.tenants()?;
        tenants.sort_by_key(|t| t.index);
        Ok(tenants)
    }

    /// A tenant by its public id.
    pub fn get_tenant(&self, id: Uuid) -> Result<Tenant> {
        self.ports().store.tenant_by_id(id)?.ok_or_else(|| Error::not_found("Tenant"))
    }

    /// Creates a user who can log in with e-mail and password.
    pub async fn create_user(&self, tenant: TenantIndex, request: UserRequest) -> Result<User> {
        let mut problems = Vec::new();
        let email = checked_email(&request.email).unwrap_or_else(|message| {
            problems.push(FieldProblem::new(Field::Email, message));
            String::new()
        });
        let name = match text::checked(Rule { field: Field::Name, max_chars: 120, lines: false }, &request.name) {
            Ok(name) => name,
            Err(error) => {
                problems.extend(error.fields);
                String::new()
            }
        };
        if let Err(message) = check_password(&request.password) {
            problems.push(FieldProblem::new(Field::Password, message));
        }
        if !problems.is_empty() {
            return Err(Error::invalid_fields(problems));
        }
        // Asked before the slow hash; the store's own condition decides when two requests race.
        if self.ports().store.user_by_email(&email)?.is_some() {
            return Err(Error::conflict("a user with this e-mail already exists"));
        }
        let password_hash = self.ports().passwords.hash(request.password).await?;
        let user = User {
            id: self.ports().entropy.uuid(),
            tenant,
            email,
            name,
            password_hash,
            created_at: self.ports().clock.now(),
        };
        self.ports().store.commit(Batch::of(vec![Change::User(user.clone())])).await?;
        Ok(user)
    }

    /// A tenant's users, oldest first.
    pub fn list_users(&self, tenant: TenantIndex) -> Result<Vec<User>> {
        let mut users = self.ports().store.users(tenant)?;
        users.sort_by_key(|u| (u.created_at, u.id));
        Ok(users)
    }

    /// Creates an API key. Only the result contains its text.
    pub async fn create_api_key(&self, tenant: TenantIndex, name: &str) -> Result<CreatedApiKey> {
        let name = text::checked(Rule { field: Field::Name, max_chars: 120, lines: false }, name)?;
        let key = self.random_api_key();
        let record = ApiKey {
            id: self.ports().entropy.uuid(),
            tenant,
            name,
            hash: hash_api_key(&key),
            prefix: key.chars().take(API_KEY_START.len() + API_KEY_SHOWN_CHARS).collect(),
            created_at: self.ports().clock.now(),
            revoked_at: None,
        };
        self.ports().store.commit(Batch::of(vec![Change::ApiKey(record.clone())])).await?;
        Ok(CreatedApiKey { record, key })
    }

    /// A tenant's keys, including revoked ones, oldest first.
    pub fn list_api_keys(&self, tenant: TenantIndex) -> Result<Vec<ApiKey>> {
        let mut keys = self.ports().store.api_keys(tenant)?;
        keys.sort_by_key(|k| (k.created_at, k.id));
        Ok(keys)
    }

    /// Revokes a key permanently. Revoking it again changes nothing.
    pub async fn revoke_api_key(&self, tenant: TenantIndex, id: Uuid) -> Result<ApiKey> {
        let found = self.ports().store.api_keys(tenant)?.into_iter().find(|k| k.id == id);
        let mut key = found.ok_or_else(|| Error::not_found("API key"))?;
        if key.revoked_at.is_none() {
            key.revoked_at = Some(self.ports().clock.now());
            self.ports().store.commit(Batch::of(vec![Change::ApiKey(key.clone())])).await?;
        }
        Ok(key)
    }

    fn random_api_key(&self) -> String {
        let mut key = String::from(API_KEY_START);
        let mut bytes = [0; 64];
        while key.len() < API_KEY_START.len() + API_KEY_RANDOM_CHARS {
            self.ports().entropy.fill(&mut bytes);
            // 248 is the largest multiple of 62 below 256: bytes above it would favour the first letters.
            let letters = bytes.iter().filter(|b| **b < 248).map(|b| char::from(BASE62[usize::from(b % 62)]));
            key.extend(letters.take(API_KEY_START.len() + API_KEY_RANDOM_CHARS - key.len()));
        }
        key
    }
}

/// SHA-256 of a whole key, which is stored and looked up. A key has more than 200 random bits, so no slow hash is needed.
pub fn hash_api_key(key: &str) -> [u8; 32] {
    Sha256::digest(key.as_bytes()).into()
}

/// An e-mail address as it is stored: trimmed and in lower case. It has one `@`, something before it, a domain name with a dot
/// after it, and no spaces.
fn checked_email(email: &str) -> Result<String, String> {
    let email = email.trim().to_lowercase();
    let shape = match email.split_once('@') {
        Some((local, domain)) => {
            !local.is_empty()
                && local.chars().count() <= 64
                && domain.split('.').count() >= 2
                && domain.split('.').all(is_label)
        }
        None => false,
    };
    let clean = !email.chars().any(|c| c.is_whitespace() || c.is_control());
    if shape && clean && email.chars().count() <= 254 {
        Ok(email)
    } else {
        Err("give an e-mail address such as name@example.com".to_owned())
    }
}

fn is_label(label: &str) -> bool {
    !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

fn check_password(password: &str) -> Result<(), String> {
    let chars = password.chars().count();
    if chars < MIN_PASSWORD_CHARS {
        return Err(format!("give at least {MIN_PASSWORD_CHARS} characters"));
    }
    if chars > MAX_PASSWORD_CHARS {
        return Err(format!("give at most {MAX_PASSWORD_CHARS} characters"));
    }
    if password.contains('\0') {
        return Err("remove the NUL character".to_owned());
    }
    Ok(())
}

/// The error for a caller who is not the operator.
pub fn operator_only() -> Error {
    Error::new(ErrorCode::Forbidden, "this operation needs the operator token")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_email_is_trimmed_lowered_and_must_look_like_one() {
        assert_eq!(checked_email(" Ana@Example.COM ").as_deref(), Ok("ana@example.com"));
        for bad in ["", "ana", "@x.com", "a@", "a@b", "a@b..com", "a b@x.com", "a@x.com@y.com", "a\0@x.com"] {
            assert!(checked_email(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_password_has_10_to_128_characters() {
        assert!(check_password("nove_1234").is_err());
        assert!(check_password("dez_123456").is_ok());
        assert!(check_password(&"é".repeat(128)).is_ok());
        assert!(check_password(&"é".repeat(129)).is_err());
        assert!(check_password("dez_12345\0").is_err());
    }
}
