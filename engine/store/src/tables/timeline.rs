//! Timelines: the entries of conversations, found by their order, by number, by the channel's id and by message; the numbers that
//! were given; what messages that react, edit or delete do once they are SENT; who sent a message; conversations of which the channel
//! is still to be told that they were read.
//!
//! A row of an entry is `format:1 at:8 ordinal:8 id:16` and the entry as postcard: the entry is encoded on the caller's task, and the
//! committer only fills in the head. Invariants: each entry is found by its number, and by its message if it has one; the newest one is
//! the conversation's last; ordinals grow by one with each entry of the other side.

use pombo_domain::model::*;
use pombo_domain::ports::{StoreResult, TimelinePage, TimelineRange};
use pombo_domain::{MessageKey, TenantIndex, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::backend::{Backend, Bytes, KeyRange, Order};
use crate::codec::{FORMAT, append, bad_key, body_of, damaged, decode, encode as encode_row};
use crate::keys::{self, Parts};
use crate::space::Space;
use crate::staged::Staged;

const WHAT: &str = "timelines";

const HEADER: usize = 1 + 8 + 8 + 16;

/// A row without its head.
pub(crate) fn prepare(entry: &TimelineEntry) -> Vec<u8> {
    let mut row = Vec::with_capacity(HEADER + 200);
    row.push(FORMAT);
    row.resize(HEADER, 0);
    append(row, entry)
}

fn complete(row: &mut [u8], at: Timestamp, ordinal: u64, id: Uuid) {
    row[1..9].copy_from_slice(&at.0.to_le_bytes());
    row[9..17].copy_from_slice(&ordinal.to_le_bytes());
    row[17..HEADER].copy_from_slice(id.as_bytes());
}

/// When an entry was taken, its ordinal and id.
pub(crate) struct Head {
    pub(crate) at: Timestamp,
    pub(crate) ordinal: u64,
    pub(crate) id: Uuid,
}

pub(crate) fn head(row: &[u8]) -> StoreResult<(Head, &[u8])> {
    let mut parts = Parts(row);
    let mut read = || {
        (parts.u8()? == FORMAT).then_some(())?;
        let at = Timestamp(i64::from_le_bytes(parts.take(8)?.try_into().ok()?));
        let ordinal = u64::from_le_bytes(parts.take(8)?.try_into().ok()?);
        Some(Head { at, ordinal, id: parts.uuid()? })
    };
    let head = read().ok_or_else(|| damaged("timelines: an unknown row format"))?;
    Ok((head, parts.0))
}

/// The entry under a key.
pub(crate) fn parse(key: &[u8], row: &[u8]) -> StoreResult<TimelineItem> {
    let (_, conversation, number) = keys::parse_entry(key).ok_or_else(|| bad_key(WHAT))?;
    let (Head { at, ordinal, id }, body) = head(row)?;
    Ok(TimelineItem { number, conversation, id, at, ordinal, entry: body_of(body, WHAT)? })
}

fn put_item(staged: &mut Staged<'_>, tenant: TenantIndex, item: &TimelineItem) {
    let mut row = prepare(&item.entry);
    complete(&mut row, item.at, item.ordinal, item.id);
    staged.put(Space::Timeline, keys::entry(tenant, item.conversation, item.number).bytes(), row);
}

/// A number of 5 bytes that is stored in a row.
fn number_row(number: u64) -> Vec<u8> {
    keys::Key::new().serial(number).to_vec()
}

pub(crate) fn parse_number(row: &[u8]) -> StoreResult<u64> {
    Parts(row).serial().ok_or_else(|| damaged("timelines: a malformed number"))
}

// ---- the numbers of a tenant ----

/// The next numbers of a tenant, and the entry up to which was looked for outdated ones.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Numbers {
    pub(crate) conversation: u64,
    pub(crate) item: u64,
    pub(crate) looked: u64,
}

impl Default for Numbers {
    fn default() -> Self {
        Self { conversation: 1, item: 1, looked: 0 }
    }
}

