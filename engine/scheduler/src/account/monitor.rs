//! The account monitor: the task that stores what concerns an account as a whole. That is a lasting change of its session, another
//! account behind the connector, the pause that poor health calls for, and the new observation after a person resumed the connector.
//! One task for all connectors; the others leave work in its queue, which never blocks them.
//!
//! It must not know what a message is. When the store refuses a commit, it is tried again, in order, until the store takes it.

use std::sync::Arc;

use pombo_domain::model::Outreach;
use pombo_domain::model::connector::{Connector, ConnectorStatus, PaceState};
use pombo_domain::model::event::EventBody;
use pombo_domain::model::health::{HealthChange, HealthState};
use pombo_domain::ports::{Batch, Change, RuleChange, StoreResult};
use pombo_domain::{ConnectorIndex, Timestamp};

use super::judge_of;
use super::marks::{self, EventSource, TOLD_GOOD, TOLD_PAUSED};
use super::queue::Lasting;
use crate::context::Context;
use crate::due;
use crate::metrics::Metrics;
use crate::rules::health::{self, HealthLevel};

/// Notes the state of all connectors: sessions may have opened, and pauses been lifted, while nobody was listening.
pub(crate) fn look_at_all(context: &Context) -> StoreResult<()> {
    let connectors = &context.ports.connectors;
    for connector in context.ports.store.connectors(None)? {
        let index = connector.index;
        context.signals.accounts.look(index, || (connectors.session(index), connectors.account(index)));
        context.signals.accounts.assess(index);
        context.signals.hearing.note(index);
        if let Some(lane) = context.signals.lane(index) {
            lane.wake.notify_one();
        }
    }
    Ok(())
}

/// Runs until the queue is closed and empty.
pub(crate) async fn run(context: Arc<Context>) {
    let mut monitor = Monitor { context: context.clone() };
    due::run(&context, &context.signals.accounts.wake, &mut monitor).await;
}

struct Monitor {
    context: Arc<Context>,
}

impl due::Work for Monitor {
    const FAILED: &'static str = "changes of accounts not stored";
    /// Lanes and sessions wake it, whether the store works or not.
    const WAKE_ENDS_PAUSE: bool = false;

    fn is_over(&self, context: &Context) -> bool {
        context.signals.accounts.is_over()
    }

    /// Stores everything that waits.
    async fn look(&mut self) -> StoreResult<Option<Timestamp>> {
        let (context, queue) = (&*self.context, &self.context.signals.accounts);
        loop {
            if let Some((number, connector, lasting)) = queue.first_session() {
                store_session(context, connector, &lasting).await?;
                queue.session_done(number);
            } else if let Some(connector) = queue.first_to_assess() {
                if let Err(error) = assess(context, connector).await {
                    queue.assess_again(connector);
                    return Err(error);
                }
            } else {
                return Ok(None);
            }
        }
    }
}

fn source<'a>(context: &'a Context, connector: &Connector) -> EventSource<'a> {
    let (tenant, index) = (connector.tenant, connector.index);
    EventSource { tenant, connector: index, entropy: &*context.ports.entropy, now: context.ports.clock.now() }
}

