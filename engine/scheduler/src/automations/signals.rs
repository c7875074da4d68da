//! What commits tell the tasks of automations and rollouts. Written on the store's committer thread, under short locks. Memory is
//! bounded: past [`LANES`] lanes it only notes that they must be read from the store.

use std::collections::BTreeSet;

use parking_lot::Mutex;
use pombo_domain::Timestamp;
use pombo_domain::ports::{DueLane, Effect};
use tokio::sync::Notify;

/// Lanes noted between two looks of the runner.
const LANES: usize = 65_536;

/// What the runner has not taken yet.
#[derive(Default)]
pub(crate) struct Pending {
    pub(crate) lanes: Vec<DueLane>,
    /// There were too many lanes: all that is due must be read from the store.
    pub(crate) lost: bool,
    /// Automations or plugins changed.
    pub(crate) changed: bool,
}

/// The signals, and what wakes the tasks that take them.
#[derive(Default)]
pub(crate) struct WakeSignals {
    pending: Mutex<Pending>,
    pub(crate) wake: Notify,
    /// The earliest timer that was set since the last look.
    timer: Mutex<Option<Timestamp>>,
    pub(crate) timers_wake: Notify,
    plugins: Mutex<BTreeSet<String>>,
    pub(crate) plugins_wake: Notify,
}

impl WakeSignals {
    /// What was signalled since the last call.
    pub(crate) fn take(&self) -> Pending {
        std::mem::take(&mut *self.pending.lock())
    }
    /// The earliest timer that was set since the last call.
    pub(crate) fn timer(&self) -> Option<Timestamp> {
        self.timer.lock().take()
    }
    /// The plugins that changed since the last call.
    pub(crate) fn plugins(&self) -> BTreeSet<String> {
        std::mem::take(&mut *self.plugins.lock())
    }

    /// Wakes all tasks, to see that it is over.
    pub(crate) fn drain(&self) {
        self.wake.notify_one();
        self.timers_wake.notify_one();
        self.plugins_wake.notify_one();
    }

    /// Notes what concerns automations.
    pub(crate) fn note(&self, effects: &[Effect]) {
        let (mut lanes, mut timers, mut plugins) = (false, false, false);
        for effect in effects {
            match effect {
                Effect::Work(due) => {
                    let mut pending = self.pending.lock();
                    if pending.lanes.len() < LANES {
                        pending.lanes.push(*due);
                    } else {
                        pending.lost = true;
                    }
                    lanes = true;
                }
                Effect::Timer(at) => {
                    let mut earliest = self.timer.lock();
                    *earliest = Some(earliest.map_or(*at, |noted| noted.min(*at)));
                    timers = true;
                }
                Effect::Automation(..) => {
                    self.pending.lock().changed = true;
                    lanes = true;
                }
                Effect::Plugin(name) => {
                    self.pending.lock().changed = true;
                    self.plugins.lock().insert(name.clone());
                    lanes = true;
                    plugins = true;
                }
                _ => {}
            }
        }
        if lanes {
            self.wake.notify_one();
        }
        if timers {
            self.timers_wake.notify_one();
        }
        if plugins {
            self.plugins_wake.notify_one();
        }
    }
}
