//! A scheduler over the test kit, on a clock that the test moves. Deterministic: the test's runtime has one thread.

#![expect(unreachable_pub, reason = "the crate is one test binary")]

use std::sync::Arc;
use std::time::Duration;

use pombo_domain::model::connector::*;
use pombo_domain::model::contact::{Contact, ContactType};
use pombo_domain::model::event::{Event, EventBody};
use pombo_domain::model::health::HealthState;
use pombo_domain::model::message::*;
use pombo_domain::ports::*;
use pombo_domain::{ConnectorIndex, MessageKey, TenantIndex, Timestamp};
use pombo_scheduler::{Handle, Options, PaceView, Ports, Scheduler, SigningSecrets};

pub use pombo_testkit::samples::{self, free, inbound as from, report};
pub use pombo_testkit::store::unavailable;
pub use pombo_testkit::*;

pub const TENANT: TenantIndex = TenantIndex(1);
pub const LANE: ConnectorIndex = ConnectorIndex(1);

/// What webhooks of a tenant are signed with: `secret of` and its number.
pub struct Secrets;

impl SigningSecrets for Secrets {
    fn webhook_secret(&self, tenant: TenantIndex) -> Vec<u8> {
        format!("secret of {}", tenant.0).into_bytes()
    }
}

pub struct World {
    pub clock: ManualClock,
    pub store: Arc<TestStore>,
    pub connectors: Arc<ScriptedConnectors>,
    pub renderer: Arc<BraceRenderer>,
    pub webhooks: Arc<ScriptedWebhooks>,
    pub fetcher: Arc<ScriptedFetcher>,
    pub options: Options,
    handle: Option<Handle>,
}

/// With the usual health rules.
pub fn with_health(pace: Pace) -> Pace {
    Pace { health: Some(HealthRules::default()), ..pace }
}

pub fn text(text: &str) -> NewMessage {
    samples::message(LANE, "ana@example.org", text)
}

impl World {
    /// One tenant, one connector with this pace, not started.
    pub fn new(pace: Pace) -> Self {
        Self::with(pace, |_| {})
    }

    /// Also changes how the connector's plugin describes itself.
    pub fn with(pace: Pace, change: impl FnOnce(&mut PluginDescription)) -> Self {
        let clock = ManualClock::new(NOON);
        let mut plugin = samples::plugin("fake", "email");
        change(&mut plugin);
        let world = Self {
            store: TestStore::open(clock.clone()),
            connectors: Arc::new(ScriptedConnectors::started(clock.clone(), vec![plugin])),
            renderer: Arc::default(),
            webhooks: Arc::new(ScriptedWebhooks::new(clock.clone())),
            fetcher: Arc::new(ScriptedFetcher::new(clock.clone())),
            options: Options::default(),
            clock,
            handle: None,
        };
        world.connector(LANE, TENANT, pace);
        world
    }

    pub fn connector(&self, index: ConnectorIndex, tenant: TenantIndex, pace: Pace) {
        let connector = Connector { pace, ..samples::connector(index, tenant, "email") };
        self.write(vec![Change::Connector(connector)]);
    }

    pub fn stored_connector(&self, index: ConnectorIndex) -> Connector {
        Connector::clone(&self.store.connector(index).expect("readable").expect("it is stored"))
    }

    pub fn change_connector(&self, change: impl FnOnce(&mut Connector)) {
        let mut connector = self.stored_connector(LANE);
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
        let contact = Contact {
            active: false,
            reason: Some("asked to stop".to_owned()),
            ..samples::contact(TENANT, ContactType::Email, identifier)
        };
        self.write(vec![Change::Contact(contact)]);
    }

