//! How far a channel lets an account start conversations, kept to: strangers wait, and nobody else does.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use pombo_domain::model::connector::WarmUp;
use pombo_domain::model::inbound::Inbound;
use pombo_domain::model::message::{MessageOptions, NewMessage, Status};
use pombo_domain::model::rules::{Rules, Throughput};
use pombo_domain::model::{Outreach, Pace};
use pombo_domain::ports::{
    Change, ChannelEvent, ConnectorEvents, RuleChange, RuleStore, SendOutcome, SessionState, StoreError,
};
use pombo_domain::{MessageKey, Timestamp};
use pombo_scheduler::rules::draw::{Draw, between};

use crate::support::*;

const HOUR_MS: i64 = 3_600_000;

/// What is told of outreach, as a connector tells it.
fn tells(outreach: Outreach) -> Vec<ChannelEvent> {
    let Outreach { locked_until, quota, used, cycle_end } = outreach;
    let told = serde_json::json!({
        "lockedUntilMillis": locked_until.map(|at| at.0),
        "quota": quota,
        "used": used,
        "cycleEndMillis": cycle_end.map(|at| at.0),
    });
    vec![ChannelEvent::Other("outreach".to_owned(), told.to_string())]
}

fn locked(until: Timestamp) -> Vec<ChannelEvent> {
    tells(Outreach { locked_until: Some(until), ..Outreach::default() })
}

/// The text is the recipient, so that what was sent shows to whom.
fn to(address: &str) -> NewMessage {
    NewMessage { to: address.to_owned(), ..text(address) }
}

fn strangers(count: usize) -> Vec<NewMessage> {
    (0..count).map(|n| to(&format!("5521{n:07}"))).collect()
}

/// These people wrote.
async fn wrote(world: &World, people: &[String]) {
    let said = people.iter().map(|address| ChannelEvent::Message(from(address, &format!("of {address}"))));
    world.tell(said.collect()).await.expect("taken");
}

fn waits_until(world: &World, key: MessageKey, until: Timestamp) -> bool {
    world.shown(key) == "WAITING outreach" && world.state(key).due_at == until
}

/// 5,000 messages to known people and strangers, queued and direct, at 100 a second. At a random moment the account is locked for an hour;
/// in every other run the engine crashes meanwhile.
#[tokio::test]
async fn locked_at_any_moment_no_stranger_is_written_to_before_the_end_and_each_once_after_it() {
    for seed in 0..4 {
        let mut draw = Draw::new(seed);
        let mut world = World::two_way(free());
        let throughput = Throughput { per_second: 100, counts_received: false };
        world.connectors.describe(|plugin| {
            plugin.rules = Some(Rules { throughput: Some(throughput), ..Rules::default() });
        });
        world.start().await;
        let known: Vec<String> = (0..300).map(|n| format!("5511{n:07}")).collect();
        wrote(&world, &known).await;
        let (mut messages, mut is_stranger) = (Vec::new(), Vec::new());
        for n in 0..5_000usize {
            let stranger = between(draw.seed(), 0, 1) == 0;
            let address = if stranger { format!("5521{n:07}") } else { known[n % known.len()].clone() };
            messages.push(NewMessage { force_direct: between(draw.seed(), 0, 9) == 0, ..to(&address) });
            is_stranger.push(stranger);
        }
        let keys = world.post_all(TENANT, messages);
        world.clock.advance(i64::try_from(between(draw.seed(), 0, 40_000)).expect("small")).await;

        let until = world.clock_now().plus_ms(HOUR_MS);
        world.handle().intake().take(LANE, locked(until), Vec::new()).await.expect("taken");
        let before = world.connectors.sent.lock().len();
        world.clock.advance(HOUR_MS / 2).await;
        let after: Vec<String> = world.connectors.texts().split_off(before);
        assert!(after.iter().all(|address| address.starts_with("5511")), "seed {seed}: a stranger was written to");
        for (key, stranger) in keys.iter().zip(&is_stranger) {
            let is_right = world.status(*key) == Status::Sent || (*stranger && waits_until(&world, *key, until));
            assert!(is_right, "seed {seed}: {}", world.shown(*key));
        }
        let waiting = keys.iter().filter(|key| world.status(**key) == Status::Waiting).count();
        assert!(waiting > 0, "seed {seed}: the lock came in the middle");

        if seed % 2 == 1 {
            world.crash().await;
            world.start().await;
            let late = world.post(to("55990000000"));
            settle().await;
            assert!(waits_until(&world, late, until), "it is known from the store: {}", world.shown(late));
        }
        world.clock.advance_to(until.plus_ms(-1)).await;
        assert_eq!(keys.iter().filter(|key| world.status(**key) == Status::Waiting).count(), waiting);
        world.clock.advance(100_000).await;
        let mut times: HashMap<uuid::Uuid, usize> = HashMap::new();
        for sent in world.connectors.sent.lock().iter() {
            *times.entry(sent.client_id).or_default() += 1;
        }
        for key in &keys {
            assert_eq!((world.status(*key), times.get(&world.id(*key))), (Status::Sent, Some(&1)), "seed {seed}");
        }
        world.assert_nothing_queued();
    }
}

