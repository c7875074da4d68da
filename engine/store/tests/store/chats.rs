//! Conversations and their timelines: what opens them, what is counted, who may change what, and what is left after a deletion.

use std::collections::BTreeMap;

use pombo_domain::model::reason::{Reason, ReasonCode};
use pombo_domain::model::*;
use pombo_domain::ports::*;
use pombo_domain::{ConnectorIndex, MessageKey, TenantIndex, Timestamp};
use pombo_store::DiskStore;

use crate::automations::{apply, automation, said};
use crate::support::*;

const C: ConnectorIndex = ConnectorIndex(1);

pub fn text(text: &str) -> InboundContent {
    InboundContent::Text(text.to_owned())
}

pub fn inbound(chat: &str, id: &str, content: InboundContent) -> Inbound {
    Inbound { content, ..samples::inbound(chat, id) }
}

pub fn change(change: ChatChange) -> Change {
    Change::Chat(Box::new(change))
}

pub fn in_chat(tenant: TenantIndex, chat: &str, act: TimelineAct) -> ChatMessage {
    ChatMessage { tenant, connector: C, chat: chat.to_owned(), is_group: None, contact_name: None, act }
}

pub fn received(inbound: &Inbound) -> Change {
    received_by(A, inbound)
}

pub fn received_by(tenant: TenantIndex, inbound: &Inbound) -> Change {
    let message = ChatMessage {
        is_group: Some(inbound.is_group),
        contact_name: inbound.sender_name.clone(),
        ..in_chat(tenant, &inbound.chat, TimelineAct::of(inbound))
    };
    change(ChatChange::Received(message))
}

pub fn say(key: MessageKey, text: &str) -> TimelineAct {
    let content = EntryContent::Sent {
        text: Some(text.to_owned()),
        subject: None,
        attachments: Vec::new(),
        voice_note: false,
        file_kind: None,
    };
    TimelineAct::Say(TimelineEntry { content, ..TimelineEntry::sent(key, Timestamp(7)) })
}

pub async fn commit(store: &DiskStore, changes: Vec<Change>) -> Committed {
    store.commit(Batch::of(changes)).await.unwrap()
}

pub fn conversation(store: &DiskStore, chat: &str) -> Conversation {
    store.conversation_with(C, chat).unwrap().unwrap()
}

pub fn items(store: &DiskStore, chat: &str) -> Vec<TimelineItem> {
    let number = conversation(store, chat).number;
    store.timeline(A, number, &TimelineRange::default(), 1000).unwrap().items
}

fn texts(store: &DiskStore, chat: &str) -> Vec<String> {
    items(store, chat).iter().map(|item| item.entry.text().unwrap_or("-").to_owned()).collect()
}

async fn steps(store: &DiskStore, chat: &str, steps: Vec<ConversationStep>) {
    let id = conversation(store, chat).id;
    apply(store, vec![AutomationChange::Conversation(A, id, steps)]).await.unwrap();
}

async fn read(store: &DiskStore, chat: &str, up_to: u64, tell: bool) {
    steps(store, chat, vec![ConversationStep::Read { up_to, tell }]).await;
}

/// Claims a message, and adds what its attempt adds.
async fn attempt(store: &DiskStore, key: MessageKey, chat: &str, act: TimelineAct) {
    let stored = store.message(key).unwrap().unwrap();
    let claimed = Change::Update(update(&stored, stored.state.claim(Timestamp(9)).unwrap()));
    let attempted = change(ChatChange::Attempted(key, stored.message.id, in_chat(A, chat, act)));
    commit(store, vec![claimed, attempted]).await;
}

