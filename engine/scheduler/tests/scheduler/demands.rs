//! What a channel demands, kept to before its connector is called.

use pombo_domain::model::inbound::{Inbound, InboundContent};
use pombo_domain::model::message::{MessageAction, MessageOptions, MessageType, NewMessage, OwnContent, Status};
use pombo_domain::model::pace::AudienceView;
use pombo_domain::model::rules::{AudienceRule, Bucket, OptOutCategory, Quality, Rules, Throughput};
use pombo_domain::model::{Connector, Outreach, Pace};
use pombo_domain::ports::{Change, ChannelEvent, ConnectorEvents, PluginDescription, ThrottleScope};
use pombo_domain::{ConnectorIndex, MessageKey};

use crate::support::*;

const HOUR_MS: i64 = 3_600_000;
const OTHER: ConnectorIndex = ConnectorIndex(2);

fn demanding(rules: Rules) -> impl FnOnce(&mut PluginDescription) {
    move |plugin| plugin.rules = Some(rules)
}

fn to(address: &str) -> NewMessage {
    NewMessage { to: address.to_owned(), ..text(address) }
}

fn template(address: &str) -> NewMessage {
    let own = OwnContent { kind: "template".to_owned(), value: "{}".to_owned() };
    let options = MessageOptions { action: MessageAction::Other(own), ..MessageOptions::default() };
    NewMessage { options, ..to(address) }
}

fn sent_at(world: &World) -> Vec<i64> {
    world.connectors.sent.lock().iter().map(|sent| sent.at.since(NOON)).collect()
}

fn windowed() -> World {
    let world = World::two_way(free());
    world.connectors.describe(demanding(Rules {
        reply_window_ms: Some(24 * HOUR_MS),
        outside_window: vec!["template".to_owned()],
        ..Rules::default()
    }));
    world
}

#[tokio::test]
async fn only_certain_kinds_go_outside_of_the_reply_window() {
    let mut world = windowed();
    world.start().await;
    let early = world.post(to("5511"));
    let own = world.post(template("5511"));
    settle().await;
    assert_eq!((world.shown(early), world.shown(own)), ("FAILED window_closed".to_owned(), "SENT".to_owned()));
    // By the channel's own time, an hour ago.
    let said = Inbound { sent_at: NOON.plus_ms(-HOUR_MS), ..from("5511", "A1") };
    world.tell(vec![ChannelEvent::Message(said)]).await.expect("taken");
    // An older one that comes late changes nothing.
    let older = Inbound { sent_at: NOON.plus_ms(-9 * HOUR_MS), ..from("5511", "A0") };
    world.tell(vec![ChannelEvent::Message(older)]).await.expect("taken");
    let within = world.post(to("5511"));
    settle().await;
    assert_eq!(world.shown(within), "SENT");
    world.clock.advance(23 * HOUR_MS).await;
    let late = world.post(to("5511"));
    settle().await;
    assert_eq!(world.shown(late), "FAILED window_closed", "it closes a day after what was written, not after it came");
}

#[tokio::test]
async fn who_is_written_to_too_fast_waits_and_others_go_on() {
    let bucket = Bucket { burst: 2, refill_ms: 6_000 };
    let mut world = World::with(free(), demanding(Rules { recipient_rate: Some(bucket), ..Rules::default() }));
    world.start().await;
    let ana: Vec<MessageKey> = (0..4).map(|_| world.post(to("ana@x.test"))).collect();
    world.post(to("bea@x.test"));
    settle().await;
    assert_eq!(world.connectors.texts(), ["ana@x.test", "ana@x.test", "bea@x.test"]);
    assert_eq!(world.shown(ana[2]), "WAITING recipient_rate");
    assert_eq!(world.state(ana[3]).due_at, NOON.plus_ms(12_000), "each waits for its own instant");
    world.clock.advance(60_000).await;
    assert_eq!(sent_at(&world), [0, 0, 0, 6_000, 12_000]);
    assert_eq!(world.history(ana[3]), ["PENDING", "WAITING", "PENDING", "PROCESSING", "SENT"]);
}

