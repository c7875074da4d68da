//! Requests of a channel: passed to the plugin with bounds on how many, how long, and how large.

use std::time::{Duration, Instant};

use futures::future::join_all;
use pombo_domain::ConnectorIndex;
use pombo_domain::model::{Attachment, AudienceRule, Bucket, MessageType, OptOutCategory, Setting, Undelivered};
use pombo_domain::ports::*;
use pombo_sandbox::Limits;
use serde_json::json;

use crate::sessions::{config, with_probe};
use crate::support::{Wish, World, message, spec};

const ONE: ConnectorIndex = ConnectorIndex(1);

async fn connected(receive: Duration) -> World {
    let wish = Wish::default();
    let limits = Limits { receive, ..wish.limits.clone() };
    connected_with(Wish { limits, ..wish }).await
}

async fn connected_with(wish: Wish) -> World {
    let world = with_probe(wish).await;
    world.start(1, "hostile-probe", config(json!({}))).await;
    world
}

fn request(path: &str) -> ReceivedRequest {
    ReceivedRequest {
        method: "POST".to_owned(),
        path: path.to_owned(),
        query: vec![("a".to_owned(), "1".to_owned())],
        headers: vec![("content-type".to_owned(), "text/plain".to_owned())],
        body: "olá".as_bytes().to_vec(),
        proven: false,
    }
}

