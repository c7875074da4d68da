//! Access tokens: what a person's device logs in with. A token's text is `number|secret`. The number finds the record, and the
//! secret's hash is compared in constant time; the secret passes through here once and is never stored.
//!
//! A token is either stored or gone: revoking it deletes its row, so that logins do not make the store grow. It ends when it is
//! revoked, with the user's password, with the user, and when it was not used for [`UNUSED_DAYS`]; of a user's tokens the newest
//! [`MAX_TOKENS`] are kept.

use std::net::IpAddr;

use subtle::ConstantTimeEq;

use crate::commands::Commands;
use crate::commands::access::authenticate::{Identity, LoggedIn, gone};
use crate::commands::access::secret;
use crate::commands::text::{self, Rule};
use crate::model::{AccessToken, Tenant, User};
use crate::ports::{Batch, Change, Conflict, StoreError};
use crate::{Error, ErrorCode, Field, Result, Timestamp};

/// Maximum number of tokens of one user; a login beyond it ends the oldest.
pub const MAX_TOKENS: usize = 100;
/// A token that was not used for more than this many days is gone.
pub const UNUSED_DAYS: i32 = 90;
/// Number of unused tokens that are deleted in one batch.
const FORGET: usize = 1_000;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// An e-mail, a password and a device: what a token is given for.
pub struct TokenLogin {
    /// E-mail address of the user.
    pub email: String,
    /// Password of the user.
    pub password: String,
    /// Name of the device or program that logs in, from 1 to 120 characters.
    pub device: String,
}

/// A new access token, at the only moment at which its text is known.
pub struct IssuedToken {
    /// The token itself: `number|secret`.
    pub text: String,
    /// The stored record.
    pub token: AccessToken,
    /// The user.
    pub user: User,
    /// The user's tenant.
    pub tenant: Tenant,
}

/// The days from 1970-01-01 to an instant, in UTC.
fn day_of(at: Timestamp) -> i32 {
    i32::try_from(at.0.div_euclid(DAY_MS)).unwrap_or(i32::MAX)
}

/// The number and the secret of a token's text; `None` if it has not this form.
fn parts(text: &str) -> Option<(u64, &str)> {
    let (number, secret) = text.split_once('|')?;
    let has_form = (1..=19).contains(&number.len())
        && number.bytes().all(|byte| byte.is_ascii_digit())
        && !number.starts_with('0')
        && secret.len() == secret::CHARS;
    Some((number.parse::<u64>().ok().filter(|_| has_form)?, secret))
}

fn wrong() -> Error {
    Error::new(ErrorCode::Unauthenticated, "the access token is unknown, revoked or expired; log in again")
}

impl Commands {
    /// Checks an e-mail and a password, like [`Self::login`] and with the same limits, and gives the device a token.
    pub async fn login_with_device(&self, login: TokenLogin, from: Option<IpAddr>) -> Result<IssuedToken> {
        let device = text::checked(Rule { field: Field::Device, max_chars: 120, lines: false }, &login.device)?;
        let LoggedIn { user, tenant } = self.login(&login.email, login.password, from).await?;
        let _turn = self.user_writes.of(tenant.index).await;
        // The password may have been changed since it was checked.
        let user = self.ports().store.user(tenant.index, user.id)?.filter(|now| now.login_epoch == user.login_epoch);
        self.issue(tenant, user.ok_or_else(gone)?, device, None).await
    }

    /// The user of an access token, with the token's number and the user's role. The caller then calls [`Self::note_token_use`].
    pub fn identify_access_token(&self, text: &str) -> Result<Identity> {
        let (number, secret) = parts(text).ok_or_else(wrong)?;
        let token = self.ports().store.access_token(number)?.ok_or_else(wrong)?;
        let is_same = bool::from(secret::hash(secret).ct_eq(&token.hash));
        if !is_same || self.is_unused(&token) {
            return Err(wrong());
        }
        let tenant = self.ports().store.tenant(token.tenant)?.ok_or_else(gone)?;
        let user = self.ports().store.user(token.tenant, token.user)?.ok_or_else(gone)?;
        Ok(Identity { token: Some(number), ..Identity::of_user(&tenant, &user) })
    }

    /// Remembers that a token was used today. It writes once a day for each token, and nothing for other credentials. A caller may
    /// pass over a failure: the token then keeps its last day.
    pub async fn note_token_use(&self, identity: &Identity) -> Result<()> {
        let Some(number) = identity.token else { return Ok(()) };
        let today = day_of(self.ports().clock.now());
        if self.ports().store.access_token(number)?.is_some_and(|token| token.last_used_day < today) {
            self.ports().store.commit(Batch::of(vec![Change::AccessTokenUsed(number, today)])).await?;
        }
        Ok(())
    }

