//! A tenant with a connector and its automations, and a scheduler that can be ended and started again.

use std::sync::Arc;
use std::time::Duration;

use pombo_domain::model::*;
use pombo_domain::ports::*;
use pombo_domain::{ConnectorIndex, TenantIndex, Timestamp};
use pombo_scheduler::{Handle, Options, Ports, Scheduler};

use crate::support::*;

pub use pombo_testkit::samples::{labelled, say};

pub const PLUGIN: &str = "answers";

pub struct Office {
    pub clock: ManualClock,
    store: Option<Arc<TestStore>>,
    pub plugins: Arc<FakePluginEngine>,
    pub telemetry: Arc<FakeTelemetry>,
    pub connectors: Arc<ScriptedConnectors>,
    pub options: Options,
    /// One for all starts, so that no id is given twice.
    entropy: Arc<CountingEntropy>,
    handle: Option<Handle>,
    inbound: u32,
}

pub fn uploaded_plugin(kind: PluginKind, digest: &str) -> Plugin {
    samples::uploaded_plugin(PLUGIN, kind, TENANT, digest)
}

pub fn version(digest: &str, observer: bool) -> PluginVersion {
    samples::version(PLUGIN, digest, observer)
}

pub fn change(change: AutomationChange) -> Change {
    Change::Automation(Box::new(change))
}

/// The text of the message that a call is about.
pub fn text_of(event: &CallEvent) -> String {
    match &event.body {
        TaskBody::Message(Inbound { content: inbound::InboundContent::Text(text), .. }) => text.clone(),
        TaskBody::Timer { name, .. } => format!("timer {name}"),
        TaskBody::Status { status, label, .. } => format!("{status:?} {}", label.as_deref().unwrap_or("-")),
        TaskBody::Reaction { emoji, .. } => format!("reaction {emoji}"),
        other => other.kind().as_str().to_owned(),
    }
}

impl Office {
    /// A connector of a two-way channel, a plugin with one version, no automation; not started.
    pub async fn new() -> Self {
        let clock = ManualClock::new(NOON);
        let mut plugin = samples::plugin("fake", "email");
        plugin.features = vec!["inbound".to_owned(), "reactions".to_owned(), "reply".to_owned()];
        let office = Self {
            store: Some(TestStore::overlapping(clock.clone())),
            plugins: Arc::new(FakePluginEngine::keeping_all(clock.clone())),
            telemetry: Arc::default(),
            connectors: Arc::new(ScriptedConnectors::started(clock.clone(), vec![plugin])),
            options: Options::default(),
            entropy: Arc::new(CountingEntropy::new(1 << 32)),
            handle: None,
            inbound: 0,
            clock,
        };
        office.connector(LANE, TENANT).await;
        office.write(vec![change(AutomationChange::Plugin(uploaded_plugin(PluginKind::Automation, "v1")))]).await;
        office
    }

    pub async fn connector(&self, index: ConnectorIndex, tenant: TenantIndex) {
        self.write(vec![Change::Connector(samples::connector(index, tenant, "whatsapp"))]).await;
    }

    /// An automation on the connector [`LANE`]; its index is also its position.
    pub async fn automation(&self, index: u32, change_it: impl FnOnce(&mut Automation)) {
        let mut automation = samples::automation(index, TENANT, LANE, PLUGIN);
        change_it(&mut automation);
        self.write(vec![change(AutomationChange::Put(automation))]).await;
    }

    pub fn store(&self) -> &Arc<TestStore> {
        self.store.as_ref().expect("it is open")
    }

    pub async fn write(&self, changes: Vec<Change>) {
        self.store().disk().commit(Batch::of(changes)).await.expect("a test's own write");
        self.settle().await;
    }

    pub async fn settle(&self) {
        self.store().settle().await;
    }

    pub async fn start(&mut self) {
        loop {
            let ports = Ports {
                store: self.store().clone(),
                renderer: Arc::new(BraceRenderer::default()),
                connectors: self.connectors.clone(),
                clock: Arc::new(self.clock.clone()),
                entropy: self.entropy.clone(),
                webhooks: Arc::new(ScriptedWebhooks::new(self.clock.clone())),
                hook_form: Arc::new(PlainForm),
                attachments: Arc::new(ScriptedFetcher::new(self.clock.clone())),
                plugins: self.plugins.clone(),
                telemetry: self.telemetry.clone(),
                seals: Arc::new(ReversingBox),
                secrets: Arc::new(Secrets),
                connector_writes: Default::default(),
            };
            if let Ok(handle) = Scheduler::start(ports, self.options.clone()).await {
                self.handle = Some(handle);
                break;
            }
        }
        self.settle().await;
    }

