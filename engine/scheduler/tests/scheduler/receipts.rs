//! What the channel reports of sent messages.

use pombo_domain::model::message::{NewMessage, Status};
use pombo_domain::model::receipt::{NotDelivered, ReceiptKind};
use pombo_domain::ports::{ChannelEvent, ConnectorEvents, SendOutcome, Store};

use crate::support::*;

fn of_member(id: uuid::Uuid, member: &str, kind: ReceiptKind) -> ChannelEvent {
    ChannelEvent::Receipt {
        client_id: Some(id),
        provider_id: "p-1".to_owned(),
        recipient: Some(member.to_owned()),
        kind,
        at: NOON,
        reason: None,
    }
}

async fn unknown(world: &mut World) -> (pombo_domain::MessageKey, uuid::Uuid) {
    world.connectors.act(|_| Does::Answer(SendOutcome::Unknown("no answer".to_owned())));
    world.start().await;
    let key = world.post(NewMessage { webhook_url: Some("https://hook.test/".to_owned()), ..text("x") });
    settle().await;
    (key, world.id(key))
}

#[tokio::test]
async fn each_step_is_told_once_and_unknown_ids_are_no_error() {
    let mut world = World::two_way(free());
    world.start().await;
    let key = world.post(text("x"));
    settle().await;
    let id = world.id(key);
    for kind in [ReceiptKind::Server, ReceiptKind::Delivered, ReceiptKind::Delivered, ReceiptKind::Read] {
        world.tell(vec![report(id, kind)]).await.expect("taken");
    }
    world.tell(vec![report(uuid::Uuid::from_u128(5), ReceiptKind::Read)]).await.expect("no message of ours");
    let nobodys = ChannelEvent::Receipt {
        client_id: None,
        provider_id: "p".to_owned(),
        recipient: None,
        kind: ReceiptKind::Read,
        at: NOON,
        reason: None,
    };
    world.tell(vec![nobodys]).await.expect("no message of ours");
    assert_eq!(world.events(), ["receipt delivered", "receipt read"]);
    let state = world.state(key);
    assert_eq!((state.status, state.provider_id.as_deref()), (Status::Sent, Some("p-1")), "the id it had lacked");
    assert_eq!(world.history(key).iter().filter(|status| **status == "SENT").count(), 2);
}

fn by_the_channels_id(client_id: Option<uuid::Uuid>, provider_id: &str, kind: ReceiptKind) -> ChannelEvent {
    let provider_id = provider_id.to_owned();
    ChannelEvent::Receipt { client_id, provider_id, recipient: None, kind, at: NOON, reason: None }
}

#[tokio::test]
async fn a_report_without_our_id_is_about_the_message_that_the_channel_knows_by_its_own() {
    let mut world = World::two_way(free());
    world.connectors.act(|_| Does::Answer(SendOutcome::accepted(Some("p-1".to_owned()))));
    world.start().await;
    let key = world.post(text("x"));
    settle().await;
    let another_programs = Some(uuid::Uuid::from_u128(5));
    world.tell(vec![by_the_channels_id(None, "p-2", ReceiptKind::Read)]).await.expect("no message of ours");
    assert_eq!(world.events(), Vec::<String>::new());
    world.tell(vec![by_the_channels_id(None, "p-1", ReceiptKind::Delivered)]).await.expect("taken");
    world.tell(vec![by_the_channels_id(another_programs, "p-1", ReceiptKind::Read)]).await.expect("taken");
    assert_eq!(world.events(), ["receipt delivered", "receipt read"]);
    let receipts = world.store.receipts(key).expect("readable");
    assert_eq!((receipts.first.delivered_at, receipts.first.read_at), (Some(NOON), Some(NOON)));
}

#[tokio::test]
async fn an_id_of_the_channels_that_an_earlier_report_told_leads_to_the_message_at_once() {
    let mut world = World::two_way(free());
    world.connectors.describe(|plugin| plugin.idempotent_resend = false);
    let (key, id) = unknown(&mut world).await;
    let told = vec![report(id, ReceiptKind::Server), by_the_channels_id(None, "p-1", ReceiptKind::Read)];
    world.tell(told).await.expect("taken");
    assert_eq!((world.status(key), world.events()), (Status::Sent, vec!["receipt read".to_owned()]));
}

