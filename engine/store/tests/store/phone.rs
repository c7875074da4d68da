//! Pauses by the account's own phone: what they hold, what they drop, when they end.

use pombo_domain::model::conversation::PHONE;
use pombo_domain::model::event_task::ANSWERING;
use pombo_domain::model::*;
use pombo_domain::ports::*;
use pombo_domain::{AutomationIndex, Timestamp};
use pombo_store::DiskStore;
use uuid::Uuid;

use crate::automations::{C, apply, automation, new_work, one, said, step_of};
use crate::support::*;

/// What is typed on the phone in a chat.
fn own(chat: &str, effect: OwnEffect) -> AutomationChange {
    let (event, reason) = (Uuid::from_u128(entropy().u64().into()), "r".to_owned());
    AutomationChange::Own(OwnMessage {
        tenant: A,
        connector: C,
        chat: chat.to_owned(),
        is_group: false,
        effect,
        event,
        reason,
    })
}

fn until(at: Timestamp) -> OwnEffect {
    OwnEffect::PausesUntil(at)
}

fn conversation(store: &DiskStore, chat: &str) -> Conversation {
    store.conversation_with(C, chat).unwrap().unwrap()
}

/// Who paused the automations, and until when.
fn paused(store: &DiskStore, chat: &str) -> Option<(String, Option<Timestamp>)> {
    conversation(store, chat).handover.map(|handover| (handover.by, handover.until))
}

fn by_phone(until: Timestamp) -> Option<(String, Option<Timestamp>)> {
    Some((PHONE.to_owned(), Some(until)))
}

fn waiting(store: &DiskStore, chat: &str) -> Vec<u128> {
    let items = store.tasks(conversation(store, chat).id, ANSWERING, 99).unwrap();
    items.iter().map(|task| task.id.as_u128()).collect()
}

fn first(store: &DiskStore, chat: &str) -> EventTask {
    store.tasks(conversation(store, chat).id, ANSWERING, 1).unwrap().remove(0)
}

/// The runner looks at the first item while the automations are paused.
async fn hold(store: &DiskStore, chat: &str) {
    apply(store, vec![step_of(&first(store, chat), TaskStep::Hold)]).await.unwrap();
}

/// What was done with conversations after they were opened, in order.
fn told(store: &DiskStore) -> Vec<String> {
    let (events, _) = store.events(A, &EventFilter::default(), 0, 99).unwrap();
    let said = |event: Event| match event.event.body {
        EventBody::Conversation { step, .. } if step.as_str() == "opened" => None,
        EventBody::Conversation { chat, step, by, .. } => Some(format!("{chat} {step} by {by}")),
        _ => None,
    };
    events.into_iter().filter_map(said).collect()
}

#[tokio::test]
async fn a_pause_by_the_phone_ends_once_and_what_nobody_answered_is_handled_then() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let store = open(folder.path(), &clock);
    let now = clock.now();
    let (soon, later) = (now.plus_ms(100), now.plus_ms(200));
    apply(&store, vec![AutomationChange::Put(automation(5, 0, false)), said("a", 1)]).await.unwrap();
    let task = first(&store, "a");
    apply(&store, vec![own("a", until(soon))]).await.unwrap();
    assert_eq!((paused(&store, "a"), waiting(&store, "a")), (by_phone(soon), vec![]), "the owner answered it");
    let late = apply(&store, vec![step_of(&task, TaskStep::Done)]).await;
    assert_eq!(late, Err(StoreError::Conflict(Conflict::Task(task.key))), "an answer to it comes too late");

    apply(&store, vec![said("a", 2)]).await.unwrap();
    hold(&store, "a").await;
    apply(&store, vec![said("a", 3)]).await.unwrap();
    assert_eq!(waiting(&store, "a"), [2, 3]);
    assert!(store.due_lanes(Timestamp(i64::MAX), None, 9).unwrap().is_empty(), "they wait");
    apply(&store, vec![own("a", until(now.plus_ms(50)))]).await.unwrap();
    assert_eq!((paused(&store, "a"), waiting(&store, "a")), (by_phone(soon), vec![]), "the end never moves back");
    apply(&store, vec![own("a", until(later))]).await.unwrap();
    assert_eq!(paused(&store, "a"), by_phone(later));
    let id = conversation(&store, "a").id;
    let end = PauseEnd { at: later, conversation: id };
    assert_eq!(
        (store.pauses_ending(soon, None, 9).unwrap(), store.next_pause_end(None).unwrap()),
        (vec![], Some(later))
    );
    assert_eq!(store.pauses_ending(later, None, 9).unwrap(), [end]);

    apply(&store, vec![said("a", 4)]).await.unwrap();
    hold(&store, "a").await;
    assert_sound(&store);
    drop(store);
    let store = open(folder.path(), &clock);
    assert_eq!((paused(&store, "a"), store.next_pause_end(None).unwrap()), (by_phone(later), Some(later)));
    assert!(store.due_lanes(Timestamp(i64::MAX), None, 9).unwrap().is_empty());

    let ends =
        |end| AutomationChange::EndPause { end, event: Uuid::from_u128(entropy().u64().into()), reason: "r".into() };
    apply(&store, vec![ends(PauseEnd { at: soon, ..end })]).await.unwrap();
    assert_eq!(paused(&store, "a"), by_phone(later), "it was moved on");
    apply(&store, vec![ends(end), ends(end)]).await.unwrap();
    assert_eq!((paused(&store, "a"), waiting(&store, "a")), (None, vec![4]));
    assert_eq!(store.due_lanes(clock.now(), None, 9).unwrap().len(), 1);
    assert_eq!(store.next_pause_end(None).unwrap(), None);
    assert_eq!(told(&store), ["a paused by phone", "a resumed by phone"], "each once");
    assert_sound(&store);
}

