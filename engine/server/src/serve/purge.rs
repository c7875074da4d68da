//! Deletes what deleted conversations left, received messages that are older than their tenant keeps them, stored files that no
//! message came to use, with their bytes, and people of audiences who no longer count; in a separate task from start to drain. The bytes go
//! first: the rows are all that names them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use pombo_domain::Timestamp;
use pombo_domain::ports::{
    Batch, Change, Clock, CommitObserver, Effect, FileChange, MediaStore, Purge, Purged, RuleChange, Store, StoreResult,
};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// How often it looks for deleted conversations.
const EVERY: Duration = Duration::from_secs(30);
/// How often it looks for old messages, stored files and people of audiences, in looks for deleted conversations.
const OLD: u32 = 120;
/// How long it waits after a tenant changed its settings: changes that follow each other are one.
const SETTLED: Duration = Duration::from_secs(1);

/// Maximum number of entries deleted in one step, with a pause after it, so that writers are not slowed down.
const STEP: usize = 1_000;
const REST: Duration = Duration::from_millis(50);

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// How long a stored file stays after it expired, so that a message that was given it just before is stored meanwhile.
const GRACE_MS: i64 = 60 * 60 * 1000;

/// Notes that a tenant changed its settings, and so perhaps for how long it keeps messages.
#[derive(Default)]
pub(super) struct SettingsSignal {
    /// Stays until it is taken: the wait that the wake ends may be given up before it returns.
    changed: AtomicBool,
    wake: Notify,
}

impl SettingsSignal {
    /// Waits for the next look: for `every`, or until some tenant changed its settings and `settled` has passed since. Whether some tenant
    /// changed them since the last call.
    async fn next_look(&self, every: Duration, settled: Duration) -> bool {
        let changed = async {
            self.wake.notified().await;
            tokio::time::sleep(settled).await;
        };
        tokio::select! {
            () = tokio::time::sleep(every) => {}
            () = changed => {}
        }
        self.changed.swap(false, Ordering::SeqCst)
    }
}

impl CommitObserver for SettingsSignal {
    fn committed(&self, effects: &[Effect]) {
        if effects.iter().any(|effect| matches!(effect, Effect::Settings(_))) {
            self.changed.store(true, Ordering::SeqCst);
            self.wake.notify_one();
        }
    }
}

/// Deletes now, from time to time, and when `settings` says that a tenant may keep less than before, until `draining`.
pub(super) async fn run(
    store: Arc<dyn Store>,
    media: Arc<dyn MediaStore>,
    clock: Arc<dyn Clock>,
    settings: Arc<SettingsSignal>,
    draining: CancellationToken,
) {
    let mut looks = 0;
    loop {
        let old = (looks % OLD == 0).then(|| clock.now());
        looks = looks.wrapping_add(1);
        match draining.run_until_cancelled(purge(&*store, &*media, old, REST)).await {
            Some(Ok(0)) => {}
            Some(Ok(entries)) => tracing::info!(entries, "entries of conversations were purged"),
            // The store says so in its health, too; the next look may find it repaired.
            Some(Err(error)) => tracing::warn!(%error, "conversations could not be purged"),
            None => return,
        }
        if let Some(now) = old {
            match draining.run_until_cancelled(expire(&*store, &*media, now, REST)).await {
                Some(Ok(0)) => {}
                Some(Ok(files)) => tracing::info!(files, "stored files have expired"),
                Some(Err(error)) => tracing::warn!(%error, "expired files could not be deleted"),
                None => return,
            }
            match draining.run_until_cancelled(forget_people(&*store, now, STEP, REST)).await {
                Some(Ok(0)) => {}
                Some(Ok(people)) => tracing::info!(people, "people of audiences who no longer count were forgotten"),
                Some(Err(error)) => tracing::warn!(%error, "people of audiences could not be forgotten"),
                None => return,
            }
        }
        match draining.run_until_cancelled(settings.next_look(EVERY, SETTLED)).await {
            // It looks for old messages at once.
            Some(true) => looks = 0,
            Some(false) => {}
            None => return,
        }
    }
}

/// Deletes all that is to be deleted, with messages that are too old at `old`; returns how many entries it looked at.
async fn purge(
    store: &dyn Store,
    media: &dyn MediaStore,
    old: Option<Timestamp>,
    rest: Duration,
) -> StoreResult<usize> {
    let mut all = 0;
    while let Some(step) = store.purgeable(STEP)? {
        all += carry_out(store, media, step).await?;
        tokio::time::sleep(rest).await;
    }
    let Some(now) = old else { return Ok(all) };
    for tenant in store.tenants()? {
        let Some(days) = store.tenant_settings(tenant.index)?.received_days else { continue };
        let before = now.plus_ms(-i64::from(days) * DAY_MS);
        while let Some(step) = store.outdated(tenant.index, before, STEP)? {
            all += carry_out(store, media, step).await?;
            tokio::time::sleep(rest).await;
        }
    }
    Ok(all)
}

