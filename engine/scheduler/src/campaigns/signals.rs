//! What commits tell the task of campaigns. Written on the store's committer thread, under a short lock. Memory is bounded: past
//! [`CAMPAIGNS`] it only notes that all open ones must be looked at.

use std::collections::BTreeSet;

use parking_lot::Mutex;
use pombo_domain::TenantIndex;
use tokio::sync::Notify;

/// Campaigns noted between two looks.
const CAMPAIGNS: usize = 4_096;

/// What the task has not taken yet.
#[derive(Default)]
pub(crate) struct Noted {
    pub(crate) some: BTreeSet<(TenantIndex, u32)>,
    /// All open campaigns may have something to do.
    pub(crate) all: bool,
}

/// The signals, and what wakes the task that takes them.
#[derive(Default)]
pub(crate) struct CampaignSignals {
    noted: Mutex<Noted>,
    pub(crate) wake: Notify,
}

impl CampaignSignals {
    /// What was noted since the last call.
    pub(crate) fn take(&self) -> Noted {
        std::mem::take(&mut *self.noted.lock())
    }

    /// A campaign or its rows changed.
    pub(crate) fn note(&self, tenant: TenantIndex, number: u32) {
        let mut noted = self.noted.lock();
        if noted.some.len() < CAMPAIGNS {
            noted.some.insert((tenant, number));
        } else {
            noted.all = true;
        }
        drop(noted);
        self.wake.notify_one();
    }

    /// Something changed that may concern any of them.
    pub(crate) fn note_all(&self) {
        self.noted.lock().all = true;
        self.wake.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_campaigns_are_all_of_them() {
        let signals = CampaignSignals::default();
        signals.note(TenantIndex(1), 2);
        let noted = signals.take();
        assert_eq!((noted.some.len(), noted.all), (1, false));
        (0..=CAMPAIGNS as u32).for_each(|number| signals.note(TenantIndex(1), number));
        let noted = signals.take();
        assert_eq!((noted.some.len(), noted.all), (CAMPAIGNS, true));
        assert!(!signals.take().all);
    }
}
