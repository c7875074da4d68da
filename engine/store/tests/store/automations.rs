//! Events of conversations: who is asked, in which order, exactly once; timers, pauses, dead letters.

use std::sync::Arc;

use parking_lot::Mutex;
use pombo_domain::model::event_task::ANSWERING;
use pombo_domain::model::reason::{Reason, ReasonCode};
use pombo_domain::model::*;
use pombo_domain::ports::*;
use pombo_domain::{AutomationIndex, ConnectorIndex, Timestamp};
use pombo_store::DiskStore;
use uuid::Uuid;

use crate::support::*;

pub const C: ConnectorIndex = ConnectorIndex(1);

/// An automation of tenant A that listens to everything.
pub fn automation(index: u32, position: u32, observer: bool) -> Automation {
    Automation {
        id: Uuid::from_u128(u128::from(index) + 1000),
        position,
        observer,
        events: EventKind::ALL.into_iter().filter(|kind| *kind != EventKind::ConversationOpened).collect(),
        ..samples::automation(index, A, C, "flow")
    }
}

pub fn one(change: AutomationChange) -> Change {
    Change::Automation(Box::new(change))
}

pub async fn apply(store: &DiskStore, changes: Vec<AutomationChange>) -> StoreResult<Committed> {
    store.commit(Batch::of(changes.into_iter().map(one).collect())).await
}

pub fn new_work(chat: &str, id: u128, body: TaskBody) -> NewTask {
    NewTask {
        tenant: A,
        connector: C,
        chat: chat.to_owned(),
        is_group: false,
        contact_name: None,
        id: Uuid::from_u128(id),
        at: Timestamp(5),
        body,
        with_event: false,
    }
}

pub fn said(chat: &str, id: u128) -> AutomationChange {
    let message = samples::inbound(chat, &format!("3EB{id}"));
    AutomationChange::Event(new_work(chat, id, TaskBody::Message(message)))
}

pub fn step_of(task: &EventTask, step: TaskStep) -> AutomationChange {
    AutomationChange::Step { key: task.key, failures: task.failures, after: task.after, step }
}

fn conversation(store: &DiskStore, chat: &str) -> Conversation {
    store.conversation_with(C, chat).unwrap().unwrap()
}

fn first(store: &DiskStore, chat: &str, lane: u32) -> EventTask {
    store.tasks(conversation(store, chat).id, lane, 1).unwrap().remove(0)
}

fn ids(store: &DiskStore, chat: &str, lane: u32) -> Vec<u128> {
    let items = store.tasks(conversation(store, chat).id, lane, 99).unwrap();
    items.iter().map(|task| task.id.as_u128()).collect()
}

fn due(store: &DiskStore, at: Timestamp) -> Vec<u32> {
    store.due_lanes(at, None, 99).unwrap().iter().map(|lane| lane.lane).collect()
}

#[derive(Default)]
struct Told(Mutex<Vec<Effect>>);

impl CommitObserver for Told {
    fn committed(&self, effects: &[Effect]) {
        self.0.lock().extend_from_slice(effects);
    }
}

impl Told {
    /// The lanes that were told to have work since the last look.
    fn lanes(&self) -> Vec<u32> {
        let effects = std::mem::take(&mut *self.0.lock());
        let lane = |effect: Effect| if let Effect::Work(due) = effect { Some(due.lane) } else { None };
        effects.into_iter().filter_map(lane).collect()
    }
}

