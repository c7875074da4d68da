//! Conversations get numbers, and their timelines are made from what there is: received messages from the event logs, which forget after
//! some time, and own ones from the messages that were tried on connectors whose channel has conversations. What is older than the
//! upgrade counts as read.
//!
//! The numbers are given in batches; a conversation that has one keeps it. Timelines are cleared before they are made, so that a crash
//! in between does no harm: the next start begins again. Memory holds 16 bytes for each message that a tenant tried to send in
//! conversations.

use std::collections::{BTreeSet, HashMap, HashSet};

use pombo_domain::ids::message_id;
use pombo_domain::model::event::GroupStep;
use pombo_domain::model::message::MessageAction;
use pombo_domain::model::*;
use pombo_domain::ports::StoreResult;
use pombo_domain::{ConnectorIndex, MessageKey, TenantIndex, Timestamp};
use uuid::Uuid;
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use crate::Error;
use crate::backend::{Backend, Bytes, KeyRange, Order, Write};
use crate::codec::{bad_key, damaged};
use crate::keys;
use crate::space::Space;
use crate::staged::Staged;
use crate::tables::conversations::{self, Stored};
use crate::tables::timeline::{self, NewItem, Numbers};
use crate::tables::{contacts, events, messages, people, states};

/// Rows that are rewritten in one batch.
const STEP: usize = 1_000;

pub(super) fn run(backend: &dyn Backend) -> Result<(), Error> {
    number(backend)?;
    clear(backend)?;
    let connectors = connectors(backend)?;
    for tenant in tenants(backend)? {
        let mut history = History::new(backend, tenant, &connectors)?;
        history.make()?;
        if history.items > 0 {
            tracing::info!(tenant = tenant.0, entries = history.items, "timelines were made");
        }
    }
    Ok(())
}

/// Gives each conversation a number, in the order of their ids, which is that of their opening.
fn number(backend: &dyn Backend) -> Result<(), Error> {
    let mut after: Option<Bytes> = None;
    loop {
        let all = KeyRange::prefix(&[keys::CONVERSATION_OF]);
        let range = match &after {
            Some(key) => all.after(key),
            None => all,
        };
        let page: Vec<Bytes> = backend
            .scan(Space::Conversations, range, Order::Forward)
            .take(STEP)
            .map(|row| row.map(|(key, _)| key))
            .collect::<StoreResult<_>>()?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some(last.clone());
        let mut staged = Staged::new(backend);
        let mut numbers: HashMap<TenantIndex, Numbers> = HashMap::new();
        for key in &page {
            let (tenant, id) = keys::parse_of_tenant(key).ok_or_else(|| bad_key("conversations"))?;
            let missing = || damaged("conversations: a row is missing");
            let mut stored = conversations::read(backend, id)?.ok_or_else(missing)?;
            if stored.conversation.number != 0 {
                continue;
            }
            let next = match numbers.get(&tenant) {
                Some(next) => *next,
                None => numbers_of(backend, tenant)?,
            };
            stored.conversation.number = next.conversation;
            numbers.insert(tenant, Numbers { conversation: next.conversation + 1, ..next });
            conversations::put_number(&mut staged, &stored.conversation);
            conversations::put(&mut staged, &stored);
        }
        for (tenant, next) in numbers {
            timeline::put_numbers(&mut staged, tenant, next);
        }
        backend.write(staged.into_writes())?;
    }
}

fn numbers_of(backend: &dyn Backend, tenant: TenantIndex) -> StoreResult<Numbers> {
    let row = backend.get(Space::Timeline, &keys::one_of_tenant(keys::CHAT_NUMBERS, tenant))?;
    Ok(row.map(|row| timeline::parse_numbers(&row)).transpose()?.unwrap_or_default())
}

/// Removes what an earlier try has made of timelines; the numbers of conversations stay.
fn clear(backend: &dyn Backend) -> Result<(), Error> {
    loop {
        let mut writes = Vec::new();
        for row in backend.scan(Space::Timeline, KeyRange::prefix(&[]), Order::Forward) {
            let (key, _) = row?;
            if key.first() != Some(&keys::CHAT_NUMBERS) {
                writes.push(Write { space: Space::Timeline, key, value: None });
            }
            if writes.len() >= STEP {
                break;
            }
        }
        if writes.is_empty() {
            break;
        }
        backend.write(writes)?;
    }
    let mut staged = Staged::new(backend);
    for row in backend.scan(Space::Timeline, KeyRange::prefix(&[keys::CHAT_NUMBERS]), Order::Forward) {
        let (key, row) = row?;
        let tenant = keys::parse_tenant(&key).ok_or_else(|| bad_key("timelines"))?;
        let numbers = Numbers { item: 1, looked: 0, ..timeline::parse_numbers(&row)? };
        timeline::put_numbers(&mut staged, tenant, numbers);
    }
    backend.write(staged.into_writes())?;
    forget_entries(backend)
}

