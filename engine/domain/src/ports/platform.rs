//! Time, randomness, passwords and secrets.

use async_trait::async_trait;
use uuid::Uuid;

use crate::Timestamp;

/// The current time, and waiting for a later one. Tests use a manual one.
#[async_trait]
pub trait Clock: Send + Sync + 'static {
    /// The current time. It may step back with the system's clock; a caller that needs monotony keeps the last value.
    fn now(&self) -> Timestamp;
    /// Waits until `at` or shortly after.
    async fn sleep_until(&self, at: Timestamp);
}

/// A source of random numbers.
pub trait Entropy: Send + Sync + 'static {
    /// Fills `bytes` from a cryptographic source.
    fn fill(&self, bytes: &mut [u8]);
    /// A random 64-bit number.
    fn u64(&self) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }
    /// A version 4 UUID.
    fn uuid(&self) -> Uuid {
        let mut bytes = [0; 16];
        self.fill(&mut bytes);
        uuid::Builder::from_random_bytes(bytes).into_uuid()
    }
}

/// Password hashing (argon2id). Slow by design: implementations run it off the async threads and bound how many run at once.
#[async_trait]
pub trait PasswordHasher: Send + Sync + 'static {
    /// Hashes `password` into a PHC string.
    async fn hash(&self, password: String) -> Result<String, crate::Error>;
    /// Whether `password` matches. With `phc` `None` it does the same work and returns false, so that an unknown login takes as
    /// long as a wrong password.
    async fn verify(&self, password: String, phc: Option<String>) -> Result<bool, crate::Error>;
}

/// Encryption at rest of connector secrets, with a key from a file or variable.
pub trait SecretBox: Send + Sync + 'static {
    /// Seals `plain`, bound to `context` (e.g. the connector's id and the field's name).
    fn seal(&self, context: &str, plain: &[u8]) -> Vec<u8>;
    /// Decrypts what [`Self::seal`] returned for the same context.
    fn open(&self, context: &str, sealed: &[u8]) -> Result<Vec<u8>, SecretError>;
}

/// A sealed secret cannot be decrypted: the key is different, or the bytes were changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a stored secret cannot be decrypted with the configured key")]
pub struct SecretError;
