//! What was said in a conversation, page by page. How far an own message came is read from the message and its receipts, and its text,
//! where the timeline has none, is rendered from the template with the seed of the message. People are shown by the names of their
//! contacts; all look-ups are for the entries of the page.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use uuid::Uuid;

use super::authors::{Author, Authors};
use crate::commands::Commands;
use crate::commands::contacts::KnownContact;
use crate::ids::render_seed;
use crate::model::{ContactType, Conversation, EntryContent, EntryKind, Receipts, StoredMessage, TimelineItem};
use crate::ports::{RenderJob, TimelinePage, TimelineRange};
use crate::{Error, MessageKey, Result, TenantIndex};

/// Maximum number of entries of one page.
pub const MAX_ENTRIES: usize = 100;
/// A longer id of a channel is not looked up, in bytes.
const LONGEST_ID: usize = 1_024;

/// An entry as a person sees it.
pub struct EntryView {
    /// The entry, with its text.
    pub item: TimelineItem,
    /// The message with its state, of an own one.
    pub message: Option<StoredMessage>,
    /// What the channel reported about it, of an own one.
    pub receipts: Option<Receipts>,
    /// Who sent it: `user:…`, `key:…`, `operator` or `automation:…`; `None` where that is not known.
    pub by: Option<String>,
    /// Who wrote it.
    pub author: Author,
    /// The entry that it replies to, if it is still there.
    pub reply: Option<Quoted>,
}

/// An entry that another one replies to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quoted {
    /// Its public id.
    pub id: Uuid,
    /// Its number.
    pub number: u64,
    /// Its kind.
    pub kind: EntryKind,
    /// How it begins; empty where it has no text, or was deleted.
    pub excerpt: String,
}

/// A page of a timeline.
pub struct TimelineView {
    /// The conversation.
    pub conversation: Conversation,
    /// The entries, in ascending order.
    pub entries: Vec<EntryView>,
    /// The contacts among those who wrote, are mentioned or reacted, by the addresses that the entries name them by.
    pub contacts: BTreeMap<String, KnownContact>,
    /// Whether there are older ones between the times asked for.
    pub has_older: bool,
    /// Whether there are newer ones between the times asked for.
    pub has_newer: bool,
}

impl Commands {
    /// A page of what was said in a conversation: the newest entries, unless `range` says otherwise. At most [`MAX_ENTRIES`].
    pub async fn conversation_timeline(
        &self,
        tenant: TenantIndex,
        id: Uuid,
        range: &TimelineRange,
        limit: usize,
    ) -> Result<TimelineView> {
        let conversation = self.own_conversation(tenant, id)?;
        let page = self.ports().store.timeline(tenant, conversation.number, range, limit.clamp(1, MAX_ENTRIES))?;
        self.timeline_view(conversation, page).await
    }

    /// The entries around a number: half of the page older ones, then the entry with this number, if there is one, and newer ones. Where
    /// one side has fewer, the other has more. Of `range`, only the times count.
    pub async fn conversation_timeline_around(
        &self,
        tenant: TenantIndex,
        id: Uuid,
        around: u64,
        range: &TimelineRange,
        limit: usize,
    ) -> Result<TimelineView> {
        let conversation = self.own_conversation(tenant, id)?;
        let limit = limit.clamp(1, MAX_ENTRIES);
        let read =
            |range: TimelineRange, limit| self.ports().store.timeline(tenant, conversation.number, &range, limit);
        let from_here = TimelineRange { before: None, after: Some(around.saturating_sub(1)), ..*range };
        let older = TimelineRange { before: Some(around), after: None, ..*range };
        let mut newer = read(from_here, limit - limit / 2)?;
        let mut page = match limit - newer.items.len() {
            0 => TimelinePage { has_older: newer.has_older, ..TimelinePage::default() },
            rest => read(older, rest)?,
        };
        let room = limit - page.items.len();
        if newer.has_newer && room > newer.items.len() {
            newer = read(from_here, room)?;
        }
        page.items.append(&mut newer.items);
        page.has_newer = newer.has_newer;
        self.timeline_view(conversation, page).await
    }

    async fn timeline_view(&self, conversation: Conversation, page: TimelinePage) -> Result<TimelineView> {
        let contacts = self.people(&conversation, &page.items)?;
        let mut authors = Authors::default();
        let mut entries = Vec::with_capacity(page.items.len());
        for item in page.items {
            entries.push(self.entry_view(&conversation, item, &mut authors, &contacts)?);
        }
        self.render_entries(&mut entries).await;
        Ok(TimelineView { conversation, entries, contacts, has_older: page.has_older, has_newer: page.has_newer })
    }

    /// The contacts among those whom entries name.
    fn people(&self, conversation: &Conversation, items: &[TimelineItem]) -> Result<BTreeMap<String, KnownContact>> {
        let connector = self.ports().store.connector(conversation.connector)?;
        let kind = connector.and_then(|connector| ContactType::of_channel(&connector.channel));
        let Some(kind) = kind else { return Ok(BTreeMap::new()) };
        let mut addresses: BTreeSet<String> = BTreeSet::new();
        for TimelineItem { entry, .. } in items {
            let reactors = entry.reactions.iter().filter_map(|reaction| reaction.by.as_ref());
            addresses.extend(entry.sender.iter().chain(&entry.mentions).chain(reactors).cloned());
        }
        self.known_contacts(conversation.tenant, kind, addresses)
    }

    fn entry_view(
        &self,
        conversation: &Conversation,
        item: TimelineItem,
        authors: &mut Authors,
        contacts: &BTreeMap<String, KnownContact>,
    ) -> Result<EntryView> {
        let (tenant, store) = (conversation.tenant, &self.ports().store);
        let reply = match item.entry.reply_to.as_deref().filter(|id| id.len() <= LONGEST_ID) {
            Some(provider_id) => store.timeline_item_of(tenant, conversation.number, provider_id)?,
            None => None,
        };
        let reply = reply.map(|quoted| Quoted {
            id: quoted.id,
            number: quoted.number,
            kind: quoted.entry.kind(),
            excerpt: quoted.entry.preview(),
        });
        let (mut message, mut receipts, mut by) = (None, None, None);
        if let Some(serial) = item.entry.message {
            let key = MessageKey { tenant, serial };
            let stored = store.message(key)?.ok_or_else(|| Error::internal("a timeline names no stored message"))?;
            (message, receipts, by) = (Some(stored), Some(store.receipts(key)?), self.message_by(key)?);
        }
        let author = self.author(tenant, authors, &item, (message.as_ref(), by.as_deref()), contacts)?;
        Ok(EntryView { item, message, receipts, by, author, reply })
    }

    /// Fills in the texts that the timeline does not have, with one call of the renderer. One that cannot be rendered stays away.
    async fn render_entries(&self, entries: &mut [EntryView]) {
        let mut places = Vec::new();
        let mut jobs = Vec::new();
        for (place, view) in entries.iter().enumerate() {
            let (EntryContent::Sent { text: None, .. }, Some(stored)) = (&view.item.entry.content, &view.message)
            else {
                continue;
            };
            let content = &stored.message.content;
            places.push(place);
            jobs.push(RenderJob {
                template: content.text.as_str().into(),
                seed: render_seed(stored.message.id),
                variables: Arc::from(content.template_variables()),
            });
        }
        if jobs.is_empty() {
            return;
        }
        for (place, rendered) in places.into_iter().zip(self.ports().renderer.render(jobs).await) {
            if let EntryContent::Sent { text, .. } = &mut entries[place].item.entry.content {
                *text = rendered.ok();
            }
        }
    }
}
