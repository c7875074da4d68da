//! Counts of messages: each once for each stage, in its hour and day; and messages by their channel's ids.

use std::collections::BTreeMap;

use pombo_domain::model::message::{MessageAction, Target};
use pombo_domain::model::reason::Reason;
use pombo_domain::model::stats::{StatRow, StatSpan, StatSubject};
use pombo_domain::model::*;
use pombo_domain::ports::*;
use pombo_domain::{ConnectorIndex, MessageKey, TenantIndex, Timestamp};
use pombo_store::DiskStore;
use proptest::prelude::*;

use crate::support::*;

const HOUR_MS: i64 = 60 * 60 * 1000;

fn all(span: StatSpan) -> StatFilter {
    StatFilter { span, first: 0, last: u32::MAX, connector: None, message_type: None, template: None, campaign: None }
}

fn rows(store: &DiskStore, tenant: TenantIndex, filter: &StatFilter) -> Vec<StatRow> {
    store.stats(tenant, filter, 10_000).unwrap().unwrap()
}

/// Everything that was counted, of all subjects.
fn total(store: &DiskStore, span: StatSpan) -> StageCounts {
    let mut total = StageCounts::default();
    rows(store, A, &all(span)).iter().for_each(|row| total.add(row.counts));
    total
}

async fn report(store: &DiskStore, key: MessageKey, kind: ReceiptKind, at: Timestamp) {
    let mut receipts = store.receipts(key).unwrap();
    receipts.note(None, kind, at, Some("131026"));
    store.commit(Batch::of(vec![Change::Receipts(key, receipts)])).await.unwrap();
}

fn why() -> Reason {
    Reason::new(ReasonCode::Rejected, "131026")
}

#[tokio::test]
async fn each_message_counts_once_for_each_stage_in_its_hour_and_day() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let store = open(folder.path(), &clock);
    super::campaigns::running(&store, 1).await;
    let campaign = NewMessage {
        message_type: MessageType::Marketing,
        options: MessageOptions { template: Some(15), campaign: Some(1), ..MessageOptions::default() },
        ..message(1, "a", "x")
    };
    let keys = insert(&store, A, vec![campaign, message(2, "b", "y")]).await;
    let first = clock.now();
    for key in &keys {
        step(&store, *key, |state| state.claim(first).unwrap()).await;
        step(&store, *key, |state| state.sent(Some(format!("p{}", key.serial)), first).unwrap()).await;
    }
    clock.jump(HOUR_MS);
    let second = clock.now();
    for _ in 0..2 {
        report(&store, keys[0], ReceiptKind::Delivered, second).await;
        report(&store, keys[0], ReceiptKind::Read, second).await;
        report(&store, keys[1], ReceiptKind::Failed, second).await;
    }
    let subject = |connector, message_type, template, campaign| StatSubject {
        connector: ConnectorIndex(connector),
        message_type,
        template,
        campaign,
    };
    let marketing = subject(1, MessageType::Marketing, Some(15), Some(1));
    let general = subject(2, MessageType::General, None, None);
    let accepted = StageCounts { accepted: 1, ..StageCounts::default() };
    let seen = StageCounts { delivered: 1, read: 1, ..StageCounts::default() };
    let failed = StageCounts { failed: 1, ..StageCounts::default() };
    let row = |at, subject, counts| StatRow { number: StatSpan::Hour.of(at), subject, counts };
    let expected = vec![
        row(first, marketing, accepted),
        row(first, general, accepted),
        row(second, marketing, seen),
        row(second, general, failed),
    ];
    let check = |store: &DiskStore| {
        assert_eq!(rows(store, A, &all(StatSpan::Hour)), expected);
        assert_eq!(total(store, StatSpan::Day), StageCounts { accepted: 2, delivered: 1, read: 1, failed: 1 });
        assert_eq!(rows(store, B, &all(StatSpan::Hour)), []);
        let of = |filter: StatFilter| rows(store, A, &filter).len();
        assert_eq!(of(StatFilter { connector: Some(ConnectorIndex(2)), ..all(StatSpan::Hour) }), 2);
        assert_eq!(of(StatFilter { campaign: Some(1), ..all(StatSpan::Hour) }), 2);
        assert_eq!(of(StatFilter { template: Some(9), ..all(StatSpan::Hour) }), 0);
        assert_eq!(of(StatFilter { message_type: Some(MessageType::Marketing), ..all(StatSpan::Hour) }), 2);
        assert_eq!(of(StatFilter { first: StatSpan::Hour.of(second), ..all(StatSpan::Hour) }), 2);
        assert_eq!(of(StatFilter { last: StatSpan::Hour.of(first), ..all(StatSpan::Hour) }), 2);
        assert_eq!(store.stats(A, &all(StatSpan::Hour), 3).unwrap(), None, "more than may be read");
        assert_sound(store);
    };
    check(&store);
    drop(store);
    check(&open(folder.path(), &clock));
}