pub(crate) fn put_numbers(staged: &mut Staged<'_>, tenant: TenantIndex, numbers: Numbers) {
    let row = keys::Key::new().u64(numbers.conversation).u64(numbers.item).u64(numbers.looked);
    staged.put(Space::Timeline, keys::one_of_tenant(keys::CHAT_NUMBERS, tenant).bytes(), row.to_vec());
}

pub(crate) fn parse_numbers(row: &[u8]) -> StoreResult<Numbers> {
    let mut parts = Parts(row);
    let mut read = || Some(Numbers { conversation: parts.u64()?, item: parts.u64()?, looked: parts.u64()? });
    read().ok_or_else(|| damaged("timelines: malformed numbers"))
}

// ---- what a message is to a timeline ----

/// What the row of a message says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum OfMessage {
    /// The message is this entry: conversation and number.
    Entry(u64, u64),
    /// Once it is SENT, it changes an entry of this conversation.
    Changes(Uuid, TimelineAct),
}

pub(crate) fn put_of_message(staged: &mut Staged<'_>, message: MessageKey, what: &OfMessage) {
    staged.put(Space::Timeline, keys::of_message(keys::ENTRY_MESSAGE, message).bytes(), encode_row(what));
}

pub(crate) fn parse_of_message(row: &[u8]) -> StoreResult<OfMessage> {
    decode(row, WHAT)
}

pub(crate) fn put_author(staged: &mut Staged<'_>, message: MessageKey, by: &str) {
    let mut row = vec![FORMAT];
    row.extend_from_slice(by.as_bytes());
    staged.put(Space::Timeline, keys::of_message(keys::AUTHOR, message).bytes(), row);
}

pub(crate) fn parse_author(row: &[u8]) -> StoreResult<String> {
    let text = row.strip_prefix(&[FORMAT]).and_then(|text| std::str::from_utf8(text).ok());
    text.map(str::to_owned).ok_or_else(|| damaged("timelines: an unknown row format"))
}

// ---- changes ----

/// An entry on its way into a timeline, with its row as [`prepare`] made it.
pub(crate) struct NewItem<'e> {
    pub(crate) number: u64,
    pub(crate) id: Uuid,
    pub(crate) at: Timestamp,
    pub(crate) entry: &'e TimelineEntry,
    pub(crate) row: Vec<u8>,
}

/// Adds an entry at the end of a timeline, and counts it in the conversation.
pub(crate) fn add(staged: &mut Staged<'_>, conversation: &mut Conversation, new: NewItem<'_>) -> StoreResult<()> {
    let NewItem { number, id, at, entry, mut row } = new;
    let (tenant, of) = (conversation.tenant, conversation.number);
    // The time of entries never decreases, so that they can be looked for by time.
    let at = conversation.last.as_ref().map_or(at, |last| at.max(last.at));
    if entry.is_received() {
        conversation.received += 1;
        conversation.last_received_at = Some(at);
        conversation.written_at = conversation.written_at.max(Some(entry.sent_at));
        conversation.archived_at = None;
        conversation.waiting_since = conversation.waiting_since.or(Some(at));
    } else {
        conversation.waiting_since = None;
    }
    complete(&mut row, at, conversation.received, id);
    staged.put(Space::Timeline, keys::entry(tenant, of, number).bytes(), row);
    staged.fresh(Space::Timeline, keys::numbered(keys::ENTRY_CONVERSATION, tenant, number).bytes(), number_row(of));
    if let Some(provider_id) = &entry.provider_id {
        put_provider(staged, tenant, of, provider_id, number)?;
    }
    if let Some(serial) = entry.message {
        put_of_message(staged, MessageKey { tenant, serial }, &OfMessage::Entry(of, number));
    } else if entry.from_me {
        // Who writes from the phone has read what was there.
        conversation.read_up_to(number, conversation.received, false);
    }
    conversation.last_event_at = conversation.last_event_at.max(at);
    conversation.last = Some(last_of(number, at, entry));
    Ok(())
}

fn last_of(item: u64, at: Timestamp, entry: &TimelineEntry) -> LastMessage {
    LastMessage { item, at, from_me: entry.from_me, kind: entry.kind(), preview: entry.preview() }
}

