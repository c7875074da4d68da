//! Campaigns: a row and its message change together, and the counts add up whatever happens.

use pombo_domain::model::campaign::reference;
use pombo_domain::model::reason::Reason;
use pombo_domain::model::receipt::ReceiptKind;
use pombo_domain::model::*;
use pombo_domain::ports::*;
use pombo_domain::{ConnectorIndex, MessageKey};
use pombo_store::DiskStore;

use crate::support::*;

fn change(change: CampaignChange) -> Change {
    Change::Campaign(Box::new(change))
}

/// A running campaign with so many pending rows.
pub(super) async fn running(store: &DiskStore, rows: u32) {
    let draft = samples::campaign(A, ConnectorIndex(1));
    store.commit(Batch::of(vec![change(CampaignChange::Put(draft))])).await.unwrap();
    let addresses: Vec<String> = (1..=rows).map(|n| format!("c{n}")).collect();
    let rows = samples::campaign_rows(addresses.iter().map(String::as_str));
    store.commit(Batch::of(vec![change(CampaignChange::Freeze { tenant: A, campaign: 1, rows })])).await.unwrap();
    let draft = store.campaign(A, 1).unwrap().unwrap();
    let next = draft.frozen(None, draft.created_at).unwrap();
    store.commit(Batch::of(vec![change(CampaignChange::Put(next))])).await.unwrap();
}

fn row_message(row: Option<u32>) -> NewMessage {
    let mut message = message(1, "c", "x");
    message.external_id = row.map(|row| reference(1, row));
    message.options.campaign = Some(1);
    message
}

async fn refused(store: &DiskStore, batch: Batch) -> Conflict {
    match store.commit(batch).await {
        Err(StoreError::Conflict(conflict)) => conflict,
        other => panic!("{other:?}"),
    }
}

fn counts(store: &DiskStore) -> CampaignCounts {
    store.campaign_counts(A, 1).unwrap()
}

#[tokio::test]
async fn a_row_is_handed_over_once_and_follows_its_message() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let mut store = open(folder.path(), &clock);
    running(&store, 3).await;
    let key = insert(&store, A, vec![row_message(Some(2))]).await[0];
    assert_eq!(refused(&store, inserts(A, vec![row_message(Some(2))])).await, Conflict::Campaign(1));
    assert_eq!(refused(&store, inserts(A, vec![row_message(Some(9))])).await, Conflict::Campaign(1));
    let twice = inserts(A, vec![row_message(Some(1)), row_message(Some(1))]);
    assert_eq!(refused(&store, twice).await, Conflict::Campaign(1), "also within one batch");
    assert_eq!((counts(&store).pending, counts(&store).queued), (2, 1), "what was refused left nothing");

    let now = clock.now();
    step(&store, key, |state| state.claim(now).unwrap()).await;
    assert_eq!(counts(&store).queued, 1);
    step(&store, key, |state| state.sent(Some("p".to_owned()), now).unwrap()).await;
    assert_eq!(counts(&store).accepted, 1);
    let mut receipts = Receipts::default();
    for (kind, delivered, read) in [(ReceiptKind::Delivered, 1, 0), (ReceiptKind::Read, 0, 1)] {
        receipts.note(None, kind, now, None);
        store.commit(Batch::of(vec![Change::Receipts(key, receipts.clone())])).await.unwrap();
        assert_eq!((counts(&store).delivered, counts(&store).read), (delivered, read));
    }
    assert_sound(&store);
    drop(store);
    store = open(folder.path(), &clock);
    assert_eq!(&*store.open_campaigns().unwrap(), [(A, 1)]);
    let row = store.campaign_row(A, 1, 2).unwrap().unwrap();
    assert_eq!((row.state.outcome, row.row.number), (RowOutcome::Read, 2));
    let read = store.campaign_rows(A, 1, Some(RowStatus::Read), 0, 10).unwrap();
    assert_eq!((read.rows.len(), read.next), (1, None));
    assert_eq!(store.campaign_rows(A, 1, None, 0, 2).unwrap().next, Some(2));
    assert_sound(&store);
}

