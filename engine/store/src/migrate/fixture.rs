//! The stored format, pinned: what this engine writes is, byte for byte, what `fixtures/` holds, and what is there reads back.
//!
//! When the first test fails, a type or a row format changed. If it was never released, write the fixture of the present
//! schema anew (`POMBO_WRITE_FIXTURES=1 cargo test --release -p pombo-store fixture`). Otherwise give the row format the next
//! number and keep a decoder for the old one, raise the schema version, keep the old fixture, and write one for the new.

mod automations;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use pombo_domain::model::connector::{HealthRules, QuietHours, WarmUp};
use pombo_domain::model::delivery::DeliveryAttempt;
use pombo_domain::model::event::GroupStep;
use pombo_domain::model::import::{ImportStatus, RowProblem};
use pombo_domain::model::message::{Act, Reason};
use pombo_domain::model::*;
use pombo_domain::ports::*;
use pombo_domain::{ConnectorIndex, MessageKey, TenantIndex, Timestamp};
use uuid::Uuid;

use crate::backend::{Backend, Bytes, KeyRange, Order, Write};
use crate::keys::Space;
use crate::memory_backend::MemoryBackend;
use crate::migrate::SCHEMA;
use crate::{DiskStore, Options};

const NOW: Timestamp = Timestamp(1_700_000_000_000);
const T: TenantIndex = TenantIndex(1);
const C: ConnectorIndex = ConnectorIndex(1);

struct Still;

#[async_trait]
impl Clock for Still {
    fn now(&self) -> Timestamp {
        NOW
    }
    async fn sleep_until(&self, _: Timestamp) {
        unreachable!("the store never sleeps")
    }
}

struct Counted(AtomicU64);

impl Entropy for Counted {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill_with(|| self.0.fetch_add(1, Ordering::SeqCst) as u8);
    }
}

fn open(backend: Arc<MemoryBackend>, folder: &std::path::Path) -> Arc<DiskStore> {
    let entropy = Arc::new(Counted(AtomicU64::new(1)));
    crate::open_over(&Options::default(), folder, backend, Arc::new(Still), entropy).expect("opens")
}

fn content() -> NewMessage {
    let attachment = Attachment {
        id: Uuid::from_u128(11),
        file_name: "nota.pdf".to_owned(),
        content_type: "application/pdf".to_owned(),
        size: 1234,
    };
    NewMessage {
        connector: C,
        to: "maria@example.com".to_owned(),
        text: "Olá {{ nome }}".to_owned(),
        subject: Some("Assunto".to_owned()),
        contact_name: Some("Maria".to_owned()),
        message_type: MessageType::Reminder,
        priority: 7,
        scheduled_at: None,
        requires_approval: false,
        force_direct: false,
        notes: Some("n".to_owned()),
        webhook_url: Some("https://example.com/hook".to_owned()),
        external_id: Some("e1".to_owned()),
        attachments: vec![attachment],
        attachment_url: Some("https://example.com/a.png".to_owned()),
        variables: Some("{\"a\":1}".to_owned()),
        options: MessageOptions::default(),
    }
}

fn target() -> Target {
    Target { provider_id: "3EB0".to_owned(), sender: Some("5511".to_owned()), text: Some("t".to_owned()) }
}

/// Every option, on a connector that leaves the first one's queue alone.
fn with_options(act: Act) -> NewMessage {
    let options = MessageOptions { act, reply_to: Some(target()), mentions: vec!["5522".to_owned()], voice_note: true };
    let attachments = Vec::new();
    NewMessage { connector: ConnectorIndex(2), webhook_url: None, external_id: None, attachments, options, ..content() }
}

fn inbound(content: InboundContent) -> EventBody {
    EventBody::Message(Inbound {
        provider_id: "3EB1".to_owned(),
        chat: "5511".to_owned(),
        sender: "5511".to_owned(),
        sender_name: Some("M".to_owned()),
        from_me: false,
        is_group: true,
        reply_to: Some("3EB0".to_owned()),
        mentions: vec!["5522".to_owned()],
        sent_at: NOW,
        content,
    })
}