#[tokio::test]
async fn an_event_goes_to_those_that_listen_and_opens_its_conversation() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let store = open(folder.path(), &clock);
    let told = Arc::new(Told::default());
    store.observe(told.clone());

    apply(&store, vec![said("a", 1)]).await.unwrap();
    assert_eq!(store.conversation_with(C, "a").unwrap(), None, "nobody listens");

    let greeter = Automation { events: EventKind::ALL.into_iter().collect(), ..automation(7, 9, true) };
    let paused = Automation { status: AutomationStatus::Paused, ..automation(8, 0, true) };
    let deleted = Automation { status: AutomationStatus::Deleted, ..automation(9, 0, false) };
    let others = [automation(5, 3, false), automation(6, 1, false), greeter, paused, deleted];
    apply(&store, others.map(AutomationChange::Put).into()).await.unwrap();
    let order: Vec<u32> = store.automations_on(C).unwrap().iter().map(|a| a.index.0).collect();
    assert_eq!(order, [8, 6, 5, 7]);
    assert!(store.automations_on(ConnectorIndex(2)).unwrap().is_empty());
    assert_eq!(store.automations(Some(B)).unwrap().len(), 0);
    assert_eq!(store.automations(None).unwrap().len(), 4);
    assert!(store.automation_by_id(B, Uuid::from_u128(1005)).unwrap().is_none());
    assert!(store.automation_by_id(A, Uuid::from_u128(1009)).unwrap().is_some());

    let mut new = new_work("a", 2, TaskBody::Opened);
    let AutomationChange::Event(message) = said("a", 2) else { unreachable!() };
    (new.contact_name, new.body) = (Some("Ana".to_owned()), message.body);
    apply(&store, vec![AutomationChange::Event(new)]).await.unwrap();
    assert_eq!(told.lanes(), [7, 0]);
    let there = conversation(&store, "a");
    assert_eq!((there.contact_name.as_deref(), there.next_task, there.tenant), (Some("Ana"), 2, A));
    assert_eq!(store.conversation(there.id).unwrap().as_ref(), Some(&there));
    let observed = store.tasks(there.id, 7, 9).unwrap();
    assert_eq!(observed[0].body, TaskBody::Opened, "goes first");
    assert_eq!((observed[1].id, observed[1].key.number), (Uuid::from_u128(2), 1));
    assert_ne!(observed[0].id, observed[1].id);
    assert_eq!(ids(&store, "a", ANSWERING), [2]);

    // Only the addressee is asked; in groups, only who wants to be.
    let started = TaskBody::Started { automation: AutomationIndex(5), input: "1".into(), by: "user:1".into() };
    let mut of_group = new_work("g", 4, started.clone());
    of_group.is_group = true;
    apply(&store, vec![AutomationChange::Event(new_work("a", 3, started)), AutomationChange::Event(of_group)])
        .await
        .unwrap();
    assert_eq!((ids(&store, "a", ANSWERING), ids(&store, "a", 7).len()), (vec![2, 3], 2));
    assert!(store.conversation_with(C, "g").unwrap().is_none());
    assert_eq!(told.lanes(), [] as [u32; 0], "the lane had work already");
    assert_sound(&store);
    drop(store);
    let store = open(folder.path(), &clock);
    assert_eq!((ids(&store, "a", ANSWERING), due(&store, clock.now())), (vec![2, 3], vec![0, 7]));
    assert_sound(&store);
}

#[tokio::test]
async fn the_work_of_a_repeated_event_is_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), &clock());
    apply(&store, vec![AutomationChange::Put(automation(5, 0, false))]).await.unwrap();
    let with = |id| {
        let AutomationChange::Event(new) = said("a", id) else { unreachable!() };
        one(AutomationChange::Event(NewTask { with_event: true, ..new }))
    };
    let logged = |mark| event(A, 1, Timestamp(1), EventBody::Other("k".into(), "{}".into()), Some(mark));
    let batch = || Batch::of(vec![logged(1), with(1), logged(2), with(2)]);
    let (one, two) = tokio::join!(store.commit(batch()), store.commit(batch()));
    assert_eq!((one.unwrap().repeated, two.unwrap().repeated), (vec![], vec![0, 1]));
    store.commit(Batch::of(vec![logged(1), with(1), logged(3), with(3)])).await.unwrap();
    assert_eq!(ids(&store, "a", ANSWERING), [1, 2, 3]);
    assert_sound(&store);
}

