//! A scheduler over fakes, on a clock that the test moves. Deterministic: the test's runtime has one thread.

#![expect(unreachable_pub, reason = "the crate is one test binary")]

pub mod clock;
pub mod fakes;
pub mod plugins;
pub mod store;

use std::sync::Arc;
use std::time::Duration;

use pombo_domain::model::connector::*;
use pombo_domain::model::contact::{Contact, ContactType};
use pombo_domain::model::event::{Event, EventBody};
use pombo_domain::model::inbound::{Inbound, InboundContent};
use pombo_domain::model::message::*;
use pombo_domain::model::receipt::ReceiptKind;
use pombo_domain::ports::{
    Account, Batch, Change, ChannelEvent, Clock, ConnectorEvents, Insert, IntakeError, SessionState, Update,
};
use pombo_domain::{ConnectorIndex, MessageKey, TenantIndex, Timestamp};
use pombo_scheduler::{Handle, Options, PaceView, Ports, Scheduler};

pub use clock::{ManualClock, NOON, settle};
pub use fakes::*;
pub use plugins::*;
pub use store::FakeStore;

pub const TENANT: TenantIndex = TenantIndex(1);
pub const LANE: ConnectorIndex = ConnectorIndex(1);

pub struct World {
    pub clock: ManualClock,
    pub store: Arc<FakeStore>,
    pub connectors: Arc<FakeConnectors>,
    pub renderer: Arc<FakeRenderer>,
    pub webhooks: Arc<FakeWebhooks>,
    pub fetcher: Arc<FakeFetcher>,
    pub options: Options,
    handle: Option<Handle>,
}

/// A pace without any limit, in UTC.
pub fn free() -> Pace {
    Pace { time_zone: "UTC".to_owned(), ..Pace::default() }
}

/// With the usual health rules.
pub fn with_health(pace: Pace) -> Pace {
    Pace { health: Some(HealthRules::default()), ..pace }
}

pub fn text(text: &str) -> NewMessage {
    NewMessage {
        connector: LANE,
        to: "ana@example.org".to_owned(),
        text: text.to_owned(),
        subject: None,
        contact_name: None,
        message_type: MessageType::General,
        priority: 5,
        scheduled_at: None,
        requires_approval: false,
        force_direct: false,
        notes: None,
        webhook_url: None,
        external_id: None,
        attachments: Vec::new(),
        attachment_url: None,
        variables: None,
        options: MessageOptions::default(),
    }
}

impl World {
    /// One tenant, one connector with this pace, not started.
    pub fn new(pace: Pace) -> Self {
        Self::with(pace, |_| {})
    }

    /// Also changes the fake connector plugin.
    pub fn with(pace: Pace, change: impl FnOnce(&mut FakeConnectors)) -> Self {
        let clock = ManualClock::new(NOON);
        let mut connectors = FakeConnectors::new(clock.clone(), true);
        change(&mut connectors);
        let world = Self {
            store: FakeStore::new(clock.clone()),
            connectors: Arc::new(connectors),
            renderer: Arc::default(),
            webhooks: Arc::new(FakeWebhooks::new(clock.clone())),
            fetcher: Arc::new(FakeFetcher::new(clock.clone())),
            options: Options::default(),
            clock,
            handle: None,
        };
        world.connector(LANE, TENANT, pace);
        world
    }

    pub fn connector(&self, index: ConnectorIndex, tenant: TenantIndex, pace: Pace) {
        self.write(vec![Change::Connector(Connector {
            id: uuid::Uuid::from_u128(u128::from(index.0)),
            index,
            tenant,
            name: format!("connector {}", index.0),
            plugin: "fake".to_owned(),
            channel: "email".to_owned(),
            config: "{}".to_owned(),
            secrets: Default::default(),
            status: ConnectorStatus::Active,
            status_reason: None,
            pace,
            created_at: NOON,
            updated_at: NOON,
        })]);
    }

