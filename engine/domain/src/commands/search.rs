//! One search over what was said, conversations and contacts.
//!
//! Messages are read from the newest back, so many for each request: an answer is complete, or says where the next one goes on. One search
//! of each tenant reads at a time. Conversations and contacts are found in memory: an answer has the first [`MAX_HITS`] of them at most, and
//! their exact number. All of them are in their own lists; the one of conversations with a search also has those whose newest message
//! begins with the words.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use uuid::Uuid;

use crate::commands::Commands;
use crate::commands::contacts::ContactQuery;
use crate::commands::conversations::{ConversationQuery, ConversationView};
use crate::commands::text::{Rule, checked};
use crate::model::{Contact, TimelineItem};
use crate::ports::{ConversationFilter, ConversationOrder, EntryHit, EntrySearch};
use crate::{Error, ErrorCode, Field, Result, TenantIndex};

/// Maximum length of a search, in characters.
pub const MAX_QUERY_CHARS: usize = 200;
/// Maximum number of hits of each kind.
pub const MAX_HITS: usize = 100;
/// Maximum number of messages that one request looks at.
pub const MOST_LOOKED: usize = 10_000;
/// How much of them one request reads, in bytes.
pub const MOST_BYTES: usize = 8 << 20;
/// Searches of one tenant at once: one reads, the others wait.
const AT_ONCE: usize = 5;
/// When one that found too many others is to be repeated, in milliseconds.
const AGAIN_MS: u64 = 2_000;
/// Maximum length of the part of a text that is shown with a hit, in characters.
pub const MAX_EXCERPT_CHARS: usize = 160;
/// How much of a text is shown before the first word that was found, in characters.
const EXCERPT_BEFORE: usize = 40;

/// What is searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Searched {
    /// What was said in conversations, by either side.
    Messages,
    /// Who conversations are with: names and addresses.
    Conversations,
    /// Contacts: addresses, names, e-mail addresses and companies.
    Contacts,
}

impl Searched {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Messages, Self::Conversations, Self::Contacts];
}

/// A search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchQuery {
    /// Words that must all occur, also inside of other words; case and accents are ignored. At most [`MAX_QUERY_CHARS`].
    pub text: String,
    /// What is searched.
    pub kinds: BTreeSet<Searched>,
    /// Only messages of this conversation.
    pub conversation: Option<Uuid>,
    /// Only messages with a lower number.
    pub before: Option<u64>,
    /// Maximum number of hits of each kind, up to [`MAX_HITS`].
    pub limit: usize,
}

/// What was found, of each kind that was searched.
pub struct SearchFound {
    /// Messages, the newest first.
    pub messages: Option<FoundMessages>,
    /// Conversations, the last active first, and how many there are in all.
    pub conversations: Option<(Vec<ConversationView>, u64)>,
    /// Contacts by number, and how many there are in all.
    pub contacts: Option<(Vec<ContactHit>, u64)>,
}

/// Messages that were found.
pub struct FoundMessages {
    /// The hits.
    pub hits: Vec<MessageHit>,
    /// Messages with a lower number were not looked at; `None` where all were.
    pub rest_before: Option<u64>,
}

/// A message that was found.
pub struct MessageHit {
    /// Its conversation.
    pub conversation: ConversationView,
    /// The entry.
    pub item: TimelineItem,
    /// The part of its text in which the first word was found.
    pub excerpt: Excerpt,
}

/// A contact that was found.
pub struct ContactHit {
    /// The contact.
    pub contact: Contact,
    /// Public ids of the connectors that it is known on.
    pub connectors: Vec<Uuid>,
    /// Its other addresses.
    pub aliases: Vec<String>,
}

/// A part of a text, on one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt {
    /// The part, at most [`MAX_EXCERPT_CHARS`] characters.
    pub text: String,
    /// Where the words are in it, in characters: ascending, and none touches the next.
    pub marks: Vec<Range<usize>>,
    /// Whether the text begins before it.
    pub cut_before: bool,
    /// Whether the text goes on after it.
    pub cut_after: bool,
}

/// The searches of messages that run or wait, by tenant. Cheap to clone; all clones are one.
#[derive(Clone, Default)]
pub(crate) struct Searches(Arc<Mutex<HashMap<TenantIndex, Queue>>>);

/// Those of one tenant.
#[derive(Default)]
struct Queue {
    count: usize,
    turn: Arc<futures::lock::Mutex<()>>,
}

/// A search's place among those of its tenant, given back when it is dropped.
struct Place {
    searches: Searches,
    tenant: TenantIndex,
    /// Held while it reads.
    turn: Arc<futures::lock::Mutex<()>>,
}

