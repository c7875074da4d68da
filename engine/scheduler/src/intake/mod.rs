//! Stores what connectors report about their channels: each call becomes one batch, committed on a task of its own. What it says was read on
//! another device follows in a second one.
//!
//! - [`Intake`]: the port's implementation. `batch_builder`: from events to changes; it only reads the store. `bounds`: how much is
//!   kept. `heard`: what events show that was heard. `told`: what events without a case of their own say. `codes`: codes to scan, for
//!   webhooks that want them. `typed_words`: deletes words that were typed on the account's phone for the engine.
//!
//! Calls for one connector happen one after the other, within its [`crate::account::AccountHealth`]'s turn: two receipts of the
//! same message cannot lose each other. A call that was begun is finished even if its caller gives up. An `Err` means that
//! the connector is to report all of it again: nothing was stored, or only the second batch is missing. Either way the events and what
//! the plugin keeps are stored together, and messages that are stored already are recognised.
//!
//! What a receipt does to its message: one that shows that the channel has it makes an UNKNOWN message SENT. One that says
//! that it could not be delivered is recorded, becomes an event, and changes no status: SENT says that the channel accepted it, which
//! stays true, and about an UNKNOWN message a person decides, who sees the report. The event `failed` does more: a channel that tells
//! failures so tells them for good, and its message becomes FAILED, see [`crate::rules::late`].

mod batch_builder;
mod bounds;
mod codes;
mod heard;
mod told;
mod typed_words;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pombo_domain::ConnectorIndex;
use pombo_domain::model::connector::ConnectorStatus;
use pombo_domain::ports::{
    Account, Batch, ChannelEvent, ConnectorEvents, IntakeError, KvWrite, SessionState, StoreError, StoreResult,
};
use tokio::sync::watch;

use crate::account::{AccountHealth, monitor, read_told};
use crate::campaigns;
use crate::context::Context;
use crate::hearing;
use crate::lane::demands;
use crate::metrics::Metrics;
use batch_builder::{BatchBuilder, says_what_was_read};

/// A batch whose conditions did not hold (somebody created the same contact) is built again this often.
const TRIES: usize = 5;

/// Takes what connectors report. Cheap to clone; see [`crate::Handle::intake`].
#[derive(Clone)]
pub struct Intake {
    context: Arc<Context>,
    /// Calls under way.
    running: watch::Sender<usize>,
    /// Whether the account monitor has ended.
    kept: watch::Receiver<bool>,
}

/// Counts a call for as long as it runs.
struct Running(watch::Sender<usize>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.send_modify(|running| *running -= 1);
    }
}

impl Intake {
    pub(crate) fn new(context: Arc<Context>, kept: watch::Receiver<bool>) -> Self {
        Self { context, running: watch::channel(0).0, kept }
    }

    /// Counts a call from now on.
    fn running(&self) -> Running {
        self.running.send_modify(|running| *running += 1);
        Running(self.running.clone())
    }

    /// Reads the state of all sessions, to make up for changes that nobody was listening to.
    pub fn look(&self) -> StoreResult<()> {
        monitor::look_at_all(&self.context)
    }

    /// Waits for the calls under way and stores the sessions' changes that still wait; call it once the connectors have
    /// stopped. False when `deadline` cut that short.
    pub async fn drain(&self, deadline: Duration) -> bool {
        let clock = &self.context.ports.clock;
        let by = clock.now().plus_ms(i64::try_from(deadline.as_millis()).unwrap_or(i64::MAX));
        let mut running = self.running.subscribe();
        let mut kept = self.kept.clone();
        let all = async {
            // An error means that the other side is gone: nothing runs any longer.
            let _ = running.wait_for(|running| *running == 0).await;
            self.context.signals.accounts.close();
            let _ = kept.wait_for(|kept| *kept).await;
        };
        tokio::select! {
            biased;
            () = all => true,
            () = clock.sleep_until(by) => false,
        }
    }
}

#[async_trait]
impl ConnectorEvents for Intake {
    fn session_changed(&self, connector: ConnectorIndex, state: SessionState, account: Option<Account>) {
        let connected = state == SessionState::Connected;
        if campaigns::ends_sending(&state) {
            self.context.signals.campaigns.note_all();
        }
        if let SessionState::QrCode(code) = &state
            && codes::are_wanted(&self.context, connector)
        {
            let (running, context, code) = (self.running(), self.context.clone(), code.clone());
            tokio::spawn(async move {
                let _running = running;
                codes::tell(&context, connector, code).await;
            });
        }
        hearing::session_changed(&self.context, connector, &state);
        self.context.signals.accounts.session(connector, state, account);
        if let Some(lane) = self.context.signals.lane(connector) {
            if connected {
                lane.probe.store(true, std::sync::atomic::Ordering::Release);
                // It may be another version of the plugin that opened it.
                lane.changed.store(true, std::sync::atomic::Ordering::Release);
            }
            lane.wake.notify_one();
        }
        if connected {
            let (running, context) = (self.running(), self.context.clone());
            tokio::spawn(async move {
                let _running = running;
                read_told::tell_all(&context, connector).await;
            });
        }
    }

