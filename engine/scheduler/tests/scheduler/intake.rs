//! What connectors receive: each message once, nothing half stored, contacts known.

use pombo_domain::model::attachment::Attachment;
use pombo_domain::model::contact::{Contact, ContactType};
use pombo_domain::model::event::{EventBody, GroupStep};
use pombo_domain::model::inbound::{Inbound, InboundContent, MediaState};
use pombo_domain::model::receipt::{ReceiptKind, Receipts};
use pombo_domain::ports::{
    ChannelEvent, Conflict, ConnectorEvents, EventFilter, IntakeError, KvWrite, Store, StoreError,
};
use pombo_domain::{ConnectorIndex, TenantIndex};

use crate::support::*;

fn told(inbound: Inbound) -> Vec<ChannelEvent> {
    vec![ChannelEvent::Message(inbound)]
}

fn write(key: &str, value: &str) -> KvWrite {
    KvWrite { key: key.to_owned(), value: Some(value.as_bytes().to_vec()) }
}

fn contacts(world: &World) -> Vec<Contact> {
    world.store.contacts(TENANT, None, 100).expect("readable")
}

fn aliases(world: &World, identifier: &str) -> Vec<String> {
    world.store.contact_aliases(TENANT, ContactType::WhatsApp, identifier).expect("readable")
}

fn contact_named(world: &World, identifier: &str) -> Option<Option<String>> {
    let found = contacts(world).into_iter().find(|contact| contact.identifier == identifier);
    found.map(|contact| contact.display_name().map(str::to_owned))
}

fn stored_contact(world: &World, identifier: &str, name: Option<&str>, active: bool) {
    world.write(vec![pombo_domain::ports::Change::Contact(Contact {
        name: name.map(str::to_owned),
        active,
        reason: (!active).then(|| "asked to stop".to_owned()),
        ..samples::contact(TENANT, ContactType::WhatsApp, identifier)
    })]);
}

#[tokio::test]
async fn a_message_is_taken_once_and_the_plugins_writes_every_time() {
    let mut world = World::two_way(free());
    world.start().await;
    let intake = world.handle().intake();
    for round in ["1", "2"] {
        let events = told(Inbound { sender_name: Some("Ana".to_owned()), ..from("5511", "A1") });
        intake.take(LANE, events, vec![write("seen", round)]).await.expect("taken");
    }
    assert_eq!(world.events(), ["message 5511 A1"]);
    assert_eq!(world.kv(LANE), [("seen".to_owned(), b"2".to_vec())]);
    assert_eq!(contact_named(&world, "5511"), Some(Some("Ana".to_owned())));
    assert_eq!(contacts(&world).len(), 1);
    // The same id of another sender, another conversation, or another connector is another message.
    world.tell(told(from("5522", "A1"))).await.expect("taken");
    world.tell(told(Inbound { chat: "g1".to_owned(), is_group: true, ..from("5511", "A1") })).await.expect("taken");
    let other = ConnectorIndex(2);
    world.connector(other, TENANT, free());
    intake.take(other, told(from("5511", "A1")), Vec::new()).await.expect("taken");
    assert_eq!(world.events().len(), 4);
    let metrics = world.handle().metrics();
    assert_eq!((metrics.intake_messages, metrics.intake_repeated), (5, 1));
}

#[tokio::test]
async fn only_who_wrote_to_us_becomes_a_contact_and_a_chosen_name_stays() {
    let mut world = World::two_way(free());
    stored_contact(&world, "5533", Some("Dona Maria"), true);
    stored_contact(&world, "5544", None, true);
    world.start().await;
    let named = |sender: &str| Inbound { sender_name: Some("Push\nName".to_owned()), ..from(sender, "1") };
    world.tell(told(Inbound { is_group: true, chat: "g".to_owned(), ..named("5500") })).await.expect("taken");
    world.tell(told(Inbound { from_me: true, ..named("5501") })).await.expect("taken");
    assert_eq!((contact_named(&world, "5500"), contact_named(&world, "5501")), (None, None));
    world.tell(told(named("5533"))).await.expect("taken");
    assert_eq!(contact_named(&world, "5533"), Some(Some("Dona Maria".to_owned())));
    let contact = |address: &str| ChannelEvent::Contact {
        address: address.to_owned(),
        display_name: Some("Push".to_owned()),
        aliases: vec!["77@lid".to_owned()],
    };
    world.tell(vec![contact("5544"), contact("5599"), contact("5599")]).await.expect("taken");
    assert_eq!(contact_named(&world, "5544"), Some(Some("Push".to_owned())));
    assert_eq!(contact_named(&world, "5599"), None, "nobody wrote: no contact");
    assert_eq!(world.events()[3..], ["contact 5544 Push", "contact 5599 Push"], "the same news once");
    // Its alias was kept, so who writes under it is the same contact.
    world.tell(told(named("5599"))).await.expect("taken");
    let before = contacts(&world).len();
    world.tell(told(Inbound { provider_id: "2".to_owned(), ..named("77@lid") })).await.expect("taken");
    assert_eq!(contacts(&world).len(), before);
}

