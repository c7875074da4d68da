//! Order, schedules, pausing, deletion, cancelling, what is rendered and attached.

use std::time::Duration;

use pombo_domain::model::connector::{ConnectorStatus, Pace};
use pombo_domain::model::contact::ContactType;
use pombo_domain::model::message::*;
use pombo_domain::ports::{Change, OutboundError, SendOutcome, Store};

use crate::support::*;

fn one_at_a_time() -> Pace {
    Pace { max_in_flight: 1, ..free() }
}

#[tokio::test]
async fn priority_then_due_time_then_arrival() {
    let mut world = World::new(one_at_a_time());
    world.change_connector(|connector| connector.status = ConnectorStatus::Paused);
    world.start().await;
    let at = |ms| Some(NOON.plus_ms(ms));
    world.post(NewMessage { scheduled_at: at(3_000), ..text("5 later") });
    world.post(NewMessage { scheduled_at: at(2_000), ..text("5 soon") });
    world.post(NewMessage { priority: 1, ..text("1") });
    world.post(text("5 first"));
    world.post(NewMessage { priority: 10, ..text("10 first") });
    world.post(text("5 second"));
    world.post(NewMessage { priority: 10, ..text("10 second") });
    world.post(NewMessage { priority: 1, force_direct: true, ..text("direct") });
    world.clock.advance(5_000).await;
    assert_eq!(world.connectors.texts(), [""; 0], "paused: nothing leaves");
    world.change_connector(|connector| connector.status = ConnectorStatus::Active);
    world.clock.advance(0).await;
    let order = ["direct", "10 first", "10 second", "5 first", "5 second", "5 soon", "5 later", "1"];
    assert_eq!(world.connectors.texts(), order);
}

#[tokio::test]
async fn order_holds_past_the_window() {
    let mut world = World::new(one_at_a_time());
    world.options.window = 4;
    world.options.batch = 2;
    world.options.claim_ahead = 0;
    world.change_connector(|connector| connector.status = ConnectorStatus::Paused);
    world.start().await;
    let names: Vec<String> = (0..40).map(|n| format!("{n:02}")).collect();
    // The last posted goes first.
    for n in (0..40).rev() {
        world.post(NewMessage { priority: 10 - u8::try_from(n / 4).expect("small"), ..text(&names[n]) });
    }
    world.change_connector(|connector| connector.status = ConnectorStatus::Active);
    world.clock.advance(0).await;
    let mut expected: Vec<&str> = Vec::new();
    for four in names.chunks(4) {
        expected.extend(four.iter().rev().map(String::as_str));
    }
    assert_eq!(world.connectors.texts(), expected);
}

#[tokio::test]
async fn a_scheduled_message_waits_for_its_time_and_may_be_canceled() {
    let mut world = World::new(free());
    world.start().await;
    let later = world.post(NewMessage { scheduled_at: Some(NOON.plus_ms(60_000)), ..text("later") });
    let never = world.post(NewMessage { scheduled_at: Some(NOON.plus_ms(60_000)), ..text("never") });
    let sooner = world.post(NewMessage { scheduled_at: Some(NOON.plus_ms(1_000)), ..text("sooner") });
    settle().await;
    assert_eq!(world.shown(later), "WAITING scheduled");
    world.cancel(never);
    world.clock.advance(59_999).await;
    assert_eq!((world.status(sooner), world.status(later)), (Status::Sent, Status::Waiting));
    world.clock.advance(1).await;
    assert_eq!((world.status(later), world.status(never)), (Status::Sent, Status::Canceled));
    assert_eq!(world.history(later), ["WAITING", "PENDING", "PROCESSING", "SENT"]);
    assert_eq!(world.connectors.texts(), ["sooner", "later"]);
    // One that joins before all that were moved already.
    let again = world.post(NewMessage { scheduled_at: Some(NOON.plus_ms(60_500)), ..text("again") });
    world.clock.advance(1_000).await;
    assert_eq!(world.status(again), Status::Sent);
}

