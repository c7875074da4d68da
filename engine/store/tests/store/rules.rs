//! What channels demand and what follows from it: limits, audiences, refused categories, the order of a connector's queue, the channel's
//! code of a failure. All of it survives a restart.

use pombo_domain::model::reason::{Reason, ReasonCode};
use pombo_domain::model::rules::ChannelLimits;
use pombo_domain::model::*;
use pombo_domain::ports::*;
use pombo_domain::{ConnectorIndex, Timestamp};
use uuid::Uuid;

use crate::chats::{change, inbound, received};
use crate::support::*;

const LANE: ConnectorIndex = ConnectorIndex(1);
const AUDIENCE: AudienceKey = [7; 16];

fn reached(person: u8, at: i64) -> Change {
    reached_of(AUDIENCE, person, at)
}

/// Counts for 100 ms.
fn reached_of(audience: AudienceKey, person: u8, at: i64) -> Change {
    let (person, at, until) = ([person; 16], Timestamp(at), Timestamp(at + 100));
    Change::Rule(RuleChange::Reached { audience, person, at, until })
}

fn forgotten(person: u8, upto: i64) -> Change {
    Change::Rule(RuleChange::Forgotten { audience: AUDIENCE, person: [person; 16], upto: Timestamp(upto) })
}

#[tokio::test]
async fn limits_and_the_people_of_an_audience_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let store = open(folder.path(), &clock);
    assert_eq!(store.channel_limits(LANE).unwrap(), ChannelLimits::default());
    let limits = ChannelLimits { audience: Some(None), per_second: Some(80), quality: Quality::Red };
    let changes = vec![
        Change::Rule(RuleChange::Limits(LANE, limits)),
        reached(1, 10),
        reached(2, 20),
        // A later instant stays, and who was written to since is not forgotten.
        reached(2, 5),
        forgotten(2, 19),
        reached(3, 30),
        forgotten(3, 30),
        reached_of([8; 16], 9, 1),
    ];
    store.commit(Batch::of(changes)).await.unwrap();
    drop(store);
    let store = open(folder.path(), &clock);
    assert_eq!(store.channel_limits(LANE).unwrap(), limits);
    let people = store.audience(&AUDIENCE, 10).unwrap();
    assert_eq!(people, [([1; 16], Timestamp(10)), ([2; 16], Timestamp(20))]);
    assert_eq!(store.audience(&AUDIENCE, 1).unwrap().len(), 1);
    assert!(snapshot(&store).contains("channel-limits connector=1"));
    assert_sound(&store);
}

#[tokio::test]
async fn what_was_told_of_outreach_is_kept_with_what_is_still_to_be_released() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let store = open(folder.path(), &clock);
    assert_eq!(store.outreach(LANE).unwrap(), OutreachRecord::default());
    let told = Outreach { locked_until: Some(Timestamp(90)), quota: Some(9), used: Some(4), ..Outreach::default() };
    let tells = |told, release: &[i64]| {
        let release = release.iter().copied().map(Timestamp).collect();
        Change::Rule(RuleChange::Outreach { connector: LANE, told, release })
    };
    let started = |started| Change::Rule(RuleChange::OutreachStarted { connector: LANE, started });
    store.commit(Batch::of(vec![tells(Outreach::default(), &[70]), started(3), tells(told, &[80, 70])])).await.unwrap();
    drop(store);
    let store = open(folder.path(), &clock);
    let kept = OutreachRecord { told, started: 0, release: vec![Timestamp(70), Timestamp(80)] };
    assert_eq!(store.outreach(LANE).unwrap(), kept, "what was started before it was told does not count");
    assert_eq!(store.outreach(ConnectorIndex(2)).unwrap(), OutreachRecord::default());
    let released = RuleChange::OutreachReleased { connector: LANE, at: Timestamp(70) };
    store.commit(Batch::of(vec![Change::Rule(released), started(2)])).await.unwrap();
    assert_eq!(store.outreach(LANE).unwrap(), OutreachRecord { started: 2, release: vec![Timestamp(80)], ..kept });
    let many: Vec<i64> = (100..200).collect();
    store.commit(Batch::of(vec![tells(told, &many)])).await.unwrap();
    assert_eq!(store.outreach(LANE).unwrap().release.len(), pombo_domain::model::outreach::MAX_RELEASES);
    assert!(snapshot(&store).contains("outreach connector=1"));
    assert_sound(&store);
}

#[tokio::test]
async fn the_limit_told_last_is_that_of_its_audience_alone() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let store = open(folder.path(), &clock);
    assert_eq!(store.audience_limit(&AUDIENCE).unwrap(), None);
    let told = |audience, limit| Change::Rule(RuleChange::AudienceLimit { audience, limit });
    store.commit(Batch::of(vec![told(AUDIENCE, Some(250)), told([8; 16], Some(9))])).await.unwrap();
    store.commit(Batch::of(vec![told(AUDIENCE, Some(1_000)), told([8; 16], None)])).await.unwrap();
    drop(store);
    let store = open(folder.path(), &clock);
    let limit = |audience: u8| store.audience_limit(&[audience; 16]).unwrap();
    assert_eq!((limit(7), limit(8), limit(9)), (Some(Some(1_000)), Some(None), None));
    assert!(snapshot(&store).contains("audience-limit "));
    assert_sound(&store);
}