#[tokio::test]
async fn a_throttled_recipient_holds_up_nobody_else() {
    let mut world = World::new(free());
    world.connectors.act(|sent| match (sent.text.as_str(), sent.at.since(NOON)) {
        ("ana@x.test", 0..30_000) => Does::Answer(throttled(ThrottleScope::Recipient, Some(30_000), "slow down")),
        _ => Does::Answer(accepted()),
    });
    world.start().await;
    world.post(to("ana@x.test"));
    settle().await;
    let second = world.post(to("ana@x.test"));
    let other = world.post(to("bea@x.test"));
    settle().await;
    assert_eq!((world.status(other), world.shown(second)), (Status::Sent, "WAITING recipient_rate".to_owned()));
    world.clock.advance(120_000).await;
    assert_eq!(world.status(second), Status::Sent);
    world.assert_nothing_queued();
}

#[tokio::test]
async fn no_more_messages_go_in_a_second_than_the_channel_takes() {
    let throughput = Throughput { per_second: 5, counts_received: false };
    let mut world = World::with(free(), demanding(Rules { throughput: Some(throughput), ..Rules::default() }));
    world.start().await;
    world.post_all(TENANT, (0..40).map(|n| text(&n.to_string())).collect());
    world.clock.advance(20_000).await;
    let at = sent_at(&world);
    assert_eq!(at.len(), 40);
    assert!(at.windows(6).all(|six| six[5] - six[0] >= 1_000), "{at:?}");
    assert!(at[39] <= 8 * 1_100, "nearly as fast as allowed: {at:?}");
    assert_eq!(world.view().per_second, Some(5));
}

#[tokio::test]
async fn received_messages_count_where_the_channel_counts_them() {
    let mut world = World::two_way(free());
    let throughput = Throughput { per_second: 2, counts_received: true };
    world.connectors.describe(demanding(Rules { throughput: Some(throughput), ..Rules::default() }));
    world.start().await;
    let said = ["A1", "A2"].map(|id| ChannelEvent::Message(from("5511", id)));
    world.tell(said.to_vec()).await.expect("taken");
    world.post(to("5511"));
    settle().await;
    assert!(sent_at(&world).is_empty());
    world.clock.advance(2_000).await;
    assert!(sent_at(&world).iter().all(|at| (1_000..2_000).contains(at)) && world.connectors.texts().len() == 1);
}

fn audience(limit: u32) -> Rules {
    let rule = AudienceRule { shared_by: Some("portfolio".to_owned()), limit: Some(limit), window_ms: HOUR_MS };
    Rules { audience: Some(rule), ..Rules::default() }
}

/// Two connectors of one portfolio.
fn portfolio(limit: u32) -> World {
    let world = World::with(free(), demanding(audience(limit)));
    for index in [LANE, OTHER] {
        let config = r#"{"portfolio": "p1"}"#.to_owned();
        let connector = Connector { pace: free(), config, ..samples::connector(index, TENANT, "email") };
        world.write(vec![Change::Connector(connector)]);
    }
    world
}

#[tokio::test]
async fn connectors_that_share_an_audience_share_its_limit_also_over_a_crash() {
    let mut world = portfolio(2);
    world.start().await;
    let keys = world.post_all(TENANT, vec![to("a@x.test"), to("b@x.test")]);
    settle().await;
    let third = world.post(NewMessage { connector: OTHER, ..to("c@x.test") });
    settle().await;
    assert!(keys.iter().all(|key| world.status(*key) == Status::Sent));
    assert_eq!(world.connectors.texts(), ["a@x.test", "b@x.test"]);
    assert_eq!(world.shown(third), "WAITING audience");
    let again = world.post(NewMessage { connector: OTHER, ..to("a@x.test") });
    settle().await;
    assert_eq!(world.status(again), Status::Sent, "who counts already may be written to again");
    assert_eq!(world.view().audience, Some(AudienceView { used: 2, limit: Some(2) }));
    world.crash().await;
    world.start().await;
    let fourth = world.post(to("d@x.test"));
    settle().await;
    assert_eq!(world.shown(fourth), "WAITING audience", "it is known from the store");
    world.clock.advance(3 * HOUR_MS).await;
    assert_eq!((world.status(third), world.status(fourth)), (Status::Sent, Status::Sent));
    world.assert_nothing_queued();
}

#[tokio::test]
async fn a_claim_that_is_not_stored_counts_nobody() {
    let mut world = portfolio(1);
    world.start().await;
    world.store.refuse_next(unavailable());
    let key = world.post(to("a@x.test"));
    world.clock.advance(60_000).await;
    assert_eq!(world.status(key), Status::Sent);
    assert_eq!(world.view().audience, Some(AudienceView { used: 1, limit: Some(1) }));
}