/// Takes from the conversations what an earlier try has counted in them.
fn forget_entries(backend: &dyn Backend) -> Result<(), Error> {
    let mut after: Option<Bytes> = None;
    loop {
        let all = KeyRange::prefix(&[keys::CONVERSATION]);
        let range = match &after {
            Some(key) => all.after(key),
            None => all,
        };
        let page: Vec<(Bytes, Bytes)> =
            backend.scan(Space::Conversations, range, Order::Forward).take(STEP).collect::<StoreResult<_>>()?;
        let Some((last, _)) = page.last() else { return Ok(()) };
        after = Some(last.clone());
        let mut staged = Staged::new(backend);
        for (_, row) in &page {
            let mut stored = conversations::parse(row)?;
            let conversation = &mut stored.conversation;
            if conversation.last.take().is_some() {
                conversation.last_received_at = None;
                (conversation.received, conversation.read) = (0, 0);
                (conversation.read_to, conversation.read_told) = (0, 0);
                conversations::put(&mut staged, &stored);
            }
        }
        let writes = staged.into_writes();
        if !writes.is_empty() {
            backend.write(writes)?;
        }
    }
}

/// The kind of contacts of each connector.
fn connectors(backend: &dyn Backend) -> StoreResult<HashMap<ConnectorIndex, Option<ContactType>>> {
    let mut found = HashMap::new();
    for row in backend.scan(Space::Documents, KeyRange::prefix(&[keys::CONNECTOR]), Order::Forward) {
        let connector = people::parse_connector(&row?.1)?;
        found.insert(connector.index, ContactType::of_channel(&connector.channel));
    }
    Ok(found)
}

/// The tenants that have events or conversations.
fn tenants(backend: &dyn Backend) -> StoreResult<BTreeSet<TenantIndex>> {
    let mut tenants: BTreeSet<TenantIndex> = events::Logs::open(backend)?.tenants().into_iter().collect();
    for row in backend.scan(Space::Timeline, KeyRange::prefix(&[keys::CHAT_NUMBERS]), Order::Forward) {
        tenants.insert(keys::parse_tenant(&row?.0).ok_or_else(|| bad_key("timelines"))?);
    }
    Ok(tenants)
}

/// One tenant's history on its way into timelines.
struct History<'a> {
    backend: &'a dyn Backend,
    tenant: TenantIndex,
    connectors: &'a HashMap<ConnectorIndex, Option<ContactType>>,
    staged: Staged<'a>,
    numbers: Numbers,
    /// Entries and changes that are staged.
    steps: usize,
    items: u64,
}

impl<'a> History<'a> {
    fn new(
        backend: &'a dyn Backend,
        tenant: TenantIndex,
        connectors: &'a HashMap<ConnectorIndex, Option<ContactType>>,
    ) -> StoreResult<Self> {
        let numbers = numbers_of(backend, tenant)?;
        Ok(Self { backend, tenant, connectors, staged: Staged::new(backend), numbers, steps: 0, items: 0 })
    }

    /// Puts what was received and what was sent into one order, by time.
    fn make(&mut self) -> Result<(), Error> {
        let mut sent = self.sent()?.into_iter().peekable();
        for event in self.events() {
            let event = event?;
            while let Some((_, serial)) = sent.next_if(|(at, _)| *at <= event.event.at) {
                self.sent_one(serial)?;
            }
            self.event(event.event)?;
        }
        for (_, serial) in sent {
            self.sent_one(serial)?;
        }
        self.flush()
    }