#[tokio::test]
async fn what_was_claimed_ahead_goes_back_when_the_account_is_locked() {
    let mut world = World::two_way(Pace { max_in_flight: 3, ..free() });
    world.connectors.act(|_| Does::After(1_000, accepted()));
    world.start().await;
    wrote(&world, &["5511".to_owned()]).await;
    let keys = world.post_all(TENANT, strangers(30));
    settle().await;
    assert_eq!(world.connectors.texts().len(), 3);
    assert_eq!(world.status(keys[20]), Status::Processing, "it was claimed ahead");
    let until = world.clock_now().plus_ms(HOUR_MS);
    world.tell(locked(until)).await.expect("taken");
    let reply = world.post(to("5511"));
    world.clock.advance(2_500).await;
    assert_eq!(world.status(reply), Status::Sent);
    assert_eq!(world.connectors.texts().len(), 4, "three were on their way, and the answer");
    assert!(keys[3..].iter().all(|key| waits_until(&world, *key, until) && world.state(*key).attempts == 0));
    world.clock.advance(2 * HOUR_MS).await;
    assert!(keys.iter().all(|key| world.status(*key) == Status::Sent));
}

#[tokio::test]
async fn one_that_nobody_wants_at_the_end_of_the_lock_fails_unless_an_earlier_attempt_may_have_sent_it() {
    let mut world = World::two_way(free());
    world.connectors.describe(|plugin| plugin.idempotent_resend = true);
    world.connectors.act(|_| Does::Answer(SendOutcome::Unknown("the connection broke".to_owned())));
    world.start().await;
    let wanted = |address| {
        let expires_at = Some(NOON.plus_ms(60_000));
        NewMessage { options: MessageOptions { expires_at, ..MessageOptions::default() }, ..to(address) }
    };
    let in_doubt = world.post(wanted("5521"));
    settle().await;
    assert_eq!(world.shown(in_doubt), "WAITING unknown_outcome", "it is to be tried again");
    world.tell(locked(world.clock_now().plus_ms(HOUR_MS))).await.expect("taken");
    let untried = world.post(wanted("5522"));
    world.clock.advance(10_000).await;
    assert_eq!((world.shown(in_doubt), world.shown(untried)), ("UNKNOWN expired".into(), "FAILED outreach".into()));
    assert_eq!(world.connectors.texts(), ["5521"], "neither was sent in the lock");
}

#[tokio::test]
async fn strangers_in_front_do_not_delay_those_behind_them() {
    let pace = Pace { delay_min_ms: 1_000, delay_max_ms: 1_000, ..free() };
    let known: Vec<String> = (0..6).map(|n| format!("5511{n:07}")).collect();
    let mut seen = Vec::new();
    for in_front in [0, 700] {
        let mut world = World::two_way(pace.clone());
        world.start().await;
        wrote(&world, &known).await;
        world.tell(locked(world.clock_now().plus_ms(HOUR_MS))).await.expect("taken");
        let mut messages = strangers(in_front);
        messages.extend(known.iter().map(|address| to(address)));
        world.post_all(TENANT, messages);
        world.clock.advance(10_000).await;
        let sent = world.connectors.sent.lock().clone();
        seen.push(sent.iter().map(|sent| (sent.at.since(NOON), sent.text.clone())).collect::<Vec<_>>());
    }
    assert_eq!(seen[0].len(), known.len());
    assert_eq!(seen[0], seen[1]);
}