#[tokio::test]
async fn a_try_ends_once_and_with_everything_else_of_its_batch() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let store = open(folder.path(), &clock);
    apply(&store, vec![AutomationChange::Put(automation(5, 0, false)), said("a", 1), said("a", 2)]).await.unwrap();
    let task = first(&store, "a", ANSWERING);
    let id = task.key.conversation;
    let answer = || {
        Batch::of(vec![
            Change::Insert(Insert { tenant: A, messages: vec![message(1, "a", "resposta")], idempotency: None }),
            one(AutomationChange::Origin(Origin { conversation: id, automation: AutomationIndex(5), label: None })),
            one(AutomationChange::State(id, AutomationIndex(5), Some("1".into()))),
            one(step_of(&task, TaskStep::Done)),
        ])
    };
    let (won, lost) = tokio::join!(store.commit(answer()), store.commit(answer()));
    assert!(won.is_ok());
    assert_eq!(lost, Err(StoreError::Conflict(Conflict::Task(task.key))));
    assert_eq!(store.status_counts(A).iter().sum::<u64>(), 1, "sent once");
    assert_eq!(store.automation_state(id, AutomationIndex(5)).unwrap().as_deref(), Some("1"));
    assert_eq!(ids(&store, "a", ANSWERING), [2]);

    // A batch that fails at its end takes back all that went before.
    let second = first(&store, "a", ANSWERING);
    let before = snapshot(&store);
    let mut failing = Batch::of(vec![
        one(step_of(&second, TaskStep::Done)),
        one(said("a", 3)),
        one(said("b", 4)),
        one(AutomationChange::Put(automation(6, 0, true))),
        one(AutomationChange::Record { automation: AutomationIndex(5), sealed: vec![1], keep: 3 }),
        one(AutomationChange::Conversation(A, id, vec![ConversationStep::Tag("x".into())])),
        one(AutomationChange::State(id, AutomationIndex(5), None)),
    ]);
    failing.changes.push(one(step_of(&task, TaskStep::Done)));
    let (failed, fine) = tokio::join!(store.commit(failing), apply(&store, vec![said("c", 5)]));
    assert_eq!(failed, Err(StoreError::Conflict(Conflict::Task(task.key))));
    fine.unwrap();
    let after = snapshot(&store);
    let kept = |text: &str, of: &str| text.lines().filter(|l| l.contains(of)).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(kept(&after, &id.to_string()), kept(&before, &id.to_string()));
    assert!(store.conversation_with(C, "b").unwrap().is_none());
    assert!(store.automation(AutomationIndex(6)).unwrap().is_none());
    assert_eq!(ids(&store, "c", ANSWERING), [5]);
    assert!(store.recordings(AutomationIndex(5), 9).unwrap().is_empty());
    assert_sound(&store);
}