#[tokio::test]
async fn a_message_opens_its_conversation_and_is_counted_once() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let store = open(folder.path(), &clock);
    let one = inbound("a", "1", text("Oi, tudo bem?"));
    let once = || vec![event(A, 1, clock.now(), EventBody::Message(one.clone()), Some(7)), received(&one)];
    commit(&store, once()).await;
    assert_eq!(commit(&store, once()).await.repeated, [0]);
    let a = conversation(&store, "a");
    assert_eq!((a.number, a.unread(), a.engaged, a.next_task), (1, 1, false, 0));
    let last = a.last.clone().unwrap();
    assert_eq!((last.item, last.at, last.from_me, last.preview.as_str()), (1, clock.now(), false, "Oi, tudo bem?"));
    assert_eq!(a.last_received_at, Some(clock.now()));

    steps(&store, "a", vec![ConversationStep::Archive(clock.now())]).await;
    commit(&store, vec![received(&Inbound { from_me: true, ..inbound("a", "2", text("do celular")) })]).await;
    let a = conversation(&store, "a");
    assert!(a.archived_at.is_some(), "what the account writes itself does not bring it back");
    assert_eq!((a.unread(), a.received, a.is_untold()), (0, 1, false), "who writes from the phone has read the rest");
    commit(&store, vec![received(&inbound("a", "3", text("voltei")))]).await;
    assert_eq!((conversation(&store, "a").archived_at, conversation(&store, "a").unread()), (None, 1));

    // A batch that fails leaves no number and no conversation behind.
    let gone = Change::Receipts(MessageKey { tenant: A, serial: 99 }, Receipts::default());
    assert!(store.commit(Batch::of(vec![received(&inbound("b", "1", text("x"))), gone])).await.is_err());
    assert_eq!(store.conversation_with(C, "b").unwrap(), None);
    commit(&store, vec![received(&inbound("c", "1", text("x")))]).await;
    assert_eq!((conversation(&store, "c").number, items(&store, "c")[0].number), (2, 4));
    assert_sound(&store);
    drop(store);
    let store = open(folder.path(), &clock);
    commit(&store, vec![received(&inbound("d", "1", text("x")))]).await;
    assert_eq!((conversation(&store, "d").number, items(&store, "d")[0].number), (3, 5), "no number is given twice");
    assert_eq!(store.conversation_by_number(A, 2).unwrap().unwrap().chat, "c");
    assert_eq!(store.conversation_by_number(B, 2).unwrap(), None);
    assert_sound(&store);
}

#[tokio::test]
async fn an_own_message_is_there_from_its_first_attempt_and_known_once_it_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let store = open(folder.path(), &clock);
    let keys = insert(&store, A, vec![message(1, "a", "Olá {{ nome }}"); 2]).await;
    attempt(&store, keys[0], "a", say(keys[0], "Olá Ana")).await;
    assert_eq!(texts(&store, "a"), ["Olá Ana"]);
    let later = |state: &MessageState| {
        state.retry_later(Reason::new(ReasonCode::Temporary, "x"), Timestamp(9), false, Timestamp(9)).unwrap()
    };
    step(&store, keys[0], later).await;
    attempt(&store, keys[0], "a", say(keys[0], "outra vez")).await;
    assert_eq!(texts(&store, "a"), ["Olá Ana"], "one entry, whatever the number of attempts");

    // An attempt that came too late leaves nothing behind.
    let stored = store.message(keys[1]).unwrap().unwrap();
    let mut stale = update(&stored, stored.state.claim(Timestamp(9)).unwrap());
    stale.state.revision += 1;
    let attempted = change(ChatChange::Attempted(keys[1], stored.message.id, in_chat(A, "a", say(keys[1], "x"))));
    let batch = Batch { changes: vec![Change::Update(stale), attempted], skip_stale: true };
    assert_eq!(store.commit(batch).await.unwrap().stale, [keys[1]]);
    assert_eq!(texts(&store, "a").len(), 1);

    let number = conversation(&store, "a").number;
    assert_eq!(store.timeline_item_of(A, number, "P1").unwrap(), None);
    step(&store, keys[0], |state| state.sent(Some("P1".to_owned()), Timestamp(9)).unwrap()).await;
    let item = store.timeline_item_of(A, number, "P1").unwrap().unwrap();
    assert_eq!(
        (item.entry.message, item.id),
        (Some(keys[0].serial), store.message(keys[0]).unwrap().unwrap().message.id)
    );
    assert_eq!(store.timeline_item_by_id(A, item.id).unwrap(), Some(item.clone()));
    assert_eq!(store.timeline_item_by_id(B, item.id).unwrap(), None);
    commit(&store, vec![received(&inbound("a", "1", InboundContent::Reaction { to: "P1".into(), emoji: "x".into() }))])
        .await;
    let a = conversation(&store, "a");
    assert_eq!((a.unread(), items(&store, "a")[0].entry.reactions.len()), (0, 1), "a reaction is not a message");
    assert_sound(&store);
}

