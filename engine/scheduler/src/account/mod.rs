//! The health of the accounts behind the connectors, as the lanes, the intake and the monitor share it.
//!
//! - [`AccountHealth`]: one connector's health counts in memory, and the turn in which they (and its receipts) are changed; also how far
//!   the channel lets the account start conversations, and those that it started since ([`Starting`]).
//! - [`marks`]: what signals do to the counts, with the events that follow. [`monitor`]: the task that pauses and
//!   resumes connectors and stores changes of sessions; [`queue`]: what waits for it. [`read_told`]: tells a channel that is connected
//!   again what was read meanwhile.
//!
//! Invariant: health counts and receipts of a connector are read, changed and committed within its turn, and so are the outcomes of its
//! messages: nobody's count is lost, what is in memory is what was stored last, and no failure is told between an outcome and its commit. A task that needs a connector's write lock takes it before the
//! turn, never within.

pub(crate) mod marks;
pub(crate) mod monitor;
pub(crate) mod queue;
pub(crate) mod read_told;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use pombo_domain::model::connector::Connector;
use pombo_domain::model::health::HealthState;
use pombo_domain::model::{Outreach, OutreachRecord, OutreachWait};
use pombo_domain::ports::Store;
use pombo_domain::{ConnectorIndex, Timestamp};

use crate::options::Ports;
use crate::rules::health::{self, HOUR_MS, HealthLevel, Judge};
use crate::rules::outreach::Started;

/// Conversations remembered for an hour, so that each counts once as a reply; past this they count again.
const CONVERSATIONS: usize = 8_192;

/// The health of one connector's account.
pub(crate) struct AccountHealth {
    /// The turn, see the module.
    pub(crate) turn: tokio::sync::Mutex<()>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    health: HealthState,
    /// The hour of `heard`.
    hour: i64,
    heard: HashSet<u64>,
    outreach: Outreach,
    started: Started,
    /// Somebody may wait for a place among the conversations of this cycle.
    waits: bool,
    /// Since [`AccountHealth::take_freed`] a place was given back while somebody may wait for one.
    freed: bool,
}

impl Known {
    fn now(&self) -> Outreach {
        self.outreach.with_started(self.started.count())
    }

    fn end(&mut self, person: u64, started: bool) {
        self.freed |= self.started.end(person, started) && self.waits;
    }
}

/// A message to a stranger that was claimed while the channel counts new conversations: it has a place among them. Dropped before
/// [`Self::end`], it gives the place back.
pub(crate) struct Starting {
    account: Arc<AccountHealth>,
    person: u64,
    ended: bool,
}

impl Starting {
    /// The attempt ended. With `started`, it reached the channel, or may have.
    pub(crate) fn end(mut self, started: bool) {
        self.ended = true;
        self.account.known.lock().end(self.person, started);
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        if !self.ended {
            self.account.known.lock().end(self.person, false);
        }
    }
}

impl AccountHealth {
    /// The counts that were stored last.
    pub(crate) fn health(&self) -> HealthState {
        self.known.lock().health.clone()
    }

    /// How far the channel lets the account start conversations, as it told it last.
    pub(crate) fn outreach(&self) -> Outreach {
        self.known.lock().outreach
    }

    /// The same with the conversations that were started since, or are about to be.
    pub(crate) fn outreach_now(&self) -> Outreach {
        self.known.lock().now()
    }

    /// The end of the cycle, if a place was given back since the last call while somebody may have waited for one, and one is left at `now`:
    /// of those who were put off until then, as many may go as there are places.
    pub(crate) fn take_freed(&self, now: Timestamp) -> Option<Timestamp> {
        let mut known = self.known.lock();
        if !std::mem::take(&mut known.freed) {
            return None;
        }
        let outreach = known.now().at(now);
        outreach.cycle_end.filter(|_| outreach.left().is_some_and(|left| left > 0))
    }

    /// How many conversations were started since the channel told its count, or are about to be.
    pub(crate) fn started(&self) -> u32 {
        self.known.lock().started.count()
    }