#[tokio::test]
async fn who_is_known_and_who_is_not() {
    let mut world = World::two_way(free());
    world.start().await;
    // Accepted before the lock; written to from the phone; wrote; a group.
    let accepted_before = world.post(to("5522"));
    let from_phone = Inbound { from_me: true, chat: "5533".to_owned(), ..from("5500", "B1") };
    world.tell(vec![ChannelEvent::Message(from_phone)]).await.expect("taken");
    wrote(&world, &["5511".to_owned()]).await;
    world.connectors.act(|sent| match sent.text.as_str() {
        "5544" => Does::Answer(SendOutcome::Rejected("no".into())),
        _ => Does::Answer(accepted()),
    });
    let refused = world.post(to("5544"));
    settle().await;
    assert_eq!((world.status(accepted_before), world.status(refused)), (Status::Sent, Status::Failed));
    let until = world.clock_now().plus_ms(HOUR_MS);
    world.tell(locked(until)).await.expect("taken");
    for (address, is_known) in
        [("5522", true), ("5533", true), ("5511", true), ("120363001@g.us", true), ("5544", false), ("77@lid", false)]
    {
        for force_direct in [false, true] {
            let key = world.post(NewMessage { force_direct, ..to(address) });
            settle().await;
            let shown = world.shown(key);
            assert_eq!(shown, if is_known { "SENT" } else { "WAITING outreach" }, "{address}");
        }
    }
    // An answer to somebody who writes meanwhile goes at once; what was put off before waits for the end.
    wrote(&world, &["77@lid".to_owned()]).await;
    let answer = world.post(to("77@lid"));
    settle().await;
    assert_eq!(world.status(answer), Status::Sent);
}

#[tokio::test]
async fn a_lock_that_ends_early_or_moves_releases_those_who_wait() {
    let mut world = World::two_way(free());
    world.start().await;
    let until = world.clock_now().plus_ms(4 * HOUR_MS);
    world.tell(locked(until)).await.expect("taken");
    let keys = world.post_all(TENANT, strangers(1_300));
    world.clock.advance(1_000).await;
    assert!(keys.iter().all(|key| waits_until(&world, *key, until)));
    // One that was scheduled for the same instant is not concerned.
    let scheduled = world.post(NewMessage { scheduled_at: Some(until), ..to("5511") });
    let sooner = world.clock_now().plus_ms(HOUR_MS);
    world.tell(locked(sooner)).await.expect("taken");
    world.clock.advance(1_000).await;
    assert!(keys.iter().all(|key| waits_until(&world, *key, sooner)), "{}", world.shown(keys[1_299]));
    let later = world.clock_now().plus_ms(2 * HOUR_MS);
    world.tell(locked(later)).await.expect("taken");
    world.clock.advance(1_000).await;
    assert!(keys.iter().all(|key| waits_until(&world, *key, later)));
    world.tell(tells(Outreach::default())).await.expect("taken");
    world.clock.advance(1_000).await;
    assert!(keys.iter().all(|key| world.status(*key) == Status::Sent));
    assert_eq!(world.connectors.texts().len(), keys.len(), "none of them twice");
    assert_eq!(world.shown(scheduled), "WAITING scheduled");
    assert_eq!(world.store.outreach(LANE).expect("readable").release, [], "nothing is left to be released");
}

#[tokio::test]
async fn an_early_end_is_not_forgotten_over_a_crash() {
    let mut world = World::two_way(free());
    world.start().await;
    let until = world.clock_now().plus_ms(4 * HOUR_MS);
    world.tell(locked(until)).await.expect("taken");
    let keys = world.post_all(TENANT, strangers(20));
    settle().await;
    let releases = |change: &Change| matches!(change, Change::Update(_));
    world.store.refuse(move |_, batch| batch.changes.iter().any(releases).then(unavailable));
    world.tell(tells(Outreach::default())).await.expect("taken");
    assert!(keys.iter().all(|key| waits_until(&world, *key, until)), "the store refuses to release them");
    world.crash().await;
    world.store.no_plan();
    world.start().await;
    world.clock.advance(1_000).await;
    assert!(keys.iter().all(|key| world.status(*key) == Status::Sent), "{}", world.shown(keys[0]));
}

