//! What becomes of a message after each outcome, and of its lane.

use pombo_domain::model::pace::WaitReason;
use pombo_domain::ports::{SendOutcome, ThrottleScope};

use crate::support::*;

fn why() -> String {
    "the provider's words".to_owned()
}

#[tokio::test]
async fn accepted_is_sent_with_the_providers_id() {
    let mut world = World::new(free());
    world.connectors.act(|_| Does::Answer(SendOutcome::accepted(Some("id-1".to_owned()))));
    world.start().await;
    let key = world.post(text("x"));
    settle().await;
    let state = world.state(key);
    assert_eq!(world.history(key), ["PENDING", "PROCESSING", "SENT"]);
    assert_eq!((state.provider_id.as_deref(), state.attempts, state.sent_at), (Some("id-1"), 1, Some(NOON)));
}

#[tokio::test]
async fn refusals_fail_at_once_with_the_reason() {
    for (outcome, shown) in [
        (SendOutcome::InvalidRecipient(why().into()), "FAILED invalid_recipient"),
        (SendOutcome::Rejected(why().into()), "FAILED rejected"),
    ] {
        let mut world = World::new(free());
        world.connectors.act(move |_| Does::Answer(outcome.clone()));
        world.start().await;
        let key = world.post(text("x"));
        world.clock.advance(3_600_000).await;
        assert_eq!(world.shown(key), shown);
        assert_eq!(world.state(key).reason.expect("a reason").detail, why());
        assert_eq!(world.connectors.texts().len(), 1);
    }
}

