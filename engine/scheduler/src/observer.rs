//! Notes what commits mean for whoever waits for work. Runs on the store's committer thread: takes short locks, wakes, and
//! never blocks or commits. Memory is bounded by the number of connectors and their windows.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::{Mutex, RwLock};
use pombo_domain::ConnectorIndex;
use pombo_domain::model::connector::PaceState;
use pombo_domain::ports::{CommitObserver, Effect, ScheduledEntry};
use tokio::sync::Notify;

use crate::account::Standing;
use crate::account::keeper::Desk;
use crate::automations::bell::Bell;
use crate::rules::window::Window;

/// What a lane shares with the observer and the handle.
pub(crate) struct LaneShared {
    pub(crate) connector: ConnectorIndex,
    pub(crate) window: Mutex<Window>,
    pub(crate) wake: Notify,
    /// The connector was changed: read it again.
    pub(crate) changed: AtomicBool,
    /// Somebody says that the connection may work again.
    pub(crate) probe: AtomicBool,
    pub(crate) pace: Mutex<PaceState>,
    pub(crate) standing: Arc<Standing>,
    pub(crate) in_flight: std::sync::atomic::AtomicUsize,
}

impl LaneShared {
    pub(crate) fn new(connector: ConnectorIndex, window: usize, pace: PaceState, standing: Arc<Standing>) -> Self {
        Self {
            connector,
            window: Mutex::new(Window::new(window)),
            wake: Notify::new(),
            changed: AtomicBool::new(false),
            probe: AtomicBool::new(false),
            pace: Mutex::new(pace),
            standing,
            in_flight: std::sync::atomic::AtomicUsize::new(0),
        }
    }
}

/// The notes.
#[derive(Default)]
pub(crate) struct Notes {
    pub(crate) lanes: RwLock<HashMap<ConnectorIndex, Arc<LaneShared>>>,
    /// Connectors to look at: new, changed, or with work but no lane.
    pub(crate) connectors: Mutex<BTreeSet<ConnectorIndex>>,
    pub(crate) connectors_wake: Notify,
    /// What concerns accounts; its task goes on while the rest drains.
    pub(crate) desk: Desk,
    /// What concerns automations and plugins.
    pub(crate) bell: Bell,
    /// The earliest entry that joined the scheduled queue since it was last swept.
    pub(crate) scheduled: Mutex<Option<ScheduledEntry>>,
    pub(crate) scheduled_wake: Notify,
    pub(crate) deliveries_wake: Notify,
    /// Who else is told: the store has one observer.
    pub(crate) also: OnceLock<Arc<dyn CommitObserver>>,
    /// Set once: nothing new is begun.
    pub(crate) draining: AtomicBool,
}

impl Notes {
    pub(crate) fn lane(&self, connector: ConnectorIndex) -> Option<Arc<LaneShared>> {
        self.lanes.read().get(&connector).cloned()
    }

    pub(crate) fn look_at(&self, connector: ConnectorIndex) {
        self.connectors.lock().insert(connector);
        self.connectors_wake.notify_one();
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::Release);
        for lane in self.lanes.read().values() {
            lane.wake.notify_one();
        }
        self.connectors_wake.notify_one();
        self.scheduled_wake.notify_one();
        self.deliveries_wake.notify_one();
        self.bell.drain();
    }

    /// Notes a run of effects that begins with an entry of `connector`; how many it took.
    fn note_run(&self, connector: ConnectorIndex, effects: &[Effect]) -> usize {
        let lane = self.lane(connector);
        let mut window = lane.as_ref().map(|lane| lane.window.lock());
        let mut taken = 0;
        let mut joined = false;
        for effect in effects {
            match effect {
                Effect::Ready(of, entry) if *of == connector => {
                    joined = true;
                    if let Some(window) = &mut window {
                        window.note(*entry);
                    }
                }
                Effect::Unready(of, entry) if *of == connector => {
                    if let Some(window) = &mut window {
                        window.forget(entry);
                    }
                }
                _ => break,
            }
            taken += 1;
        }
        drop(window);
        match lane {
            Some(lane) => lane.wake.notify_one(),
            None if joined => self.look_at(connector),
            None => {}
        }
        taken
    }
}

impl CommitObserver for Notes {
    fn committed(&self, effects: &[Effect]) {
        if let Some(also) = self.also.get() {
            also.committed(effects);
        }
        self.bell.note(effects);
        let mut rest = effects;
        let mut deliveries = false;
        let mut scheduled: Option<ScheduledEntry> = None;
        while let Some(first) = rest.first() {
            let taken = match first {
                Effect::Ready(connector, _) | Effect::Unready(connector, _) => self.note_run(*connector, rest),
                Effect::Scheduled(entry) => {
                    scheduled = Some(scheduled.map_or(*entry, |least| least.min(*entry)));
                    1
                }
                Effect::DeliveryDue(_) => {
                    deliveries = true;
                    1
                }
                Effect::Connector(connector) => {
                    if let Some(lane) = self.lane(*connector) {
                        lane.changed.store(true, Ordering::Release);
                        lane.wake.notify_one();
                    }
                    self.look_at(*connector);
                    self.desk.assess(*connector);
                    1
                }
                // The bell's, or no work for the scheduler.
                Effect::Work(_) | Effect::Timer(_) | Effect::Automation(_) | Effect::Package(_) | Effect::Event(..) => {
                    1
                }
            };
            rest = &rest[taken..];
        }
        if let Some(entry) = scheduled {
            let mut least = self.scheduled.lock();
            *least = Some(least.map_or(entry, |noted| noted.min(entry)));
            drop(least);
            self.scheduled_wake.notify_one();
        }
        if deliveries {
            self.deliveries_wake.notify_one();
        }
    }
}