    /// Revokes the token that the caller has shown, and no other.
    pub async fn log_out(&self, identity: &Identity) -> Result<()> {
        let number = identity.token.ok_or_else(not_a_token)?;
        let _turn = self.user_writes.of(identity.tenant).await;
        self.ports().store.commit(Batch::of(vec![Change::RevokeAccessToken(number)])).await?;
        Ok(())
    }

    /// Replaces the token that the caller has shown: the new one and the end of the old one are one batch.
    pub async fn refresh_token(&self, identity: &Identity) -> Result<IssuedToken> {
        let number = identity.token.ok_or_else(not_a_token)?;
        let _turn = self.user_writes.of(identity.tenant).await;
        // Another request may have used it up.
        let old = self.ports().store.access_token(number)?.ok_or_else(wrong)?;
        let tenant = self.ports().store.tenant(old.tenant)?.ok_or_else(gone)?;
        let user = self.ports().store.user(old.tenant, old.user)?.ok_or_else(gone)?;
        self.issue(tenant, user, old.device, Some(number)).await
    }

    /// Deletes tokens that were not used for [`UNUSED_DAYS`]; returns how many.
    pub async fn forget_unused_tokens(&self) -> Result<usize> {
        let first = day_of(self.ports().clock.now()).saturating_sub(UNUSED_DAYS);
        let mut forgotten = 0;
        loop {
            let unused = self.ports().store.access_tokens_unused_since(first, FORGET)?;
            let found = unused.len();
            if found > 0 {
                let changes = unused.into_iter().map(Change::RevokeAccessToken).collect();
                self.ports().store.commit(Batch::of(changes)).await?;
            }
            forgotten += found;
            if found < FORGET {
                return Ok(forgotten);
            }
        }
    }

    fn is_unused(&self, token: &AccessToken) -> bool {
        day_of(self.ports().clock.now()).saturating_sub(token.last_used_day) > UNUSED_DAYS
    }

    /// Stores a new token of the user, without `replaced` and without what is too old or too much. Called under the tenant's lock.
    async fn issue(&self, tenant: Tenant, user: User, device: String, replaced: Option<u64>) -> Result<IssuedToken> {
        let secret = secret::random(self.ports().entropy.as_ref());
        let now = self.ports().clock.now();
        let token = AccessToken {
            number: self.ports().store.next_access_token_number().await?,
            tenant: tenant.index,
            user: user.id,
            device,
            hash: secret::hash(&secret),
            created_at: now,
            last_used_day: day_of(now),
        };
        let (mut live, mut ended): (Vec<u64>, Vec<u64>) = (Vec::new(), Vec::new());
        for old in self.ports().store.access_tokens(user.id)? {
            let ends = replaced == Some(old.number) || self.is_unused(&old);
            if ends { ended.push(old.number) } else { live.push(old.number) }
        }
        // Oldest first: numbers rise.
        ended.extend(live.drain(..(live.len() + 1).saturating_sub(MAX_TOKENS)));
        let mut changes: Vec<Change> = ended.into_iter().map(Change::RevokeAccessToken).collect();
        changes.push(Change::AccessToken(token.clone()));
        self.ports().store.commit(Batch::of(changes)).await.map_err(|error| match error {
            StoreError::Conflict(Conflict::Gone) => gone(),
            error => error.into(),
        })?;
        Ok(IssuedToken { text: format!("{}|{secret}", token.number), token, user, tenant })
    }
}

fn not_a_token() -> Error {
    Error::new(
        ErrorCode::Forbidden,
        "only a login with an access token can be ended or refreshed; an API key is revoked instead",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_a_number_and_a_secret_of_forty_characters() {
        let secret = "a".repeat(40);
        let text = |number: &str| format!("{number}|{secret}");
        assert_eq!(parts(&text("1")), Some((1, secret.as_str())));
        assert_eq!(parts(&text("18446744073709551615")), None, "too long");
        for number in ["", "0", "01", "+1", "-1", " 1", "1 ", "x", "99999999999999999999"] {
            assert_eq!(parts(&text(number)), None, "{number:?}");
        }
        assert_eq!(parts("1"), None);
        assert_eq!(parts("1|"), None);
        assert_eq!(parts(&format!("1|{secret}b")), None);
    }
}
