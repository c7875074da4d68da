//! Deletes a word that the owner typed on the account's phone for the engine, so that the other side does not keep it. Where the channel
//! cannot, or the store refuses, it stays: the word has done its work.

use pombo_domain::model::connector::Connector;
use pombo_domain::model::message::{MessageAction, MessageOptions, MessageType, NewMessage, Target};
use pombo_domain::ports::{Batch, Change, Insert};

use super::batch_builder::TypedWord;
use crate::context::Context;

/// Ahead of whatever waits.
const PRIORITY: u8 = 10;

/// Queues the deletion, where the connector's plugin offers it.
pub(super) async fn delete(context: &Context, connector: &Connector, typed: &TypedWord) {
    let offers = context.ports.connectors.plugin(&connector.plugin).is_some_and(|plugin| plugin.offers("revoke"));
    if !offers {
        return;
    }
    let target = Target { provider_id: typed.provider_id.clone(), sender: None, text: None };
    let message = NewMessage {
        connector: connector.index,
        to: typed.chat.clone(),
        text: String::new(),
        subject: None,
        contact_name: None,
        message_type: MessageType::General,
        priority: PRIORITY,
        scheduled_at: None,
        requires_approval: false,
        force_direct: true,
        notes: None,
        webhook_url: None,
        external_id: None,
        attachments: Vec::new(),
        attachment_url: None,
        variables: None,
        options: MessageOptions { action: MessageAction::Revoke(target), ..MessageOptions::default() },
    };
    let insert = Insert { tenant: connector.tenant, messages: vec![message], idempotency: None };
    if let Err(error) = context.ports.store.commit(Batch::of(vec![Change::Insert(insert)])).await {
        tracing::warn!(connector = %connector.id, %error, "a word typed on the phone is not deleted in its chat");
    }
}
