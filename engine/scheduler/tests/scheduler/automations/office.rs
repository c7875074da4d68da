//! A tenant with a connector and its automations, and a scheduler that can be ended and started again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use pombo_domain::model::plugin::Grants;
use pombo_domain::model::*;
use pombo_domain::ports::*;
use pombo_domain::{AutomationIndex, ConnectorIndex, TenantIndex, Timestamp};
use pombo_scheduler::{Handle, Options, Ports, Scheduler};
use uuid::Uuid;

use super::store::{Counting, TestStore};
use crate::support::*;

pub const PLUGIN: &str = "answers";

pub struct Office {
    folder: tempfile::TempDir,
    pub clock: ManualClock,
    store: Option<Arc<TestStore>>,
    pub plugins: Arc<FakePlugins>,
    pub telemetry: Arc<FakeTelemetry>,
    pub connectors: Arc<FakeConnectors>,
    pub options: Options,
    handle: Option<Handle>,
    inbound: u32,
}

/// One version, active, granted everything that it could want.
pub fn package(kind: PluginKind, digest: &str) -> Package {
    let wants = Wants { kv_bytes: 1 << 20, events_per_minute: 1_000_000, ..Wants::default() };
    Package {
        name: PLUGIN.to_owned(),
        owner: Some(TENANT),
        kind,
        versions: vec![version(digest, false)],
        active: Some(digest.to_owned()),
        previous: None,
        grants: Some(Grants { what: wants, by: "user:1".to_owned(), at: NOON }),
        rollout: None,
        revision: 1,
        created_at: NOON,
        updated_at: NOON,
    }
}

pub fn version(digest: &str, observer: bool) -> PackageVersion {
    let description = AutomationDescription {
        name: PLUGIN.to_owned(),
        version: format!("1.0.0-{digest}"),
        display_name: "Answers".to_owned(),
        config_schema: serde_json::json!({}),
        secret_fields: Vec::new(),
        events: [EventKind::MessageReceived, EventKind::TimerFired].into_iter().collect(),
        observer,
        wants: Wants::default(),
    };
    PackageVersion {
        digest: digest.to_owned(),
        version: description.version.clone(),
        display_name: description.display_name.clone(),
        size: 1,
        status: VersionStatus::Ready,
        wants: Wants::default(),
        description: serde_json::to_string(&description).expect("JSON"),
        signed_by: None,
        uploaded_by: "user:1".to_owned(),
        uploaded_at: NOON,
    }
}

pub fn change(change: AutomationChange) -> Change {
    Change::Automation(Box::new(change))
}

pub fn say(text: &str) -> Action {
    labelled(text, None)
}

pub fn labelled(text: &str, label: Option<&str>) -> Action {
    Action::Send(SendAction {
        content: SendContent::Text(text.to_owned()),
        reply_to: None,
        delay_ms: 0,
        label: label.map(str::to_owned),
    })
}

/// The text of the message that a call is about.
pub fn text_of(event: &CallEvent) -> String {
    match &event.body {
        WorkBody::Message(Inbound { content: inbound::InboundContent::Text(text), .. }) => text.clone(),
        WorkBody::Timer { name, .. } => format!("timer {name}"),
        WorkBody::Status { status, label, .. } => format!("{status:?} {}", label.as_deref().unwrap_or("-")),
        WorkBody::Reaction { emoji, .. } => format!("reaction {emoji}"),
        other => other.kind().as_str().to_owned(),
    }
}

impl Office {
    /// A connector of a two-way channel, a package with one version, no automation; not started.
    pub async fn new() -> Self {
        let clock = ManualClock::new(NOON);
        let folder = tempfile::tempdir().expect("a folder");
        let store = TestStore::open(folder.path(), &clock);
        let mut connectors = FakeConnectors::new(clock.clone(), true);
        connectors.features = vec!["inbound".to_owned(), "reactions".to_owned(), "reply".to_owned()];
        let office = Self {
            folder,
            store: Some(store),
            plugins: Arc::new(FakePlugins::new(clock.clone())),
            telemetry: Arc::default(),
            connectors: Arc::new(connectors),
            options: Options::default(),
            handle: None,
            inbound: 0,
            clock,
        };
        office.connector(LANE, TENANT).await;
        office.write(vec![change(AutomationChange::Package(package(PluginKind::Automation, "v1")))]).await;
        office
    }