/// One event of every shape.
fn bodies() -> Vec<EventBody> {
    let text = str::to_owned;
    let file = Attachment {
        id: Uuid::from_u128(12),
        file_name: "f.ogg".to_owned(),
        content_type: "audio/ogg".to_owned(),
        size: 9,
    };
    let received = |kind, media| {
        let content_type = "audio/ogg".to_owned();
        let (file_name, caption) = (Some("f.ogg".to_owned()), Some("c".to_owned()));
        inbound(InboundContent::Attachment(InboundAttachment {
            kind,
            media,
            file_name,
            content_type,
            size: Some(9),
            caption,
        }))
    };
    let group = |step| EventBody::Group { group: text("g"), actor: Some(text("5511")), changed_at: NOW, step };
    let receipt = |kind| EventBody::Receipt {
        message: Uuid::from_u128(13),
        provider_id: text("3EB2"),
        recipient: Some(text("5511")),
        kind,
        reached_at: NOW,
        reason: Some(text("r")),
    };
    let members = || vec![text("5511")];
    let mut bodies = vec![
        inbound(InboundContent::Text(text("t"))),
        inbound(InboundContent::Location { latitude: text("-23.5"), longitude: text("-46.6"), name: Some(text("n")) }),
        inbound(InboundContent::Reaction { to: text("3EB0"), emoji: text("👍") }),
        inbound(InboundContent::Edit { of: text("3EB0"), text: text("t") }),
        inbound(InboundContent::Revoke(text("3EB0"))),
        inbound(InboundContent::Other(text("poll"), text("{}"))),
        received(MediaKind::Image, MediaState::Failed(text("gone"))),
        received(MediaKind::Video, MediaState::Ready(file)),
    ];
    let kinds = [MediaKind::Audio, MediaKind::Voice, MediaKind::Document, MediaKind::Sticker];
    bodies.extend(kinds.map(|kind| received(kind, MediaState::Pending)));
    bodies.push(EventBody::Media { chat: text("5511"), provider_id: text("3EB1"), media: MediaState::Pending });
    let steps =
        [ReceiptKind::Server, ReceiptKind::Delivered, ReceiptKind::Read, ReceiptKind::Played, ReceiptKind::Failed];
    bodies.extend(steps.map(receipt));
    bodies.push(EventBody::Session { state: text("connected"), account: Some(text("5533")), reason: Some(text("r")) });
    bodies.push(EventBody::Contact {
        address: text("5511"),
        display_name: Some(text("M")),
        aliases: vec![text("1@lid")],
    });
    bodies.extend(
        [
            GroupStep::Created,
            GroupStep::Subject(text("s")),
            GroupStep::Description(text("d")),
            GroupStep::Added(members()),
            GroupStep::Removed(members()),
            GroupStep::Promoted(members()),
            GroupStep::Demoted(members()),
            GroupStep::Other(text("k"), text("{}")),
        ]
        .map(group),
    );
    bodies.push(EventBody::Health { kind: text("slowed"), score: 60, reason: text("r") });
    bodies.push(EventBody::Other(text("k"), text("{}")));
    let id = Uuid::from_u128;
    bodies.extend([
        EventBody::Emitted { automation: id(14), conversation: id(15), kind: text("k"), json: text("{}") },
        EventBody::Conversation {
            conversation: id(15),
            chat: text("5511"),
            step: text("paused"),
            by: text("user:1"),
            detail: text("d"),
        },
        EventBody::Parked {
            automation: id(14),
            conversation: id(15),
            parked: id(16),
            code: text("trap"),
            reason: text("r"),
        },
        EventBody::Plugin {
            plugin: text("flow"),
            step: text("activated"),
            digest: Some(text("aa")),
            detail: text("d"),
        },
    ]);
    bodies
}

