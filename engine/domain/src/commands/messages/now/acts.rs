//! Reactions, edits and deletions that wait for their outcome, and how a caller names a message of a conversation: by its id, by its
//! number, or by the channel's own id. What a message was and who wrote it is read from the timeline.

use uuid::Uuid;

use super::{SentNow, Waiting};
use crate::commands::Commands;
use crate::commands::connectors::offering::{checked_address, offers, unindexed};
use crate::commands::messages::actions::{
    ActionRequest, MAX_PROVIDER_ID_BYTES, action_draft, check_provider_id, sent_provider_id,
};
use crate::commands::messages::send::Draft;
use crate::model::message::{MessageAction, Target};
use crate::model::variables::escaped;
use crate::model::{Conversation, TimelineItem};
use crate::ports::{ConversationFilter, ConversationOrder};
use crate::{ConnectorIndex, Error, ErrorCode, Field, MessageKey, Result, TenantIndex};

/// How many conversations are looked at for a received message of which only the channel's id is known: the last active ones.
const MOST_LOOKED_AT: u64 = 1_000;
/// How many of them are read at once.
const LOOKED_AT_ONCE: usize = 250;

/// How a caller names an entry of any of the tenant's timelines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryRef {
    /// By its public id.
    Id(Uuid),
    /// By its number.
    Number(u64),
}

/// An entry with where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundEntry {
    /// The conversation.
    pub conversation: Conversation,
    /// Public id of its connector.
    pub connector: Uuid,
    /// The entry.
    pub item: TimelineItem,
}

impl Commands {
    /// An entry of a timeline. A message that was never attempted has none.
    pub fn find_entry(&self, tenant: TenantIndex, named: EntryRef) -> Result<FoundEntry> {
        let store = &self.ports().store;
        let missing = || Error::not_found("Message");
        let item = match named {
            EntryRef::Id(id) => store.timeline_item_by_id(tenant, id)?,
            EntryRef::Number(number) => store.timeline_item(tenant, number)?,
        };
        let item = item.ok_or_else(missing)?;
        let conversation = store.conversation_by_number(tenant, item.conversation)?.ok_or_else(missing)?;
        let connector = self.connector_id(conversation.connector)?;
        Ok(FoundEntry { conversation, connector, item })
    }

    /// The entry of a message that the channel of one of `connectors` knows by this id. An own message is found by the index of such ids;
    /// any other, among them what was written on the phone, in the 1,000 conversations that were last active, because entries are
    /// indexed for each conversation alone. Where several conversations have the id, the last active one counts.
    pub async fn find_entry_known_by(
        &self,
        tenant: TenantIndex,
        connectors: &[ConnectorIndex],
        provider_id: &str,
    ) -> Result<FoundEntry> {
        let store = &self.ports().store;
        let missing = || Error::not_found("Message");
        if provider_id.is_empty() || provider_id.len() > MAX_PROVIDER_ID_BYTES {
            return Err(missing());
        }
        for connector in connectors {
            let sent = store.message_by_provider_id(*connector, provider_id)?;
            let Some(sent) = sent.filter(|sent| sent.message.key.tenant == tenant) else { continue };
            match self.find_entry(tenant, EntryRef::Id(sent.message.id)) {
                // A reaction, an edit or a deletion has no entry of its own.
                Err(error) if error.code == ErrorCode::NotFound => {}
                found => return found,
            }
        }
        let filter = ConversationFilter { connectors: Some(connectors.to_vec()), ..ConversationFilter::default() };
        let mut offset = 0;
        while offset < MOST_LOOKED_AT {
            let order = ConversationOrder::Activity { offset };
            let page = store.find_conversations(tenant, filter.clone(), order, LOOKED_AT_ONCE).await?;
            for conversation in page.rows {
                if let Some(item) = store.timeline_item_of(tenant, conversation.number, provider_id)? {
                    let connector = self.connector_id(conversation.connector)?;
                    return Ok(FoundEntry { conversation, connector, item });
                }
            }
            if !page.more {
                break;
            }
            offset += LOOKED_AT_ONCE as u64;
        }
        Err(missing())
    }

    /// The entry of the conversation with `chat` that a text names: its public id, the channel's id of its message, or its number.
    /// `None` where there is no such entry, or no such conversation.
    pub fn entry_in_chat(
        &self,
        tenant: TenantIndex,
        connector: Uuid,
        chat: &str,
        named: &str,
    ) -> Result<Option<FoundEntry>> {
        let found = self.live_connector(tenant, connector)?;
        let Some(conversation) = self.conversation_of(&found, chat)? else { return Ok(None) };
        let store = &self.ports().store;
        let mut item = match Uuid::try_parse(named) {
            Ok(id) => store.timeline_item_by_id(tenant, id)?,
            Err(_) => None,
        };
        // A channel's id may look like one of ours: those of some phones are 32 hexadecimal digits.
        if item.is_none() && named.len() <= MAX_PROVIDER_ID_BYTES {
            item = store.timeline_item_of(tenant, conversation.number, named)?;
        }
        if item.is_none()
            && let Ok(number) = named.parse()
        {
            item = store.timeline_item(tenant, number)?;
        }
        let item = item.filter(|item| item.conversation == conversation.number);
        Ok(item.map(|item| FoundEntry { conversation, connector, item }))
    }