impl Searches {
    fn lock(&self) -> MutexGuard<'_, HashMap<TenantIndex, Queue>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for one more, unless too many are there.
    fn enter(&self, tenant: TenantIndex) -> Result<Place> {
        let mut queues = self.lock();
        let queue = queues.entry(tenant).or_default();
        if queue.count >= AT_ONCE {
            return Err(Error {
                retry_after_ms: Some(AGAIN_MS),
                ..Error::new(ErrorCode::Unavailable, "too many searches at the same time; repeat the request later")
            });
        }
        queue.count += 1;
        Ok(Place { searches: self.clone(), tenant, turn: queue.turn.clone() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut queues = self.searches.lock();
        if let Some(queue) = queues.get_mut(&self.tenant) {
            queue.count -= 1;
            if queue.count == 0 {
                queues.remove(&self.tenant);
            }
        }
    }
}

impl Commands {
    /// Searches what a tenant has.
    pub async fn search(&self, tenant: TenantIndex, query: SearchQuery) -> Result<SearchFound> {
        let rule = Rule { field: Field::Query, max_chars: MAX_QUERY_CHARS, lines: true };
        let text = checked(rule, &query.text)?;
        let limit = query.limit.clamp(1, MAX_HITS);
        let wants = |kind| query.kinds.contains(&kind);
        let messages = match wants(Searched::Messages) {
            true => Some(self.search_messages(tenant, &text, query.conversation, query.before, limit).await?),
            false => None,
        };
        let conversations = match wants(Searched::Conversations) {
            true => {
                let filter = ConversationFilter { search_who: Some(text.clone()), ..ConversationFilter::default() };
                let query = ConversationQuery { filter, ..ConversationQuery::default() };
                let order = ConversationOrder::Activity { offset: 0 };
                let page = self.list_conversations(tenant, query, order, limit).await?;
                Some((page.items, page.total))
            }
            false => None,
        };
        let contacts = match wants(Searched::Contacts) {
            true => {
                let query = ContactQuery { search: Some(text), ..ContactQuery::default() };
                let page = self.find_contacts(tenant, query, 0, 0, limit).await?;
                let mut rows = Vec::with_capacity(page.rows.len());
                for contact in page.rows {
                    let connectors = self.connectors_of_contact(&contact)?;
                    let aliases = self.aliases_of_contact(&contact)?;
                    rows.push(ContactHit { contact, connectors, aliases });
                }
                Some((rows, page.total))
            }
            false => None,
        };
        Ok(SearchFound { messages, conversations, contacts })
    }

    async fn search_messages(
        &self,
        tenant: TenantIndex,
        text: &str,
        conversation: Option<Uuid>,
        before: Option<u64>,
        limit: usize,
    ) -> Result<FoundMessages> {
        let conversation = match conversation {
            Some(id) => Some(self.get_conversation(tenant, id)?.conversation.number),
            None => None,
        };
        let search = EntrySearch {
            words: text.to_owned(),
            conversation,
            before,
            limit,
            most_looked: MOST_LOOKED,
            most_bytes: MOST_BYTES,
        };
        let place = self.searches.enter(tenant)?;
        let _turn = place.turn.lock().await;
        let found = self.ports().store.search_entries(tenant, search).await?;
        let mut hits = Vec::with_capacity(found.hits.len());
        for EntryHit { item, conversation, marks } in found.hits {
            let excerpt = excerpt(item.entry.words().unwrap_or_default(), &marks);
            hits.push(MessageHit { conversation: self.conversation_view(conversation)?, item, excerpt });
        }
        Ok(FoundMessages { hits, rest_before: found.rest_before })
    }
}

/// The part of `text` around the first mark.
fn excerpt(text: &str, marks: &[Range<usize>]) -> Excerpt {
    let length = text.chars().count();
    let first = marks.first().map_or(0, |mark| mark.start);
    let start = first.saturating_sub(EXCERPT_BEFORE).min(length.saturating_sub(MAX_EXCERPT_CHARS));
    let end = length.min(start + MAX_EXCERPT_CHARS);
    let inside = |mark: &Range<usize>| {
        let (from, to) = (mark.start.max(start), mark.end.min(end));
        (from < to).then(|| from - start..to - start)
    };
    let line = text.chars().skip(start).take(end - start).map(|c| if c.is_control() { ' ' } else { c });
    Excerpt {
        text: line.collect(),
        marks: marks.iter().filter_map(inside).collect(),
        cut_before: start > 0,
        cut_after: end < length,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(from: usize, to: usize) -> Range<usize> {
        from..to
    }

    #[test]
    fn a_tenant_has_a_few_searches_at_once_and_no_other_tenant_waits_for_them() {
        let (searches, one, two) = (Searches::default(), TenantIndex(1), TenantIndex(2));
        let mut places: Vec<Place> = (0..AT_ONCE).map(|_| searches.enter(one).expect("there is room")).collect();
        let turn = places[0].turn.try_lock().expect("it is the first");
        assert!(places[1].turn.try_lock().is_none(), "one reads at a time");
        drop(turn);
        let refused = searches.enter(one).err().expect("there is no room");
        assert_eq!((refused.code, refused.retry_after_ms), (ErrorCode::Unavailable, Some(AGAIN_MS)));
        let other = searches.enter(two).expect("there is room");
        assert!(other.turn.try_lock().is_some());
        places.pop();
        places.push(searches.enter(one).expect("there is room again"));
        drop((places, other));
        assert!(searches.lock().is_empty());
    }

    #[test]
    fn an_excerpt_shows_the_first_mark_with_what_is_around_it() {
        let short = excerpt("Olá,\nJoão", &[mark(5, 9)]);
        assert_eq!((short.text.as_str(), short.marks), ("Olá, João", vec![mark(5, 9)]));
        assert!(!short.cut_before && !short.cut_after);

        let text = format!("{}João{}Ana", "é".repeat(300), "í".repeat(300));
        let middle = excerpt(&text, &[mark(300, 304), mark(604, 607)]);
        assert_eq!((middle.text.chars().count(), middle.marks), (MAX_EXCERPT_CHARS, vec![mark(40, 44)]));
        assert_eq!(middle.text.chars().skip(40).take(4).collect::<String>(), "João");
        assert!(middle.cut_before && middle.cut_after);

        let end = excerpt(&text, &[mark(604, 607)]);
        assert_eq!((end.marks, end.cut_before, end.cut_after), (vec![mark(157, 160)], true, false));
        let long = excerpt(&text, &[mark(0, 607)]);
        assert_eq!((long.marks, long.cut_before), (vec![mark(0, MAX_EXCERPT_CHARS)], false), "it is cut with the text");
        assert_eq!(excerpt("", &[]).text, "");
    }
}
