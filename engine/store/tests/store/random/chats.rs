//! Conversations and their timelines: a naive program of them, and the operations on both.

use std::collections::BTreeMap;

use pombo_domain::model::*;
use pombo_domain::ports::*;
use pombo_domain::{ConnectorIndex, MessageKey, Timestamp};

use super::World;
use super::operations::{Act, Op};
use crate::chats::{change, in_chat, inbound, received, say, text};
use crate::support::*;

const C: ConnectorIndex = ConnectorIndex(1);

/// An entry as the model has it.
#[derive(Debug, Clone, PartialEq)]
struct Entry {
    number: u64,
    at: Timestamp,
    id: Option<String>,
    from_me: bool,
    /// Of a message that was sent from here.
    serial: Option<u64>,
    text: Option<String>,
    reactions: Vec<Option<String>>,
}

#[derive(Debug, Clone, Default)]
struct Chat {
    number: u64,
    entries: Vec<Entry>,
    /// The entry that is known by each id of the channel: the first one that is still there.
    known: BTreeMap<String, u64>,
    unread: Vec<u64>,
    waiting: Option<Timestamp>,
    archived: bool,
}

/// The conversations of tenant A that are not deleted, by address.
#[derive(Default)]
pub(super) struct Chats {
    chats: BTreeMap<String, Chat>,
    next_chat: u64,
    next_item: u64,
    /// Messages that have an entry, or had one in a conversation that is not purged yet.
    attempted: BTreeMap<u64, u64>,
    deleted: u64,
}

impl Chats {
    fn open(&mut self, chat: &str) -> &mut Chat {
        if !self.chats.contains_key(chat) {
            self.next_chat += 1;
            let new = Chat { number: self.next_chat, ..Chat::default() };
            self.chats.insert(chat.to_owned(), new);
        }
        self.chats.get_mut(chat).unwrap()
    }

    fn add(&mut self, chat: &str, now: Timestamp, entry: Entry) {
        self.next_item += 1;
        let number = self.next_item;
        let chat = self.open(chat);
        let at = chat.entries.last().map_or(now, |last| now.max(last.at));
        if !entry.from_me {
            chat.unread.push(number);
            chat.archived = false;
            chat.waiting.get_or_insert(at);
        } else {
            chat.waiting = None;
            if entry.serial.is_none() {
                chat.unread.clear();
            }
        }
        if let Some(id) = &entry.id {
            chat.known.entry(id.clone()).or_insert(number);
        }
        chat.entries.push(Entry { number, at, ..entry });
    }
}

/// A text that no other one contains.
fn word(n: u8) -> String {
    format!("palavra{}", char::from(b'a' + n))
}

fn new(id: Option<String>, from_me: bool, serial: Option<u64>, said: &str) -> Entry {
    let text = Some(said.to_owned());
    Entry { number: 0, at: Timestamp(0), id, from_me, serial, text, reactions: Vec::new() }
}

impl World {
    fn conversation(&self, chat: &str) -> Option<Conversation> {
        self.store.conversation_with(C, chat).unwrap()
    }

    /// Whether a message has an entry in a conversation that is not deleted.
    pub(super) fn has_entry(&self, message: &Message) -> bool {
        let ours = message.key.tenant == A && message.content.connector == C;
        let number = self.chats.attempted.get(&message.key.serial).filter(|_| ours);
        number.is_some_and(|number| self.chats.chats.values().any(|chat| chat.number == *number))
    }

    async fn step(&self, chat: &str, step: ConversationStep) {
        let id = self.conversation(chat).unwrap().id;
        let change = AutomationChange::Conversation(A, id, vec![step]);
        self.store.commit(Batch::of(vec![Change::Automation(Box::new(change))])).await.unwrap();
    }