#[tokio::test]
async fn what_reacts_edits_or_deletes_changes_an_entry_when_the_channel_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let store = open(folder.path(), &clock);
    commit(&store, vec![received(&inbound("a", "1", text("oi")))]).await;
    let keys = insert(&store, A, vec![message(1, "a", "x"), message(1, "a", "bom dia"), message(1, "a", "y")]).await;
    attempt(&store, keys[1], "a", say(keys[1], "bom dia")).await;
    step(&store, keys[1], |state| state.sent(Some("P1".to_owned()), Timestamp(9)).unwrap()).await;
    let react = TimelineAct::React { to: "1".to_owned(), by: None, emoji: "x".to_owned() };
    attempt(&store, keys[0], "a", react).await;
    assert!(items(&store, "a")[0].entry.reactions.is_empty(), "it is only tried");
    step(&store, keys[0], |state| state.sent(None, Timestamp(9)).unwrap()).await;
    assert_eq!(items(&store, "a")[0].entry.reactions[0].by, None);
    let edit = TimelineAct::Edit { of: "P1".to_owned(), by: None, text: "boa noite".to_owned() };
    attempt(&store, keys[2], "a", edit).await;
    step(&store, keys[2], |state| state.sent(None, Timestamp(9)).unwrap()).await;
    assert_eq!(texts(&store, "a"), ["oi", "boa noite"]);
    assert_eq!(conversation(&store, "a").last.unwrap().preview, "boa noite", "the list shows it too");

    let of = || "P1".to_owned();
    commit(&store, vec![received(&inbound("a", "2", InboundContent::Edit { of: of(), text: "hackeado".into() }))])
        .await;
    commit(&store, vec![received(&inbound("a", "3", InboundContent::Revoke(of())))]).await;
    assert_eq!(texts(&store, "a"), ["oi", "boa noite"], "nobody changes what another wrote");
    commit(&store, vec![received(&inbound("a", "4", InboundContent::Revoke("1".to_owned())))]).await;
    let items = items(&store, "a");
    assert_eq!((items[0].entry.kind(), &items[0].entry.content), (EntryKind::Revoked, &EntryContent::Gone));
    // What is not known is left alone, and opens nothing.
    commit(&store, vec![received(&inbound("z", "5", InboundContent::Revoke("1".to_owned())))]).await;
    assert_eq!(store.conversation_with(C, "z").unwrap(), None);
    assert_sound(&store);
}

#[tokio::test]
async fn in_a_group_somebody_else_hides_a_message_but_does_not_destroy_it() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let store = open(folder.path(), &clock);
    let from = |sender: &str, id: &str, content| Inbound {
        sender: sender.to_owned(),
        is_group: true,
        ..inbound("g", id, content)
    };
    commit(&store, vec![received(&from("ana", "1", text("oi"))), received(&from("rui", "2", text("olá")))]).await;
    let react = |sender: &str, emoji: &str| {
        received(&from(sender, sender, InboundContent::Reaction { to: "1".into(), emoji: emoji.into() }))
    };
    commit(&store, vec![react("rui", "a"), react("eva", "a"), react("rui", "b"), react("eva", "")]).await;
    let reactions = items(&store, "g")[0].entry.reactions.clone();
    assert_eq!((reactions.len(), reactions[0].by.as_deref(), reactions[0].emoji.as_str()), (1, Some("rui"), "b"));
    commit(&store, vec![received(&from("rui", "3", InboundContent::Edit { of: "1".into(), text: "não".into() }))])
        .await;
    assert_eq!(texts(&store, "g"), ["oi", "olá"]);
    commit(&store, vec![received(&from("rui", "4", InboundContent::Revoke("1".to_owned())))]).await;
    let hidden = &items(&store, "g")[0].entry;
    assert_eq!((hidden.kind(), hidden.text()), (EntryKind::Revoked, None));
    assert_eq!(hidden.content, EntryContent::Received(text("oi")));
    let name = ChatChange::GroupName { connector: C, chat: "g".to_owned(), name: "Obra".to_owned() };
    commit(&store, vec![change(name)]).await;
    assert_eq!(conversation(&store, "g").contact_name.as_deref(), Some("Obra"));
    assert_sound(&store);
}

