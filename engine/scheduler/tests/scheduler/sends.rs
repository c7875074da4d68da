//! Sends that wait for their outcome, over the running scheduler: what a caller is told, and what becomes of the message.

use std::sync::Arc;

use pombo_domain::commands::media_files::FilePolicy;
use pombo_domain::commands::messages::actions::ActionRequest;
use pombo_domain::commands::messages::now::{EntryRef, FoundEntry, GRACE_MS, SentNow, WAIT_MS, Waiting};
use pombo_domain::commands::messages::send::Draft;
use pombo_domain::commands::{Commands, PluginPolicy, Ports};
use pombo_domain::model::connector::Pace;
use pombo_domain::model::message::{MessageAction, NewMessage, Status, Target};
use pombo_domain::model::reason::{Reason, ReasonCode};
use pombo_domain::ports::{Batch, Change, ChannelEvent, ChatStore, SendOutcome, SessionState, Store, ThrottleScope};
use pombo_domain::{ErrorCode, MessageKey, Result, ids};
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::support::*;

const ANA: &str = "5511988887777";
const BY: &str = "key:1";

/// A connector with every feature, whose session stands.
fn chat(pace: Pace) -> World {
    let world = World::two_way(pace);
    world.connectors.describe(|plugin| {
        plugin.channel = "whatsapp".to_owned();
        plugin.features.extend(["reactions", "edit", "revoke", "reply"].map(str::to_owned));
    });
    world.connectors.act(|sent| Does::Answer(accepted_as(sent)));
    world
}

/// The channel's id of a message follows from its own.
fn accepted_as(sent: &Sent) -> SendOutcome {
    SendOutcome::accepted(Some(format!("P-{}", sent.client_id)))
}

fn commands(world: &World) -> Commands {
    Commands::new(Ports {
        store: world.store.clone(),
        clock: Arc::new(world.clock.clone()),
        entropy: Arc::new(CountingEntropy::new(1 << 32)),
        passwords: Arc::new(PlainPasswords),
        secrets: Arc::new(ReversingBox),
        renderer: world.renderer.clone(),
        connectors: world.connectors.clone(),
        guard: Arc::new(OpenGuard),
        media: Arc::new(FolderMedia::new(world.store.path())),
        attachments: world.fetcher.clone(),
        file_policy: FilePolicy::default(),
        plugins: Arc::new(FakePluginEngine::keeping_all(world.clock.clone())),
        telemetry: Arc::new(FakeTelemetry::default()),
        plugin_policy: PluginPolicy::default(),
    })
}

fn connector_id() -> Uuid {
    Uuid::from_u128(u128::from(LANE.0))
}

fn waiting(world: &World) -> Waiting<'_> {
    Waiting { paces: world.handle(), wait_ms: WAIT_MS }
}

/// A request that waits.
fn sending(world: &World, commands: &Commands, text: &str) -> JoinHandle<Result<SentNow>> {
    let (commands, handle, text) = (commands.clone(), world.handle().clone(), text.to_owned());
    tokio::spawn(async move {
        let draft = Draft {
            connector: Some(connector_id()),
            to: Some(ANA.into()),
            text: Some(text.into()),
            author: Some(BY.into()),
            ..Draft::default()
        };
        commands.send_now(TENANT, draft, Waiting { paces: &handle, wait_ms: WAIT_MS }).await
    })
}

/// The answer, which must be there.
async fn told(sending: JoinHandle<Result<SentNow>>) -> SentNow {
    settle().await;
    assert!(sending.is_finished(), "it still waits");
    sending.await.expect("it does not panic").expect("it is valid")
}

fn key_of(id: Uuid) -> MessageKey {
    MessageKey { tenant: TENANT, serial: ids::message_serial(id).expect("a message's") }
}

