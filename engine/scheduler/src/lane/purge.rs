//! Fails the queued messages of a deleted connector, in bounded batches.

use pombo_domain::model::delivery::Delivery;
use pombo_domain::model::message::{Position, StoredMessage};
use pombo_domain::model::reason::{Reason, ReasonCode};
use pombo_domain::ports::{Batch, Change, StoreResult, Update};
use pombo_domain::{ConnectorIndex, MessageKey, Timestamp};

use crate::context::Context;
use crate::metrics::Metrics;

const PAGE: usize = 256;

/// Fails what is ready or scheduled for `connector`; stops early when draining.
pub(crate) async fn purge(context: &Context, connector: ConnectorIndex) -> StoreResult<()> {
    let store = &context.ports.store;
    let mut after = None;
    while !context.signals.is_draining() {
        let entries = store.ready(connector, after, PAGE)?;
        let keys: Vec<MessageKey> = entries.iter().map(|entry| entry.key).collect();
        fail(context, &keys).await?;
        if entries.len() < PAGE {
            break;
        }
        after = entries.last().map(|entry| entry.order);
    }
    let mut after = None;
    while !context.signals.is_draining() {
        let entries = store.scheduled(Timestamp(crate::FAR), after, PAGE)?;
        let own = entries.iter().filter(|entry| entry.connector == connector);
        let keys: Vec<MessageKey> = own.map(|entry| entry.key).collect();
        fail(context, &keys).await?;
        if entries.len() < PAGE {
            break;
        }
        after = entries.last().copied();
        tokio::task::yield_now().await;
    }
    Ok(())
}

/// Fails the messages of `keys` that still wait.
async fn fail(context: &Context, keys: &[MessageKey]) -> StoreResult<()> {
    if keys.is_empty() {
        return Ok(());
    }
    let now = context.ports.clock.now();
    let waiting = |stored: &StoredMessage| {
        matches!(stored.state.position(&stored.message), Position::Ready(_) | Position::Scheduled(_))
    };
    let changes: Vec<Change> = context
        .ports
        .store
        .messages(keys)?
        .into_iter()
        .flatten()
        .filter(waiting)
        .filter_map(|stored| {
            let reason =
                Reason::new(ReasonCode::ConnectorDeleted, "the connector was deleted before the message was sent");
            let state = stored.state.failed(reason, now).ok()?;
            let delivery = Delivery::of(&stored.message, Some(stored.state.status), &state);
            Some(Change::Update(Update { key: stored.message.key, state, delivery }))
        })
        .collect();
    if !changes.is_empty() {
        Metrics::add(&context.metrics.failed, changes.len());
        context.ports.store.commit(Batch { changes, skip_stale: true }).await?;
    }
    Ok(())
}