    /// The channel told it. To be called within the turn.
    pub(crate) fn publish_outreach(&self, outreach: Outreach) {
        let mut known = self.known.lock();
        if known.outreach.cycle_end != outreach.cycle_end {
            known.waits = false;
        }
        known.outreach = outreach;
        known.started.told();
    }

    /// Whether a message may go to a stranger at `now`. Where the channel counts, the message takes a place until it has ended; a person
    /// who has one already takes no second.
    pub(crate) fn start_conversation(
        self: &Arc<Self>,
        person: u64,
        now: Timestamp,
    ) -> Result<Option<Starting>, OutreachWait> {
        let mut known = self.known.lock();
        let outreach = known.now();
        match outreach.wait(now) {
            Some(OutreachWait::Quota(_)) if known.started.has(person) => {}
            Some(wait) => {
                known.waits |= matches!(wait, OutreachWait::Quota(_));
                return Err(wait);
            }
            None => {}
        }
        if outreach.at(now).quota.is_none() {
            return Ok(None);
        }
        known.started.begin(person);
        Ok(Some(Starting { account: self.clone(), person, ended: false }))
    }

    /// Messages sent before this no longer count.
    pub(crate) fn counts_from(&self) -> Timestamp {
        self.known.lock().health.since
    }

    /// `health` was stored. To be called within the turn.
    pub(crate) fn publish(&self, health: HealthState) {
        self.known.lock().health = health;
    }

    /// Score and level now.
    pub(crate) fn assess(&self, judge: &Judge, now: Timestamp) -> (u8, HealthLevel) {
        if judge.rules.is_none() {
            return (100, HealthLevel::Good);
        }
        health::assess(&self.known.lock().health, judge, now)
    }

    /// Whether this conversation was heard in this hour.
    pub(crate) fn was_heard(&self, conversation: u64, now: Timestamp) -> bool {
        let known = self.known.lock();
        known.hour == now.0.div_euclid(HOUR_MS) && known.heard.contains(&conversation)
    }

    /// These conversations were heard.
    pub(crate) fn heard(&self, conversations: impl Iterator<Item = u64>, now: Timestamp) {
        let mut known = self.known.lock();
        let hour = now.0.div_euclid(HOUR_MS);
        if known.hour != hour {
            known.hour = hour;
            known.heard.clear();
        }
        for conversation in conversations {
            if known.heard.len() < CONVERSATIONS {
                known.heard.insert(conversation);
            }
        }
    }
}

/// The health of all accounts. Bounded by the number of connectors.
#[derive(Default)]
pub(crate) struct Accounts(RwLock<HashMap<ConnectorIndex, Arc<AccountHealth>>>);

impl Accounts {
    /// The health of one account, read from the store when it is first asked for.
    pub(crate) fn of(&self, store: &dyn Store, connector: ConnectorIndex) -> Arc<AccountHealth> {
        if let Some(found) = self.0.read().get(&connector) {
            return found.clone();
        }
        let mut all = self.0.write();
        let load = || {
            let health = store.health_state(connector).unwrap_or_else(|error| {
                tracing::error!(connector = connector.0, %error, "health not read; counting from nothing");
                HealthState::default()
            });
            let record = store.outreach(connector).unwrap_or_else(|error| {
                tracing::error!(connector = connector.0, %error, "what the channel told of outreach was not read");
                OutreachRecord::default()
            });
            let started = Started::stored(record.started);
            // Who waited before the start is not known, nor whether a place was given back just before the end.
            let may_wait = record.told.quota.is_some();
            let (waits, freed) = (may_wait, may_wait);
            let known = Known { health, outreach: record.told, started, waits, freed, ..Known::default() };
            let known = Mutex::new(known);
            Arc::new(AccountHealth { turn: tokio::sync::Mutex::new(()), known })
        };
        all.entry(connector).or_insert_with(load).clone()
    }
}

/// The rules by which the health of `connector` is judged.
pub(crate) fn judge_of(ports: &Ports, connector: &Connector) -> Judge {
    let rules = connector.pace.health.clone();
    let inbound = || ports.connectors.plugin(&connector.plugin).is_some_and(|plugin| plugin.offers("inbound"));
    Judge { two_way: rules.is_some() && inbound(), rules }
}
