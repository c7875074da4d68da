//! Writes that fail: nothing is acknowledged afterwards, nothing acknowledged is lost.

use pombo_domain::ports::*;
use pombo_store::faults::{Fault, FaultPlan};

use crate::support::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_failed_write_nothing_is_acknowledged_and_nothing_acknowledged_is_lost() {
    for (fault, nth) in [(Fault::DiskFull, 1), (Fault::DiskFull, 7), (Fault::SyncFailed, 1), (Fault::SyncFailed, 12)] {
        let folder = tempfile::tempdir().unwrap();
        let clock = clock();
        let plan = FaultPlan::default();
        let store =
            pombo_store::open_with_faults(options(), folder.path(), clock.clone(), entropy(), plan.clone()).unwrap();
        let first = insert(&store, A, vec![message(1, "a", "x")]).await[0];
        step(&store, first, |s| s.claim(clock.now()).unwrap()).await;
        assert_eq!(store.health(), StoreHealth::Good);
        let before = snapshot(&store);

        plan.fail(nth, fault);
        let mut tasks = tokio::task::JoinSet::new();
        for n in 0..16 {
            let store = store.clone();
            tasks.spawn(async move {
                let mut acknowledged = Vec::new();
                for i in 0..40 {
                    match store.commit(inserts(A, vec![message(1, &format!("{n}-{i}"), "x")])).await {
                        Ok(committed) => acknowledged.push(committed.inserted[0].1),
                        Err(error) => {
                            assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
                            break;
                        }
                    }
                }
                acknowledged
            });
        }
        let acknowledged = tasks.join_all().await.concat();
        assert!(matches!(store.health(), StoreHealth::Failed(_)));
        assert!(acknowledged.len() < 16 * 40);
        let refused = store.commit(inserts(A, vec![message(1, "late", "x")])).await;
        assert!(matches!(refused, Err(StoreError::Unavailable(_))));
        assert!(matches!(store.next_connector_index().await, Err(StoreError::Unavailable(_))));
        // Reads go on, and show what was acknowledged.
        assert!(store.message(first).unwrap().is_some());
        let count = MessageFilter::default();
        let listed = store.list_messages(A, count.clone(), 0, 1).await.unwrap().total;
        assert_eq!(listed, acknowledged.len() as u64 + 1);
        assert!(store.close().is_err(), "closing says that it failed");
        drop(store);

        let store = open(folder.path(), &clock);
        assert_sound(&store);
        for id in &acknowledged {
            assert!(store.message_by_id(A, *id).unwrap().is_some(), "{fault:?} at {nth}");
        }
        let total = store.list_messages(A, count, 0, 1).await.unwrap().total;
        assert!(total > acknowledged.len() as u64);
        if fault == Fault::DiskFull {
            assert_eq!(total, listed);
        }
        let after = snapshot(&store);
        let old = |text: &str| text.lines().filter(|l| l.contains("1/0 ")).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(old(&after), old(&before));
        assert_eq!(store.health(), StoreHealth::Good);
        insert(&store, A, vec![message(1, "again", "x")]).await;
    }
}