#[tokio::test]
async fn timers_and_what_else_is_the_automations_own_stays_and_an_answer_to_it_waits_too() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let store = open(folder.path(), &clock);
    let now = clock.now();
    let started = TaskBody::Started { automation: AutomationIndex(5), input: "1".into(), by: "user:1".into() };
    let changes = vec![
        AutomationChange::Put(automation(5, 0, false)),
        AutomationChange::Event(new_work("a", 1, started)),
        said("a", 2),
    ];
    apply(&store, changes).await.unwrap();
    let under_way = first(&store, "a");
    apply(&store, vec![own("a", until(now.plus_ms(100)))]).await.unwrap();
    assert_eq!(waiting(&store, "a"), [1]);
    let late = apply(&store, vec![step_of(&under_way, TaskStep::Done)]).await;
    assert_eq!(late, Err(StoreError::Conflict(Conflict::Task(under_way.key))), "nobody speaks beside the owner");
    assert!(store.due_lanes(Timestamp(i64::MAX), None, 9).unwrap().is_empty());
    apply(&store, vec![own("a", OwnEffect::Resumes)]).await.unwrap();
    assert_eq!((paused(&store, "a"), waiting(&store, "a")), (None, vec![1]));
    apply(&store, vec![step_of(&first(&store, "a"), TaskStep::Done)]).await.unwrap();
    assert_eq!(told(&store), ["a paused by phone", "a resumed by phone"]);
    assert_sound(&store);
}

#[tokio::test]
async fn somebodys_pause_is_neither_moved_nor_ended_and_takes_the_place_of_the_phones() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let store = open(folder.path(), &clock);
    let now = clock.now();
    let key = |id| TimerKey { due_at: now, conversation: id, automation: AutomationIndex(5), name: "t".into() };
    apply(&store, vec![AutomationChange::Put(automation(5, 0, false)), said("a", 1)]).await.unwrap();
    let id = conversation(&store, "a").id;
    let step = |step| AutomationChange::Conversation(A, id, vec![step]);
    let theirs = Handover { by: "user:1".into(), at: now, reason: String::new(), until: None };
    apply(&store, vec![step(ConversationStep::Pause(theirs.clone()))]).await.unwrap();
    for effect in [until(now.plus_ms(100)), OwnEffect::Resumes] {
        apply(&store, vec![own("a", effect)]).await.unwrap();
        assert_eq!(conversation(&store, "a").handover, Some(theirs.clone()));
    }
    assert!(told(&store).is_empty());
    assert_eq!(waiting(&store, "a"), [1], "that is for the runner to pass over");

    apply(&store, vec![step(ConversationStep::Resume), own("a", until(now.plus_ms(100)))]).await.unwrap();
    let set = AutomationChange::SetTimer { key: key(id), payload: "p".into() };
    let fired = AutomationChange::FireTimer(key(id), Uuid::from_u128(50));
    apply(&store, vec![said("a", 2), set, fired, said("a", 3)]).await.unwrap();
    hold(&store, "a").await;
    assert_eq!(waiting(&store, "a"), [2, 50, 3]);
    apply(&store, vec![step(ConversationStep::Pause(theirs.clone()))]).await.unwrap();
    assert_eq!((conversation(&store, "a").handover, waiting(&store, "a")), (Some(theirs), vec![50]));
    assert_eq!(store.next_pause_end(None).unwrap(), None);
    assert_sound(&store);
}

