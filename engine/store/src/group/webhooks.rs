//! What a group does to connectors' webhooks: the deliveries of the events that they want, and the events of own messages and of conversations
//! that open or come back, which the store itself appends: whoever makes the change, its event is in the same batch, and only if the change
//! is stored.

use std::sync::Arc;

use pombo_domain::ids::{message_id, render_seed};
use pombo_domain::model::*;
use pombo_domain::ports::{StoreResult, WebhookChange};
use pombo_domain::{ConnectorIndex, MessageKey, TenantIndex, Word};
use uuid::Uuid;

use super::Group;
use super::pending::Undo;
use crate::catalog::CatalogChange;
use crate::codec::damaged;
use crate::keys;
use crate::space::Space;
use crate::tables::queues::Queue;
use crate::tables::timeline::{self, OfMessage};
use crate::tables::{conversations, events, messages, receipts, webhooks};

/// What a message is to the timelines.
enum Place {
    /// An entry of this conversation, with this number.
    Entry(u64, u64),
    /// It changes another entry.
    Change,
    /// Nothing, or not yet.
    None,
}

impl Group<'_> {
    /// A connector's webhook as the group has it now.
    fn webhook_of(&self, connector: ConnectorIndex) -> Option<Arc<ConnectorWebhook>> {
        match self.pending.webhooks.get(&connector) {
            Some(changed) => changed.clone(),
            None => self.shared.catalog.read().webhooks.get(&connector).cloned(),
        }
    }

    fn wants(&self, connector: ConnectorIndex, kind: HookKind) -> bool {
        self.webhook_of(connector).is_some_and(|webhook| webhook.active && webhook.kinds.has(kind))
    }

    pub(super) fn webhook(&mut self, change: WebhookChange) -> StoreResult<()> {
        match change {
            WebhookChange::Put(webhook) => self.set_webhook(webhook.connector, Some(webhook)),
            WebhookChange::Remove(connector) => {
                if self.webhook_of(connector).is_some() {
                    self.set_webhook(connector, None);
                }
            }
            WebhookChange::Gone { connector, updated_at, at } => {
                let found = self.webhook_of(connector).filter(|found| found.updated_at == updated_at && found.active);
                if let Some(found) = found {
                    let webhook = ConnectorWebhook { active: false, gone_at: Some(at), ..(*found).clone() };
                    self.set_webhook(connector, Some(webhook));
                }
            }
            WebhookChange::Delivery(delivery) => {
                let due = webhooks::put(&mut self.staged, &delivery, &mut self.outcome.effects)?;
                self.outcome.queued.extend(due.map(|key| (Queue::EventDeliveries, key)));
            }
        }
        Ok(())
    }

    fn set_webhook(&mut self, connector: ConnectorIndex, webhook: Option<ConnectorWebhook>) {
        match &webhook {
            Some(webhook) => webhooks::put_webhook(&mut self.staged, webhook),
            None => webhooks::delete_webhook(&mut self.staged, connector),
        }
        let webhook = webhook.map(Arc::new);
        let old = self.pending.webhooks.insert(connector, webhook.clone());
        self.pending.undo.push(Undo::Webhook(connector, old));
        self.outcome.catalog.push(CatalogChange::Webhook(connector, webhook));
    }

    /// Makes the deliveries of an event that its connector's webhook wants.
    pub(super) fn hook(
        &mut self,
        event: EventKey,
        connector: ConnectorIndex,
        conversation: u64,
        kinds: &[HookKind],
    ) -> StoreResult<()> {
        if kinds.is_empty() {
            return Ok(());
        }
        let wants = |webhook: &Arc<ConnectorWebhook>| webhook.active && webhook.tenant == event.tenant;
        let Some(webhook) = self.webhook_of(connector).filter(wants) else { return Ok(()) };
        for kind in kinds.iter().copied().filter(|kind| webhook.kinds.has(*kind)) {
            let key = EventDeliveryKey { event, kind };
            let delivery = EventDelivery::new(key, connector, conversation, self.now);
            let due = webhooks::insert(&mut self.staged, &delivery, &mut self.outcome.effects)?;
            self.outcome.queued.extend(due.map(|key| (Queue::EventDeliveries, key)));
        }
        Ok(())
    }

    /// A message's status changed: appends the event of what concerns its conversation, with the deliveries of that.
    pub(super) fn progressed(
        &mut self,
        key: MessageKey,
        connector: ConnectorIndex,
        old: Status,
        state: &MessageState,
    ) -> StoreResult<()> {
        let tells = matches!(state.status, Status::Sent | Status::Failed | Status::Unknown) && state.status != old;
        if !tells || !self.shared.chats.converses(connector) && !self.wants(connector, HookKind::Status) {
            return Ok(());
        }
        let told = match self.place_of(key)? {
            Place::Entry(conversation, item) => {
                let row = self.staged.get(Space::Timeline, &keys::entry(key.tenant, conversation, item))?;
                let Some(row) = row else { return Ok(()) };
                let Some(chat) = self.chat_numbered(key.tenant, conversation)? else { return Ok(()) };
                Some((timeline::head(&row)?.0.id, chat, Some((conversation, item))))
            }
            Place::Change => None,
            // It was given up before its first attempt: an event only where somebody waits for it.
            Place::None if state.status == Status::Failed && self.wants(connector, HookKind::Status) => {
                let message = messages::read(&*self.shared.backend, key)?;
                let message = message.ok_or_else(|| damaged("messages: a record is missing"))?;
                let says = message.content.options.action.says();
                says.then(|| (message.id, message.content.to, None))
            }
            Place::None => None,
        };
        let Some((message, chat, place)) = told else { return Ok(()) };
        let reported = self.staged.get(Space::Events, &keys::receipts(key))?;
        let reported = reported.map(|row| receipts::parse(&row)).transpose()?.unwrap_or_default();
        let of = |status| Word::Known(Progress::of(status, &reported.first, reported.failed.is_some()));
        let provider_id = state.provider_id.clone();
        let body = match (state.status, place) {
            (Status::Sent, Some((conversation, item))) => {
                EventBody::Sent { message, conversation, item, chat, provider_id, previous: of(old) }
            }
            (status, place) => EventBody::Status {
                message,
                conversation: place.map(|(conversation, _)| conversation),
                chat,
                provider_id,
                previous: of(old),
                now: of(status),
                reached_at: self.now,
            },
        };
        self.append_own(key.tenant, connector, message, state.revision, body)
    }

    /// Appends an event that follows from another change; its id is derived from the message's.
    fn append_own(
        &mut self,
        tenant: TenantIndex,
        connector: ConnectorIndex,
        message: Uuid,
        revision: u32,
        body: EventBody,
    ) -> StoreResult<()> {
        let (high, low) = message.as_u64_pair();
        let mixed = render_seed(Uuid::from_u64_pair(!high, low ^ (u64::from(revision) << 32)));
        let id = message_id(self.now, self.next_event(tenant), mixed);
        self.append_event(tenant, NewEvent { id, connector, at: self.now, body })
    }

    /// Appends an event that follows from another change, with the deliveries of it.
    pub(super) fn append_event(&mut self, tenant: TenantIndex, event: NewEvent) -> StoreResult<()> {
        let kinds = HookKind::of(&event.body);
        let conversation = numbered(&event.body).unwrap_or_default();
        let connector = event.connector;
        let row = events::encode(&event, None);
        let event = self.append(tenant, row);
        self.hook(event, connector, conversation, kinds)
    }

    /// Appends the event of what became of a conversation by another change, in the batch of that.
    pub(super) fn append_of_conversation(&mut self, conversation: &Conversation, step: ConversationAction, by: &str) {
        let (tenant, connector) = (conversation.tenant, conversation.connector);
        let body = EventBody::Conversation {
            conversation: conversation.id,
            chat: conversation.chat.clone(),
            step: step.into(),
            by: by.to_owned(),
            detail: String::new(),
        };
        let mut entropy = [0; 8];
        self.entropy.fill(&mut entropy);
        let id = message_id(self.now, self.next_event(tenant), u64::from_le_bytes(entropy));
        let row = events::encode(&NewEvent { id, connector, at: self.now, body }, None);
        self.append(tenant, row);
    }

    fn place_of(&self, key: MessageKey) -> StoreResult<Place> {
        let row = self.staged.get(Space::Timeline, &keys::of_message(keys::ENTRY_MESSAGE, key))?;
        Ok(match row.map(|row| timeline::parse_of_message(&row)).transpose()? {
            Some(OfMessage::Entry(conversation, item)) => Place::Entry(conversation, item),
            Some(OfMessage::Changes(..)) => Place::Change,
            None => Place::None,
        })
    }

    /// The address of a conversation; `None` if it was deleted.
    fn chat_numbered(&mut self, tenant: TenantIndex, number: u64) -> StoreResult<Option<String>> {
        let key = keys::numbered(keys::CONVERSATION_NUMBER, tenant, number);
        let Some(row) = self.staged.get(Space::Conversations, &key)? else { return Ok(None) };
        let stored = self.conversation(conversations::parse_id(&row)?)?;
        Ok(stored.map(|stored| stored.conversation.chat.clone()))
    }
}

/// The number of the conversation that an event names; `None` for a message from the channel, whose conversation is only known from what
/// it does there.
pub(crate) fn numbered(body: &EventBody) -> Option<u64> {
    match body {
        EventBody::Message(_) => None,
        EventBody::Sent { conversation, .. } => Some(*conversation),
        EventBody::Status { conversation, .. } => Some(conversation.unwrap_or_default()),
        _ => Some(0),
    }
}
