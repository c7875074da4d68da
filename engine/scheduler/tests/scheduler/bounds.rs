//! Fairness between tenants, and bounded memory.

use pombo_domain::model::message::NewMessage;
use pombo_domain::{ConnectorIndex, TenantIndex};

use crate::support::*;

#[tokio::test]
async fn a_tenant_with_many_busy_connectors_does_not_starve_another() {
    let mut world = World::new(free());
    world.options.turns = 1;
    world.options.batch = 10;
    world.options.claim_ahead = 0;
    let big = TenantIndex(1);
    let small = TenantIndex(2);
    let lone = ConnectorIndex(500);
    for n in 1..=40 {
        world.connector(ConnectorIndex(n), big, free());
    }
    world.connector(lone, small, free());
    world.start().await;
    for n in 1..=40 {
        let connector = ConnectorIndex(n);
        world.post_all(big, (0..200).map(|_| NewMessage { connector, ..text("big") }).collect());
    }
    world.post_all(small, (0..100).map(|_| NewMessage { connector: lone, ..text("small") }).collect());
    for _ in 0..100 {
        settle().await;
    }
    let texts = world.connectors.texts();
    assert_eq!(texts.len(), 8_100);
    let last = texts.iter().rposition(|text| text == "small").expect("they were sent");
    // Ten batches of its own and as many of the other's, and what was under way when it came.
    assert!(last < 600, "the small tenant's last message was number {last}");
    let first_of_each: std::collections::BTreeSet<u32> =
        world.connectors.sent.lock()[..1_400].iter().map(|sent| sent.connector.0).collect();
    assert_eq!(first_of_each.len(), 41, "the big tenant's connectors take turns too");
}

#[tokio::test]
async fn memory_stays_bounded_however_long_the_queue() {
    const QUEUED: usize = 60_000;
    let mut world = World::new(free());
    world.connectors.act(|_| Does::After(10, accepted()));
    world.start().await;
    for _ in 0..QUEUED / 1_000 {
        world.post_all(TENANT, (0..1_000).map(|_| text("x")).collect());
    }
    let bound = i64::try_from(world.options.claim_ahead).expect("small") + 50 + 256;
    let mut most_in_flight = 0;
    while world.connectors.sent.lock().len() < QUEUED {
        world.clock.advance(10).await;
        let view = world.handle().pace(LANE).expect("the store answers").expect("it exists");
        assert!(view.queued <= 512, "{}", view.queued);
        assert!(view.in_flight <= world.options.lane_outstanding, "{}", view.in_flight);
        most_in_flight = most_in_flight.max(world.handle().metrics().in_flight);
    }
    assert!((1..=bound).contains(&most_in_flight), "{most_in_flight}");
}

/// Not a test of a machine's speed, but of work per message: two commits for hundreds of messages, not for each.
#[tokio::test]
async fn commits_are_shared_by_many_messages() {
    let mut world = World::new(free());
    world.start().await;
    for _ in 0..10 {
        world.post_all(TENANT, (0..1_000).map(|_| text("x")).collect());
    }
    world.clock.advance(1_000).await;
    assert_eq!(world.connectors.texts().len(), 10_000);
    let commits = world.store.commits();
    assert!(commits < 1_000, "{commits} commits");
}