#[tokio::test]
async fn what_the_channel_keeps_back_or_refuses_for_now_is_counted_beside_where_the_row_stands() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let mut store = open(folder.path(), &clock);
    running(&store, 2).await;
    let keys = insert(&store, A, vec![row_message(Some(1)), row_message(Some(2))]).await;
    let now = clock.now();
    for key in &keys {
        step(&store, *key, |state| state.claim(now).unwrap()).await;
    }
    step(&store, keys[0], |state| state.sent(Some("p".to_owned()), now).unwrap().held_by_channel()).await;
    let row = store.campaign_row(A, 1, 1).unwrap().unwrap().state;
    assert_eq!((row.outcome.status(), row.outcome.code()), (RowStatus::Accepted, Some("held")));
    assert!(row.detail.is_some_and(|detail| detail.contains("kept it back")));
    assert_eq!((counts(&store).accepted, counts(&store).held), (1, 1));
    let slower = Reason::new(ReasonCode::Throttled, "slower").with_channel_code(Some("131048"));
    step(&store, keys[1], |state| state.retry_later(slower.clone(), now, true, now).unwrap()).await;
    assert_sound(&store);
    drop(store);
    store = open(folder.path(), &clock);
    let stood = counts(&store);
    assert_eq!((stood.queued, stood.rows(), stood.put_back_by.get("131048")), (1, 2, Some(&1)));
    // What is told of an earlier attempt while the message waits is not another refusal, and a further attempt can be.
    let mut late = Receipts::default();
    late.note(None, ReceiptKind::Delivered, now, None);
    store.commit(Batch::of(vec![Change::Receipts(keys[1], late)])).await.unwrap();
    assert_eq!(counts(&store).put_back_by.get("131048"), Some(&1), "one attempt was refused");
    step(&store, keys[1], |state| state.claim(now).unwrap()).await;
    step(&store, keys[1], |state| state.retry_later(slower.clone(), now, true, now).unwrap()).await;
    assert_eq!(counts(&store).put_back_by.get("131048"), Some(&2));
    let mut receipts = Receipts::default();
    receipts.note(None, ReceiptKind::Delivered, now, None);
    store.commit(Batch::of(vec![Change::Receipts(keys[0], receipts)])).await.unwrap();
    assert_eq!((counts(&store).accepted, counts(&store).held, counts(&store).delivered), (0, 0, 1));
    let row = store.campaign_row(A, 1, 1).unwrap().unwrap().state;
    assert_eq!((row.outcome.code(), row.detail), (None, None), "it was let through");
    assert_sound(&store);
}

#[tokio::test]
async fn what_is_put_off_stays_queued_and_is_counted_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let mut store = open(folder.path(), &clock);
    running(&store, 2).await;
    let keys = insert(&store, A, vec![row_message(Some(1)), row_message(Some(2))]).await;
    let (now, reason) = (clock.now(), Reason::new(ReasonCode::Outreach, "locked"));
    let until = now.plus_ms(60_000);
    step(&store, keys[0], |state| state.postpone(reason.clone(), until, now).unwrap()).await;
    assert_eq!((counts(&store).queued, counts(&store).put_off), (2, 1));
    assert_sound(&store);
    drop(store);
    store = open(folder.path(), &clock);
    assert_eq!((counts(&store).queued, counts(&store).put_off), (2, 1));
    assert_eq!(store.campaign_row(A, 1, 1).unwrap().unwrap().state.outcome, RowOutcome::PutOff);
    assert_eq!(store.open_campaign_rows(A, 1, RowStatus::Queued, 0, 10).unwrap().len(), 2);
    step(&store, keys[0], |state| state.release(now).unwrap()).await;
    assert_eq!((counts(&store).queued, counts(&store).put_off), (2, 0));
    step(&store, keys[0], |state| state.postpone(reason.clone(), until, now).unwrap()).await;
    step(&store, keys[0], |state| state.withdraw(now).unwrap()).await;
    assert_eq!((counts(&store).pending, counts(&store).queued, counts(&store).put_off), (1, 1, 0));
    assert_sound(&store);
}

#[tokio::test]
async fn what_is_sent_in_its_name_is_a_row_of_its_own_unless_it_was_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), &clock());
    let none = inserts(A, vec![row_message(None)]);
    assert_eq!(refused(&store, none).await, Conflict::Campaign(1), "there is none");
    running(&store, 1).await;
    insert(&store, A, vec![row_message(None), row_message(None)]).await;
    assert_eq!((counts(&store).rows(), counts(&store).queued), (3, 2));
    assert_eq!(store.campaign_row(A, 1, 3).unwrap().unwrap().row.to, "c");
    let campaign = store.campaign(A, 1).unwrap().unwrap();
    let stopped = campaign.stopped("x", campaign.created_at).unwrap();
    store.commit(Batch::of(vec![change(CampaignChange::Put(stopped.clone()))])).await.unwrap();
    assert_eq!(refused(&store, inserts(A, vec![row_message(None)])).await, Conflict::Campaign(1));
    let stale = Batch::of(vec![change(CampaignChange::Put(stopped))]);
    assert_eq!(refused(&store, stale).await, Conflict::Campaign(1), "of an old revision");
    assert_sound(&store);
}