/// Makes an entry known by the channel's id, unless an earlier one is.
pub(crate) fn put_provider(
    staged: &mut Staged<'_>,
    tenant: TenantIndex,
    conversation: u64,
    provider_id: &str,
    item: u64,
) -> StoreResult<()> {
    let key = keys::entry_provider(tenant, conversation, provider_id);
    if staged.get(Space::Timeline, &key)?.is_none() {
        staged.put(Space::Timeline, key, number_row(item));
    }
    Ok(())
}

/// Changes the entry that the channel knows by `provider_id`, if there is one, and the conversation's last if it is that.
pub(crate) fn change(
    staged: &mut Staged<'_>,
    conversation: &mut Conversation,
    provider_id: &str,
    change: impl FnOnce(&mut TimelineEntry) -> bool,
) -> StoreResult<()> {
    let (tenant, of) = (conversation.tenant, conversation.number);
    let known = staged.get(Space::Timeline, &keys::entry_provider(tenant, of, provider_id))?;
    let Some(number) = known.map(|row| parse_number(&row)).transpose()? else { return Ok(()) };
    let key = keys::entry(tenant, of, number);
    let Some(row) = staged.get(Space::Timeline, &key)? else { return Ok(()) };
    let mut item = parse(&key, &row)?;
    if !change(&mut item.entry) {
        return Ok(());
    }
    put_item(staged, tenant, &item);
    if let Some(last) = conversation.last.as_mut().filter(|last| last.item == number) {
        *last = last_of(number, last.at, &item.entry);
    }
    Ok(())
}

/// Applies a reaction, an edit or a deletion. Nobody changes or deletes what another wrote, but for deletions in a group, see
/// [`TimelineEntry::revoke`].
pub(crate) fn apply(
    staged: &mut Staged<'_>,
    conversation: &mut Conversation,
    act: TimelineAct,
    at: Timestamp,
) -> StoreResult<()> {
    let is_group = conversation.is_group;
    match act {
        TimelineAct::Say(_) => Ok(()),
        TimelineAct::React { to, by, emoji } => {
            // In a conversation with one person it is that person, whichever address it comes from.
            let by = if is_group { by } else { by.map(|_| conversation.chat.clone()) };
            change(staged, conversation, &to, |entry| entry.react(by, emoji, at))
        }
        TimelineAct::Edit { of, by, text } => {
            change(staged, conversation, &of, |entry| entry.is_by(by.as_deref(), is_group) && entry.edit(text, at))
        }
        TimelineAct::Revoke { of, by } => change(staged, conversation, &of, |entry| {
            let by_author = entry.is_by(by.as_deref(), is_group);
            (by_author || is_group) && entry.revoke(by_author, at)
        }),
    }
}

/// Deletes an entry and the keys by which it is found. `provider_id` is that of an own message.
pub(crate) fn delete(
    staged: &mut Staged<'_>,
    tenant: TenantIndex,
    item: &TimelineItem,
    provider_id: Option<&str>,
) -> StoreResult<()> {
    let of = item.conversation;
    staged.delete(Space::Timeline, keys::entry(tenant, of, item.number).bytes());
    staged.delete(Space::Timeline, keys::numbered(keys::ENTRY_CONVERSATION, tenant, item.number).bytes());
    if let Some(provider_id) = item.entry.provider_id.as_deref().or(provider_id) {
        let key = keys::entry_provider(tenant, of, provider_id);
        // Another entry may be the one that is known by this id.
        if staged.get(Space::Timeline, &key)?.is_some_and(|row| row[..] == number_row(item.number)) {
            staged.delete(Space::Timeline, key);
        }
    }
    if let Some(serial) = item.entry.message {
        staged.delete(Space::Timeline, keys::of_message(keys::ENTRY_MESSAGE, MessageKey { tenant, serial }).bytes());
    }
    Ok(())
}

