//! The task that stores what concerns an account as a whole: lasting changes of its session, another number behind it, the
//! pause that a bad health asks for, and the new observation after a person resumed it. One task for all connectors; others
//! leave notes for it, which never blocks them.
//!
//! It must not know what a message is. A store that refuses is asked again, in order, until it takes; notes are bounded.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use pombo_domain::ConnectorIndex;
use pombo_domain::model::connector::{Connector, ConnectorStatus, PaceState};
use pombo_domain::model::event::EventBody;
use pombo_domain::model::health::HealthState;
use pombo_domain::ports::{Account, Batch, Change, SessionState, StoreResult};
use tokio::sync::Notify;

use super::judge_of;
use super::marks::{self, Scene, TOLD_GOOD, TOLD_PAUSED};
use crate::context::Context;
use crate::metrics::Metrics;
use crate::rules::draw::Draw;
use crate::rules::health::{self, HealthLevel};

/// Session changes that wait for a store that refuses; past it the oldest is dropped, and said so.
const WAITING: usize = 4_096;

/// A lasting state of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Lasting {
    /// `connected`, `disconnected`, `logged-out`, `unpaired`.
    word: &'static str,
    account: Option<Account>,
    reason: Option<String>,
    /// It was never seen connected: only news where the connector had an account once.
    never_stood: bool,
}

struct Last {
    word: &'static str,
    address: Option<String>,
    stood: bool,
}

#[derive(Default)]
struct Waiting {
    next: u64,
    sessions: VecDeque<(u64, ConnectorIndex, Lasting)>,
    /// What was noted last of each connector.
    last: HashMap<ConnectorIndex, Last>,
    assess: BTreeSet<ConnectorIndex>,
    /// Some were dropped since all were stored last.
    overflowed: bool,
}

/// What others leave for the task.
#[derive(Default)]
pub(crate) struct Desk {
    waiting: Mutex<Waiting>,
    wake: Notify,
    /// End once everything is stored.
    closing: AtomicBool,
}

impl Desk {
    /// A session's state changed.
    pub(crate) fn session(&self, connector: ConnectorIndex, state: SessionState, account: Option<Account>) {
        let mut waiting = self.waiting.lock();
        Self::note(&mut waiting, connector, state, account);
        drop(waiting);
        self.wake.notify_one();
    }

    /// Notes how the session stands by `read`, which runs while no change can be noted: a change after it comes after it.
    fn look(&self, connector: ConnectorIndex, read: impl FnOnce() -> (SessionState, Option<Account>)) {
        let mut waiting = self.waiting.lock();
        let (state, account) = read();
        Self::note(&mut waiting, connector, state, account);
    }

    fn note(waiting: &mut Waiting, connector: ConnectorIndex, state: SessionState, account: Option<Account>) {
        let before = waiting.last.get(&connector);
        let (word, reason) = match state {
            SessionState::Connected => ("connected", None),
            SessionState::Disconnected(why) | SessionState::Failing(why) => {
                // Only the end of something that stood: a plugin that tries again and again says nothing new.
                if before.is_some_and(|last| last.word != "connected") {
                    return;
                }
                ("disconnected", Some(why))
            }
            SessionState::LoggedOut(why) => ("logged-out", Some(why)),
            SessionState::Unpaired(why) => ("unpaired", Some(why)),
            SessionState::Stopped
            | SessionState::Connecting
            | SessionState::QrCode(_)
            | SessionState::PairingCode(_) => return,
        };
        let address = account.as_ref().map(|account| account.address.clone());
        if before.is_some_and(|last| last.word == word && last.address == address) {
            return;
        }
        let never_stood = !before.is_some_and(|last| last.stood) && word != "connected";
        waiting.last.insert(connector, Last { word, address, stood: !never_stood });
        if waiting.sessions.len() >= WAITING {
            waiting.sessions.pop_front();
            if !std::mem::replace(&mut waiting.overflowed, true) {
                tracing::warn!(kept = WAITING, "the store refuses; the oldest changes of sessions are not told");
            }
        }
        let number = waiting.next;
        waiting.next += 1;
        waiting.sessions.push_back((number, connector, Lasting { word, account, reason, never_stood }));
    }