    pub fn handle(&self) -> &Handle {
        self.handle.as_ref().expect("it runs")
    }

    /// Ends all tasks where they stand and opens the store again, as a crash and a start would.
    pub async fn restart(&mut self) {
        self.crash().await;
        self.start().await;
    }

    /// Ends all tasks where they stand, and opens the store again.
    pub async fn crash(&mut self) {
        if let Some(handle) = self.handle.take() {
            handle.drain(Duration::ZERO).await;
            handle.intake().drain(Duration::ZERO).await;
        }
        self.settle().await;
        self.plugins.forget_running();
        if let Some(store) = self.store.take() {
            self.store = Some(store.reopened().await);
        }
    }

    /// Somebody writes this text in a chat, and all that follows from it happens.
    pub async fn hears(&mut self, chat: &str, text: &str) {
        self.inbound += 1;
        let content = inbound::InboundContent::Text(text.to_owned());
        let message = Inbound { content, ..from(chat, &format!("in-{}", self.inbound)) };
        self.told(LANE, ChannelEvent::Message(message)).await;
    }

    /// The owner writes this text in a chat now, on the account's own phone.
    pub async fn types(&mut self, chat: &str, text: &str) {
        self.inbound += 1;
        let content = inbound::InboundContent::Text(text.to_owned());
        let (sender, sent_at) = ("5500".to_owned(), self.now());
        let own = from(chat, &format!("own-{}", self.inbound));
        self.told(LANE, ChannelEvent::Message(Inbound { from_me: true, content, sender, sent_at, ..own })).await;
    }

    /// The connector tells, until it is taken.
    pub async fn told(&self, connector: ConnectorIndex, event: ChannelEvent) {
        let intake = self.handle().intake();
        while intake.take(connector, vec![event.clone()], Vec::new()).await.is_err() {}
        self.settle().await;
    }

    pub async fn advance(&self, ms: i64) {
        let store = self.store().clone();
        self.clock.advance_settling(self.clock.now().plus_ms(ms), async || store.settle().await).await;
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// What was called, as `automation: what` in order.
    pub fn calls(&self) -> Vec<String> {
        self.plugins.calls.lock().iter().map(|c| format!("{}: {}", c.automation.0, text_of(&c.event))).collect()
    }

    pub fn conversation(&self, chat: &str) -> Conversation {
        self.store().conversation_with(LANE, chat).expect("readable").expect("it is open")
    }

    /// The texts of the connector's messages in the order of their creation, whatever became of them.
    pub async fn messages(&self) -> Vec<String> {
        let page = self.store().list_messages(TENANT, MessageFilter::default(), 0, 1_000).await.expect("readable");
        page.rows.iter().rev().map(|row| row.message.content.text.clone()).collect()
    }

    pub fn dead_letters(&self) -> Vec<DeadLetter> {
        self.store().dead_letters(TENANT, None, 100).expect("readable")
    }

    /// The event log, as text: all but what was received, and that conversations were opened.
    pub fn log(&self) -> Vec<String> {
        let (events, _) = self.store().events(TENANT, &EventFilter::default(), 0, 1_000).expect("readable");
        let said = |event: &Event| match &event.event.body {
            EventBody::Emitted { kind, json, .. } => Some(format!("emitted {kind} {json}")),
            EventBody::Conversation { step, .. } if step.as_str() == "opened" => None,
            EventBody::Conversation { chat, step, by, detail, .. } => Some(format!("{chat} {step} by {by}: {detail}")),
            EventBody::DeadLetter { code, .. } => Some(format!("parked {code}")),
            EventBody::Plugin { step, digest, .. } => {
                Some(format!("plugin {step} {}", digest.as_deref().unwrap_or("-")))
            }
            _ => None,
        };
        events.iter().filter_map(said).collect()
    }

    /// Everything in the store fits together, and no event waits.
    pub fn assert_done(&self) {
        let store = self.store();
        assert_eq!(store.due_lanes(Timestamp(i64::MAX), None, 10).expect("readable"), []);
        store.check_automations().expect("it is sound");
        let problems = store.disk().verify().expect("readable");
        assert!(problems.is_empty(), "{problems:#?}");
    }
}
