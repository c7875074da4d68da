//! Connectors that are connected and hear nothing: counts of what they send and hear, and the task that notices deafness, tells of it and
//! restarts the instance.
//!
//! - [`counts`]: what each connector hears, in memory; filled by lanes and intake. What follows from it: [`crate::rules::hearing`].
//! - [`signals`]: which connectors the task is to look at. [`run`]: the task, one for all connectors.
//!
//! It acts only on connectors whose plugin needs a session: a session is what can be connected and deaf. The first cure is another instance
//! on the same session; it never ends a session and never asks for a new one. It must not know a channel.
//!
//! Nothing is stored but the events. After a restart of the engine, the weeks before are known from the store's counts of messages; how
//! promptly receipts come is learnt anew.

pub(crate) mod counts;
pub(crate) mod signals;

use std::collections::{BTreeMap, HashSet};
use std::future;
use std::sync::Arc;

use pombo_domain::model::connector::{Connector, ConnectorStatus};
use pombo_domain::model::event::{EventBody, SessionChange};
use pombo_domain::model::hearing::Deaf;
use pombo_domain::model::stats::{StatRow, StatSpan};
use pombo_domain::ports::{Batch, Operation, OperationError, SessionState, StatFilter, StoreResult};
use pombo_domain::{ConnectorIndex, TenantIndex, Timestamp};
use tokio::task::JoinSet;

use crate::account::marks::EventSource;
use crate::context::Context;
use crate::due;
use crate::metrics::Metrics;
use crate::rules::hearing::{Cures, Heard, Hearing};

/// The name of the operation by which a plugin is asked for a sign of life of its account. A plugin that describes it among its own
/// operations answers it once it has heard something that only a working session can hear, and with a failure where it heard nothing in
/// time. Whether the account's owner sees anything of it is up to the plugin.
pub const HEARTBEAT: &str = "heartbeat";
/// Counts of hours that are read of a tenant after a start, at most; with more of them its past is learnt anew.
const PAST: usize = 100_000;
/// Weeks before the start that are read.
const WEEKS: u32 = 4;

/// A message to `person` was handed to the channel, which accepted it, or did not answer in time.
pub(crate) fn handed_over(
    context: &Context,
    connector: ConnectorIndex,
    (person, accepted): (u64, bool),
    now: Timestamp,
) {
    if context.hearings.of(connector).lock().handed_over(person, accepted, now) {
        context.signals.hearing.note(connector);
    }
}

/// A connector heard something of its channel, whatever becomes of it.
pub(crate) fn told(context: &Context, connector: ConnectorIndex, heard: impl Iterator<Item = Heard>) {
    let mut heard = heard.peekable();
    if heard.peek().is_none() {
        return;
    }
    let now = context.ports.clock.now();
    let hearing = context.hearings.of(connector);
    let mut hearing = hearing.lock();
    let wakes = heard.fold(false, |wakes, what| hearing.heard(what, now) || wakes);
    drop(hearing);
    if wakes {
        context.signals.hearing.note(connector);
    }
}

/// The session of a connector has another state.
pub(crate) fn session_changed(context: &Context, connector: ConnectorIndex, state: &SessionState) {
    follow(&mut context.hearings.of(connector).lock(), state, context.ports.clock.now());
    context.signals.hearing.note(connector);
}

fn follow(hearing: &mut Hearing, state: &SessionState, now: Timestamp) {
    match state {
        SessionState::Connected => hearing.session(true, now),
        SessionState::Connecting | SessionState::Disconnected(_) | SessionState::Failing(_) => {
            hearing.session(false, now);
        }
        SessionState::Stopped
        | SessionState::QrCode(_)
        | SessionState::PairingCode(_)
        | SessionState::Unpaired(_)
        | SessionState::LoggedOut(_) => hearing.ended(now),
    }
}

/// Runs until draining.
pub(crate) async fn run(context: Arc<Context>) {
    let (due, seeded, running) = (BTreeMap::new(), HashSet::new(), JoinSet::new());
    let mut listener = Listener { context: context.clone(), due, seeded, running };
    due::run(&context, &context.signals.hearing.wake, &mut listener).await;
}

struct Listener {
    context: Arc<Context>,
    /// When each connector is to be looked at.
    due: BTreeMap<ConnectorIndex, Timestamp>,
    /// The tenants whose past was read.
    seeded: HashSet<TenantIndex>,
    /// Restarts and heartbeats. What is cut short by the end of the process is as if it had not begun.
    running: JoinSet<()>,
}

impl due::Work for Listener {
    const FAILED: &'static str = "changes of what connectors hear not stored";
    /// Lanes and sessions wake it, whether the store works or not.
    const WAKE_ENDS_PAUSE: bool = false;

    async fn look(&mut self) -> StoreResult<Option<Timestamp>> {
        let context = self.context.clone();
        let now = context.ports.clock.now();
        for connector in context.signals.hearing.take() {
            self.due.insert(connector, now);
        }
        let due: Vec<ConnectorIndex> =
            self.due.iter().filter(|(_, at)| **at <= now).map(|(connector, _)| *connector).collect();
        for connector in due {
            // Where it fails, the connector stays due.
            match self.look_at(connector, now).await? {
                Some(next) => self.due.insert(connector, next),
                None => self.due.remove(&connector),
            };
        }
        Ok(self.due.values().min().copied())
    }