/// The newest entry that is on disk and not about to be deleted, as a conversation's last.
pub(crate) fn newest(
    backend: &dyn Backend,
    staged: &Staged<'_>,
    tenant: TenantIndex,
    conversation: u64,
) -> StoreResult<Option<LastMessage>> {
    let range = KeyRange::prefix(&keys::numbered(keys::ENTRY, tenant, conversation));
    for row in backend.scan(Space::Timeline, range, Order::Reverse) {
        let (key, row) = row?;
        if staged.staged(Space::Timeline, &key).is_some_and(|staging| staging.is_none()) {
            continue;
        }
        let item = parse(&key, &row)?;
        return Ok(Some(last_of(item.number, item.at, &item.entry)));
    }
    Ok(None)
}

/// Number and ordinal of the newest entry up to `item`.
pub(crate) fn ordinal_at(
    backend: &dyn Backend,
    tenant: TenantIndex,
    conversation: u64,
    item: u64,
) -> StoreResult<Option<(u64, u64)>> {
    let prefix = keys::numbered(keys::ENTRY, tenant, conversation);
    let range = KeyRange::prefix(&prefix).through(&keys::entry(tenant, conversation, item.min(MAX_NUMBER)));
    let Some(row) = backend.scan(Space::Timeline, range, Order::Reverse).next() else { return Ok(None) };
    let (key, row) = row?;
    let (_, _, number) = keys::parse_entry(&key).ok_or_else(|| bad_key(WHAT))?;
    Ok(Some((number, head(&row)?.0.ordinal)))
}

// ---- reads ----

/// The highest number that a key holds.
pub(crate) const MAX_NUMBER: u64 = (1 << 40) - 1;

pub(crate) fn item(
    backend: &dyn Backend,
    tenant: TenantIndex,
    conversation: u64,
    number: u64,
) -> StoreResult<Option<TimelineItem>> {
    let key = keys::entry(tenant, conversation, number);
    backend.get(Space::Timeline, &key)?.map(|row| parse(&key, &row)).transpose()
}

/// The conversation of an entry.
pub(crate) fn conversation_of(backend: &dyn Backend, tenant: TenantIndex, number: u64) -> StoreResult<Option<u64>> {
    if number > MAX_NUMBER {
        return Ok(None);
    }
    let row = backend.get(Space::Timeline, &keys::numbered(keys::ENTRY_CONVERSATION, tenant, number))?;
    row.map(|row| parse_number(&row)).transpose()
}

/// One conversation's entries.
struct Of<'a> {
    backend: &'a dyn Backend,
    tenant: TenantIndex,
    conversation: u64,
}

impl Of<'_> {
    fn all(&self) -> KeyRange {
        KeyRange::prefix(&keys::numbered(keys::ENTRY, self.tenant, self.conversation))
    }

    fn key(&self, number: u64) -> keys::Key {
        keys::entry(self.tenant, self.conversation, number.min(MAX_NUMBER))
    }

    /// Number and time of the first entry from `number` on.
    fn at_or_after(&self, number: u64) -> StoreResult<Option<(u64, Timestamp)>> {
        let range = self.all().from(&self.key(number));
        self.backend.scan(Space::Timeline, range, Order::Forward).next().map(number_and_time).transpose()
    }

    fn newest(&self) -> StoreResult<Option<(u64, Timestamp)>> {
        self.backend.scan(Space::Timeline, self.all(), Order::Reverse).next().map(number_and_time).transpose()
    }

    /// The number of the first entry that was taken at `at` or later, or one more than the newest. Times do not decrease with numbers,
    /// so this halves the numbers: at most 40 seeks.
    fn first_since(&self, at: Timestamp, newest: u64) -> StoreResult<u64> {
        let (mut low, mut high) = (0, newest + 1);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.at_or_after(middle)? {
                Some((number, taken)) if taken < at => low = number + 1,
                _ => high = middle,
            }
        }
        Ok(low)
    }
}

fn number_and_time(row: StoreResult<(Bytes, Bytes)>) -> StoreResult<(u64, Timestamp)> {
    let (key, row) = row?;
    let (_, _, number) = keys::parse_entry(&key).ok_or_else(|| bad_key(WHAT))?;
    Ok((number, head(&row)?.0.at))
}

