//! What connectors tell of their channels, made durable: each call becomes one store batch, written by whoever calls.
//!
//! - [`Intake`]: the port's implementation. `gather`: from events to changes, pure reads of the store. `bounds`: how much is
//!   kept.
//!
//! Calls for one connector happen one after the other, within its [`crate::account::Standing`]'s turn: two receipts of the
//! same message cannot lose each other. A call that was begun is finished even if its caller gives up. An `Err` means that
//! nothing was stored and that the connector shall tell it again.
//!
//! What a receipt does to its message: one that shows that the channel has it makes an UNKNOWN message SENT. One that says
//! that it could not be delivered is recorded and told, and changes no status: SENT says that the channel accepted it, which
//! stays true, and of an UNKNOWN message a person decides, who sees the report.

mod bounds;
mod gather;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pombo_domain::ConnectorIndex;
use pombo_domain::model::connector::ConnectorStatus;
use pombo_domain::ports::{
    Account, Batch, ChannelEvent, ConnectorEvents, IntakeError, KvWrite, SessionState, StoreError, StoreResult,
};
use tokio::sync::watch;

use crate::account::keeper;
use crate::context::Context;
use crate::metrics::Metrics;
use gather::Gather;

/// A batch whose conditions did not hold (somebody created the same contact) is made anew this often.
const TRIES: usize = 5;

/// Takes what connectors tell. Cheap to clone; see [`crate::Handle::intake`].
#[derive(Clone)]
pub struct Intake {
    context: Arc<Context>,
    /// Calls under way.
    running: watch::Sender<usize>,
    /// Whether the keeper ended.
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

    /// Reads how all sessions stand, for whoever was not listening until now.
    pub fn look(&self) -> StoreResult<()> {
        keeper::look_at_all(&self.context)
    }

    /// Waits for the calls under way and stores the sessions' changes that still wait; call it once the connectors have
    /// stopped. False when `deadline` cut that short.
    pub async fn drain(&self, deadline: Duration) -> bool {
        let clock = &self.context.ports.clock;
        let by = clock.now().plus_ms(i64::try_from(deadline.as_millis()).unwrap_or(i64::MAX));
        let mut running = self.running.subscribe();
        let mut kept = self.kept.clone();
        let all = async {
            // An error means that the other side is gone: nothing runs any more.
            let _ = running.wait_for(|running| *running == 0).await;
            self.context.notes.desk.close();
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
        self.context.notes.desk.session(connector, state, account);
        if let Some(lane) = self.context.notes.lane(connector) {
            if connected {
                lane.probe.store(true, std::sync::atomic::Ordering::Release);
                // It may be another version of the plugin that opened it.
                lane.changed.store(true, std::sync::atomic::Ordering::Release);
            }
            lane.wake.notify_one();
        }
    }

    async fn take(
        &self,
        connector: ConnectorIndex,
        events: Vec<ChannelEvent>,
        writes: Vec<KvWrite>,
    ) -> Result<(), IntakeError> {
        self.running.send_modify(|running| *running += 1);
        let running = Running(self.running.clone());
        let context = self.context.clone();
        // A task of its own: a caller that goes away must not leave what was stored and what is in memory at odds.
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
    let store = &context.ports.store;
    let standing = context.standings.of(&**store, index);
    let _turn = standing.turn.lock().await;
    let mut last = None;
    for _ in 0..TRIES {
        let connector = match store.connector(index) {
            Ok(Some(connector)) if connector.status != ConnectorStatus::Deleted => connector,
            Ok(_) => {
                tracing::warn!(
                    connector = index.0,
                    events = events.len(),
                    "told by no connector that is known; dropped"
                );
                return Ok(());
            }
            Err(error) => return Err(refused(context, &error)),
        };
        let gathered = match Gather::new(context, &connector, &standing).all(&events) {
            Ok(gathered) => gathered,
            Err(error) => return Err(refused(context, &error)),
        };
        let (changes, after) = gathered.finish(writes.clone());
        if changes.is_empty() {
            return Ok(());
        }
        // A message that a person decided about meanwhile is left as it is.
        match store.commit(Batch { changes, skip_stale: true }).await {
            Ok(committed) => {
                standing.publish(after.health);
                standing.heard(after.heard.into_iter(), after.now);
                if after.pause {
                    context.notes.desk.assess(index);
                }
                let metrics = &context.metrics;
                Metrics::add(&metrics.intake_batches, 1);
                Metrics::add(&metrics.intake_messages, after.messages);
                Metrics::add(&metrics.intake_receipts, after.receipts);
                Metrics::add(&metrics.intake_repeated, committed.repeated.len());
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