#[tokio::test]
async fn a_failure_counts_once_whoever_tells_of_it_and_whatever_comes_after() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let store = open(folder.path(), &clock);
    let now = clock.now();
    let keys = insert(&store, A, vec![message(1, "a", "x"), message(1, "b", "x")]).await;
    // It fails, is tried again, fails again, and at last goes out.
    for _ in 0..2 {
        step(&store, keys[0], |state| state.claim(now).unwrap()).await;
        step(&store, keys[0], |state| state.failed(why(), now).unwrap()).await;
        step(&store, keys[0], |state| state.retry(now).unwrap()).await;
    }
    assert_eq!(total(&store, StatSpan::Day), StageCounts { failed: 1, ..StageCounts::default() });
    step(&store, keys[0], |state| state.claim(now).unwrap()).await;
    step(&store, keys[0], |state| state.sent(None, now).unwrap()).await;
    report(&store, keys[0], ReceiptKind::Failed, now).await;
    assert_eq!(total(&store, StatSpan::Day), StageCounts { accepted: 1, failed: 1, ..StageCounts::default() });
    // A report and a state of one batch are one failure.
    step(&store, keys[1], |state| state.claim(now).unwrap()).await;
    let stored = store.message(keys[1]).unwrap().unwrap();
    let mut receipts = Receipts::default();
    receipts.note(None, ReceiptKind::Failed, now, None);
    let failed = stored.state.failed(why(), now).unwrap();
    let changes = vec![Change::Update(update(&stored, failed)), Change::Receipts(keys[1], receipts)];
    store.commit(Batch::of(changes)).await.unwrap();
    assert_eq!(total(&store, StatSpan::Day).failed, 2);
    assert_sound(&store);
}

#[tokio::test]
async fn what_is_not_a_message_of_its_own_and_a_batch_that_fails_count_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let store = open(folder.path(), &clock);
    let now = clock.now();
    let target = Target { provider_id: "P".to_owned(), sender: None, text: None };
    let options = MessageOptions { action: MessageAction::React(target), ..MessageOptions::default() };
    let keys = insert(&store, A, vec![NewMessage { options, ..message(1, "a", "+") }, message(1, "a", "x")]).await;
    for key in &keys {
        step(&store, *key, |state| state.claim(now).unwrap()).await;
    }
    step(&store, keys[0], |state| state.sent(None, now).unwrap()).await;
    assert_eq!(total(&store, StatSpan::Hour), StageCounts::default());
    let stored = store.message(keys[1]).unwrap().unwrap();
    let sent = Change::Update(update(&stored, stored.state.sent(Some("P1".to_owned()), now).unwrap()));
    let nothing = MessageKey { tenant: B, serial: 1 << 30 };
    let fails = vec![sent, Change::Receipts(nothing, Receipts::default())];
    assert!(store.commit(Batch::of(fails)).await.is_err());
    assert_eq!(total(&store, StatSpan::Hour), StageCounts::default());
    assert!(store.message_by_provider_id(ConnectorIndex(1), "P1").unwrap().is_none());
}