    fn ports(&self) -> Ports {
        Ports {
            store: self.store.clone(),
            renderer: self.renderer.clone(),
            connectors: self.connectors.clone(),
            clock: Arc::new(self.clock.clone()),
            entropy: Arc::new(ConstantEntropy(0x5a)),
            webhooks: self.webhooks.clone(),
            hook_form: Arc::new(PlainForm),
            attachments: self.fetcher.clone(),
            plugins: Arc::new(FakePluginEngine::keeping_all(self.clock.clone())),
            telemetry: Arc::new(FakeTelemetry::default()),
            seals: Arc::new(ReversingBox),
            secrets: Arc::new(Secrets),
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

    pub fn stored(&self, key: MessageKey) -> StoredMessage {
        self.store.message(key).expect("readable").expect("it is stored")
    }

    pub fn state(&self, key: MessageKey) -> MessageState {
        self.stored(key).state
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
        let stored = self.stored(key);
        let state = step(&stored.state, self.clock.now()).expect("the state allows it");
        self.write(vec![Change::Update(samples::update(&stored, state))]);
    }

    pub fn cancel(&self, key: MessageKey) {
        self.step(key, |state, now| state.cancel(None, now));
    }

    /// The statuses that a reader of this message saw, in order.
    pub fn history(&self, key: MessageKey) -> Vec<&'static str> {
        self.store.history(key).into_iter().map(Status::as_str).collect()
    }

    /// The state that a connector's plugin keeps.
    pub fn kv(&self, connector: ConnectorIndex) -> Vec<(String, Vec<u8>)> {
        self.store.kv_list(connector, "", None, 1_000).expect("readable")
    }

    pub fn health_state(&self) -> HealthState {
        self.store.health_state(LANE).expect("readable")
    }

    /// No message waits, is scheduled, or is with a connector.
    #[track_caller]
    pub fn assert_nothing_queued(&self) {
        assert_eq!(self.store.in_flight(None, 1).expect("readable"), []);
        assert_eq!(self.store.scheduled(Timestamp(i64::MAX), None, 1).expect("readable"), []);
        for connector in self.store.connectors(None).expect("readable") {
            assert_eq!(self.store.ready(connector.index, None, 1).expect("readable"), []);
        }
    }
}

/// What connectors tell.
impl World {
    /// A connector of a two-way channel whose session stands, under these health rules.
    pub fn two_way(pace: Pace) -> Self {
        let world = Self::with(pace, |plugin| {
            plugin.needs_session = true;
            plugin.features = vec!["inbound".to_owned()];
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
        let account = address.map(|address| Account {
            address: address.to_owned(),
            display_name: None,
            aliases: Vec::new(),
            platform: None,
            business: None,
            protocol_version: None,
        });
        self.connectors.set_session(LANE, state.clone());
        self.connectors.account.lock().clone_from(&account);
        self.handle().intake().session_changed(LANE, state, account);
        settle().await;
    }

    /// The event log without the sessions' and those of own messages, as text.
    pub fn events(&self) -> Vec<String> {
        let others = |event: &String| !["session ", "own ", "opened "].iter().any(|start| event.starts_with(start));
        self.log().into_iter().filter(others).collect()
    }

    /// How far own messages came, as the event log tells it: from, to, and the conversation.
    pub fn progress(&self) -> Vec<String> {
        let events = self.log().into_iter();
        events.filter_map(|event| event.strip_prefix("own ").map(str::to_owned)).collect()
    }

    /// The sessions' events, as text.
    pub fn session_events(&self) -> Vec<String> {
        let events = self.log().into_iter();
        events.filter_map(|event| event.strip_prefix("session ").map(str::to_owned)).collect()
    }

    fn log(&self) -> Vec<String> {
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
            EventBody::Sent { chat, previous, .. } => format!("own {previous} sent {chat}"),
            EventBody::Conversation { chat, step, .. } if step.as_str() == "opened" => format!("opened {chat}"),
            EventBody::Status { chat, previous, now, .. } => format!("own {previous} {now} {chat}"),
            other => other.kind().to_owned(),
        };
        let tenants = [TENANT, TenantIndex(2)];
        tenants.into_iter().flat_map(|tenant| self.events_of(tenant)).map(|event| said(&event)).collect()
    }

    fn events_of(&self, tenant: TenantIndex) -> Vec<Event> {
        let (mut all, mut after) = (Vec::new(), 0);
        loop {
            let (events, seen) = self.store.events(tenant, &EventFilter::default(), after, 1_000).expect("readable");
            if seen == after {
                return all;
            }
            all.extend(events);
            after = seen;
        }
    }

    pub fn view(&self) -> PaceView {
        self.handle().pace(LANE).expect("the store answers").expect("the connector exists")
    }
}

impl World {
    /// The public id of a message.
    pub fn id(&self, key: MessageKey) -> uuid::Uuid {
        self.stored(key).message.id
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
