//! What connectors tell of their channel: kept in order, checked, bounded, stored together with the plugin's own writes.

use std::time::Duration;

use pombo_domain::ConnectorIndex;
use pombo_domain::model::{InboundContent, ReceiptKind};
use pombo_domain::ports::*;
use pombo_sandbox::Limits;
use serde_json::{Value, json};

use crate::sessions::{config, with_probe};
use crate::support::{Taking, Wish, World};

async fn probe(wish: Wish) -> World {
    let world = with_probe(wish).await;
    world.start(1, "hostile-probe", config(json!({}))).await;
    world
}

async fn emit(world: &World, event: Value) -> Result<String, String> {
    world.told_to(1, json!({"do": "emit", "event": event})).await
}

async fn stored(world: &World, key: &str) -> String {
    world.told_to(1, json!({"do": "number", "key": key})).await.expect("answers")
}

#[tokio::test(flavor = "multi_thread")]
async fn events_arrive_as_they_were_told() {
    let world = probe(Wish::default()).await;
    let client = "0190c2a0-0000-7000-8000-000000000001";
    emit(&world, json!({"kind": "text", "id": "m1", "size": 64 << 10})).await.expect("taken");
    emit(&world, json!({"kind": "receipt", "id": "p1", "client": client})).await.expect("taken");
    emit(&world, json!({"kind": "presence"})).await.expect("taken");
    emit(&world, json!({"kind": "blocked", "id": "ana"})).await.expect("taken");
    emit(&world, json!({"kind": "poll", "json": "[1]"})).await.expect("taken");
    let events = world.told.events();
    let ChannelEvent::Message(message) = &events[0] else { panic!("{events:?}") };
    assert_eq!((message.provider_id.as_str(), message.chat.as_str(), message.sender.as_str()), ("m1", "chat", "ana"));
    assert!(matches!(&message.content, InboundContent::Text(text) if text.len() == 64 << 10));
    let ChannelEvent::Receipt { client_id, kind, at, .. } = &events[1] else { panic!("{events:?}") };
    assert_eq!(client_id.map(|id| id.to_string()).as_deref(), Some(client));
    assert_eq!((*kind, at.0), (ReceiptKind::Delivered, 1_700_000_000_000));
    assert!(matches!(&events[2], ChannelEvent::Presence { kind: "typing", .. }), "{events:?}");
    assert_eq!(events[3], ChannelEvent::Blocked("ana".into()));
    assert_eq!(events[4], ChannelEvent::Other("poll".into(), "[1]".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_event_is_refused_by_its_field_and_not_taken() {
    let world = probe(Wish::default()).await;
    for (event, expected) in [
        (json!({"kind": "text", "id": ""}), "provider-id: must have 1 to"),
        (json!({"kind": "text", "id": "m", "size": (64 << 10) + 1}), "text: must have at most"),
        (json!({"kind": "receipt", "id": "p", "client": "7"}), "client-id:"),
        (json!({"kind": "poll", "json": "{"}), "not JSON"),
        (json!({"kind": "media", "id": "m", "file": "x"}), "media.id: is not the id"),
        (json!({"kind": "media", "id": "m", "file": "0190c2a0-0000-7000-8000-000000000001"}), "no such file"),
    ] {
        let refused = emit(&world, event).await.expect_err(expected);
        assert!(refused.contains("Invalid") && refused.contains(expected), "{refused}");
    }
    assert_eq!(world.told.events(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_order_of_a_connectors_events_is_kept() {
    let world = probe(Wish::default()).await;
    world.told_to(1, json!({"do": "flood", "count": 400})).await.expect("taken");
    let ids: Vec<_> = world
        .told
        .events()
        .into_iter()
        .map(|event| match event {
            ChannelEvent::Message(message) => message.provider_id,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(ids, (0..400).map(|n| format!("m{n}")).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn events_and_writes_are_stored_together_or_not_at_all() {
    let world = probe(Wish::default()).await;
    let task = || json!({"do": "commit", "events": [{"kind": "text", "id": "m1", "size": 3}], "keys": ["seen"]});
    *world.told.taking.lock() = Taking::Refusing;
    let refused = world.told_to(1, task()).await.expect_err("is refused");
    assert!(refused.contains("Unavailable"), "{refused}");
    assert_eq!(stored(&world, "seen").await, "0");
    *world.told.taking.lock() = Taking::Well;
    world.told_to(1, task()).await.expect("is taken");
    assert_eq!(stored(&world, "seen").await, "7");
    let taken = world.told.taken.borrow().clone();
    assert_eq!(taken.len(), 1, "one batch");
    assert_eq!((taken[0].0.len(), taken[0].1.len()), (1, 1));
    for (kind, expected) in [("state", "states and presences"), ("presence", "states and presences")] {
        let task = json!({"do": "commit", "events": [{"kind": "text", "id": "m2"}, {"kind": kind}], "keys": []});
        let refused = world.told_to(1, task).await.expect_err("is refused");
        assert!(refused.contains("events[1]") && refused.contains(expected), "{refused}");
    }
    assert_eq!(world.told.events().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_channel_gathers_in_one_request_fits_into_one_commit() {
    let world = probe(Wish::default()).await;
    let commit = |count: usize| {
        let events: Vec<Value> =
            (0..count).map(|n| json!({"kind": "text", "id": format!("m{n}"), "size": 40})).collect();
        json!({"do": "commit", "events": events, "keys": ["seen"]})
    };
    world.told_to(1, commit(1_000)).await.expect("fits");
    assert_eq!(world.told.events().len(), 1_000);
    let refused = world.told_to(1, commit(1_025)).await.expect_err("are too many");
    assert!(refused.contains("must be at most 1024"), "{refused}");
    assert_eq!(world.told.events().len(), 1_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commits_writes_count_for_the_quota() {
    let wish = Wish::default();
    let limits = Limits { kv_bytes: 10_000, ..wish.limits.clone() };
    let world = probe(Wish { limits, ..wish }).await;
    let commit = |key: &str, size: usize| json!({"do": "commit", "events": [{"kind": "text", "id": "m1"}], "keys": [key], "size": size});
    world.told_to(1, commit("small", 100)).await.expect("fits");
    let refused = world.told_to(1, commit("large", 20_000)).await.expect_err("is too large");
    assert!(refused.contains("Quota"), "{refused}");
    let refused = world.told_to(1, commit(&"k".repeat(600), 1)).await.expect_err("is too long");
    assert!(refused.contains("Quota"), "{refused}");
    assert_eq!(world.told.events().len(), 1, "no event of a refused commit");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_does_not_answer_times_out() {
    let wish = Wish::default();
    let limits = Limits { host_call: Duration::from_millis(300), ..wish.limits.clone() };
    let world = probe(Wish { limits, ..wish }).await;
    *world.told.taking.lock() = Taking::Hanging;
    let late = emit(&world, json!({"kind": "text", "id": "m1"})).await.expect_err("does not end");
    assert!(late.contains("TimedOut"), "{late}");
    *world.told.taking.lock() = Taking::Well;
    emit(&world, json!({"kind": "text", "id": "m1"})).await.expect("the next one is taken");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_is_slowed_to_the_bound() {
    let wish = Wish::default();
    // Sixty at once, then one a second: the call that would wait longer than its deadline fails.
    let limits = Limits { events_per_second: 1, host_call: Duration::from_millis(500), ..wish.limits.clone() };
    let world = probe(Wish { limits, ..wish }).await;
    let refused = world.told_to(1, json!({"do": "flood", "count": 1000})).await.expect_err("is slowed");
    assert!(refused.contains("TimedOut"), "{refused}");
    let taken = world.told.events().len();
    assert!((50..=60).contains(&taken), "{taken}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_grants_only_what_is_granted_works() {
    // Of all that it wants, events are granted.
    let world = probe(Wish { granted: false, ..Wish::default() }).await;
    emit(&world, json!({"kind": "text", "id": "m1"})).await.expect("taken");
    let commit = json!({"do": "commit", "events": [{"kind": "text", "id": "m2"}], "keys": ["k"]});
    for task in [commit, json!({"do": "http", "url": "http://127.0.0.1:1/"}), json!({"do": "media", "size": 1})] {
        let refused = world.told_to(1, task).await.expect_err("is not granted");
        assert!(refused.contains("is not granted"), "{refused}");
    }
    assert_eq!(world.told.events().len(), 1);
    assert_eq!(world.sandbox.session(ConnectorIndex(1)), SessionState::Connected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_was_uploaded_can_be_told_of() {
    let world = probe(Wish::default()).await;
    let size = 300_000;
    let task = json!({"do": "media", "name": "foto.png", "type": "image/png", "size": size});
    let id = world.told_to(1, task).await.expect("is stored");
    assert_eq!(std::fs::metadata(world.path_of(id.parse().expect("an id"))).expect("is there").len(), size);
    emit(&world, json!({"kind": "media", "id": "m1", "file": id, "size": size})).await.expect("taken");
    let wrong = emit(&world, json!({"kind": "media", "id": "m1", "file": id, "size": 7})).await.expect_err("differs");
    assert!(wrong.contains("media.size"), "{wrong}");
    // Larger than the store takes; and one that is dropped leaves nothing behind.
    let task = json!({"do": "media", "name": "x", "size": 2 << 20});
    let refused = world.told_to(1, task).await.expect_err("is too large");
    assert!(refused.contains("Invalid"), "{refused}");
    world.told_to(1, json!({"do": "media", "name": "dropped", "size": 5, "drop": true})).await.expect("is dropped");
    let partial = std::fs::read_dir(world.folder.path()).expect("is there").flatten();
    let partial = partial.filter(|f| f.path().extension().is_some_and(|e| e == "partial")).count();
    assert_eq!(partial, 0);
}