#[tokio::test]
async fn a_message_is_found_by_its_channels_id_from_the_answer_or_from_a_report() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let store = open(folder.path(), &clock);
    let now = clock.now();
    let keys = insert(&store, A, vec![message(1, "a", "x"), message(1, "b", "x"), message(2, "c", "x")]).await;
    for key in &keys {
        step(&store, *key, |state| state.claim(now).unwrap()).await;
    }
    let found = |connector, id: &str| {
        let found = store.message_by_provider_id(ConnectorIndex(connector), id).unwrap();
        found.map(|stored| stored.message.key)
    };
    step(&store, keys[0], |state| state.sent(Some("wamid.1".to_owned()), now).unwrap()).await;
    // Its answer was lost; a report has the id.
    step(&store, keys[1], |state| state.unknown(why(), now).unwrap()).await;
    let receipts = Receipts { provider_id: Some("wamid.2".to_owned()), ..Receipts::default() };
    store.commit(Batch::of(vec![Change::Receipts(keys[1], receipts)])).await.unwrap();
    step(&store, keys[2], |state| state.sent(Some("x".repeat(2_000)), now).unwrap()).await;
    assert_eq!((found(1, "wamid.1"), found(1, "wamid.2")), (Some(keys[0]), Some(keys[1])));
    assert_eq!((found(2, "wamid.1"), found(1, "wamid")), (None, None));
    assert_eq!(found(2, &"x".repeat(2_000)), None, "longer than any id that is kept");
    assert_sound(&store);
}

#[tokio::test]
async fn a_message_that_was_just_claimed_counts_as_one_that_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let store = open(folder.path(), &clock);
    let now = clock.now();
    let target = Target { provider_id: "P".to_owned(), sender: None, text: None };
    let options = |action| MessageOptions { action, template: Some(15), campaign: None, ..MessageOptions::default() };
    let new = |action| NewMessage { options: options(action), ..message(1, "a", "+") };
    let keys = insert(&store, A, vec![new(MessageAction::Say), new(MessageAction::React(target))]).await;
    // So a lane reads them, before it claims them.
    assert_eq!(store.messages(&keys).unwrap().iter().flatten().count(), 2);
    for key in &keys {
        step(&store, *key, |state| state.claim(now).unwrap()).await;
        step(&store, *key, |state| state.sent(None, now).unwrap()).await;
    }
    let subject = StatSubject {
        connector: ConnectorIndex(1),
        message_type: MessageType::General,
        template: Some(15),
        campaign: None,
    };
    let counts = StageCounts { accepted: 1, ..StageCounts::default() };
    let number = StatSpan::Hour.of(now);
    assert_eq!(rows(&store, A, &all(StatSpan::Hour)), [StatRow { number, subject, counts }]);
    assert_sound(&store);
}

#[tokio::test]
async fn old_counts_are_forgotten_in_steps_and_newer_ones_stay() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let store = open(folder.path(), &clock);
    for _ in 0..5 {
        let now = clock.now();
        let keys = insert(&store, A, vec![message(1, "a", "x")]).await;
        step(&store, keys[0], |state| state.claim(now).unwrap()).await;
        step(&store, keys[0], |state| state.sent(None, now).unwrap()).await;
        clock.jump(HOUR_MS);
    }
    let before = StatSpan::Hour.of(clock.now()) - 2;
    let forget = |limit| {
        let forget = StatChange::Forget { tenant: A, span: StatSpan::Hour, before, limit };
        store.commit(Batch::of(vec![Change::Stat(forget)]))
    };
    assert!(store.has_stats_before(A, StatSpan::Hour, before).unwrap());
    assert!(!store.has_stats_before(B, StatSpan::Hour, before).unwrap());
    forget(2).await.unwrap();
    assert_eq!(rows(&store, A, &all(StatSpan::Hour)).len(), 3);
    assert!(store.has_stats_before(A, StatSpan::Hour, before).unwrap());
    forget(100).await.unwrap();
    assert!(!store.has_stats_before(A, StatSpan::Hour, before).unwrap());
    assert_eq!(rows(&store, A, &all(StatSpan::Hour)).len(), 2);
    assert_eq!(total(&store, StatSpan::Day).accepted, 5);
}

