//! Hostile plugins (`tests/hostile/`, a folder each), each next to a good one that must keep serving.

use std::time::{Duration, Instant};

use futures::future::join_all;
use pombo_domain::ConnectorIndex;
use pombo_domain::ports::{Connectors, Refusal, SendOutcome, SessionState};
use serde_json::json;
use tokio::net::TcpListener;

use crate::support::{Wish, World, built, world};

/// The hostile connector 1 and the good connector 99.
async fn beside_a_good_one(case: &'static str, config: serde_json::Value, wish: Wish) -> World {
    let plugins =
        vec![("case.wasm", built(&format!("hostile/{case}.wasm"))), ("noop.wasm", built("plugins/noop.wasm"))];
    let world = world(Wish { plugins, ..wish }).await;
    world.start(99, "noop", json!({})).await;
    world.start(1, &format!("hostile-{case}"), config).await;
    world
}

/// The good one serves while `work` goes on.
async fn meanwhile<T>(world: &World, work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(work);
    loop {
        tokio::select! {
            biased;
            done = &mut work => return done,
            () = world.good_one_serves() => {}
        }
    }
}

fn restarted(states: &[SessionState]) -> bool {
    let failed = states.iter().position(|s| matches!(s, SessionState::Failing(_)));
    failed.is_some_and(|at| states[at..].contains(&SessionState::Connected))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endless_loop_is_ended_and_started_again() {
    let world = beside_a_good_one("endless-loop", json!({}), Wish::default()).await;
    let start = Instant::now();
    let outcomes = meanwhile(&world, join_all((0..3).map(|_| world.send(1, "x")))).await;
    assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
    // One spun; the others were handed over too, or had not been yet.
    assert!(outcomes.iter().any(|o| matches!(o, SendOutcome::Unknown(_))), "{outcomes:?}");
    assert!(
        outcomes.iter().all(|o| matches!(o, SendOutcome::Unknown(_) | SendOutcome::Disconnected(_))),
        "{outcomes:?}"
    );
    meanwhile(&world, world.told.until(1, restarted)).await;
    assert!(world.told.of(1).iter().any(|s| matches!(s, SessionState::Failing(why) if why.contains("processor"))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_endless_loop_does_not_hold_the_only_thread() {
    let world = beside_a_good_one("endless-loop", json!({}), Wish::default()).await;
    let outcome = meanwhile(&world, world.send(1, "x")).await;
    assert!(matches!(outcome, SendOutcome::Unknown(_)), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_without_end_ends_at_the_limit() {
    let world = beside_a_good_one("memory", json!({}), Wish::default()).await;
    let outcome = meanwhile(&world, world.send(1, "x")).await;
    assert!(matches!(outcome, SendOutcome::Unknown(_)), "{outcome:?}");
    meanwhile(&world, world.told.until(1, restarted)).await;
    let peak = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let peak: u64 = peak
        .lines()
        .find_map(|l| l.strip_prefix("VmHWM:"))
        .and_then(|l| l.split_whitespace().next())
        .and_then(|n| n.parse().ok())
        .expect("a number of kB");
    assert!(peak < 1 << 20, "the whole test process stayed below a GiB: {peak} kB");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trap_takes_its_own_messages_only() {
    let world = beside_a_good_one("trap", json!({}), Wish::default()).await;
    for _ in 0..5 {
        let (bad, good) = tokio::join!(world.send(1, "x"), join_all((0..50).map(|_| world.send(99, "x"))));
        assert!(matches!(bad, SendOutcome::Unknown(_) | SendOutcome::Disconnected(_)), "{bad:?}");
        assert!(good.iter().all(|o| matches!(o, SendOutcome::Accepted { .. })));
        world.told.until(1, |s| s.last() == Some(&SessionState::Connected)).await;
    }
    assert!(world.told.of(1).iter().any(|s| matches!(s, SessionState::Failing(_))));
    assert_eq!(world.told.of(99), [SessionState::Connecting, SessionState::Connected]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_log_lines_is_dropped() {
    let world = beside_a_good_one("log-flood", json!({}), Wish::default()).await;
    let outcome = meanwhile(&world, world.send(1, "x")).await;
    // 240 MB of text: either it was dropped in time, or the writer was ended for it.
    assert!(matches!(outcome, SendOutcome::Accepted { .. } | SendOutcome::Unknown(_)), "{outcome:?}");
    world.good_one_serves().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_huge_answer_is_not_taken() {
    let world = beside_a_good_one("huge-result", json!({}), Wish::default()).await;
    let outcome = meanwhile(&world, world.send(1, "x")).await;
    match outcome {
        SendOutcome::Rejected(Refusal { reason: why, .. }) | SendOutcome::Unknown(why) => {
            assert!(why.len() < 1000, "{} bytes", why.len());
        }
        other => panic!("{other:?}"),
    }
    world.good_one_serves().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_hangs_in_the_host_is_ended_and_the_instance_lives_on() {
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = silent.local_addr().expect("bound").port();
    let wish = Wish::default();
    let limits = pombo_sandbox::Limits { host_call: Duration::from_millis(300), ..wish.limits };
    let config = json!({"host": "127.0.0.1", "port": port});
    let world = beside_a_good_one("hanging-host-call", config, Wish { limits, ..wish }).await;
    for _ in 0..2 {
        let outcome = meanwhile(&world, world.send(1, "x")).await;
        assert!(matches!(&outcome, SendOutcome::Disconnected(why) if why.contains("no answer in time")), "{outcome:?}");
    }
    assert_eq!(world.told.of(1), [SessionState::Connecting, SessionState::Connected], "it was not restarted");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_grant_the_host_refuses_with_words() {
    let config = json!({"host": "127.0.0.1", "port": 1});
    let world = beside_a_good_one("hanging-host-call", config, Wish { granted: false, ..Wish::default() }).await;
    let outcome = world.send(1, "x").await;
    assert!(
        matches!(&outcome, SendOutcome::Temporary(why) if why.contains("\\\"smtp\\\" is not granted")),
        "{outcome:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_beside_the_configured_one_is_refused() {
    let config = json!({"host": "mail.example.com", "port": 25});
    let world = beside_a_good_one("hanging-host-call", config, Wish::default()).await;
    let outcome = world.send(1, "x").await;
    assert!(matches!(&outcome, SendOutcome::Temporary(why) if why.contains("not among those")), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_guard_decides_which_addresses_are_reached() {
    let config = json!({"host": "127.0.0.1", "port": 1});
    let world = beside_a_good_one("hanging-host-call", config, Wish { loopback: false, ..Wish::default() }).await;
    let outcome = world.send(1, "x").await;
    assert!(matches!(&outcome, SendOutcome::Temporary(why) if why.contains("not allowed")), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_a_hostile_connector_takes_no_longer_than_the_drain() {
    let wish = Wish::default();
    let limits =
        pombo_sandbox::Limits { cpu: Duration::from_secs(60), drain: Duration::from_millis(300), ..wish.limits };
    let world = beside_a_good_one("endless-loop", json!({}), Wish { limits, ..wish }).await;
    let send = world.send(1, "x");
    let stop = async {
        tokio::task::yield_now().await;
        let start = Instant::now();
        world.sandbox.stop(ConnectorIndex(1)).await;
        start.elapsed()
    };
    let (outcome, took) = meanwhile(&world, async { tokio::join!(send, stop) }).await;
    assert!(matches!(outcome, SendOutcome::Unknown(_) | SendOutcome::Disconnected(_)), "{outcome:?}");
    assert!(took < Duration::from_secs(3), "{took:?}");
}
