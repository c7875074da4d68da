//! Messages about other messages: reactions, edits and deletions, which are actions, and replies. Each is a separate message in the
//! connector's queue, with the same durability, order and retries as any other. The message that it refers to is looked up here.
//!
//! A message is named in one of three ways: one that was sent from here by its id, a received one by the cursor of its event, any
//! by the channel's own id with its sender.

use std::borrow::Cow;

use uuid::Uuid;

use crate::commands::Commands;
use crate::commands::connectors::offering::{TargetRef, check_offered, checked_address, offers};
use crate::commands::messages::send::{Draft, Idempotency};
use crate::model::message::{MessageAction, Target};
use crate::model::{Connector, EventBody, InboundContent, MessageOptions, Status, StoredMessage};
use crate::ports::EventFilter;
use crate::{Error, Field, FieldPath, Result, TenantIndex};

/// The longest id of a channel, in bytes.
pub const MAX_PROVIDER_ID_BYTES: usize = 255;
/// The longest reaction, in bytes: the longest emoji sequences have fewer.
pub const MAX_EMOJI_BYTES: usize = 64;
/// The most mentions of one message.
pub const MAX_MENTIONS: usize = 100;

/// The priority of an action: it is about what was said already.
const PRIORITY: u8 = 10;

/// A message that was named, as the channel knows it.
pub(crate) struct Found {
    pub(crate) target: Target,
    /// Its conversation, where the engine knows it.
    pub(crate) chat: Option<String>,
}

/// What a caller wants to do about a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ActionRequest {
    /// Adds an emoji to it as a reaction; an empty one removes the reaction.
    React(String),
    /// Gives it a new text.
    Edit(String),
    /// Deletes it for everyone.
    Revoke,
}

/// How an action is queued.
#[derive(Debug, Clone, Default)]
pub struct ActionOptions {
    /// Whether it goes ahead of the queue and bypasses the pace.
    pub force_direct: bool,
    /// URL that receives every status change.
    pub webhook_url: Option<String>,
    /// The caller's own reference.
    pub external_id: Option<String>,
}

impl Commands {
    /// Queues an action on a message that was sent from here.
    pub async fn act_on_message(
        &self,
        tenant: TenantIndex,
        id: Uuid,
        request: ActionRequest,
        options: ActionOptions,
        idempotency: Option<Idempotency>,
    ) -> Result<StoredMessage> {
        let view = self.get_message(tenant, id)?;
        let offering = self.offering(tenant, view.connector_id)?;
        offers(&offering.plugin, request.feature())?;
        let target = self.sent_target(&view.stored).await?;
        let to = view.stored.message.content.to;
        self.queue_action(tenant, view.connector_id, &to, request.action(target)?, options, idempotency).await
    }

    /// Queues an action on any message of a conversation. The conversation may be left out where the message is named by its
    /// event.
    #[expect(clippy::too_many_arguments, reason = "who, what, about which message, and how it is queued")]
    pub async fn act_in_chat(
        &self,
        tenant: TenantIndex,
        connector: Uuid,
        chat: Option<String>,
        target: TargetRef,
        request: ActionRequest,
        options: ActionOptions,
        idempotency: Option<Idempotency>,
    ) -> Result<StoredMessage> {
        let offering = self.offering(tenant, connector)?;
        offers(&offering.plugin, request.feature())?;
        let found = self.target(tenant, &offering.connector, Field::Message.into(), target).await?;
        let chat = match (chat, found.chat) {
            (Some(given), Some(known)) if given.trim() != known => {
                return Err(Error::invalid(Field::Chat, "is not the conversation of that message; leave it out"));
            }
            (Some(chat), _) | (None, Some(chat)) => chat,
            (None, None) => {
                return Err(Error::invalid(Field::Chat, "is required unless the message is named by event"));
            }
        };
        self.queue_action(tenant, connector, &chat, request.action(found.target)?, options, idempotency).await
    }

    async fn queue_action(
        &self,
        tenant: TenantIndex,
        connector: Uuid,
        to: &str,
        (action, text): (MessageAction, String),
        options: ActionOptions,
        idempotency: Option<Idempotency>,
    ) -> Result<StoredMessage> {
        let draft = Draft {
            force_direct: options.force_direct,
            webhook_url: options.webhook_url.map(Cow::Owned),
            external_id: options.external_id.map(Cow::Owned),
            ..action_draft(connector, to, action, text)
        };
        self.send(tenant, &draft, idempotency).await
    }

    /// The message that a caller names; `field` names the name in a refusal.
    pub(crate) async fn target(
        &self,
        tenant: TenantIndex,
        connector: &Connector,
        field: FieldPath,
        named: TargetRef,
    ) -> Result<Found> {
        match named {
            TargetRef::Message(id) => {
                let stored = self.get_message(tenant, id)?.stored;
                if stored.message.content.connector != connector.index {
                    return Err(Error::invalid(field, "was sent by another connector"));
                }
                let target = self.sent_target(&stored).await?;
                Ok(Found { target, chat: Some(stored.message.content.to) })
            }
            TargetRef::Event(cursor) => self.received_target(tenant, connector, field, cursor),
            TargetRef::Provider { id, sender } => {
                check_provider_id(field.clone().field(Field::ProviderId), &id)?;
                let sender = sender.map(|sender| checked_address(field.field(Field::Sender), &sender)).transpose()?;
                Ok(Found { target: Target { provider_id: id, sender, text: None }, chat: None })
            }
        }
    }