#[tokio::test]
async fn tries_are_counted_put_off_and_put_aside() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let store = open(folder.path(), &clock);
    let told = Arc::new(Told::default());
    let now = clock.now();
    let automations = [automation(5, 0, false), automation(6, 1, false), automation(7, 0, true)];
    apply(&store, automations.map(AutomationChange::Put).into()).await.unwrap();
    apply(&store, vec![said("a", 1), said("a", 2)]).await.unwrap();
    store.observe(told.clone());

    let after = Some((0, 5));
    apply(&store, vec![step_of(&first(&store, "a", 0), TaskStep::After((0, 5)))]).await.unwrap();
    assert_eq!(told.lanes(), [0]);
    let later = now.plus_ms(1000);
    apply(&store, vec![step_of(&first(&store, "a", 0), TaskStep::Retry { due_at: later })]).await.unwrap();
    let task = first(&store, "a", 0);
    assert_eq!((task.failures, task.after, task.due_at), (1, after, later));
    assert_eq!((due(&store, now), due(&store, later)), (vec![7], vec![7, 0]));
    assert_eq!(store.next_due_lane().unwrap(), Some(now));
    let stale = AutomationChange::Step { key: task.key, failures: 0, after, step: TaskStep::Done };
    assert_eq!(apply(&store, vec![stale]).await, Err(StoreError::Conflict(Conflict::Task(task.key))));
    let second = store.tasks(task.key.conversation, 0, 9).unwrap().remove(1);
    let early = apply(&store, vec![step_of(&second, TaskStep::Done)]).await;
    assert_eq!(early, Err(StoreError::Conflict(Conflict::Task(second.key))), "not its turn");

    // The failing event is put aside, the lane goes on; the observer never waited.
    told.lanes();
    let last =
        TaskStep::DeadLetter { automation: AutomationIndex(6), code: "trap".into(), reason: "it trapped".into() };
    apply(&store, vec![step_of(&task, last)]).await.unwrap();
    assert_eq!((told.lanes(), ids(&store, "a", 0), ids(&store, "a", 7)), (vec![0], vec![2], vec![1, 2]));
    let dead_letter = store.dead_letters(A, None, 9).unwrap().remove(0);
    assert_eq!((dead_letter.tries, dead_letter.automation, dead_letter.code.as_str()), (2, AutomationIndex(6), "trap"));
    assert_eq!((&dead_letter.task, dead_letter.id), (&task, DeadLetter::id_of(task.id, 0)));
    assert_eq!(store.dead_letter(A, dead_letter.id).unwrap().as_ref(), Some(&dead_letter));
    assert_eq!(store.dead_letter(B, dead_letter.id).unwrap(), None);
    assert!(store.dead_letters(A, Some(dead_letter.id), 9).unwrap().is_empty());
    let foreign = apply(&store, vec![AutomationChange::Requeue(B, dead_letter.id)]).await;
    assert_eq!(foreign, Err(StoreError::Conflict(Conflict::Gone)));

    // Again, behind what came meanwhile; only the one that had not handled it is asked.
    apply(&store, vec![AutomationChange::Requeue(A, dead_letter.id)]).await.unwrap();
    assert_eq!(ids(&store, "a", 0), [2, 1]);
    apply(&store, vec![step_of(&first(&store, "a", 0), TaskStep::Done)]).await.unwrap();
    let again = first(&store, "a", 0);
    assert_eq!((again.id, again.failures, again.after, again.due_at), (task.id, 0, after, now));
    assert_eq!(again.body, task.body);
    let twice = apply(&store, vec![AutomationChange::Discard(A, dead_letter.id)]).await;
    assert_eq!(twice, Err(StoreError::Conflict(Conflict::Gone)));
    assert_sound(&store);
}

#[tokio::test]
async fn lanes_skip_the_numbers_of_what_was_not_for_them() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), &clock());
    let started = [EventKind::Started].into_iter().collect();
    let observer = Automation { events: started, ..automation(7, 0, true) };
    let automations = [automation(5, 0, false), observer];
    apply(&store, automations.map(AutomationChange::Put).into()).await.unwrap();
    let start = |id| {
        let by = TaskBody::Started { automation: AutomationIndex(7), input: "1".into(), by: "user:1".into() };
        AutomationChange::Event(new_work("a", id, by))
    };
    apply(&store, vec![start(1), said("a", 2), said("a", 3), start(4), said("a", 5), start(6)]).await.unwrap();
    for (lane, expected) in [(7, [1, 4, 6]), (ANSWERING, [2, 3, 5])] {
        let mut seen = Vec::new();
        for _ in 0..3 {
            let task = first(&store, "a", lane);
            seen.push(task.id.as_u128());
            apply(&store, vec![step_of(&task, TaskStep::Done)]).await.unwrap();
            assert_sound(&store);
        }
        assert_eq!(seen, expected);
        assert!(ids(&store, "a", lane).is_empty());
    }
    assert_eq!(store.next_due_lane().unwrap(), None);
}