#[tokio::test]
async fn nothing_is_paused_where_nobody_answers_or_the_message_was_there_before() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let store = open(folder.path(), &clock);
    let end = clock.now().plus_ms(100);
    apply(&store, vec![AutomationChange::Put(automation(7, 0, true)), own("a", until(end))]).await.unwrap();
    assert_eq!(paused(&store, "a"), None, "an observer answers nobody");
    let off = Automation { status: AutomationStatus::Paused, ..automation(5, 0, false) };
    apply(&store, vec![AutomationChange::Put(off), own("a", until(end))]).await.unwrap();
    assert_eq!(paused(&store, "a"), None);
    apply(&store, vec![AutomationChange::Put(automation(5, 0, false))]).await.unwrap();
    let typed = || event(A, 1, Timestamp(1), EventBody::Other("k".into(), "{}".into()), Some(1));
    store.commit(Batch::of(vec![typed()])).await.unwrap();
    let again = store.commit(Batch::of(vec![typed(), one(own("a", until(end)))])).await.unwrap();
    assert_eq!((again.repeated, paused(&store, "a")), (vec![0], None));
    let mut group = own("g", until(end));
    if let AutomationChange::Own(message) = &mut group {
        message.is_group = true;
    }
    apply(&store, vec![group]).await.unwrap();
    assert_eq!(paused(&store, "g"), None, "it does not answer in groups");
    assert_sound(&store);
}

#[tokio::test]
async fn a_message_by_hand_answers_what_waits_and_one_of_a_program_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let store = open(folder.path(), &clock);
    apply(&store, vec![AutomationChange::Put(automation(5, 0, false))]).await.unwrap();
    apply(&store, vec![own("a", until(clock.now().plus_ms(100))), said("a", 1)]).await.unwrap();
    hold(&store, "a").await;
    for (by, left) in [(None, vec![1]), (Some("user:1"), vec![])] {
        let mut batch = inserts(A, vec![message(1, "a", "x")]);
        batch.changes.extend(by.map(|by: &str| Change::Chat(Box::new(ChatChange::Author(by.to_owned())))));
        let key = store.commit(batch).await.unwrap().inserted[0].0;
        let stored = store.message(key).unwrap().unwrap();
        let claimed = Change::Update(update(&stored, stored.state.claim(Timestamp(9)).unwrap()));
        let attempted = ChatMessage {
            tenant: A,
            connector: C,
            chat: "a".to_owned(),
            is_group: None,
            contact_name: None,
            act: TimelineAct::Say(TimelineEntry::sent(key, Timestamp(9))),
        };
        let attempted = Change::Chat(Box::new(ChatChange::Attempted(key, stored.message.id, attempted)));
        store.commit(Batch::of(vec![claimed, attempted])).await.unwrap();
        assert_eq!(waiting(&store, "a"), left, "{by:?}");
    }
    assert!(paused(&store, "a").is_some(), "the owner's phone is still near");
    assert_sound(&store);
}

#[tokio::test]
async fn a_deleted_conversation_has_no_pause_and_what_waits_is_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let store = open(folder.path(), &clock);
    let end = clock.now().plus_ms(100);
    apply(&store, vec![AutomationChange::Put(automation(5, 0, false)), own("a", until(end)), said("a", 1)])
        .await
        .unwrap();
    hold(&store, "a").await;
    apply(&store, (2..1_200).map(|id| said("a", id)).collect()).await.unwrap();
    let there = conversation(&store, "a");
    assert_eq!(store.tasks(there.id, ANSWERING, 5_000).unwrap().len(), 1_000, "the first of them");
    assert_sound(&store);
    store.commit(Batch::of(vec![Change::Chat(Box::new(ChatChange::Delete(A, there.id)))])).await.unwrap();
    assert_eq!(store.next_pause_end(None).unwrap(), None);
    assert_sound(&store);
    drop(store);
    assert_eq!(open(folder.path(), &clock).next_pause_end(None).unwrap(), None);
}