/// Deletes stored files that expired a while before `now`; the bytes of used ones stay. Returns how many it deleted.
async fn expire(store: &dyn Store, media: &dyn MediaStore, now: Timestamp, rest: Duration) -> StoreResult<usize> {
    let mut all = 0;
    loop {
        let expired = store.expired_media_files(now.plus_ms(-GRACE_MS), STEP)?;
        let mut gone = Vec::new();
        for file in &expired {
            let (tenant, id) = (file.tenant, file.attachment.id);
            let deleted = if file.used { Ok(()) } else { media.delete(tenant, id).await };
            match deleted {
                Ok(()) => gone.push(Change::File(FileChange::Delete(tenant, id))),
                // Its record stays, so that the next look tries again.
                Err(error) => tracing::warn!(tenant = tenant.0, file = %id, %error, "an expired file was not deleted"),
            }
        }
        let deleted = gone.len();
        if deleted > 0 {
            store.commit(Batch::of(gone)).await?;
        }
        all += deleted;
        if deleted < STEP {
            return Ok(all);
        }
        tokio::time::sleep(rest).await;
    }
}

/// Deletes the people of all audiences who no longer count at `now`, also of those that nobody sends to any more. Looks at `step` people at a
/// time; returns how many it deleted.
async fn forget_people(store: &dyn Store, now: Timestamp, step: usize, rest: Duration) -> StoreResult<usize> {
    let (mut all, mut after) = (0, None);
    loop {
        let page = store.expired_people(now, after, step)?;
        all += page.expired.len();
        if !page.expired.is_empty() {
            // One who was written to again meanwhile stays.
            let forgotten = page
                .expired
                .into_iter()
                .map(|(audience, person, upto)| Change::Rule(RuleChange::Forgotten { audience, person, upto }));
            store.commit(Batch::of(forgotten.collect())).await?;
        }
        after = page.next;
        if after.is_none() {
            return Ok(all);
        }
        tokio::time::sleep(rest).await;
    }
}