#[tokio::test]
async fn reports_that_come_together_lose_nothing_of_each_other() {
    let mut world = World::two_way(free());
    world.start().await;
    let key = world.post(text("x"));
    settle().await;
    let id = world.id(key);
    let intake = world.handle().intake();
    let all = (0..20).map(|n| {
        let events = vec![of_member(id, &format!("m{n:02}"), ReceiptKind::Delivered)];
        let intake = intake.clone();
        async move { intake.take(LANE, events, Vec::new()).await }
    });
    assert!(futures::future::join_all(all).await.into_iter().all(|told| told.is_ok()));
    let receipts = world.store.receipts(key).expect("readable");
    assert_eq!(receipts.members.len(), 20);
    assert!(receipts.members.values().all(|member| member.delivered_at.is_some()));
    assert_eq!(world.events().len(), 20);
}

#[tokio::test]
async fn a_report_proves_that_an_unknown_message_was_sent() {
    for kind in [ReceiptKind::Server, ReceiptKind::Delivered, ReceiptKind::Read, ReceiptKind::Played] {
        let mut world = World::two_way(free());
        world.connectors.describe(|plugin| plugin.idempotent_resend = false);
        let (key, id) = unknown(&mut world).await;
        assert_eq!(world.shown(key), "UNKNOWN unknown_outcome");
        world.tell(vec![report(id, kind), report(id, kind)]).await.expect("taken");
        let state = world.state(key);
        assert_eq!((state.status, state.provider_id.as_deref()), (Status::Sent, Some("p-1")), "{kind:?}");
        settle().await;
        assert_eq!(world.webhooks.told("https://hook.test/"), ["PENDING", "PROCESSING", "UNKNOWN", "SENT"]);
    }
}

#[tokio::test]
async fn a_failure_is_recorded_and_told_and_changes_no_status() {
    for (idempotent, outcome, shown) in
        [(true, accepted(), "SENT"), (false, SendOutcome::Unknown("?".to_owned()), "UNKNOWN unknown_outcome")]
    {
        let mut world = World::two_way(free());
        world.connectors.describe(|plugin| plugin.idempotent_resend = idempotent);
        world.connectors.act(move |_| Does::Answer(outcome.clone()));
        world.start().await;
        let key = world.post(text("x"));
        settle().await;
        let failed = ChannelEvent::Receipt {
            client_id: Some(world.id(key)),
            provider_id: "p-1".to_owned(),
            recipient: None,
            kind: ReceiptKind::Failed,
            at: NOON.plus_ms(5),
            reason: Some("463".to_owned()),
        };
        world.tell(vec![failed.clone(), failed]).await.expect("taken");
        assert_eq!(world.shown(key), shown);
        assert_eq!(world.events(), ["receipt failed"]);
        let receipts = world.store.receipts(key).expect("readable");
        let told = NotDelivered { at: NOON.plus_ms(5), why: "463".to_owned(), ..NotDelivered::default() };
        assert_eq!((receipts.failed, receipts.early), (Some(told), None));
    }
}

#[tokio::test]
async fn an_outcome_in_doubt_is_settled_by_a_report_that_came_first() {
    for idempotent in [true, false] {
        let mut world = World::two_way(free());
        world.connectors.describe(|plugin| plugin.idempotent_resend = idempotent);
        world.connectors.act(|_| Does::After(5_000, SendOutcome::Unknown("no answer".to_owned())));
        world.start().await;
        let key = world.post(text("x"));
        settle().await;
        world.tell(vec![report(world.id(key), ReceiptKind::Delivered)]).await.expect("taken");
        assert_eq!(world.shown(key), "PROCESSING", "the outcome decides");
        world.clock.advance(3_600_000).await;
        assert_eq!(world.history(key), ["PENDING", "PROCESSING", "SENT"]);
        assert_eq!(world.connectors.texts().len(), 1, "not sent again");
        assert_eq!(world.handle().metrics().proven_sent, 1);
    }
}

#[tokio::test]
async fn a_report_that_comes_before_the_retry_spares_it() {
    let mut world = World::two_way(free());
    let (key, id) = unknown(&mut world).await;
    assert_eq!(world.shown(key), "WAITING unknown_outcome");
    world.tell(vec![report(id, ReceiptKind::Delivered)]).await.expect("taken");
    world.clock.advance(600_000).await;
    assert_eq!((world.shown(key).as_str(), world.connectors.texts().len()), ("SENT", 1));
}

