//! Failures that the channel tells after it accepted a message.

use pombo_domain::MessageKey;
use pombo_domain::model::contact::ContactType;
use pombo_domain::model::message::{MessageType, NewMessage, Status};
use pombo_domain::model::receipt::ReceiptKind;
use pombo_domain::ports::{AutomationStore, ChannelEvent, SendOutcome, Store};

use crate::support::*;

fn failed(world: &World, key: MessageKey, provider_id: &str, effect: &str) -> ChannelEvent {
    let id = world.id(key);
    let json = format!(
        r#"{{"clientId": "{id}", "providerId": "{provider_id}", "recipient": "5511", "atMillis": 1714564800000,
            "code": "131026", "reason": "cannot be reached", "effect": "{effect}"}}"#
    );
    ChannelEvent::Other("failed".to_owned(), json)
}

fn accepts(world: &World) {
    world.connectors.act(|sent| {
        let id = format!("p-{}", sent.attempt);
        Does::Answer(SendOutcome::accepted(Some(id)))
    });
}

fn to_person() -> NewMessage {
    NewMessage { to: "5511".to_owned(), webhook_url: Some("https://hook.test/".to_owned()), ..text("x") }
}

#[tokio::test]
async fn a_sent_message_fails_with_the_channels_code_and_only_once() {
    let mut world = World::two_way(free());
    accepts(&world);
    world.start().await;
    let key = world.post(to_person());
    settle().await;
    for _ in 0..2 {
        world.tell(vec![failed(&world, key, "p-1", "recipient")]).await.expect("taken");
    }
    let state = world.state(key);
    let reason = state.reason.expect("a reason");
    assert_eq!((state.status, reason.code.as_str()), (Status::Failed, "invalid_recipient"));
    assert_eq!((reason.channel_code.as_deref(), reason.detail.as_str()), (Some("131026"), "cannot be reached"));
    assert_eq!(world.history(key), ["PENDING", "PROCESSING", "SENT", "FAILED"]);
    assert_eq!(world.progress(), ["pending sent 5511", "sent failed 5511"], "told once");
    world.store.check_automations().expect("it is sound");
}

#[tokio::test]
async fn what_was_delivered_stays_sent() {
    let mut world = World::two_way(free());
    accepts(&world);
    world.start().await;
    let key = world.post(to_person());
    settle().await;
    world.tell(vec![report(world.id(key), ReceiptKind::Delivered)]).await.expect("taken");
    world.tell(vec![failed(&world, key, "p-1", "recipient")]).await.expect("taken");
    assert_eq!(world.status(key), Status::Sent);
    let other = world.post(to_person());
    settle().await;
    world.tell(vec![failed(&world, other, "of another attempt", "recipient")]).await.expect("taken");
    assert_eq!(world.status(other), Status::Sent);
}

#[tokio::test]
async fn a_message_in_doubt_is_settled_by_a_failure_and_by_a_receipt() {
    let mut world = World::with(free(), |plugin| plugin.idempotent_resend = false);
    world.connectors.act(|_| Does::Answer(SendOutcome::Unknown("no answer".to_owned())));
    world.start().await;
    let keys = world.post_all(TENANT, vec![text("x"), text("y")]);
    settle().await;
    assert_eq!((world.status(keys[0]), world.status(keys[1])), (Status::Unknown, Status::Unknown));
    world.tell(vec![failed(&world, keys[0], "p-1", "content")]).await.expect("taken");
    world.tell(vec![report(world.id(keys[1]), ReceiptKind::Server)]).await.expect("taken");
    assert_eq!((world.shown(keys[0]), world.shown(keys[1])), ("FAILED rejected".to_owned(), "SENT".to_owned()));
}

#[tokio::test]
async fn a_failure_that_comes_before_the_answer_waits_for_it() {
    let mut world = World::two_way(free());
    world.connectors.act(|_| Does::After(5_000, accepted()));
    world.start().await;
    let key = world.post(to_person());
    settle().await;
    world.tell(vec![failed(&world, key, "p-1", "recipient")]).await.expect("taken");
    assert_eq!(world.status(key), Status::Processing);
    world.clock.advance(10_000).await;
    assert_eq!(world.shown(key), "FAILED invalid_recipient");
    assert_eq!(world.history(key), ["PENDING", "PROCESSING", "SENT", "FAILED"]);
}

#[tokio::test]
async fn a_failure_that_comes_before_the_answer_is_not_forgotten_by_a_crash() {
    let mut world = World::two_way(free());
    world.connectors.describe(|plugin| plugin.idempotent_resend = false);
    world.connectors.act(|_| Does::Hang);
    world.start().await;
    let key = world.post(to_person());
    settle().await;
    world.tell(vec![failed(&world, key, "p-1", "recipient")]).await.expect("taken");
    world.crash().await;
    world.start().await;
    settle().await;
    assert_eq!(world.shown(key), "FAILED undeliverable");
    assert_eq!(world.connectors.texts().len(), 1, "it is not sent again");
}

#[tokio::test]
async fn a_message_is_sent_once_more_a_day_later_where_that_is_wanted() {
    for wanted in [false, true] {
        let mut world = World::two_way(free());
        world.options.retry.retry_later = wanted;
        accepts(&world);
        world.start().await;
        let key = world.post(to_person());
        settle().await;
        world.tell(vec![failed(&world, key, "p-1", "later")]).await.expect("taken");
        if !wanted {
            assert_eq!(world.shown(key), "FAILED undeliverable");
            continue;
        }
        assert_eq!(world.shown(key), "WAITING undeliverable");
        world.clock.advance(25 * 3_600_000).await;
        assert_eq!((world.status(key), world.connectors.texts().len()), (Status::Sent, 2));
        world.tell(vec![failed(&world, key, "p-1", "later")]).await.expect("taken");
        assert_eq!(world.status(key), Status::Sent, "the first failure again");
        world.tell(vec![failed(&world, key, "p-2", "later")]).await.expect("taken");
        assert_eq!(world.shown(key), "FAILED undeliverable", "only once");
    }
}

#[tokio::test]
async fn who_does_not_want_advertising_gets_no_more_of_it() {
    let mut world = World::two_way(free());
    accepts(&world);
    world.start().await;
    let marketing = || NewMessage { message_type: MessageType::Marketing, ..to_person() };
    let key = world.post(marketing());
    settle().await;
    world.tell(vec![failed(&world, key, "p-1", "opt-out")]).await.expect("taken");
    assert_eq!(world.shown(key), "FAILED category_refused");
    let contact = world.store.contact(TENANT, ContactType::WhatsApp, "5511").expect("readable").expect("it is kept");
    assert!(contact.active && contact.refused.has(MessageType::Marketing));
    let (next, other) = (world.post(marketing()), world.post(to_person()));
    settle().await;
    assert_eq!((world.shown(next), world.status(other)), ("FAILED category_refused".to_owned(), Status::Sent));
}
