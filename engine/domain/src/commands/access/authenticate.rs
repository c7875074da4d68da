//! Authentication: logins with e-mail and password, API keys, and whether the user in a signed token still exists. (Access tokens:
//! [`super::tokens`].)
//!
//! Failed logins are counted in memory, per (e-mail, address) and per address, in a bounded table. A restart forgets them, which
//! does not help an attacker, because each attempt costs an argon2 hash anyway.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use uuid::Uuid;

use crate::commands::Commands;
use crate::commands::access::keys::{TENANT_KEY_PREFIX, hash_api_key};
use crate::commands::access::users::MAX_PASSWORD_CHARS;
use crate::model::{Right, Role, Tenant, User};
use crate::{ConnectorIndex, Error, ErrorCode, Result, TenantIndex, Timestamp};

/// The owner of a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// The tenant in which everything is looked up.
    pub tenant: TenantIndex,
    /// Public id of the tenant.
    pub tenant_id: Uuid,
    /// The user of a login; `None` for an API key.
    pub user: Option<Uuid>,
    /// The user's role at this moment; `None` for an API key, and for a role that this engine does not know.
    pub role: Option<Role>,
    /// The user's [`login_epoch`](User::login_epoch) at this moment; 0 for an API key.
    pub login_epoch: u32,
    /// The number of the access token, if it was one.
    pub token: Option<u64>,
    /// The API key, if it was one.
    pub key: Option<Uuid>,
    /// The connector that the API key is bound to. Whoever serves such a caller must keep to this connector.
    pub connector: Option<ConnectorIndex>,
}

impl Identity {
    /// The identity of a user, however the user logged in.
    pub(super) fn of_user(tenant: &Tenant, user: &User) -> Self {
        Self {
            tenant: tenant.index,
            tenant_id: tenant.id,
            user: Some(user.id),
            role: user.known_role(),
            login_epoch: user.login_epoch,
            token: None,
            key: None,
            connector: None,
        }
    }

    /// Fails unless the caller has the right: a user by role, an API key always. For facades that enforce roles.
    pub fn check(&self, right: Right) -> Result<()> {
        if self.user.is_none() || self.role.is_some_and(|role| role.may(right)) {
            return Ok(());
        }
        let role = self.role.map_or("unknown", Role::as_str);
        let may = Role::that_may(right);
        Err(Error::new(ErrorCode::Forbidden, format!("your role ({role}) does not allow this; roles that may: {may}")))
    }

    /// The identity, unless its key is bound to one connector. Every API calls this that serves whole tenants: what it shows and
    /// changes goes beyond one connector.
    pub fn of_the_whole_tenant(self) -> Result<Self> {
        if self.connector.is_none() {
            return Ok(self);
        }
        Err(Error::new(
            ErrorCode::Forbidden,
            format!(
                "this API key is bound to one connector: it may only be used with the operations of an API that serves that \
                 connector alone, and this is not one; use a key of the whole tenant ({TENANT_KEY_PREFIX}…) or log in"
            ),
        ))
    }
}

/// A successful login.
pub struct LoggedIn {
    /// The user.
    pub user: User,
    /// The user's tenant.
    pub tenant: Tenant,
}

/// How many failed logins are tolerated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoginLimits {
    /// Failures of one e-mail from one address within the window.
    pub per_email_and_address: u32,
    /// Failures from one address within the window.
    pub per_address: u32,
    /// The window, in milliseconds from the first failure.
    pub window_ms: i64,
}

impl Default for LoginLimits {
    fn default() -> Self {
        Self { per_email_and_address: 10, per_address: 100, window_ms: 15 * 60 * 1000 }
    }
}

impl Commands {
    /// These commands with different limits for failed logins.
    pub fn with_login_limits(mut self, limits: LoginLimits) -> Self {
        self.login_attempts = Arc::new(LoginAttempts::new(limits));
        self
    }

