//! Plugins with sessions: a share of the connectors, one instance each.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use pombo_domain::ports::{Connectors, SessionState};
use serde_json::json;

use super::keep;
use crate::reload::{echo, number, replaced, version};
use crate::sessions::{config, with_probe};
use crate::support::{Wish, World, spec};

const PROBE: &str = "hostile-probe";

/// Which of the connectors 1 to 4 are on the version of that letter.
async fn on(world: &World, letter: &str) -> Vec<u32> {
    let mut found = Vec::new();
    for index in 1..=4 {
        if echo(world, index).await.contains(&format!("+{}", letter.repeat(4))) {
            found.push(index);
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn connectors_with_sessions_move_by_their_share_and_back_and_no_message_is_lost() {
    let world = Arc::new(with_probe(Wish::default()).await);
    for index in 1..=4 {
        world.start(index, PROBE, config(json!({"loginMillis": 20}))).await;
    }
    let over = Arc::new(AtomicBool::new(false));
    let load: Vec<_> = (1..=4)
        .map(|index| {
            let (world, over) = (world.clone(), over.clone());
            tokio::spawn(async move {
                while !over.load(Ordering::Relaxed) {
                    echo(&world, index).await;
                }
            })
        })
        .collect();
    let digest = keep(&world, &version("b"));
    world.sandbox.stage(PROBE, &digest, 1).await.expect("is good");
    let first = on(&world, "b").await;
    assert_eq!(first.len(), 1, "one at least, and no more than the share");
    world.sandbox.stage(PROBE, &digest, 75).await.expect("more");
    let more = on(&world, "b").await;
    assert_eq!(more.len(), 3);
    assert!(more.contains(&first[0]), "who moved does not move back");
    assert!(world.running(PROBE).contains("+aaaa"), "until it is promoted");
    world.sandbox.promote(PROBE).await.expect("is staged");
    assert_eq!(on(&world, "b").await, [1, 2, 3, 4]);
    assert!(world.running(PROBE).contains("+bbbb"));
    world.sandbox.unstage(PROBE).await.expect("the old one is kept");
    assert_eq!(on(&world, "a").await, [1, 2, 3, 4]);
    over.store(true, Ordering::Relaxed);
    for load in load {
        load.await.expect("every message was accepted");
    }
    for index in 1..=4 {
        assert_eq!(number(&world, index, "logins").await, "3", "there and back, once each");
        assert_eq!(number(&world, index, "overlaps").await, "0");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_connector_that_starts_tries_the_staged_version() {
    let world = with_probe(Wish::default()).await;
    let digest = keep(&world, &version("b"));
    world.sandbox.stage(PROBE, &digest, 1).await.expect("is good");
    for index in 1..=4 {
        world.start(index, PROBE, config(json!({}))).await;
    }
    assert_eq!(on(&world, "b").await, [1], "one at least, and 1 % of the others");
    // Started again with another configuration it stays where it is.
    world.sandbox.start(spec(1, PROBE, config(json!({"loginMillis": 1})))).await.expect("starts");
    world.told.until(1, |s| s.iter().filter(|s| **s == SessionState::Connected).count() == 2).await;
    assert_eq!(on(&world, "b").await, [1]);
    world.sandbox.unstage(PROBE).await.expect("is staged");
    assert_eq!(on(&world, "b").await, [0u32; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_never_logs_in_is_taken_back_and_the_messages_waited() {
    let world = Arc::new(with_probe(Wish::default()).await);
    // It reads another field of its configuration, which makes it log in for an hour.
    let stuck = replaced(&version("b"), "loginMillis", "loginMillas");
    for index in 1..=2 {
        world.start(index, PROBE, config(json!({"loginMillas": 3_600_000}))).await;
    }
    let digest = keep(&world, &stuck);
    world.sandbox.stage(PROBE, &digest, 100).await.expect("it is described well");
    for index in 1..=2 {
        world.told.until(index, |s| s.last() == Some(&SessionState::Connecting)).await;
    }
    let waiting: Vec<_> = (1..=2)
        .map(|index| {
            let world = world.clone();
            tokio::spawn(async move { echo(&world, index).await })
        })
        .collect();
    world.sandbox.unstage(PROBE).await.expect("the old one is kept");
    for waiting in waiting {
        assert!(waiting.await.expect("it is accepted").contains("+aaaa"));
    }
    for index in 1..=2 {
        assert_eq!(number(&world, index, "logins").await, "3", "there and back, once each");
    }
}