/// What happens to a message of the random test.
#[derive(Debug, Clone, Copy)]
enum Happens {
    Claimed,
    Sent,
    Failed,
    Retried,
    Reported(u8),
    Later(u16),
}

fn happens() -> impl Strategy<Value = (u8, Happens)> {
    let what = prop_oneof![
        Just(Happens::Claimed),
        Just(Happens::Sent),
        Just(Happens::Failed),
        Just(Happens::Retried),
        (0u8..3).prop_map(Happens::Reported),
        any::<u16>().prop_map(Happens::Later),
    ];
    (0u8..6, what)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 60, failure_persistence: None, ..ProptestConfig::default() })]

    /// The counts are those of a program that remembers which message reached which stage.
    #[test]
    fn counts_are_those_of_a_naive_program(acts in proptest::collection::vec(happens(), 1..80)) {
        let folder = tempfile::tempdir().unwrap();
        let clock = clock();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let store = open(folder.path(), &clock);
            let new = |at: u32| NewMessage {
                options: MessageOptions { template: (at > 2).then_some(at), ..MessageOptions::default() },
                ..message(1 + at % 2, "a", "x")
            };
            let keys = insert(&store, A, (0..6).map(new).collect()).await;
            let mut counted: BTreeMap<(usize, Stage), u32> = BTreeMap::new();
            for (which, what) in acts {
                let (at, now) = (usize::from(which), clock.now());
                let key = keys[at];
                let stored = store.message(key).unwrap().unwrap();
                let (next, stage) = match what {
                    Happens::Claimed => (stored.state.claim(now).ok(), None),
                    Happens::Sent => (stored.state.sent(None, now).ok(), Some(Stage::Accepted)),
                    Happens::Failed => (stored.state.failed(why(), now).ok(), Some(Stage::Failed)),
                    Happens::Retried => (stored.state.retry(now).ok(), None),
                    Happens::Reported(kind) => {
                        let (kind, stages): (_, &[Stage]) = match kind {
                            0 => (ReceiptKind::Delivered, &[Stage::Delivered]),
                            1 => (ReceiptKind::Read, &[Stage::Delivered, Stage::Read]),
                            _ => (ReceiptKind::Failed, &[Stage::Failed]),
                        };
                        report(&store, key, kind, now).await;
                        for stage in stages {
                            counted.entry((at, *stage)).or_insert_with(|| StatSpan::Hour.of(now));
                        }
                        continue;
                    }
                    Happens::Later(ms) => {
                        clock.jump(i64::from(ms) * 1_000);
                        continue;
                    }
                };
                let Some(next) = next else { continue };
                store.commit(Batch::of(vec![Change::Update(update(&stored, next))])).await.unwrap();
                if let Some(stage) = stage {
                    counted.entry((at, stage)).or_insert_with(|| StatSpan::Hour.of(now));
                }
            }
            let mut expected: BTreeMap<(u32, u32, Option<u32>), StageCounts> = BTreeMap::new();
            for ((at, stage), hour) in counted {
                let at = at as u32;
                expected.entry((hour, 1 + at % 2, (at > 2).then_some(at))).or_default().count(stage);
            }
            let found = rows(&store, A, &all(StatSpan::Hour)).into_iter();
            let found = found.map(|row| ((row.number, row.subject.connector.0, row.subject.template), row.counts));
            assert_eq!(found.collect::<BTreeMap<_, _>>(), expected);
            assert_sound(&store);
        });
    }
}
