//! Tells a channel that is connected again what was read in its conversations while it was not: that was promised when it was read.
//!
//! Where it fails again, the next connection is the next try.

use pombo_domain::ConnectorIndex;
use pombo_domain::commands::conversations::tell_read;
use pombo_domain::ports::StoreResult;

use crate::context::Context;

/// Conversations of which a channel is told after one connect, at most. Those past it wait for the next one.
const MOST: usize = 1_000;
/// Conversations looked up at once.
const PAGE: usize = 50;

/// Tells the connector's channel all that it is still to be told.
pub(crate) async fn tell_all(context: &Context, connector: ConnectorIndex) {
    if let Err(error) = tell(context, connector).await {
        tracing::warn!(connector = connector.0, %error, "what was read could not be told; the next connection is the next try");
    }
}

async fn tell(context: &Context, connector: ConnectorIndex) -> StoreResult<()> {
    let store = &context.ports.store;
    let mut after = None;
    for _ in 0..MOST / PAGE {
        let page = store.untold_conversations(connector, after, PAGE)?;
        after = page.last().copied();
        let is_last = page.len() < PAGE;
        for id in page {
            let Some(conversation) = store.conversation(id)? else { continue };
            if !tell_read(&**store, &*context.ports.connectors, &conversation).await? {
                return Ok(());
            }
        }
        if is_last {
            return Ok(());
        }
    }
    Ok(())
}