#[tokio::test]
async fn a_contact_becomes_known_where_messages_go_and_come() {
    let mut world = World::two_way(free());
    let other = ConnectorIndex(2);
    world.write(vec![pombo_domain::ports::Change::Connector(samples::connector(other, TENANT, "whatsapp"))]);
    stored_contact(&world, "5533", None, true);
    stored_contact(&world, "5544", None, true);
    world.start().await;
    let on = |identifier: &str| {
        let found = contacts(&world).into_iter().find(|contact| contact.identifier == identifier);
        found.expect("there").connectors
    };
    world.tell(told(Inbound { is_group: true, chat: "g".to_owned(), ..from("5533", "1") })).await.expect("taken");
    assert!(on("5533").is_empty(), "a group is not a message to the contact");
    world.tell(told(from("5533", "2"))).await.expect("taken");
    world.tell(told(from("5500", "3"))).await.expect("taken");
    // Written on the account's own phone.
    let own = Inbound { from_me: true, chat: "5544".to_owned(), ..from("5599", "4") };
    world.tell(told(own)).await.expect("taken");
    assert_eq!([on("5533"), on("5500"), on("5544")], [[LANE], [LANE], [LANE]]);
    world.handle().intake().take(other, told(from("5533", "5")), Vec::new()).await.expect("taken");
    assert_eq!(on("5533"), [LANE, other]);
    assert_eq!(contacts(&world).len(), 3);
}

#[tokio::test]
async fn who_opted_out_and_writes_again_is_still_opted_out() {
    let mut world = World::two_way(free());
    stored_contact(&world, "5511", Some("Ana"), false);
    world.start().await;
    let id = contacts(&world)[0].id;
    world.write(vec![pombo_domain::ports::Change::DeleteContact(TENANT, id)]);
    world.tell(told(from("5511", "1"))).await.expect("taken");
    let contact = contacts(&world).remove(0);
    assert_eq!((contact.active, contact.reason.as_deref(), contact.id == id), (false, Some("asked to stop"), false));
}

#[tokio::test]
async fn a_contact_that_gets_another_address_stays_the_same_and_an_opt_out_counts_for_both() {
    let mut world = World::two_way(free());
    stored_contact(&world, "77@lid", Some("Ana"), true);
    world.start().await;
    let id = contacts(&world)[0].id;
    let joined = |address: &str, alias: &str| {
        vec![ChannelEvent::Contact { address: address.to_owned(), display_name: None, aliases: vec![alias.to_owned()] }]
    };
    world.tell(joined("5511", "77@lid")).await.expect("taken");
    let contact = contacts(&world).remove(0);
    assert_eq!((contact.id, contact.identifier.as_str(), contact.name.as_deref()), (id, "5511", Some("Ana")));
    // The ninth digit: two contacts that turn out to be one; the one of them asked to stop.
    stored_contact(&world, "551188", None, false);
    stored_contact(&world, "5511988", None, true);
    world.tell(joined("5511988", "551188")).await.expect("taken");
    let key = world.post(pombo_domain::model::message::NewMessage { to: "5511988".to_owned(), ..text("x") });
    settle().await;
    assert_eq!(world.shown(key), "FAILED inactive_contact");
}

