//! From a connector's events to the changes of one batch. Reads the store, writes nothing.
//!
//! What was read is kept for the batch, so that a second event about the same message or contact builds on the first.

mod addresses;
mod from_channel;
mod own_phone;
mod read_elsewhere;
mod subjects;
mod templates_told;

use std::collections::{BTreeMap, HashMap, HashSet};

use pombo_domain::model::connector::Connector;
use pombo_domain::model::contact::{Contact, ContactStep, ContactType};
use pombo_domain::model::delivery::Delivery;
use pombo_domain::model::event::{EventBody, GroupStep};
use pombo_domain::model::health::{HealthChange, HealthSignal, HealthState};
use pombo_domain::model::inbound::{Inbound, InboundContent};
use pombo_domain::model::message::{MessageState, Status, StoredMessage};
use pombo_domain::model::receipt::{ReceiptKind, Receipts};
use pombo_domain::model::{ChannelLimits, Outreach, Progress, ReportedStatus, TaskBody, TenantSettings, TimelineAct};
use pombo_domain::ports::{
    AudienceKey, AutomationChange, Change, ChannelEvent, ChatChange, ChatMessage, KvWrite, NewTask, StoreResult, Update,
};
use pombo_domain::{MessageKey, TenantIndex, Timestamp};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::bounds::{self, Unfit};
use super::told;
use crate::account::marks::{self, EventSource};
use crate::account::{AccountHealth, judge_of};
use crate::context::Context;
use crate::lane::demands;
use crate::rules::health::Judge;
use read_elsewhere::CHAT_READ;
use templates_told::TEMPLATE;

pub(super) use own_phone::TypedWord;
pub(super) use read_elsewhere::says_what_was_read;

/// Members of a group whose own receipts are kept with a message.
const MEMBERS: usize = 2_048;

/// A message with receipts in this batch.
struct Reported {
    stored: StoredMessage,
    state: Option<MessageState>,
    receipts: Receipts,
    changed: bool,
    /// This batch steps it to a state that says the same as its receipt, so that the step tells of it.
    steps: bool,
}

/// What an event says of a contact.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Known {
    /// It wrote to the account: it becomes a contact.
    WroteHere,
    /// Somebody wrote to it on the account's phone.
    WrittenTo,
    /// Only its name.
    Named,
}

/// What is to be done in memory once the batch is stored.
pub(super) struct PostCommit {
    pub(super) health: HealthState,
    pub(super) heard: HashSet<u64>,
    /// When messages that were delivered had been accepted, and when they were delivered.
    pub(super) delivered: Vec<(Timestamp, Timestamp)>,
    pub(super) now: Timestamp,
    pub(super) pause: bool,
    pub(super) messages: usize,
    pub(super) receipts: usize,
    /// Messages of others that count for the throughput.
    pub(super) received: usize,
    /// Whether the channel told other limits.
    pub(super) limits: bool,
    /// The audience whose limit the channel told, and the limit.
    pub(super) audience_limit: Option<(AudienceKey, Option<u32>)>,
    /// Whether the channel told that a template consists of something else.
    pub(super) templates: bool,
    /// How far the account may start conversations, where the channel told it.
    pub(super) outreach: Option<Outreach>,
    /// Words that were typed on the account's phone for the engine, to be deleted in their chats.
    pub(super) typed: Vec<TypedWord>,
    /// The instants whose messages are to be released for it.
    pub(super) releases: Vec<Timestamp>,
}

