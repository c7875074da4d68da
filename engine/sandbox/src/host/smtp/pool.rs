//! Connections kept open between submissions of one connector.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use lettre::transport::smtp::client::AsyncSmtpConnection;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};

use super::target::Target;

/// How long a connection may be idle. Servers end idle connections after some minutes; ours are closed well before.
const IDLE: Duration = Duration::from_secs(20);
/// How many messages go through one connection: some servers refuse more.
const USES: u32 = 100;
/// How many idle connections are kept.
const KEPT: usize = 32;

/// Which server and login a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key([u8; 32]);

impl Key {
    pub(super) fn of(target: &Target) -> Self {
        let mut hash = Sha256::new();
        let login = target.login.as_ref().map(|l| (l.username.as_str(), l.password.as_str())).unwrap_or_default();
        let (port, security) = (target.port.to_string(), target.security as u8);
        for part in [&target.host, &*port, login.0, login.1, target.extra_ca.as_deref().unwrap_or_default()] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        hash.update([security]);
        Self(hash.finalize().into())
    }
}

/// A connection that has greeted and logged in.
pub(super) struct Pooled {
    pub(super) connection: AsyncSmtpConnection,
    /// The mark of a spoiled message, which the connection's stream checks; see `dialogue`.
    pub(super) spoiled: Arc<Mutex<Option<Arc<AtomicBool>>>>,
    uses: u32,
}

impl Pooled {
    pub(super) fn new(connection: AsyncSmtpConnection, spoiled: Arc<Mutex<Option<Arc<AtomicBool>>>>) -> Self {
        Self { connection, spoiled, uses: 0 }
    }
}

/// The idle connections of one connector.
#[derive(Default)]
pub(crate) struct Pool(Mutex<Vec<(Key, Instant, Pooled)>>);

impl Pool {
    /// Takes the most recently used connection, so that the others can expire.
    pub(super) fn take(&self, key: &Key) -> Option<Pooled> {
        let mut idle = self.0.lock();
        idle.retain(|(_, since, _)| since.elapsed() < IDLE);
        let at = idle.iter().rposition(|(k, ..)| k == key)?;
        Some(idle.remove(at).2)
    }

    pub(super) fn give_back(&self, key: Key, mut pooled: Pooled) {
        pooled.uses += 1;
        if pooled.uses >= USES || pooled.connection.has_broken() {
            return;
        }
        let mut idle = self.0.lock();
        if idle.len() >= KEPT {
            idle.remove(0);
        }
        idle.push((key, Instant::now(), pooled));
    }
}