    /// Checks an e-mail and a password. `from` is the caller's address, if it is known.
    pub async fn login(&self, email: &str, password: String, from: Option<IpAddr>) -> Result<LoggedIn> {
        let email = email.trim().to_lowercase();
        let wrong = || Error::new(ErrorCode::Unauthenticated, "the e-mail or the password is wrong");
        // No login has such an e-mail or password: refused before the slow hash.
        if email.len() > 254 || password.chars().count() > MAX_PASSWORD_CHARS {
            return Err(wrong());
        }
        let attempt = self.login_attempts.begin(&email, from, self.ports().clock.now())?;
        let user = self.ports().store.user_by_email(&email)?;
        let hash = user.as_ref().map(|user| user.password_hash.clone());
        let matches = self.ports().passwords.verify(password, hash).await?;
        let Some(user) = user.filter(|_| matches) else {
            return Err(wrong());
        };
        let tenant = self.ports().store.tenant(user.tenant)?.ok_or_else(wrong)?;
        self.login_attempts.succeeded(attempt);
        Ok(LoggedIn { user, tenant })
    }

    /// The tenant of an API key, and the connector if the key is bound to one. The key is found by its SHA-256, so no comparison
    /// depends on its characters.
    pub fn identify_api_key(&self, key: &str) -> Result<Identity> {
        let found = self.ports().store.api_key_by_hash(&hash_api_key(key))?;
        let Some(record) = found.filter(|record| record.revoked_at.is_none()) else {
            return Err(Error::new(ErrorCode::Unauthenticated, "the API key is unknown or revoked"));
        };
        let tenant = self.ports().store.tenant(record.tenant)?.ok_or_else(gone)?;
        Ok(Identity {
            tenant: tenant.index,
            tenant_id: tenant.id,
            user: None,
            role: None,
            login_epoch: 0,
            token: None,
            key: Some(record.id),
            connector: record.connector,
        })
    }

    /// Whether a credential that was good still is: for a request that lasts, such as a stream.
    pub fn still_holds(&self, identity: &Identity) -> Result<bool> {
        let store = &self.ports().store;
        if let Some(key) = identity.key {
            return Ok(store.api_key(identity.tenant, key)?.is_some_and(|key| key.revoked_at.is_none()));
        }
        let Some(user) = identity.user else { return Ok(false) };
        let user = store.user(identity.tenant, user)?;
        if user.is_none_or(|user| user.login_epoch != identity.login_epoch) {
            return Ok(false);
        }
        match identity.token {
            Some(number) => Ok(store.access_token(number)?.is_some()),
            None => Ok(true),
        }
    }

    /// Whether the user and the tenant in a signed token still exist, and the password has not been changed since: `epoch` is the user's
    /// [`login_epoch`](User::login_epoch) at the time of the login.
    pub fn identify_user(&self, tenant: Uuid, user: Uuid, email: &str, epoch: u32) -> Result<Identity> {
        let tenant = self.ports().store.tenant_by_id(tenant)?.ok_or_else(gone)?;
        let known = self.ports().store.user_by_email(email)?;
        match known {
            Some(known) if known.id == user && known.tenant == tenant.index && known.login_epoch == epoch => {
                Ok(Identity::of_user(&tenant, &known))
            }
            _ => Err(gone()),
        }
    }
}

/// The owner of a credential is no longer there, or has another password.
pub(super) fn gone() -> Error {
    Error::new(
        ErrorCode::Unauthenticated,
        "the credential's owner no longer exists or has a new password; log in again",
    )
}

/// Number of counters that are kept. Beyond it the oldest window is dropped.
const MAX_COUNTERS: usize = 20_000;

#[derive(Clone, PartialEq, Eq, Hash)]
struct CounterKey {
    /// `None` in the counter of the address alone.
    email: Option<String>,
    from: Option<IpAddr>,
}

struct Counter {
    since: Timestamp,
    failures: u32,
}

/// An attempt that is counted as failed before the password is checked, so that parallel attempts cannot evade the limit.
struct Attempt {
    keys: [CounterKey; 2],
}

/// The counters of failed logins.
pub(crate) struct LoginAttempts {
    limits: LoginLimits,
    counters: Mutex<HashMap<CounterKey, Counter>>,
}

impl Default for LoginAttempts {
    fn default() -> Self {
        Self::new(LoginLimits::default())
    }
}

impl LoginAttempts {
    fn new(limits: LoginLimits) -> Self {
        Self { limits, counters: Mutex::default() }
    }