    fn received_target(
        &self,
        tenant: TenantIndex,
        connector: &Connector,
        field: FieldPath,
        cursor: u64,
    ) -> Result<Found> {
        let missing = || Error::not_found("Event");
        let before = cursor.checked_sub(1).ok_or_else(missing)?;
        let (events, _) = self.ports().store.events(tenant, &EventFilter::default(), before, 1)?;
        let event = events.into_iter().find(|event| event.key.serial == cursor).ok_or_else(missing)?.event;
        if event.connector != connector.index {
            return Err(Error::invalid(field, "was received by another connector"));
        }
        let EventBody::Message(inbound) = event.body else {
            return Err(Error::invalid(field, "names an event that is not a received message"));
        };
        let text = match inbound.content {
            InboundContent::Text(text) => Some(text),
            InboundContent::Attachment(file) => file.caption,
            InboundContent::Location { name, .. } => name,
            InboundContent::Other(..) => None,
            InboundContent::Reaction { .. } | InboundContent::Edit { .. } | InboundContent::Revoke(_) => {
                return Err(Error::invalid(field, "names an event about another message; name that message"));
            }
        };
        let sender = (!inbound.from_me).then_some(inbound.sender);
        let target = Target { provider_id: inbound.provider_id, sender, text };
        Ok(Found { target, chat: Some(inbound.chat) })
    }

    /// A message that was sent from here, as the channel knows it.
    async fn sent_target(&self, stored: &StoredMessage) -> Result<Target> {
        let provider_id = sent_provider_id(stored)?;
        if !matches!(stored.message.content.options.action, MessageAction::Say | MessageAction::Other(_)) {
            return Err(Error::conflict("the message itself refers to another message; name that one"));
        }
        let text = self.render_message(stored).await.map(|rendered| rendered.text);
        Ok(Target { provider_id, sender: None, text })
    }

    /// Options as a caller asks for them, with the message that it answers looked up.
    pub async fn message_options(
        &self,
        tenant: TenantIndex,
        connector: Uuid,
        reply_to: Option<TargetRef>,
        mentions: Vec<String>,
        voice_note: bool,
    ) -> Result<MessageOptions> {
        let offering = self.offering(tenant, connector)?;
        let reply_to = match reply_to {
            None => None,
            Some(named) => {
                offering.must("reply")?;
                Some(self.target(tenant, &offering.connector, Field::ReplyTo.into(), named).await?.target)
            }
        };
        if mentions.len() > MAX_MENTIONS {
            return Err(Error::invalid(Field::Mentions, format!("must be at most {MAX_MENTIONS} addresses")));
        }
        let options = MessageOptions { reply_to, mentions, voice_note, ..MessageOptions::default() };
        check_offered(&offering.plugin, &options)?;
        let mentions = match options.mentions.is_empty() {
            true => Vec::new(),
            false => self.addresses(&offering, Field::Mentions, options.mentions.clone()).await?,
        };
        Ok(MessageOptions { mentions, ..options })
    }
}

/// What acts on a message, before it is decided how it is queued.
pub(super) fn action_draft(connector: Uuid, to: &str, action: MessageAction, text: String) -> Draft<'_> {
    Draft {
        connector: Some(connector),
        to: Some(Cow::Borrowed(to)),
        text: Some(Cow::Owned(text)),
        priority: Some(PRIORITY),
        options: MessageOptions { action, ..MessageOptions::default() },
        ..Draft::default()
    }
}

/// Refuses what cannot be a channel's id of a message.
pub(super) fn check_provider_id(field: impl Into<FieldPath>, id: &str) -> Result<()> {
    let visible = id.bytes().all(|byte| (0x21..=0x7e).contains(&byte));
    if id.is_empty() || id.len() > MAX_PROVIDER_ID_BYTES || !visible {
        return Err(Error::invalid(field, format!("must be 1 to {MAX_PROVIDER_ID_BYTES} visible ASCII characters")));
    }
    Ok(())
}

/// The channel's id of a message that was sent from here.
pub(super) fn sent_provider_id(stored: &StoredMessage) -> Result<String> {
    stored.state.provider_id.clone().filter(|_| stored.state.status == Status::Sent).ok_or_else(|| {
        let status = stored.state.status.as_str();
        Error::conflict(format!("the message is {status}; it must be SENT first"))
    })
}

impl ActionRequest {
    /// The feature that a plugin declares for it.
    pub(super) fn feature(&self) -> &'static str {
        match self {
            Self::React(_) => "reactions",
            Self::Edit(_) => "edit",
            Self::Revoke => "revoke",
        }
    }

    /// The action with its text.
    pub(super) fn action(self, target: Target) -> Result<(MessageAction, String)> {
        match self {
            Self::React(emoji) => {
                let emoji = emoji.trim();
                if emoji.len() > MAX_EMOJI_BYTES || emoji.chars().any(|c| c.is_control() || matches!(c, '{' | '}')) {
                    return Err(Error::invalid(Field::Emoji, "must be one emoji; an empty text removes the reaction"));
                }
                Ok((MessageAction::React(target), emoji.to_owned()))
            }
            Self::Edit(text) => {
                if text.trim().is_empty() {
                    return Err(Error::invalid(Field::Text, "must not be empty; revoke the message to delete it"));
                }
                Ok((MessageAction::Edit(target), text))
            }
            Self::Revoke => Ok((MessageAction::Revoke(target), String::new())),
        }
    }
}