    pub(super) async fn run_in_chats(&mut self, op: Op) {
        let now = self.clock.now();
        let name = |chat: u8| format!("chat{chat}");
        match op {
            Op::Receive(chat, id, act, from_me, fails) => {
                let chat = name(chat);
                let id = format!("id{id}");
                let of = |n: &u8| format!("id{n}");
                let content = match &act {
                    Act::Say(n) => text(&word(*n)),
                    Act::React(to, back) => {
                        InboundContent::Reaction { to: of(to), emoji: if *back { "" } else { "x" }.to_owned() }
                    }
                    Act::Edit(to, n) => InboundContent::Edit { of: of(to), text: word(*n) },
                    Act::Revoke(to) => InboundContent::Revoke(of(to)),
                };
                let message = Inbound { from_me, ..inbound(&chat, &id, content) };
                let mut changes = vec![received(&message)];
                if fails {
                    let nothing = MessageKey { tenant: B, serial: 1 << 30 };
                    changes.push(Change::Receipts(nothing, Receipts::default()));
                    assert!(self.store.commit(Batch::of(changes)).await.is_err());
                    return;
                }
                self.store.commit(Batch::of(changes)).await.unwrap();
                let known = self.chats.chats.get(&chat);
                let steps: &[&str] = match (&act, known) {
                    (Act::Say(_), None) => &["opened"],
                    (Act::Say(_), Some(known)) if known.archived && !from_me => &["restored"],
                    _ => &[],
                };
                self.follow_conversation(steps);
                self.receive(&chat, id, act, from_me, now);
            }
            Op::Attempt(pick, chat) => {
                let Some(message) = self.pick(pick) else { return };
                let MessageKey { tenant, serial } = message.message.key;
                let attempts = message.state.claim(now).ok().filter(|_| tenant == A);
                let Some(state) = attempts else { return };
                self.update(&message, state).await;
                let chat = name(chat);
                let act = say(message.message.key, "minha");
                let attempted = ChatChange::Attempted(message.message.key, message.message.id, in_chat(A, &chat, act));
                self.store.commit(Batch::of(vec![change(attempted)])).await.unwrap();
                let is_new = !self.chats.attempted.contains_key(&serial);
                let opens = is_new && !self.chats.chats.contains_key(&chat);
                self.follow_conversation(if opens { &["opened"] } else { &[] });
                if is_new {
                    self.chats.add(&chat, now, new(None, true, Some(serial), "minha"));
                    let number = self.chats.chats[&chat].number;
                    self.chats.attempted.insert(serial, number);
                }
            }
            Op::Read(chat, place, tell) => {
                let chat = name(chat);
                let Some(known) = self.chats.chats.get_mut(&chat) else { return };
                let up_to = match place {
                    Some(place) if !known.entries.is_empty() => known.entries[place % known.entries.len()].number,
                    _ => u64::MAX,
                };
                if !known.entries.is_empty() {
                    known.unread.retain(|number| *number > up_to);
                }
                self.step(&chat, ConversationStep::Read { up_to, tell }).await;
            }
            Op::Archive(chat, archive) => {
                let chat = name(chat);
                let Some(known) = self.chats.chats.get_mut(&chat) else { return };
                known.archived = archive;
                let step = if archive { ConversationStep::Archive(now) } else { ConversationStep::Restore };
                self.step(&chat, step).await;
            }
            Op::DeleteChat(chat) => {
                let chat = name(chat);
                let Some(id) = self.conversation(&chat).map(|found| found.id) else { return };
                self.store.commit(Batch::of(vec![change(ChatChange::Delete(A, id))])).await.unwrap();
                self.chats.chats.remove(&chat);
                self.chats.deleted += 1;
            }
            Op::Purge(limit) => {
                let purge = self.store.purgeable(limit).unwrap();
                assert_eq!(purge.is_some(), self.chats.deleted > 0);
                let Some(purge) = purge else { return };
                let Purged::Conversation { number, last, .. } = purge.what else { panic!("a conversation") };
                self.chats.deleted -= u64::from(last);
                // Its messages are tried as if they never were, once their entries are gone.
                let gone = |serial: &u64| {
                    let key = MessageKey { tenant: A, serial: *serial };
                    self.store
                        .timeline_item_by_id(A, self.store.message(key).unwrap().unwrap().message.id)
                        .unwrap()
                        .is_none()
                };
                self.store.purge(purge.clone()).await.unwrap();
                let here: Vec<u64> =
                    self.chats.attempted.iter().filter(|(_, of)| **of == number).map(|(serial, _)| *serial).collect();
                let left: Vec<u64> = here.into_iter().filter(gone).collect();
                self.chats.attempted.retain(|serial, _| !left.contains(serial));
            }
            Op::Outdated(age, limit) => {
                let before = now.plus_ms(-age);
                let Some(purge) = self.store.outdated(A, before, limit).unwrap() else { return };
                let Purged::Outdated { upto, .. } = purge.what else { panic!("old messages") };
                self.store.purge(purge).await.unwrap();
                for chat in self.chats.chats.values_mut() {
                    chat.entries.retain(|entry| entry.number > upto || entry.serial.is_some());
                    chat.known.retain(|_, number| *number > upto);
                    chat.unread.retain(|number| *number > upto);
                    chat.waiting = chat.waiting.filter(|_| chat.entries.last().is_some_and(|last| !last.from_me));
                }
            }
            Op::Chats(archived, unread, said, offset) => {
                let search = said.map(|n| word(n).to_uppercase());
                let filter = ConversationFilter { archived, unread, search, ..ConversationFilter::default() };
                let order = ConversationOrder::Activity { offset };
                let found = self.store.find_conversations(A, filter, order, 2).await.unwrap();
                let preview = said.map(|n| word(n));
                let shown = |chat: &Chat| chat.entries.last().and_then(|last| last.text.clone());
                let wanted = |chat: &&Chat| {
                    archived.is_none_or(|is| chat.archived == is)
                        && unread.is_none_or(|any| chat.unread.is_empty() != any)
                        && preview.is_none_or_in(&shown(chat))
                };
                let expected: Vec<&Chat> = self.chats.chats.values().filter(wanted).collect();
                assert_eq!(found.total, expected.len() as u64);
                assert!(found.rows.is_sorted_by(|a, b| a.active_at() >= b.active_at()));
                let count = expected.len().saturating_sub(offset as usize).min(2);
                assert_eq!(found.rows.len(), count);
                assert_eq!(found.more, offset as usize + count < expected.len());
            }
            _ => unreachable!("not of conversations"),
        }
    }

