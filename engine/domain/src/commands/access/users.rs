//! A tenant's users. Passwords pass through here once and are never stored, only their hashes.
//!
//! Everything that changes a tenant's users or their access tokens happens under one lock for that tenant: so a tenant keeps an owner,
//! nobody logs in with a password that is being changed, and no conversation is assigned to a user who is being deleted.

use std::sync::Arc;

use uuid::Uuid;

use crate::commands::Commands;
use crate::commands::access::actor::Actor;
use crate::commands::text::{self, Rule};
use crate::model::{AccessToken, Role, User};
use crate::ports::{Batch, Change};
use crate::{Error, Field, FieldProblem, Result, TenantIndex};

/// Minimum length of a password, in characters.
pub const MIN_PASSWORD_CHARS: usize = 10;
/// Maximum length of a password, in characters, so that hashing cannot be used to keep the machine busy.
pub const MAX_PASSWORD_CHARS: usize = 128;

/// The locks under which users and their tokens change, by tenant. They are striped, so their number is bounded.
#[derive(Clone, Default)]
pub(crate) struct UserLocks(Arc<[futures::lock::Mutex<()>; 32]>);

impl UserLocks {
    /// The lock to change a tenant's users or their tokens, or to give one of them something.
    pub(crate) async fn of(&self, tenant: TenantIndex) -> futures::lock::MutexGuard<'_, ()> {
        self.0[tenant.0 as usize % self.0.len()].lock().await
    }
}

/// A user to create.
pub struct UserRequest {
    /// E-mail address for the login.
    pub email: String,
    /// Display name.
    pub name: String,
    /// Password, from 10 to 128 characters.
    pub password: String,
    /// What the user may do.
    pub role: Role,
}

/// A change of a user. Omitted fields stay as they are.
#[derive(Default)]
pub struct UserChange {
    /// New display name.
    pub name: Option<String>,
    /// New role.
    pub role: Option<Role>,
    /// New password, from 10 to 128 characters. It ends every login of the user.
    pub password: Option<String>,
}

impl Commands {
    /// Creates a user who can log in with e-mail and password.
    pub async fn create_user(&self, tenant: TenantIndex, request: UserRequest) -> Result<User> {
        let mut problems = Vec::new();
        let email = checked_email(&request.email).unwrap_or_else(|message| {
            problems.push(FieldProblem::new(Field::Email, message));
            String::new()
        });
        let name = checked_name(&request.name, &mut problems);
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
            number: self.ports().store.next_user_number().await?,
            tenant,
            email,
            name,
            role: request.role.into(),
            password_hash,
            login_epoch: 0,
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

    /// A user by its public id.
    pub fn get_user(&self, tenant: TenantIndex, id: Uuid) -> Result<User> {
        self.ports().store.user(tenant, id)?.ok_or_else(|| Error::not_found("User"))
    }

    /// Changes a user. The last owner of a tenant stays one. A new password revokes the user's access tokens in the same batch and
    /// ends all other logins.
    pub async fn update_user(&self, tenant: TenantIndex, id: Uuid, change: UserChange) -> Result<User> {
        let mut problems = Vec::new();
        let name = change.name.map(|name| checked_name(&name, &mut problems));
        if let Some(Err(message)) = change.password.as_deref().map(check_password) {
            problems.push(FieldProblem::new(Field::Password, message));
        }
        if !problems.is_empty() {
            return Err(Error::invalid_fields(problems));
        }
        self.get_user(tenant, id)?;
        let password_hash = match change.password {
            Some(password) => Some(self.ports().passwords.hash(password).await?),
            None => None,
        };
        let _turn = self.user_writes.of(tenant).await;
        let mut user = self.get_user(tenant, id)?;
        if let Some(role) = change.role {
            if role != Role::Owner {
                self.check_other_owner(&user)?;
            }
            user.role = role.into();
        }
        if let Some(name) = name {
            user.name = name;
        }
        let mut changes = Vec::new();
        if let Some(hash) = password_hash {
            user.password_hash = hash;
            user.login_epoch = user.login_epoch.wrapping_add(1);
            changes.extend(self.revoked_tokens(&user)?);
        }
        changes.push(Change::User(user.clone()));
        self.ports().store.commit(Batch::of(changes)).await?;
        Ok(user)
    }

    /// Deletes a user with all access tokens. The last owner of a tenant cannot be deleted. First all conversations are taken away from
    /// the user: if that fails half way, it is done by repeating the deletion.
    pub async fn delete_user(&self, actor: &Actor, id: Uuid) -> Result<()> {
        let tenant = actor.tenant()?;
        let _turn = self.user_writes.of(tenant).await;
        let user = self.get_user(tenant, id)?;
        self.check_other_owner(&user)?;
        self.take_conversations_from(actor, id).await?;
        let mut changes = self.revoked_tokens(&user)?;
        changes.push(Change::DeleteUser(tenant, id));
        self.ports().store.commit(Batch::of(changes)).await?;
        Ok(())
    }

    /// Fails if the tenant would have no owner without this user.
    fn check_other_owner(&self, user: &User) -> Result<()> {
        let is_other_owner = |other: &User| other.id != user.id && other.role == Role::Owner;
        if user.role != Role::Owner || self.ports().store.users(user.tenant)?.iter().any(is_other_owner) {
            return Ok(());
        }
        Err(Error::conflict("this is the tenant's last owner; make another user an owner first"))
    }

    fn revoked_tokens(&self, user: &User) -> Result<Vec<Change>> {
        let tokens = self.ports().store.access_tokens(user.id)?.into_iter();
        Ok(tokens.map(|AccessToken { number, .. }| Change::RevokeAccessToken(number)).collect())
    }
}

/// The name as it is stored; what is wrong with it goes to `problems`.
fn checked_name(name: &str, problems: &mut Vec<FieldProblem>) -> String {
    text::checked(Rule { field: Field::Name, max_chars: 120, lines: false }, name).unwrap_or_else(|error| {
        problems.extend(error.fields);
        String::new()
    })
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