#[tokio::test]
async fn an_approved_message_joins_the_queue() {
    let mut world = World::new(free());
    world.start().await;
    let key = world.post(NewMessage { requires_approval: true, ..text("ok?") });
    world.clock.advance(1_000).await;
    assert_eq!(world.status(key), Status::PendingApproval);
    world.step(key, |state, now| state.approve(now));
    settle().await;
    assert_eq!(world.history(key), ["PENDING_APPROVAL", "PENDING", "PROCESSING", "SENT"]);
}

#[tokio::test]
async fn a_deleted_connectors_messages_fail_with_the_reason() {
    let mut world = World::new(free());
    world.change_connector(|connector| connector.status = ConnectorStatus::Paused);
    world.start().await;
    let mut keys = world.post_all(TENANT, (0..700).map(|n| text(&n.to_string())).collect());
    keys.push(world.post(NewMessage { scheduled_at: Some(NOON.plus_ms(1 << 40)), ..text("next century") }));
    let asks = world.post(NewMessage { requires_approval: true, ..text("ok?") });
    world.change_connector(|connector| connector.status = ConnectorStatus::Deleted);
    world.clock.advance(0).await;
    for key in keys {
        assert_eq!(world.shown(key), "FAILED connector_deleted");
    }
    assert_eq!(world.handle().lanes(), 0);
    world.step(asks, |state, now| state.approve(now));
    world.clock.advance(0).await;
    assert_eq!(world.shown(asks), "FAILED connector_deleted", "also what joins its queue later");
    assert_eq!(world.connectors.texts(), [""; 0]);
}

#[tokio::test]
async fn a_deletion_that_a_crash_cut_short_is_finished() {
    let mut world = World::new(free());
    let keys = world.post_all(TENANT, (0..10).map(|n| text(&n.to_string())).collect());
    world.change_connector(|connector| connector.status = ConnectorStatus::Deleted);
    world.start().await;
    for key in keys {
        assert_eq!(world.shown(key), "FAILED connector_deleted");
    }
}

#[tokio::test]
async fn a_new_connector_gets_its_lane() {
    let mut world = World::new(free());
    world.start().await;
    let other = pombo_domain::ConnectorIndex(7);
    world.connector(other, TENANT, free());
    let key = world.post(NewMessage { connector: other, ..text("x") });
    settle().await;
    assert_eq!(world.status(key), Status::Sent);
    assert_eq!(world.handle().lanes(), 2);
}

#[tokio::test]
async fn an_opt_out_counts_after_its_contact_was_deleted() {
    let mut world = World::new(one_at_a_time());
    world.connectors.act(|_| Does::After(1_000, accepted()));
    world.options.claim_ahead = 0;
    world.start().await;
    let first = world.post(text("first"));
    let opted_out = world.post(NewMessage { to: "Bob@example.org".to_owned(), ..text("opted out") });
    settle().await;
    world.inactive_contact("bob@example.org");
    let bob = world.store.contact(TENANT, ContactType::Email, "bob@example.org").expect("readable").expect("there");
    world.write(vec![Change::DeleteContact(TENANT, bob.id)]);
    world.clock.advance(5_000).await;
    assert_eq!((world.status(first), world.shown(opted_out)), (Status::Sent, "FAILED inactive_contact".to_owned()));
    assert_eq!(world.state(opted_out).reason.expect("a reason").detail, "asked to stop");
}

#[tokio::test]
async fn a_contact_becomes_known_on_the_connector_of_its_first_message() {
    let mut world = World::new(free());
    world.start().await;
    world.write(vec![Change::Contact(samples::contact(TENANT, ContactType::Email, "ana@example.org"))]);
    let contact =
        || world.store.contact(TENANT, ContactType::Email, "ana@example.org").expect("readable").expect("there");
    let before = contact();
    assert!(before.connectors.is_empty());
    let key = world.post(text("first"));
    settle().await;
    assert_eq!((world.status(key), contact().connectors), (Status::Sent, vec![LANE]));
    assert_eq!(contact().updated_at, before.updated_at, "it is no change of the contact");
    world.post(text("second"));
    settle().await;
    assert_eq!(contact().connectors, [LANE]);
    let unknown = world.post(NewMessage { to: "new@example.org".to_owned(), ..text("x") });
    settle().await;
    assert_eq!(world.status(unknown), Status::Sent);
    assert!(world.store.contact(TENANT, ContactType::Email, "new@example.org").expect("readable").is_none());
}

