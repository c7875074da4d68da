//! Tenants, their users, their API keys and their users' access tokens.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::role::{Right, Role};
use crate::words::Word;
use crate::{ConnectorIndex, TenantIndex, Timestamp};

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

/// Maximum number of days for which received messages can be kept.
pub const MAX_RECEIVED_DAYS: u32 = 36_500;

/// For how many minutes a conversation is left to its owner after a message on the account's phone, where the tenant did not choose.
pub const PHONE_PAUSE_MINUTES: u32 = 120;
/// The most that a tenant can choose: 30 days.
pub const MAX_PHONE_PAUSE_MINUTES: u32 = 43_200;
/// What the owner types on the phone to give a conversation back, where the tenant did not choose.
pub const PHONE_RESUME_WORD: &str = "/bot";
/// Maximum length of that word, in characters.
pub const MAX_PHONE_RESUME_CHARS: usize = 40;

/// What a tenant sets for itself.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TenantSettings {
    /// Days after which received messages are deleted from the conversations, with their files; `None`: they are kept as long as their
    /// conversation. From 1 to [`MAX_RECEIVED_DAYS`].
    pub received_days: Option<u32>,
    /// The words by which a person refuses advertising; `None`: [`super::refusals::OPT_OUT_WORDS`]. Stored beside the other fields.
    #[serde(skip)]
    pub opt_out_words: Option<Vec<String>>,
    /// Minutes for which the automations of a conversation are paused after each message on the account's own phone, at most
    /// [`MAX_PHONE_PAUSE_MINUTES`]; 0: they are never paused by it; `None`: [`PHONE_PAUSE_MINUTES`]. Stored beside the other fields.
    #[serde(skip)]
    pub phone_pause_minutes: Option<u32>,
    /// What the owner types on the phone to end such a pause; empty: nothing does; `None`: [`PHONE_RESUME_WORD`]. Stored beside the other
    /// fields.
    #[serde(skip)]
    pub phone_resume_word: Option<String>,
}

impl TenantSettings {
    /// For how long a message on the account's phone pauses the automations of its conversation, in milliseconds; `None`: it does not.
    pub fn phone_pause_ms(&self) -> Option<i64> {
        let minutes = self.phone_pause_minutes.unwrap_or(PHONE_PAUSE_MINUTES);
        (minutes > 0).then_some(i64::from(minutes) * 60_000)
    }

    /// What ends such a pause when it is typed on the phone; empty: nothing does.
    pub fn resume_word(&self) -> &str {
        self.phone_resume_word.as_deref().unwrap_or(PHONE_RESUME_WORD)
    }

    /// Whether a text is the word that ends such a pause. Case and spaces around it do not count.
    pub fn is_resume_word(&self, text: &str) -> bool {
        let word = self.resume_word();
        !word.is_empty() && text.trim().to_lowercase() == word.trim().to_lowercase()
    }
}

/// A person who logs in with e-mail and password.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Public id.
    pub id: Uuid,
    /// The user's number in this store, from 1; never given to another user. Some APIs name users by it.
    pub number: u32,
    /// The tenant that the user belongs to.
    pub tenant: TenantIndex,
    /// E-mail address for the login, in lower case; unique in the whole store.
    pub email: String,
    /// Display name.
    pub name: String,
    /// What the user may do.
    pub role: Word<Role>,
    /// PHC string of the argon2id hash.
    pub password_hash: String,
    /// Number of password changes. A login token carries it, so that it ends with the password that it was given for.
    pub login_epoch: u32,
    /// When the user was created.
    pub created_at: Timestamp,
}

impl User {
    /// The user's role; `None` for one that this engine does not know, which has no rights.
    pub fn known_role(&self) -> Option<Role> {
        match self.role {
            Word::Known(role) => Some(role),
            Word::Other(_) => None,
        }
    }

    /// Whether the user has the right.
    pub fn may(&self, right: Right) -> bool {
        self.known_role().is_some_and(|role| role.may(right))
    }
}

/// A permanent API key, of the whole tenant or of one connector. Only its SHA-256 is stored; the key itself is shown once.
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
    /// The connector that the key is bound to; `None` for a key of the whole tenant. A bound key is revoked together with its
    /// connector.
    pub connector: Option<ConnectorIndex>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was revoked; a revoked key never works again.
    pub revoked_at: Option<Timestamp>,
}

/// What a user's device logs in with; its text is `number|secret`. Only the secret's SHA-256 is stored. A token that is revoked is deleted.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessToken {
    /// Its number in this store, from 1; never given to another token.
    pub number: u64,
    /// The tenant of its user.
    pub tenant: TenantIndex,
    /// The user who logged in.
    pub user: Uuid,
    /// Name that the device or program gave itself.
    pub device: String,
    /// SHA-256 of the secret.
    pub hash: [u8; 32],
    /// When it was given.
    pub created_at: Timestamp,
    /// The day on which it was last used, in days from 1970-01-01 in UTC.
    pub last_used_day: i32,
}