/// A page of a timeline.
pub(crate) fn page(
    backend: &dyn Backend,
    tenant: TenantIndex,
    conversation: u64,
    range: &TimelineRange,
    limit: usize,
) -> StoreResult<TimelinePage> {
    let of = Of { backend, tenant, conversation };
    let Some((newest, _)) = of.newest()? else { return Ok(TimelinePage::default()) };
    // The window of the times, from its first number to before its end.
    let first = match range.from {
        Some(from) => of.first_since(from, newest)?,
        None => 0,
    };
    let end = match range.to {
        Some(to) => of.first_since(to.plus_ms(1), newest)?,
        None => newest + 1,
    };
    let low = range.after.map_or(first, |after| first.max(after.saturating_add(1)));
    let high = range.before.map_or(end, |before| end.min(before));
    let exists = |low: u64, high: u64| -> StoreResult<bool> {
        Ok(low < high && of.at_or_after(low)?.is_some_and(|(number, _)| number < high))
    };
    if low >= high || limit == 0 {
        let has_older = exists(first, low.min(end))?;
        return Ok(TimelinePage { items: Vec::new(), has_older, has_newer: exists(high.max(first), end)? });
    }
    let forward = range.after.is_some() && range.before.is_none();
    let order = if forward { Order::Forward } else { Order::Reverse };
    let keys = of.all().from(&of.key(low)).through(&of.key(high - 1));
    let mut items = Vec::new();
    let mut more = false;
    for row in backend.scan(Space::Timeline, keys, order) {
        let (key, row) = row?;
        if items.len() == limit {
            more = true;
            break;
        }
        items.push(parse(&key, &row)?);
    }
    if !forward {
        items.reverse();
    }
    let (oldest, youngest) = match (items.first(), items.last()) {
        (Some(first), Some(last)) => (first.number, last.number),
        _ => (low, high.saturating_sub(1)),
    };
    let has_older = if forward { exists(first, oldest)? } else { more || exists(first, oldest.min(low))? };
    let has_newer = if forward { more } else { exists(youngest + 1, end)? };
    Ok(TimelinePage { items, has_older, has_newer })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory_backend::MemoryBackend;
    use pombo_domain::ConnectorIndex;

    const T: TenantIndex = TenantIndex(3);

    fn conversation(number: u64) -> Conversation {
        let chat = "5511".to_owned();
        let new = Conversation::new(Uuid::from_u128(1), T, ConnectorIndex(1), chat, false, Timestamp(0));
        Conversation { number, ..new }
    }

    fn inbound(id: &str, text: &str) -> Inbound {
        Inbound {
            provider_id: id.to_owned(),
            chat: "5511".to_owned(),
            sender: "5511".to_owned(),
            sender_name: None,
            from_me: false,
            is_group: false,
            reply_to: None,
            mentions: Vec::new(),
            sent_at: Timestamp(1),
            content: InboundContent::Text(text.to_owned()),
        }
    }

    /// A timeline of entries taken at these times; every number twice as high as its place, from 2.
    fn timeline(times: &[i64]) -> MemoryBackend {
        let backend = MemoryBackend::default();
        let mut staged = Staged::new(&backend);
        let mut one = conversation(7);
        for (place, at) in times.iter().enumerate() {
            let TimelineAct::Say(entry) = TimelineAct::of(&inbound(&place.to_string(), "oi")) else { continue };
            let number = 2 * (place as u64 + 1);
            let (id, row) = (Uuid::from_u128(place as u128), prepare(&entry));
            let new = NewItem { number, id, at: Timestamp(*at), entry: &entry, row };
            add(&mut staged, &mut one, new).expect("added");
        }
        let writes = staged.into_writes();
        backend.write(writes).expect("written");
        backend
    }

    fn shown(backend: &MemoryBackend, range: TimelineRange, limit: usize) -> (Vec<u64>, bool, bool) {
        let page = page(backend, T, 7, &range, limit).expect("readable");
        (page.items.iter().map(|item| item.number).collect(), page.has_older, page.has_newer)
    }

    #[test]
    fn a_page_is_ascending_and_says_what_lies_beyond_it() {
        let backend = timeline(&[10, 20, 20, 30, 25]);
        let range = TimelineRange::default();
        assert_eq!(shown(&backend, range, 9), (vec![2, 4, 6, 8, 10], false, false));
        assert_eq!(shown(&backend, range, 2), (vec![8, 10], true, false));
        assert_eq!(shown(&backend, TimelineRange { before: Some(8), ..range }, 2), (vec![4, 6], true, true));
        assert_eq!(shown(&backend, TimelineRange { before: Some(4), ..range }, 2), (vec![2], false, true));
        assert_eq!(shown(&backend, TimelineRange { after: Some(2), ..range }, 2), (vec![4, 6], true, true));
        assert_eq!(shown(&backend, TimelineRange { after: Some(7), ..range }, 2), (vec![8, 10], true, false));
        assert_eq!(shown(&backend, TimelineRange { after: Some(10), ..range }, 2), (vec![], true, false));
        assert_eq!(shown(&backend, TimelineRange { before: Some(2), ..range }, 2), (vec![], false, true));
        let both = TimelineRange { after: Some(2), before: Some(10), ..range };
        assert_eq!(shown(&backend, both, 2), (vec![6, 8], true, true));
        assert_eq!(shown(&timeline(&[]), range, 2), (vec![], false, false));
        let far = TimelineRange { after: Some(u64::MAX), before: Some(u64::MAX), ..range };
        assert_eq!(shown(&backend, far, 2).0, Vec::<u64>::new());
    }

    #[test]
    fn entries_are_found_by_time_although_a_clock_was_set_back() {
        let backend = timeline(&[10, 20, 20, 30, 25]);
        let range = |from: Option<i64>, to: Option<i64>| TimelineRange {
            from: from.map(Timestamp),
            to: to.map(Timestamp),
            ..TimelineRange::default()
        };
        assert_eq!(shown(&backend, range(Some(20), None), 9), (vec![4, 6, 8, 10], false, false));
        assert_eq!(
            shown(&backend, range(Some(21), None), 9),
            (vec![8, 10], false, false),
            "the last counts as taken at 30"
        );
        assert_eq!(shown(&backend, range(None, Some(20)), 9), (vec![2, 4, 6], false, false));
        assert_eq!(shown(&backend, range(Some(20), Some(20)), 1), (vec![6], true, false));
        assert_eq!(shown(&backend, range(Some(31), None), 9), (vec![], false, false));
        assert_eq!(shown(&backend, range(None, Some(9)), 9), (vec![], false, false));
    }

    #[test]
    fn the_first_with_a_provider_id_stays_and_is_the_one_that_changes() {
        let backend = MemoryBackend::default();
        let mut staged = Staged::new(&backend);
        let mut one = conversation(7);
        for number in [1, 2] {
            let TimelineAct::Say(entry) = TimelineAct::of(&inbound("same", "oi")) else { continue };
            let new = NewItem { number, id: Uuid::nil(), at: Timestamp(1), entry: &entry, row: prepare(&entry) };
            add(&mut staged, &mut one, new).expect("added");
        }
        assert_eq!((one.received, one.unread(), one.last.as_ref().map(|last| last.item)), (2, 2, Some(2)));
        let edit = |by: Option<&str>| TimelineAct::Edit {
            of: "same".to_owned(),
            by: by.map(str::to_owned),
            text: "novo".to_owned(),
        };
        apply(&mut staged, &mut one, edit(None), Timestamp(5)).expect("applied");
        backend.write(std::mem::replace(&mut staged, Staged::new(&backend)).into_writes()).expect("written");
        let text = |number| {
            let item = item(&backend, T, 7, number).expect("readable").expect("there");
            item.entry.text().map(str::to_owned)
        };
        assert_eq!(text(1).as_deref(), Some("oi"), "nobody edits what another wrote");
        apply(&mut staged, &mut one, edit(Some("5511")), Timestamp(5)).expect("applied");
        backend.write(staged.into_writes()).expect("written");
        assert_eq!((text(1).as_deref(), text(2).as_deref()), (Some("novo"), Some("oi")));
    }
}