/// What schema 2 added: events with and without marks, a forgotten one, receipts, health, aliases, options.
async fn fill_channels(store: &DiskStore) -> StoreResult<()> {
    let event = |(n, body): (usize, EventBody)| {
        let at = NOW.plus_ms(n as i64);
        let event = NewEvent { id: Uuid::from_u128(100 + n as u128), connector: C, at, body };
        Change::Event(AppendEvent { tenant: T, event, once: (n % 2 == 0).then_some([n as u8; 16]) })
    };
    store.commit(Batch::of(bodies().into_iter().enumerate().map(event).collect())).await?;
    store.forget_events(NOW.plus_ms(1), 10).await?;
    let acts = [Act::Say, Act::React(target()), Act::Edit(target()), Act::Revoke(target())];
    let messages = acts.map(with_options).to_vec();
    store.commit(Batch::of(vec![Change::Insert(Insert { tenant: T, messages, idempotency: None })])).await?;
    let mut receipts = Receipts::default();
    receipts.note(Some("5511"), ReceiptKind::Played, NOW, None);
    receipts.note(None, ReceiptKind::Failed, NOW, Some("r"));
    let hour = HealthHour { hour: 472_222, sent: 1, delivered: 2, failed: 3, replies: 4, blocks: 5, restrictions: 6 };
    let health = HealthState { hours: vec![hour], account: Some("5533".to_owned()), since: NOW, told: 2 };
    let slowed = Connector {
        id: Uuid::from_u128(21),
        index: ConnectorIndex(2),
        pace: Pace { health: Some(HealthRules::default()), ..Pace::default() },
        ..store.connector(C)?.map(|connector| (*connector).clone()).ok_or(StoreError::Conflict(Conflict::Contact))?
    };
    let alias = |alias: &str| Change::ContactAlias {
        tenant: T,
        kind: ContactType::WhatsApp,
        alias: alias.to_owned(),
        identifier: "5511".to_owned(),
    };
    store
        .commit(Batch::of(vec![
            Change::Receipts(MessageKey { tenant: T, serial: 0 }, receipts),
            Change::Health(C, health),
            Change::Connector(slowed),
            alias("1@lid"),
            alias("551"),
        ]))
        .await?;
    Ok(())
}

