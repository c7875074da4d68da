//! The part of the store for conversations and their timelines: further changes for [`super::Store::commit`], and reads.

use std::collections::BTreeMap;
use std::ops::Range;

use async_trait::async_trait;
use uuid::Uuid;

use super::{ConversationFilter, StoreResult};
use crate::model::*;
use crate::{ConnectorIndex, MessageKey, TenantIndex, Timestamp};

/// A message on its way into the timeline of its conversation, which is opened if it does not exist yet.
#[derive(Debug, Clone)]
pub struct ChatMessage {
    /// The tenant that owns it.
    pub tenant: TenantIndex,
    /// The connector.
    pub connector: ConnectorIndex,
    /// Address of the conversation: of a person, the one that the contact is known by.
    pub chat: String,
    /// Whether it is a group, if that is known.
    pub is_group: Option<bool>,
    /// Name that the other side goes by, if known.
    pub contact_name: Option<String>,
    /// What it does there.
    pub act: TimelineAct,
}

/// One change of conversations and their timelines.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "boxed as a whole in a batch")]
pub enum ChatChange {
    /// A message came from the channel. It is left out if the preceding event of the batch ([`super::Change::Event`]) was left out as a
    /// repetition. One of the other side restores an archived conversation; one of the account's own means that all was read. That a
    /// conversation was opened or restored by it, or opened by another change, is appended to the tenant's log in the same batch.
    Received(ChatMessage),
    /// The first attempt to send a message, with its id. It is left out if the update of the message was stale, and does nothing where
    /// the message has an entry. A reaction, an edit or a deletion changes its entry once the message is SENT.
    Attempted(MessageKey, Uuid, ChatMessage),
    /// Opens the conversation with this chat, unless it exists.
    Open {
        /// The tenant that owns it.
        tenant: TenantIndex,
        /// The connector.
        connector: ConnectorIndex,
        /// Address of the conversation: of a person, the one that the contact is known by.
        chat: String,
        /// Whether it is a group.
        is_group: bool,
        /// Who opens it: `user:…`, `key:…`, `operator`.
        by: String,
    },
    /// Puts a conversation into a queue, and gives it a status, by their numbers; `None` leaves it as it is. Opens the conversation if it
    /// does not exist.
    Sort {
        /// The tenant that owns it.
        tenant: TenantIndex,
        /// The connector.
        connector: ConnectorIndex,
        /// Address of the conversation: of a person, the one that the contact is known by.
        chat: String,
        /// The queue.
        queue: Option<u32>,
        /// The status.
        status: Option<u32>,
    },
    /// The file of a received message is available, or cannot be fetched.
    Media {
        /// The connector.
        connector: ConnectorIndex,
        /// Address of the conversation.
        chat: String,
        /// The channel's id of the message.
        provider_id: String,
        /// Whether the file's bytes are available.
        media: MediaState,
    },
    /// The conversation is a group, and this is its name. Opens none.
    GroupName {
        /// The connector.
        connector: ConnectorIndex,
        /// Address of the group.
        chat: String,
        /// Its name.
        name: String,
    },
    /// Names who sent the message inserted last in this batch: `user:…`, `key:…`.
    Author(String),
    /// Deletes a conversation: it is gone at once, and its rows are purged in steps. [`super::Conflict::Gone`] if the tenant has no such
    /// conversation.
    Delete(TenantIndex, Uuid),
    /// Replaces what a tenant set for itself.
    Settings(TenantIndex, TenantSettings),
}

/// The part of a timeline that is asked for. Bounds combine by AND.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TimelineRange {
    /// Only entries with a lower number.
    pub before: Option<u64>,
    /// Only entries with a higher number. Given alone, the page has the oldest of them; otherwise a page has the newest.
    pub after: Option<u64>,
    /// Only entries taken at this time or later.
    pub from: Option<Timestamp>,
    /// Only entries taken at this time or earlier.
    pub to: Option<Timestamp>,
}

/// A page of a timeline, in ascending order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TimelinePage {
    /// The entries.
    pub items: Vec<TimelineItem>,
    /// Whether there are older ones between the times asked for.
    pub has_older: bool,
    /// Whether there are newer ones between the times asked for.
    pub has_newer: bool,
}