    /// The connector was changed, or its health asks for a pause.
    pub(crate) fn assess(&self, connector: ConnectorIndex) {
        self.waiting.lock().assess.insert(connector);
        self.wake.notify_one();
    }

    /// Ends the task once everything is stored.
    pub(crate) fn close(&self) {
        self.closing.store(true, Ordering::Release);
        self.wake.notify_one();
    }

    fn first_session(&self) -> Option<(u64, ConnectorIndex, Lasting)> {
        self.waiting.lock().sessions.front().cloned()
    }

    fn session_done(&self, number: u64) {
        let mut waiting = self.waiting.lock();
        if waiting.sessions.front().is_some_and(|(first, ..)| *first == number) {
            waiting.sessions.pop_front();
        }
        waiting.overflowed &= !waiting.sessions.is_empty();
    }

    fn first_to_assess(&self) -> Option<ConnectorIndex> {
        self.waiting.lock().assess.pop_first()
    }
}

/// Notes how all connectors stand: their sessions may have opened, and their pauses been lifted, while nobody was told.
pub(crate) fn look_at_all(context: &Context) -> StoreResult<()> {
    let connectors = &context.ports.connectors;
    for connector in context.ports.store.connectors(None)? {
        let index = connector.index;
        context.notes.desk.look(index, || (connectors.session(index), connectors.account(index)));
        context.notes.desk.assess(index);
        if let Some(lane) = context.notes.lane(index) {
            lane.wake.notify_one();
        }
    }
    Ok(())
}

/// Runs until the desk is closed and empty.
pub(crate) async fn run(context: Arc<Context>) {
    let clock = context.ports.clock.clone();
    let mut draw = Draw::new(context.ports.entropy.u64());
    let mut failures = 0;
    loop {
        match work(&context).await {
            Ok(()) => {
                failures = 0;
                if context.notes.desk.closing.load(Ordering::Acquire) {
                    return;
                }
                context.notes.desk.wake.notified().await;
            }
            Err(error) => {
                failures += 1;
                Metrics::add(&context.metrics.store_errors, 1);
                if failures == 1 {
                    tracing::error!(%error, "changes of accounts not stored; trying again");
                }
                clock
                    .sleep_until(
                        clock.now().plus_ms(context.options.store_retry.delay_ms(failures, draw.seed()).max(1)),
                    )
                    .await;
            }
        }
    }
}

/// Stores everything that was noted.
async fn work(context: &Context) -> StoreResult<()> {
    loop {
        if let Some((number, connector, lasting)) = context.notes.desk.first_session() {
            store_session(context, connector, &lasting).await?;
            context.notes.desk.session_done(number);
        } else if let Some(connector) = context.notes.desk.first_to_assess() {
            if let Err(error) = assess(context, connector).await {
                context.notes.desk.waiting.lock().assess.insert(connector);
                return Err(error);
            }
        } else {
            return Ok(());
        }
    }
}

fn scene<'a>(context: &'a Context, connector: &Connector) -> Scene<'a> {
    let (tenant, index) = (connector.tenant, connector.index);
    Scene { tenant, connector: index, entropy: &*context.ports.entropy, now: context.ports.clock.now() }
}

