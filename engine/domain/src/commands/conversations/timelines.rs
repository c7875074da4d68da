//! What was said in a conversation, page by page. How far an own message came is read from the message and its receipts, and its text,
//! where the timeline has none, is rendered from the template with the seed of the message.

use std::sync::Arc;

use uuid::Uuid;

use crate::commands::Commands;
use crate::ids::render_seed;
use crate::model::{Conversation, EntryContent, Receipts, StoredMessage, TimelineItem};
use crate::ports::{RenderJob, TimelineRange};
use crate::{Error, MessageKey, Result, TenantIndex};

/// Maximum number of entries of one page.
pub const MAX_ENTRIES: usize = 100;

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
}

/// A page of a timeline.
pub struct TimelineView {
    /// The conversation.
    pub conversation: Conversation,
    /// The entries, in ascending order.
    pub entries: Vec<EntryView>,
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
        let store = &self.ports().store;
        let page = store.timeline(tenant, conversation.number, range, limit.clamp(1, MAX_ENTRIES))?;
        let mut entries = Vec::with_capacity(page.items.len());
        for item in page.items {
            entries.push(self.entry_view(tenant, item)?);
        }
        self.render_entries(&mut entries).await;
        Ok(TimelineView { conversation, entries, has_older: page.has_older, has_newer: page.has_newer })
    }

    fn entry_view(&self, tenant: TenantIndex, item: TimelineItem) -> Result<EntryView> {
        let store = &self.ports().store;
        let Some(serial) = item.entry.message else {
            return Ok(EntryView { item, message: None, receipts: None, by: None });
        };
        let key = MessageKey { tenant, serial };
        let message = store.message(key)?.ok_or_else(|| Error::internal("a timeline names no stored message"))?;
        let by = match store.message_author(key)? {
            Some(by) => Some(by),
            None => match store.message_origin(key)? {
                Some(origin) => store.automation(origin.automation)?.map(|found| format!("automation:{}", found.id)),
                None => None,
            },
        };
        Ok(EntryView { item, message: Some(message), receipts: Some(store.receipts(key)?), by })
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
