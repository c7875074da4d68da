//! Connectors that need a session: what waits for it, and what is told of it.

use pombo_domain::model::connector::{ConnectorStatus, Pace, WarmUp};
use pombo_domain::model::message::NewMessage;
use pombo_domain::model::pace::WaitReason;
use pombo_domain::ports::{SendOutcome, SessionState};

use crate::support::*;

fn gone() -> SessionState {
    SessionState::Disconnected("the network".to_owned())
}

#[tokio::test]
async fn without_a_session_the_head_says_what_to_do_and_opening_lets_it_go_at_once() {
    for (state, detail) in [
        (gone(), "the session is disconnected (the network); it reconnects by itself"),
        (SessionState::LoggedOut("by the phone".to_owned()), "open a new session"),
        (SessionState::Unpaired(String::new()), "there is no session; open one"),
        (SessionState::QrCode("2@secret".to_owned()), "scan the QR code"),
        (SessionState::Stopped, "resume it"),
        (SessionState::Failing("trap".to_owned()), "restarts by itself"),
    ] {
        let mut world = World::two_way(free());
        world.connectors.set_session(LANE, state.clone());
        world.start().await;
        let keys = world.post_all(TENANT, vec![text("x"), text("y")]);
        let direct = world.post(NewMessage { force_direct: true, ..text("direct") });
        world.clock.advance(3_600_000).await;
        assert!(world.connectors.texts().is_empty());
        assert_eq!(world.shown(direct), "WAITING disconnected", "{state:?}: a direct one waits at the head");
        let shown = world.state(direct);
        assert_eq!((shown.attempts, shown.hold_until), (0, None), "no attempt, no instant that nobody knows");
        assert!(shown.reason.expect("a reason").detail.contains(detail));
        assert_eq!(world.history(direct), ["PENDING", "WAITING"], "shown once");
        let view = world.view();
        assert_eq!((view.reason, view.next_at), (Some(WaitReason::NoSession), None));
        assert!(view.detail.expect("a sentence").contains(detail));
        assert_eq!(view.breaker, pombo_scheduler::BreakerView::Closed, "nothing was tried");
        world.session(SessionState::Connected, Some("5500")).await;
        assert!(keys.iter().all(|key| world.shown(*key) == "SENT"));
        assert_eq!(world.connectors.texts(), ["direct", "x", "y"]);
    }
}

#[tokio::test]
async fn a_swap_of_the_plugin_is_only_a_short_wait() {
    let mut world = World::two_way(free());
    world.start().await;
    world.session(SessionState::Connecting, None).await;
    let keys = world.post_all(TENANT, (0..20).map(|n| text(&n.to_string())).collect());
    world.clock.advance(900).await;
    assert!(keys.iter().all(|key| world.history(*key) == ["PENDING"]));
    world.session(SessionState::Connected, Some("5500")).await;
    assert!(keys.iter().all(|key| world.history(*key) == ["PENDING", "PROCESSING", "SENT"]));
}

#[tokio::test]
async fn another_state_of_the_session_is_shown_instead() {
    let mut world = World::two_way(free());
    world.connectors.set_session(LANE, gone());
    world.start().await;
    let key = world.post(text("x"));
    world.clock.advance(5_000).await;
    world.session(SessionState::Disconnected("another word".to_owned()), None).await;
    assert!(world.state(key).reason.expect("a reason").detail.contains("the network"), "the same, not rewritten");
    world.session(SessionState::LoggedOut("by the phone".to_owned()), None).await;
    assert!(world.state(key).reason.expect("a reason").detail.contains("logged out (by the phone)"));
    assert_eq!(world.history(key), ["PENDING", "WAITING", "WAITING"]);
}

#[tokio::test]
async fn a_session_that_comes_back_is_not_slowed_by_the_breaker() {
    let mut world = World::two_way(free());
    world.connectors.act(|_| Does::Answer(SendOutcome::Disconnected("gone".to_owned())));
    world.start().await;
    let to = |n: i32| NewMessage { to: format!("p{n}@example.org"), ..text(&n.to_string()) };
    let keys = world.post_all(TENANT, (0..100).map(to).collect());
    world.clock.advance(300_000).await;
    assert!(matches!(world.view().breaker, pombo_scheduler::BreakerView::Open { failures: 3.., .. }));
    world.session(gone(), None).await;
    let sends = world.connectors.texts().len();
    world.clock.advance(600_000).await;
    assert_eq!(world.connectors.texts().len(), sends, "no probing while there is nothing to probe");
    world.connectors.act(|_| Does::After(50, accepted()));
    world.session(SessionState::Connected, Some("5500")).await;
    assert_eq!(world.connectors.running.lock().0, 50, "at once, and not one by one");
    world.clock.advance(1_000).await;
    assert!(keys.iter().all(|key| world.shown(*key) == "SENT"));
    assert!(keys.iter().all(|key| world.state(*key).attempts == 1));
}