/// Appends a session's change; another number begins its warm-up and its health anew.
async fn store_session(context: &Context, index: ConnectorIndex, lasting: &Lasting) -> StoreResult<()> {
    let store = &context.ports.store;
    let Some(connector) = store.connector(index)?.filter(|found| found.status != ConnectorStatus::Deleted) else {
        return Ok(());
    };
    let plugin = context.ports.connectors.plugin(&connector.plugin);
    if !plugin.is_some_and(|plugin| plugin.needs_session) {
        // It connects for itself, whenever it has something to send: nobody opens or loses that.
        return Ok(());
    }
    let standing = context.standings.of(&**store, index);
    let _turn = standing.turn.lock().await;
    let scene = scene(context, &connector);
    let before = standing.health();
    if lasting.never_stood && before.account.is_none() {
        return Ok(());
    }
    let mut health = before.clone();
    let mut changes = Vec::new();
    let mut another = false;
    if let Some(account) = &lasting.account {
        let same = |address: &String| *address == account.address || account.aliases.contains(address);
        if health.account.as_ref().is_some_and(|known| !same(known)) {
            another = true;
            health::observe_anew(&mut health, scene.now);
            if before.told == TOLD_PAUSED {
                // Whoever resumes it decides.
                health.told = TOLD_PAUSED;
            } else if before.told != TOLD_GOOD {
                let reason = "another account was paired; its health is observed anew from here".to_owned();
                changes.push(scene.health("restored", 100, reason));
            }
            let mut pace = match context.notes.lane(index) {
                Some(lane) => lane.pace.lock().clone(),
                None => store.pace_state(index)?,
            };
            begin_anew(&mut pace);
            changes.push(Change::Pace(index, pace));
        }
        health.account = Some(account.address.clone());
    }
    if health != before {
        changes.push(Change::Health(index, health.clone()));
    }
    let account = lasting.account.as_ref().map(|account| account.address.clone()).or_else(|| health.account.clone());
    let body = EventBody::Session { state: lasting.word.to_owned(), account, reason: lasting.reason.clone() };
    changes.push(scene.event(body, None));
    store.commit(Batch::of(changes)).await?;
    standing.publish(health);
    if another {
        tracing::info!(connector = %connector.id, "another account was paired; its warm-up and its health begin anew");
        if let Some(lane) = context.notes.lane(index) {
            begin_anew(&mut lane.pace.lock());
            lane.wake.notify_one();
        }
    }
    Ok(())
}

/// Another number: day 1 of its warm-up is the day of its first message.
fn begin_anew(pace: &mut PaceState) {
    pace.first_day = None;
    pace.sent_today = 0;
}

/// Pauses a connector whose health asks for it, and begins a new observation where a person resumed one.
async fn assess(context: &Context, index: ConnectorIndex) -> StoreResult<()> {
    let store = &context.ports.store;
    let worth_it = |connector: &Connector| {
        connector.status == ConnectorStatus::Active
            && (connector.pace.health.is_some() || context.standings.of(&**store, index).health().told != TOLD_GOOD)
    };
    if !store.connector(index)?.is_some_and(|connector| worth_it(&connector)) {
        return Ok(());
    }
    // Nobody changes the connector between its read here and its write.
    let _write = context.ports.connector_writes.of(index).await;
    let standing = context.standings.of(&**store, index);
    let _turn = standing.turn.lock().await;
    let Some(connector) = store.connector(index)?.filter(|connector| worth_it(connector)) else { return Ok(()) };
    let judge = judge_of(&context.ports, &connector);
    let scene = scene(context, &connector);
    let before = standing.health();
    let (health, changes) = if before.told == TOLD_PAUSED {
        let mut health = before.clone();
        health::observe_anew(&mut health, scene.now);
        let reason = "the connector was resumed; its health is observed anew from here".to_owned();
        let (score, _) = health::assess(&health, &judge, scene.now);
        (health.clone(), vec![Change::Health(index, health), scene.health("restored", score, reason)])
    } else if let (score, HealthLevel::Paused) = health::assess(&before, &judge, scene.now) {
        let health = HealthState { told: TOLD_PAUSED, ..before.clone() };
        let rules = judge.rules.clone().unwrap_or_default();
        let why = health::describe(score, &health::counts(&before, &rules, scene.now), &judge);
        let mut paused = Connector::clone(&connector);
        paused.status = ConnectorStatus::Paused;
        paused.status_reason = Some(format!("paused by its health: {why}; see to the cause, then resume it"));
        paused.updated_at = scene.now;
        Metrics::add(&context.metrics.health_pauses, 1);
        tracing::warn!(connector = %connector.id, score, "paused by its health");
        let told = scene.health("paused", score, format!("the connector is paused: {why}"));
        (health.clone(), vec![Change::Connector(paused), Change::Health(index, health), told])
    } else {
        let marked = marks::mark(scene, &connector, &judge, &before, &[]);
        (marked.health, marked.changes)
    };
    if !changes.is_empty() {
        store.commit(Batch::of(changes)).await?;
        standing.publish(health);
    }
    if let Some(lane) = context.notes.lane(index) {
        lane.wake.notify_one();
    }
    Ok(())
}