    /// The message that a reply to `chat` answers, named as for [`Commands::entry_in_chat`]. One that the engine does not know counts as
    /// `author`'s, by the channel's id; without an author it is not found.
    pub fn answered_in_chat(
        &self,
        tenant: TenantIndex,
        connector: Uuid,
        chat: &str,
        named: &str,
        author: Option<&str>,
    ) -> Result<Target> {
        match self.entry_in_chat(tenant, connector, chat, named)? {
            Some(found) => self.entry_target(tenant, &found.item),
            None => unknown_target(Field::ReplyTo, named, author),
        }
    }

    /// An address as the connector's plugin writes it.
    pub async fn checked_chat(&self, tenant: TenantIndex, connector: Uuid, address: &str) -> Result<String> {
        let offering = self.offering(tenant, connector)?;
        let address = checked_address(Field::To, address)?;
        let checked = self.addresses(&offering, Field::To, vec![address]).await;
        let address = checked.map_err(|error| unindexed(error, Field::To))?.into_iter().next();
        address.ok_or_else(|| Error::internal("a plugin answered for no recipient"))
    }

    /// Acts on an entry at once, as `by` (see [`crate::commands::access::actor::Actor::by`]), and waits for the outcome. `None`:
    /// there was nothing to do, because the message is deleted already, or has no reaction to remove.
    ///
    /// Fails as [`Commands::send_now`] does; with [`ErrorCode::Forbidden`] for an edit or a deletion of what the account did not write,
    /// and with [`ErrorCode::Conflict`] for what is deleted, has no text to edit, or is not sent yet.
    pub async fn act_on_entry_now(
        &self,
        tenant: TenantIndex,
        found: &FoundEntry,
        request: ActionRequest,
        by: &str,
        waiting: Waiting<'_>,
    ) -> Result<Option<SentNow>> {
        let entry = &found.item.entry;
        let changes = !matches!(request, ActionRequest::React(_));
        if changes && !entry.from_me {
            let message = "only messages that the account itself wrote can be edited or deleted";
            return Err(Error::new(ErrorCode::Forbidden, message));
        }
        match &request {
            ActionRequest::Revoke if entry.revoked_at.is_some() => return Ok(None),
            ActionRequest::React(emoji) if emoji.trim().is_empty() => {
                if entry.reactions.iter().all(|reaction| reaction.by.is_some()) {
                    return Ok(None);
                }
            }
            _ if entry.revoked_at.is_some() => return Err(Error::conflict("the message was deleted")),
            ActionRequest::Edit(_) if entry.text().is_none() => {
                return Err(Error::conflict("the message has no text that could be edited"));
            }
            _ => {}
        }
        let target = self.entry_target(tenant, &found.item)?;
        self.act_now(tenant, found.connector, &found.conversation.chat, target, request, by, waiting).await.map(Some)
    }

    /// Reacts at once to a message of `chat`, named as for [`Commands::answered_in_chat`], and waits for the outcome. An empty emoji
    /// removes the reaction; `None`: there was none.
    #[expect(clippy::too_many_arguments, reason = "who reacts, where, to what, with what, and how it is waited for")]
    pub async fn react_in_chat_now(
        &self,
        tenant: TenantIndex,
        connector: Uuid,
        chat: &str,
        named: &str,
        author: Option<&str>,
        emoji: &str,
        by: &str,
        waiting: Waiting<'_>,
    ) -> Result<Option<SentNow>> {
        let request = ActionRequest::React(emoji.to_owned());
        match self.entry_in_chat(tenant, connector, chat, named)? {
            Some(found) => self.act_on_entry_now(tenant, &found, request, by, waiting).await,
            None => {
                let target = unknown_target(Field::Message, named, author)?;
                self.act_now(tenant, connector, chat, target, request, by, waiting).await.map(Some)
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "who does what, where, to what, and how it is waited for")]
    async fn act_now(
        &self,
        tenant: TenantIndex,
        connector: Uuid,
        chat: &str,
        target: Target,
        request: ActionRequest,
        by: &str,
        waiting: Waiting<'_>,
    ) -> Result<SentNow> {
        offers(&self.offering(tenant, connector)?.plugin, request.feature())?;
        let (action, text) = request.action(target)?;
        // Of these only an edit is rendered.
        let text = if matches!(action, MessageAction::Edit(_)) { escaped(&text) } else { text };
        let draft = Draft { author: Some(by.into()), ..action_draft(connector, chat, action, text) };
        self.send_draft_now(tenant, draft, waiting).await
    }

    /// The message of an entry, as the channel knows it.
    fn entry_target(&self, tenant: TenantIndex, item: &TimelineItem) -> Result<Target> {
        let entry = &item.entry;
        let provider_id = match (entry.message, &entry.provider_id) {
            (Some(serial), _) => {
                let stored = self.ports().store.message(MessageKey { tenant, serial })?;
                sent_provider_id(&stored.ok_or_else(|| Error::internal("a timeline names no stored message"))?)?
            }
            (None, Some(id)) => id.clone(),
            (None, None) => return Err(Error::conflict("the channel gave this message no id")),
        };
        let sender = if entry.from_me { None } else { entry.sender.clone() };
        Ok(Target { provider_id, sender, text: entry.text().map(str::to_owned) })
    }
}

/// A message that the engine does not know.
fn unknown_target(field: Field, named: &str, author: Option<&str>) -> Result<Target> {
    let Some(author) = author else { return Err(Error::not_found("Message")) };
    check_provider_id(field, named)?;
    Ok(Target { provider_id: named.to_owned(), sender: Some(author.to_owned()), text: None })
}