#[tokio::test]
async fn people_who_no_longer_count_are_found_a_few_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), &clock());
    let people = vec![reached(1, 0), reached(2, 50), reached(3, 0), reached_of([8; 16], 1, 0), reached(1, -5)];
    store.commit(Batch::of(people)).await.unwrap();
    let (mut found, mut after) = (Vec::new(), None);
    for _ in 0..2 {
        let page = store.expired_people(Timestamp(100), after, 3).unwrap();
        found.extend(page.expired);
        after = page.next;
    }
    let gone = |audience: u8, person: u8| ([audience; 16], [person; 16], Timestamp(0));
    assert_eq!((found, after), (vec![gone(7, 1), gone(7, 3), gone(8, 1)], None));
    assert_eq!(store.expired_people(Timestamp(99), None, 9).unwrap(), PeoplePage::default());
}

#[tokio::test]
async fn refused_categories_outlive_their_contact() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let store = open(folder.path(), &clock);
    let kind = ContactType::WhatsApp;
    let refused = Refusals::of([MessageType::Marketing]);
    let contact = |id| Contact { id: Uuid::from_u128(id), ..samples::contact(A, kind, "5511") };
    let put = |change: Change| store.commit(Batch::of(vec![change]));
    put(Change::Contact(Contact { refused, ..contact(1) })).await.unwrap();
    put(Change::DeleteContact(A, Uuid::from_u128(1))).await.unwrap();
    let left = store.opt_out(A, kind, "5511").unwrap().expect("it is left");
    assert_eq!((left.only, left.refuses(MessageType::Marketing)), (Some(refused), true));
    assert!(!left.refuses(MessageType::General));
    put(Change::Contact(contact(2))).await.unwrap();
    drop(store);
    let store = open(folder.path(), &clock);
    let found = store.contact(A, kind, "5511").unwrap().expect("it was added again");
    assert_eq!((found.active, found.refused), (true, refused));
    assert_sound(&store);
}

#[tokio::test]
async fn a_connector_may_order_its_queue_by_time_alone() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let store = open(folder.path(), &clock);
    let by_time = |index, category_order| {
        let pace = Pace { category_order, ..Pace::default() };
        Change::Connector(Connector { pace, ..samples::connector(ConnectorIndex(index), A, "email") })
    };
    store.commit(Batch::of(vec![by_time(1, true), by_time(2, false)])).await.unwrap();
    let of = |connector, message_type| NewMessage { message_type, ..message(connector, "a", "x") };
    let kinds = [MessageType::Marketing, MessageType::General, MessageType::Transactional];
    let mut keys = Vec::new();
    for connector in [1, 2] {
        keys.push(insert(&store, A, kinds.map(|kind| of(connector, kind)).to_vec()).await);
    }
    drop(store);
    let store = open(folder.path(), &clock);
    let queued = |connector| -> Vec<_> {
        store.ready(ConnectorIndex(connector), None, 9).unwrap().into_iter().map(|entry| entry.key).collect()
    };
    assert_eq!(queued(1), [keys[0][2], keys[0][1], keys[0][0]]);
    assert_eq!(queued(2), keys[1]);
    assert!(!store.connector(ConnectorIndex(2)).unwrap().expect("stored").pace.category_order);
    assert_sound(&store);
}

#[tokio::test]
async fn the_channels_code_and_its_time_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let store = open(folder.path(), &clock);
    let keys = insert(&store, A, vec![message(1, "a", "x")]).await;
    let stored = store.message(keys[0]).unwrap().expect("stored");
    let reason = Reason::new(ReasonCode::Rejected, "no").with_channel_code(Some("131026"));
    let state = stored.state.failed(reason.clone(), clock.now()).unwrap();
    store.commit(Batch::of(vec![Change::Update(update(&stored, state))])).await.unwrap();
    let words = TenantSettings { opt_out_words: Some(vec!["chega".to_owned()]), ..TenantSettings::default() };
    let settings = change(ChatChange::Settings(A, words.clone()));
    let said = inbound("5511", "A1", InboundContent::Text("Oi".to_owned()));
    let older = Inbound { sent_at: Timestamp(said.sent_at.0 - 1), ..inbound("5511", "A0", said.content.clone()) };
    store.commit(Batch::of(vec![settings, received(&said), received(&older)])).await.unwrap();
    drop(store);
    let store = open(folder.path(), &clock);
    assert_eq!(store.message(keys[0]).unwrap().expect("stored").state.reason, Some(reason));
    assert_eq!(store.tenant_settings(A).unwrap(), words);
    let conversation = store.conversation_with(LANE, "5511").unwrap().expect("it was opened");
    assert_eq!(conversation.written_at, Some(said.sent_at));
    assert_sound(&store);
}