/// A lane that sends one message at a time and is busy with one that never ends.
async fn busy() -> World {
    let mut world = chat(Pace { max_in_flight: 1, ..free() });
    world.options.claim_ahead = 0;
    world.connectors.act(|sent| if sent.text == "stuck" { Does::Hang } else { Does::Answer(accepted_as(sent)) });
    world.start().await;
    world.post(NewMessage { to: "5522".to_owned(), ..text("stuck") });
    settle().await;
    world
}

#[tokio::test]
async fn it_goes_ahead_of_the_pace_and_the_answer_has_the_channels_id() {
    let mut world = chat(Pace { delay_min_ms: 600_000, delay_max_ms: 600_000, ..free() });
    world.start().await;
    for n in 0..3 {
        world.post(NewMessage { to: "5522".to_owned(), ..text(&n.to_string()) });
    }
    settle().await;
    let commands = commands(&world);
    let SentNow::Sent { id, provider_id, at } = told(sending(&world, &commands, "Oi {{ nome }}|")).await else {
        panic!("it was sent")
    };
    assert_eq!((provider_id, at), (Some(format!("P-{id}")), NOON));
    // Not a template: the renderer gives it back as it was written.
    assert_eq!(world.connectors.texts(), ["0", r"Oi \{\{ nome \}\}\|"]);
    assert_eq!(world.history(key_of(id)), ["PENDING", "PROCESSING", "SENT"]);
    assert_eq!(world.store.message_author(key_of(id)).expect("readable").as_deref(), Some(BY));
}

