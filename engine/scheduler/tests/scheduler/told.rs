//! Events as the webhook of their connector is told them.

use hmac::{Hmac, Mac};
use pombo_domain::model::inbound::{Inbound, InboundContent};
use pombo_domain::model::message::{NewMessage, Target};
use pombo_domain::model::*;
use pombo_domain::ports::*;
use sha2::Sha256;

use crate::support::*;

const URL: &str = "https://example.org/told";
const SECRET: &[u8] = b"segredo";

fn set(world: &World, url: &str, active: bool) {
    let connector = world.stored_connector(LANE);
    let webhook = ConnectorWebhook {
        tenant: TENANT,
        connector: LANE,
        url: url.to_owned(),
        secret: ReversingBox.seal(&ConnectorWebhook::secret_context(connector.id), SECRET),
        kinds: HookKinds::all(),
        active,
        gone_at: None,
        updated_at: world.clock_now(),
    };
    world.write(vec![Change::Webhook(Box::new(WebhookChange::Put(webhook)))]);
}

/// A two-way connector whose webhook wants everything, started.
async fn hooked() -> World {
    let mut world = World::two_way(free());
    set(&world, URL, true);
    world.start().await;
    world
}

/// A message from somebody, told to the intake.
async fn write(world: &World, who: &str, id: &str, words: &str) {
    let message = Inbound { content: InboundContent::Text(words.to_owned()), ..from(who, id) };
    world.tell(vec![ChannelEvent::Message(message)]).await.expect("taken");
}

/// What a receiver was told, in order: the kind, and the text where there is one.
fn told(world: &World, url: &str) -> Vec<String> {
    let hooks = world.webhooks.hooks.lock();
    let of = |hook: &Hook| {
        let kind = hook.body["kind"].as_str().unwrap_or_default();
        hook.body["text"].as_str().map_or(kind.to_owned(), |text| format!("{kind} {text}"))
    };
    hooks.iter().filter(|hook| hook.url == url).map(of).filter(|told| !told.starts_with("session.")).collect()
}

fn deliveries(world: &World) -> Vec<EventDelivery> {
    let filter = EventDeliveryFilter::default();
    let page = world.store.event_deliveries(TENANT, &filter, None, 10_000).expect("readable");
    let sessions = [HookKind::Connected, HookKind::Disconnected];
    let mut all: Vec<_> = page.rows.into_iter().filter(|one| !sessions.contains(&one.key.kind)).collect();
    all.sort_by_key(|delivery| delivery.key);
    all
}

fn statuses(world: &World) -> Vec<DeliveryStatus> {
    deliveries(world).iter().map(|delivery| delivery.state.status).collect()
}

const DELIVERED: DeliveryStatus = DeliveryStatus::Delivered;
const ABANDONED: DeliveryStatus = DeliveryStatus::Abandoned;

#[tokio::test]
async fn both_sides_and_how_far_messages_came_are_told_signed() {
    let world = hooked().await;
    write(&world, "5511", "A1", "Oi").await;
    let key = world.post(message::NewMessage { to: "5511".to_owned(), ..text("Olá") });
    settle().await;
    let id = world.id(key);
    world.tell(vec![report(id, ReceiptKind::Delivered), report(id, ReceiptKind::Read)]).await.expect("taken");
    world.tell(vec![report(id, ReceiptKind::Read)]).await.expect("taken");
    world.clock.advance(1_000).await;
    let said = world.connectors.texts().last().cloned().expect("sent");
    let own = |kind: &str| format!("{kind} {said}");
    assert_eq!(
        told(&world, URL),
        [
            "message.received Oi".to_owned(),
            own("message.sent"),
            own("message.status"),
            own("message.status"),
            own("message.status")
        ]
    );
    assert_eq!(world.progress(), ["pending sent 5511", "sent delivered 5511", "delivered read 5511"]);
    for hook in world.webhooks.hooks.lock().iter() {
        let header = |name| hook.headers.iter().find(|(n, _)| *n == name).map(|(_, value)| value.as_str()).expect(name);
        let mut mac = Hmac::<Sha256>::new_from_slice(SECRET).expect("any key");
        mac.update(hook.body.to_string().as_bytes());
        mac.verify_slice(&hex::decode(header("x-digest")).expect("hex")).expect("signed with the webhook's secret");
        assert_eq!(hook.body["kind"], header("x-kind"));
    }
    assert!(statuses(&world).iter().all(|status| *status == DELIVERED));
}

