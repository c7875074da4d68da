//! Puts events into the engine, with a client that exists. [`commit`] runs inside the library's receive pipeline: it must not ask
//! the server anything. [`handle`] runs in the session's task for events, one after the other.

use std::cell::Cell;
use std::time::Duration;

use pombo_plugin::connector::events::{self, ContactUpdate, Error, Event as Told};
use pombo_plugin::connector::kv::Change;
use pombo_plugin::{clock, log};
use wacore::types::events::{Event, EventKind, InboundMessage};
use wacore::types::message::MessageSource;
use wacore_binary::JidExt;

use super::{message, notice};
use crate::glue::executor;
use crate::identity::{Refusal, own_account};
use crate::live::Live;
use crate::{outreach, store};

/// The most messages in one batch of the engine's.
const BATCH: usize = 64;
/// The most events in one; a message may bring two.
const EVENTS: usize = 2 * BATCH;
/// How long to wait before each further attempt to give the engine a batch. After the last one, the server delivers the batch
/// again.
const PAUSES_MILLIS: [u64; 5] = [100, 500, 2_000, 5_000, 10_000];

/// How long to wait before the server is asked to deliver again what the engine did not accept.
const ANEW: Duration = Duration::from_secs(5);

/// The pause between two questions for the name of a group.
const NAME_PACE: Duration = Duration::from_secs(1);

/// What [`handle`] does something about.
pub(crate) const KINDS: &[EventKind] = &[
    EventKind::Messages,
    EventKind::Receipt,
    EventKind::ChatPresence,
    EventKind::Presence,
    EventKind::ContactNumberChanged,
    EventKind::GroupUpdate,
    EventKind::MarkChatAsReadUpdate,
    EventKind::MexNotification,
];

thread_local! {
    /// Whether the connection is about to be reopened for messages that could not be committed.
    static AGAIN: Cell<bool> = const { Cell::new(false) };
}

/// Puts a batch of messages into the engine, in its order. `Ok` only when all of it is there for good. What is not, the server
/// keeps; it delivers it again on the next connection, which is then made soon.
pub(crate) async fn commit(live: &Live, batch: &[InboundMessage]) -> Result<(), String> {
    let result = commit_all(live, batch).await;
    if result.is_err() && !AGAIN.replace(true) {
        let client = live.client.clone();
        executor::spawn(async move {
            clock::sleep(ANEW).await;
            AGAIN.set(false);
            client.reconnect_immediately().await;
        });
    }
    result
}

async fn commit_all(live: &Live, batch: &[InboundMessage]) -> Result<(), String> {
    let own = own_account(live).address;
    for part in batch.chunks(BATCH) {
        let mut told = Vec::with_capacity(part.len());
        for item in part {
            told.push(One::of(live, &own, item).await);
        }
        match put(&told).await {
            Ok(()) => {}
            // Which of them it is, shows when each goes alone.
            Err(Error::Invalid(_)) => {
                for one in &told {
                    alone(one).await?;
                }
            }
            Err(error) => {
                for contact in told.iter().flat_map(|one| &one.contact) {
                    live.shared.acquaintances.forget(contact);
                }
                return Err(words(&error));
            }
        }
        for one in told {
            for event in &one.events {
                if let Told::Message(message) = event {
                    live.shared.received.note(&message.provider_id, &message.chat);
                }
            }
            if let Some(key) = one.download {
                live.shared.downloads.add(live, key);
            }
        }
        if live.shared.config.mark_read {
            mark_read(live, part);
        }
        name_groups(live, part);
    }
    Ok(())
}

/// One message: the events for the engine, and the changes in the store that belong to it.
struct One {
    events: Vec<Told>,
    changes: Vec<Change>,
    contact: Option<ContactUpdate>,
    /// The key of its file in the store.
    download: Option<String>,
    /// The library's note of the message, which the same batch deletes.
    note: [Change; 2],
}

impl One {
    async fn of(live: &Live, own: &str, item: &InboundMessage) -> Self {
        let source = &item.info.source;
        let note = store::received_note(&source.chat.to_string(), &source.sender.to_string(), &item.info.id);
        let mut one = Self { events: Vec::new(), changes: note.to_vec(), contact: None, download: None, note };
        let Some(told) = message::told(live, own, item).await else { return one };
        // The contact first: the message is then of somebody the engine knows by all names.
        if let Some(contact) = told.contact.filter(|contact| live.shared.acquaintances.is_news(contact)) {
            one.events.push(Told::Contact(contact.clone()));
            one.contact = Some(contact);
        }
        one.events.push(Told::Message(told.message));
        if let Some(pending) = told.pending {
            let key = pending.key_in_store();
            one.changes.push(Change { key: key.clone(), value: Some(pending.value()) });
            one.download = Some(key);
        }
        one
    }
}

async fn put(batch: &[One]) -> Result<(), Error> {
    let events: Vec<Told> = batch.iter().flat_map(|one| one.events.iter().cloned()).collect();
    let changes: Vec<Change> = batch.iter().flat_map(|one| one.changes.iter().cloned()).collect();
    patiently(events, changes).await
}

/// A message that the engine cannot accept is given up, because the server would deliver it again forever.
async fn alone(one: &One) -> Result<(), String> {
    match put(std::slice::from_ref(one)).await {
        Ok(()) => Ok(()),
        Err(Error::Invalid(why)) => {
            log::error("inbound", &format!("the engine does not accept a message, which is lost: {why}"));
            patiently(Vec::new(), one.note.to_vec()).await.map_err(|e| words(&e))
        }
        Err(error) => Err(words(&error)),
    }
}

