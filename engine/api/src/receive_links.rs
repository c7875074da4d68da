//! The addresses at which channels call connectors, and the secrets that allow it. A secret is derived from the operator's, the connector
//! and the number of its changes; nothing is stored.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use uuid::Uuid;

use crate::hook_links::mac;

/// Where channels call connectors, and with which secrets.
pub struct ReceiveLinks {
    key: Hmac<Sha256>,
    public_url: String,
}

impl ReceiveLinks {
    /// Secrets that are derived with a separate key, which is derived from `secret`.
    pub fn new(secret: &[u8], public_url: &str) -> Self {
        let derived = mac(secret).chain_update(b"pombo receive").finalize().into_bytes();
        Self { key: mac(&derived), public_url: public_url.trim_end_matches('/').to_owned() }
    }

    /// The URL below which a connector is called; a path follows it.
    pub fn url(&self, connector: Uuid) -> String {
        format!("{}/v1/connectors/{connector}/receive", self.public_url)
    }

    /// The secret of a connector in this epoch.
    pub fn secret(&self, connector: Uuid, epoch: u32) -> String {
        let derived = self.key.clone().chain_update(connector.as_bytes()).chain_update(epoch.to_be_bytes());
        URL_SAFE_NO_PAD.encode(derived.finalize().into_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_connector_and_epoch_has_a_secret_of_its_own() {
        let links = ReceiveLinks::new(b"a secret of the tests, long enough", "http://127.0.0.1:8080/");
        let id = Uuid::from_u128(9);
        assert_eq!(links.url(id), format!("http://127.0.0.1:8080/v1/connectors/{id}/receive"));
        let secret = links.secret(id, 0);
        assert_eq!((secret.len(), &secret), (43, &links.secret(id, 0)));
        assert_ne!(secret, links.secret(id, 1));
        assert_ne!(secret, links.secret(Uuid::from_u128(8), 0));
        assert_ne!(secret, ReceiveLinks::new(b"another", "").secret(id, 0));
    }
}