#[tokio::test]
async fn a_release_that_the_store_refuses_pauses_between_its_tries_and_holds_up_nothing_that_is_due() {
    let mut world = World::two_way(free());
    world.start().await;
    wrote(&world, &["5511".to_owned()]).await;
    world.tell(locked(world.clock_now().plus_ms(4 * HOUR_MS))).await.expect("taken");
    let keys = world.post_all(TENANT, strangers(20));
    let due_at = world.clock_now().plus_ms(10_000);
    let due = world.post(NewMessage { scheduled_at: Some(due_at), ..to("5511") });
    settle().await;
    let tries = Arc::new(AtomicUsize::new(0));
    let (counted, waiting) = (tries.clone(), keys.clone());
    world.store.refuse(move |_, batch| {
        let releases = |change: &Change| matches!(change, Change::Update(update) if waiting.contains(&update.key));
        let is_refused = batch.changes.iter().any(releases);
        counted.fetch_add(usize::from(is_refused), Ordering::SeqCst);
        is_refused.then(unavailable)
    });
    world.tell(tells(Outreach::default())).await.expect("taken");
    assert_eq!(tries.load(Ordering::SeqCst), 1, "the next try comes after a pause");
    world.clock.advance_to(due_at).await;
    assert_eq!(world.status(due), Status::Sent);
    let tries = tries.load(Ordering::SeqCst);
    assert!((3..30).contains(&tries), "{tries} tries in ten seconds");
    world.store.no_plan();
    world.clock.advance(60_000).await;
    assert!(keys.iter().all(|key| world.status(*key) == Status::Sent), "{}", world.shown(keys[0]));
}

/// From now on a page of messages counts as damaged, and so does the first message that is read alone.
fn damage_first(world: &World) {
    let mut is_first = true;
    world.store.fail_reads(move |method| {
        let is_damaged = method == "messages" || (method == "message" && std::mem::take(&mut is_first));
        is_damaged.then(|| StoreError::Damaged("a planned fault".to_owned()))
    });
}

#[tokio::test]
async fn a_damaged_message_holds_up_no_other_that_is_released_or_due() {
    let mut world = World::two_way(free());
    world.start().await;
    wrote(&world, &["5511".to_owned()]).await;
    let until = world.clock_now().plus_ms(4 * HOUR_MS);
    world.tell(locked(until)).await.expect("taken");
    let put_off = world.post_all(TENANT, strangers(3));
    let due_at = world.clock_now().plus_ms(60_000);
    let due = world.post_all(TENANT, vec![NewMessage { scheduled_at: Some(due_at), ..to("5511") }; 3]);
    settle().await;
    assert!(put_off.iter().all(|key| waits_until(&world, *key, until)));

    damage_first(&world);
    world.tell(tells(Outreach::default())).await.expect("taken");
    assert!(put_off[1..].iter().all(|key| world.status(*key) == Status::Sent), "{}", world.shown(put_off[1]));
    assert!(waits_until(&world, put_off[0], until));

    damage_first(&world);
    world.clock.advance_to(due_at.plus_ms(1_000)).await;
    assert!(due[1..].iter().all(|key| world.status(*key) == Status::Sent), "{}", world.shown(due[1]));
    assert_eq!(world.shown(due[0]), "WAITING scheduled");

    // It can be read again.
    world.crash().await;
    world.store.no_read_plan();
    world.start().await;
    world.clock.advance(1_000).await;
    assert_eq!((world.status(due[0]), world.status(put_off[0])), (Status::Sent, Status::Waiting));
    world.clock.advance_to(until.plus_ms(1_000)).await;
    assert_eq!(world.status(put_off[0]), Status::Sent);
}

#[tokio::test]
async fn another_account_is_not_held_by_the_lock_of_the_one_before() {
    let mut world = World::two_way(free());
    world.start().await;
    world.session(SessionState::Connected, Some("5500")).await;
    let until = world.clock_now().plus_ms(4 * HOUR_MS);
    world.tell(locked(until)).await.expect("taken");
    let key = world.post(to("5521"));
    settle().await;
    assert!(waits_until(&world, key, until));
    world.session(SessionState::Connected, Some("5599")).await;
    world.clock.advance(1_000).await;
    assert_eq!((world.status(key), world.view().outreach), (Status::Sent, None));
}