/// Events that touch everything a batch can hold.
fn everything(world: &World, id: uuid::Uuid) -> (Vec<ChannelEvent>, Vec<KvWrite>) {
    let events = vec![
        ChannelEvent::Message(Inbound { sender_name: Some("Ana".to_owned()), ..from("5511", "A1") }),
        report(id, ReceiptKind::Delivered),
        report(id, ReceiptKind::Read),
        ChannelEvent::Contact {
            address: "5511".to_owned(),
            display_name: Some("Ana".to_owned()),
            aliases: vec!["9@lid".to_owned()],
        },
        ChannelEvent::Group {
            group: "g1".to_owned(),
            actor: None,
            at: world.clock_now(),
            step: GroupStep::Subject("Obra".to_owned()),
        },
        ChannelEvent::Media { chat: "5511".to_owned(), provider_id: "A0".to_owned(), media: MediaState::Pending },
        ChannelEvent::Blocked("5599".to_owned()),
        ChannelEvent::Presence { chat: "5511".to_owned(), sender: "5511".to_owned(), kind: "typing" },
    ];
    (events, vec![write("k", "v"), KvWrite { key: "gone".to_owned(), value: None }])
}

#[tokio::test]
async fn a_refused_commit_stores_nothing_and_the_repetition_stores_it_once() {
    for fault in 0..2 {
        let mut world = World::two_way(with_health(free()));
        world.start().await;
        let key = world.post(text("x"));
        settle().await;
        let id = world.id(key);
        let start = world.store.commits();
        world.store.refuse(move |number, _| (number == start + fault).then(|| unavailable()));
        let intake = world.handle().intake();
        let before = (world.events(), world.view().health);
        let (events, writes) = everything(&world, id);
        let first = intake.take(LANE, events.clone(), writes.clone()).await;
        if fault == 0 {
            let IntakeError::Unavailable(why) = first.expect_err("refused");
            assert!(why.contains("tell it again"), "{why}");
            assert!(contacts(&world).is_empty() && aliases(&world, "5511").is_empty() && world.kv(LANE).is_empty());
            assert_eq!(world.store.receipts(key).expect("readable"), Receipts::default());
            assert_eq!((world.events(), world.view().health), before, "neither stored nor remembered");
        } else {
            first.expect("the fault comes later");
            intake.take(LANE, events.clone(), writes.clone()).await.expect_err("refused");
        }
        intake.take(LANE, events, writes).await.expect("taken");
        let mut expected = vec![
            "message 5511 A1",
            "receipt delivered",
            "receipt read",
            "contact 5511 Ana",
            "group g1",
            "media A0",
            "health blocked 66",
            "health slowed 66",
        ];
        if fault == 1 {
            // Told twice with success: only a block has nothing by which to know it again.
            expected.extend(["health blocked 33", "health paused 33"]);
        }
        settle().await;
        assert_eq!(world.events(), expected);
        assert_eq!((contacts(&world).len(), aliases(&world, "5511").len(), world.kv(LANE).len()), (1, 1, 1));
        assert_ne!(world.store.receipts(key).expect("readable"), Receipts::default());
        let hours = world.health_state().hours;
        assert_eq!((hours[0].replies, hours[0].delivered, hours[0].sent), (1, 1, 1));
    }
}

#[tokio::test]
async fn somebody_who_makes_the_same_contact_first_costs_only_another_try() {
    let mut world = World::two_way(free());
    world.start().await;
    let conflicts = std::sync::atomic::AtomicUsize::new(0);
    world.store.refuse(move |_, _| {
        let before = conflicts.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        (before < 2).then_some(StoreError::Conflict(Conflict::Contact))
    });
    world.tell(told(from("5511", "A1"))).await.expect("taken");
    assert_eq!(world.events(), ["message 5511 A1"]);
    world.store.refuse(|_, _| Some(StoreError::Conflict(Conflict::Contact)));
    world.tell(told(from("5511", "A2"))).await.expect_err("not for ever");
}

#[tokio::test]
async fn what_no_known_connector_tells_is_dropped() {
    let mut world = World::two_way(free());
    world.start().await;
    let intake = world.handle().intake();
    intake.take(ConnectorIndex(77), told(from("5511", "A1")), vec![write("k", "v")]).await.expect("dropped");
    world.change_connector(|c| c.status = pombo_domain::model::connector::ConnectorStatus::Deleted);
    intake.take(LANE, told(from("5511", "A1")), vec![write("k", "v")]).await.expect("dropped");
    assert!(world.events().is_empty() && world.kv(LANE).is_empty() && world.kv(ConnectorIndex(77)).is_empty());
}

