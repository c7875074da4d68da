//! Passwords with argon2id, off the async threads, with a bounded number at a time: each takes 19 MiB and tens of milliseconds.

use std::sync::{Arc, OnceLock};

use argon2::password_hash::{PasswordHash, PasswordHasher as _, PasswordVerifier as _, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use async_trait::async_trait;
use pombo_domain::ports::{Entropy, PasswordHasher};
use pombo_domain::{Error, ErrorCode};
use tokio::sync::Semaphore;

use super::entropy::OsEntropy;

/// Memory of one hash in KiB. OWASP's argon2id parameters: 19 MiB, two passes, one lane.
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// Number of hashes that may wait; beyond it a login is refused at once rather than after minutes.
const MAX_WAITING: usize = 256;

/// Hashes passwords with argon2id.
pub(crate) struct Argon2Hasher {
    running: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
}

impl Argon2Hasher {
    /// Hashes at most `parallel` passwords at the same time.
    pub(crate) fn new(parallel: usize) -> Self {
        Self { running: Arc::new(Semaphore::new(parallel.max(1))), waiting: Arc::new(Semaphore::new(MAX_WAITING)) }
    }

    async fn off_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let Ok(_place) = Arc::clone(&self.waiting).try_acquire_owned() else {
            return Err(Error {
                retry_after_ms: Some(5_000),
                ..Error::new(ErrorCode::RateLimited, "too many logins at the same time; try again in a few seconds")
            });
        };
        let permit = Arc::clone(&self.running).acquire_owned().await.map_err(|e| Error::internal(e.to_string()))?;
        tokio::task::spawn_blocking(move || {
            // Held until the work ends, also when the request that asked for it is gone.
            let _permit = permit;
            work()
        })
        .await
        .map_err(|e| Error::internal(format!("password hashing: {e}")))?
    }
}

fn argon2() -> Argon2<'static> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).expect("constant parameters are within argon2's bounds");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

fn hash_now(password: &str) -> Result<String, Error> {
    let mut salt = [0; 16];
    OsEntropy.fill(&mut salt);
    let salt = SaltString::encode_b64(&salt).map_err(|e| Error::internal(format!("salt: {e}")))?;
    let hash = argon2().hash_password(password.as_bytes(), &salt);
    hash.map(|h| h.to_string()).map_err(|e| Error::internal(format!("password hashing: {e}")))
}

/// A hash for which no password is known, to spend the same time on an unknown login.
fn nobody() -> Result<&'static str, Error> {
    static NOBODY: OnceLock<String> = OnceLock::new();
    if let Some(hash) = NOBODY.get() {
        return Ok(hash);
    }
    let mut password = [0; 32];
    OsEntropy.fill(&mut password);
    let hash = hash_now(&hex::encode(password))?;
    Ok(NOBODY.get_or_init(|| hash))
}

#[async_trait]
impl PasswordHasher for Argon2Hasher {
    async fn hash(&self, password: String) -> Result<String, Error> {
        self.off_thread(move || hash_now(&password)).await
    }

    async fn verify(&self, password: String, phc: Option<String>) -> Result<bool, Error> {
        self.off_thread(move || {
            let known = phc.is_some();
            let phc = match phc {
                Some(phc) => phc,
                None => nobody()?.to_owned(),
            };
            let hash = PasswordHash::new(&phc).map_err(|e| Error::internal(format!("stored password hash: {e}")))?;
            let matches = argon2().verify_password(password.as_bytes(), &hash).is_ok();
            Ok(known && matches)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_verifies_and_another_does_not() {
        let hasher = Argon2Hasher::new(2);
        let phc = hasher.hash("correct horse".to_owned()).await.expect("hashed");
        assert!(phc.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{phc}");
        assert!(hasher.verify("correct horse".to_owned(), Some(phc.clone())).await.expect("verified"));
        assert!(!hasher.verify("correct horsf".to_owned(), Some(phc.clone())).await.expect("verified"));
        assert!(!hasher.verify("correct horse".to_owned(), None).await.expect("verified"));
        let again = hasher.hash("correct horse".to_owned()).await.expect("hashed");
        assert_ne!(phc, again, "salted");
    }
}
