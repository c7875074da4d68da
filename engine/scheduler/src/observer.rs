//! Turns commits into signals for the tasks that wait for work. Runs on the store's committer thread: takes short locks, wakes tasks,
//! and never blocks or commits. Memory is bounded by the number of connectors and their windows, and by [`NOTED`].

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Mutex, RwLock};
use pombo_domain::model::connector::PaceState;
use pombo_domain::ports::{CommitObserver, DueDelivery, DueEventDelivery, Effect, ScheduledEntry};
use pombo_domain::{ConnectorIndex, MessageKey, TenantIndex, Timestamp};
use tokio::sync::Notify;

use crate::account::AccountHealth;
use crate::account::queue::AccountQueue;
use crate::automations::signals::WakeSignals;
use crate::campaigns::signals::CampaignSignals;
use crate::hearing::signals::HearingSignals;
use crate::rules::limits::LaneLimits;
use crate::rules::window::Window;
use crate::template_signals::TemplateSignals;

/// Due deliveries noted between two looks of the webhooks' task.
const NOTED: usize = 16_384;

/// The deliveries that joined the due queues since the webhooks' task last asked.
#[derive(Default)]
pub(crate) struct NotedDeliveries {
    pub(crate) entries: Vec<DueDelivery>,
    /// Those of events.
    pub(crate) events: Vec<DueEventDelivery>,
    /// There were too many: the due queues must be read from their beginnings.
    pub(crate) lost: bool,
}

/// What a lane shares with the observer and the handle.
pub(crate) struct LaneShared {
    pub(crate) connector: ConnectorIndex,
    pub(crate) window: Mutex<Window>,
    pub(crate) wake: Notify,
    /// The connector was changed: read it again.
    pub(crate) changed: AtomicBool,
    /// The connection may work again: try it.
    pub(crate) probe: AtomicBool,
    pub(crate) pace: Mutex<PaceState>,
    pub(crate) account_health: Arc<AccountHealth>,
    /// What is counted of what the channel demands.
    pub(crate) limits: Mutex<LaneLimits>,
    /// Messages with the connector of which the channel may have told already that they could not be delivered: their receipts say. Noted
    /// and taken out within the account's turn; no more than there are messages with the connector.
    pub(crate) failed_early: Mutex<HashSet<MessageKey>>,
    pub(crate) in_flight: std::sync::atomic::AtomicUsize,
}

impl LaneShared {
    pub(crate) fn new(
        connector: ConnectorIndex,
        window: usize,
        pace: PaceState,
        account_health: Arc<AccountHealth>,
    ) -> Self {
        Self {
            connector,
            window: Mutex::new(Window::new(window)),
            wake: Notify::new(),
            changed: AtomicBool::new(false),
            probe: AtomicBool::new(false),
            pace: Mutex::new(pace),
            account_health,
            limits: Mutex::default(),
            failed_early: Mutex::default(),
            in_flight: std::sync::atomic::AtomicUsize::new(0),
        }
    }
}

/// What the tasks are to look at, and how they are woken.
#[derive(Default)]
pub(crate) struct WorkSignals {
    pub(crate) lanes: RwLock<HashMap<ConnectorIndex, Arc<LaneShared>>>,
    /// Connectors that the supervisor must look at: new, changed, or with work but no lane.
    pub(crate) connectors: Mutex<BTreeSet<ConnectorIndex>>,
    pub(crate) connectors_wake: Notify,
    /// Work for the account monitor, which goes on while the other tasks drain.
    pub(crate) accounts: AccountQueue,
    /// Signals for the tasks of automations and rollouts.
    pub(crate) automations: WakeSignals,
    /// Signals for the task of campaigns.
    pub(crate) campaigns: CampaignSignals,
    /// Signals for the task that takes over templates.
    pub(crate) templates: TemplateSignals,
    /// Signals for the task that notices deaf connectors.
    pub(crate) hearing: HearingSignals,
    /// The earliest entry that joined the scheduled queue since it was last swept.
    pub(crate) scheduled: Mutex<Option<ScheduledEntry>>,
    pub(crate) scheduled_wake: Notify,
    /// Messages that a connector put off to an instant are to be released before it. Stored as well, so that a restart forgets none.
    releases: Mutex<BTreeSet<(ConnectorIndex, Timestamp)>>,
    deliveries: Mutex<NotedDeliveries>,
    pub(crate) deliveries_wake: Notify,
    /// Further observers: the store itself tells only one.
    pub(crate) further: RwLock<Vec<Arc<dyn CommitObserver>>>,
    /// Set once, when nothing new is to be begun.
    pub(crate) draining: AtomicBool,
}

