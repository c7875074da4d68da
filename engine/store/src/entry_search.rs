//! Looking for words in what was said. There is no index of it: entries are read from the newest back, at most so many and so much for each
//! question, and the answer says where the next one goes on. Within a conversation its timeline is read; otherwise the tenant's entries in
//! the order of their numbers, which is that of their coming.

use std::collections::HashMap;
use std::ops::Range;

use memchr::memmem::Finder;
use pombo_domain::TenantIndex;
use pombo_domain::model::TimelineItem;
use pombo_domain::ports::{EntrySearch, StoreResult};

use crate::backend::{Backend, KeyRange, Order};
use crate::codec::bad_key;
use crate::keys;
use crate::search::fold;
use crate::space::Space;
use crate::tables::{conversations, timeline};

/// How many searches run at once; others wait for their turn.
pub(crate) const AT_ONCE: usize = 1;

/// Entries with the places of the words, the newest first, and where those begin that were not looked at.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) hits: Vec<(TimelineItem, Vec<Range<usize>>)>,
    pub(crate) rest_before: Option<u64>,
}

/// An entry's number, its size in bytes and what it says.
type Entry = StoreResult<(u64, usize, Option<TimelineItem>)>;
type Entries<'a> = Box<dyn Iterator<Item = Entry> + 'a>;

/// Looks for words in a tenant's entries. Blocks. A search without words finds nothing.
pub(crate) fn search(backend: &dyn Backend, tenant: TenantIndex, search: &EntrySearch) -> StoreResult<Found> {
    let words = fold::query_words(&search.words);
    let finders: Vec<Finder<'_>> = words.iter().map(|word| Finder::new(word.as_bytes())).collect();
    let mut found = Found::default();
    let newest = match search.before {
        Some(before) => before.saturating_sub(1).min(timeline::MAX_NUMBER),
        None => timeline::MAX_NUMBER,
    };
    // Numbers begin with 1.
    if words.is_empty() || newest == 0 || search.limit == 0 {
        return Ok(found);
    }
    let entries = match search.conversation {
        Some(conversation) => of_conversation(backend, tenant, conversation, newest),
        None => of_tenant(backend, tenant, newest),
    };
    let mut folded = String::new();
    // A deleted conversation is gone at once, its entries only little by little.
    let mut is_there: HashMap<u64, bool> = HashMap::new();
    let (mut looked, mut bytes, mut rest_before) = (0, 0, newest + 1);
    for entry in entries {
        let (number, size, item) = entry?;
        if found.hits.len() >= search.limit || looked >= search.most_looked || bytes >= search.most_bytes {
            found.rest_before = Some(rest_before);
            break;
        }
        looked += 1;
        bytes += size;
        rest_before = number;
        let Some(item) = item else { continue };
        let Some(text) = item.entry.words() else { continue };
        folded.clear();
        fold::fold_into(text, &mut folded);
        if !finders.iter().all(|finder| finder.find(folded.as_bytes()).is_some()) {
            continue;
        }
        let known = match is_there.get(&item.conversation) {
            Some(known) => *known,
            None => {
                let known = conversations::id_by_number(backend, tenant, item.conversation)?.is_some();
                is_there.insert(item.conversation, known);
                known
            }
        };
        if known {
            let marks = fold::marks(text, &words);
            found.hits.push((item, marks));
        }
    }
    Ok(found)
}

/// The entries of a conversation up to the number `newest`, the newest first.
fn of_conversation(backend: &dyn Backend, tenant: TenantIndex, conversation: u64, newest: u64) -> Entries<'_> {
    let all = KeyRange::prefix(&keys::numbered(keys::ENTRY, tenant, conversation));
    let range = all.through(&keys::entry(tenant, conversation, newest));
    Box::new(backend.scan(Space::Timeline, range, Order::Reverse).map(|row| -> Entry {
        let (key, row) = row?;
        let item = timeline::parse(&key, &row)?;
        Ok((item.number, row.len(), Some(item)))
    }))
}