#[tokio::test]
async fn numbers_are_not_given_again_and_a_draft_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), &clock());
    let draft = |id: u128| Campaign { id: uuid::Uuid::from_u128(id), ..samples::campaign(A, ConnectorIndex(1)) };
    store.commit(Batch::of(vec![change(CampaignChange::Put(draft(1)))])).await.unwrap();
    let rows = samples::campaign_rows(["a", "b"]);
    store.commit(Batch::of(vec![change(CampaignChange::Freeze { tenant: A, campaign: 1, rows })])).await.unwrap();
    store
        .commit(Batch::of(vec![change(CampaignChange::ClearRows { tenant: A, campaign: 1, limit: 1 })]))
        .await
        .unwrap();
    assert_eq!(counts(&store).rows(), 1, "a part is cleared at a time");
    assert_sound(&store);
    store
        .commit(Batch::of(vec![change(CampaignChange::ClearRows { tenant: A, campaign: 1, limit: 9 })]))
        .await
        .unwrap();
    store.commit(Batch::of(vec![change(CampaignChange::Delete(A, 1))])).await.unwrap();
    store.commit(Batch::of(vec![change(CampaignChange::Put(draft(2)))])).await.unwrap();
    assert_eq!(store.campaign(A, 1).unwrap(), None);
    assert_eq!(store.campaign_number(A, uuid::Uuid::from_u128(2)).unwrap(), Some(2));
    assert_eq!(store.campaign_number(B, uuid::Uuid::from_u128(2)).unwrap(), None, "another tenant's");
    assert_sound(&store);
}

/// A step that a random number chooses, if the state allows it.
fn chosen(state: &MessageState, random: u64, now: pombo_domain::Timestamp) -> Option<MessageState> {
    match random % 7 {
        0 => state.claim(now).ok(),
        1 => state.sent(Some("p".to_owned()), now).ok(),
        2 => state.failed(Reason::new(ReasonCode::Rejected, "r"), now).ok(),
        3 => state.withdraw(now).ok(),
        4 => state.cancel(None, now).ok(),
        5 => state.retry(now).ok(),
        _ => state.due(now).ok(),
    }
}

#[tokio::test]
async fn the_counts_add_up_whatever_happens() {
    const ROWS: u32 = 12;
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let mut store = open(folder.path(), &clock);
    running(&store, ROWS).await;
    let now = clock.now();
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    };
    let (mut keys, mut direct): (Vec<MessageKey>, u64) = (Vec::new(), 0);
    for round in 0..1_500 {
        match random() % 10 {
            0 => {
                let row = (random() % u64::from(ROWS)) as u32 + 1;
                let pending = store.campaign_row(A, 1, row).unwrap().unwrap().state.outcome == RowOutcome::Pending;
                let committed = store.commit(inserts(A, vec![row_message(Some(row))])).await;
                assert_eq!(committed.is_ok(), pending, "a row is handed over while it is pending");
                keys.extend(committed.into_iter().flat_map(|done| done.inserted).map(|(key, ..)| key));
            }
            1 if direct < 5 => {
                direct += 1;
                keys.extend(insert(&store, A, vec![row_message(None)]).await);
            }
            2 if !keys.is_empty() => {
                let key = keys[random() as usize % keys.len()];
                let mut receipts = store.receipts(key).unwrap();
                let kind = if random().is_multiple_of(2) { ReceiptKind::Delivered } else { ReceiptKind::Read };
                receipts.note(None, kind, now, None);
                store.commit(Batch::of(vec![Change::Receipts(key, receipts)])).await.unwrap();
            }
            _ if !keys.is_empty() => {
                let key = keys[random() as usize % keys.len()];
                let stored = store.message(key).unwrap().unwrap();
                if let Some(state) = chosen(&stored.state, random(), now) {
                    store.commit(Batch::of(vec![Change::Update(update(&stored, state))])).await.unwrap();
                }
            }
            _ => {}
        }
        assert_eq!(counts(&store).rows(), u64::from(ROWS) + direct, "round {round}");
        if round % 250 == 249 {
            assert_sound(&store);
            drop(store);
            store = open(folder.path(), &clock);
        }
    }
    assert_sound(&store);
    let open = store.open_campaign_rows(A, 1, RowStatus::Pending, 0, 100).unwrap();
    assert_eq!(open.len() as u64, counts(&store).pending);
}