#[tokio::test]
async fn an_old_number_is_not_warmed_up_as_a_new_one_until_another_is_paired() {
    let month = 30 * 24 * HOUR_MS;
    let mut world = World::two_way(Pace { warm_up: Some(WarmUp::default()), ..free() });
    world.start().await;
    world.session(SessionState::Connected, Some("5500")).await;
    assert_eq!(world.view().warm_up_day, Some(1));
    world.change_connector(|connector| connector.pace.in_use_since = Some(NOON.plus_ms(-month)));
    settle().await;
    assert_eq!((world.view().warm_up_day, world.view().cap_today), (None, None));
    // The same account again changes nothing.
    world.session(SessionState::Disconnected("cable".to_owned()), None).await;
    world.session(SessionState::Connected, Some("5500")).await;
    assert_eq!(world.view().warm_up_day, None);
    world.session(SessionState::Connected, Some("5599")).await;
    assert_eq!((world.view().warm_up_day, world.view().cap_today), (Some(1), Some(50)));
    assert_eq!(world.stored_connector(LANE).pace.in_use_since, None);
}

#[tokio::test]
async fn no_more_conversations_are_started_than_the_channel_allows_in_a_cycle() {
    let mut world = World::two_way(free());
    world.connectors.act(|sent| match sent.text.as_str() {
        "5566" => Does::After(5_000, SendOutcome::InvalidRecipient("not there".into())),
        _ => Does::Answer(accepted()),
    });
    world.start().await;
    wrote(&world, &["5511".to_owned()]).await;
    let cycle_end = world.clock_now().plus_ms(24 * HOUR_MS);
    let told = Outreach { quota: Some(10), used: Some(4), cycle_end: Some(cycle_end), locked_until: None };
    world.tell(tells(told)).await.expect("taken");
    // The one whom the channel does not know has a place until that is known; two to the same person take one.
    let unknown = world.post(to("5566"));
    settle().await;
    let mut messages = vec![to("55210000000")];
    messages.extend(strangers(20));
    let keys = world.post_all(TENANT, messages);
    let reply = world.post(to("5511"));
    settle().await;
    let sent = |world: &World| keys.iter().filter(|key| world.status(**key) == Status::Sent).count();
    assert_eq!((sent(&world), world.status(reply)), (6, Status::Sent), "five people, one of them twice");
    assert!(keys[6..].iter().all(|key| waits_until(&world, *key, cycle_end)));
    assert_eq!(world.view().outreach, Some(Outreach { used: Some(10), ..told }));
    world.clock.advance(6_000).await;
    assert_eq!((world.status(unknown), sent(&world)), (Status::Failed, 7), "its place is given to somebody else");
    // What was started since it was told is known after a crash, although the connector tells the same again.
    world.crash().await;
    world.start().await;
    world.tell(tells(told)).await.expect("taken");
    let late = world.post(to("5577"));
    settle().await;
    assert!(waits_until(&world, late, cycle_end), "{}", world.shown(late));
    // The channel allows two more.
    world.tell(tells(Outreach { quota: Some(12), used: Some(10), ..told })).await.expect("taken");
    world.clock.advance(1_000).await;
    assert_eq!((sent(&world), world.status(late)), (9, Status::Waiting));
    assert_eq!(world.view().outreach.and_then(Outreach::left), Some(0));
    world.clock.advance_to(cycle_end.plus_ms(1_000)).await;
    assert_eq!((sent(&world), world.status(late)), (21, Status::Sent));
    let mut texts = world.connectors.texts();
    texts.sort_unstable();
    assert_eq!(texts.iter().filter(|address| *address == "55210000000").count(), 2);
    assert_eq!(texts.len(), 24, "none of them twice");
    world.assert_nothing_queued();
}