#[tokio::test]
async fn temporary_is_tried_again_with_growing_pauses_and_then_fails() {
    let mut world = World::new(free());
    world.connectors.act(|_| Does::Answer(SendOutcome::Temporary(why())));
    world.start().await;
    let key = world.post(text("x"));
    settle().await;
    assert_eq!(world.shown(key), "WAITING temporary");
    world.clock.advance(3_600_000).await;
    assert_eq!(world.shown(key), "FAILED temporary");
    let sent = world.connectors.sent.lock().clone();
    assert_eq!(sent.iter().map(|sent| sent.attempt).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    for (pair, base) in sent.windows(2).zip([5_000, 10_000, 20_000, 40_000]) {
        let pause = pair[1].at.since(pair[0].at);
        assert!((base / 2..=base).contains(&pause), "{pause} for {base}");
    }
    assert!(sent.iter().all(|one| one.client_id == sent[0].client_id));
}

#[tokio::test]
async fn unknown_is_tried_again_only_where_that_cannot_send_twice() {
    for (idempotent, shown, sends) in [(true, "SENT", 2), (false, "UNKNOWN unknown_outcome", 1)] {
        let mut world = World::with(free(), |plugin| plugin.idempotent_resend = idempotent);
        world.connectors.act(|sent| match sent.attempt {
            1 => Does::Answer(SendOutcome::Unknown(why())),
            _ => Does::Answer(accepted()),
        });
        world.start().await;
        let key = world.post(text("x"));
        world.clock.advance(600_000).await;
        assert_eq!((world.shown(key).as_str(), world.connectors.texts().len()), (shown, sends));
    }
}

#[tokio::test]
async fn while_disconnected_the_lane_parks_and_no_attempt_is_burned() {
    let mut world = World::new(free());
    world.connectors.act(|_| Does::Answer(SendOutcome::Disconnected(why())));
    world.start().await;
    let names: Vec<String> = (0..300).map(|n| n.to_string()).collect();
    let keys = world.post_all(TENANT, names.iter().map(|name| text(name)).collect());
    world.clock.advance(3_600_000).await;
    let sends = world.connectors.texts().len();
    assert!((60..250).contains(&sends), "it probes about once a minute, it does not spin: {sends}");
    assert!(keys.iter().all(|key| world.state(*key).attempts == 0));
    let view = world.handle().pace(pombo_domain::ConnectorIndex(1)).expect("the store answers").expect("it exists");
    assert_eq!((view.reason, view.sent_today, view.queued), (Some(WaitReason::Disconnected), 0, 300));
    let head = keys.iter().filter(|key| world.shown(**key) == "WAITING disconnected").count();
    assert!(head >= 1, "the head of the queue says why it waits");

    world.connectors.act(|_| Does::Answer(accepted()));
    world.connectors.sent.lock().clear();
    world.handle().wake(LANE);
    settle().await;
    assert_eq!(world.connectors.texts().len(), 300, "woken, it probes at once and goes on");
    assert!(keys.iter().all(|key| world.shown(*key) == "SENT"));
    assert_eq!(world.connectors.sent.lock().iter().map(|sent| sent.attempt).max(), Some(1));
}

#[tokio::test]
async fn one_message_that_always_finds_the_connection_gone_does_not_block_the_rest() {
    let mut world = World::new(free());
    world.connectors.act(|sent| match sent.text.as_str() {
        "poison" => Does::Answer(SendOutcome::Disconnected(why())),
        _ => Does::Answer(accepted()),
    });
    world.start().await;
    world.post(text("poison"));
    settle().await;
    let keys = world.post_all(TENANT, (0..100).map(|n| text(&n.to_string())).collect());
    world.clock.advance(600_000).await;
    assert!(keys.iter().all(|key| world.shown(*key) == "SENT"));
}

#[tokio::test]
async fn without_a_session_nothing_is_claimed_until_somebody_opens_it() {
    let mut world = World::with(free(), |plugin| plugin.needs_session = true);
    world.connectors.set_session(LANE, pombo_domain::ports::SessionState::QrCode("2@x".to_owned()));
    world.start().await;
    let key = world.post(text("x"));
    world.clock.advance(600_000).await;
    assert_eq!((world.shown(key).as_str(), world.connectors.texts().len()), ("WAITING disconnected", 0));
    let writes = world.history(key).len();
    assert!(writes < 30, "the wait is shown, not rewritten all the time: {writes}");
    world.connectors.set_session(LANE, pombo_domain::ports::SessionState::Connected);
    world.handle().wake(LANE);
    settle().await;
    assert_eq!(world.shown(key), "SENT");
}

#[tokio::test]
async fn throttling_rests_the_lane_as_long_as_asked_and_costs_no_attempt() {
    let mut world = World::new(pombo_domain::model::connector::Pace { max_in_flight: 1, ..free() });
    world.options.claim_ahead = 0;
    world.connectors.act(|sent| match sent.at.since(NOON) {
        0 => Does::Answer(throttled(ThrottleScope::Connector, Some(30_000), &why())),
        _ => Does::Answer(accepted()),
    });
    world.start().await;
    let first = world.post(text("first"));
    settle().await;
    let direct = world.post(pombo_domain::model::message::NewMessage { force_direct: true, ..text("direct") });
    settle().await;
    assert_eq!(world.shown(first), "WAITING throttled");
    world.clock.advance(29_999).await;
    assert_eq!(world.connectors.texts(), ["first"], "a direct one would only be throttled too");
    world.clock.advance(10_000).await;
    assert_eq!(world.connectors.texts(), ["first", "direct", "first"]);
    assert_eq!((world.shown(direct).as_str(), world.shown(first).as_str()), ("SENT", "SENT"));
    assert_eq!(world.state(first).attempts, 1);
}

#[tokio::test]
async fn a_message_that_is_throttled_alone_waits_alone() {
    for scope in [ThrottleScope::Recipient, ThrottleScope::Message] {
        let mut world = World::new(pombo_domain::model::connector::Pace { max_in_flight: 1, ..free() });
        world.connectors.act(move |sent| match (sent.text.as_str(), sent.at.since(NOON)) {
            ("held", 0) => Does::Answer(throttled(scope, Some(30_000), &why())),
            _ => Does::Answer(accepted()),
        });
        world.start().await;
        let held = world.post(text("held"));
        let other = world.post(samples::message(LANE, "rui@example.org", "other"));
        settle().await;
        assert_eq!((world.shown(held).as_str(), world.shown(other).as_str()), ("WAITING throttled", "SENT"));
        world.clock.advance(40_000).await;
        assert_eq!(world.connectors.texts(), ["held", "other", "held"]);
        assert_eq!((world.shown(held).as_str(), world.state(held).attempts), ("SENT", 1));
    }
}

#[tokio::test]
async fn a_recipient_that_is_always_throttled_does_not_stop_the_others() {
    let mut world = World::new(free());
    world.connectors.act(|sent| match sent.text.as_str() {
        "greylisted" => Does::Answer(throttled(ThrottleScope::Connector, None, &why())),
        _ => Does::Answer(accepted()),
    });
    world.start().await;
    let grey = world.post(text("greylisted"));
    let keys = world.post_all(TENANT, (0..100).map(|n| text(&n.to_string())).collect());
    world.clock.advance(60_000).await;
    assert!(keys.iter().all(|key| world.shown(*key) == "SENT"));
    world.clock.advance(3 * 86_400_000).await;
    assert_eq!(world.shown(grey), "FAILED throttled", "free for a day, then its attempts count");
}

#[tokio::test]
async fn counters_tell_the_outcomes_apart() {
    let mut world = World::new(free());
    world.connectors.act(|sent| {
        Does::Answer(match sent.text.as_str() {
            "invalid" => SendOutcome::InvalidRecipient(why().into()),
            "temporary" => SendOutcome::Temporary(why()),
            _ => accepted(),
        })
    });
    world.start().await;
    for name in ["a", "b", "invalid", "temporary"] {
        world.post(text(name));
    }
    settle().await;
    let metrics = world.handle().metrics();
    assert_eq!(
        (metrics.claims, metrics.outcome_accepted, metrics.outcome_invalid_recipient, metrics.outcome_temporary),
        (4, 2, 1, 1)
    );
    assert_eq!((metrics.retries, metrics.failed, metrics.in_flight), (1, 1, 0));
    assert!(metrics.counters().any(|counter| counter == ("claims", 4)));
}