    pub async fn connector(&self, index: ConnectorIndex, tenant: TenantIndex) {
        let connector = Connector {
            id: Uuid::from_u128(u128::from(index.0)),
            index,
            tenant,
            name: "connector".to_owned(),
            plugin: "fake".to_owned(),
            channel: "whatsapp".to_owned(),
            config: "{}".to_owned(),
            secrets: BTreeMap::new(),
            status: ConnectorStatus::Active,
            status_reason: None,
            pace: free(),
            created_at: NOON,
            updated_at: NOON,
        };
        self.write(vec![Change::Connector(connector)]).await;
    }

    /// An automation on the connector [`LANE`]; its index is also its position.
    pub async fn automation(&self, index: u32, change_it: impl FnOnce(&mut Automation)) {
        let mut automation = Automation {
            id: Uuid::from_u128(u128::from(index)),
            index: AutomationIndex(index),
            tenant: TENANT,
            connector: LANE,
            name: format!("automation {index}"),
            plugin: PLUGIN.to_owned(),
            config: format!(r#"{{"n":{index}}}"#),
            secrets: BTreeMap::new(),
            position: index,
            observer: false,
            events: [EventKind::MessageReceived, EventKind::TimerFired].into_iter().collect(),
            status: AutomationStatus::Active,
            groups: false,
            record: false,
            created_at: NOON,
            updated_at: NOON,
        };
        change_it(&mut automation);
        self.write(vec![change(AutomationChange::Put(automation))]).await;
    }

    pub fn store(&self) -> &Arc<TestStore> {
        self.store.as_ref().expect("it is open")
    }

    pub async fn write(&self, changes: Vec<Change>) {
        self.store().inner.commit(Batch::of(changes)).await.expect("a test's own write");
        self.settle().await;
    }

    pub async fn settle(&self) {
        self.store().settle().await;
    }

    pub async fn start(&mut self) {
        loop {
            let ports = Ports {
                store: self.store().clone(),
                renderer: Arc::new(FakeRenderer::default()),
                connectors: self.connectors.clone(),
                clock: Arc::new(self.clock.clone()),
                entropy: Arc::new(Counting),
                webhooks: Arc::new(FakeWebhooks::new(self.clock.clone())),
                attachments: Arc::new(FakeFetcher::new(self.clock.clone())),
                plugins: self.plugins.clone(),
                telemetry: self.telemetry.clone(),
                seals: Arc::new(FakeSeals),
                secrets: Arc::new(FakeSecrets),
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

    /// Ends all tasks where they stand and opens the store anew, as a crash and a start would.
    pub async fn restart(&mut self) {
        self.crash().await;
        self.start().await;
    }

    /// Ends all tasks where they stand, and opens the store anew.
    pub async fn crash(&mut self) {
        if let Some(handle) = self.handle.take() {
            handle.drain(Duration::ZERO).await;
            handle.intake().drain(Duration::ZERO).await;
        }
        self.settle().await;
        self.plugins.forget_running();
        self.store().inner.close().expect("it closes");
        let store = self.store.take().expect("it is open");
        // Nobody else has it any more: its tasks are gone.
        let store =
            Arc::try_unwrap(store).unwrap_or_else(|store| panic!("{} still have it", Arc::strong_count(&store)));
        drop(store);
        self.store = Some(TestStore::open(self.folder.path(), &self.clock));
    }

    /// Somebody writes.
    pub async fn hears(&mut self, chat: &str, text: &str) {
        self.inbound += 1;
        let content = inbound::InboundContent::Text(text.to_owned());
        let message = Inbound { content, ..from(chat, &format!("in-{}", self.inbound)) };
        self.told(LANE, ChannelEvent::Message(message)).await;
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

    pub fn parked(&self) -> Vec<Parked> {
        self.store().parked(TENANT, None, 100).expect("readable")
    }

    /// The event log, as text: all but what was received.
    pub fn log(&self) -> Vec<String> {
        let (events, _) = self.store().events(TENANT, &EventFilter::default(), 0, 1_000).expect("readable");
        let said = |event: &Event| match &event.event.body {
            EventBody::Emitted { kind, json, .. } => Some(format!("emitted {kind} {json}")),
            EventBody::Conversation { chat, step, by, detail, .. } => Some(format!("{chat} {step} by {by}: {detail}")),
            EventBody::Parked { code, .. } => Some(format!("parked {code}")),
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
        let problems = store.inner.verify().expect("readable");
        assert!(problems.is_empty(), "{problems:#?}");
    }
}