#[tokio::test]
async fn a_conversation_keeps_its_order_while_its_receiver_fails_and_holds_up_no_other() {
    let world = hooked().await;
    world.webhooks.act(|hook| HookAct::Answer(if hook.body["text"] == "um" { 500 } else { 200 }));
    write(&world, "5511", "A1", "um").await;
    write(&world, "5511", "A2", "dois").await;
    write(&world, "5522", "B1", "outra").await;
    settle().await;
    assert_eq!(told(&world, URL), ["message.received um", "message.received outra"]);
    world.webhooks.act(|_| HookAct::Answer(200));
    world.clock.advance(10_000).await;
    assert_eq!(told(&world, URL)[2..], ["message.received um", "message.received dois"]);
    let first = deliveries(&world).remove(0);
    assert_eq!((first.state.status, first.state.tries), (DELIVERED, 2));
    assert_eq!(first.state.attempts[0].error.as_deref(), Some("the receiver answered 500"));
}

#[tokio::test]
async fn a_failing_receiver_is_tried_as_long_as_that_of_a_message() {
    let world = hooked().await;
    world.webhooks.act(|_| HookAct::Answer(503));
    write(&world, "5511", "A1", "um").await;
    world.clock.advance(40 * 3_600_000).await;
    let first = deliveries(&world).remove(0);
    assert_eq!((first.state.status, first.state.tries, first.state.attempts.len()), (ABANDONED, 11, 11));
}

#[tokio::test]
async fn a_crash_loses_nothing_and_keeps_the_order() {
    let mut world = World::two_way(free());
    set(&world, URL, true);
    world.webhooks.act(|_| HookAct::Fail(OutboundError::Unreachable("connection refused".to_owned())));
    world.start().await;
    write(&world, "5511", "A1", "um").await;
    write(&world, "5511", "A2", "dois").await;
    world.crash().await;
    world.webhooks.hooks.lock().clear();
    world.webhooks.act(|_| HookAct::Answer(200));
    world.start().await;
    world.clock.advance(60_000).await;
    assert_eq!(told(&world, URL), ["message.received um", "message.received dois"]);
    assert_eq!(statuses(&world), [DELIVERED, DELIVERED]);
}

#[tokio::test]
async fn url_and_secret_are_those_of_the_moment_of_the_post() {
    let world = hooked().await;
    world.webhooks.act(|_| HookAct::Answer(500));
    write(&world, "5511", "A1", "um").await;
    settle().await;
    let other = "https://example.org/other";
    set(&world, other, true);
    world.webhooks.act(|_| HookAct::Answer(200));
    world.clock.advance(10_000).await;
    assert_eq!(told(&world, other), ["message.received um"]);
}

#[tokio::test]
async fn gone_switches_the_webhook_off_and_ends_what_waits() {
    let world = hooked().await;
    // The first one is under way while the second one comes.
    world.webhooks.act(|hook| HookAct::Answer(if hook.body["text"] == "um" { 500 } else { 200 }));
    write(&world, "5511", "A1", "um").await;
    write(&world, "5511", "A2", "dois").await;
    world.webhooks.act(|_| HookAct::Answer(410));
    world.clock.advance(10_000).await;
    let webhook = world.store.connector_webhook(LANE).expect("readable").expect("it stays");
    assert!(!webhook.active && webhook.gone_at.is_some());
    assert_eq!(statuses(&world), [ABANDONED, ABANDONED]);
    let all = deliveries(&world);
    assert!(all[1].state.attempts[0].error.as_deref().is_some_and(|why| why.contains("410")));
    write(&world, "5511", "A3", "três").await;
    assert_eq!(deliveries(&world).len(), 2, "nothing more is told");

    // A replay is posted regardless, and what happens after it was set again is told.
    world.webhooks.act(|_| HookAct::Answer(200));
    let replayed = EventDelivery { state: all[1].state.clone().replayed(world.clock_now()), ..all[1].clone() };
    world.write(vec![Change::Webhook(Box::new(WebhookChange::Delivery(replayed)))]);
    settle().await;
    assert_eq!(told(&world, URL).last().map(String::as_str), Some("message.received dois"));
    assert_eq!(statuses(&world), [ABANDONED, DELIVERED]);
    set(&world, URL, true);
    write(&world, "5511", "A4", "quatro").await;
    assert_eq!(told(&world, URL).last().map(String::as_str), Some("message.received quatro"));
}

#[tokio::test]
async fn a_message_is_told_as_it_was_sent_although_it_was_changed_since() {
    let own = || Target { provider_id: "P1".to_owned(), sender: None, text: None };
    for (action, words) in [(MessageAction::Edit(own()), "outra coisa"), (MessageAction::Revoke(own()), "")] {
        let world = hooked().await;
        world.connectors.act(|_| Does::Answer(SendOutcome::accepted(Some("P1".to_owned()))));
        world.webhooks.act(|_| HookAct::Answer(500));
        let contact_name = Some("Ana".to_owned());
        world.post(NewMessage { to: "5511".to_owned(), contact_name, ..text("Olá {{ nome }}") });
        settle().await;
        let options = MessageOptions { action: action.clone(), ..MessageOptions::default() };
        world.post(NewMessage { to: "5511".to_owned(), options, ..text(words) });
        settle().await;
        let conversation = world.store.conversation_with(LANE, "5511").expect("readable").expect("opened");
        let now = world.store.timeline_item_of(TENANT, conversation.number, "P1").expect("readable").expect("sent");
        assert_ne!(now.entry.text(), Some("Olá Ana"), "it was changed");
        world.webhooks.act(|_| HookAct::Answer(200));
        world.clock.advance(10_000).await;
        let sent: Vec<String> = told(&world, URL).into_iter().filter(|told| told.starts_with("message.sent")).collect();
        assert_eq!(sent, ["message.sent Olá Ana", "message.sent Olá Ana"], "{action:?}");
    }
}

