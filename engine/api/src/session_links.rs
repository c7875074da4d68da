//! Links by which somebody without a login links a connector's account: `{public_url}/link/{token}`. The token names the connector and
//! when it was made, and is signed: whoever has it may open this one session until it is connected, for ten minutes, and nothing else.
//!
//! Only the newest link of a connector opens, and only in the process that made it: which one that is is kept in memory, so a restart ends
//! them all. That a session has connected since is for the caller to see, by [`SessionLink::made_at`].

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use pombo_domain::{TenantIndex, Timestamp};
use sha2::Sha256;
use uuid::Uuid;

use crate::hook_links::mac;

/// How long a link opens, in milliseconds.
pub const LIFETIME_MS: i64 = 600_000;

/// Tenant, connector, when it was made, and its number.
const NAMED_BYTES: usize = 4 + 16 + 8 + 8;
const SIGNATURE_BYTES: usize = 32;

/// Makes and opens the links.
pub struct SessionLinks {
    key: Hmac<Sha256>,
    public_url: String,
    made: Mutex<Made>,
}

#[derive(Default)]
struct Made {
    /// The number of the link that was made last.
    last: u64,
    /// The newest link of each connector: its number, and when it ends. Those that ended are removed when one is made.
    newest: HashMap<(TenantIndex, Uuid), (u64, Timestamp)>,
}

/// What a link opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionLink {
    /// The tenant that the connector belongs to.
    pub tenant: TenantIndex,
    /// The connector.
    pub connector: Uuid,
    /// When it was made: once the session has connected since, it is used up.
    pub made_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
}

impl SessionLinks {
    /// Links signed with a separate key, which is derived from `secret`.
    pub fn new(secret: &[u8], public_url: &str) -> Self {
        let derived = mac(secret).chain_update(b"pombo session links").finalize().into_bytes();
        let public_url = public_url.trim_end_matches('/').to_owned();
        Self { key: mac(&derived), public_url, made: Mutex::default() }
    }

    /// Makes the link to a connector's session, and returns its URL with when it ends. An earlier one of the connector no longer opens.
    pub fn make(&self, tenant: TenantIndex, connector: Uuid, now: Timestamp) -> (String, Timestamp) {
        let expires_at = now.plus_ms(LIFETIME_MS);
        let number = {
            let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
            made.newest.retain(|_, (_, ends)| now < *ends);
            made.last += 1;
            let number = made.last;
            made.newest.insert((tenant, connector), (number, expires_at));
            number
        };
        let mut token = Vec::with_capacity(NAMED_BYTES + SIGNATURE_BYTES);
        token.extend(tenant.0.to_be_bytes());
        token.extend(connector.as_bytes());
        token.extend(now.0.to_be_bytes());
        token.extend(number.to_be_bytes());
        let signature = self.key.clone().chain_update(&token).finalize().into_bytes();
        token.extend(&signature[..]);
        (format!("{}/link/{}", self.public_url, URL_SAFE_NO_PAD.encode(token)), expires_at)
    }

    /// What a token opens; `None` if it is not valid, has ended, or there is a newer one of the connector.
    pub fn open(&self, token: &str, now: Timestamp) -> Option<SessionLink> {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        if bytes.len() != NAMED_BYTES + SIGNATURE_BYTES {
            return None;
        }
        let (named, signature) = bytes.split_at(NAMED_BYTES);
        self.key.clone().chain_update(named).verify_slice(signature).ok()?;
        let (tenant, rest) = named.split_at(4);
        let (connector, rest) = rest.split_at(16);
        let (made_at, number) = rest.split_at(8);
        let tenant = TenantIndex(u32::from_be_bytes(tenant.try_into().ok()?));
        let connector = Uuid::from_slice(connector).ok()?;
        let made_at = Timestamp(i64::from_be_bytes(made_at.try_into().ok()?));
        let number = u64::from_be_bytes(number.try_into().ok()?);
        let made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let (newest, ends) = made.newest.get(&(tenant, connector)).copied()?;
        let expires_at = made_at.plus_ms(LIFETIME_MS);
        // After a restart the numbers begin anew: the end tells two links of the same number apart.
        (number == newest && ends == expires_at && now < expires_at).then_some(SessionLink {
            tenant,
            connector,
            made_at,
            expires_at,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_700_000_000_000);

    fn links() -> SessionLinks {
        SessionLinks::new(b"a secret of the tests, long enough", "http://127.0.0.1:8080/")
    }

    fn token(url: &str) -> &str {
        url.strip_prefix("http://127.0.0.1:8080/link/").expect("below the public URL")
    }

    #[test]
    fn a_link_opens_its_own_session_for_ten_minutes_and_no_bent_one_opens() {
        let links = links();
        let (tenant, connector) = (TenantIndex(7), Uuid::from_u128(9));
        let (url, expires_at) = links.make(tenant, connector, NOW);
        let token = token(&url);
        let opened = SessionLink { tenant, connector, made_at: NOW, expires_at };
        assert_eq!(links.open(token, NOW), Some(opened));
        assert_eq!(links.open(token, NOW.plus_ms(LIFETIME_MS - 1)), Some(opened));
        assert_eq!(links.open(token, NOW.plus_ms(LIFETIME_MS)), None);
        let mut bytes = URL_SAFE_NO_PAD.decode(token).expect("base64");
        for i in 0..bytes.len() {
            bytes[i] ^= 1;
            assert_eq!(links.open(&URL_SAFE_NO_PAD.encode(&bytes), NOW), None, "byte {i}");
            bytes[i] ^= 1;
        }
        for bad in ["", "x", &token[1..], &format!("{token}AAAA")] {
            assert_eq!(links.open(bad, NOW), None, "{bad:?}");
        }
    }

    #[test]
    fn only_the_newest_link_of_a_connector_opens_and_none_after_a_restart() {
        let before = links();
        let (tenant, one, other) = (TenantIndex(7), Uuid::from_u128(1), Uuid::from_u128(2));
        let (first, _) = before.make(tenant, one, NOW);
        let (elsewhere, _) = before.make(tenant, other, NOW);
        let (second, _) = before.make(tenant, one, NOW);
        assert_eq!(before.open(token(&first), NOW), None);
        assert!(before.open(token(&second), NOW).is_some() && before.open(token(&elsewhere), NOW).is_some());
        let after = links();
        assert_eq!(after.open(token(&second), NOW), None);
        after.make(tenant, one, NOW.plus_ms(1));
        assert_eq!(after.open(token(&first), NOW.plus_ms(2)), None, "it has the same number");
    }

    #[test]
    fn what_ended_is_not_kept() {
        let links = links();
        for i in 0..100 {
            links.make(TenantIndex(1), Uuid::from_u128(i), NOW);
        }
        links.make(TenantIndex(1), Uuid::from_u128(1000), NOW.plus_ms(LIFETIME_MS));
        assert_eq!(links.made.lock().expect("no test panics in it").newest.len(), 1);
    }
}