/// Commits, and tries again after temporary failures. The engine recognises events that it has already accepted.
async fn patiently(events: Vec<Told>, changes: Vec<Change>) -> Result<(), Error> {
    for pause in PAUSES_MILLIS {
        match events::commit(events.clone(), changes.clone()).await {
            Err(Error::TimedOut | Error::Unavailable(_)) => clock::sleep(Duration::from_millis(pause)).await,
            other => return other,
        }
    }
    events::commit(events, changes).await
}

fn words(error: &Error) -> String {
    match error {
        Error::Refused(why) => format!("the engine refuses events: {why}"),
        Error::Invalid(why) => format!("the engine does not accept an event: {why}"),
        Error::Quota(why) => format!("the store is full: {why}"),
        Error::TimedOut => "the engine did not accept an event in time".to_owned(),
        Error::Unavailable(why) => format!("the engine cannot accept events: {why}"),
    }
}

/// Runs after the engine has them, outside the pipeline: a receipt must not hold up the next message.
fn mark_read(live: &Live, batch: &[InboundMessage]) {
    let marks: Vec<(MessageSource, String)> = batch
        .iter()
        .map(|item| (item.info.source.clone(), item.info.id.clone()))
        .filter(|(source, _)| !source.is_from_me && !source.chat.is_status_broadcast() && !source.chat.is_newsletter())
        .collect();
    if marks.is_empty() {
        return;
    }
    let live = live.clone();
    executor::spawn(async move {
        for (source, id) in marks {
            let sender = source.is_group.then_some(&source.sender);
            if live.client.mark_as_read(&source.chat, sender, &[id.as_str()]).await.is_err() {
                // The connection is gone; a mark is not worth keeping.
                return;
            }
        }
    });
}

/// Asks for the names of groups that are seen for the first time: outside the pipeline, and not all at once.
fn name_groups(live: &Live, batch: &[InboundMessage]) {
    let mut begin = false;
    for source in batch.iter().map(|item| &item.info.source).filter(|source| source.chat.is_group()) {
        begin |= live.shared.group_names.seen(&source.chat);
    }
    if !begin {
        return;
    }
    let live = live.clone();
    executor::spawn(async move {
        while let Some(group) = live.shared.group_names.next() {
            match live.client.groups().get_metadata(&group).await {
                Ok(found) => name_group(&live, notice::group_name(&group, &found.subject)).await,
                Err(error) => match Refusal::of(&error) {
                    Refusal::Disconnected(_) | Refusal::NoAnswer(_) => live.shared.group_names.forget(&group),
                    Refusal::Server { .. } | Refusal::Other(_) => {}
                },
            }
            clock::sleep(NAME_PACE).await;
        }
    });
}

async fn name_group(live: &Live, name: Option<ContactUpdate>) {
    let Some(name) = name.filter(|name| live.shared.acquaintances.is_news(name)) else { return };
    if let Err(error) = patiently(vec![Told::Contact(name.clone())], Vec::new()).await {
        live.shared.acquaintances.forget(&name);
        log::warn("inbound", &words(&error));
    }
}

/// Everything else that the library tells.
pub(crate) async fn handle(live: &Live, event: &Event) {
    let told = match event {
        Event::Receipt(receipt) => {
            let own: Vec<_> = live.client.pn().into_iter().chain(live.client.lid()).collect();
            let mut told = Vec::new();
            for mut receipt in notice::receipts(live, &own, receipt).await {
                // Without it the receipt is of no message of the engine's; with a store that fails, it comes too late to wait.
                receipt.client_id = live.shared.ledger.client_id(&receipt.provider_id).await.ok().flatten();
                told.push(Told::Receipt(receipt));
            }
            told.extend(notice::read_elsewhere(live, &own, &live.shared.received, receipt).await.map(Told::Other));
            told
        }
        Event::MarkChatAsReadUpdate(update) => {
            notice::marked_read(live, update).await.map(Told::Other).into_iter().collect()
        }
        // What the durability hook does not see: it has no note in the store and is not delivered again.
        Event::Messages(batch) if !batch.hook_committed => {
            let messages: Vec<InboundMessage> = batch.iter().cloned().collect();
            if let Err(why) = commit(live, &messages).await {
                log::error("inbound", &format!("messages that were not noted are lost: {why}"));
            }
            return;
        }
        Event::MexNotification(news) => return outreach::told(live, &news.op_name, &news.payload).await,
        Event::ChatPresence(update) => return emit(Told::Presence(notice::typing(live, update).await)).await,
        Event::Presence(update) => return emit(Told::Presence(notice::presence(live, update).await)).await,
        Event::ContactNumberChanged(change) => vec![Told::Contact(notice::number_changed(live, change).await)],
        Event::GroupUpdate(update) => {
            let (change, contacts) = notice::group(live, update).await;
            let news = contacts.into_iter().filter(|contact| live.shared.acquaintances.is_news(contact));
            news.map(Told::Contact).chain([Told::Group(change)]).collect()
        }
        _ => return,
    };
    for part in told.chunks(EVENTS) {
        if let Err(error) = patiently(part.to_vec(), Vec::new()).await {
            log::warn("inbound", &words(&error));
        }
    }
}

async fn emit(event: Told) {
    // A presence is worth nothing a moment later.
    let _ = events::emit(event).await;
}

/// Tells the engine again what it forgets, and goes on with the files that a restart or a lost session left.
pub(crate) async fn logged_in(live: &Live) {
    outreach::logged_in(live).await;
    live.shared.downloads.resume(live).await;
}