    pub fn change_connector(&self, change: impl FnOnce(&mut Connector)) {
        let mut connector = Connector::clone(&self.store.data.lock().connectors[&LANE]);
        change(&mut connector);
        self.write(vec![Change::Connector(connector)]);
    }

    pub fn write(&self, changes: Vec<Change>) -> Vec<MessageKey> {
        let committed = self.store.write(Batch::of(changes)).expect("a test's own write");
        committed.inserted.into_iter().map(|(key, ..)| key).collect()
    }

    pub fn post(&self, message: NewMessage) -> MessageKey {
        self.post_all(TENANT, vec![message])[0]
    }

    pub fn post_all(&self, tenant: TenantIndex, messages: Vec<NewMessage>) -> Vec<MessageKey> {
        self.write(vec![Change::Insert(Insert { tenant, messages, idempotency: None })])
    }

    pub fn inactive_contact(&self, identifier: &str) {
        self.write(vec![Change::Contact(Contact {
            id: uuid::Uuid::from_u128(1),
            tenant: TENANT,
            kind: ContactType::Email,
            identifier: identifier.to_owned(),
            name: None,
            active: false,
            reason: Some("asked to stop".to_owned()),
            created_at: NOON,
            updated_at: NOON,
        })]);
    }

    fn ports(&self) -> Ports {
        Ports {
            store: self.store.clone(),
            renderer: self.renderer.clone(),
            connectors: self.connectors.clone(),
            clock: Arc::new(self.clock.clone()),
            entropy: Arc::new(FakeEntropy),
            webhooks: self.webhooks.clone(),
            attachments: self.fetcher.clone(),
            plugins: Arc::new(FakePlugins::new(self.clock.clone())),
            telemetry: Arc::new(FakeTelemetry::default()),
            seals: Arc::new(FakeSeals),
            secrets: Arc::new(FakeSecrets),
            connector_writes: Default::default(),
        }
    }

    pub async fn start(&mut self) {
        self.handle = Some(Scheduler::start(self.ports(), self.options.clone()).await.expect("it starts"));
        settle().await;
    }

    /// Ends all tasks where they stand, as a crash would.
    pub async fn crash(&mut self) {
        let handle = self.handle.take().expect("it runs");
        handle.drain(Duration::ZERO).await;
        settle().await;
    }

    pub fn handle(&self) -> &Handle {
        self.handle.as_ref().expect("it runs")
    }

    pub fn state(&self, key: MessageKey) -> MessageState {
        self.store.data.lock().messages[&key].state.clone()
    }

    pub fn status(&self, key: MessageKey) -> Status {
        self.state(key).status
    }

    /// `STATUS` or `STATUS reason_code`.
    pub fn shown(&self, key: MessageKey) -> String {
        let state = self.state(key);
        match state.reason {
            Some(reason) => format!("{} {}", state.status.as_str(), reason.code),
            None => state.status.as_str().to_owned(),
        }
    }

    /// A person's step on a message.
    pub fn step(
        &self,
        key: MessageKey,
        step: impl FnOnce(&MessageState, Timestamp) -> Result<MessageState, NotAllowed>,
    ) {
        let stored = self.store.data.lock().messages[&key].clone();
        let state = step(&stored.state, self.clock.now()).expect("the state allows it");
        let delivery = pombo_domain::model::Delivery::of(&stored.message, Some(stored.state.status), &state);
        self.write(vec![Change::Update(Update { key, state, delivery })]);
    }

    pub fn cancel(&self, key: MessageKey) {
        self.step(key, |state, now| state.cancel(None, now));
    }

    /// The statuses that a reader of this message saw, in order.
    pub fn history(&self, key: MessageKey) -> Vec<&'static str> {
        let data = self.store.data.lock();
        data.history.iter().filter(|(of, _)| *of == key).map(|(_, status)| status.as_str()).collect()
    }
}