#[tokio::test]
async fn what_is_canceled_is_not_sent_and_an_inactive_contact_gets_nothing() {
    let mut world = World::new(one_at_a_time());
    world.connectors.act(|_| Does::After(1_000, accepted()));
    world.options.claim_ahead = 0;
    world.start().await;
    let first = world.post(text("first"));
    let canceled = world.post(text("canceled"));
    let inactive = world.post(NewMessage { to: "bob@example.org".to_owned(), ..text("inactive") });
    let last = world.post(text("last"));
    settle().await;
    world.cancel(canceled);
    world.inactive_contact("bob@example.org");
    world.clock.advance(5_000).await;
    assert_eq!(world.connectors.texts(), ["first", "last"]);
    assert_eq!([world.status(first), world.status(last)], [Status::Sent; 2]);
    assert_eq!(world.shown(inactive), "FAILED inactive_contact");
    assert_eq!(world.state(inactive).attempts, 0);
}

#[tokio::test]
async fn a_canceled_and_retried_message_is_sent_once() {
    let mut world = World::new(free());
    world.change_connector(|connector| connector.status = ConnectorStatus::Paused);
    world.start().await;
    let key = world.post(text("x"));
    world.cancel(key);
    world.clock.advance(10).await;
    world.step(key, |state, now| state.retry(now));
    world.change_connector(|connector| connector.status = ConnectorStatus::Active);
    world.clock.advance(10).await;
    assert_eq!(world.status(key), Status::Sent);
    assert_eq!(world.connectors.texts(), ["x"]);
}