#[tokio::test]
async fn another_tenants_contacts_and_messages_are_not_touched() {
    let mut world = World::two_way(free());
    let other = ConnectorIndex(2);
    world.connector(other, TenantIndex(2), free());
    world.start().await;
    let theirs = world
        .post_all(TenantIndex(2), vec![pombo_domain::model::message::NewMessage { connector: other, ..text("x") }])[0];
    settle().await;
    world.tell(vec![report(world.id(theirs), ReceiptKind::Read)]).await.expect("no error");
    assert_eq!(world.store.receipts(theirs).expect("readable"), Receipts::default());
    assert!(world.events().is_empty());
}

#[tokio::test]
async fn large_bodies_are_cut_and_an_event_that_cannot_be_named_is_left_out() {
    let mut world = World::two_way(free());
    world.start().await;
    let long = |content| Inbound { content, mentions: vec!["5".to_owned(); 9_000], ..from("5511", "A1") };
    world
        .tell(vec![
            ChannelEvent::Message(long(InboundContent::Text("ã".repeat(1_000_000)))),
            ChannelEvent::Message(from("5511", &"x".repeat(600))),
            ChannelEvent::Message(from("", "A2")),
            ChannelEvent::Other("kind".to_owned(), format!("\"{}\"", "x".repeat(1_000_000))),
            ChannelEvent::Media {
                chat: "5511".to_owned(),
                provider_id: "A1".to_owned(),
                media: MediaState::Ready(Attachment {
                    id: uuid::Uuid::from_u128(1),
                    file_name: "n".repeat(100_000),
                    content_type: "image/png".to_owned(),
                    size: 1,
                }),
            },
        ])
        .await
        .expect("taken");
    assert_eq!(world.events(), ["message 5511 A1", "other kind", "media A1"]);
    let log = world.store.events(TENANT, &EventFilter::default(), 0, 100).expect("readable").0;
    let is_other = |body: &&EventBody| matches!(body, EventBody::Session { .. } | EventBody::Conversation { .. });
    let bodies: Vec<&EventBody> = log.iter().map(|event| &event.event.body).filter(|body| !is_other(body)).collect();
    let EventBody::Message(Inbound { content: InboundContent::Text(text), mentions, .. }) = bodies[0] else {
        panic!("a text");
    };
    assert_eq!((text.len(), mentions.len()), (131_072, 4_096));
    let EventBody::Other(_, json) = bodies[1] else { panic!("another one") };
    assert_eq!(json, r#"{"omitted":"larger than 64 KB"}"#);
    let EventBody::Media { media: MediaState::Ready(file), .. } = bodies[2] else { panic!("a file") };
    assert_eq!(file.file_name.len(), 1_024);
}

#[tokio::test]
async fn a_caller_that_gives_up_leaves_memory_and_store_at_one() {
    let mut world = World::two_way(with_health(free()));
    world.start().await;
    let intake = world.handle().intake();
    let mut taking = Box::pin(intake.take(LANE, vec![ChannelEvent::Blocked("5599".to_owned())], Vec::new()));
    assert!(futures::poll!(taking.as_mut()).is_pending());
    drop(taking);
    settle().await;
    assert_eq!(world.events()[0], "health blocked 66");
    world.tell(told(from("5511", "A1"))).await.expect("taken");
    let stored = world.health_state();
    assert_eq!((stored.hours[0].blocks, stored.hours[0].replies), (1, 1), "the block was not forgotten");
}

#[tokio::test]
async fn draining_waits_for_what_is_being_taken() {
    let mut world = World::two_way(free());
    world.start().await;
    let intake = world.handle().intake();
    let taking = tokio::spawn({
        let intake = intake.clone();
        async move { intake.take(LANE, told(from("5511", "A1")), Vec::new()).await }
    });
    tokio::task::yield_now().await;
    world.session(pombo_domain::ports::SessionState::LoggedOut("by the phone".to_owned()), None).await;
    assert!(world.handle().drain(std::time::Duration::from_secs(5)).await);
    assert!(intake.drain(std::time::Duration::from_secs(5)).await);
    taking.await.expect("it ran").expect("taken");
    assert_eq!(world.events()[0], "message 5511 A1");
}