#[tokio::test]
async fn what_goes_to_one_recipient_goes_one_after_the_other() {
    let mut world = World::two_way(free());
    world.connectors.act(|_| Does::After(1_000, accepted()));
    world.start().await;
    let to = |who: &str, what: &str| NewMessage { to: format!("{who}@example.org"), ..text(what) };
    let keys = world.post_all(TENANT, vec![to("ana", "1"), to("ana", "2"), to("bia", "3"), to("ana", "4")]);
    settle().await;
    assert_eq!(world.connectors.texts(), ["1", "3"], "others need not wait");
    world.clock.advance(1_000).await;
    assert_eq!(world.connectors.texts(), ["1", "3", "2"]);
    world.clock.advance(5_000).await;
    assert_eq!(world.connectors.texts(), ["1", "3", "2", "4"]);
    assert!(keys.iter().all(|key| world.shown(*key) == "SENT"));
}

#[tokio::test]
async fn what_was_claimed_goes_back_when_the_session_breaks() {
    let mut world = World::two_way(Pace { max_in_flight: 1, ..free() });
    world.connectors.act(|_| Does::After(1_000, accepted()));
    world.start().await;
    let keys = world.post_all(TENANT, (0..10).map(|n| text(&n.to_string())).collect());
    settle().await;
    world.session(SessionState::Connecting, None).await;
    world.clock.advance(10_000).await;
    assert_eq!(world.connectors.texts(), ["0"], "what ran may end, nothing new begins");
    assert_eq!(world.shown(keys[0]), "SENT");
    assert!(keys[1..].iter().all(|key| world.state(*key).attempts == 0 && world.shown(*key) != "PROCESSING"));
    world.session(SessionState::Connected, Some("5500")).await;
    world.clock.advance(20_000).await;
    assert!(keys.iter().all(|key| world.shown(*key) == "SENT"));
    assert_eq!(world.connectors.texts().len(), 10);
}

#[tokio::test]
async fn only_what_lasts_is_told_in_order() {
    let mut world = World::two_way(free());
    world.connectors.set_session(LANE, SessionState::Connecting);
    world.start().await;
    for (state, address) in [
        (gone(), None),
        (SessionState::Unpaired("new".to_owned()), None),
        (SessionState::QrCode("1".to_owned()), None),
        (SessionState::QrCode("2".to_owned()), None),
        (SessionState::PairingCode("3".to_owned()), None),
        (SessionState::Connecting, None),
        (SessionState::Connected, Some("5500")),
        (SessionState::Connected, Some("5500")),
        (gone(), None),
        (SessionState::Connecting, None),
        (gone(), None),
        (SessionState::Connected, Some("5500")),
        (SessionState::LoggedOut("by the phone".to_owned()), None),
        (SessionState::Stopped, None),
    ] {
        world.session(state, address).await;
    }
    let told = ["connected 5500", "disconnected 5500", "connected 5500", "logged-out 5500"];
    assert_eq!(world.session_events(), told, "never paired is no news");
}

#[tokio::test]
async fn session_events_wait_in_order_for_a_store_that_refuses_and_block_nobody() {
    let mut world = World::two_way(free());
    world.connectors.set_session(LANE, SessionState::Connecting);
    world.start().await;
    world.store.refuse(|_, _| Some(unavailable()));
    for _ in 0..3 {
        world.session(SessionState::Connected, Some("5500")).await;
        world.session(gone(), None).await;
    }
    // Far more than is kept.
    let intake = world.handle().intake();
    use pombo_domain::ports::ConnectorEvents;
    for _ in 0..10_000 {
        intake.session_changed(LANE, SessionState::Connected, None);
        intake.session_changed(LANE, gone(), None);
    }
    world.clock.advance(60_000).await;
    assert!(world.session_events().is_empty());
    world.store.no_plan();
    world.clock.advance(60_000).await;
    for _ in 0..200 {
        settle().await;
    }
    let told = world.session_events();
    assert_eq!(told.len(), 4_096, "the newest");
    assert!(told.windows(2).all(|pair| pair[0].starts_with("dis") != pair[1].starts_with("dis")), "in order");
    assert!(told.last().is_some_and(|last| last.starts_with("disconnected")));
}