/// Builds one batch.
pub(super) struct BatchBuilder<'a> {
    context: &'a Context,
    connector: &'a Connector,
    account_health: &'a AccountHealth,
    judge: Judge,
    kind: Option<ContactType>,
    tenant: TenantIndex,
    source: EventSource<'a>,
    now: Timestamp,
    changes: Vec<Change>,
    reported: BTreeMap<MessageKey, Reported>,
    /// Contacts as this batch leaves them, by identifier.
    contacts: HashMap<String, Option<Contact>>,
    signals: Vec<HealthSignal>,
    /// Kind and text of warnings: what the channel holds against the account.
    warnings: Vec<(HealthChange, String)>,
    heard: HashSet<u64>,
    /// See [`PostCommit::delivered`].
    delivered: Vec<(Timestamp, Timestamp)>,
    /// Whether the connector has automations.
    automated: bool,
    messages: usize,
    receipts: usize,
    /// Messages of others.
    received: usize,
    /// The channel's limits as this batch leaves them, where it changes them.
    limits: Option<ChannelLimits>,
    /// The limit of the connector's audience as this batch leaves it, where it changes it.
    audience_limit: Option<(AudienceKey, Option<u32>)>,
    /// Whether the channel told that a template consists of something else.
    templates: bool,
    /// How far the account may start conversations, where this batch tells it.
    outreach: Option<Outreach>,
    /// What was typed on the account's phone for the engine.
    typed: Vec<TypedWord>,
    /// The tenant's settings, once they were asked for.
    settings: Option<TenantSettings>,
    /// The instants whose messages are to be released for it.
    releases: Vec<Timestamp>,
}

/// 16 bytes of SHA-256 over the parts, each with its length, so that no two lists of parts look the same.
fn mark(parts: &[&[u8]]) -> [u8; 16] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let mut mark = [0; 16];
    mark.copy_from_slice(&hash.finalize()[..16]);
    mark
}

impl<'a> BatchBuilder<'a> {
    pub(super) fn new(context: &'a Context, connector: &'a Connector, account_health: &'a AccountHealth) -> Self {
        let now = context.ports.clock.now();
        let (tenant, index) = (connector.tenant, connector.index);
        Self {
            context,
            connector,
            account_health,
            judge: judge_of(&context.ports, connector),
            kind: ContactType::of_channel(&connector.channel),
            tenant,
            source: EventSource { tenant, connector: index, entropy: &*context.ports.entropy, now },
            now,
            changes: Vec::new(),
            reported: BTreeMap::new(),
            contacts: HashMap::new(),
            signals: Vec::new(),
            warnings: Vec::new(),
            heard: HashSet::new(),
            delivered: Vec::new(),
            automated: false,
            messages: 0,
            receipts: 0,
            received: 0,
            limits: None,
            audience_limit: None,
            templates: false,
            outreach: None,
            typed: Vec::new(),
            settings: None,
            releases: Vec::new(),
        }
    }

    /// Takes all events, in order. One that cannot be kept is left out, with a warning in the log.
    pub(super) fn all(mut self, events: &[ChannelEvent]) -> StoreResult<Self> {
        self.automated = !self.context.ports.store.automations_on(self.connector.index)?.is_empty();
        for event in events {
            if let Err(unfit) = self.one(event.clone())? {
                tracing::warn!(connector = %self.connector.id, unfit, "an event was left out");
            }
        }
        Ok(self)
    }