#[tokio::test]
async fn timers_are_replaced_taken_back_and_fire_once() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let store = open(folder.path(), &clock);
    let now = clock.now();
    apply(&store, vec![AutomationChange::Put(automation(5, 0, false)), said("a", 1)]).await.unwrap();
    let id = conversation(&store, "a").id;
    let key = |name: &str, ms| TimerKey {
        due_at: now.plus_ms(ms),
        conversation: id,
        automation: AutomationIndex(5),
        name: name.to_owned(),
    };
    let set = |name: &str, ms| AutomationChange::SetTimer { key: key(name, ms), payload: format!("{name}{ms}") };
    let none = apply(
        &store,
        vec![AutomationChange::SetTimer {
            key: TimerKey { conversation: Uuid::from_u128(9), ..key("x", 1) },
            payload: String::new(),
        }],
    )
    .await;
    assert_eq!(none, Err(StoreError::Conflict(Conflict::Gone)));
    apply(&store, vec![set("b", 50), set("a", 90), set("c", 10), set("a", 20)]).await.unwrap();
    assert_eq!(store.timers_of(id).unwrap(), [key("a", 20), key("b", 50), key("c", 10)]);
    assert_eq!(store.next_timer().unwrap(), Some(now.plus_ms(10)));
    let cancel = |name: &str| AutomationChange::CancelTimer {
        conversation: id,
        automation: AutomationIndex(5),
        name: name.to_owned(),
    };
    apply(&store, vec![cancel("c"), cancel("zzz")]).await.unwrap();
    assert_eq!(store.timers_due(now.plus_ms(49), 9).unwrap(), [key("a", 20)]);
    drop(store);
    let store = open(folder.path(), &clock);
    assert_eq!(store.timers_due(now.plus_ms(50), 9).unwrap(), [key("a", 20), key("b", 50)]);

    // Two loops, and one that saw the timer before it was set anew: one event.
    let fire = |ms, event| AutomationChange::FireTimer(key("a", ms), Uuid::from_u128(event));
    let (one, two) = tokio::join!(apply(&store, vec![fire(20, 71)]), apply(&store, vec![fire(20, 72), fire(90, 73)]));
    (one.unwrap(), two.unwrap());
    let items = store.tasks(id, ANSWERING, 9).unwrap();
    assert_eq!(items.len(), 2);
    let body = TaskBody::Timer {
        automation: AutomationIndex(5),
        name: "a".into(),
        payload: "a20".into(),
        due_at: now.plus_ms(20),
    };
    assert_eq!((items[1].id, &items[1].body), (Uuid::from_u128(71), &body));
    assert_eq!(store.next_timer().unwrap(), Some(now.plus_ms(50)));
    // Below what was read before.
    apply(&store, vec![set("d", -9)]).await.unwrap();
    assert_eq!(store.next_timer().unwrap(), Some(now.plus_ms(-9)));
    assert_sound(&store);
}

#[tokio::test]
async fn a_pause_holds_timers_until_the_conversation_is_resumed() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let store = open(folder.path(), &clock);
    let now = clock.now();
    let automations = [automation(5, 0, false), automation(7, 0, true)];
    apply(&store, automations.map(AutomationChange::Put).into()).await.unwrap();
    apply(&store, vec![said("a", 1)]).await.unwrap();
    let id = conversation(&store, "a").id;
    let steps = |steps| AutomationChange::Conversation(A, id, steps);
    let handover = |by: &str| Handover { by: by.to_owned(), at: now, reason: "r".to_owned(), until: None };
    let foreign = AutomationChange::Conversation(B, id, vec![ConversationStep::Resume]);
    assert_eq!(apply(&store, vec![foreign]).await, Err(StoreError::Conflict(Conflict::Gone)));
    let pauses = [handover("user:1"), handover("user:2")].map(ConversationStep::Pause);
    apply(&store, vec![steps(pauses.into())]).await.unwrap();
    assert_eq!(conversation(&store, "a").handover, Some(handover("user:1")), "the first stands");
    apply(&store, vec![step_of(&first(&store, "a", 0), TaskStep::Done)]).await.unwrap();

    let key = TimerKey { due_at: now, conversation: id, automation: AutomationIndex(5), name: "t".into() };
    let set = AutomationChange::SetTimer { key: key.clone(), payload: "p".into() };
    apply(&store, vec![set, AutomationChange::FireTimer(key, Uuid::from_u128(50))]).await.unwrap();
    apply(&store, vec![step_of(&first(&store, "a", 0), TaskStep::Hold)]).await.unwrap();
    assert_eq!(due(&store, Timestamp(i64::MAX)), [7], "the answering lane rests");
    // What is said to the person meanwhile is not for the automation, later either.
    apply(&store, vec![said("a", 2)]).await.unwrap();
    assert_eq!((ids(&store, "a", 0), ids(&store, "a", 7)), (vec![50], vec![1, 2]));
    assert_sound(&store);
    drop(store);
    let store = open(folder.path(), &clock);
    assert_eq!(due(&store, Timestamp(i64::MAX)), [7], "it rests after a restart too");

    let told = Arc::new(Told::default());
    store.observe(told.clone());
    clock.jump(500);
    apply(&store, vec![steps(vec![ConversationStep::Resume])]).await.unwrap();
    assert_eq!((told.lanes(), due(&store, clock.now())), (vec![0], vec![7, 0]));
    assert_eq!(first(&store, "a", 0).due_at, clock.now());
    // Resumed between the runner's look and its step: the lane does not rest for nobody.
    apply(&store, vec![step_of(&first(&store, "a", 0), TaskStep::Hold)]).await.unwrap();
    assert_eq!(told.lanes(), [0]);
    assert_sound(&store);
}