#[tokio::test]
async fn reading_is_counted_by_entries_and_told_until_the_channel_knows() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let store = open(folder.path(), &clock);
    commit(&store, (1..6).map(|n| received(&inbound("a", &n.to_string(), text("x")))).collect()).await;
    let untold = || store.untold_conversations(C, None, 9).unwrap();
    read(&store, "a", 3, true).await;
    let a = conversation(&store, "a");
    assert_eq!((a.unread(), a.read_to, untold()), (2, 3, vec![a.id]));
    let ids = |limit| -> Vec<u64> {
        store.read_untold(&conversation(&store, "a"), limit).unwrap().iter().map(|item| item.number).collect()
    };
    assert_eq!((ids(9), ids(2)), (vec![1, 2, 3], vec![2, 3]), "the newest ones");
    read(&store, "a", 2, true).await;
    assert_eq!(conversation(&store, "a").unread(), 2, "it never goes back");
    steps(&store, "a", vec![ConversationStep::ReadTold(2)]).await;
    assert_eq!((ids(9), untold().len()), (vec![3], 1));
    steps(&store, "a", vec![ConversationStep::ReadTold(3)]).await;
    assert!(ids(9).is_empty() && untold().is_empty());
    read(&store, "a", u64::MAX, false).await;
    assert_eq!((conversation(&store, "a").unread(), untold().len()), (0, 0), "nobody is to be told");
    read(&store, "a", u64::MAX, true).await;
    assert!(untold().is_empty(), "what was read before is not told afterwards");
    commit(&store, vec![received(&inbound("a", "6", text("x")))]).await;
    read(&store, "a", 99, true).await;
    assert_eq!((conversation(&store, "a").unread(), untold().len()), (0, 1));
    assert_sound(&store);
    commit(&store, vec![received(&Inbound { from_me: true, ..inbound("a", "7", text("x")) })]).await;
    assert!(untold().is_empty(), "the phone has told it");
    assert_sound(&store);
}

#[tokio::test]
async fn a_person_with_two_addresses_has_one_conversation() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let store = open(folder.path(), &clock);
    commit(&store, vec![Change::Connector(samples::connector(C, A, "whatsapp"))]).await;
    commit(&store, vec![received(&inbound("1@lid", "1", text("oi")))]).await;
    let alias = |alias: &str, identifier: &str| Change::ContactAlias {
        tenant: A,
        kind: ContactType::WhatsApp,
        alias: alias.to_owned(),
        identifier: identifier.to_owned(),
    };
    let old = conversation(&store, "1@lid");
    // Learned and used in one batch, and taken back with it.
    let gone = Change::Receipts(MessageKey { tenant: A, serial: 99 }, Receipts::default());
    let learned = || vec![alias("1@lid", "5511"), received(&inbound("5511", "2", text("sou eu")))];
    let mut fails = learned();
    fails.push(gone);
    assert!(store.commit(Batch::of(fails)).await.is_err());
    assert_eq!(conversation(&store, "1@lid"), old);
    commit(&store, learned()).await;
    assert_eq!(store.conversation_with(C, "1@lid").unwrap(), None);
    let now = conversation(&store, "5511");
    assert_eq!((now.id, now.chat.as_str(), now.unread()), (old.id, "5511", 2));
    assert_eq!(texts(&store, "5511"), ["oi", "sou eu"]);
    assert_sound(&store);

    // Where each has its own, both stay, and what comes goes to the one of the contact.
    commit(&store, vec![received(&inbound("2@lid", "1", text("x"))), received(&inbound("5522", "1", text("y")))]).await;
    commit(&store, vec![alias("2@lid", "5522"), received(&inbound("5522", "2", text("z")))]).await;
    assert_eq!(
        (texts(&store, "2@lid"), texts(&store, "5522")),
        (vec!["x".to_owned()], vec!["y".to_owned(), "z".to_owned()])
    );
    drop(store);
    let store = open(folder.path(), &clock);
    assert_eq!(conversation(&store, "5511").id, old.id);
    assert_sound(&store);
}