#[tokio::test]
async fn a_refusal_is_told_with_its_reason() {
    for (outcome, code) in [
        (SendOutcome::InvalidRecipient("not there".into()), "invalid_recipient"),
        (SendOutcome::Rejected("spam".into()), "rejected"),
    ] {
        let mut world = chat(free());
        world.connectors.act(move |_| Does::Answer(outcome.clone()));
        world.start().await;
        match told(sending(&world, &commands(&world), "x")).await {
            SentNow::Refused { reason, .. } => assert_eq!(reason.code.as_str(), code),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn an_outcome_that_nobody_knows_is_told_as_such() {
    let mut world = chat(free());
    world.connectors.describe(|plugin| plugin.idempotent_resend = false);
    world.connectors.act(|_| Does::Answer(SendOutcome::Unknown("cut off".to_owned())));
    world.start().await;
    let told = told(sending(&world, &commands(&world), "x")).await;
    assert!(matches!(told, SentNow::Unknown { .. }), "{told:?}");
}

#[tokio::test]
async fn throttled_beyond_the_deadline_it_is_taken_back_at_once() {
    let mut world = chat(free());
    world.connectors.act(|_| Does::Answer(throttled(ThrottleScope::Connector, Some(60_000), "slow down")));
    world.start().await;
    let commands = commands(&world);
    match told(sending(&world, &commands, "x")).await {
        SentNow::Throttled { retry_after_ms } => assert!((60_000..=66_000).contains(&retry_after_ms)),
        other => panic!("{other:?}"),
    }
    // While the channel rests, nothing is even stored.
    let before = world.store.message_count();
    let told = told(sending(&world, &commands, "y")).await;
    assert!(matches!(told, SentNow::Throttled { .. }), "{told:?}");
    assert_eq!(world.store.message_count(), before);
    world.clock.advance(3_600_000).await;
    assert_eq!(world.connectors.texts(), ["x"], "it is not sent later");
}

#[tokio::test]
async fn to_a_stranger_of_a_locked_account_it_is_refused_until_the_end_of_the_lock() {
    let mut world = chat(free());
    world.start().await;
    let commands = commands(&world);
    let until = world.clock_now().plus_ms(3_600_000);
    let json = format!(r#"{{"lockedUntilMillis": {}}}"#, until.0);
    world.tell(vec![ChannelEvent::Other("outreach".to_owned(), json)]).await.expect("taken");
    match told(sending(&world, &commands, "x")).await {
        SentNow::NoOutreach { reason, retry_after_ms } => {
            assert_eq!((reason.code.as_str(), retry_after_ms), ("outreach", 3_600_000));
            assert!(reason.detail.contains(&until.to_iso()), "{}", reason.detail);
        }
        other => panic!("{other:?}"),
    }
    // Whoever wrote is answered.
    world.tell(vec![ChannelEvent::Message(from(ANA, "A1"))]).await.expect("taken");
    let answer = told(sending(&world, &commands, "y")).await;
    assert!(matches!(answer, SentNow::Sent { .. }), "{answer:?}");
    world.clock.advance(2 * 3_600_000).await;
    assert_eq!(world.connectors.texts(), ["y"], "the first is not sent later");
    world.assert_nothing_queued();
}

#[tokio::test]
async fn what_was_not_claimed_by_the_deadline_is_never_sent() {
    let world = busy().await;
    let sending = sending(&world, &commands(&world), "late");
    world.clock.advance(WAIT_MS - 1).await;
    assert!(!sending.is_finished());
    world.clock.advance(1).await;
    let SentNow::NotSent { id, .. } = told(sending).await else { panic!("it was not sent") };
    assert_eq!(world.shown(key_of(id)), "CANCELED canceled");
    assert_eq!(world.connectors.texts(), ["stuck"]);
}

#[tokio::test]
async fn retries_go_on_until_the_deadline_and_no_further() {
    let mut world = chat(free());
    world.connectors.act(|_| Does::Answer(SendOutcome::Temporary("busy".to_owned())));
    world.start().await;
    let sending = sending(&world, &commands(&world), "x");
    world.clock.advance(WAIT_MS).await;
    let SentNow::NotSent { id, reason } = told(sending).await else { panic!("it was not sent") };
    assert_eq!(reason.expect("a reason").code.as_str(), "temporary");
    let tried = world.connectors.texts().len();
    assert!(tried > 1, "it was tried again");
    world.clock.advance(3_600_000).await;
    assert_eq!((world.connectors.texts().len(), world.status(key_of(id))), (tried, Status::Canceled));
}

#[tokio::test]
async fn what_the_channel_has_at_the_deadline_is_told_as_pending_and_its_outcome_follows() {
    let mut world = chat(free());
    world.connectors.act(|sent| Does::After(WAIT_MS + 5_000, accepted_as(sent)));
    world.start().await;
    let sending = sending(&world, &commands(&world), "slow");
    world.clock.advance(WAIT_MS).await;
    let SentNow::Pending { id } = told(sending).await else { panic!("it is under way") };
    assert_eq!(world.shown(key_of(id)), "PROCESSING");
    world.clock.advance(5_000).await;
    assert_eq!(world.shown(key_of(id)), "SENT");
}

#[tokio::test]
async fn what_the_store_does_not_take_back_is_not_told_as_not_sent() {
    let world = busy().await;
    let sending = sending(&world, &commands(&world), "late");
    settle().await;
    let cancels = |change: &Change| matches!(change, Change::Update(update) if update.state.status == Status::Canceled);
    world.store.refuse(move |_, batch: &Batch| batch.changes.iter().any(cancels).then(unavailable));
    world.clock.advance(WAIT_MS).await;
    let told = told(sending).await;
    assert!(matches!(told, SentNow::Pending { .. }), "{told:?}");
}

#[tokio::test]
async fn a_step_that_was_faster_than_the_deadline_is_what_is_told() {
    let world = busy().await;
    let waits = sending(&world, &commands(&world), "late");
    settle().await;
    let key = world.store.ready(LANE, None, 1).expect("readable")[0].key;
    world.cancel(key);
    assert!(matches!(told(waits).await, SentNow::NotSent { .. }), "a person canceled it");
}

#[tokio::test]
async fn after_a_crash_before_the_answer_the_message_is_sent_once() {
    let mut world = busy().await;
    let sending = sending(&world, &commands(&world), "late");
    settle().await;
    let key = world.store.ready(LANE, None, 1).expect("readable")[0].key;
    world.crash().await;
    sending.abort();
    world.connectors.act(|sent| Does::Answer(accepted_as(sent)));
    world.start().await;
    settle().await;
    assert_eq!(world.shown(key), "SENT");
    let sends = world.connectors.texts().iter().filter(|text| *text == "late").count();
    assert_eq!(sends, 1, "nobody was told that it was not sent");
}

#[tokio::test]
async fn long_after_a_crash_it_is_not_sent_unless_a_person_wants_that() {
    let mut world = busy().await;
    let sending = sending(&world, &commands(&world), "late");
    settle().await;
    let key = world.store.ready(LANE, None, 1).expect("readable")[0].key;
    world.crash().await;
    sending.abort();
    world.connectors.act(|sent| Does::Answer(accepted_as(sent)));
    world.clock.advance(WAIT_MS + GRACE_MS + 1).await;
    world.start().await;
    settle().await;
    assert_eq!(world.shown(key), "FAILED expired");
    assert!(!world.connectors.texts().iter().any(|text| text == "late"));
    world.step(key, |state, now| state.retry(now));
    settle().await;
    assert_eq!(world.shown(key), "SENT");
    let sent = world.connectors.sent.lock().last().cloned().expect("it was sent");
    assert_eq!((sent.text.as_str(), sent.awaited), ("late", false), "nobody waits for it any more");
}

#[tokio::test]
async fn what_the_channel_had_at_a_crash_is_not_sent_again_long_after_it() {
    let mut world = chat(free());
    world.connectors.act(|_| Does::Hang);
    world.start().await;
    let sending = sending(&world, &commands(&world), "x");
    settle().await;
    let key = world.store.in_flight(None, 1).expect("readable")[0];
    world.crash().await;
    sending.abort();
    world.clock.advance(WAIT_MS + GRACE_MS + 1).await;
    world.start().await;
    settle().await;
    assert_eq!(world.shown(key), "UNKNOWN crash", "it may have been sent");
    assert_eq!(world.connectors.texts(), ["x"]);
}

#[tokio::test]
async fn what_fails_for_now_after_the_answer_is_tried_again_for_a_minute_only() {
    for (late_ms, shown) in [(GRACE_MS - 10_000, "SENT"), (GRACE_MS, "FAILED expired")] {
        let mut world = chat(free());
        world.connectors.act(move |sent| match sent.attempt {
            1 => Does::After(WAIT_MS + late_ms, SendOutcome::Temporary("busy".to_owned())),
            _ => Does::Answer(accepted_as(sent)),
        });
        world.start().await;
        let sending = sending(&world, &commands(&world), "slow");
        world.clock.advance(WAIT_MS).await;
        let SentNow::Pending { id } = told(sending).await else { panic!("it is under way") };
        world.clock.advance(3_600_000).await;
        assert_eq!(world.shown(key_of(id)), shown);
    }
}

#[tokio::test]
async fn what_is_in_doubt_is_never_told_as_not_sent() {
    let mut world = chat(free());
    world.connectors.act(|sent| match sent.attempt {
        1 => Does::After(WAIT_MS - 1_000, SendOutcome::Unknown("cut off".to_owned())),
        _ => Does::Answer(accepted_as(sent)),
    });
    world.start().await;
    let sending = sending(&world, &commands(&world), "x");
    world.clock.advance(WAIT_MS).await;
    let SentNow::Pending { id } = told(sending).await else { panic!("it may have been sent") };
    assert_eq!(world.shown(key_of(id)), "WAITING unknown_outcome");
    world.clock.advance(10_000).await;
    assert_eq!(world.shown(key_of(id)), "SENT", "under the same id");
}

#[tokio::test]
async fn what_somebody_cancels_in_doubt_is_not_told_as_not_sent() {
    let mut world = chat(free());
    world.connectors.act(|_| Does::Answer(SendOutcome::Unknown("cut off".to_owned())));
    world.start().await;
    let sending = sending(&world, &commands(&world), "x");
    settle().await;
    let key = key_of(world.connectors.sent.lock()[0].client_id);
    world.cancel(key);
    let told = told(sending).await;
    assert!(matches!(told, SentNow::Unknown { .. }), "{told:?}");
}

#[tokio::test]
async fn what_comes_to_be_in_doubt_while_it_is_taken_back_is_not_told_as_not_sent() {
    let world = busy().await;
    let sending = sending(&world, &commands(&world), "late");
    settle().await;
    let key = world.store.ready(LANE, None, 1).expect("readable")[0].key;
    let store = Arc::downgrade(&world.store);
    let mut is_first = true;
    world.store.refuse(move |_, batch: &Batch| {
        let cancels =
            |change: &Change| matches!(change, Change::Update(update) if update.state.status == Status::Canceled);
        if is_first && batch.changes.iter().any(cancels) {
            is_first = false;
            // An attempt that ended just now.
            store.upgrade().expect("the test has it").force(key, |state| {
                state.status = Status::Waiting;
                state.attempts = 1;
                state.due_at = NOON.plus_ms(WAIT_MS + 10_000);
                state.reason = Some(Reason::new(ReasonCode::UnknownOutcome, "cut off"));
            });
        }
        None
    });
    world.clock.advance(WAIT_MS).await;
    let told = told(sending).await;
    assert_eq!(
        (told, world.shown(key).as_str()),
        (SentNow::Pending { id: world.stored(key).message.id }, "WAITING unknown_outcome")
    );
    world.store.no_plan();
}

#[tokio::test]
async fn what_is_in_doubt_and_late_is_left_to_a_person() {
    let mut world = chat(free());
    world.connectors.act(|_| Does::Answer(SendOutcome::Unknown("cut off".to_owned())));
    world.start().await;
    let sending = sending(&world, &commands(&world), "x");
    settle().await;
    let key = key_of(world.connectors.sent.lock()[0].client_id);
    world.session(SessionState::Disconnected("gone".to_owned()), None).await;
    world.clock.advance(WAIT_MS).await;
    assert!(matches!(told(sending).await, SentNow::Pending { .. }));
    world.clock.advance(GRACE_MS + 1).await;
    world.session(SessionState::Connected, None).await;
    world.clock.advance(60_000).await;
    assert_eq!((world.shown(key).as_str(), world.connectors.texts().len()), ("UNKNOWN expired", 1));
}

#[tokio::test]
async fn many_requests_at_once_do_not_exceed_the_cap_of_the_day() {
    let mut world = chat(Pace { daily_cap: Some(2), ..free() });
    world.start().await;
    let commands = commands(&world);
    let all: Vec<_> = (0..5).map(|n| sending(&world, &commands, &n.to_string())).collect();
    let (mut sent, mut refused) = (0, 0);
    for one in all {
        match told(one).await {
            SentNow::Sent { .. } => sent += 1,
            // From noon to midnight.
            SentNow::CapReached { retry_after_ms: 43_200_000 } => refused += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((sent, refused, world.connectors.texts().len()), (2, 3, 2));
    world.clock.advance(43_200_000).await;
    assert!(matches!(told(sending(&world, &commands, "next day")).await, SentNow::Sent { .. }));
}

#[tokio::test]
async fn a_place_of_the_day_is_free_again_when_its_message_was_taken_back() {
    let mut world = chat(Pace { daily_cap: Some(2), max_in_flight: 1, ..free() });
    world.connectors.act(|sent| if sent.text == "stuck" { Does::Hang } else { Does::Answer(accepted_as(sent)) });
    world.start().await;
    world.post(NewMessage { to: "5522".to_owned(), ..text("stuck") });
    settle().await;
    let commands = commands(&world);
    for _ in 0..2 {
        let sending = sending(&world, &commands, "late");
        world.clock.advance(WAIT_MS).await;
        assert!(matches!(told(sending).await, SentNow::NotSent { .. }));
    }
}

#[tokio::test]
async fn without_a_session_or_while_paused_nothing_is_stored() {
    let mut world = chat(free());
    world.start().await;
    let commands = commands(&world);
    world.connectors.set_session(LANE, SessionState::Disconnected("gone".to_owned()));
    let refused = sending(&world, &commands, "x").await.expect("it does not panic");
    assert_eq!(refused.expect_err("no session").code, ErrorCode::Disconnected);
    world.connectors.set_session(LANE, SessionState::Connected);
    world.change_connector(|connector| connector.status = pombo_domain::model::ConnectorStatus::Paused);
    let refused = sending(&world, &commands, "x").await.expect("it does not panic");
    assert_eq!(refused.expect_err("paused").code, ErrorCode::Conflict);
    assert_eq!(world.store.message_count(), 0);
}

#[tokio::test]
async fn reactions_name_the_author_of_what_they_are_about() {
    let mut world = chat(free());
    world.start().await;
    world.tell(vec![ChannelEvent::Message(from(ANA, "A1"))]).await.expect("taken");
    let commands = commands(&world);
    let react = async |named: &str, author: Option<&str>, emoji: &str| {
        commands.react_in_chat_now(TENANT, connector_id(), ANA, named, author, emoji, BY, waiting(&world)).await
    };
    let target = |provider_id: &str, text: Option<&str>| Target {
        provider_id: provider_id.to_owned(),
        sender: Some(ANA.to_owned()),
        text: text.map(str::to_owned),
    };
    let last = || world.connectors.sent.lock().last().expect("one").options.action.clone();
    assert!(matches!(react("A1", None, "👍").await, Ok(Some(SentNow::Sent { .. }))));
    assert_eq!(last(), MessageAction::React(target("A1", Some("Oi"))));
    // There is one to remove, and then there is none.
    assert!(matches!(react("A1", None, "").await, Ok(Some(SentNow::Sent { .. }))));
    assert_eq!(react("A1", None, "").await, Ok(None));
    // One that the engine does not know is the other side's, where that is certain.
    assert!(matches!(react("A9", Some(ANA), "👍").await, Ok(Some(SentNow::Sent { .. }))));
    assert_eq!(last(), MessageAction::React(target("A9", None)));
    assert_eq!(react("A9", None, "👍").await.expect_err("unknown").code, ErrorCode::NotFound);
}

#[tokio::test]
async fn own_messages_are_edited_and_deleted_and_those_of_others_are_not() {
    let mut world = chat(free());
    world.start().await;
    world.tell(vec![ChannelEvent::Message(from(ANA, "A1"))]).await.expect("taken");
    let commands = commands(&world);
    let SentNow::Sent { id, .. } = told(sending(&world, &commands, "Olá")).await else { panic!("it was sent") };
    let own = || commands.find_entry(TENANT, EntryRef::Id(id)).expect("it is in the timeline");
    let act = async |found: FoundEntry, request: ActionRequest| {
        commands.act_on_entry_now(TENANT, &found, request, BY, waiting(&world)).await
    };
    let edit = || ActionRequest::Edit("Oi".to_owned());
    assert!(matches!(act(own(), edit()).await, Ok(Some(SentNow::Sent { .. }))));
    assert_eq!(own().item.entry.text(), Some("Oi"));
    let theirs = commands.entry_in_chat(TENANT, connector_id(), ANA, "A1").expect("readable").expect("it came");
    for request in [edit(), ActionRequest::Revoke] {
        assert_eq!(act(theirs.clone(), request).await.expect_err("not ours").code, ErrorCode::Forbidden);
    }
    assert!(matches!(act(own(), ActionRequest::Revoke).await, Ok(Some(SentNow::Sent { .. }))));
    let sends = world.connectors.texts().len();
    assert_eq!(act(own(), ActionRequest::Revoke).await, Ok(None), "it is deleted already");
    assert_eq!(act(own(), edit()).await.expect_err("deleted").code, ErrorCode::Conflict);
    assert_eq!(world.connectors.texts().len(), sends);
}