#[tokio::test]
async fn the_steps_of_a_sent_message_come_back_to_its_automation() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let store = open(folder.path(), &clock);
    let deaf = Automation { events: [EventKind::MessageReceived].into_iter().collect(), ..automation(5, 0, false) };
    apply(&store, vec![AutomationChange::Put(deaf), said("a", 1)]).await.unwrap();
    let task = first(&store, "a", ANSWERING);
    let id = task.key.conversation;
    let origin = Origin { conversation: id, automation: AutomationIndex(5), label: Some("hi".into()) };
    let sends = Change::Insert(Insert { tenant: A, messages: vec![message(1, "a", "x")], idempotency: None });
    let changes = vec![sends, one(AutomationChange::Origin(origin)), one(step_of(&task, TaskStep::Done))];
    let (key, public, _) = store.commit(Batch::of(changes)).await.unwrap().inserted[0];
    let orphan = apply(
        &store,
        vec![AutomationChange::Origin(Origin { conversation: id, automation: AutomationIndex(5), label: None })],
    )
    .await;
    assert_eq!(orphan, Err(StoreError::Conflict(Conflict::Gone)), "nothing was inserted");
    let reported = |status| AutomationChange::Reported { message: key, status, reason: None };
    apply(&store, vec![reported(ReportedStatus::Read)]).await.unwrap();
    assert!(ids(&store, "a", ANSWERING).is_empty(), "it does not want to know");

    apply(&store, vec![AutomationChange::Put(automation(5, 0, false))]).await.unwrap();
    let now = clock.now();
    step(&store, key, |s| s.claim(now).unwrap()).await;
    step(&store, key, |s| s.sent(None, now).unwrap()).await;
    apply(&store, vec![reported(ReportedStatus::Delivered)]).await.unwrap();
    let other = insert(&store, A, vec![message(1, "a", "by hand"), message(1, "a", "x")]).await;
    step(&store, other[0], |s| s.cancel(None, now).unwrap()).await;
    let seen: Vec<TaskBody> = store.tasks(id, ANSWERING, 9).unwrap().into_iter().map(|task| task.body).collect();
    let body = |status, reason: Option<&str>| TaskBody::Status {
        message: public,
        automation: AutomationIndex(5),
        label: Some("hi".into()),
        status,
        reason: reason.map(str::to_owned),
    };
    assert_eq!(seen, [body(ReportedStatus::Sent, None), body(ReportedStatus::Delivered, None)]);
    assert_sound(&store);

    // Given up: with the reason.
    let task = first(&store, "a", ANSWERING);
    let origin = Origin { conversation: id, automation: AutomationIndex(5), label: Some("hi".into()) };
    let sends = Change::Insert(Insert { tenant: A, messages: vec![message(1, "a", "x")], idempotency: None });
    let changes = vec![sends, one(AutomationChange::Origin(origin)), one(step_of(&task, TaskStep::Done))];
    let (failing, ..) = store.commit(Batch::of(changes)).await.unwrap().inserted[0];
    step(&store, failing, |s| s.claim(now).unwrap()).await;
    step(&store, failing, |s| s.failed(Reason::new(ReasonCode::Rejected, "no such number"), now).unwrap()).await;
    let last = store.tasks(id, ANSWERING, 9).unwrap().pop().unwrap();
    let TaskBody::Status { status, reason, .. } = last.body else { panic!("another event") };
    assert_eq!((status, reason.as_deref()), (ReportedStatus::Failed, Some("no such number")));
    assert_sound(&store);
}