#[tokio::test]
async fn an_automation_engages_a_conversation_and_messages_alone_do_not() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let store = open(folder.path(), &clock);
    commit(&store, vec![received(&inbound("a", "1", text("oi")))]).await;
    assert!(!conversation(&store, "a").engaged);
    apply(&store, vec![said("a", 1)]).await.unwrap();
    assert!(!conversation(&store, "a").engaged, "nobody listens");
    apply(&store, vec![AutomationChange::Put(automation(5, 1, false))]).await.unwrap();
    assert!(!conversation(&store, "a").engaged, "it has not taken part yet");
    apply(&store, vec![said("a", 2)]).await.unwrap();
    let a = conversation(&store, "a");
    assert!(a.engaged && a.next_task == 1 && a.number == 1);
    let open = |chat: &str| AutomationChange::Open { tenant: A, connector: C, chat: chat.into(), is_group: false };
    commit(&store, vec![received(&inbound("b", "1", text("oi")))]).await;
    apply(&store, vec![open("b"), open("c")]).await.unwrap();
    assert!(conversation(&store, "b").engaged && conversation(&store, "c").engaged);
    assert_sound(&store);
}

#[tokio::test]
async fn what_is_deleted_is_gone_at_once_and_its_rows_in_steps() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let store = open(folder.path(), &clock);
    apply(&store, vec![AutomationChange::Put(automation(5, 1, false))]).await.unwrap();
    commit(&store, (0..5).map(|n| received(&inbound("a", &n.to_string(), text("x")))).collect()).await;
    apply(&store, vec![said("a", 1), said("a", 2)]).await.unwrap();
    let keys = insert(&store, A, vec![message(1, "a", "x"), message(1, "a", "y")]).await;
    attempt(&store, keys[0], "a", say(keys[0], "x")).await;
    step(&store, keys[0], |state| state.sent(Some("P".to_owned()), Timestamp(9)).unwrap()).await;
    attempt(&store, keys[1], "a", TimelineAct::Revoke { of: "P".to_owned(), by: None }).await;
    read(&store, "a", u64::MAX, true).await;
    let a = conversation(&store, "a");
    let timer = TimerKey {
        due_at: Timestamp(5),
        conversation: a.id,
        automation: pombo_domain::AutomationIndex(5),
        name: "t".to_owned(),
    };
    apply(&store, vec![AutomationChange::SetTimer { key: timer, payload: String::new() }]).await.unwrap();
    let delete = |tenant, id| Batch::of(vec![change(ChatChange::Delete(tenant, id))]);
    assert_eq!(store.commit(delete(B, a.id)).await, Err(StoreError::Conflict(Conflict::Gone)));
    store.commit(delete(A, a.id)).await.unwrap();
    assert_eq!(store.commit(delete(A, a.id)).await, Err(StoreError::Conflict(Conflict::Gone)));
    assert_eq!((store.conversation(a.id).unwrap(), store.conversation_with(C, "a").unwrap()), (None, None));
    assert!(store.untold_conversations(C, None, 9).unwrap().is_empty());
    assert!(store.due_lanes(Timestamp(i64::MAX), None, 9).unwrap().is_empty(), "nobody handles what it left");
    assert_sound(&store);
    // Its act is sent all the same, and changes nothing.
    step(&store, keys[1], |state| state.sent(None, Timestamp(9)).unwrap()).await;
    commit(&store, vec![received(&inbound("a", "9", text("de novo")))]).await;
    let new = conversation(&store, "a");
    assert!(new.id != a.id && new.number == 2 && !new.engaged);

    drop(store);
    let store = open(folder.path(), &clock);
    assert!(store.due_lanes(Timestamp(i64::MAX), None, 9).unwrap().is_empty(), "nor after a restart");
    let mut left = Vec::new();
    while let Some(purge) = store.purgeable(4).unwrap() {
        let Purged::Conversation { items, last, .. } = &purge.what else { panic!("a conversation") };
        left.push((items.len(), *last));
        store.purge(purge.clone()).await.unwrap();
        store.purge(purge).await.unwrap();
        assert_sound(&store);
    }
    assert_eq!(left, [(4, false), (2, true)]);
    assert_eq!(store.timers_of(a.id).unwrap(), []);
    assert_eq!(texts(&store, "a"), ["de novo"]);
    let rows = snapshot(&store);
    assert!(!rows.contains(&a.id.to_string()), "nothing names it any longer: {rows}");
    assert_eq!(store.message(keys[0]).unwrap().unwrap().state.status, Status::Sent, "the message itself stays");
}

