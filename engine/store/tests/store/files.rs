//! Files that were stored ahead of their messages: their share, their use by a message, their expiry.

use pombo_domain::model::*;
use pombo_domain::ports::*;
use pombo_domain::{TenantIndex, Timestamp};
use uuid::Uuid;

use crate::support::*;

const MOST: FileUse = FileUse { files: 3, bytes: 100 };

fn file(tenant: TenantIndex, id: u128, size: u64, expires: i64) -> MediaFile {
    MediaFile {
        tenant,
        attachment: Attachment { id: Uuid::from_u128(id), size, ..samples::attachment() },
        kind: FileKind::Document,
        created_at: Timestamp(1),
        expires_at: Timestamp(expires),
        used: false,
    }
}

fn add(file: MediaFile) -> Change {
    Change::File(FileChange::Add { file, most: MOST })
}

fn ids(files: &[MediaFile]) -> Vec<u128> {
    files.iter().map(|file| file.attachment.id.as_u128()).collect()
}

#[tokio::test]
async fn a_file_is_its_tenants_and_survives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let store = open(folder.path(), &clock);
    store.commit(Batch::of(vec![add(file(A, 1, 10, 50))])).await.unwrap();
    assert_sound(&store);
    drop(store);
    let store = open(folder.path(), &clock);
    assert_eq!(store.media_file(A, Uuid::from_u128(1)).unwrap(), Some(file(A, 1, 10, 50)));
    assert_eq!(store.media_file(B, Uuid::from_u128(1)).unwrap(), None);
    assert_eq!(store.media_file_use(A).unwrap(), FileUse { files: 1, bytes: 10 });
    assert_eq!(store.media_file_use(B).unwrap(), FileUse::default());
    assert!(snapshot(&store).contains("stored-file 1/00000000-0000-0000-0000-000000000001 document size=10"));
    assert_sound(&store);
}

#[tokio::test]
async fn a_share_ends_at_its_last_file_and_its_last_byte() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), &clock());
    let commit = |changes| store.commit(Batch::of(changes));
    let full = Err(StoreError::Conflict(Conflict::TooManyFiles));
    assert_eq!(commit(vec![add(file(A, 1, 101, 50))]).await, full, "one byte too many");
    commit(vec![add(file(A, 1, 98, 50)), add(file(A, 2, 1, 50)), add(file(A, 3, 1, 50))]).await.unwrap();
    assert_eq!(commit(vec![add(file(A, 4, 0, 50))]).await, full, "one file too many");
    commit(vec![add(file(B, 4, 100, 50))]).await.unwrap();
    // Nothing of a batch that fails stays.
    let failed = commit(vec![Change::File(FileChange::Delete(A, Uuid::from_u128(1))), add(file(A, 5, 99, 50))]).await;
    assert_eq!(failed, full);
    assert_eq!(store.media_file_use(A).unwrap(), FileUse { files: 3, bytes: 100 });
    assert_sound(&store);
    let delete = |id| Change::File(FileChange::Delete(A, Uuid::from_u128(id)));
    commit(vec![delete(1), delete(77), add(file(A, 5, 98, 50))]).await.unwrap();
    // The same again is a replacement.
    commit(vec![add(file(A, 5, 97, 60))]).await.unwrap();
    assert_eq!(store.media_file_use(A).unwrap(), FileUse { files: 3, bytes: 99 });
    assert_sound(&store);
}

#[tokio::test]
async fn a_message_makes_its_file_used_in_its_own_batch() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), &clock());
    let one = file(A, 1, 10, 50);
    store.commit(Batch::of(vec![add(one.clone()), add(file(A, 2, 5, 50))])).await.unwrap();
    let on = |connector, attachment: &Attachment| NewMessage {
        attachments: vec![attachment.clone()],
        ..message(connector, "a", "t")
    };
    let with = |attachment: &Attachment| on(1, attachment);
    // Another tenant's message with this id, and a file that was never stored ahead, change nothing.
    insert(&store, B, vec![on(2, &one.attachment)]).await;
    insert(&store, A, vec![with(&Attachment { id: Uuid::from_u128(9), ..one.attachment.clone() })]).await;
    assert_eq!(store.media_file_use(A).unwrap(), FileUse { files: 2, bytes: 15 });
    insert(&store, A, vec![with(&one.attachment), with(&one.attachment)]).await;
    assert!(store.media_file(A, one.attachment.id).unwrap().unwrap().used);
    assert_eq!(store.media_file_use(A).unwrap(), FileUse { files: 1, bytes: 5 });
    assert_sound(&store);
    store.commit(Batch::of(vec![Change::File(FileChange::Delete(A, one.attachment.id))])).await.unwrap();
    assert_eq!(store.media_file_use(A).unwrap(), FileUse { files: 1, bytes: 5 });
    assert_sound(&store);
}

#[tokio::test]
async fn expired_files_of_all_tenants_come_in_the_order_of_their_expiry() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), &clock());
    let changes = vec![add(file(A, 1, 1, 30)), add(file(B, 2, 1, 10)), add(file(A, 3, 1, 20))];
    store.commit(Batch::of(changes)).await.unwrap();
    let until = |at, limit| ids(&store.expired_media_files(Timestamp(at), limit).unwrap());
    assert_eq!(until(9, 9), Vec::<u128>::new());
    assert_eq!(until(20, 9), [2, 3]);
    assert_eq!(until(99, 2), [2, 3]);
    assert_eq!(until(99, 9), [2, 3, 1]);
}