/// Stores a session's change as an event. Another account starts its warm-up and its health from the beginning.
async fn store_session(context: &Context, index: ConnectorIndex, lasting: &Lasting) -> StoreResult<()> {
    let store = &context.ports.store;
    let Some(connector) = store.connector(index)?.filter(|found| found.status != ConnectorStatus::Deleted) else {
        return Ok(());
    };
    let plugin = context.ports.connectors.plugin(&connector.plugin);
    if !plugin.is_some_and(|plugin| plugin.needs_session) {
        // The plugin connects by itself whenever it has something to send; that is not a session that somebody opens or loses.
        return Ok(());
    }
    // Another account has not been in use as long: then the connector changes, which nobody else does meanwhile.
    let write = match connector.pace.in_use_since {
        Some(_) => Some(context.ports.connector_writes.of(index).await),
        None => None,
    };
    let connector = match &write {
        Some(_) => store.connector(index)?.filter(|found| found.status != ConnectorStatus::Deleted),
        None => Some(connector),
    };
    let Some(connector) = connector else { return Ok(()) };
    let account_health = context.accounts.of(&**store, index);
    let _turn = account_health.turn.lock().await;
    let source = source(context, &connector);
    let before = account_health.health();
    if lasting.never_stood && before.account.is_none() {
        return Ok(());
    }
    let mut health = before.clone();
    let mut changes = Vec::new();
    let mut another = false;
    let mut freed = Vec::new();
    if let Some(account) = &lasting.account {
        let same = |address: &String| *address == account.address || account.aliases.contains(address);
        if health.account.as_ref().is_some_and(|known| !same(known)) {
            another = true;
            health::restart(&mut health, source.now);
            if before.told == TOLD_PAUSED {
                // The person who resumes it decides.
                health.told = TOLD_PAUSED;
            } else if before.told != TOLD_GOOD {
                let reason = "another account was paired; its health is counted from now on".to_owned();
                changes.push(source.health(HealthChange::Restored, 100, reason));
            }
            let mut pace = match context.signals.lane(index) {
                Some(lane) => lane.pace.lock().clone(),
                None => store.pace_state(index)?,
            };
            restart_warm_up(&mut pace);
            changes.push(Change::Pace(index, pace));
            if write.is_some() {
                let mut changed = Connector::clone(&connector);
                changed.pace.in_use_since = None;
                changed.updated_at = source.now;
                changes.push(Change::Connector(changed));
            }
            let told = Outreach::default();
            freed = account_health.outreach().freed_by(told, source.now);
            let release = freed.clone();
            changes.push(Change::Rule(RuleChange::Outreach { connector: index, told, release }));
        }
        health.account = Some(account.address.clone());
    }
    if health != before {
        changes.push(Change::Health(index, health.clone()));
    }
    let account = lasting.account.as_ref().map(|account| account.address.clone()).or_else(|| health.account.clone());
    let body = EventBody::Session { state: lasting.word.into(), account, reason: lasting.reason.clone() };
    changes.push(source.event(body, None));
    store.commit(Batch::of(changes)).await?;
    account_health.publish(health);
    if another {
        account_health.publish_outreach(Outreach::default());
        context.signals.note_releases(index, &freed);
        context.hearings.of(index).lock().restart();
        tracing::info!(connector = %connector.id, "another account was paired; its warm-up and its health start again");
        if let Some(lane) = context.signals.lane(index) {
            restart_warm_up(&mut lane.pace.lock());
            lane.wake.notify_one();
        }
    }
    Ok(())
}

/// For another account: day 1 of its warm-up is the day of its first message.
fn restart_warm_up(pace: &mut PaceState) {
    pace.first_day = None;
    pace.sent_today = 0;
}

/// Pauses a connector whose health calls for it, and starts a new observation where a person resumed one.
async fn assess(context: &Context, index: ConnectorIndex) -> StoreResult<()> {
    let store = &context.ports.store;
    let worth_it = |connector: &Connector| {
        connector.status == ConnectorStatus::Active
            && (connector.pace.health.is_some() || context.accounts.of(&**store, index).health().told != TOLD_GOOD)
    };
    if !store.connector(index)?.is_some_and(|connector| worth_it(&connector)) {
        return Ok(());
    }
    // Nobody changes the connector between its read here and its write.
    let _write = context.ports.connector_writes.of(index).await;
    let account_health = context.accounts.of(&**store, index);
    let _turn = account_health.turn.lock().await;
    let Some(connector) = store.connector(index)?.filter(|connector| worth_it(connector)) else { return Ok(()) };
    let judge = judge_of(&context.ports, &connector);
    let source = source(context, &connector);
    let before = account_health.health();
    let (health, changes) = if before.told == TOLD_PAUSED {
        let mut health = before.clone();
        health::restart(&mut health, source.now);
        let reason = "the connector was resumed; its health is counted from now on".to_owned();
        let (score, _) = health::assess(&health, &judge, source.now);
        (health.clone(), vec![Change::Health(index, health), source.health(HealthChange::Restored, score, reason)])
    } else if let (score, HealthLevel::Paused) = health::assess(&before, &judge, source.now) {
        let health = HealthState { told: TOLD_PAUSED, ..before.clone() };
        let rules = judge.rules.clone().unwrap_or_default();
        let why = health::describe(score, &health::counts(&before, &rules, source.now), &judge);
        let mut paused = Connector::clone(&connector);
        paused.status = ConnectorStatus::Paused;
        paused.status_reason = Some(format!("paused by its health: {why}; see to the cause, then resume it"));
        paused.updated_at = source.now;
        Metrics::add(&context.metrics.health_pauses, 1);
        tracing::warn!(connector = %connector.id, score, "paused by its health");
        let told = source.health(HealthChange::Paused, score, format!("the connector is paused: {why}"));
        (health.clone(), vec![Change::Connector(paused), Change::Health(index, health), told])
    } else {
        let marked = marks::mark(source, &connector, &judge, &before, &[]);
        (marked.health, marked.changes)
    };
    if !changes.is_empty() {
        store.commit(Batch::of(changes)).await?;
        account_health.publish(health);
    }
    if let Some(lane) = context.signals.lane(index) {
        lane.wake.notify_one();
    }
    Ok(())
}