/// A message that ends before the connector gives its place back, too: its text cannot be rendered, or its claim is not stored.
#[tokio::test]
async fn a_place_that_is_not_used_is_given_to_one_who_waits() {
    let mut world = World::two_way(free());
    world.start().await;
    let cycle_end = world.clock_now().plus_ms(24 * HOUR_MS);
    let told = Outreach { quota: Some(5), used: Some(4), cycle_end: Some(cycle_end), locked_until: None };
    world.tell(tells(told)).await.expect("taken");
    let notes = Arc::new(AtomicUsize::new(0));
    let counted = notes.clone();
    world.store.refuse(move |_, batch| {
        let is_note = |change: &&Change| matches!(change, Change::Rule(RuleChange::OutreachReleased { .. }));
        counted.fetch_add(batch.changes.iter().filter(is_note).count(), Ordering::SeqCst);
        None
    });
    let mut messages = vec![NewMessage { text: "{{ nobody }}".to_owned(), ..to("5566") }];
    messages.extend(strangers(3));
    let keys = world.post_all(TENANT, messages);
    settle().await;
    assert_eq!(world.shown(keys[0]), "FAILED render");
    let sent = keys[1..].iter().filter(|key| world.status(**key) == Status::Sent).count();
    let waiting = keys[1..].iter().filter(|key| waits_until(&world, **key, cycle_end)).count();
    assert_eq!((sent, waiting), (1, 2));
    assert_eq!(notes.load(Ordering::SeqCst), 0, "nothing of it was stored, so nothing is to be noted");
    assert_eq!(world.view().outreach.and_then(Outreach::left), Some(0));
}

/// The pace lets nobody take the first place before the second one is given back.
#[tokio::test]
async fn places_that_are_given_back_one_after_the_other_are_all_used() {
    let mut world = World::two_way(Pace { delay_min_ms: 10_000, delay_max_ms: 10_000, ..free() });
    let not_there = |ms| Does::After(ms, SendOutcome::InvalidRecipient("not there".into()));
    world.connectors.act(move |sent| match sent.text.as_str() {
        "5561" => not_there(25_000),
        "5562" => not_there(16_000),
        _ => Does::Answer(accepted()),
    });
    world.start().await;
    wrote(&world, &["5511".to_owned()]).await;
    let cycle_end = world.clock_now().plus_ms(24 * HOUR_MS);
    let told = Outreach { quota: Some(2), used: Some(0), cycle_end: Some(cycle_end), locked_until: None };
    world.tell(tells(told)).await.expect("taken");
    let in_vain = world.post_all(TENANT, vec![to("5561"), to("5562")]);
    world.clock.advance(12_000).await;
    let waiting = world.post_all(TENANT, strangers(3));
    world.clock.advance(10_000).await;
    assert!(waiting.iter().all(|key| waits_until(&world, *key, cycle_end)));
    let known = world.post(to("5511"));
    world.clock.advance(5_000).await;
    assert!(in_vain.iter().all(|key| world.status(*key) == Status::Failed), "at the 25th and the 26th second");
    assert_eq!(world.status(known), Status::Sent, "the next one may go ten seconds later");
    world.clock.advance(60_000).await;
    let sent = waiting.iter().filter(|key| world.status(**key) == Status::Sent).count();
    let waiting = waiting.iter().filter(|key| waits_until(&world, **key, cycle_end)).count();
    assert_eq!((sent, waiting), (2, 1));
}

#[tokio::test]
async fn without_the_end_of_a_cycle_strangers_are_tried_again_each_hour() {
    let mut world = World::two_way(free());
    world.start().await;
    let told = Outreach { quota: Some(1), used: Some(1), ..Outreach::default() };
    world.tell(tells(told)).await.expect("taken");
    let key = world.post(to("5521"));
    settle().await;
    assert!(waits_until(&world, key, NOON.plus_ms(HOUR_MS)));
    world.clock.advance(HOUR_MS + 1_000).await;
    assert!(waits_until(&world, key, NOON.plus_ms(2 * HOUR_MS)));
    world.tell(tells(Outreach { quota: Some(2), ..told })).await.expect("taken");
    world.clock.advance(HOUR_MS).await;
    assert_eq!(world.status(key), Status::Sent);
}

#[tokio::test]
async fn a_stored_claim_that_fails_takes_no_place() {
    let mut world = World::two_way(free());
    world.start().await;
    let told = Outreach { quota: Some(1), used: Some(0), ..Outreach::default() };
    world.tell(tells(told)).await.expect("taken");
    world.store.refuse_next(unavailable());
    let key = world.post(to("5521"));
    world.clock.advance(60_000).await;
    assert_eq!(world.status(key), Status::Sent);
    assert_eq!(world.view().outreach.and_then(Outreach::left), Some(0));
}
