//! Connectors that hold a session: how it stands, operations, what waits for it, and how it ends.

use std::time::Duration;

use futures::future::join_all;
use pombo_domain::ConnectorIndex;
use pombo_domain::model::message::{MessageAction, OwnContent, Target};
use pombo_domain::ports::*;
use pombo_sandbox::Limits;
use serde_json::{Value, json};

use crate::support::{Wish, World, built, message, spec, world};

const ONE: ConnectorIndex = ConnectorIndex(1);

pub(crate) async fn with_probe(wish: Wish) -> World {
    world(Wish { plugins: vec![("probe.wasm", built("hostile/probe.wasm"))], ..wish }).await
}

pub(crate) fn config(more: Value) -> Value {
    let mut config = json!({"host": "127.0.0.1"});
    let fields = config.as_object_mut().expect("an object");
    fields.extend(more.as_object().cloned().unwrap_or_default());
    config
}

async fn connected(wish: Wish, more: Value) -> World {
    let world = with_probe(wish).await;
    world.start(1, "hostile-probe", config(more)).await;
    world
}

async fn number(world: &World, key: &str) -> u64 {
    let said = world.told_to(1, json!({"do": "number", "key": key})).await.expect("answers");
    said.parse().expect("a number")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_told_with_its_account_and_can_be_waited_for() {
    let world = with_probe(Wish::default()).await;
    let sandbox = world.sandbox.clone();
    let next = tokio::spawn(async move {
        let first = sandbox.session_after(ONE, &SessionState::Stopped).await;
        (first.clone(), sandbox.session_after(ONE, &first).await)
    });
    assert_eq!(world.sandbox.account(ONE), None);
    world.start(1, "hostile-probe", config(json!({"loginMillis": 50}))).await;
    assert_eq!(next.await.expect("ends"), (SessionState::Connecting, SessionState::Connected));
    let account = world.sandbox.account(ONE).expect("is connected");
    assert_eq!((account.address.as_str(), account.aliases.as_slice()), ("5511900000000", &["lid".to_owned()][..]));
    let description = world.sandbox.plugin("hostile-probe").expect("is there");
    let pace = description.pace.expect("declared");
    assert_eq!((pace.delay_max_ms, pace.daily_cap, pace.max_in_flight), (200, Some(7), 64));
    assert!(pace.health.is_some() && pace.warm_up.is_some_and(|w| w.days == [1, 2] && w.until == 5));
    assert!(
        description.needs_session
            && ["sessions", "lookup", "voice-notes"]
                .iter()
                .all(|f| { description.features.iter().any(|offered| offered == f) })
    );
    world.sandbox.stop(ONE).await;
    assert_eq!((world.sandbox.session(ONE), world.sandbox.account(ONE)), (SessionState::Stopped, None));
    assert_eq!(world.told.of(1).last(), Some(&SessionState::Stopped));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_kinds_of_messages_reach_the_plugin_as_they_are() {
    let world = connected(Wish::default(), json!({})).await;
    let target = || Target { provider_id: "P1".into(), sender: Some("ana".into()), text: None };
    let said = async |action, text: &str| {
        let outgoing = Outgoing { action, ..message("a", text) };
        match world.sandbox.send(ONE, outgoing).await {
            SendOutcome::Accepted { provider_id: Some(said), .. } => said,
            other => panic!("{other:?}"),
        }
    };
    let target_text = "Target { provider-id: \"P1\", sender: Some(\"ana\"), text: None }";
    let shown = |said: String| said.replace('_', "-");
    assert_eq!(shown(said(MessageAction::React(target()), "👍").await), format!("react {target_text} 👍"));
    assert_eq!(shown(said(MessageAction::Edit(target()), "novo").await), format!("edit {target_text} novo"));
    assert_eq!(shown(said(MessageAction::Revoke(target()), "").await), format!("revoke {target_text} "));
    let own = OwnContent { kind: "card".into(), value: r#"{"x":1}"#.into() };
    assert_eq!(said(MessageAction::Other(own), "preview").await, r#"other card {"x":1}"#);
    let outgoing = Outgoing {
        reply_to: Some(target()),
        mentions: vec!["55".into()],
        voice_note: true,
        ..message("a", r#"{"do": "shape"}"#)
    };
    let SendOutcome::Accepted { provider_id: Some(said), .. } = world.sandbox.send(ONE, outgoing).await else {
        panic!("is sent");
    };
    assert_eq!(shown(said), format!("(Some({target_text}), [\"55\"], true)"));
}

#[tokio::test(flavor = "multi_thread")]
async fn operations_are_answered_beside_sends_and_may_change_the_session() {
    let world = connected(Wish::default(), json!({})).await;
    let operate = async |operation| world.sandbox.operate(ONE, operation).await;
    let asked = vec!["55".to_owned(), "44".to_owned()];
    let Ok(Answer::Lookup(found)) = operate(Operation::Lookup(asked)).await else { panic!("answers") };
    assert_eq!(found.iter().map(|f| f.address.as_deref()).collect::<Vec<_>>(), [Some("+55"), Some("+44")]);
    assert_eq!(operate(Operation::Group("g".into())).await, Err(OperationError::NotFound("g".into())));
    let unsupported = operate(Operation::LeaveGroup("g".into())).await;
    assert!(matches!(unsupported, Err(OperationError::Unsupported(_))), "{unsupported:?}");
    assert_eq!(operate(Operation::OpenSession(None)).await, Ok(Answer::Done));
    assert_eq!(world.sandbox.session(ONE), SessionState::QrCode("qr-content".into()));
    assert_eq!(operate(Operation::OpenSession(Some("55".into()))).await, Ok(Answer::Done));
    assert_eq!(world.sandbox.session(ONE), SessionState::PairingCode("ABCD-EFGH".into()));
    assert_eq!(operate(Operation::CloseSession).await, Ok(Answer::Done));
    assert_eq!(world.sandbox.session(ONE), SessionState::LoggedOut("by the user".into()));
    assert!(
        matches!(world.send(1, "x").await, SendOutcome::Disconnected(_)),
        "messages do not wait for a logged-out session"
    );
    let nowhere = world.sandbox.operate(ConnectorIndex(7), Operation::Groups).await;
    assert!(matches!(nowhere, Err(OperationError::Disconnected(_))), "{nowhere:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_that_is_slow_costs_no_session_and_one_that_hangs_does() {
    let wish = Wish::default();
    let limits = Limits { operation: Duration::from_millis(500), ..wish.limits.clone() };
    let world = connected(Wish { limits, ..wish }, json!({})).await;
    let lookup = |what: &str| world.sandbox.operate(ONE, Operation::Lookup(vec![what.to_owned()]));
    assert!(matches!(lookup("slow").await, Err(OperationError::Unknown(_))));
    assert_eq!(number(&world, "logins").await, 1);
    assert!(matches!(lookup("hang").await, Err(OperationError::Unknown(_))));
    world
        .told
        .until(1, |s| s.iter().any(|s| matches!(s, SessionState::Failing(why) if why.contains("operation"))))
        .await;
    // A message that comes now waits for the session.
    assert!(matches!(world.send(1, "x").await, SendOutcome::Accepted { .. }));
    assert_eq!(number(&world, "logins").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trap_makes_an_operation_unknown() {
    let world = connected(Wish::default(), json!({})).await;
    let answer = world.sandbox.operate(ONE, Operation::Lookup(vec!["trap".into()])).await;
    assert!(matches!(answer, Err(OperationError::Unknown(_))), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn operations_beyond_the_bound_are_told_to_come_later() {
    let world = connected(Wish::default(), json!({})).await;
    let slow = || world.sandbox.operate(ONE, Operation::Lookup(vec!["slow".into()]));
    let answers = join_all((0..200).map(|_| slow())).await;
    let throttled = answers.iter().filter(|a| matches!(a, Err(OperationError::Throttled { .. }))).count();
    let done = answers.iter().filter(|a| **a == Ok(Answer::Done)).count();
    assert_eq!(throttled + done, 200, "{answers:?}");
    assert!(throttled > 0 && done >= 64, "{throttled} throttled, {done} done");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_specification_waits_for_the_old_session_and_messages_wait_for_the_new_one() {
    let world = connected(Wish::default(), json!({"stopMillis": 200, "loginMillis": 200})).await;
    for turn in 0..3 {
        let before = join_all((0..100).map(|_| world.told_to(1, json!({"do": "wait", "millis": 100}))));
        let swap = async {
            let specification =
                spec(1, "hostile-probe", config(json!({"stopMillis": 200, "loginMillis": 200, "n": turn})));
            world.sandbox.start(specification).await.expect("starts");
            join_all((0..100).map(|_| world.told_to(1, json!({"do": "echo"})))).await
        };
        let (before, after) = tokio::join!(before, swap);
        assert!(before.iter().all(Result::is_ok), "{before:?}");
        assert!(after.iter().all(Result::is_ok), "{after:?}");
    }
    assert_eq!((number(&world, "logins").await, number(&world, "overlaps").await), (4, 0));
    assert!(world.told.of(1).iter().all(|s| !matches!(s, SessionState::Disconnected(_))), "the old one is not heard");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_of_many_specifications_wins() {
    let world = connected(Wish::default(), json!({})).await;
    for turn in 0..10 {
        let run = if turn < 9 { "failed" } else { "" };
        world.sandbox.start(spec(1, "hostile-probe", config(json!({"run": run})))).await.expect("starts");
    }
    world.told.until(1, |s| s.last() == Some(&SessionState::Connected)).await;
    assert!(matches!(world.send(1, "x").await, SendOutcome::Accepted { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_does_not_end_is_ended() {
    let world = connected(Wish::default(), json!({"stopMillis": 3_600_000})).await;
    world.sandbox.start(spec(1, "hostile-probe", config(json!({})))).await.expect("starts");
    assert!(matches!(world.send(1, "x").await, SendOutcome::Accepted { .. }), "it waited for the farewell");
    assert_eq!(number(&world, "logins").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_wait_while_a_failed_instance_logs_in_again() {
    let world = connected(Wish::default(), json!({"loginMillis": 300})).await;
    let trapped = world.send(1, r#"{"do": "trap"}"#).await;
    assert!(matches!(trapped, SendOutcome::Unknown(_)), "{trapped:?}");
    let after = join_all((0..50).map(|_| world.send(1, "x"))).await;
    assert!(after.iter().all(|o| matches!(o, SendOutcome::Accepted { .. })), "{after:?}");
    assert_eq!(number(&world, "logins").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_wait_no_longer_than_they_may() {
    let wish = Wish::default();
    let limits = Limits { session_wait: Duration::from_millis(300), ..wish.limits.clone() };
    let world = connected(Wish { limits, ..wish }, json!({})).await;
    world.told_to(1, json!({"do": "state", "state": "connecting"})).await.expect("told");
    let outcomes = join_all((0..5).map(|_| world.send(1, "x"))).await;
    assert!(outcomes.iter().all(|o| *o == SendOutcome::Disconnected("no session".into())), "{outcomes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_session_nothing_is_sent() {
    let world = with_probe(Wish::default()).await;
    world.sandbox.start(spec(1, "hostile-probe", config(json!({"run": "unpaired"})))).await.expect("starts");
    world.told.until(1, |s| s.last() == Some(&SessionState::Unpaired("scan".into()))).await;
    assert_eq!(world.send(1, "x").await, SendOutcome::Disconnected("no session".into()));
    // Its operations are there for that.
    assert_eq!(world.sandbox.operate(ONE, Operation::OpenSession(None)).await, Ok(Answer::Done));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_work_is_not_tried_again_until_it_is_started() {
    let world = with_probe(Wish::default()).await;
    for (run, expected) in [
        ("banned", SessionState::LoggedOut("banned".into())),
        ("config", SessionState::Failing("configuration: run: must be something else".into())),
    ] {
        let logins = world.told.of(1).iter().filter(|s| **s == SessionState::Connecting).count();
        world.sandbox.start(spec(1, "hostile-probe", config(json!({"run": run})))).await.expect("starts");
        world.told.until(1, |s| s.last() == Some(&expected)).await;
        assert!(matches!(world.send(1, "x").await, SendOutcome::Disconnected(_)));
        let operated = world.sandbox.operate(ONE, Operation::Groups).await;
        assert!(matches!(operated, Err(OperationError::Disconnected(_))), "{operated:?}");
        let after = world.told.of(1).iter().filter(|s| **s == SessionState::Connecting).count();
        assert_eq!(after, logins + 1);
    }
    world.sandbox.start(spec(1, "hostile-probe", config(json!({})))).await.expect("starts");
    world.told.until(1, |s| s.last() == Some(&SessionState::Connected)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_failed_is_tried_again() {
    let world = with_probe(Wish::default()).await;
    world.sandbox.start(spec(1, "hostile-probe", config(json!({"run": "failed"})))).await.expect("starts");
    let failures = |s: &[SessionState]| s.iter().filter(|s| **s == SessionState::Failing("no luck".into())).count();
    world.told.until(1, |s| failures(s) >= 3).await;
    world.sandbox.stop(ONE).await;
    assert_eq!(world.sandbox.session(ONE), SessionState::Stopped);
}
