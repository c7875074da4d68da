//! Random secrets and their hashes, for API keys and access tokens.

use sha2::{Digest, Sha256};

use crate::ports::Entropy;

/// Number of characters of a secret: 238 random bits.
pub(crate) const CHARS: usize = 40;

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A new secret of [`CHARS`] letters and digits.
pub(crate) fn random(entropy: &dyn Entropy) -> String {
    let mut secret = String::with_capacity(CHARS);
    let mut bytes = [0; 64];
    while secret.len() < CHARS {
        entropy.fill(&mut bytes);
        // 248 is the largest multiple of 62 below 256: bytes above it would favour the first letters.
        let letters = bytes.iter().filter(|b| **b < 248).map(|b| char::from(BASE62[usize::from(b % 62)]));
        secret.extend(letters.take(CHARS - secret.len()));
    }
    secret
}

/// SHA-256. What is hashed has more than 200 random bits, so no slow hash is needed.
pub(super) fn hash(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}