#[tokio::test]
async fn while_reports_cannot_be_read_a_message_in_doubt_is_not_sent_again() {
    let mut world = World::two_way(free());
    let (key, id) = unknown(&mut world).await;
    world.tell(vec![report(id, ReceiptKind::Delivered)]).await.expect("taken");
    world.store.fail_reads(|method| (method == "receipts").then(unavailable));
    world.clock.advance(600_000).await;
    let sent = world.connectors.texts().len();
    assert_eq!((world.shown(key).as_str(), sent), ("PENDING", 1), "back in its queue");
    world.store.no_read_plan();
    world.clock.advance(60_000).await;
    assert_eq!((world.shown(key).as_str(), world.connectors.texts().len()), ("SENT", 1));
}

#[tokio::test]
async fn a_crash_in_flight_is_settled_by_a_report() {
    for idempotent in [true, false] {
        let mut world = World::two_way(free());
        world.connectors.describe(|plugin| plugin.idempotent_resend = idempotent);
        world.connectors.act(|_| Does::Hang);
        world.start().await;
        let key = world.post(text("x"));
        settle().await;
        world.tell(vec![report(world.id(key), ReceiptKind::Delivered)]).await.expect("taken");
        world.crash().await;
        world.start().await;
        world.clock.advance(60_000).await;
        assert_eq!((world.shown(key).as_str(), world.connectors.texts().len()), ("SENT", 1));
        // Its id comes with the next report.
        world.tell(vec![report(world.id(key), ReceiptKind::Read)]).await.expect("taken");
        assert_eq!(world.state(key).provider_id.as_deref(), Some("p-1"));
    }
}

/// However the outcome's commit and the report's interleave, and whichever of them is refused, the message is SENT.
#[tokio::test]
async fn a_report_beside_the_outcome_is_never_lost() {
    for refused in 0..4 {
        for yields in 0..12 {
            let mut world = World::two_way(free());
            world.connectors.describe(|plugin| plugin.idempotent_resend = false);
            world.connectors.act(|_| Does::After(1_000, SendOutcome::Unknown("?".to_owned())));
            world.start().await;
            let key = world.post(text("x"));
            settle().await;
            let id = world.id(key);
            let start = world.store.commits();
            world.store.refuse(move |number, _| (number + 1 == start + refused).then(|| unavailable()));
            let intake = world.handle().intake();
            let clock = world.clock.clone();
            let telling = tokio::spawn(async move {
                pombo_domain::ports::Clock::sleep_until(&clock, NOON.plus_ms(1_000)).await;
                for _ in 0..yields {
                    tokio::task::yield_now().await;
                }
                let events = vec![report(id, ReceiptKind::Delivered)];
                while intake.take(LANE, events.clone(), Vec::new()).await.is_err() {}
            });
            world.clock.advance(120_000).await;
            telling.await.expect("it ends");
            assert_eq!(world.shown(key), "SENT", "commit {refused} refused, {yields} steps later");
        }
    }
}

/// Such a failure changes no status: a crash does not make more of it.
#[tokio::test]
async fn a_crash_after_a_receipt_of_a_failure_leaves_the_message_in_doubt() {
    let mut world = World::two_way(free());
    world.connectors.describe(|plugin| plugin.idempotent_resend = false);
    world.connectors.act(|_| Does::Hang);
    world.start().await;
    let key = world.post(text("x"));
    settle().await;
    world.tell(vec![report(world.id(key), ReceiptKind::Failed)]).await.expect("taken");
    world.crash().await;
    world.start().await;
    assert_eq!(world.shown(key), "UNKNOWN crash");
}

/// The channel's own server had it before the engine stopped.
#[tokio::test]
async fn a_servers_report_of_a_message_whose_outcome_was_lost_proves_it() {
    let mut world = World::two_way(free());
    world.connectors.describe(|plugin| plugin.idempotent_resend = false);
    world.connectors.act(|_| Does::Hang);
    world.start().await;
    let key = world.post(text("x"));
    settle().await;
    world.tell(vec![report(world.id(key), ReceiptKind::Server)]).await.expect("taken");
    assert_eq!(world.status(key), Status::Processing);
    world.crash().await;
    world.start().await;
    let state = world.state(key);
    assert_eq!((state.status, state.provider_id.as_deref()), (Status::Sent, Some("p-1")));
    assert_eq!(world.connectors.texts().len(), 1);
}