    async fn own_wake(&mut self) {
        loop {
            match self.running.join_next().await {
                Some(Ok(())) => {}
                Some(Err(error)) => tracing::error!(%error, "a restart or a heartbeat of a connector failed"),
                None => future::pending().await,
            }
        }
    }
}

impl Listener {
    /// Looks at one connector; when to look again.
    async fn look_at(&mut self, index: ConnectorIndex, now: Timestamp) -> StoreResult<Option<Timestamp>> {
        let context = self.context.clone();
        let ports = &context.ports;
        let Some(connector) = ports.store.connector(index)?.filter(|found| found.status != ConnectorStatus::Deleted)
        else {
            return Ok(None);
        };
        let Some(plugin) = ports.connectors.plugin(&connector.plugin).filter(|plugin| plugin.needs_session) else {
            return Ok(None);
        };
        self.seed(connector.tenant, now)?;
        let hearing = context.hearings.of(index);
        // A change behind this is noted, and looked at again.
        let session = ports.connectors.session(index);
        let news = {
            let mut hearing = hearing.lock();
            follow(&mut hearing, &session, now);
            hearing.judge(now);
            hearing.to_tell()
        };
        if let Some(deaf) = news {
            tell(&context, &connector, deaf.as_ref(), now).await?;
            hearing.lock().was_told(deaf.is_some());
        }
        let heartbeat_ms = context.options.hearing.heartbeat_ms.filter(|_| plugin.takes_operation(HEARTBEAT));
        let cures = Cures { restarts: context.options.hearing.restarts, heartbeat_ms };
        let mut hearing = hearing.lock();
        if hearing.take_restart(cures, now) {
            tracing::warn!(connector = %connector.id, "the connector does not hear; its instance is restarted");
            Metrics::add(&context.metrics.hearing_restarts, 1);
            self.running.spawn(restart(context.clone(), connector.clone()));
        } else if hearing.take_beat(cures, now) {
            Metrics::add(&context.metrics.hearing_heartbeats, 1);
            self.running.spawn(beat(context.clone(), connector.clone()));
        }
        Ok(hearing.next_look(cures, now))
    }

    /// Reads what the store counted of a tenant's messages in the weeks before, once.
    fn seed(&mut self, tenant: TenantIndex, now: Timestamp) -> StoreResult<()> {
        if self.seeded.contains(&tenant) {
            return Ok(());
        }
        let this = StatSpan::Hour.of(now);
        let filter = StatFilter {
            span: StatSpan::Hour,
            first: this.saturating_sub(WEEKS * 7 * 24),
            last: this.saturating_sub(1),
            connector: None,
            message_type: None,
            template: None,
            campaign: None,
        };
        for StatRow { number, subject, counts } in
            self.context.ports.store.stats(tenant, &filter, PAST)?.unwrap_or_default()
        {
            let count = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
            let heard = count(counts.delivered.saturating_add(counts.read));
            let hearing = self.context.hearings.of(subject.connector);
            hearing.lock().seed(i64::from(number), count(counts.accepted), heard, now);
        }
        self.seeded.insert(tenant);
        Ok(())
    }
}

/// Appends an event: the connector is deaf, or hears again.
async fn tell(context: &Context, connector: &Connector, deaf: Option<&Deaf>, now: Timestamp) -> StoreResult<()> {
    let ports = &context.ports;
    let (state, reason) = match deaf {
        Some(deaf) => (SessionChange::Deaf, format!("{}: {}", deaf.reason, deaf.detail)),
        None => (SessionChange::Hears, "it hears again".to_owned()),
    };
    let account = context.accounts.of(&*ports.store, connector.index).health().account;
    let body = EventBody::Session { state: state.into(), account, reason: Some(reason) };
    let source = EventSource { tenant: connector.tenant, connector: connector.index, entropy: &*ports.entropy, now };
    ports.store.commit(Batch::of(vec![source.event(body, None)])).await?;
    if deaf.is_some() {
        Metrics::add(&context.metrics.hearing_deaf, 1);
    }
    Ok(())
}

/// Gives the connector another instance on the same session.
async fn restart(context: Arc<Context>, connector: Arc<Connector>) {
    if let Err(error) = context.ports.connectors.restart(connector.index).await {
        tracing::warn!(connector = %connector.id, %error, "a deaf connector's instance was not restarted");
    }
}

/// Asks the plugin for a sign of life.
async fn beat(context: Arc<Context>, connector: Arc<Connector>) {
    let operation = Operation::Other(HEARTBEAT.to_owned(), "{}".to_owned());
    let answer = context.ports.connectors.operate(connector.index, operation).await;
    let now = context.ports.clock.now();
    {
        let hearing = context.hearings.of(connector.index);
        let mut hearing = hearing.lock();
        match &answer {
            // It may have ended deafness; the look behind this sees it.
            Ok(_) => {
                let _ = hearing.beat(now);
            }
            Err(OperationError::Failed(_) | OperationError::Unknown(_)) => hearing.missed_beat(now),
            // It was not asked.
            Err(_) => {}
        }
    }
    if let Err(error) = answer {
        tracing::info!(connector = %connector.id, %error, "a heartbeat was not heard");
    }
    context.signals.hearing.note(connector.index);
}