#[tokio::test]
async fn the_channel_tells_other_limits() {
    let mut world = portfolio(1);
    world.start().await;
    let keys = world.post_all(TENANT, vec![to("a@x.test"), to("b@x.test")]);
    settle().await;
    assert_eq!(world.shown(keys[1]), "WAITING audience");
    let told = r#"{"audience": 10, "perSecond": 7, "quality": "yellow"}"#.to_owned();
    world.tell(vec![ChannelEvent::Other("limits".to_owned(), told)]).await.expect("taken");
    let third = world.post(to("c@x.test"));
    world.clock.advance(16 * 60_000).await;
    assert_eq!((world.status(keys[1]), world.status(third)), (Status::Sent, Status::Sent));
    let view = world.view();
    assert_eq!((view.per_second, view.quality), (Some(7), Quality::Yellow));
    assert_eq!(view.audience.and_then(|audience| audience.limit), Some(10));
    let odd = ChannelEvent::Other("limits".to_owned(), r#"{"audience": "many"}"#.to_owned());
    world.tell(vec![odd]).await.expect("passed over");
    assert_eq!(world.view().audience.and_then(|audience| audience.limit), Some(10));
}

#[tokio::test]
async fn the_limit_told_last_holds_for_all_that_share_the_audience_also_over_a_crash() {
    let mut world = portfolio(1);
    let alone = ConnectorIndex(3);
    let config = r#"{"portfolio": "p2"}"#.to_owned();
    let connector = Connector { pace: free(), config, ..samples::connector(alone, TENANT, "email") };
    world.write(vec![Change::Connector(connector)]);
    world.start().await;
    let limit = |world: &World, connector: ConnectorIndex| {
        let view = world.handle().pace(connector).expect("the store answers").expect("it is there");
        view.audience.and_then(|audience| audience.limit)
    };
    let limits = |world: &World| [LANE, OTHER, alone].map(|connector| limit(world, connector));
    let tell = async |world: &World, connector: ConnectorIndex, audience: u32| {
        let told = ChannelEvent::Other("limits".to_owned(), format!(r#"{{"audience": {audience}}}"#));
        world.handle().intake().take(connector, vec![told], Vec::new()).await.expect("taken");
        settle().await;
    };
    let first = world.post(to("a@x.test"));
    settle().await;
    let waits = world.post(NewMessage { connector: OTHER, ..to("b@x.test") });
    settle().await;
    assert_eq!((world.status(first), world.shown(waits)), (Status::Sent, "WAITING audience".to_owned()));

    tell(&world, LANE, 10).await;
    assert_eq!(limits(&world), [Some(10), Some(10), Some(1)]);
    world.clock.advance(16 * 60_000).await;
    assert_eq!(world.status(waits), Status::Sent, "its own connector was told nothing");
    tell(&world, OTHER, 3).await;
    assert_eq!(limits(&world), [Some(3), Some(3), Some(1)]);
    world.crash().await;
    world.start().await;
    assert_eq!(limits(&world), [Some(3), Some(3), Some(1)]);
    tell(&world, LANE, 10).await;
    assert_eq!(limits(&world), [Some(10), Some(10), Some(1)], "what the connector was told before is news again");
    let events = world.events().len();
    tell(&world, LANE, 10).await;
    assert_eq!((world.events().len(), events), (3, 3), "what is known is not told again");
}

#[tokio::test]
async fn what_the_channel_tells_of_outreach_is_shown_while_it_counts_and_is_an_event_once() {
    let mut world = World::two_way(free());
    world.start().await;
    assert_eq!(world.view().outreach, None);
    let (lock, cycle) = (world.clock_now().plus_ms(60_000), world.clock_now().plus_ms(120_000));
    let told = |json: String| vec![ChannelEvent::Other("outreach".to_owned(), json)];
    let json = format!(r#"{{"lockedUntilMillis": {}, "quota": 9, "used": 4, "cycleEndMillis": {}}}"#, lock.0, cycle.0);
    // A connector tells it again at each login.
    for _ in 0..2 {
        world.tell(told(json.clone())).await.expect("taken");
    }
    let shown = Outreach { locked_until: Some(lock), quota: Some(9), used: Some(4), cycle_end: Some(cycle) };
    assert_eq!(world.view().outreach, Some(shown));
    assert_eq!(world.events().iter().filter(|event| *event == "other outreach").count(), 1);
    world.tell(told(r#"{"quota": "many"}"#.to_owned())).await.expect("passed over");
    world.clock.advance(60_000).await;
    assert_eq!(world.view().outreach, Some(Outreach { locked_until: None, ..shown }));
    world.clock.advance(60_000).await;
    assert_eq!(world.view().outreach, None);
}

#[tokio::test]
async fn the_category_decides_at_equal_priority_unless_the_connector_goes_by_time() {
    for (category_order, expected) in [
        (true, ["high", "transactional", "general", "marketing"]),
        (false, ["high", "marketing", "general", "transactional"]),
    ] {
        let mut world = World::new(Pace { category_order, delay_min_ms: 1_000, delay_max_ms: 1_000, ..free() });
        let of = |message_type, priority, words: &str| NewMessage { message_type, priority, ..text(words) };
        let messages = vec![
            of(MessageType::Marketing, 5, "marketing"),
            of(MessageType::General, 5, "general"),
            of(MessageType::Transactional, 5, "transactional"),
            of(MessageType::Marketing, 6, "high"),
        ];
        world.post_all(TENANT, messages);
        world.start().await;
        world.clock.advance(10_000).await;
        assert_eq!(world.connectors.texts(), expected);
    }
}

#[tokio::test]
async fn a_word_refuses_advertising_and_another_takes_it_back() {
    let mut world = World::two_way(free());
    world.start().await;
    let says = |id: &str, words: &str| {
        let content = InboundContent::Text(words.to_owned());
        vec![ChannelEvent::Message(Inbound { content, ..from("5511", id) })]
    };
    let marketing = || NewMessage { message_type: MessageType::Marketing, ..to("5511") };
    world.tell(says("A1", " Sair ")).await.expect("taken");
    let (refused, general) = (world.post(marketing()), world.post(to("5511")));
    settle().await;
    assert_eq!((world.shown(refused), world.status(general)), ("FAILED category_refused".to_owned(), Status::Sent));
    world.tell(says("A2", "voltar")).await.expect("taken");
    let wanted = world.post(marketing());
    settle().await;
    assert_eq!(world.status(wanted), Status::Sent);
    let out = r#"{"address": "5522", "category": "marketing", "out": true, "atMillis": 1}"#.to_owned();
    world.tell(vec![ChannelEvent::Other("opt-out".to_owned(), out)]).await.expect("taken");
    let refused = world.post(NewMessage { to: "5522".to_owned(), ..marketing() });
    settle().await;
    assert_eq!(world.shown(refused), "FAILED category_refused", "who was no contact");
}

#[tokio::test]
async fn a_channel_names_the_categories_that_people_refuse_as_its_plugin_declares() {
    let mut world = World::two_way(free());
    let category = |name: &str, category| OptOutCategory { name: name.to_owned(), category };
    world.connectors.describe(demanding(Rules {
        opt_out_categories: vec![category("offers", MessageType::Marketing), category("nudges", MessageType::Reminder)],
        ..Rules::default()
    }));
    world.start().await;
    // The first by its name, the second by a word that this channel does not use.
    for (address, name) in [("5511", "nudges"), ("5522", "marketing")] {
        let told = format!(r#"{{"address": "{address}", "category": "{name}", "out": true, "atMillis": 1}}"#);
        world.tell(vec![ChannelEvent::Other("opt-out".to_owned(), told)]).await.expect("taken");
    }
    let of = |address: &str, message_type| NewMessage { message_type, ..to(address) };
    let reminder = world.post(of("5511", MessageType::Reminder));
    let marketing = [world.post(of("5511", MessageType::Marketing)), world.post(of("5522", MessageType::Marketing))];
    settle().await;
    assert_eq!(world.shown(reminder), "FAILED category_refused");
    assert_eq!(marketing.map(|key| world.status(key)), [Status::Sent, Status::Sent]);
}

#[tokio::test]
async fn equal_advertising_is_warned_of() {
    let mut world = World::new(free());
    world.start().await;
    let marketing =
        |n: usize| NewMessage { message_type: MessageType::Marketing, to: format!("{n}@x.test"), ..text("buy") };
    world.post_all(TENANT, (0..100).map(marketing).collect());
    world.clock.advance(1_000).await;
    assert_eq!(world.view().equal_texts, None);
    world.post(marketing(100));
    settle().await;
    assert_eq!(world.view().equal_texts.map(|texts| texts.count), Some(101));
    world.clock.advance(25 * HOUR_MS).await;
    assert_eq!(world.view().equal_texts, None);
}