/// What is looked for in timelines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntrySearch {
    /// Words that must all occur in [`TimelineEntry::words`], also inside of other words; case and accents are ignored.
    pub words: String,
    /// Only in this conversation, by its number.
    pub conversation: Option<u64>,
    /// Only entries with a lower number.
    pub before: Option<u64>,
    /// Maximum number of hits.
    pub limit: usize,
    /// Maximum number of entries that are looked at.
    pub most_looked: usize,
    /// How much is looked at, in bytes of stored entries; the last one of them may exceed it.
    pub most_bytes: usize,
}

/// An entry in which all words were found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryHit {
    /// The entry.
    pub item: TimelineItem,
    /// Its conversation.
    pub conversation: Conversation,
    /// Where the words are in [`TimelineEntry::words`], in characters: ascending, and none touches the next.
    pub marks: Vec<Range<usize>>,
}

/// What was found in timelines, the newest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FoundEntries {
    /// The hits.
    pub hits: Vec<EntryHit>,
    /// Entries with a lower number were not looked at; `None` where all were.
    pub rest_before: Option<u64>,
}

/// The order of a list of conversations, and where its page begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConversationOrder {
    /// By id, after this one.
    Id {
        /// The last id of the previous page.
        after: Option<Uuid>,
    },
    /// The last active first, see [`Conversation::active_at`].
    Activity {
        /// How many are skipped.
        offset: u64,
    },
    /// Those whose other side waits longest for an answer first, see [`Conversation::waiting_since`]; then those who do not wait, the last
    /// active first.
    Waiting {
        /// How many are skipped.
        offset: u64,
    },
    /// The last opened first.
    Opened {
        /// How many are skipped.
        offset: u64,
    },
}

/// A page of a list of conversations, with the exact number of matches.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FoundConversations {
    /// The conversations of the page.
    pub rows: Vec<Conversation>,
    /// Number of all matches, on all pages.
    pub total: u64,
    /// Whether there are more after the page.
    pub more: bool,
}

/// How many conversations a tenant has, by what they are. All counts but `archived` are of those that are not archived.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConversationCounts {
    /// Those that are not archived.
    pub open: u64,
    /// Those that are.
    pub archived: u64,
    /// Those with unread messages.
    pub unread: u64,
    /// Those that are assigned to nobody.
    pub unassigned: u64,
    /// Those that are assigned to the user who asks.
    pub mine: u64,
    /// Those in which the automations are paused.
    pub paused: u64,
    /// Those in which an automation took part and is not paused, by connector and whether it is a group.
    pub engaged: Vec<(ConnectorIndex, bool, u64)>,
    /// By connector.
    pub by_connector: Vec<(ConnectorIndex, u64)>,
    /// By tag, the most frequent first; at most [`MAX_COUNTED_TAGS`].
    pub by_tag: Vec<(String, u64)>,
}

/// Maximum number of tags that are counted one by one.
pub const MAX_COUNTED_TAGS: usize = 1_000;

/// Rows to be purged in one step, with the received files that go with them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Purge {
    /// The tenant that owns them.
    pub tenant: TenantIndex,
    /// Ids of the received files: to be deleted before the rows, which are all that names them.
    pub files: Vec<Uuid>,
    /// What is purged.
    pub what: Purged,
}

/// What is purged in one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Purged {
    /// A part of what a deleted conversation left.
    Conversation {
        /// Number of the conversation.
        number: u64,
        /// Its id.
        id: Uuid,
        /// Entries of its timeline.
        items: Vec<u64>,
        /// Whether nothing of it is left after this step.
        last: bool,
    },
    /// Received messages that are older than the tenant keeps them: number of the conversation and of the entry.
    Outdated {
        /// The entries, by conversation.
        items: Vec<(u64, u64)>,
        /// All entries up to this number were looked at.
        upto: u64,
    },
}

