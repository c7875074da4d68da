//! Crashes, refused commits, panics and connectors that hang: nothing lost, nothing sent twice.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use pombo_domain::model::connector::{HealthRules, Pace};
use pombo_domain::model::message::Status;
use pombo_domain::model::receipt::ReceiptKind;
use pombo_domain::ports::{ChannelEvent, ConnectorEvents, KvWrite, SendOutcome, ThrottleScope};
use pombo_domain::{ConnectorIndex, MessageKey, TenantIndex};
use pombo_scheduler::rules::draw::{Draw, between};

use crate::support::*;

#[tokio::test]
async fn what_was_in_flight_at_a_crash_is_retried_or_left_to_a_person() {
    for (idempotent, shown) in [(true, "PENDING crash"), (false, "UNKNOWN crash")] {
        let mut world = World::with(free(), |plugin| plugin.idempotent_resend = idempotent);
        world.connectors.act(|_| Does::Hang);
        world.start().await;
        let key = world.post(text("x"));
        settle().await;
        assert_eq!(world.shown(key), "PROCESSING");
        world.crash().await;
        // Paused, so that the decision can be seen before the retry.
        world.change_connector(|c| c.status = pombo_domain::model::connector::ConnectorStatus::Paused);
        world.start().await;
        assert_eq!(world.shown(key), shown);
        assert_eq!(world.state(key).attempts, 1, "the attempt counts");
        world.connectors.act(|_| Does::Answer(accepted()));
        world.change_connector(|c| c.status = pombo_domain::model::connector::ConnectorStatus::Active);
        world.clock.advance(60_000).await;
        let sent = world.connectors.sent.lock().clone();
        if idempotent {
            assert_eq!((world.shown(key).as_str(), sent.len()), ("SENT", 2));
            assert_eq!(sent[0].client_id, sent[1].client_id);
        } else {
            assert_eq!((world.shown(key).as_str(), sent.len()), ("UNKNOWN crash", 1), "never silently twice");
        }
    }
}

#[tokio::test]
async fn in_flight_through_a_plugin_that_is_gone_is_unknown() {
    let mut world = World::new(free());
    world.connectors.act(|_| Does::Hang);
    world.start().await;
    let key = world.post(text("x"));
    settle().await;
    world.crash().await;
    world.change_connector(|connector| connector.plugin = "no longer installed".to_owned());
    world.start().await;
    assert_eq!(world.shown(key), "UNKNOWN crash");
}

#[tokio::test]
async fn whichever_commit_is_refused_every_message_is_sent_once() {
    for first in 0..30 {
        for count in [1, 3] {
            let mut world = World::new(free());
            world.options.batch = 8;
            world.store.refuse(move |number, _| (first..first + count).contains(&number).then(unavailable));
            world.start().await;
            let keys = world.post_all(TENANT, (0..60).map(|n| text(&n.to_string())).collect());
            world.clock.advance(120_000).await;
            assert!(keys.iter().all(|key| world.shown(*key) == "SENT"), "refused from {first}");
            assert_eq!(world.connectors.texts().len(), 60, "refused from {first}");
            assert_eq!(world.state(keys[0]).attempts, 1);
        }
    }
}

#[tokio::test]
async fn a_store_that_takes_nothing_is_not_hammered() {
    let mut world = World::new(free());
    world.store.refuse(|_, _| Some(unavailable()));
    world.start().await;
    world.post_all(TENANT, (0..60).map(|n| text(&n.to_string())).collect());
    world.clock.advance(600_000).await;
    assert_eq!(world.connectors.texts(), [""; 0], "no attempt without its claim on disk");
    let commits = world.store.commits();
    assert!((10..100).contains(&commits), "{commits}");
}