    fn events(&self) -> impl Iterator<Item = StoreResult<Event>> + use<'a> {
        let range = KeyRange::prefix(&keys::events_of(self.tenant));
        self.backend.scan(Space::Events, range, Order::Forward).map(|row| {
            let (key, row) = row?;
            events::parse(keys::parse_event(&key).ok_or_else(|| bad_key("events"))?, &row)
        })
    }

    /// Connectors on which something was received, or that have conversations.
    fn conversing(&self) -> StoreResult<HashSet<ConnectorIndex>> {
        let mut found = HashSet::new();
        for row in self.backend.scan(Space::Events, KeyRange::prefix(&keys::events_of(self.tenant)), Order::Forward) {
            let (_, row) = row?;
            let (head, _) = events::head(&row)?;
            if head.kind() == "message.received" {
                found.insert(head.connector);
            }
        }
        for connector in self.connectors.keys().filter(|known| !found.contains(*known)).copied().collect::<Vec<_>>() {
            let chats = KeyRange::prefix(&keys::chat(connector, ""));
            if let Some(row) = self.backend.scan(Space::Conversations, chats, Order::Forward).next() {
                row?;
                found.insert(connector);
            }
        }
        Ok(found)
    }

    /// Time and serial of the messages that were tried in conversations, by time.
    fn sent(&self) -> StoreResult<Vec<(Timestamp, u64)>> {
        let conversing = self.conversing()?;
        let mut sent = Vec::new();
        if conversing.is_empty() {
            return Ok(sent);
        }
        let states = KeyRange::prefix(&keys::Key::new().u32(self.tenant.0));
        for row in self.backend.scan(Space::States, states, Order::Forward) {
            let (key, row) = row?;
            let key = keys::parse_message(&key).ok_or_else(|| bad_key("states"))?;
            let (_, state) = states::decode(&row)?;
            if state.attempts == 0 {
                continue;
            }
            let message = messages::read(self.backend, key)?;
            if message.is_some_and(|message| conversing.contains(&message.content.connector)) {
                sent.push((state.sent_at.unwrap_or(state.updated_at), key.serial));
            }
        }
        sent.sort_unstable();
        Ok(sent)
    }

    fn sent_one(&mut self, serial: u64) -> Result<(), Error> {
        let key = MessageKey { tenant: self.tenant, serial };
        let missing = || damaged("messages: a record is missing");
        let message = messages::read(self.backend, key)?.ok_or_else(missing)?;
        let row = self.backend.get(Space::States, &keys::message(key))?.ok_or_else(missing)?;
        let (_, state) = states::decode(&row)?;
        let at = state.sent_at.unwrap_or(state.updated_at);
        let content = &message.content;
        // The renderer is a plugin, which does not run yet. Where a template is in the text, it is rendered when it is read.
        let text = (!content.text.contains(['{', '\\'])).then(|| content.text.clone());
        let options = &content.options;
        let act = match &options.action {
            MessageAction::Say | MessageAction::Other(_) => {
                let mut attachments = content.attachments.clone();
                attachments.extend(state.fetched.clone());
                TimelineAct::Say(TimelineEntry {
                    reply_to: options.reply_to.as_ref().map(|target| target.provider_id.clone()),
                    mentions: options.mentions.clone(),
                    content: EntryContent::Sent {
                        text,
                        subject: content.subject.clone(),
                        attachments,
                        voice_note: options.voice_note,
                        file_kind: options.file_kind,
                    },
                    ..TimelineEntry::sent(key, at)
                })
            }
            _ if state.status != Status::Sent => return Ok(()),
            MessageAction::React(to) => {
                TimelineAct::React { to: to.provider_id.clone(), by: None, emoji: content.text.clone() }
            }
            MessageAction::Edit(of) => match text {
                Some(text) => TimelineAct::Edit { of: of.provider_id.clone(), by: None, text },
                None => return Ok(()),
            },
            MessageAction::Revoke(of) => TimelineAct::Revoke { of: of.provider_id.clone(), by: None },
        };
        let mut stored = match self.find(content.connector, &content.to)? {
            Some(stored) => stored,
            None if matches!(act, TimelineAct::Say(_)) => {
                self.open(content.connector, &content.to, false, content.contact_name.clone(), at)?
            }
            None => return Ok(()),
        };
        match act {
            TimelineAct::Say(entry) => {
                let number = self.add(&mut stored, message.id, at, &entry)?;
                if let Some(provider_id) = &state.provider_id {
                    let of = stored.conversation.number;
                    timeline::put_provider(&mut self.staged, self.tenant, of, provider_id, number)?;
                }
            }
            act => timeline::apply(&mut self.staged, &mut stored.conversation, act, at)?,
        }
        self.keep(&stored)
    }

    fn event(&mut self, event: NewEvent) -> Result<(), Error> {
        let NewEvent { id, connector, at, body } = event;
        match body {
            EventBody::Message(inbound) => {
                let name = inbound.sender_name.clone().filter(|_| !inbound.is_group && !inbound.from_me);
                let act = TimelineAct::of(&inbound);
                let stored = self.find(connector, &inbound.chat)?;
                match (act, stored) {
                    (TimelineAct::Say(entry), stored) => {
                        let mut stored = match stored {
                            Some(stored) => stored,
                            None => self.open(connector, &inbound.chat, inbound.is_group, None, at)?,
                        };
                        let conversation = &mut stored.conversation;
                        conversation.is_group = inbound.is_group;
                        if name.is_some() {
                            conversation.contact_name = name;
                        }
                        let id = message_id(at, self.numbers.item, xxh3_64(id.as_bytes()));
                        self.add(&mut stored, id, at, &entry)?;
                        self.keep(&stored)
                    }
                    (act, Some(mut stored)) => {
                        timeline::apply(&mut self.staged, &mut stored.conversation, act, at)?;
                        self.keep(&stored)
                    }
                    (_, None) => Ok(()),
                }
            }
            EventBody::Media { chat, provider_id, media } => {
                let Some(mut stored) = self.find(connector, &chat)? else { return Ok(()) };
                timeline::change(&mut self.staged, &mut stored.conversation, &provider_id, |entry| {
                    match &mut entry.content {
                        EntryContent::Received(InboundContent::Attachment(file)) => {
                            file.media = media;
                            true
                        }
                        _ => false,
                    }
                })?;
                self.keep(&stored)
            }
            EventBody::Group { group, step: GroupStep::Subject(name), .. } => {
                let Some(mut stored) = self.find(connector, &group)? else { return Ok(()) };
                let name: String = name.chars().filter(|c| !c.is_control()).take(255).collect();
                (stored.conversation.is_group, stored.conversation.contact_name) = (true, Some(name));
                self.keep(&stored)
            }
            _ => Ok(()),
        }
    }

    /// The addresses under which a chat may have a conversation: that of its contact, and its own.
    fn addresses(&self, connector: ConnectorIndex, chat: &str) -> StoreResult<[String; 2]> {
        let kind = self.connectors.get(&connector).copied().flatten();
        let known_as = match kind {
            Some(kind) => {
                let identifier = kind.identifier(chat);
                let contact = contacts::by_address(self.backend, self.tenant, kind, &identifier)?;
                contact.map_or_else(|| identifier.into_owned(), |contact| contact.identifier)
            }
            None => chat.to_owned(),
        };
        Ok([known_as, chat.to_owned()])
    }

    fn find(&self, connector: ConnectorIndex, chat: &str) -> StoreResult<Option<Stored>> {
        for chat in self.addresses(connector, chat)? {
            if let Some(row) = self.staged.get(Space::Conversations, &keys::chat(connector, &chat))? {
                let id = conversations::parse_id(&row)?;
                let row = self.staged.get(Space::Conversations, &keys::conversation(id))?;
                let row = row.ok_or_else(|| damaged("conversations: a row is missing"))?;
                return conversations::parse(&row).map(Some);
            }
        }
        Ok(None)
    }

    fn open(
        &mut self,
        connector: ConnectorIndex,
        chat: &str,
        is_group: bool,
        contact_name: Option<String>,
        at: Timestamp,
    ) -> StoreResult<Stored> {
        let [chat, _] = self.addresses(connector, chat)?;
        // There is no randomness here: what tells two conversations apart makes their ids.
        let mut told = connector.0.to_be_bytes().to_vec();
        told.extend_from_slice(chat.as_bytes());
        let mut random = [0; 10];
        random.copy_from_slice(&xxh3_128(&told).to_be_bytes()[..10]);
        let id: Uuid = uuid::Builder::from_unix_timestamp_millis(at.0.max(0) as u64, &random).into_uuid();
        let mut conversation = Conversation::new(id, self.tenant, connector, chat, is_group, at);
        conversation.contact_name = contact_name;
        conversation.number = self.numbers.conversation;
        self.numbers.conversation += 1;
        conversations::put_keys(&mut self.staged, &conversation);
        Ok(Stored { conversation, lanes: Vec::new() })
    }

    fn add(&mut self, stored: &mut Stored, id: Uuid, at: Timestamp, entry: &TimelineEntry) -> StoreResult<u64> {
        let number = self.numbers.item;
        self.numbers.item += 1;
        self.items += 1;
        let archived_at = stored.conversation.archived_at;
        let conversation = &mut stored.conversation;
        let row = timeline::prepare(entry);
        timeline::add(&mut self.staged, conversation, NewItem { number, id, at, entry, row })?;
        conversation.archived_at = archived_at;
        conversation.read_up_to(number, conversation.received, false);
        Ok(number)
    }

    fn keep(&mut self, stored: &Stored) -> Result<(), Error> {
        conversations::put(&mut self.staged, stored);
        self.steps += 1;
        if self.steps >= STEP { self.flush() } else { Ok(()) }
    }

    /// Writes what is staged, with the numbers that it was given.
    fn flush(&mut self) -> Result<(), Error> {
        if self.steps > 0 {
            timeline::put_numbers(&mut self.staged, self.tenant, self.numbers);
        }
        self.steps = 0;
        let staged = std::mem::replace(&mut self.staged, Staged::new(self.backend));
        let writes = staged.into_writes();
        if !writes.is_empty() {
            self.backend.write(writes)?;
        }
        Ok(())
    }
}
