//! Tenants, their users and their API keys.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{TenantIndex, Timestamp};

/// A company. Everything else belongs to exactly one tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tenant {
    /// Public id.
    pub id: Uuid,
    /// Its number in this store.
    pub index: TenantIndex,
    /// Display name.
    pub name: String,
    /// When it was created.
    pub created_at: Timestamp,
}

/// A person who logs in with e-mail and password.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Public id.
    pub id: Uuid,
    /// The tenant that the user belongs to.
    pub tenant: TenantIndex,
    /// E-mail address for the login, in lower case; unique in the whole store.
    pub email: String,
    /// Display name.
    pub name: String,
    /// PHC string of the argon2id hash.
    pub password_hash: String,
    /// When the user was created.
    pub created_at: Timestamp,
}

/// A permanent API key. Only its SHA-256 is stored; the key itself is shown once.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKey {
    /// Public id.
    pub id: Uuid,
    /// The tenant that owns it.
    pub tenant: TenantIndex,
    /// Purpose of the key.
    pub name: String,
    /// SHA-256 of the whole key text.
    pub hash: [u8; 32],
    /// The key's first characters (`sk_live_ab12`), to recognise it in a list.
    pub prefix: String,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was revoked; a revoked key never works again.
    pub revoked_at: Option<Timestamp>,
}
