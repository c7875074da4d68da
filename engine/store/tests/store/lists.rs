//! Lists and search over more than one block, and the search index's files.

use pombo_domain::model::*;
use pombo_domain::ports::*;
use pombo_domain::{ConnectorIndex, Timestamp};

use crate::support::*;

fn numbered(n: u64) -> NewMessage {
    NewMessage {
        message_type: if n.is_multiple_of(3) { MessageType::Marketing } else { MessageType::Support },
        requires_approval: n.is_multiple_of(1000),
        external_id: n.is_multiple_of(7).then(|| format!("e{n}")),
        contact_name: n.is_multiple_of(5).then(|| "Érica".to_owned()),
        ..message(
            (n % 2) as u32 + 1,
            &format!("5511{n:07}"),
            if n.is_multiple_of(11) { "Olá mundo" } else { "bom dia" },
        )
    }
}

const MANY: u64 = 150_000;

async fn totals(store: &pombo_store::DiskStore, at: &impl Fn(u64) -> Timestamp) {
    let none = MessageFilter::default;
    let search = |text: &str| MessageFilter { search: Some(text.to_owned()), ..none() };
    let count = |f: fn(u64) -> bool| (0..MANY).filter(|n| f(*n)).count() as u64;
    let cases = [
        (none(), MANY),
        (MessageFilter { status: Some(Status::PendingApproval), ..none() }, count(|n| n % 1000 == 0)),
        (
            MessageFilter {
                connector: Some(ConnectorIndex(1)),
                message_type: Some(MessageType::Marketing),
                status: Some(Status::Pending),
                ..none()
            },
            count(|n| n % 2 == 0 && n % 3 == 0 && n % 1000 != 0),
        ),
        (MessageFilter { external_id: Some("e77777".to_owned()), ..none() }, 1),
        (MessageFilter { external_id: Some("e77778".to_owned()), ..none() }, 0),
        (MessageFilter { from: Some(at(70_000)), to: Some(at(140_000)), ..none() }, 71_000),
        (search("5511"), MANY),
        (search("55110123456"), 1),
        (search("0123456"), 1),
        (search("mundo"), count(|n| n % 11 == 0)),
        (search("erica OLA"), count(|n| n % 11 == 0 && n % 5 == 0)),
        (search("nada"), 0),
        (
            MessageFilter { status: Some(Status::PendingApproval), from: Some(at(70_000)), ..search("bom") },
            count(|n| n % 1000 == 0 && n >= 70_000 && n % 11 != 0),
        ),
        (MessageFilter { external_id: Some("e77".to_owned()), ..search("mundo") }, 1),
    ];
    for (filter, total) in cases {
        let page = store.list_messages(A, filter.clone(), 0, 10).await.unwrap();
        assert_eq!(page.total, total, "{filter:?}");
        let serials: Vec<u64> = page.rows.iter().map(|m| m.message.key.serial).collect();
        assert!(serials.is_sorted_by(|a, b| a > b), "newest first: {serials:?}");
        assert_eq!(serials.len() as u64, total.min(10));
        if total > 10 {
            let last = store.list_messages(A, filter.clone(), total - 1, 10).await.unwrap();
            assert_eq!(last.rows.len(), 1, "{filter:?}");
        }
        assert!(store.list_messages(A, filter, total, 10).await.unwrap().rows.is_empty());
    }
}

/// Fills a store; the function tells when a message was created.
async fn fill(store: &pombo_store::DiskStore, clock: &ManualClock) -> impl Fn(u64) -> Timestamp + use<> {
    let start = clock.now();
    for first in (0..MANY).step_by(1000) {
        insert(store, A, (first..first + 1000).map(numbered).collect()).await;
        clock.jump(1);
    }
    insert(store, B, vec![message(9, "x", "mundo")]).await;
    // A batch of 1000 shares its instant.
    move |n| start.plus_ms((n / 1000) as i64)
}

fn segments(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let listed = std::fs::read_dir(folder.join("search/00000001")).unwrap();
    let mut files: Vec<_> = listed.map(|file| file.unwrap().path()).collect();
    files.sort();
    files
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn totals_are_exact_over_many_blocks_and_after_damage_to_the_search_files() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let whole_blocks = pombo_store::Options { search_segment_bytes: 16 << 20, ..options() };
    let open = || pombo_store::open(whole_blocks.clone(), folder.path(), clock.clone(), entropy()).unwrap();
    let store = open();
    let at = fill(&store, &clock).await;
    totals(&store, &at).await;
    assert_sound(&store);
    store.close().unwrap();
    drop(store);
    let files = segments(folder.path());
    assert_eq!(files.len(), 2, "two full blocks are sealed");
    let store = open();
    totals(&store, &at).await;
    drop(store);

    // A flipped bit in one file, a file that is gone, one of other records.
    let good = std::fs::read(&files[1]).unwrap();
    let mut bytes = good.clone();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&files[1], bytes).unwrap();
    let store = open();
    totals(&store, &at).await;
    drop(store);
    assert_eq!(std::fs::read(&files[1]).unwrap(), good, "rebuilt as it was");
    std::fs::remove_file(&files[0]).unwrap();
    let store = open();
    totals(&store, &at).await;
    drop(store);

    // The files of one store beside the records of another.
    let other = tempfile::tempdir().unwrap();
    let store = pombo_store::open(whole_blocks.clone(), other.path(), clock.clone(), entropy()).unwrap();
    for _ in 0..70 {
        insert(&store, A, (0..1000).map(|n| message(1, &format!("{n}"), "outra coisa")).collect()).await;
    }
    drop(store);
    std::fs::copy(&segments(other.path())[0], &files[0]).unwrap();
    let store = open();
    totals(&store, &at).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn small_segments_and_dictionaries_on_disk_give_the_same_totals() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let small = pombo_store::Options { search_bytes: 300_000, search_segment_bytes: 200_000, ..options() };
    let store = pombo_store::open(small.clone(), folder.path(), clock.clone(), entropy()).unwrap();
    let at = fill(&store, &clock).await;
    totals(&store, &at).await;
    store.close().unwrap();
    drop(store);
    assert!(segments(folder.path()).len() > 6);
    let store = pombo_store::open(small, folder.path(), clock.clone(), entropy()).unwrap();
    totals(&store, &at).await;
}

#[tokio::test]
async fn a_search_sees_what_was_committed_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), &clock());
    for n in 0..200u64 {
        insert(&store, A, vec![message(1, "5511", &format!("palavra{n}"))]).await;
        let filter = MessageFilter { search: Some(format!("PALAVRA{n}")), ..MessageFilter::default() };
        let page = store.list_messages(A, filter, 0, 10).await.unwrap();
        assert!(page.rows.iter().any(|m| m.message.key.serial == n));
    }
}