#[tokio::test]
async fn a_panic_in_one_lane_stops_no_other_and_its_messages_are_decided() {
    let mut world = World::new(free());
    let other = ConnectorIndex(2);
    world.connector(other, TENANT, free());
    world.connectors.act(|sent| match (sent.text.as_str(), sent.attempt) {
        ("panics", 1) => Does::Panic,
        _ => Does::After(1_000, accepted()),
    });
    world.start().await;
    let keys = world.post_all(TENANT, ["a", "panics", "b"].map(text).to_vec());
    let beside = world.post(pombo_domain::model::message::NewMessage { connector: other, ..text("beside") });
    world.clock.advance(60_000).await;
    assert!(keys.iter().all(|key| world.shown(*key) == "SENT"));
    assert_eq!((world.shown(beside).as_str(), world.history(beside).len()), ("SENT", 3));
}

#[tokio::test]
async fn a_connector_that_hangs_holds_up_no_other_and_draining_is_bounded() {
    let mut world = World::new(free());
    let other = ConnectorIndex(2);
    world.connector(other, TENANT, free());
    world.connectors.act(|sent| if sent.connector == LANE { Does::Hang } else { Does::Answer(accepted()) });
    world.start().await;
    let hung = world.post_all(TENANT, (0..500).map(|n| text(&n.to_string())).collect());
    let to_other = |n: usize| pombo_domain::model::message::NewMessage { connector: other, ..text(&n.to_string()) };
    let fine = world.post_all(TENANT, (0..500).map(to_other).collect());
    world.clock.advance(1_000).await;
    assert!(fine.iter().all(|key| world.shown(*key) == "SENT"));
    let handle = world.handle().clone();
    let drain = tokio::spawn(async move { handle.drain(Duration::from_secs(5)).await });
    world.clock.advance(5_000).await;
    assert!(!drain.await.expect("it ends"), "cut short, and it says so");
    let processing = hung.iter().filter(|key| world.status(**key) == Status::Processing).count();
    assert_eq!(processing, 50, "what was claimed ahead went back, what hangs is decided at the next start");
}

/// Random outcomes, cancels, crashes and refused commits; at the end every message is where its owner can see it is, and a
/// message that the channel accepted was accepted once unless an outcome was unknown.
#[tokio::test]
async fn chaos_loses_nothing_and_sends_nothing_twice() {
    for seed in 0..40 {
        let mut world = World::new(free());
        world.options.window = 8;
        world.options.batch = 4;
        world.options.claim_ahead = 3;
        let mut draw = Draw::new(seed);
        let salt = draw.seed();
        world.connectors.act(move |sent| {
            let mut draw = Draw::new(salt ^ u64::try_from(sent.at.0).unwrap_or(0) ^ sent.client_id.as_u64_pair().1);
            draw.seed();
            match between(draw.seed(), 0, 9) {
                0 => Does::Answer(SendOutcome::Temporary("later".to_owned())),
                1 => Does::Answer(SendOutcome::Disconnected("gone".to_owned())),
                2 => Does::Answer(throttled(ThrottleScope::Connector, None, "slow")),
                3 => Does::After(700, SendOutcome::Unknown("?".to_owned())),
                4 => Does::After(300, accepted()),
                _ => Does::Answer(accepted()),
            }
        });
        let mut faults = Draw::new(seed + 1_000);
        world.store.refuse(move |_, _| (between(faults.seed(), 0, 19) == 0).then(unavailable));
        world.start().await;
        let mut keys: Vec<MessageKey> = Vec::new();
        for round in 0..25 {
            let messages = (0..between(draw.seed(), 0, 12)).map(|n| pombo_domain::model::message::NewMessage {
                priority: u8::try_from(between(draw.seed(), 1, 10)).expect("small"),
                force_direct: between(draw.seed(), 0, 9) == 0,
                scheduled_at: (between(draw.seed(), 0, 4) == 0).then(|| world.clock_now().plus_ms(5_000)),
                ..text(&format!("{round}.{n}"))
            });
            let messages = messages.collect();
            keys.extend(world.post_all(TENANT, messages));
            if let Some(key) = keys.get(usize::try_from(between(draw.seed(), 0, 60)).expect("small"))
                && matches!(world.status(*key), Status::Pending | Status::Waiting)
            {
                world.cancel(*key);
            }
            world.clock.advance(i64::try_from(between(draw.seed(), 0, 4_000)).expect("small")).await;
            if between(draw.seed(), 0, 9) == 0 {
                world.crash().await;
                world.start_again().await;
            }
        }
        world.connectors.act(|_| Does::Answer(accepted()));
        world.store.no_plan();
        world.clock.advance(3 * 3_600_000).await;
        let mut sends: HashMap<String, usize> = HashMap::new();
        for name in world.connectors.texts() {
            *sends.entry(name).or_default() += 1;
        }
        for key in keys {
            let status = world.status(key);
            let name = world.stored(key).message.content.text;
            let sends = sends.get(&name).copied().unwrap_or(0);
            assert!(
                matches!(status, Status::Sent | Status::Canceled | Status::Failed | Status::Unknown),
                "{seed}: {status:?}"
            );
            if status == Status::Canceled {
                assert!(!world.history(key).contains(&"SENT"), "{seed}: {name} was sent and then canceled");
            }
            let attempts = world.history(key).iter().filter(|status| **status == "PROCESSING").count();
            assert!(sends <= attempts, "{seed}: {name}: each send has a stored attempt: {sends} of {attempts}");
        }
        world.assert_nothing_queued();
    }
}