    fn counters(&self) -> std::sync::MutexGuard<'_, HashMap<CounterKey, Counter>> {
        self.counters.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn begin(&self, email: &str, from: Option<IpAddr>, now: Timestamp) -> Result<Attempt> {
        let keys = [CounterKey { email: Some(email.to_owned()), from }, CounterKey { email: None, from }];
        let most = [self.limits.per_email_and_address, self.limits.per_address];
        let window = self.limits.window_ms;
        let mut counters = self.counters();
        for (key, most) in keys.iter().zip(most) {
            let Some(counter) = counters.get(key) else { continue };
            let left = window - now.since(counter.since);
            if left > 0 && counter.failures >= most {
                return Err(Error {
                    retry_after_ms: Some(left.unsigned_abs()),
                    ..Error::new(
                        ErrorCode::RateLimited,
                        format!("too many failed logins; try again in {} s", left.unsigned_abs().div_ceil(1000)),
                    )
                });
            }
        }
        for key in &keys {
            if counters.len() >= MAX_COUNTERS && !counters.contains_key(key) {
                make_room(&mut counters, now, window);
            }
            let counter = counters.entry(key.clone()).or_insert(Counter { since: now, failures: 0 });
            if now.since(counter.since) >= window {
                *counter = Counter { since: now, failures: 0 };
            }
            counter.failures += 1;
        }
        Ok(Attempt { keys })
    }

    /// The attempt was successful: deletes the e-mail's failures and uncounts this attempt for the address.
    fn succeeded(&self, attempt: Attempt) {
        let [with_email, address] = attempt.keys;
        let mut counters = self.counters();
        counters.remove(&with_email);
        if let Some(counter) = counters.get_mut(&address) {
            counter.failures = counter.failures.saturating_sub(1);
        }
    }
}

fn make_room(counters: &mut HashMap<CounterKey, Counter>, now: Timestamp, window: i64) {
    counters.retain(|_, counter| now.since(counter.since) < window);
    if counters.len() >= MAX_COUNTERS {
        // Half goes at once, so that a flood of addresses does not pay for a walk on every attempt.
        let mut since: Vec<Timestamp> = counters.values().map(|counter| counter.since).collect();
        since.sort_unstable();
        let middle = since[since.len() / 2];
        counters.retain(|_, counter| counter.since > middle);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000;

    fn address(last: u8) -> Option<IpAddr> {
        Some(IpAddr::from([10, 0, 0, last]))
    }

    #[test]
    fn an_email_is_closed_to_one_address_after_its_failures_and_opens_after_the_window() {
        let attempts = LoginAttempts::default();
        for _ in 0..10 {
            assert!(attempts.begin("a@x.com", address(1), Timestamp(0)).is_ok());
        }
        let refused = attempts.begin("a@x.com", address(1), Timestamp(5 * MINUTE)).err().expect("the eleventh");
        assert_eq!(refused.code, ErrorCode::RateLimited);
        assert_eq!(refused.retry_after_ms, Some(10 * 60_000));
        assert!(attempts.begin("b@x.com", address(1), Timestamp(5 * MINUTE)).is_ok(), "another e-mail");
        assert!(attempts.begin("a@x.com", address(2), Timestamp(5 * MINUTE)).is_ok(), "another address");
        assert!(attempts.begin("a@x.com", address(1), Timestamp(15 * MINUTE)).is_ok(), "after the window");
    }

    #[test]
    fn an_address_that_tries_many_emails_is_closed_too() {
        let attempts = LoginAttempts::default();
        for n in 0..100 {
            assert!(attempts.begin(&format!("user{n}@x.com"), address(1), Timestamp(0)).is_ok());
        }
        assert!(attempts.begin("one-more@x.com", address(1), Timestamp(1)).is_err());
    }

    #[test]
    fn successes_are_never_counted() {
        let attempts = LoginAttempts::default();
        for _ in 0..500 {
            let attempt = attempts.begin("a@x.com", address(1), Timestamp(0)).expect("no failure stands");
            attempts.succeeded(attempt);
        }
    }

    #[test]
    fn the_table_is_bounded() {
        let attempts = LoginAttempts::new(LoginLimits { per_address: u32::MAX, ..LoginLimits::default() });
        for n in 0..(MAX_COUNTERS as i64 + 500) {
            attempts.begin(&format!("user{n}@x.com"), address(1), Timestamp(n)).expect("under the limits");
        }
        assert!(attempts.counters().len() <= MAX_COUNTERS);
    }
}
