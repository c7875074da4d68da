//! Asks connectors for their templates where their channels told that what one consists of has changed. One task for all connectors.
//!
//! A connector is asked by one synchronisation at a time, and whatever is told meanwhile leads to one more, however often it is told; only
//! [`AT_ONCE`] connectors are asked at the same time. A failure is tried again after growing pauses, up to [`TRIES`] times. What is still
//! to be asked is kept in memory alone: after a restart the texts are as they were stored until the channel tells again or a person
//! synchronises.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use pombo_domain::backoff::{Backoff, Jitter};
use pombo_domain::commands::templates::{Asking, Synced, synchronise};
use pombo_domain::model::ConnectorStatus;
use pombo_domain::model::template::FEATURE;
use pombo_domain::{ConnectorIndex, Error, Timestamp};
use tokio::task::{Id, JoinError, JoinSet};

use crate::context::Context;
use crate::due;

/// Connectors that are asked at the same time, at most.
const AT_ONCE: usize = 4;
/// How often a connector is asked, at most, until it answers.
const TRIES: u32 = 8;
/// Pauses after a connector did not answer.
const PAUSES: Backoff = Backoff { base_ms: 5_000, max_ms: 600_000, jitter: Jitter::Equal };

/// A connector that is to be asked.
#[derive(Clone, Copy)]
struct Waiting {
    at: Timestamp,
    /// How often it was asked in vain.
    failures: u32,
}

/// A synchronisation that runs; `None`: the connector keeps no templates any more.
type Running = JoinSet<Result<Option<Synced>, Error>>;

struct Keeper {
    context: Arc<Context>,
    waiting: BTreeMap<ConnectorIndex, Waiting>,
    running: Running,
    /// Whom each of them asks, and how often that was done in vain before.
    asked: HashMap<Id, (ConnectorIndex, u32)>,
}

/// Runs until draining.
pub(crate) async fn run(context: Arc<Context>) {
    let (waiting, running, asked) = (BTreeMap::new(), JoinSet::new(), HashMap::new());
    let mut keeper = Keeper { context: context.clone(), waiting, running, asked };
    // What is cut short by the end of the process is as if it had failed.
    while !context.signals.is_draining() {
        let now = context.ports.clock.now();
        for connector in context.signals.templates.take() {
            keeper.waiting.insert(connector, Waiting { at: now, failures: 0 });
        }
        let next = keeper.start(now);
        tokio::select! {
            () = context.signals.templates.wake.notified() => {}
            Some(ended) = keeper.running.join_next_with_id() => keeper.ended(ended),
            () = due::sleep_until(&context, next) => {}
        }
    }
}

impl Keeper {
    /// Asks those that are due, as far as there is room, and returns when the next one is.
    fn start(&mut self, now: Timestamp) -> Option<Timestamp> {
        let busy: BTreeSet<ConnectorIndex> = self.asked.values().map(|(connector, _)| *connector).collect();
        // The one that is asked now is asked again when that has ended.
        let free = self.waiting.iter().filter(|(connector, _)| !busy.contains(*connector));
        let mut free: Vec<(ConnectorIndex, Waiting)> =
            free.map(|(connector, waiting)| (*connector, *waiting)).collect();
        free.sort_by_key(|(_, waiting)| waiting.at);
        for (connector, waiting) in free {
            if self.running.len() >= AT_ONCE {
                return None;
            }
            if waiting.at > now {
                return Some(waiting.at);
            }
            self.waiting.remove(&connector);
            let handle = self.running.spawn(ask(self.context.clone(), connector));
            self.asked.insert(handle.id(), (connector, waiting.failures));
        }
        None
    }

    fn ended(&mut self, ended: Result<(Id, Result<Option<Synced>, Error>), JoinError>) {
        let (id, why) = match ended {
            Ok((id, Ok(synced))) => {
                if let (Some((connector, _)), Some(Synced { total, added, changed, removed })) =
                    (self.asked.remove(&id), synced)
                {
                    tracing::info!(connector = connector.0, total, added, changed, removed, "templates taken over");
                }
                return;
            }
            Ok((id, Err(error))) => (id, error.to_string()),
            Err(error) => (error.id(), error.to_string()),
        };
        let Some((connector, failures)) = self.asked.remove(&id) else { return };
        let failures = failures + 1;
        let connector_index = connector.0;
        if failures >= TRIES {
            tracing::warn!(connector = connector_index, why, "templates not taken over; a person may synchronise them");
            return;
        }
        tracing::debug!(connector = connector_index, failures, why, "templates not taken over; trying again");
        let Context { ports, .. } = &*self.context;
        let at = ports.clock.now().plus_ms(PAUSES.delay_ms(failures, ports.entropy.u64()));
        // What was told meanwhile is asked for at once.
        self.waiting.entry(connector).or_insert(Waiting { at, failures });
    }
}

/// Takes over the templates of one connector.
async fn ask(context: Arc<Context>, index: ConnectorIndex) -> Result<Option<Synced>, Error> {
    let ports = &context.ports;
    let connector = ports.store.connector(index)?.filter(|found| found.status != ConnectorStatus::Deleted);
    let Some(connector) = connector else { return Ok(None) };
    if !ports.connectors.plugin(&connector.plugin).is_some_and(|plugin| plugin.offers(FEATURE)) {
        return Ok(None);
    }
    let asking =
        Asking { store: &*ports.store, connectors: &*ports.connectors, entropy: &*ports.entropy, clock: &*ports.clock };
    synchronise(asking, &connector).await.map(Some)
}