#[tokio::test]
async fn old_messages_go_from_the_front_and_what_they_counted_with_them() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let store = open(folder.path(), &clock);
    let start = clock.now();
    for n in 0..6 {
        let chat = if n % 2 == 0 { "a" } else { "b" };
        commit(&store, vec![received(&inbound(chat, &n.to_string(), text(&format!("t{n}"))))]).await;
        clock.jump(10);
    }
    let keys = insert(&store, A, vec![message(1, "a", "x")]).await;
    attempt(&store, keys[0], "a", say(keys[0], "minha")).await;
    assert_eq!(store.outdated(A, start, 9).unwrap(), None);
    assert_eq!(store.outdated(B, clock.now(), 9).unwrap(), None);
    while let Some(purge) = store.outdated(A, start.plus_ms(35), 3).unwrap() {
        store.purge(purge).await.unwrap();
        assert_sound(&store);
    }
    assert_eq!(
        (texts(&store, "a"), texts(&store, "b")),
        (vec!["t4".to_owned(), "minha".to_owned()], vec!["t5".to_owned()])
    );
    assert_eq!((conversation(&store, "a").unread(), conversation(&store, "b").unread()), (1, 1));
    drop(store);
    let store = open(folder.path(), &clock);
    clock.jump(1000);
    while let Some(purge) = store.outdated(A, clock.now(), 3).unwrap() {
        store.purge(purge).await.unwrap();
    }
    assert_eq!((texts(&store, "a"), texts(&store, "b").len()), (vec!["minha".to_owned()], 0), "own ones stay");
    assert_eq!((conversation(&store, "b").last, conversation(&store, "b").unread()), (None, 0));
    assert_sound(&store);
}