#[tokio::test]
async fn connectors_that_need_no_session_tell_of_none() {
    let mut world = World::new(free());
    world.start().await;
    world.session(SessionState::Connected, None).await;
    world.session(gone(), None).await;
    assert!(world.session_events().is_empty());
}

#[tokio::test]
async fn another_number_begins_its_warm_up_and_its_health_anew() {
    let curve = WarmUp { days: vec![2, 4, 8], growth_percent: 50, until: 1_000 };
    let mut world = World::two_way(with_health(Pace { warm_up: Some(curve), ..free() }));
    world.start().await;
    world.session(SessionState::Connected, Some("5500")).await;
    world.post_all(TENANT, (0..60).map(|n| text(&n.to_string())).collect());
    settle().await;
    assert_eq!(world.connectors.texts().len(), 2);
    for (day, sent) in [(2, 6), (3, 14)] {
        world.clock.advance(24 * 3_600_000).await;
        assert_eq!((world.view().warm_up_day, world.connectors.texts().len()), (Some(day), sent));
    }
    world.tell(vec![pombo_domain::ports::ChannelEvent::Blocked("5599".to_owned())]).await.expect("taken");
    assert_eq!(world.view().health.expect("it has rules").score, 66);
    // The same number under another of its names is no other number.
    let renamed = pombo_domain::ports::Account {
        address: "77@lid".to_owned(),
        display_name: None,
        aliases: vec!["5500".to_owned()],
        platform: None,
        business: None,
        protocol_version: None,
    };
    use pombo_domain::ports::ConnectorEvents;
    world.handle().intake().session_changed(LANE, SessionState::Connected, Some(renamed));
    settle().await;
    assert_eq!(world.view().warm_up_day, Some(3));

    world.session(SessionState::LoggedOut("by the phone".to_owned()), None).await;
    let refuse_once = std::sync::atomic::AtomicBool::new(true);
    world.store.refuse(move |_, _| {
        let first = refuse_once.swap(false, std::sync::atomic::Ordering::Relaxed);
        first.then(|| unavailable())
    });
    world.session(SessionState::Connected, Some("5511")).await;
    world.clock.advance(2_000).await;
    let view = world.view();
    let health = view.health.expect("it has rules");
    assert_eq!((view.warm_up_day, health.score, health.blocks), (Some(1), 100, 0));
    assert_eq!(world.connectors.texts().len(), 16, "two on its first day");
    assert_eq!(world.health_state().account.as_deref(), Some("5511"));
    world.clock.advance(24 * 3_600_000).await;
    assert_eq!((world.view().warm_up_day, world.connectors.texts().len()), (Some(2), 20));
}

#[tokio::test]
async fn a_number_that_was_paired_is_known_over_a_restart() {
    let mut world = World::two_way(free());
    world.start().await;
    world.session(SessionState::Connected, Some("5500")).await;
    world.crash().await;
    world.connectors.set_session(LANE, SessionState::LoggedOut("while it was away".to_owned()));
    *world.connectors.account.lock() = None;
    world.start().await;
    assert_eq!(world.session_events().last().map(String::as_str), Some("logged-out 5500"));
}

#[tokio::test]
async fn what_broke_while_the_engine_was_away_is_told_once() {
    let mut world = World::two_way(free());
    world.start().await;
    world.session(SessionState::Connected, Some("5500")).await;
    world.crash().await;
    world.connectors.set_session(LANE, SessionState::Connecting);
    world.start().await;
    for _ in 0..3 {
        world.session(gone(), None).await;
        world.session(SessionState::Connecting, None).await;
    }
    assert_eq!(world.session_events()[1..], ["connected 5500", "disconnected 5500"]);
}

#[tokio::test]
async fn a_paused_connector_waits_with_its_session_and_without() {
    let mut world = World::two_way(free());
    world.change_connector(|connector| connector.status = ConnectorStatus::Paused);
    world.start().await;
    let key = world.post(text("x"));
    world.session(gone(), None).await;
    world.clock.advance(60_000).await;
    assert_eq!((world.shown(key).as_str(), world.view().reason), ("PENDING", Some(WaitReason::Paused)));
    world.change_connector(|connector| connector.status = ConnectorStatus::Active);
    world.clock.advance(60_000).await;
    assert_eq!((world.shown(key).as_str(), world.view().reason), ("WAITING disconnected", Some(WaitReason::NoSession)));
}
