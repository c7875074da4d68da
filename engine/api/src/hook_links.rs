//! URLs of automations' webhooks: `{public_url}/v1/hooks/{token}`. The token names the automation and is signed: anyone who has
//! it may call this one webhook and nothing else.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use pombo_domain::TenantIndex;
use sha2::Sha256;
use uuid::Uuid;

const NAMED_BYTES: usize = 4 + 16;
const SIGNATURE_BYTES: usize = 16;

/// Creates and verifies the tokens.
pub struct HookLinks {
    key: Hmac<Sha256>,
    public_url: String,
}

impl HookLinks {
    /// Tokens signed with a separate key, which is derived from `secret`.
    pub fn new(secret: &[u8], public_url: &str) -> Self {
        let derived = mac(secret).chain_update(b"pombo automation hooks").finalize().into_bytes();
        Self { key: mac(&derived), public_url: public_url.trim_end_matches('/').to_owned() }
    }

    /// The URL of an automation's webhook.
    pub fn url(&self, tenant: TenantIndex, automation: Uuid) -> String {
        let mut token = Vec::with_capacity(NAMED_BYTES + SIGNATURE_BYTES);
        token.extend(tenant.0.to_be_bytes());
        token.extend(automation.as_bytes());
        let signature = self.key.clone().chain_update(&token).finalize().into_bytes();
        token.extend(&signature[..SIGNATURE_BYTES]);
        format!("{}/v1/hooks/{}", self.public_url, URL_SAFE_NO_PAD.encode(token))
    }

    /// The automation that a token is for; `None` if the token is not valid.
    pub fn open(&self, token: &str) -> Option<(TenantIndex, Uuid)> {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        if bytes.len() != NAMED_BYTES + SIGNATURE_BYTES {
            return None;
        }
        let (named, signature) = bytes.split_at(NAMED_BYTES);
        self.key.clone().chain_update(named).verify_truncated_left(signature).ok()?;
        let (tenant, automation) = named.split_at(4);
        let tenant = TenantIndex(u32::from_be_bytes(tenant.try_into().ok()?));
        Some((tenant, Uuid::from_slice(automation).ok()?))
    }
}

pub(crate) fn mac(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes a key of any length")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_opens_its_own_automation_and_no_bent_one_opens() {
        let links = HookLinks::new(b"a secret of the tests, long enough", "http://127.0.0.1:8080/");
        let (tenant, automation) = (TenantIndex(7), Uuid::from_u128(9));
        let url = links.url(tenant, automation);
        let token = url.strip_prefix("http://127.0.0.1:8080/v1/hooks/").expect("below the public URL");
        assert_eq!(links.open(token), Some((tenant, automation)));
        let other = HookLinks::new(b"another secret of the tests, longer", "http://127.0.0.1:8080");
        assert_eq!(other.open(token), None);
        let mut bytes = URL_SAFE_NO_PAD.decode(token).expect("base64");
        for i in 0..bytes.len() {
            bytes[i] ^= 1;
            assert_eq!(links.open(&URL_SAFE_NO_PAD.encode(&bytes)), None, "byte {i}");
            bytes[i] ^= 1;
        }
        for bad in ["", "x", &token[1..], &format!("{token}AAAA")] {
            assert_eq!(links.open(bad), None, "{bad:?}");
        }
    }
}