/// One of everything.
async fn fill(store: &DiskStore) -> StoreResult<()> {
    let id = Uuid::from_u128;
    let pace = Pace {
        delay_min_ms: 1,
        delay_max_ms: 2,
        daily_cap: Some(3),
        warm_up: Some(WarmUp::default()),
        quiet_hours: Some(QuietHours { from_minute: 4, to_minute: 5 }),
        ..Pace::default()
    };
    let connector = Connector {
        id: id(1),
        index: C,
        tenant: T,
        name: "mail".to_owned(),
        plugin: "connector-email".to_owned(),
        channel: "email".to_owned(),
        config: "{}".to_owned(),
        secrets: [("password".to_owned(), vec![1, 2])].into(),
        status: ConnectorStatus::Paused,
        status_reason: Some("r".to_owned()),
        pace,
        created_at: NOW,
        updated_at: NOW,
    };
    let user = User {
        id: id(2),
        tenant: T,
        email: "u@example.com".to_owned(),
        name: "U".to_owned(),
        password_hash: "h".to_owned(),
        created_at: NOW,
    };
    let api_key = ApiKey {
        id: id(3),
        tenant: T,
        name: "k".to_owned(),
        hash: [7; 32],
        prefix: "sk_live_ab12".to_owned(),
        created_at: NOW,
        revoked_at: Some(NOW),
    };
    let contact = Contact {
        id: id(4),
        tenant: T,
        kind: ContactType::WhatsApp,
        identifier: "5511".to_owned(),
        name: Some("M".to_owned()),
        active: false,
        reason: Some("opt-out".to_owned()),
        created_at: NOW,
        updated_at: NOW,
    };
    let import = Import {
        id: id(5),
        tenant: T,
        file_name: "f.xlsx".to_owned(),
        status: ImportStatus::Running,
        rows_total: 1,
        rows_read: 2,
        accepted: 3,
        rejected: 4,
        problems: vec![RowProblem { row: 2, column: "to".to_owned(), message: "m".to_owned() }],
        messages: vec![(2, id(6))],
        error: Some("e".to_owned()),
        created_at: NOW,
        finished_at: Some(NOW),
    };
    let pace_state = PaceState {
        day: 1,
        sent_today: 2,
        first_day: Some(3),
        next_at: NOW,
        throttled_until: NOW,
        failures: 4,
        open_until: NOW,
    };
    store.next_tenant_index().await?;
    store.next_connector_index().await?;
    let kv = KvWrite { key: "k".to_owned(), value: Some(vec![9, 9]) };
    store
        .commit(Batch::of(vec![
            Change::Tenant(Tenant { id: id(7), index: T, name: "T".to_owned(), created_at: NOW }),
            Change::User(user),
            Change::ApiKey(api_key),
            Change::Connector(connector),
            Change::Pace(C, pace_state),
            Change::Contact(contact),
            Change::Import(import),
            Change::Kv(C, vec![kv]),
        ]))
        .await?;
    let scheduled = NewMessage { scheduled_at: Some(NOW.plus_ms(1000)), webhook_url: None, ..content() };
    let waiting = NewMessage { requires_approval: true, force_direct: true, external_id: None, ..scheduled.clone() };
    let idempotency = NewIdempotency { key: [1; 32], request: [2; 32], extra: vec![3] };
    let messages = vec![content(), scheduled, waiting, NewMessage { webhook_url: None, ..content() }];
    store
        .commit(Batch::of(vec![Change::Insert(Insert { tenant: T, messages, idempotency: Some(idempotency) })]))
        .await?;
    for (serial, steps) in [(0, 2), (3, 1)] {
        for step in 0..steps {
            let key = MessageKey { tenant: T, serial };
            let message = store.message(key)?.ok_or(StoreError::Conflict(Conflict::Message(key)))?;
            let next = if step == 0 {
                message.state.claim(NOW)
            } else {
                message.state.retry_later(Reason::new("temporary", "4.5.1"), NOW.plus_ms(60_000), false, NOW)
            };
            let state = next.map_err(|_| StoreError::Conflict(Conflict::Message(key)))?;
            let delivery = Delivery::of(&message.message, Some(message.state.status), &state);
            store.commit(Batch::of(vec![Change::Update(Update { key, state, delivery })])).await?;
        }
    }
    let first = DeliveryKey { message: MessageKey { tenant: T, serial: 0 }, revision: 0 };
    if let Some(mut delivery) = store.delivery(first)? {
        let attempt = DeliveryAttempt { at: NOW, status: Some(500), error: Some("e".to_owned()), took_ms: 5 };
        delivery.attempts.push(attempt);
        delivery.status = DeliveryStatus::Abandoned;
        store.commit(Batch::of(vec![Change::Delivery(delivery)])).await?;
    }
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let digit = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).expect("hexadecimal");
    (0..text.len()).step_by(2).map(digit).collect()
}

fn dump(backend: &MemoryBackend) -> String {
    let mut text = String::new();
    for space in Space::ALL {
        for row in backend.scan(space, KeyRange::prefix(&[]), Order::Forward) {
            let (key, value) = row.expect("readable");
            text += &format!("{} {} {}\n", space.name(), hex(&key), hex(&value));
        }
    }
    text
}

fn snapshot(store: &DiskStore) -> String {
    let mut text = Vec::new();
    store.snapshot_text(&mut text).expect("a vector takes all");
    String::from_utf8(text).expect("text")
}

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