async fn ask(world: &World, path: &str) -> Result<ReceivedResponse, ReceiveError> {
    world.sandbox.receive(ONE, request(path)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_reaches_the_plugin_as_it_is_and_so_does_its_answer() {
    let world = connected(Limits::default().receive).await;
    let answer = ask(&world, "in/x").await.expect("answers");
    assert_eq!((answer.status, answer.content_type.as_str()), (201, "text/plain"));
    let seen = String::from_utf8(answer.body).expect("text");
    assert_eq!(seen, r#"POST in/x [("a", "1")] [("content-type", "text/plain")] olá"#);
    let stored = world.told_to(1, json!({"do": "number", "key": "requests"})).await;
    assert_eq!(stored.as_deref(), Ok("1"), "what it stored is there when it answers");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_plugin_is_told_whether_a_request_was_proven() {
    let world = connected(Limits::default().receive).await;
    for proven in [true, false] {
        let answer =
            world.sandbox.receive(ONE, ReceivedRequest { proven, ..request("proven") }).await.expect("answers");
        assert_eq!(answer.body, proven.to_string().as_bytes());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_plugin_says_of_its_channel_is_in_its_description() {
    let world = with_probe(Wish::default()).await;
    let described = world.sandbox.plugin("hostile-probe").expect("is loaded");
    let named = |name: &str| name.to_owned();
    let hmac = Proof::BodyHmac { header: named("x-signature"), prefix: named("sha256="), secret: named("secret") };
    let query = Proof::QuerySecret { parameter: named("verify"), secret: named("secret"), method: named("GET") };
    assert_eq!(described.proofs, [hmac, query]);
    assert_eq!(described.shared_address.as_deref(), Some("host"));
    let rules = described.rules.expect("it has some");
    assert_eq!((rules.reply_window_ms, rules.outside_window), (Some(86_400_000), vec![named("card"), named("poll")]));
    assert_eq!(rules.recipient_rate, Some(Bucket { burst: 45, refill_ms: 6_000 }));
    let audience = AudienceRule { shared_by: Some(named("host")), limit: None, window_ms: 86_400_000 };
    assert_eq!((rules.throughput, rules.audience), (None, Some(audience)));
    let (category, detail) = (MessageType::Marketing, named("nobody there gets any"));
    let undelivered = Undelivered { kind: Some(named("card")), category, beginnings: vec![named("9")], detail };
    assert_eq!(rules.undelivered, [undelivered]);
    assert_eq!(rules.opt_out_categories, [OptOutCategory { name: named("offers"), category }]);
    assert_eq!(rules.cleaned_values, Some(Setting { field: named("host"), value: named("clean") }));
}

#[tokio::test(flavor = "multi_thread")]
async fn large_bodies_do_not_crowd_the_instance() {
    let world = connected(Limits::default().receive).await;
    // Each waits for a place of its own, and all are answered.
    let whole = || ReceivedRequest { body: vec![b'x'; 3 << 20], ..request("proven") };
    let answers = join_all((0..8).map(|_| world.sandbox.receive(ONE, whole()))).await;
    assert!(answers.iter().all(|answer| answer.as_ref().is_ok_and(|answer| answer.status == 200)), "{answers:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connector_without_a_session_takes_requests_and_one_that_does_not_run_does_not() {
    let world = with_probe(Wish::default()).await;
    assert!(matches!(ask(&world, "in").await, Err(ReceiveError::Busy(_))), "not started");
    world.sandbox.start(spec(1, "hostile-probe", config(json!({"run": "unpaired"})))).await.expect("starts");
    world.told.until(1, |states| states.contains(&SessionState::Unpaired("scan".into()))).await;
    assert_eq!(ask(&world, "in").await.map(|answer| answer.status), Ok(201));
    world.sandbox.stop(ONE).await;
    assert!(matches!(ask(&world, "in").await, Err(ReceiveError::Busy(_))), "stopped");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_beyond_its_bounds_has_failed() {
    let world = connected(Limits::default().receive).await;
    for path in ["status", "large"] {
        let answer = ask(&world, path).await;
        assert!(matches!(answer, Err(ReceiveError::Failed(_))), "{path}: {answer:?}");
    }
    let large = ReceivedRequest { body: vec![0; (3 << 20) + 1], ..request("in") };
    assert!(matches!(world.sandbox.receive(ONE, large).await, Err(ReceiveError::Failed(_))));
    let whole = ReceivedRequest { body: vec![b'x'; 3 << 20], ..request("slow") };
    assert_eq!(world.sandbox.receive(ONE, whole).await.map(|answer| answer.status), Ok(200));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_slow_costs_no_session_and_one_that_hangs_does() {
    let wish = Wish::default();
    // An answer may go on for as long as two calls into the host may take.
    let limits =
        Limits { receive: Duration::from_millis(500), host_call: Duration::from_secs(2), ..wish.limits.clone() };
    let world = connected_with(Wish { limits, ..wish }).await;
    let begun = Instant::now();
    assert!(matches!(ask(&world, "slow").await, Err(ReceiveError::Failed(_))));
    assert!(begun.elapsed() < Duration::from_millis(1400), "it is answered at its deadline");
    let logins = async || world.told_to(1, json!({"do": "number", "key": "logins"})).await;
    assert_eq!(logins().await.as_deref(), Ok("1"));
    assert!(matches!(ask(&world, "hang").await, Err(ReceiveError::Failed(_))));
    world.told.until(1, |s| s.iter().any(|s| matches!(s, SessionState::Failing(why) if why.contains("answer")))).await;
    assert_eq!(logins().await.as_deref(), Ok("2"));
    assert_eq!(ask(&world, "in").await.map(|answer| answer.status), Ok(201));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trap_fails_the_request_and_the_instance() {
    let world = connected(Limits::default().receive).await;
    assert!(matches!(ask(&world, "trap").await, Err(ReceiveError::Failed(_))));
    world.told.until(1, |s| s.iter().any(|s| matches!(s, SessionState::Failing(_)))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sixteen_run_at_once_sixteen_wait_and_more_are_refused() {
    let world = connected(Limits::default().receive).await;
    let begun = Instant::now();
    let many = async |count: usize| join_all((0..count).map(|_| ask(&world, "slow"))).await;
    let later = async {
        // By then the first ones are with the plugin, and wait there for longer than this.
        tokio::time::sleep(Duration::from_millis(400)).await;
        let waiting = many(16);
        let refused = async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            let refused = ask(&world, "slow").await;
            assert!(matches!(refused, Err(ReceiveError::Busy(_))), "{refused:?}");
            assert!(begun.elapsed() < Duration::from_millis(1400), "at once");
            // Sends and operations have places of their own.
            assert_eq!(world.sandbox.operate(ONE, Operation::Check).await, Ok(Answer::Done));
        };
        tokio::join!(waiting, refused).0
    };
    let (first, second) = tokio::join!(many(16), later);
    assert!(begun.elapsed() >= Duration::from_millis(3000), "the seventeenth waited for the first");
    assert!(first.iter().chain(&second).all(|answer| answer.as_ref().is_ok_and(|answer| answer.status == 200)));
}

#[tokio::test(flavor = "multi_thread")]
async fn operations_of_the_plugins_own_and_links_to_files_need_its_description() {
    let world = connected(Limits::default().receive).await;
    let operate = async |operation| world.sandbox.operate(ONE, operation).await;
    let echoed = operate(Operation::Other("echo".into(), r#"{"x":1}"#.into())).await;
    assert_eq!(echoed, Ok(Answer::Other(r#"{"x":1}"#.into())));
    let check = |kind: &str, value| world.sandbox.check_operation("hostile-probe", kind, &value);
    assert_eq!(check("link-step", json!({"id": "s1", "answer": "123456"})), Ok(()));
    assert_eq!(check("echo", json!(7)), Ok(()), "it gave no form");
    for (kind, value, place) in [
        ("link-step", json!({"id": "s1", "answer": ""}), "value.answer"),
        ("link-step", json!({"id": "s1"}), "value"),
        ("call", json!({"id": "c1", "act": "listen"}), "value.act"),
    ] {
        let problems = check(kind, value).expect_err(place);
        assert_eq!(problems.iter().map(|problem| problem.field.to_string()).collect::<Vec<_>>(), [place]);
    }
    let unknown = operate(Operation::Other("shout".into(), "{}".into())).await;
    assert!(matches!(unknown, Err(OperationError::Unsupported(_))), "{unknown:?}");
    let picture = operate(Operation::ProfilePicture("ana".into())).await;
    assert_eq!(picture, Ok(Answer::Picture(Some("https://pictures.example/ana".into()))));
    let outgoing = Outgoing { attachments: vec![world.file(3)], ..message("ana", r#"{"do": "links"}"#) };
    let sent = world.sandbox.send(ONE, outgoing).await;
    let links = r#"[Some("https://pombo.example/1/a.pdf")]"#;
    assert_eq!(sent, SendOutcome::accepted(Some(links.to_owned())));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_reads_the_files_that_it_was_given_and_no_others() {
    let world = connected(Limits::default().receive).await;
    let (given, other) = (world.file(3_000_000), world.file(5));
    let read = async |file: &Attachment, files: Vec<Attachment>| {
        let operation = Operation::Other("file".into(), file.id.to_string());
        world.sandbox.operate_with_files(ONE, operation, files).await
    };
    assert_eq!(read(&given, vec![given.clone()]).await, Ok(Answer::Other("3000000".into())));
    for refused in [read(&other, vec![given.clone()]).await, read(&given, Vec::new()).await] {
        assert!(matches!(&refused, Err(OperationError::Failed(why)) if why.contains("NotFound")), "{refused:?}");
    }
}