#[tokio::test]
async fn text_and_subject_are_rendered_with_the_messages_seed_and_the_contacts_name() {
    let mut world = World::new(free());
    world.start().await;
    let key = world.post(NewMessage {
        subject: Some("S:{{ * }}".to_owned()),
        contact_name: Some("Ana Lima".to_owned()),
        variables: Some(r#"{"pedido":7}"#.to_owned()),
        ..text("T:{{ * }}")
    });
    settle().await;
    let sent = world.connectors.sent.lock()[0].clone();
    let variables = |of: &str| serde_json::from_str::<serde_json::Value>(&of[2..]).expect("variables are JSON");
    let subject = sent.subject.expect("a subject");
    assert_eq!(variables(&sent.text), variables(&subject));
    assert_eq!(variables(&sent.text)["primeiro_nome"], "Ana");
    assert_eq!(variables(&sent.text)["pedido"], 7);
    let id = world.id(key);
    assert_eq!(*world.renderer.seeds.lock(), [pombo_domain::ids::render_seed(id); 2]);
    assert_eq!(sent.client_id, id);
}

#[tokio::test]
async fn a_bad_template_fails_at_once_and_a_failing_renderer_is_asked_again() {
    let mut world = World::new(free());
    *world.renderer.unavailable.lock() = 2;
    world.start().await;
    let key = world.post(text("good"));
    settle().await;
    assert_eq!(world.shown(key), "WAITING render");
    world.clock.advance(60_000).await;
    assert_eq!((world.status(key), world.state(key).attempts), (Status::Sent, 3));
    let bad = world.post(text("{{ x }}"));
    settle().await;
    assert_eq!(world.shown(bad), "FAILED render");
    let reason = world.state(bad).reason.expect("a reason").detail;
    assert_eq!(reason, "the variable \"x\" is not defined (line 1, column 1)");
    *world.renderer.unavailable.lock() = usize::MAX;
    let never = world.post(text("never"));
    world.clock.advance(600_000).await;
    assert_eq!((world.shown(never).as_str(), world.state(never).attempts), ("FAILED render", 5));
    assert_eq!(world.connectors.texts(), ["good"]);
}

#[tokio::test]
async fn an_attachment_is_fetched_once_for_all_attempts() {
    let mut world = World::new(free());
    world.connectors.act(|sent| match sent.attempt {
        1 => Does::Answer(SendOutcome::Temporary("later".to_owned())),
        _ => Does::Answer(accepted()),
    });
    world.start().await;
    let key = world.post(NewMessage { attachment_url: Some("https://example.org/a.pdf".to_owned()), ..text("x") });
    world.clock.advance(60_000).await;
    assert_eq!(world.status(key), Status::Sent);
    assert_eq!(*world.fetcher.fetched.lock(), 1);
    assert!(world.connectors.sent.lock().iter().all(|sent| sent.attachments == 1));
}

#[tokio::test]
async fn an_attachment_that_cannot_be_fetched_fails_with_the_reason() {
    let mut world = World::new(free());
    let unreachable = || OutboundError::Unreachable("no answer".to_owned());
    world.fetcher.answers.lock().extend([OutboundError::Forbidden, unreachable(), unreachable()]);
    world.start().await;
    let url = Some("https://example.org/a.pdf".to_owned());
    let forbidden = world.post(NewMessage { attachment_url: url.clone(), ..text("forbidden") });
    world.clock.advance(1_000).await;
    assert_eq!(world.shown(forbidden), "FAILED attachment");
    let twice = world.post(NewMessage { attachment_url: url.clone(), ..text("twice") });
    world.clock.advance(1_000).await;
    assert_eq!(world.shown(twice), "WAITING attachment");
    world.clock.advance(120_000).await;
    assert_eq!((world.status(twice), world.state(twice).attempts), (Status::Sent, 3));
    world.fetcher.answers.lock().extend((0..9).map(|_| unreachable()));
    let never = world.post(NewMessage { attachment_url: url, ..text("never") });
    world.clock.advance(1_000_000).await;
    assert_eq!((world.shown(never).as_str(), world.state(never).attempts), ("FAILED attachment", 5));
}

#[tokio::test]
async fn a_slow_attachment_holds_up_nobody_but_in_a_paced_queue_its_place_is_kept() {
    let with = |name: &str| NewMessage { attachment_url: Some("https://example.org/a".to_owned()), ..text(name) };
    let mut world = World::new(free());
    world.start().await;
    world.post(with("file"));
    world.post(text("plain"));
    world.clock.advance(1_000).await;
    assert_eq!(world.connectors.texts(), ["plain", "file"]);
    let mut world = World::new(Pace { delay_min_ms: 100, delay_max_ms: 100, ..free() });
    world.start().await;
    world.post(with("file"));
    world.post(text("plain"));
    world.clock.advance(1_000).await;
    assert_eq!(world.connectors.texts(), ["file", "plain"]);
}

#[tokio::test]
async fn draining_lets_running_sends_end_and_keeps_the_rest() {
    let mut world = World::new(Pace { max_in_flight: 2, ..free() });
    world.connectors.act(|_| Does::After(1_000, accepted()));
    world.start().await;
    let keys = world.post_all(TENANT, (0..20).map(|n| text(&n.to_string())).collect());
    settle().await;
    let handle = world.handle().clone();
    let drain = tokio::spawn(async move { handle.drain(Duration::from_secs(10)).await });
    settle().await;
    world.post(text("after"));
    world.clock.advance(1_000).await;
    assert!(drain.await.expect("it ends"), "drained in time");
    let statuses: Vec<Status> = keys.iter().map(|key| world.status(*key)).collect();
    assert_eq!(statuses[..2], [Status::Sent; 2]);
    assert_eq!(statuses[2..], [Status::Pending; 18], "what was claimed ahead goes back");
    assert!(keys[2..].iter().all(|key| world.state(*key).attempts == 0));
    assert_eq!(world.connectors.texts().len(), 2);
    world.start().await;
    world.clock.advance(60_000).await;
    assert_eq!(world.connectors.texts().len(), 21);
}