/// What connectors tell.
impl World {
    /// A connector of a two-way channel whose session stands, under these health rules.
    pub fn two_way(pace: Pace) -> Self {
        let world = Self::with(pace, |connectors| {
            connectors.needs_session = true;
            connectors.features = vec!["inbound".to_owned()];
        });
        world.change_connector(|connector| connector.channel = "whatsapp".to_owned());
        world
    }

    /// Tells events, as the connector's plugin would.
    pub async fn tell(&self, events: Vec<ChannelEvent>) -> Result<(), IntakeError> {
        let told = self.handle().intake().take(LANE, events, Vec::new()).await;
        settle().await;
        told
    }

    /// The session's new state, and whose it is.
    pub async fn session(&self, state: SessionState, address: Option<&str>) {
        let account =
            address.map(|address| Account { address: address.to_owned(), display_name: None, aliases: Vec::new() });
        *self.connectors.session.lock() = state.clone();
        self.connectors.account.lock().clone_from(&account);
        self.handle().intake().session_changed(LANE, state, account);
        settle().await;
    }

    /// The event log without the sessions', as text.
    pub fn events(&self) -> Vec<String> {
        self.log().into_iter().filter(|event| !event.starts_with("session ")).collect()
    }

    /// The sessions' events, as text.
    pub fn session_events(&self) -> Vec<String> {
        let events = self.log().into_iter();
        events.filter_map(|event| event.strip_prefix("session ").map(str::to_owned)).collect()
    }

    fn log(&self) -> Vec<String> {
        let data = self.store.data.lock();
        let said = |event: &Event| match &event.event.body {
            EventBody::Message(inbound) => format!("message {} {}", inbound.sender, inbound.provider_id),
            EventBody::Receipt { kind, recipient, .. } => {
                format!("receipt {}{}", kind.as_str(), recipient.as_ref().map_or(String::new(), |r| format!(" {r}")))
            }
            EventBody::Session { state, account, .. } => {
                format!("session {state} {}", account.as_deref().unwrap_or("-"))
            }
            EventBody::Health { kind, score, .. } => format!("health {kind} {score}"),
            EventBody::Contact { address, display_name, .. } => {
                format!("contact {address} {}", display_name.as_deref().unwrap_or("-"))
            }
            EventBody::Group { group, .. } => format!("group {group}"),
            EventBody::Media { provider_id, .. } => format!("media {provider_id}"),
            EventBody::Other(kind, _) => format!("other {kind}"),
            other => other.kind().to_owned(),
        };
        data.events.iter().map(said).collect()
    }

    pub fn view(&self) -> PaceView {
        self.handle().pace(LANE).expect("the store answers").expect("the connector exists")
    }
}

/// A text of somebody in a conversation with him.
pub fn from(sender: &str, provider_id: &str) -> Inbound {
    Inbound {
        provider_id: provider_id.to_owned(),
        chat: sender.to_owned(),
        sender: sender.to_owned(),
        sender_name: None,
        from_me: false,
        is_group: false,
        reply_to: None,
        mentions: Vec::new(),
        sent_at: NOON,
        content: InboundContent::Text("Oi".to_owned()),
    }
}

/// A report of the message `client_id`.
pub fn report(client_id: uuid::Uuid, kind: ReceiptKind) -> ChannelEvent {
    ChannelEvent::Receipt {
        client_id: Some(client_id),
        provider_id: "p-1".to_owned(),
        recipient: None,
        kind,
        at: NOON,
        reason: None,
    }
}

impl World {
    /// The public id of a message.
    pub fn id(&self, key: MessageKey) -> uuid::Uuid {
        self.store.data.lock().messages[&key].message.id
    }

    pub fn clock_now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Starts, again and again while the store refuses.
    pub async fn start_again(&mut self) {
        loop {
            match Scheduler::start(self.ports(), self.options.clone()).await {
                Ok(handle) => {
                    self.handle = Some(handle);
                    settle().await;
                    return;
                }
                Err(error) => assert!(matches!(error, pombo_domain::ports::StoreError::Unavailable(_))),
            }
        }
    }
}