    fn receive(&mut self, chat: &str, id: String, act: Act, from_me: bool, now: Timestamp) {
        let by = (!from_me).then(|| chat.to_owned());
        if let Act::Say(n) = act {
            self.chats.add(chat, now, new(Some(id), from_me, None, &word(n)));
            return;
        }
        let Some(known) = self.chats.chats.get_mut(chat) else { return };
        let (Act::React(to, _) | Act::Edit(to, _) | Act::Revoke(to)) = act else { return };
        let target = format!("id{to}");
        let Some(number) = known.known.get(&target).copied() else { return };
        let Some(entry) = known.entries.iter_mut().find(|entry| entry.number == number) else { return };
        match act {
            Act::React(_, back) => {
                entry.reactions.retain(|who| *who != by);
                if !back {
                    entry.reactions.push(by);
                }
            }
            Act::Edit(_, n) if entry.from_me == from_me && entry.text.is_some() => {
                entry.text = Some(word(n));
            }
            Act::Revoke(_) if entry.from_me == from_me => {
                entry.text = None;
                entry.reactions.clear();
            }
            _ => {}
        }
    }

    pub(super) fn check_chats(&self) {
        for n in 0..4u8 {
            let chat = format!("chat{n}");
            let found = self.conversation(&chat);
            let Some(known) = self.chats.chats.get(&chat) else {
                assert_eq!(found, None);
                continue;
            };
            let found = found.unwrap();
            assert_eq!((found.number, found.archived_at.is_some()), (known.number, known.archived));
            assert_eq!((found.unread(), found.waiting_since), (known.unread.len() as u64, known.waiting));
            assert_eq!(found.last.as_ref().map(|last| last.item), known.entries.last().map(|entry| entry.number));
            let (mut entries, mut before) = (Vec::new(), None);
            loop {
                let range = TimelineRange { before, ..TimelineRange::default() };
                let page = self.store.timeline(A, found.number, &range, 3).unwrap();
                before = page.items.first().map(|item| item.number);
                entries.splice(0..0, page.items);
                if !page.has_older {
                    break;
                }
            }
            let shown = entries.into_iter().map(|item| {
                let mut reactions: Vec<_> = item.entry.reactions.iter().map(|reaction| reaction.by.clone()).collect();
                reactions.sort();
                Entry {
                    number: item.number,
                    at: item.at,
                    from_me: item.entry.from_me,
                    serial: item.entry.message,
                    text: item.entry.text().map(str::to_owned),
                    id: item.entry.provider_id,
                    reactions,
                }
            });
            let expected = known.entries.iter().cloned().map(|mut entry| {
                entry.reactions.sort();
                entry
            });
            assert_eq!(shown.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
        }
    }
}

/// Whether something is not asked for, or is in a text.
trait Asked {
    fn is_none_or_in(&self, text: &Option<String>) -> bool;
}

impl Asked for Option<String> {
    fn is_none_or_in(&self, text: &Option<String>) -> bool {
        self.as_ref().is_none_or(|asked| text.as_ref().is_some_and(|text| text.contains(asked.as_str())))
    }
}
