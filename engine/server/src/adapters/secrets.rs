//! Connector secrets at rest: XChaCha20-Poly1305 with a random nonce, bound to their context.
//!
//! Stored form: one byte of version (1), 24 bytes of nonce, the ciphertext with its tag.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use pombo_domain::ports::{Entropy, SecretBox, SecretError};

use super::entropy::OsEntropy;
use super::keys::RootKey;

const VERSION: u8 = 1;
const NONCE: usize = 24;

/// Seals and opens secrets.
pub(crate) struct SealedSecrets {
    cipher: XChaCha20Poly1305,
}

impl SealedSecrets {
    /// Uses a key derived from `root`.
    pub(crate) fn new(root: &RootKey) -> Self {
        Self { cipher: XChaCha20Poly1305::new(Key::from_slice(&root.derive("secrets"))) }
    }
}

impl SecretBox for SealedSecrets {
    fn seal(&self, context: &str, plain: &[u8]) -> Vec<u8> {
        let mut nonce = [0; NONCE];
        OsEntropy.fill(&mut nonce);
        let sealed = self
            .cipher
            .encrypt(XNonce::from_slice(&nonce), Payload { msg: plain, aad: context.as_bytes() })
            .expect("encryption fails only past 256 GiB");
        let mut stored = Vec::with_capacity(1 + NONCE + sealed.len());
        stored.push(VERSION);
        stored.extend_from_slice(&nonce);
        stored.extend_from_slice(&sealed);
        stored
    }

    fn open(&self, context: &str, sealed: &[u8]) -> Result<Vec<u8>, SecretError> {
        let (&version, rest) = sealed.split_first().ok_or(SecretError)?;
        if version != VERSION || rest.len() < NONCE {
            return Err(SecretError);
        }
        let (nonce, body) = rest.split_at(NONCE);
        let payload = Payload { msg: body, aad: context.as_bytes() };
        self.cipher.decrypt(XNonce::from_slice(nonce), payload).map_err(|_| SecretError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_opens_only_with_its_key_and_context_and_unaltered() {
        let secrets = SealedSecrets::new(&RootKey::from([7; 32]));
        let sealed = secrets.seal("connector/1/password", b"hunter2");
        assert!(!sealed.windows(7).any(|w| w == b"hunter2"));
        assert_eq!(secrets.open("connector/1/password", &sealed).as_deref(), Ok(&b"hunter2"[..]));
        assert_eq!(secrets.open("connector/2/password", &sealed), Err(SecretError));
        let other = SealedSecrets::new(&RootKey::from([8; 32]));
        assert_eq!(other.open("connector/1/password", &sealed), Err(SecretError));
        for at in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[at] ^= 1;
            assert_eq!(secrets.open("connector/1/password", &altered), Err(SecretError), "byte {at}");
        }
        for length in 0..sealed.len() {
            assert_eq!(secrets.open("connector/1/password", &sealed[..length]), Err(SecretError));
        }
        assert_ne!(sealed, secrets.seal("connector/1/password", b"hunter2"), "a fresh nonce each time");
    }
}
