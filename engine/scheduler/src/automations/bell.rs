//! What commits tell the tasks of automations and rollouts. Written on the store's committer thread: short locks, no more. Memory is
//! bounded: past [`LANES`] lanes it only notes that they must be read.

use std::collections::BTreeSet;

use parking_lot::Mutex;
use pombo_domain::Timestamp;
use pombo_domain::ports::{DueLane, Effect};
use tokio::sync::Notify;

/// Lanes noted between two looks of the runner.
const LANES: usize = 65_536;

/// Lanes that have work.
#[derive(Default)]
pub(crate) struct Rung {
    pub(crate) lanes: Vec<DueLane>,
    /// There were too many: all that is due must be read.
    pub(crate) lost: bool,
    /// Automations or packages changed.
    pub(crate) changed: bool,
}

/// The bell.
#[derive(Default)]
pub(crate) struct Bell {
    rung: Mutex<Rung>,
    pub(crate) wake: Notify,
    /// The earliest timer that was set since the last look.
    timer: Mutex<Option<Timestamp>>,
    pub(crate) timers_wake: Notify,
    packages: Mutex<BTreeSet<String>>,
    pub(crate) packages_wake: Notify,
}

impl Bell {
    /// What was rung since the last call.
    pub(crate) fn heard(&self) -> Rung {
        std::mem::take(&mut *self.rung.lock())
    }
    /// The earliest timer that was set since the last call.
    pub(crate) fn timer(&self) -> Option<Timestamp> {
        self.timer.lock().take()
    }
    /// The packages that changed since the last call.
    pub(crate) fn packages(&self) -> BTreeSet<String> {
        std::mem::take(&mut *self.packages.lock())
    }

    /// Wakes all tasks, to see that it is over.
    pub(crate) fn drain(&self) {
        self.wake.notify_one();
        self.timers_wake.notify_one();
        self.packages_wake.notify_one();
    }

    /// Notes what concerns automations.
    pub(crate) fn note(&self, effects: &[Effect]) {
        let (mut lanes, mut timers, mut packages) = (false, false, false);
        for effect in effects {
            match effect {
                Effect::Work(due) => {
                    let mut rung = self.rung.lock();
                    if rung.lanes.len() < LANES {
                        rung.lanes.push(*due);
                    } else {
                        rung.lost = true;
                    }
                    lanes = true;
                }
                Effect::Timer(at) => {
                    let mut earliest = self.timer.lock();
                    *earliest = Some(earliest.map_or(*at, |noted| noted.min(*at)));
                    timers = true;
                }
                Effect::Automation(_) => {
                    self.rung.lock().changed = true;
                    lanes = true;
                }
                Effect::Package(name) => {
                    self.rung.lock().changed = true;
                    self.packages.lock().insert(name.clone());
                    lanes = true;
                    packages = true;
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
        if packages {
            self.packages_wake.notify_one();
        }
    }
}
