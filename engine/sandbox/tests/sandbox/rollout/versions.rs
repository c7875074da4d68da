//! Plugins without sessions: both versions side by side.

use std::time::Duration;

use futures::future::join_all;
use pombo_domain::ConnectorIndex;
use pombo_domain::ports::{Connectors, SendOutcome, SessionState};

use super::{Counter, RELAY, bad, good, keep, relaying, version};
use crate::support::{Wish, spec, world};

#[tokio::test(flavor = "multi_thread")]
async fn a_share_of_the_messages_goes_to_the_new_version_and_always_the_same_ones() {
    let counter = Counter::start().await;
    let world = relaying(Wish::default()).await;
    world.start(1, RELAY, counter.config()).await;
    let old = world.sandbox.plugin(RELAY).expect("is there").digest;
    let new = keep(&world, &good('b'));
    world.sandbox.stage(RELAY, &new, 30).await.expect("is good");
    assert_eq!(world.running(RELAY), version('a'), "the old one is the plugin's until it is promoted");
    world.accepted(1, 0..200).await;
    let first = world.stats(RELAY, &new).calls;
    assert!((30..=90).contains(&first), "{first} of 200");
    world.accepted(1, 0..200).await;
    assert_eq!(world.stats(RELAY, &new).calls, 2 * first, "a message that is tried again goes the same way");
    assert_eq!(world.stats(RELAY, &old).calls, 400 - 2 * first);

    world.sandbox.stage(RELAY, &new, 60).await.expect("the share may change");
    world.accepted(1, 0..200).await;
    let more = world.stats(RELAY, &new).calls - 2 * first;
    assert!((first + 1..=160).contains(&more), "{more} of 200 after {first}");

    assert_eq!(world.sandbox.promote(RELAY).await.expect("is staged").version, version('b'));
    assert_eq!(world.running(RELAY), version('b'));
    let before = world.stats(RELAY, &new).calls;
    world.accepted(1, 200..300).await;
    assert_eq!(world.stats(RELAY, &new).calls - before, 100);
    world.sandbox.promote(RELAY).await.expect("is so already");

    world.sandbox.unstage(RELAY).await.expect("the old one is kept");
    assert_eq!(world.running(RELAY), version('a'));
    let before = world.stats(RELAY, &old).calls;
    world.accepted(1, 300..400).await;
    assert_eq!(world.stats(RELAY, &old).calls - before, 100);
    assert_eq!(counter.all(), 200 * 3 + 200);
    // Of two versions and four instances, one story.
    assert_eq!(world.told.of(1), [SessionState::Connecting, SessionState::Connected]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_does_not_start_gets_no_message_and_is_counted() {
    for case in ["trap-at-start", "error-at-start"] {
        let counter = Counter::start().await;
        let world = relaying(Wish::default()).await;
        for index in 1..=2 {
            world.start(index, RELAY, counter.config()).await;
        }
        let new = keep(&world, &bad(case));
        for share in [50, 100] {
            world.sandbox.stage(RELAY, &new, share).await.expect("it is described well");
            world.accepted(1, 0..50).await;
            world.sandbox.promote(RELAY).await.expect("somebody insists");
            assert!(world.running(RELAY).contains(case));
            world.accepted(1, 50..100).await;
            world.accepted(2, 100..150).await;
            assert!(world.stats(RELAY, &new).traps >= 2, "each of its instances: {:?}", world.stats(RELAY, &new));
            world.sandbox.unstage(RELAY).await.expect("the old one is kept");
            assert_eq!(world.running(RELAY), version('a'));
            world.accepted(1, 150..200).await;
        }
        assert_eq!(counter.all(), 400);
        assert_eq!(world.stats(RELAY, &new).failures, 0, "it had no message");
        for index in 1..=2 {
            assert_eq!(world.told.of(index), [SessionState::Connecting, SessionState::Connected], "{case}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_it_is_tried_a_trap_costs_the_message_that_trapped_and_no_other() {
    let counter = Counter::start().await;
    let wish = Wish::default();
    // Longer than the test: once it is down it stays down.
    let limits = pombo_sandbox::Limits {
        restart_first: Duration::from_secs(600),
        restart_max: Duration::from_secs(600),
        ..wish.limits
    };
    let world = relaying(Wish { limits, ..wish }).await;
    world.start(1, RELAY, counter.config()).await;
    let new = keep(&world, &bad("trap-at-hundredth"));
    world.sandbox.stage(RELAY, &new, 50).await.expect("it starts");
    let mut unknown = Vec::new();
    for id in 0..400 {
        match world.send_id(1, id).await {
            SendOutcome::Accepted { .. } => assert_eq!(counter.of(id), 1),
            SendOutcome::Unknown(_) => unknown.push(id),
            other => panic!("{id}: {other:?}"),
        }
    }
    let [unknown] = unknown[..] else { panic!("one only: {unknown:?}") };
    assert_eq!(counter.of(unknown), 0);
    let stats = world.stats(RELAY, &new);
    assert_eq!((stats.calls, stats.traps, stats.failures), (100, 1, 0), "it had its hundred, and was down after that");
    world.sandbox.unstage(RELAY).await.expect("is staged");
    world.accepted(1, 400..450).await;
    assert_eq!(world.told.of(1), [SessionState::Connecting, SessionState::Connected]);
}

#[tokio::test(flavor = "multi_thread")]
async fn once_it_took_over_a_trap_is_restarted_until_it_is_taken_back() {
    let counter = Counter::start().await;
    let wish = Wish::default();
    let limits = pombo_sandbox::Limits {
        restart_first: Duration::from_secs(600),
        restart_max: Duration::from_secs(600),
        ..wish.limits
    };
    let world = relaying(Wish { limits, ..wish }).await;
    world.start(1, RELAY, counter.config()).await;
    let new = keep(&world, &bad("trap-at-hundredth"));
    world.sandbox.stage(RELAY, &new, 100).await.expect("it starts");
    world.accepted(1, 0..99).await;
    let sent = world.send_id(1, 99).await;
    assert!(matches!(sent, SendOutcome::Unknown(_)), "{sent:?}");
    world.told.until(1, |s| matches!(s.last(), Some(SessionState::Failing(_)))).await;
    let sent = world.send_id(1, 100).await;
    assert!(matches!(sent, SendOutcome::Disconnected(_)), "nothing was sent: {sent:?}");
    world.sandbox.unstage(RELAY).await.expect("the old one is kept");
    assert_eq!(world.told.of(1).last(), Some(&SessionState::Connected), "it is up when the call returns");
    world.accepted(1, 100..150).await;
    assert_eq!(counter.all(), 99 + 50);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_slow_version_has_begun_ends_in_it_when_it_is_taken_back() {
    let counter = Counter::start().await;
    let world = relaying(Wish::default()).await;
    world.start(1, RELAY, counter.config()).await;
    let old = world.sandbox.plugin(RELAY).expect("is there").digest;
    let new = keep(&world, &bad("slow"));
    world.sandbox.stage(RELAY, &new, 100).await.expect("it starts");
    // More than it takes at once: the rest waits in its queue and before it.
    let sends = join_all((0..100).map(|id| world.send_id(1, id)));
    let back = async {
        world.until_stats(RELAY, &new, |stats| stats.calls > 0).await;
        world.sandbox.unstage(RELAY).await.expect("the old one is kept");
    };
    let (sent, ()) = tokio::join!(sends, back);
    assert!(sent.iter().all(|sent| matches!(sent, SendOutcome::Accepted { .. })), "{sent:?}");
    for id in 0..100 {
        assert_eq!(counter.of(id), 1, "{id}");
    }
    let (slow, fast) = (world.stats(RELAY, &new).calls, world.stats(RELAY, &old).calls);
    assert_eq!(slow + fast, 100, "each was begun once");
    assert!(slow >= 32 && fast > 0, "{slow} in the slow one, {fast} went back");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connector_that_starts_during_a_change_has_both_versions() {
    let counter = Counter::start().await;
    let world = relaying(Wish::default()).await;
    let new = keep(&world, &good('b'));
    world.sandbox.stage(RELAY, &new, 50).await.expect("is good");
    world.start(1, RELAY, counter.config()).await;
    // By its first message the new one may not be up yet; by the hundredth it is.
    let sent = async {
        for id in 0.. {
            world.accepted(1, id..id + 1).await;
            if world.stats(RELAY, &new).calls > 0 {
                break;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), sent).await.expect("the new one gets its share");
    world.sandbox.promote(RELAY).await.expect("is staged");
    world.start(2, RELAY, counter.config()).await;
    let before = world.stats(RELAY, &new).calls;
    world.accepted(2, 1000..1010).await;
    assert_eq!(world.stats(RELAY, &new).calls - before, 10);
    world.sandbox.unstage(RELAY).await.expect("the old one is kept");
    let before = world.stats(RELAY, &new).calls;
    world.accepted(1, 2000..2010).await;
    world.accepted(2, 2010..2020).await;
    assert_eq!(world.stats(RELAY, &new).calls, before);
    // Nothing is left over for a connector that is stopped in the middle.
    world.sandbox.stage(RELAY, &new, 50).await.expect("again");
    world.sandbox.stop(ConnectorIndex(1)).await;
    let sent = world.send_id(1, 3000).await;
    assert!(matches!(sent, SendOutcome::Disconnected(_)), "{sent:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_is_settled_is_over() {
    let counter = Counter::start().await;
    let world = relaying(Wish::default()).await;
    world.start(1, RELAY, counter.config()).await;
    let new = keep(&world, &good('b'));
    world.sandbox.stage(RELAY, &new, 10).await.expect("is good");
    world.sandbox.settle(RELAY).await;
    world.sandbox.promote(RELAY).await.expect("what is only tried is not settled");
    world.sandbox.settle(RELAY).await;
    world.sandbox.unstage(RELAY).await.expect_err("there is nothing to go back to");
    assert_eq!(world.running(RELAY), version('b'));
    world.accepted(1, 0..10).await;
    assert_eq!(world.stats(RELAY, &new).calls, 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_may_come_with_its_first_version_and_go_with_it() {
    let counter = Counter::start().await;
    let world = world(Wish::default()).await;
    assert!(world.sandbox.plugin(RELAY).is_none());
    let unknown = world.sandbox.start(spec(7, RELAY, counter.config())).await;
    assert!(unknown.is_err(), "its plugin is not there yet");
    let first = keep(&world, &good('a'));
    world.sandbox.stage(RELAY, &first, 10).await.expect("is good");
    assert_eq!(world.running(RELAY), version('a'), "the first version has all the work");
    world.told.until(7, |s| s.contains(&SessionState::Connected)).await;
    world.start(1, RELAY, counter.config()).await;
    world.accepted(1, 0..10).await;
    world.accepted(7, 10..20).await;
    world.sandbox.unstage(RELAY).await.expect("it goes");
    assert!(world.sandbox.plugin(RELAY).is_none());
    assert!(matches!(world.told.of(1).last(), Some(SessionState::Failing(_))), "{:?}", world.told.of(1));
    let sent = world.send_id(1, 20).await;
    assert!(matches!(sent, SendOutcome::Disconnected(_)), "{sent:?}");
    world.sandbox.stop(ConnectorIndex(7)).await;
    let second = keep(&world, &good('b'));
    world.sandbox.stage(RELAY, &second, 100).await.expect("is good");
    world.told.until(1, |s| s.last() == Some(&SessionState::Connected)).await;
    world.accepted(1, 20..30).await;
    assert!(matches!(world.send_id(7, 30).await, SendOutcome::Disconnected(_)), "it was stopped while it waited");
    assert_eq!(counter.all(), 30);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stored_choice_is_used_before_connectors_start() {
    let counter = Counter::start().await;
    let world = relaying(Wish::default()).await;
    let new = keep(&world, &good('b'));
    assert_eq!(world.sandbox.use_version(RELAY, &new).await.expect("is good").version, version('b'));
    world.sandbox.use_version(RELAY, &new).await.expect("is so already");
    world.start(1, RELAY, counter.config()).await;
    world.accepted(1, 0..10).await;
    assert_eq!(world.stats(RELAY, &new).calls, 10);
    world.sandbox.unstage(RELAY).await.expect_err("no change is under way");
    let newer = keep(&world, &good('c'));
    world.sandbox.use_version(RELAY, &newer).await.expect("is good");
    world.accepted(1, 10..20).await;
    assert_eq!(world.stats(RELAY, &newer).calls, 10);
}