/// The same of all of a tenant's conversations. An entry that was deleted since its number was read is `None`.
fn of_tenant(backend: &dyn Backend, tenant: TenantIndex, newest: u64) -> Entries<'_> {
    let all = KeyRange::prefix(&keys::one_of_tenant(keys::ENTRY_CONVERSATION, tenant));
    let range = all.through(&keys::numbered(keys::ENTRY_CONVERSATION, tenant, newest));
    Box::new(backend.scan(Space::Timeline, range, Order::Reverse).map(move |row| -> Entry {
        let (key, row) = row?;
        let (_, number) = keys::parse_numbered(&key).ok_or_else(|| bad_key("timelines"))?;
        let key = keys::entry(tenant, timeline::parse_number(&row)?, number);
        Ok(match backend.get(Space::Timeline, &key)? {
            Some(row) => (number, row.len(), Some(timeline::parse(&key, &row)?)),
            None => (number, 0, None),
        })
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory_backend::MemoryBackend;
    use crate::staged::Staged;
    use pombo_domain::model::{Conversation, Inbound, InboundContent, TimelineAct};
    use pombo_domain::{ConnectorIndex, Timestamp};
    use uuid::Uuid;

    const T: TenantIndex = TenantIndex(3);

    /// Entries with the numbers from 1 in the conversations with these numbers.
    fn said(entries: &[(u64, &str)]) -> MemoryBackend {
        let backend = MemoryBackend::default();
        for (place, (of, text)) in entries.iter().enumerate() {
            let mut staged = Staged::new(&backend);
            let id = Uuid::from_u128(u128::from(*of));
            let chat = format!("55{of}");
            let inbound = Inbound {
                provider_id: place.to_string(),
                chat: chat.clone(),
                sender: chat.clone(),
                sender_name: None,
                from_me: false,
                is_group: false,
                reply_to: None,
                mentions: Vec::new(),
                sent_at: Timestamp(1),
                content: InboundContent::Text((*text).to_owned()),
            };
            let new = Conversation::new(id, T, ConnectorIndex(1), chat, false, Timestamp(0));
            let mut one = Conversation { number: *of, ..new };
            conversations::put_keys(&mut staged, &one);
            let TimelineAct::Say(entry) = TimelineAct::of(&inbound) else { panic!("a text adds an entry") };
            let (number, row) = (place as u64 + 1, timeline::prepare(&entry));
            let item = timeline::NewItem { number, id, at: Timestamp(1), entry: &entry, row };
            timeline::add(&mut staged, &mut one, item).expect("added");
            backend.write(staged.into_writes()).expect("written");
        }
        backend
    }

    fn asked(words: &str) -> EntrySearch {
        let (words, most_bytes) = (words.to_owned(), usize::MAX);
        EntrySearch { words, conversation: None, before: None, limit: 10, most_looked: 100, most_bytes }
    }

    fn numbers(backend: &MemoryBackend, asked: &EntrySearch) -> (Vec<u64>, Option<u64>) {
        let found = search(backend, T, asked).expect("readable");
        (found.hits.iter().map(|(item, _)| item.number).collect(), found.rest_before)
    }

    #[test]
    fn the_newest_comes_first_and_each_answer_says_where_the_next_goes_on() {
        let backend = said(&[(7, "oi 1"), (8, "oi 2"), (7, "tchau"), (7, "oi 4"), (8, "oi 5")]);
        assert_eq!(numbers(&backend, &asked("oi")), (vec![5, 4, 2, 1], None));
        let page = |before, limit| numbers(&backend, &EntrySearch { before, limit, ..asked("oi") });
        assert_eq!(page(None, 2), (vec![5, 4], Some(4)));
        assert_eq!(page(Some(4), 2), (vec![2, 1], None), "nothing is left");
        assert_eq!(page(Some(4), 1), (vec![2], Some(2)));
        assert_eq!(page(Some(1), 2), (vec![], None));
        assert_eq!(page(Some(0), 2), (vec![], None));
        assert_eq!(page(Some(u64::MAX), 9).0, [5, 4, 2, 1]);
        let few = |before| numbers(&backend, &EntrySearch { before, most_looked: 2, ..asked("tchau") });
        assert_eq!(few(None), (vec![], Some(4)), "two were looked at");
        assert_eq!(few(Some(4)), (vec![3], Some(2)));
        assert_eq!(few(Some(2)), (vec![], None));
        let little = |before| numbers(&backend, &EntrySearch { before, most_bytes: 1, ..asked("oi") });
        assert_eq!(little(None), (vec![5], Some(5)), "one is looked at, however long it is");
        assert_eq!(little(Some(4)), (vec![], Some(3)));
    }

    #[test]
    fn one_conversation_alone_and_no_words_and_no_other_tenant() {
        let backend = said(&[(7, "oi 1"), (8, "oi 2"), (7, "tchau"), (7, "oi 4")]);
        let within = |conversation, before| {
            numbers(&backend, &EntrySearch { conversation: Some(conversation), before, limit: 1, ..asked("oi") })
        };
        assert_eq!(within(7, None), (vec![4], Some(4)));
        assert_eq!(within(7, Some(4)), (vec![1], None));
        assert_eq!(within(9, None), (vec![], None));
        assert_eq!(numbers(&backend, &asked(" \u{301} ")), (vec![], None), "an accent alone is no word");
        let other = search(&backend, TenantIndex(4), &asked("oi")).expect("readable");
        assert_eq!(other, Found::default());
    }
}