    async fn take(
        &self,
        connector: ConnectorIndex,
        events: Vec<ChannelEvent>,
        writes: Vec<KvWrite>,
    ) -> Result<(), IntakeError> {
        let running = self.running();
        let context = self.context.clone();
        // A task of its own: a caller that goes away must not leave memory in disagreement with what was stored.
        let task = tokio::spawn(async move {
            let _running = running;
            take(&context, connector, events, writes).await
        });
        task.await.unwrap_or_else(|error| {
            tracing::error!(connector = connector.0, %error, "taking a connector's events failed");
            Err(IntakeError::Unavailable("taking the events failed inside the engine; tell it again".to_owned()))
        })
    }
}

async fn take(
    context: &Context,
    index: ConnectorIndex,
    events: Vec<ChannelEvent>,
    writes: Vec<KvWrite>,
) -> Result<(), IntakeError> {
    // Heard is heard, whether it can be stored or not.
    hearing::told(context, index, events.iter().filter_map(heard::by));
    let account_health = context.accounts.of(&*context.ports.store, index);
    let _turn = account_health.turn.lock().await;
    let (read, events): (Vec<_>, Vec<_>) = events.into_iter().partition(says_what_was_read);
    take_part(context, index, &account_health, &events, &writes).await?;
    take_part(context, index, &account_health, &read, &[]).await
}

/// Stores events in one batch.
async fn take_part(
    context: &Context,
    index: ConnectorIndex,
    account_health: &AccountHealth,
    events: &[ChannelEvent],
    writes: &[KvWrite],
) -> Result<(), IntakeError> {
    let store = &context.ports.store;
    let mut last = None;
    for _ in 0..TRIES {
        let connector = match store.connector(index) {
            Ok(Some(connector)) if connector.status != ConnectorStatus::Deleted => connector,
            Ok(_) => {
                tracing::warn!(
                    connector = index.0,
                    events = events.len(),
                    "events of an unknown or deleted connector were dropped"
                );
                return Ok(());
            }
            Err(error) => return Err(refused(context, &error)),
        };
        let gathered = match BatchBuilder::new(context, &connector, account_health).all(events) {
            Ok(gathered) => gathered,
            Err(error) => return Err(refused(context, &error)),
        };
        let (changes, after) = gathered.finish(writes.to_vec());
        if changes.is_empty() {
            return Ok(());
        }
        // A message that a person has decided about is left as it is.
        match store.commit(Batch { changes, skip_stale: true }).await {
            Ok(committed) => {
                account_health.publish(after.health);
                if let Some(outreach) = after.outreach {
                    account_health.publish_outreach(outreach);
                    context.signals.note_releases(index, &after.releases);
                }
                account_health.heard(after.heard.into_iter(), after.now);
                if !after.delivered.is_empty() {
                    let hearing = context.hearings.of(index);
                    let mut hearing = hearing.lock();
                    after.delivered.iter().for_each(|(sent, at)| hearing.delivered(*sent, *at, after.now));
                }
                if after.pause {
                    context.signals.accounts.assess(index);
                }
                let metrics = &context.metrics;
                Metrics::add(&metrics.intake_batches, 1);
                Metrics::add(&metrics.intake_messages, after.messages);
                Metrics::add(&metrics.intake_receipts, after.receipts);
                Metrics::add(&metrics.intake_repeated, committed.repeated.len());
                if after.received > 0 {
                    demands::received(context, index, after.received, after.now);
                }
                if after.limits
                    && let Some(lane) = context.signals.lane(index)
                {
                    lane.changed.store(true, std::sync::atomic::Ordering::Release);
                    lane.wake.notify_one();
                }
                if after.templates {
                    context.signals.templates.note(index);
                }
                if let Some((audience, limit)) = after.audience_limit {
                    context.audiences.limit_told(&**store, audience, limit);
                }
                let news = after.typed.iter().filter(|typed| !committed.repeated.contains(&typed.place));
                for typed in news {
                    typed_words::delete(context, &connector, typed).await;
                }
                return Ok(());
            }
            Err(error @ StoreError::Conflict(_)) => last = Some(error),
            Err(error) => return Err(refused(context, &error)),
        }
    }
    let error = last.unwrap_or(StoreError::Unavailable("the batch was not tried".to_owned()));
    Err(refused(context, &error))
}

fn refused(context: &Context, error: &StoreError) -> IntakeError {
    Metrics::add(&context.metrics.intake_refused, 1);
    IntakeError::Unavailable(format!("{error}; tell it again"))
}