#[tokio::test]
async fn conversations_are_listed_by_what_is_asked_in_pages() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let store = open(folder.path(), &clock);
    let open_one = |n: u32| AutomationChange::Open {
        tenant: if n.is_multiple_of(5) { B } else { A },
        connector: ConnectorIndex(n % 2),
        chat: format!("c{n}"),
        is_group: false,
    };
    apply(&store, (0..20).flat_map(|n| [open_one(n), open_one(n)]).collect()).await.unwrap();
    let all = |filter: &ConversationFilter, page| {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let (part, next) = store.conversations(A, filter, after, page).unwrap();
            assert!(part.len() <= page);
            found.extend(part);
            after = next;
            if after.is_none() {
                return found;
            }
        }
    };
    let everything = all(&ConversationFilter::default(), 3);
    assert_eq!(everything.len(), 16);
    assert!(everything.is_sorted_by(|a, b| a.id < b.id), "each once, by id");
    let chosen = &everything[4];
    let steps = vec![
        ConversationStep::Tag("vip".into()),
        ConversationStep::Assign(Some("ana".into())),
        ConversationStep::Pause(Handover { by: "u".into(), at: clock.now(), reason: String::new(), until: None }),
    ];
    apply(&store, vec![AutomationChange::Conversation(A, chosen.id, steps)]).await.unwrap();
    let filters = [
        ConversationFilter { paused: Some(true), ..Default::default() },
        ConversationFilter { tag: Some("vip".into()), ..Default::default() },
        ConversationFilter { assignee: Some("ana".into()), connector: Some(chosen.connector), ..Default::default() },
    ];
    for filter in filters {
        let found: Vec<Uuid> = all(&filter, 1).iter().map(|c| c.id).collect();
        assert_eq!(found, [chosen.id], "{filter:?}");
    }
    assert_eq!(all(&ConversationFilter { paused: Some(false), ..Default::default() }, 4).len(), 15);
    assert_sound(&store);
}

#[tokio::test]
async fn the_first_event_greets_even_where_a_person_was_first() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), &clock());
    let only_opened = [EventKind::ConversationOpened].into_iter().collect();
    let greeter = Automation { events: only_opened, ..automation(5, 0, false) };
    apply(&store, vec![AutomationChange::Put(greeter)]).await.unwrap();
    let opens = AutomationChange::Open { tenant: A, connector: C, chat: "a".into(), is_group: false };
    apply(&store, vec![opens]).await.unwrap();
    assert!(ids(&store, "a", ANSWERING).is_empty());
    apply(&store, vec![said("a", 1), said("a", 2), said("b", 3)]).await.unwrap();
    for chat in ["a", "b"] {
        let items = store.tasks(conversation(&store, chat).id, ANSWERING, 9).unwrap();
        assert_eq!(items.iter().map(|task| &task.body).collect::<Vec<_>>(), [&TaskBody::Opened], "once");
    }
    assert_sound(&store);
}

#[tokio::test]
async fn the_newest_recordings_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let store = open(folder.path(), &clock);
    let index = AutomationIndex(5);
    apply(&store, vec![AutomationChange::Put(automation(5, 0, false))]).await.unwrap();
    let record = |n, keep| AutomationChange::Record { automation: index, sealed: vec![n], keep };
    apply(&store, vec![record(1, 1), record(2, 1)]).await.unwrap();
    assert_eq!(store.recordings(index, 9).unwrap(), [vec![2]]);
    for n in 3..9 {
        apply(&store, vec![record(n, 4)]).await.unwrap();
    }
    assert_eq!(store.recordings(index, 9).unwrap(), [vec![8], vec![7], vec![6], vec![5]]);
    drop(store);
    let store = open(folder.path(), &clock);
    apply(&store, vec![record(9, 2)]).await.unwrap();
    assert_eq!(store.recordings(index, 9).unwrap(), [vec![9], vec![8]]);
    assert_eq!(store.recordings(index, 1).unwrap(), [vec![9]]);
    assert_sound(&store);
    apply(&store, vec![record(10, 0)]).await.unwrap();
    assert!(store.recordings(index, 9).unwrap().is_empty());
    assert!(store.recordings(AutomationIndex(6), 9).unwrap().is_empty());
    assert_sound(&store);
}
