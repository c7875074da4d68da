//! What signals do to an account's counts, and the events that follow in the same batch. Pure, except for the ids of events.

use pombo_domain::model::connector::Connector;
use pombo_domain::model::event::{EventBody, NewEvent};
use pombo_domain::model::health::{HealthChange, HealthSignal, HealthState};
use pombo_domain::model::{ConnectorStatus, connector::HealthRules};
use pombo_domain::ports::{AppendEvent, Change, Entropy};
use pombo_domain::{ConnectorIndex, TenantIndex, Timestamp};

use crate::rules::health::{self, HealthLevel, Judge};

/// Values of [`HealthState::told`]: the account is good, slowed, paused.
pub(crate) const TOLD_GOOD: u8 = 0;
pub(crate) const TOLD_SLOWED: u8 = 1;
pub(crate) const TOLD_PAUSED: u8 = 2;

/// Where an event comes from, and in whose log it goes.
#[derive(Clone, Copy)]
pub(crate) struct EventSource<'a> {
    pub(crate) tenant: TenantIndex,
    pub(crate) connector: ConnectorIndex,
    pub(crate) entropy: &'a dyn Entropy,
    pub(crate) now: Timestamp,
}

impl EventSource<'_> {
    /// An event to append; one with a mark is appended only once.
    pub(crate) fn event(&self, body: EventBody, once: Option<[u8; 16]>) -> Change {
        let event = NewEvent { id: self.entropy.uuid(), connector: self.connector, at: self.now, body };
        Change::Event(AppendEvent { tenant: self.tenant, event, once })
    }

    /// An event about the account's health.
    pub(crate) fn health(&self, kind: HealthChange, score: u8, reason: String) -> Change {
        self.event(EventBody::Health { kind: kind.into(), score, reason }, None)
    }
}

/// What follows from signals.
pub(crate) struct Marked {
    pub(crate) health: HealthState,
    /// The counts, and an event where the level changed.
    pub(crate) changes: Vec<Change>,
    pub(crate) score: u8,
    /// The monitor must pause the connector.
    pub(crate) pause: bool,
}

/// Counts `signals` on top of `before`. Without rules only what the channel itself held against the account is kept, so that
/// rules which are set later know of it.
pub(crate) fn mark(
    source: EventSource<'_>,
    connector: &Connector,
    judge: &Judge,
    before: &HealthState,
    signals: &[HealthSignal],
) -> Marked {
    let mut after = before.clone();
    let default = HealthRules::default();
    let rules = judge.rules.as_ref();
    for signal in signals {
        let warning = matches!(signal, HealthSignal::Blocked | HealthSignal::Restricted);
        if rules.is_some() || warning {
            health::record(&mut after, rules.unwrap_or(&default), *signal, source.now);
        }
    }
    let mut changes = Vec::new();
    let (score, level) = health::assess(&after, judge, source.now);
    let told = after.told;
    let describe = |state: &HealthState| {
        let rules = rules.unwrap_or(&default);
        health::describe(score, &health::counts(state, rules, source.now), judge)
    };
    match (told, level) {
        (TOLD_GOOD, HealthLevel::Slowed) => {
            after.told = TOLD_SLOWED;
            let reason = format!("pauses are longer and the day's cap is lower: {}", describe(&after));
            changes.push(source.health(HealthChange::Slowed, score, reason));
        }
        (TOLD_SLOWED, HealthLevel::Good) => {
            after.told = TOLD_GOOD;
            changes.push(source.health(
                HealthChange::Restored,
                score,
                format!("the pace is as it is set again: {}", describe(&after)),
            ));
        }
        _ => {}
    }
    if after != *before {
        changes.insert(0, Change::Health(source.connector, after.clone()));
    }
    let pause = told != TOLD_PAUSED && level == HealthLevel::Paused && connector.status == ConnectorStatus::Active;
    Marked { health: after, changes, score, pause }
}