    fn one(&mut self, event: ChannelEvent) -> StoreResult<Result<(), Unfit>> {
        match event {
            ChannelEvent::Message(mut inbound) => match bounds::message(&mut inbound) {
                Ok(()) => self.message(inbound)?,
                Err(unfit) => return Ok(Err(unfit)),
            },
            ChannelEvent::Receipt { client_id, provider_id, recipient, kind, at, reason } => {
                let ids = [Some(&provider_id), recipient.as_ref()];
                if let Some(unfit) = ids.into_iter().flatten().find_map(|id| bounds::id(id).err()) {
                    return Ok(Err(unfit));
                }
                if let Some(id) = self.subject(client_id, Some(&provider_id))? {
                    let mut reason = reason;
                    if let Some(reason) = &mut reason {
                        bounds::cut(reason, bounds::NAME);
                    }
                    self.receipt(id, provider_id, recipient, kind, at, reason)?;
                }
            }
            ChannelEvent::Media { chat, provider_id, mut media } => {
                if let Some(unfit) = [&chat, &provider_id].into_iter().find_map(|id| bounds::id(id).err()) {
                    return Ok(Err(unfit));
                }
                bounds::media(&mut media);
                let told = format!("{media:?}");
                let mark = self.mark("media", &[&chat, &provider_id, &told]);
                let (connector, known_as) = (self.connector.index, self.chat_of(&chat, false)?);
                let changed = ChatChange::Media {
                    connector,
                    chat: known_as,
                    provider_id: provider_id.clone(),
                    media: media.clone(),
                };
                self.append(EventBody::Media { chat, provider_id, media }, Some(mark));
                self.changes.push(Change::Chat(Box::new(changed)));
            }
            ChannelEvent::Presence { .. } => {}
            ChannelEvent::Contact { address, display_name, aliases } => {
                if let Err(unfit) = bounds::id(&address) {
                    return Ok(Err(unfit));
                }
                match self.group_with(&address)? {
                    Some(group) => self.group_name(group, display_name.as_deref()),
                    None => self.contact(&address, display_name.as_deref(), aliases)?,
                }
            }
            ChannelEvent::Group { group, actor, at, mut step } => {
                if let Some(unfit) =
                    [Some(&group), actor.as_ref()].into_iter().flatten().find_map(|id| bounds::id(id).err())
                {
                    return Ok(Err(unfit));
                }
                bounds::group_step(&mut step);
                let told = (at.0.to_string(), format!("{step:?}"));
                let mark = self.mark("group", &[&group, actor.as_deref().unwrap_or_default(), &told.0, &told.1]);
                if let GroupStep::Subject(name) = &step
                    && let Some(name) = bounds::name(name)
                {
                    self.name_group(group.clone(), name);
                }
                self.append(EventBody::Group { group, actor, changed_at: at, step }, Some(mark));
            }
            ChannelEvent::Blocked(mut who) => {
                bounds::cut(&mut who, bounds::ID);
                self.signals.push(HealthSignal::Blocked);
                self.warnings.push((HealthChange::Blocked, who));
            }
            ChannelEvent::Restricted(mut how) => {
                bounds::cut(&mut how, bounds::NAME);
                self.signals.push(HealthSignal::Restricted);
                self.warnings.push((HealthChange::Restricted, how));
            }
            ChannelEvent::Other(kind, json) if kind == CHAT_READ => return self.read_elsewhere(&json),
            ChannelEvent::Other(kind, json) if kind == told::LIMITS => return self.limits(json),
            ChannelEvent::Other(kind, json) if kind == told::OUTREACH => return self.outreach(json),
            ChannelEvent::Other(kind, json) if kind == told::OPT_OUT => return self.opt_out(json),
            ChannelEvent::Other(kind, json) if kind == told::EXPIRING => return self.expiring(json),
            ChannelEvent::Other(kind, json) if kind == told::FAILED => return self.failed(&json),
            ChannelEvent::Other(mut kind, mut json) => {
                if kind == TEMPLATE {
                    self.template_told(&json);
                }
                bounds::other(&mut kind, &mut json);
                self.append(EventBody::Other(kind, json), None);
            }
        }
        Ok(Ok(()))
    }

    /// A mark by which a repetition of the event is recognised.
    fn mark(&self, what: &str, parts: &[&str]) -> [u8; 16] {
        let mut all: Vec<&[u8]> = vec![what.as_bytes(), self.connector.id.as_bytes()];
        all.extend(parts.iter().map(|part| part.as_bytes()));
        mark(&all)
    }

    fn append(&mut self, body: EventBody, once: Option<[u8; 16]>) {
        self.changes.push(self.source.event(body, once));
    }

    // ---- conversations ----

    /// The address of the group, if it is the one of a group's conversation. One that is opened in this batch counts.
    fn group_with(&self, address: &str) -> StoreResult<Option<String>> {
        let opened = |change: &Change| match change {
            Change::Chat(chat) => matches!(
                &**chat,
                ChatChange::Received(message) if message.is_group == Some(true) && message.chat == address
            ),
            _ => false,
        };
        if self.changes.iter().any(opened) {
            return Ok(Some(address.to_owned()));
        }
        let found = self.context.ports.store.conversation_with(self.connector.index, address)?;
        Ok(found.filter(|conversation| conversation.is_group).map(|conversation| conversation.chat))
    }

    /// The name of a group, unless nothing of it is left.
    fn group_name(&mut self, group: String, name: Option<&str>) {
        if let Some(name) = name.and_then(bounds::name) {
            self.name_group(group, name);
        }
    }

    fn name_group(&mut self, chat: String, name: String) {
        let named = ChatChange::GroupName { connector: self.connector.index, chat, name };
        self.changes.push(Change::Chat(Box::new(named)));
    }