/// Refused commits and crashes while connectors tell: every event is in the log once, every report counts once.
#[tokio::test]
async fn chaos_takes_each_event_once_and_counts_it_once() {
    for seed in 0..20 {
        let rules = HealthRules { slow_below: 0, pause_below: 0, ..HealthRules::default() };
        let mut world = World::two_way(Pace { health: Some(rules), ..free() });
        let mut faults = Draw::new(seed);
        world.store.refuse(move |_, _| (between(faults.seed(), 0, 3) == 0).then(unavailable));
        world.start_again().await;
        let keys = world.post_all(TENANT, (0..30).map(|n| text(&n.to_string())).collect());
        world.clock.advance(5_000).await;
        let mut draw = Draw::new(seed + 500);
        let mut reported = HashSet::new();
        for n in 0..60 {
            let key = keys[usize::try_from(between(draw.seed(), 0, 29)).expect("small")];
            reported.insert(key);
            let events = vec![
                ChannelEvent::Message(from(&format!("55{}", n % 7), &format!("id{n}"))),
                report(world.id(key), ReceiptKind::Delivered),
            ];
            let intake = world.handle().intake();
            let write = || KvWrite { key: n.to_string(), value: Some(vec![1]) };
            while intake.take(LANE, events.clone(), vec![write()]).await.is_err() {}
            if between(draw.seed(), 0, 9) == 0 {
                world.crash().await;
                world.start_again().await;
                // It never heard that the last one was taken.
                while world.handle().intake().take(LANE, events.clone(), vec![write()]).await.is_err() {}
            }
            world.clock.advance(i64::try_from(between(draw.seed(), 0, 2_000)).expect("small")).await;
        }
        world.store.no_plan();
        world.clock.advance(3_600_000).await;
        let events = world.events();
        let messages: HashSet<&String> = events.iter().filter(|event| event.starts_with("message")).collect();
        let receipts = events.iter().filter(|event| *event == "receipt delivered").count();
        assert_eq!((messages.len(), receipts), (60, reported.len()), "seed {seed}");
        assert_eq!(events.len(), 60 + reported.len(), "seed {seed}: nothing twice");
        assert_eq!(world.kv(LANE).len(), 60);
        let health = world.view().health.expect("it has rules");
        assert_eq!(health.delivered as usize, reported.len(), "seed {seed}");
        assert!((1..=30).contains(&health.sent), "seed {seed}: {}", health.sent);
        assert!(keys.iter().all(|key| world.shown(*key) == "SENT"), "seed {seed}");
    }
}

#[tokio::test]
async fn tenants_do_not_see_each_others_contacts() {
    let mut world = World::new(free());
    world.inactive_contact("ana@example.org");
    let other = ConnectorIndex(2);
    world.connector(other, TenantIndex(2), free());
    world.start().await;
    let theirs = world
        .post_all(TenantIndex(2), vec![pombo_domain::model::message::NewMessage { connector: other, ..text("x") }]);
    settle().await;
    assert_eq!(world.shown(theirs[0]), "SENT", "another tenant's opt-out is not theirs");
}