#[tokio::test]
async fn lists_and_counts_follow_what_is_committed() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let store = open(folder.path(), &clock);
    let find = async |filter: ConversationFilter| {
        let order = ConversationOrder::Activity { offset: 0 };
        let found = store.find_conversations(A, filter, order, 2).await.unwrap();
        (found.rows.iter().map(|one| one.chat.clone()).collect::<Vec<_>>(), found.total)
    };
    let all = ConversationFilter::default;
    assert_eq!(find(all()).await, (vec![], 0));
    for chat in ["a", "b", "c"] {
        clock.jump(1);
        commit(&store, vec![received(&inbound(chat, "1", text("bom dia")))]).await;
    }
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    assert_eq!(find(all()).await, (names(&["c", "b"]), 3));
    clock.jump(1);
    commit(&store, vec![received(&inbound("a", "2", text("Até amanhã")))]).await;
    assert_eq!(find(all()).await, (names(&["a", "c"]), 3));
    assert_eq!(find(ConversationFilter { search: Some("AMANHA".into()), ..all() }).await, (names(&["a"]), 1));
    let who = |search: &str| ConversationFilter { search_who: Some(search.into()), ..all() };
    assert_eq!(find(who("amanha")).await.1, 0, "it was said, and is nobody's name");
    assert_eq!(find(who("B")).await, (names(&["b"]), 1));
    let also = ConversationFilter { search_chats: ["c".to_owned()].into(), ..who("b") };
    assert_eq!(find(also).await, (names(&["c", "b"]), 2));
    assert_eq!(find(ConversationFilter { connectors: Some(vec![C]), ..all() }).await.1, 3);
    assert_eq!(find(ConversationFilter { connectors: Some(Vec::new()), ..all() }).await, (vec![], 0));
    read(&store, "b", u64::MAX, false).await;
    assert_eq!(find(ConversationFilter { unread: Some(false), ..all() }).await, (names(&["b"]), 1));
    let b = conversation(&store, "b").id;
    commit(&store, vec![change(ChatChange::Delete(A, b))]).await;
    assert_eq!(find(all()).await, (names(&["a", "c"]), 2));
    let counts = store.count_conversations(A, None).await.unwrap();
    assert_eq!((counts.open, counts.unread, counts.by_connector), (2, 2, vec![(C, 2)]));
    assert_eq!(store.count_conversations(B, None).await.unwrap(), ConversationCounts::default());
    assert_sound(&store);
}

#[tokio::test]
async fn who_waits_for_an_answer_is_known_since_the_first_message() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let store = open(folder.path(), &clock);
    let start = clock.now();
    for (chat, id) in [("a", "1"), ("b", "1"), ("a", "2"), ("c", "1")] {
        clock.jump(1);
        commit(&store, vec![received(&inbound(chat, id, text("oi")))]).await;
    }
    let waiting = |store: &DiskStore| ["a", "b", "c"].map(|chat| conversation(store, chat).waiting_since);
    let since = |ms| Some(start.plus_ms(ms));
    assert_eq!(waiting(&store), [since(1), since(2), since(4)], "what it wrote later does not shorten it");
    clock.jump(1);
    commit(&store, vec![received(&Inbound { from_me: true, ..inbound("b", "2", text("já vou")) })]).await;
    let key = insert(&store, A, vec![message(1, "c", "minha")]).await[0];
    attempt(&store, key, "c", say(key, "minha")).await;
    assert_eq!(waiting(&store), [since(1), None, None], "an answer ends it, from wherever it was sent");
    commit(&store, vec![received(&inbound("c", "2", text("obrigada")))]).await;
    assert_sound(&store);
    drop(store);

    let store = open(folder.path(), &clock);
    assert_eq!(waiting(&store), [since(1), None, since(5)]);
    let find = async |order| {
        let found = store.find_conversations(A, ConversationFilter::default(), order, 2).await.unwrap();
        let chats: Vec<String> = found.rows.into_iter().map(|one| one.chat).collect();
        (chats.concat(), found.total, found.more)
    };
    assert_eq!(find(ConversationOrder::Waiting { offset: 0 }).await, ("ac".to_owned(), 3, true));
    assert_eq!(find(ConversationOrder::Waiting { offset: 2 }).await, ("b".to_owned(), 3, false));
    assert_eq!(find(ConversationOrder::Opened { offset: 0 }).await, ("cb".to_owned(), 3, true));
    assert_eq!(find(ConversationOrder::Opened { offset: 9 }).await, (String::new(), 3, false));
    assert_eq!(store.last_activity(A).await.unwrap(), BTreeMap::from([(C, start.plus_ms(5))]));
    assert!(store.last_activity(B).await.unwrap().is_empty());
    // Nobody waits for an answer to what is kept no longer.
    clock.jump(1);
    while let Some(purge) = store.outdated(A, clock.now(), 3).unwrap() {
        store.purge(purge).await.unwrap();
    }
    assert_eq!(waiting(&store), [None; 3]);
    assert_sound(&store);
}