    // ---- messages and contacts ----

    fn message(&mut self, inbound: Inbound) -> StoreResult<()> {
        let wrote_to_us = !inbound.from_me && !inbound.is_group;
        if !inbound.from_me {
            let known = if wrote_to_us { Known::WroteHere } else { Known::Named };
            self.known_as(&inbound.sender, inbound.sender_name.as_deref(), known)?;
        } else if !inbound.is_group {
            self.known_as(&inbound.chat, None, Known::WrittenTo)?;
        }
        // A deletion does not say anything to the account.
        if wrote_to_us && !matches!(inbound.content, InboundContent::Revoke(_)) {
            let bytes = mark(&[inbound.chat.as_bytes()]);
            let conversation = u64::from_le_bytes(bytes[..8].try_into().expect("8 of 16 bytes"));
            if !self.account_health.was_heard(conversation, self.now) && self.heard.insert(conversation) {
                self.signals.push(HealthSignal::Reply);
            }
        }
        if wrote_to_us && let InboundContent::Text(text) = &inbound.content {
            self.heed(&inbound, text)?;
        }
        self.messages += 1;
        self.received += usize::from(!inbound.from_me);
        let mark = self.mark("message", &[&inbound.chat, &inbound.sender, &inbound.provider_id]);
        let is_group = inbound.is_group;
        let chat = self.chat_of(&inbound.chat, is_group)?;
        let contact_name =
            inbound.sender_name.as_deref().filter(|_| !is_group && !inbound.from_me).and_then(bounds::name);
        let (tenant, connector) = (self.tenant, self.connector.index);
        let message = ChatMessage {
            tenant,
            connector,
            chat: chat.clone(),
            is_group: Some(is_group),
            contact_name: contact_name.clone(),
            act: TimelineAct::of(&inbound),
        };
        let received = Change::Chat(Box::new(ChatChange::Received(message)));
        // Directly after its event: where that one is left out as a repetition, so is this.
        if !self.automated || inbound.from_me {
            let typed = self.typed_on_phone(&inbound, &chat)?;
            self.append(EventBody::Message(inbound), Some(mark));
            self.changes.push(received);
            self.changes.extend(typed);
            return Ok(());
        }
        let body = match &inbound.content {
            InboundContent::Reaction { to, emoji } => {
                TaskBody::Reaction { message: to.clone(), sender: inbound.sender.clone(), emoji: emoji.clone() }
            }
            _ => TaskBody::Message(inbound.clone()),
        };
        let event = self.source.event(EventBody::Message(inbound), Some(mark));
        // The same id in the log and for automations.
        let id = match &event {
            Change::Event(append) => append.event.id,
            _ => self.context.ports.entropy.uuid(),
        };
        self.changes.push(event);
        self.changes.push(received);
        let at = self.now;
        let task = NewTask { tenant, connector, chat, is_group, contact_name, id, at, body, with_event: true };
        self.changes.push(Change::Automation(Box::new(AutomationChange::Event(task))));
        Ok(())
    }

    /// The address of a conversation: of one with a person, the one that the contact is known by, whichever the channel names.
    fn chat_of(&mut self, chat: &str, is_group: bool) -> StoreResult<String> {
        let Some(kind) = self.kind.filter(|_| !is_group) else { return Ok(chat.to_owned()) };
        let identifier = kind.identifier(chat).into_owned();
        match self.find(kind, &identifier)? {
            Some(contact) => Ok(contact.identifier),
            None => self.main_address(kind, &identifier),
        }
    }

    /// The address that another address leads to where there is no contact yet.
    fn main_address(&self, kind: ContactType, identifier: &str) -> StoreResult<String> {
        self.context.ports.store.contact_identifier(self.tenant, kind, identifier)
    }

    /// The contact of an identifier, as this batch leaves it.
    fn find(&mut self, kind: ContactType, identifier: &str) -> StoreResult<Option<Contact>> {
        if let Some(known) = self.contacts.get(identifier) {
            return Ok(known.clone());
        }
        let found = self.context.ports.store.contact(self.tenant, kind, identifier)?;
        self.contacts.insert(identifier.to_owned(), found.clone());
        Ok(found)
    }