/// Reads of conversations and timelines. The defaults are those of a store without any.
#[expect(unused_variables, reason = "the defaults read nothing")]
#[async_trait]
pub trait ChatStore: Send + Sync + 'static {
    /// A conversation by its number.
    fn conversation_by_number(&self, tenant: TenantIndex, number: u64) -> StoreResult<Option<Conversation>> {
        Ok(None)
    }
    /// A page of a tenant's conversations, with the exact number of matches.
    async fn find_conversations(
        &self,
        tenant: TenantIndex,
        filter: ConversationFilter,
        order: ConversationOrder,
        limit: usize,
    ) -> StoreResult<FoundConversations> {
        Ok(FoundConversations::default())
    }
    /// When something was last said on each of a tenant's connectors, by [`Conversation::active_at`]; connectors without conversations are
    /// left out.
    async fn last_activity(&self, tenant: TenantIndex) -> StoreResult<BTreeMap<ConnectorIndex, Timestamp>> {
        Ok(BTreeMap::new())
    }
    /// Counts a tenant's conversations; `user` is the one who asks.
    async fn count_conversations(&self, tenant: TenantIndex, user: Option<Uuid>) -> StoreResult<ConversationCounts> {
        Ok(ConversationCounts::default())
    }

    /// A page of a conversation's timeline, at most `limit` entries.
    fn timeline(
        &self,
        tenant: TenantIndex,
        conversation: u64,
        range: &TimelineRange,
        limit: usize,
    ) -> StoreResult<TimelinePage> {
        Ok(TimelinePage::default())
    }
    /// Looks for words in what was said, from the newest entry back. It ends at `limit` hits, after `most_looked` entries or
    /// `most_bytes`, whichever comes first. Only few of them run at once: others wait.
    async fn search_entries(&self, tenant: TenantIndex, search: EntrySearch) -> StoreResult<FoundEntries> {
        Ok(FoundEntries::default())
    }
    /// An entry by its number.
    fn timeline_item(&self, tenant: TenantIndex, number: u64) -> StoreResult<Option<TimelineItem>> {
        Ok(None)
    }
    /// An entry by its public id: of a received message, or of an own one.
    fn timeline_item_by_id(&self, tenant: TenantIndex, id: Uuid) -> StoreResult<Option<TimelineItem>> {
        Ok(None)
    }
    /// The entry of a conversation by the channel's id of its message.
    fn timeline_item_of(
        &self,
        tenant: TenantIndex,
        conversation: u64,
        provider_id: &str,
    ) -> StoreResult<Option<TimelineItem>> {
        Ok(None)
    }
    /// Who sent a message, see [`ChatChange::Author`].
    fn message_author(&self, key: MessageKey) -> StoreResult<Option<String>> {
        Ok(None)
    }
    /// The automation that sent a message, if one did.
    fn message_origin(&self, key: MessageKey) -> StoreResult<Option<Origin>> {
        Ok(None)
    }

    /// Received entries that were read and of which the channel does not know it yet, oldest first: the newest `limit` of them.
    fn read_untold(&self, conversation: &Conversation, limit: usize) -> StoreResult<Vec<TimelineItem>> {
        Ok(Vec::new())
    }
    /// Conversations of a connector in which the channel is still to be told what was read, after the id `after`, ordered by id.
    fn untold_conversations(
        &self,
        connector: ConnectorIndex,
        after: Option<Uuid>,
        limit: usize,
    ) -> StoreResult<Vec<Uuid>> {
        Ok(Vec::new())
    }

    /// What a tenant set for itself. Cheap: from memory.
    fn tenant_settings(&self, tenant: TenantIndex) -> StoreResult<TenantSettings> {
        Ok(TenantSettings::default())
    }
    /// What a deleted conversation left, at most `limit` entries of its timeline; `None` when nothing is left of any.
    fn purgeable(&self, limit: usize) -> StoreResult<Option<Purge>> {
        Ok(None)
    }
    /// A tenant's received messages that were taken before `before`: looks at `limit` entries. `None` at the end.
    fn outdated(&self, tenant: TenantIndex, before: Timestamp, limit: usize) -> StoreResult<Option<Purge>> {
        Ok(None)
    }
    /// Deletes what [`Self::purgeable`] or [`Self::outdated`] found. Safe to repeat.
    async fn purge(&self, purge: Purge) -> StoreResult<()> {
        Ok(())
    }
}
