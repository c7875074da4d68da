//! Wakes requests that wait for a tenant's next event. The store's committer thread reports every commit, which takes one short
//! lock, and none if nobody waits.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use pombo_domain::TenantIndex;
use pombo_domain::ports::{CommitObserver, Effect};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Maximum number of requests of one tenant that wait at the same time.
const MAX_WAITING: usize = 64;

/// Wakes requests that wait for events, see the module.
pub struct EventSignals {
    /// For each tenant with a waiting request: the number of its newest event since then.
    newest: Mutex<HashMap<TenantIndex, watch::Sender<u64>>>,
    draining: CancellationToken,
}

/// Too many requests of the tenant are already waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{MAX_WAITING} requests wait for this tenant's events already; let one wait, or ask without wait")]
pub struct TooManyWait;

impl EventSignals {
    /// Signals until `draining` is cancelled; then all waiting ends.
    pub fn new(draining: CancellationToken) -> Self {
        Self { newest: Mutex::default(), draining }
    }

    /// Follows a tenant's events from now on.
    pub fn follow(&self, tenant: TenantIndex) -> Result<Following, TooManyWait> {
        let mut newest = self.newest();
        newest.retain(|_, sender| sender.receiver_count() > 0);
        let sender = newest.entry(tenant).or_insert_with(|| watch::Sender::new(0));
        if sender.receiver_count() >= MAX_WAITING {
            return Err(TooManyWait);
        }
        Ok(Following { newest: sender.subscribe(), draining: self.draining.clone() })
    }

    /// The token that is cancelled when the engine stops; streams end then.
    pub fn draining(&self) -> CancellationToken {
        self.draining.clone()
    }

    fn newest(&self) -> MutexGuard<'_, HashMap<TenantIndex, watch::Sender<u64>>> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CommitObserver for EventSignals {
    fn committed(&self, effects: &[Effect]) {
        if !effects.iter().any(|effect| matches!(effect, Effect::Event(..))) {
            return;
        }
        let newest = self.newest();
        if newest.is_empty() {
            return;
        }
        for effect in effects {
            if let Effect::Event(tenant, number) = effect
                && let Some(sender) = newest.get(tenant)
            {
                sender.send_replace(*number);
            }
        }
    }
}

/// A waiting request.
pub struct Following {
    newest: watch::Receiver<u64>,
    draining: CancellationToken,
}

impl Following {
    /// Waits until an event was appended since the last call (or since it was created) and returns true; returns false when the
    /// engine stops.
    pub async fn appended(&mut self) -> bool {
        tokio::select! {
            changed = self.newest.changed() => changed.is_ok(),
            () = self.draining.cancelled() => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_event_wakes_its_own_tenant_also_when_it_came_before_the_wait() {
        let signals = EventSignals::new(CancellationToken::new());
        let mut mine = signals.follow(TenantIndex(1)).expect("nobody waits");
        let mut other = signals.follow(TenantIndex(2)).expect("nobody waits");
        signals.committed(&[Effect::Event(TenantIndex(1), 7)]);
        assert!(mine.appended().await);
        assert!(!other.newest.has_changed().expect("followed"));
        signals.draining.cancel();
        assert!(!other.appended().await, "the engine stops");
    }

    #[test]
    fn waiting_is_bounded_and_who_left_does_not_count() {
        let signals = EventSignals::new(CancellationToken::new());
        let all: Vec<_> = (0..MAX_WAITING).map(|_| signals.follow(TenantIndex(1)).expect("room")).collect();
        assert_eq!(signals.follow(TenantIndex(1)).err(), Some(TooManyWait));
        assert!(signals.follow(TenantIndex(2)).is_ok());
        drop(all);
        assert!(signals.follow(TenantIndex(1)).is_ok());
    }
}