    fn put(&mut self, asked: &str, contact: Contact) {
        self.contacts.insert(asked.to_owned(), Some(contact.clone()));
        self.contacts.insert(contact.identifier.clone(), Some(contact.clone()));
        self.changes.push(Change::Contact(contact));
    }

    /// Notes what the channel says of a contact: its name, and that it is known here. A name that the tenant chose stays.
    fn known_as(&mut self, address: &str, name: Option<&str>, known: Known) -> StoreResult<()> {
        let Some(kind) = self.kind else { return Ok(()) };
        let identifier = kind.identifier(address).into_owned();
        let mut steps: Vec<ContactStep> = name.and_then(bounds::name).map(ContactStep::PushName).into_iter().collect();
        if known != Known::Named {
            steps.push(ContactStep::Join(self.connector.index));
        }
        match self.find(kind, &identifier)? {
            Some(contact) => self.step(&identifier, contact, steps),
            None if known == Known::WroteHere => {
                let id = self.context.ports.entropy.uuid();
                let main = self.main_address(kind, &identifier)?;
                let mut contact = Contact::new(id, self.tenant, kind, main, self.now);
                contact.apply(&steps, self.now);
                self.put(&identifier, contact);
            }
            None => {}
        }
        Ok(())
    }

    /// Changes a contact that is there, unless all of it is so already.
    fn step(&mut self, asked: &str, mut contact: Contact, steps: Vec<ContactStep>) {
        if contact.apply(&steps, self.now) {
            let (tenant, id, at) = (self.tenant, contact.id, self.now);
            self.changes.push(Change::ContactSteps { tenant, id, at, steps, must_exist: true });
            self.contacts.insert(asked.to_owned(), Some(contact.clone()));
            self.contacts.insert(contact.identifier.clone(), Some(contact));
        }
    }

    // ---- receipts ----

    fn receipt(
        &mut self,
        id: Uuid,
        provider_id: String,
        recipient: Option<String>,
        kind: ReceiptKind,
        at: Timestamp,
        reason: Option<String>,
    ) -> StoreResult<()> {
        let Some(key) = self.reported(id)? else { return Ok(()) };
        let Some(reported) = self.reported.get_mut(&key) else { return Ok(()) };
        self.receipts += 1;
        let receipts = &mut reported.receipts;
        let member = recipient
            .as_deref()
            .filter(|member| receipts.members.len() < MEMBERS || receipts.members.contains_key(*member));
        let steps = reported.steps;
        let (before, failed) = (receipts.first, receipts.failed.is_some());
        let reached = before.delivered_at.is_some();
        let new = receipts.note(member, kind, at, reason.as_deref());
        if new {
            receipts.provider_id = Some(provider_id.clone());
        }
        reported.changed |= new;
        let says = reported.stored.message.content.options.action.says();
        let state = reported.state.as_ref().unwrap_or(&reported.stored.state);
        // Its outcome may be lost yet: then this proves that the channel has it.
        let open = matches!(state.status, Status::Processing | Status::Pending | Status::Waiting);
        if kind == ReceiptKind::Server && open && state.attempts > 0 && receipts.provider_id.is_none() {
            receipts.provider_id = Some(provider_id.clone());
            reported.changed = true;
        }
        let counts = says && state.sent_at.is_none_or(|sent| self.account_health.counts_from() <= sent);
        if counts && !reached && receipts.first.delivered_at.is_some() {
            self.signals.push(HealthSignal::Delivered);
        }
        if says
            && !reached
            && let Some(delivered_at) = receipts.first.delivered_at
        {
            // It may come before the outcome is stored.
            self.delivered.push((state.sent_at.unwrap_or(self.now), delivered_at));
        }
        if counts && !failed && receipts.failed.is_some() {
            self.signals.push(HealthSignal::Failed);
        }
        let next = match state.status {
            // It is with the channel after all.
            Status::Unknown if kind != ReceiptKind::Failed => {
                if says {
                    self.signals.push(HealthSignal::Sent);
                }
                state.sent(Some(provider_id.clone()), self.now).ok()
            }
            // Its outcome was lost, and with it the id by which others refer to it.
            Status::Sent if state.provider_id.is_none() && !provider_id.is_empty() => Some(MessageState {
                provider_id: Some(provider_id.clone()),
                revision: state.revision + 1,
                updated_at: self.now,
                ..state.clone()
            }),
            _ => None,
        };
        let status_now = next.as_ref().map_or(state.status, |next| next.status);
        if let Some(next) = next {
            let delivery = Delivery::of(&reported.stored.message, Some(state.status), &next);
            self.changes.push(Change::Update(Update { key, state: next.clone(), delivery }));
            reported.state = Some(next);
        }
        // Only what is news about the message, not about one more member of a group.
        let first = &reported.receipts.first;
        let status = match kind {
            ReceiptKind::Delivered if before.delivered_at != first.delivered_at => Some(ReportedStatus::Delivered),
            ReceiptKind::Read if before.read_at != first.read_at => Some(ReportedStatus::Read),
            ReceiptKind::Played if before.played_at != first.played_at => Some(ReportedStatus::Played),
            ReceiptKind::Failed if !failed => Some(ReportedStatus::Failed),
            _ => None,
        };
        let recipient_of = status.and(says.then(|| reported.stored.message.content.to.clone()));
        let previous = Progress::of(status_now, &before, failed);
        let now = Progress::of(status_now, first, reported.receipts.failed.is_some());
        if let Some(status) = status.filter(|_| self.automated && !steps) {
            let told = AutomationChange::Reported { message: key, status, reason: reason.clone() };
            self.changes.push(Change::Automation(Box::new(told)));
        }
        if new {
            let provider_id = provider_id.clone();
            let body = EventBody::Receipt { message: id, provider_id, recipient, kind, reached_at: at, reason };
            self.append(body, None);
        }
        match recipient_of {
            Some(to) if now != previous && !steps => self.progressed(id, to, provider_id, (previous, now), at),
            _ => Ok(()),
        }
    }