#[tokio::test]
async fn this_engine_writes_the_fixture_of_its_schema() {
    let folder = tempfile::tempdir().expect("a folder");
    let backend = Arc::new(MemoryBackend::default());
    let store = open(backend.clone(), folder.path());
    fill(&store).await.expect("filled");
    fill_channels(&store).await.expect("filled");
    automations::fill_automations(&store).await.expect("filled");
    assert_eq!(store.verify().expect("readable"), Vec::<String>::new());
    let rows = dump(&backend);
    if std::env::var_os("POMBO_WRITE_FIXTURES").is_some() {
        std::fs::create_dir_all(path("")).expect("written");
        std::fs::write(path(&format!("schema-{SCHEMA}.rows.txt")), &rows).expect("written");
        std::fs::write(path(&format!("schema-{SCHEMA}.snapshot.txt")), snapshot(&store)).expect("written");
    }
    let fixture = std::fs::read_to_string(path(&format!("schema-{SCHEMA}.rows.txt"))).expect("the fixture");
    for (line, (ours, theirs)) in rows.lines().zip(fixture.lines()).enumerate() {
        assert_eq!(ours, theirs, "row {}: the stored format changed; see the top of this file", line + 1);
    }
    assert_eq!(rows.lines().count(), fixture.lines().count());
}

/// A store over the rows of a schema's fixture.
fn open_fixture(schema: u64, folder: &std::path::Path) -> Arc<DiskStore> {
    let backend = Arc::new(MemoryBackend::default());
    let fixture = std::fs::read_to_string(path(&format!("schema-{schema}.rows.txt"))).expect("the fixture");
    let rows = fixture.lines().map(|line| {
        let mut parts = line.split(' ');
        let space = parts.next().and_then(|name| Space::ALL.into_iter().find(|s| s.name() == name)).expect("a space");
        let mut bytes = || Bytes::from(unhex(parts.next().unwrap_or_default()));
        Write { space, key: bytes(), value: Some(bytes()) }
    });
    backend.write(rows.collect()).expect("written");
    open(backend, folder)
}

#[test]
fn the_fixture_of_every_schema_reads() {
    for schema in 1..=SCHEMA {
        let folder = tempfile::tempdir().expect("a folder");
        let store = open_fixture(schema, folder.path());
        assert_eq!(store.verify().expect("readable"), Vec::<String>::new());
        let expected = std::fs::read_to_string(path(&format!("schema-{schema}.snapshot.txt"))).expect("the fixture");
        // Nothing is rewritten, so all but the version stays to the byte.
        let expected = expected.replace(&format!("meta schema={schema}\n"), &format!("meta schema={SCHEMA}\n"));
        assert_eq!(snapshot(&store), expected, "schema {schema}");
    }
}

#[tokio::test]
async fn what_schema_1_wrote_means_the_same_and_changes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let old = open_fixture(1, folder.path());
    let other = tempfile::tempdir().expect("a folder");
    let new = open(Arc::new(MemoryBackend::default()), other.path());
    fill(&new).await.expect("filled");
    for serial in 0..4 {
        let key = MessageKey { tenant: T, serial };
        let (ours, theirs) = (new.message(key).expect("readable"), old.message(key).expect("readable"));
        assert!(ours.is_some() && ours == theirs, "message {serial}");
    }
    let connector = old.connector(C).expect("readable").expect("there");
    assert!(*connector == *new.connector(C).expect("readable").expect("there"));
    assert_eq!(connector.pace.health, None);

    // Written again, a row has the present format; beside it the others stay.
    let pace = Pace { health: Some(HealthRules::default()), ..connector.pace.clone() };
    old.commit(Batch::of(vec![Change::Connector(Connector { pace: pace.clone(), ..(*connector).clone() })]))
        .await
        .expect("written");
    fill_channels(&old).await.expect("filled");
    assert_eq!(old.connector(C).expect("readable").expect("there").pace, pace);
    assert_eq!(old.verify().expect("readable"), Vec::<String>::new());
    let (events, _) = old.events(T, &EventFilter::default(), 0, 100).expect("readable");
    assert_eq!(events.into_iter().map(|e| e.event.body).collect::<Vec<_>>(), bodies().split_off(1));
}
