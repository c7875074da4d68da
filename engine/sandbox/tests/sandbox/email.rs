//! The e-mail connector against a scripted server: what each answer and each failure becomes.

use std::time::Duration;

use futures::future::join_all;
use pombo_domain::ConnectorIndex;
use pombo_domain::ports::{Connectors, SendOutcome};

use crate::support::{Act, Mail, Wish, World, message, world};

async fn with(script: &[(&'static str, Act)]) -> (World, Mail) {
    let wish = Wish::default();
    let limits = pombo_sandbox::Limits { host_call: Duration::from_millis(700), ..wish.limits };
    let world = world(Wish { limits, ..wish }).await;
    let mail = Mail::start(script).await;
    world.start(1, "connector-email", mail.config()).await;
    (world, mail)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_arrives_and_connections_are_kept() {
    let (world, mail) = with(&[]).await;
    for i in 0..20 {
        let outcome = world.send(1, &format!("Olá *Ana*\n.ponto {i}")).await;
        let SendOutcome::Accepted { provider_id, .. } = outcome else { panic!("{outcome:?}") };
        assert_eq!(provider_id.as_deref(), Some("00000000-0000-0000-0000-000000000abc@example.com"));
    }
    assert_eq!(*mail.connections.lock(), 1, "one connection carried them all");
    let accepted = mail.accepted.lock();
    assert_eq!(accepted.len(), 20);
    let text = accepted[3].replace("=\r\n", "");
    assert!(text.contains("Message-ID: <00000000-0000-0000-0000-000000000abc@example.com>\r\n"), "{text}");
    assert!(text.contains("\r\n.ponto 3"), "{text}");
    assert!(text.contains("<strong>Ana</strong>"), "{text}");
    assert!(text.ends_with("--\r\n") && !text.ends_with("\r\n\r\n"), "nothing is added at the end: {text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn submissions_run_at_once_within_the_configured_number() {
    let (world, mail) = with(&[]).await;
    let mut config = mail.config();
    config["maxInFlight"] = 3.into();
    world.start(2, "connector-email", config).await;
    let outcomes = join_all((0..60).map(|_| world.send(2, "x"))).await;
    assert!(outcomes.iter().all(|o| matches!(o, SendOutcome::Accepted { .. })), "{outcomes:?}");
    assert!(*mail.connections.lock() <= 3, "{}", mail.connections.lock());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_password_reaches_the_server_and_nothing_else() {
    let (world, mail) = with(&[]).await;
    let mut config = mail.config();
    config["username"] = "loja".into();
    world.start(3, "connector-email", config).await;
    assert!(matches!(world.send(3, "x").await, SendOutcome::Accepted { .. }));
    // \0loja\0s3cret
    assert_eq!(*mail.logins.lock(), ["AUTH PLAIN AGxvamEAczNjcmV0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_become_outcomes() {
    let kind = |o: &SendOutcome| match o {
        SendOutcome::Accepted { .. } => "accepted",
        SendOutcome::InvalidRecipient(_) => "invalid",
        SendOutcome::Rejected(_) => "rejected",
        SendOutcome::Throttled { .. } => "throttled",
        SendOutcome::Temporary(_) => "temporary",
        SendOutcome::Disconnected(_) => "disconnected",
        SendOutcome::Unknown(_) => "unknown",
    };
    let cases: [(&'static str, Act, &str); 16] = [
        ("RCPT", Act::Say("550 5.1.1 no such user\r\n"), "invalid"),
        ("RCPT", Act::Say("550-5.7.1 policy\r\n550 5.7.1 says no\r\n"), "rejected"),
        ("RCPT", Act::Say("451 4.3.0 later\r\n"), "temporary"),
        ("RCPT", Act::Say("450 4.2.0 greylisted\r\n"), "throttled"),
        ("MAIL", Act::Say("421 4.7.0 too many\r\n"), "throttled"),
        ("MAIL", Act::Say("530 5.7.0 login first\r\n"), "disconnected"),
        ("EHLO", Act::Say("554 go away\r\n"), "disconnected"),
        (".", Act::Say("552 5.3.4 too big\r\n"), "rejected"),
        (".", Act::Say("451 4.3.0 later\r\n"), "temporary"),
        ("RCPT", Act::Drop, "temporary"),
        ("DATA", Act::Drop, "temporary"),
        ("DATA", Act::Hang, "temporary"),
        ("EHLO", Act::Hang, "disconnected"),
        (".", Act::Drop, "unknown"),
        (".", Act::Hang, "unknown"),
        ("DATA", Act::Say("nonsense\r\n"), "temporary"),
    ];
    let (world, _) = with(&[]).await;
    for (i, (command, act, want)) in cases.into_iter().enumerate() {
        let mail = Mail::start(&[(command, act.clone())]).await;
        let index = 10 + i as u32;
        world.start(index, "connector-email", mail.config()).await;
        let outcome = world.send(index, "x").await;
        assert_eq!(kind(&outcome), want, "{command} {act:?}: {outcome:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_recipient_does_not_cost_the_connection() {
    let (world, mail) = with(&[("RCPT", Act::Say("550 5.1.1 no such user\r\n"))]).await;
    for _ in 0..3 {
        assert!(matches!(world.send(1, "x").await, SendOutcome::InvalidRecipient(_)));
    }
    assert_eq!(*mail.connections.lock(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn attachments_are_streamed_small_and_large() {
    use base64::Engine;
    let wish = Wish::default();
    let limits =
        pombo_sandbox::Limits { host_call: Duration::from_secs(20), send: Duration::from_secs(60), ..wish.limits };
    let world = world(Wish { limits, ..wish }).await;
    let mail = Mail::start(&[]).await;
    world.start(1, "connector-email", mail.config()).await;
    for size in [10, 900_000, 12_000_000] {
        let file = world.file(size);
        let bytes = std::fs::read(world.path_of(file.id)).expect("is there");
        let mut with_file = message("ana@exemplo.com", "Segue");
        with_file.attachments = vec![file.clone()];
        let outcome = world.sandbox.send(ConnectorIndex(1), with_file).await;
        assert!(matches!(outcome, SendOutcome::Accepted { .. }), "{size}: {outcome:?}");
        let message = mail.accepted.lock().pop().expect("accepted");
        let (_, part) = message.split_once("Content-Transfer-Encoding: base64\r\n\r\n").expect("the file's part");
        let encoded = part.split("\r\n--").next().expect("its end");
        assert!(encoded.lines().all(|l| l.len() <= 76));
        let decoded = base64::engine::general_purpose::STANDARD.decode(encoded.replace("\r\n", "")).expect("base64");
        assert_eq!(decoded, bytes);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attachment_that_is_gone_sends_nothing() {
    let (world, mail) = with(&[]).await;
    for size in [10, 3_000_000] {
        let file = world.file(size);
        std::fs::remove_file(world.path_of(file.id)).expect("was there");
        let mut with_file = message("ana@exemplo.com", "Segue");
        with_file.attachments = vec![file];
        let outcome = world.sandbox.send(ConnectorIndex(1), with_file).await;
        assert!(matches!(outcome, SendOutcome::Temporary(_)), "{size}: {outcome:?}");
        assert!(mail.accepted.lock().is_empty(), "a truncated message was accepted");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_the_server_ended_is_replaced_without_a_word() {
    for end in [Act::Drop, Act::Say("421 4.4.2 idle\r\n")] {
        let (world, mail) = with(&[("NEXT", end)]).await;
        for n in 1..=3 {
            let outcome = world.send(1, "x").await;
            assert!(matches!(outcome, SendOutcome::Accepted { .. }), "{outcome:?}");
            assert_eq!((*mail.connections.lock(), mail.accepted.lock().len()), (n, n));
        }
    }
}