async fn carry_out(store: &dyn Store, media: &dyn MediaStore, step: Purge) -> StoreResult<usize> {
    for file in &step.files {
        if let Err(error) = media.delete(step.tenant, *file).await {
            // Its entry goes all the same: a file that cannot be deleted must not keep a message.
            tracing::warn!(tenant = step.tenant.0, file = %file, %error, "a file of a purged message was not deleted");
        }
    }
    let count = match &step.what {
        Purged::Conversation { items, .. } => items.len(),
        Purged::Outdated { items, .. } => items.len(),
    };
    store.purge(step).await?;
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::clock::SystemClock;
    use crate::adapters::entropy::OsEntropy;
    use crate::adapters::media::DiskMedia;
    use pombo_domain::model::*;
    use pombo_domain::ports::{ChatChange, ChatMessage, TimelineRange};
    use pombo_domain::{ConnectorIndex, TenantIndex};
    use uuid::Uuid;

    const T: TenantIndex = TenantIndex(1);
    const C: ConnectorIndex = ConnectorIndex(1);

    fn received(n: usize, chat: &str, content: InboundContent) -> Change {
        let inbound = Inbound {
            provider_id: format!("p{n}"),
            chat: chat.to_owned(),
            sender: chat.to_owned(),
            sender_name: None,
            from_me: false,
            is_group: false,
            reply_to: None,
            mentions: Vec::new(),
            sent_at: Timestamp(0),
            content,
        };
        let act = TimelineAct::of(&inbound);
        let message = ChatMessage {
            tenant: T,
            connector: C,
            chat: chat.to_owned(),
            is_group: Some(false),
            contact_name: None,
            act,
        };
        Change::Chat(Box::new(ChatChange::Received(message)))
    }

    async fn file(media: &dyn MediaStore) -> Attachment {
        let mut writer = media.create(T, "a.txt", Some("text/plain"), 9).await.expect("begun");
        writer.write(b"abc").await.expect("written");
        writer.finish().await.expect("kept")
    }

    fn with_file(file: &Attachment) -> InboundContent {
        InboundContent::Attachment(InboundAttachment {
            kind: MediaKind::Document,
            media: MediaState::Ready(file.clone()),
            file_name: None,
            content_type: "text/plain".to_owned(),
            size: None,
            caption: None,
        })
    }

    #[tokio::test]
    async fn what_was_deleted_or_is_too_old_goes_with_its_files_and_the_rest_stays() {
        let folder = tempfile::tempdir().expect("a folder");
        let media: Arc<dyn MediaStore> =
            Arc::new(DiskMedia::open(folder.path().join("media"), Arc::new(OsEntropy)).expect("opens"));
        let path = folder.path().join("store");
        let store = pombo_store::open(Default::default(), &path, Arc::new(SystemClock), Arc::new(OsEntropy));
        let store: Arc<dyn Store> = store.expect("opens");
        let (gone, kept) = (file(&*media).await, file(&*media).await);
        let mut changes = vec![
            Change::Tenant(Tenant { id: Uuid::from_u128(1), index: T, name: "T".to_owned(), created_at: Timestamp(0) }),
            received(0, "a", with_file(&gone)),
            received(1, "b", with_file(&kept)),
        ];
        changes.extend((2..STEP + 9).map(|n| received(n, "a", InboundContent::Text("oi".to_owned()))));
        store.commit(Batch::of(changes)).await.expect("stored");
        let a = store.conversation_with(C, "a").expect("readable").expect("there");
        let delete = Change::Chat(Box::new(ChatChange::Delete(T, a.id)));
        store.commit(Batch::of(vec![delete])).await.expect("deleted");
        assert_eq!(purge(&*store, &*media, None, Duration::ZERO).await, Ok(STEP + 8), "in several steps");
        assert_eq!(store.purgeable(STEP), Ok(None));
        let there = |file: &Attachment| media.stat(T, file.id);
        assert_eq!((there(&gone).await.ok(), there(&kept).await.ok()), (Some(None), Some(Some(3))));

        let b = store.conversation_with(C, "b").expect("readable").expect("there");
        let items = |number| store.timeline(T, number, &TimelineRange::default(), 9).expect("readable").items.len();
        let later = SystemClock.now().plus_ms(8 * DAY_MS);
        assert_eq!(purge(&*store, &*media, Some(later), Duration::ZERO).await, Ok(0), "nothing was set: all is kept");
        let set = ChatChange::Settings(T, TenantSettings { received_days: Some(7), ..TenantSettings::default() });
        store.commit(Batch::of(vec![Change::Chat(Box::new(set))])).await.expect("set");
        assert_eq!(purge(&*store, &*media, Some(later.plus_ms(-2 * DAY_MS)), Duration::ZERO).await, Ok(0), "not yet");
        assert_eq!((items(a.number), items(b.number)), (0, 1));
        assert_eq!(purge(&*store, &*media, Some(later), Duration::ZERO).await, Ok(1));
        assert_eq!((items(b.number), there(&kept).await.ok()), (0, Some(None)));
        let b = store.conversation(b.id).expect("readable").expect("the conversation itself stays");
        assert_eq!((b.last, b.received, b.read), (None, 1, 1));
    }

    #[tokio::test]
    async fn people_who_no_longer_count_go_from_every_audience_and_the_others_stay() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = pombo_store::open(Default::default(), folder.path(), Arc::new(SystemClock), Arc::new(OsEntropy));
        let store: Arc<dyn Store> = store.expect("opens");
        let reached = |audience: u8, person: u8, at: i64| {
            let (at, until) = (Timestamp(at), Timestamp(at + 100));
            Change::Rule(RuleChange::Reached { audience: [audience; 16], person: [person; 16], at, until })
        };
        let people = [(1, 1, 0), (1, 2, 50), (1, 3, 0), (2, 1, 0), (2, 2, 1), (3, 1, 0)];
        let changes = Vec::from(people.map(|(of, who, at)| reached(of, who, at)));
        store.commit(Batch::of(changes)).await.expect("stored");
        let forget = |now: i64| forget_people(&*store, Timestamp(now), 2, Duration::ZERO);
        assert_eq!(forget(99).await, Ok(0), "all of them count");
        assert_eq!(forget(100).await, Ok(4), "in several steps");
        assert_eq!(forget(100).await, Ok(0));
        let left = |of: u8| store.audience(&[of; 16], 9).expect("readable");
        assert_eq!((left(1), left(2)), (vec![([2; 16], Timestamp(50))], vec![([2; 16], Timestamp(1))]));
        assert!(left(3).is_empty());
    }

    /// Waits until something is so, for less than the time after which the task looks by itself.
    async fn until(what: &str, is_so: impl Fn() -> bool) {
        let look = async {
            while !is_so() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(EVERY / 2, look).await.expect(what);
    }

    #[tokio::test]
    async fn whoever_keeps_messages_for_less_time_need_not_wait_for_the_next_look() {
        let folder = tempfile::tempdir().expect("a folder");
        let media: Arc<dyn MediaStore> =
            Arc::new(DiskMedia::open(folder.path().join("media"), Arc::new(OsEntropy)).expect("opens"));
        let path = folder.path().join("store");
        let store = pombo_store::open(Default::default(), &path, Arc::new(SystemClock), Arc::new(OsEntropy));
        let store: Arc<dyn Store> = store.expect("opens");
        let settings = Arc::new(SettingsSignal::default());
        store.observe(settings.clone());
        let expired = file(&*media).await;
        let tenant = Tenant { id: Uuid::from_u128(1), index: T, name: "T".to_owned(), created_at: Timestamp(0) };
        let text = InboundContent::Text("oi".to_owned());
        let changes = vec![Change::Tenant(tenant), received(1, "a", text), stored(&expired, Timestamp(1_000), false)];
        store.commit(Batch::of(changes)).await.expect("stored");
        let draining = CancellationToken::new();
        let task = run(store.clone(), media.clone(), Arc::new(SystemClock), settings, draining.clone());
        let task = tokio::spawn(task);
        // Files expire after the look for messages: the first one is over.
        until("the first look", || store.media_file(T, expired.id).expect("readable").is_none()).await;
        let a = store.conversation_with(C, "a").expect("readable").expect("there");
        let items = || store.timeline(T, a.number, &TimelineRange::default(), 9).expect("readable").items.len();
        assert_eq!(items(), 1);
        let set = ChatChange::Settings(T, TenantSettings { received_days: Some(0), ..TenantSettings::default() });
        store.commit(Batch::of(vec![Change::Chat(Box::new(set))])).await.expect("set");
        until("the message to go", || items() == 0).await;
        draining.cancel();
        task.await.expect("it ends");
    }

    #[tokio::test]
    async fn settings_that_change_just_before_a_look_are_not_missed() {
        let settings = SettingsSignal::default();
        let (short, long) = (Duration::from_millis(1), Duration::from_secs(3_600));
        settings.committed(&[Effect::Settings(T)]);
        assert!(settings.next_look(short, long).await, "the look comes while the change settles");
        assert!(!settings.next_look(short, long).await, "each change is seen once");
        settings.committed(&[Effect::Settings(T)]);
        assert!(settings.next_look(long, short).await, "the look comes because of the change");
    }

    fn stored(file: &Attachment, expires_at: Timestamp, used: bool) -> Change {
        let (attachment, kind, created_at) = (file.clone(), FileKind::Document, Timestamp(0));
        let file = MediaFile { tenant: T, attachment, kind, created_at, expires_at, used };
        Change::File(FileChange::Add { file, most: FileUse { files: 9, bytes: 99 } })
    }

    #[tokio::test]
    async fn a_stored_file_goes_an_hour_after_it_expired_unless_a_message_has_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let media: Arc<dyn MediaStore> =
            Arc::new(DiskMedia::open(folder.path().join("media"), Arc::new(OsEntropy)).expect("opens"));
        let path = folder.path().join("store");
        let store = pombo_store::open(Default::default(), &path, Arc::new(SystemClock), Arc::new(OsEntropy));
        let store: Arc<dyn Store> = store.expect("opens");
        let (unused, used, later) = (file(&*media).await, file(&*media).await, file(&*media).await);
        let at = Timestamp(1_000);
        // A record without bytes, as a crash leaves it.
        let without = Attachment { id: Uuid::from_u128(5), ..unused.clone() };
        let changes = vec![
            stored(&unused, at, false),
            stored(&used, at, true),
            stored(&later, at.plus_ms(1), false),
            stored(&without, at, false),
        ];
        store.commit(Batch::of(changes)).await.expect("stored");
        let expire = |now: Timestamp| expire(&*store, &*media, now, Duration::ZERO);
        assert_eq!(expire(at.plus_ms(GRACE_MS - 1)).await, Ok(0), "not yet");
        assert_eq!(expire(at.plus_ms(GRACE_MS)).await, Ok(3));
        assert_eq!(expire(at.plus_ms(GRACE_MS)).await, Ok(0));
        let there = |file: &Attachment| media.stat(T, file.id);
        assert_eq!((there(&unused).await.ok(), there(&used).await.ok()), (Some(None), Some(Some(3))));
        assert_eq!(there(&later).await.ok(), Some(Some(3)));
        let record = |file: &Attachment| store.media_file(T, file.id).expect("readable").is_some();
        assert_eq!((record(&unused), record(&used), record(&later)), (false, false, true));
        assert_eq!(store.media_file_use(T), Ok(FileUse { files: 1, bytes: 3 }));
    }
}
