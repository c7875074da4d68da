//! Passwords and sealed secrets that a test can read.

use async_trait::async_trait;
use pombo_domain::Error;
use pombo_domain::ports::{PasswordHasher, SecretBox, SecretError};

/// The hash of a password is `plain:` and the password.
pub struct PlainPasswords;

#[async_trait]
impl PasswordHasher for PlainPasswords {
    async fn hash(&self, password: String) -> Result<String, Error> {
        Ok(format!("plain:{password}"))
    }
    async fn verify(&self, password: String, phc: Option<String>) -> Result<bool, Error> {
        Ok(phc == Some(format!("plain:{password}")))
    }
}

/// Reverses what it seals and appends the context: not secret, but not the plain text either, and it can only be opened in its own
/// context.
pub struct ReversingBox;

impl SecretBox for ReversingBox {
    fn seal(&self, context: &str, plain: &[u8]) -> Vec<u8> {
        let mut sealed: Vec<u8> = plain.iter().rev().copied().collect();
        sealed.extend(context.as_bytes());
        sealed
    }
    fn open(&self, context: &str, sealed: &[u8]) -> Result<Vec<u8>, SecretError> {
        let plain = sealed.strip_suffix(context.as_bytes()).ok_or(SecretError)?;
        Ok(plain.iter().rev().copied().collect())
    }
}
