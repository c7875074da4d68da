//! Codes to scan become events only where the connector's webhook wants them: a new one comes every few seconds while somebody pairs an
//! account, and nobody else has any use for an old one.

use pombo_domain::ConnectorIndex;
use pombo_domain::model::connector::ConnectorStatus;
use pombo_domain::model::event::EventBody;
use pombo_domain::model::webhook::HookKind;
use pombo_domain::ports::{Batch, StoreResult};

use crate::account::marks::EventSource;
use crate::context::Context;

/// Whether a connector's webhook wants its codes.
pub(super) fn are_wanted(context: &Context, connector: ConnectorIndex) -> bool {
    let webhook = context.ports.store.connector_webhook(connector);
    webhook.is_ok_and(|found| found.is_some_and(|webhook| webhook.active && webhook.kinds.has(HookKind::Code)))
}

/// Stores a code as an event. One that the store refuses is dropped: the next one is about to come.
pub(super) async fn tell(context: &Context, connector: ConnectorIndex, code: String) {
    if let Err(error) = store(context, connector, code).await {
        tracing::warn!(connector = connector.0, %error, "a code to scan was not stored for the webhook");
    }
}

async fn store(context: &Context, index: ConnectorIndex, text: String) -> StoreResult<()> {
    let ports = &context.ports;
    let Some(connector) = ports.store.connector(index)?.filter(|found| found.status != ConnectorStatus::Deleted) else {
        return Ok(());
    };
    let (tenant, now) = (connector.tenant, ports.clock.now());
    let source = EventSource { tenant, connector: index, entropy: &*ports.entropy, now };
    ports.store.commit(Batch::of(vec![source.event(EventBody::Code { text }, None)])).await?;
    Ok(())
}