#[tokio::test]
async fn what_waits_for_a_webhook_that_is_removed_is_given_up() {
    let world = hooked().await;
    world.webhooks.act(|_| HookAct::Answer(500));
    write(&world, "5511", "A1", "um").await;
    world.write(vec![Change::Webhook(Box::new(WebhookChange::Remove(LANE)))]);
    world.clock.advance(10_000).await;
    let first = deliveries(&world).remove(0);
    assert_eq!(first.state.status, ABANDONED);
    let why = first.state.attempts.last().and_then(|attempt| attempt.error.as_deref());
    assert_eq!(why, Some("the connector has no webhook now"));
}

#[tokio::test]
async fn sessions_and_codes_are_told_where_they_are_wanted() {
    let world = hooked().await;
    let kinds = || -> Vec<String> {
        let hooks = world.webhooks.hooks.lock();
        let said = |hook: &Hook| {
            let before = hook.body["before"].as_str().unwrap_or("-");
            format!("{} after {before}", hook.body["kind"].as_str().unwrap_or_default())
        };
        hooks.iter().map(said).collect()
    };
    world.webhooks.hooks.lock().clear();
    world.session(SessionState::QrCode("2@a".to_owned()), None).await;
    world.session(SessionState::Connected, Some("5599")).await;
    world.session(SessionState::LoggedOut("by the phone".to_owned()), None).await;
    settle().await;
    let all = kinds();
    let position = |start: &str| all.iter().position(|told| told.starts_with(start));
    assert!(position("session.code").is_some(), "{all:?}");
    assert!(all.contains(&"session.connected after session.code".to_owned()), "{all:?}");
    assert!(all.contains(&"session.disconnected after session.changed".to_owned()), "{all:?}");
    // Without a webhook that wants them, codes are in no log.
    world.write(vec![Change::Webhook(Box::new(WebhookChange::Remove(LANE)))]);
    let before = world.store.last_event(TENANT).expect("readable");
    world.session(SessionState::QrCode("2@b".to_owned()), None).await;
    assert_eq!(world.store.last_event(TENANT).expect("readable"), before);
}

#[tokio::test]
async fn a_test_is_posted_once_and_leaves_nothing_behind() {
    let world = hooked().await;
    world.session(SessionState::Connected, Some("5599")).await;
    settle().await;
    world.webhooks.hooks.lock().clear();
    world.webhooks.act(|_| HookAct::Answer(410));
    let all = || world.store.event_deliveries(TENANT, &EventDeliveryFilter::default(), None, 10_000).expect("readable");
    let before = (world.store.last_event(TENANT), all());
    let handle = world.handle();
    let tested = handle.test_webhook(LANE).await.expect("readable").expect("it has a webhook");
    assert_eq!((tested.status, tested.error), (Some(410), None));
    let hooks = std::mem::take(&mut *world.webhooks.hooks.lock());
    let [hook] = &hooks[..] else { panic!("{} posts", hooks.len()) };
    assert_eq!((hook.url.as_str(), &hook.body["kind"]), (URL, &"session.connected".into()));
    let header = |name| hook.headers.iter().find(|(n, _)| *n == name).map(|(_, value)| value.as_str()).expect(name);
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET).expect("any key");
    mac.update(hook.body.to_string().as_bytes());
    mac.verify_slice(&hex::decode(header("x-digest")).expect("hex")).expect("signed with the webhook's secret");
    assert_eq!(header("x-pombo-test"), "true");
    world.clock.advance(60_000).await;
    assert!(world.webhooks.hooks.lock().is_empty(), "once");
    assert_eq!((world.store.last_event(TENANT), all()), before);
    assert!(world.store.connector_webhook(LANE).expect("readable").is_some_and(|webhook| webhook.active));

    world.webhooks.act(|_| HookAct::Fail(OutboundError::Unreachable("refused".to_owned())));
    let tested = handle.test_webhook(LANE).await.expect("readable").expect("it has a webhook");
    assert!(tested.status.is_none() && tested.error.is_some_and(|error| error.contains("refused")));
    world.write(vec![Change::Webhook(Box::new(WebhookChange::Remove(LANE)))]);
    assert_eq!(handle.test_webhook(LANE).await, Ok(None));
}