#[tokio::test]
async fn who_sent_a_message_and_what_a_tenant_sets_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let store = open(folder.path(), &clock);
    let mut batch = inserts(A, vec![message(1, "a", "x")]);
    batch.changes.push(change(ChatChange::Author("user:1".to_owned())));
    let key = store.commit(batch).await.unwrap().inserted[0].0;
    let settings = TenantSettings { received_days: Some(30), ..TenantSettings::default() };
    commit(&store, vec![change(ChatChange::Settings(A, settings.clone()))]).await;
    let alone = Batch::of(vec![change(ChatChange::Author("user:1".to_owned()))]);
    assert!(store.commit(alone).await.is_err(), "it names no message");
    drop(store);
    let store = open(folder.path(), &clock);
    assert_eq!(store.message_author(key).unwrap().as_deref(), Some("user:1"));
    assert_eq!(
        (store.tenant_settings(A).unwrap(), store.tenant_settings(B).unwrap()),
        (settings, TenantSettings::default())
    );
    assert_sound(&store);
}

#[tokio::test]
async fn words_are_found_in_what_was_said_as_it_reads_now() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let store = open(folder.path(), &clock);
    let key = insert(&store, A, vec![message(1, "a", "x")]).await[0];
    commit(&store, vec![received(&inbound("a", "1", text("Olá, JOÃO! Pedido 41235")))]).await;
    commit(&store, vec![received(&inbound("b", "1", text("o joão da loja")))]).await;
    attempt(&store, key, "a", say(key, "João, até logo")).await;
    commit(&store, vec![received_by(B, &inbound("z", "1", text("joão de outra empresa")))]).await;
    let find = async |words: &str| {
        let (words, most_bytes) = (words.to_owned(), 1 << 20);
        let search = EntrySearch { words, conversation: None, before: None, limit: 10, most_looked: 100, most_bytes };
        let found = store.search_entries(A, search).await.unwrap();
        assert_eq!(found.rest_before, None);
        let told = |hit: &EntryHit| {
            let text: Vec<char> = hit.item.entry.words().unwrap().chars().collect();
            let marked: Vec<String> = hit.marks.iter().map(|mark| text[mark.clone()].iter().collect()).collect();
            (hit.conversation.chat.clone(), marked.join("|"))
        };
        found.hits.iter().map(told).collect::<Vec<_>>()
    };
    let hits = |hits: &[(&str, &str)]| -> Vec<(String, String)> {
        hits.iter().map(|(chat, marked)| ((*chat).to_owned(), (*marked).to_owned())).collect()
    };
    assert_eq!(find("joao").await, hits(&[("a", "João"), ("b", "joão"), ("a", "JOÃO")]), "the newest first");
    assert_eq!(find("123 ola").await, hits(&[("a", "Olá|123")]));
    assert_eq!(find("joao maria").await, hits(&[]));
    let edit = InboundContent::Edit { of: "1".to_owned(), text: "o pedro da loja".to_owned() };
    commit(&store, vec![received(&inbound("b", "2", edit))]).await;
    commit(&store, vec![received(&inbound("a", "3", InboundContent::Revoke("1".to_owned())))]).await;
    assert_eq!(find("joao").await, hits(&[("a", "João")]));
    assert_eq!(find("pedro").await, hits(&[("b", "pedro")]));
    let b = conversation(&store, "b").id;
    commit(&store, vec![change(ChatChange::Delete(A, b))]).await;
    assert_eq!(find("pedro").await, hits(&[]), "gone at once");
    drop(store);
    let store = open(folder.path(), &clock);
    let (words, conversation, most_bytes) = ("ATE".to_owned(), Some(1), 1 << 20);
    let search = EntrySearch { words, conversation, before: None, limit: 1, most_looked: 1, most_bytes };
    let found = store.search_entries(A, search).await.unwrap();
    assert_eq!((found.hits.len(), found.rest_before.is_some()), (1, true), "the newest alone was looked at");
    assert_sound(&store);
}