    /// An own message of a conversation came further.
    fn progressed(
        &mut self,
        message: Uuid,
        to: String,
        provider_id: String,
        (previous, now): (Progress, Progress),
        reached_at: Timestamp,
    ) -> StoreResult<()> {
        let store = &self.context.ports.store;
        let Some(item) = store.timeline_item_by_id(self.tenant, message)? else { return Ok(()) };
        let conversation = store.conversation_by_number(self.tenant, item.conversation)?;
        let body = EventBody::Status {
            message,
            conversation: Some(item.conversation),
            chat: conversation.map_or(to, |conversation| conversation.chat),
            provider_id: Some(provider_id),
            previous: previous.into(),
            now: now.into(),
            reached_at,
        };
        self.append(body, None);
        Ok(())
    }

    /// Returns the batch, and what to do once it is stored.
    pub(super) fn finish(mut self, writes: Vec<KvWrite>) -> (Vec<Change>, PostCommit) {
        let before = self.account_health.health();
        let marked = marks::mark(self.source, self.connector, &self.judge, &before, &self.signals);
        for (key, reported) in std::mem::take(&mut self.reported) {
            if reported.changed {
                self.changes.push(Change::Receipts(key, reported.receipts));
            }
        }
        for (kind, words) in std::mem::take(&mut self.warnings) {
            self.changes.push(self.source.health(kind, marked.score, words));
        }
        self.changes.extend(marked.changes);
        if !writes.is_empty() {
            self.changes.push(Change::Kv(self.connector.index, writes));
        }
        let plugin = self.context.ports.connectors.plugin(&self.connector.plugin).filter(|_| self.received > 0);
        let counts = demands::counts_received(plugin.and_then(|plugin| plugin.rules).as_ref());
        let received = if counts { self.received } else { 0 };
        let after = PostCommit {
            health: marked.health,
            heard: self.heard,
            delivered: self.delivered,
            now: self.now,
            pause: marked.pause,
            messages: self.messages,
            receipts: self.receipts,
            received,
            limits: self.limits.is_some(),
            audience_limit: self.audience_limit,
            templates: self.templates,
            outreach: self.outreach,
            typed: self.typed,
            releases: self.releases,
        };
        (self.changes, after)
    }
}