impl WorkSignals {
    pub(crate) fn lane(&self, connector: ConnectorIndex) -> Option<Arc<LaneShared>> {
        self.lanes.read().get(&connector).cloned()
    }

    pub(crate) fn mark_dirty(&self, connector: ConnectorIndex) {
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
        self.automations.drain();
        self.campaigns.wake.notify_one();
        self.templates.wake.notify_one();
        self.hearing.wake.notify_one();
    }

    /// Messages that a connector put off to these instants are to be released now.
    pub(crate) fn note_releases(&self, connector: ConnectorIndex, instants: &[Timestamp]) {
        if instants.is_empty() {
            return;
        }
        self.releases.lock().extend(instants.iter().map(|at| (connector, *at)));
        self.scheduled_wake.notify_one();
    }

    /// The next connector and instant whose messages are to be released.
    pub(crate) fn take_release(&self) -> Option<(ConnectorIndex, Timestamp)> {
        self.releases.lock().pop_first()
    }

    /// The deliveries that joined the due queues since the last call.
    pub(crate) fn take_deliveries(&self) -> NotedDeliveries {
        std::mem::take(&mut *self.deliveries.lock())
    }

    /// Notes a run of effects that begins with a due delivery. Returns how many it took.
    fn note_deliveries(&self, effects: &[Effect]) -> usize {
        let mut noted = self.deliveries.lock();
        let mut taken = 0;
        for effect in effects {
            let has_room = noted.entries.len() + noted.events.len() < NOTED;
            match effect {
                Effect::DeliveryDue(due) if has_room => noted.entries.push(*due),
                Effect::EventDeliveryDue(due) if has_room => noted.events.push(*due),
                Effect::DeliveryDue(_) | Effect::EventDeliveryDue(_) => noted.lost = true,
                _ => break,
            }
            taken += 1;
        }
        taken
    }

    /// Notes a run of effects that begins with an entry of `connector`. Returns how many it took.
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
            None if joined => self.mark_dirty(connector),
            None => {}
        }
        taken
    }
}

impl CommitObserver for WorkSignals {
    fn committed(&self, effects: &[Effect]) {
        for further in self.further.read().iter() {
            further.committed(effects);
        }
        self.automations.note(effects);
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
                Effect::DeliveryDue(_) | Effect::EventDeliveryDue(_) => {
                    deliveries = true;
                    self.note_deliveries(rest)
                }
                Effect::Connector(_, connector) => {
                    if let Some(lane) = self.lane(*connector) {
                        lane.changed.store(true, Ordering::Release);
                        lane.wake.notify_one();
                    }
                    self.mark_dirty(*connector);
                    self.accounts.assess(*connector);
                    self.campaigns.note_all();
                    1
                }
                // Noted with the automations' signals, or no work for the scheduler.
                Effect::Work(_)
                | Effect::Timer(_)
                | Effect::Automation(..)
                | Effect::Plugin(_)
                | Effect::Event(..)
                | Effect::Message(_)
                | Effect::Settings(_) => 1,
                Effect::Campaign(tenant, number) => {
                    self.campaigns.note(*tenant, *number);
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

    fn follows(&self, tenant: TenantIndex) -> bool {
        self.further.read().iter().any(|further| further.follows(tenant))
    }
}

#[cfg(test)]
mod tests {
    use pombo_domain::model::delivery::DeliveryKey;

    use super::*;

    #[test]
    fn due_deliveries_are_noted_until_there_are_too_many() {
        let signals = WorkSignals::default();
        let due = |serial| {
            let message = MessageKey { tenant: TenantIndex(1), serial };
            DueDelivery { due_at: Timestamp(0), key: DeliveryKey { message, revision: 0 } }
        };
        signals.committed(&[Effect::DeliveryDue(due(1)), Effect::Plugin("x".to_owned()), Effect::DeliveryDue(due(2))]);
        let noted = signals.take_deliveries();
        assert_eq!((noted.entries, noted.lost), (vec![due(1), due(2)], false));
        let many: Vec<_> = (0..=NOTED as u64).map(|serial| Effect::DeliveryDue(due(serial))).collect();
        signals.committed(&many);
        let noted = signals.take_deliveries();
        assert_eq!((noted.entries.len(), noted.lost), (NOTED, true));
        assert!(!signals.take_deliveries().lost);
    }
}
