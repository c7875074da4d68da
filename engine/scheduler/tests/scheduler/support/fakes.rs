//! Fake plugins and outside: what they answer is a function that the test gives.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use pombo_domain::error::FieldProblem;
use pombo_domain::model::attachment::Attachment;
use pombo_domain::model::message::MessageOptions;
use pombo_domain::ports::*;
use pombo_domain::{ConnectorIndex, TenantIndex, Timestamp};
use pombo_scheduler::SigningSecrets;
use serde_json::Value;

use super::clock::ManualClock;

/// A send as the connector saw it.
#[derive(Clone, Debug)]
pub struct Sent {
    pub connector: ConnectorIndex,
    pub client_id: uuid::Uuid,
    pub text: String,
    pub subject: Option<String>,
    pub attachments: usize,
    pub attempt: u16,
    pub options: MessageOptions,
    pub at: Timestamp,
}

/// What a connector does with a send.
pub enum Does {
    Answer(SendOutcome),
    /// Answers at that time from now.
    After(i64, SendOutcome),
    /// Never answers.
    Hang,
    Panic,
}

pub fn accepted() -> SendOutcome {
    SendOutcome::Accepted { provider_id: None }
}

type Script = Box<dyn Fn(&Sent) -> Does + Send + Sync>;

pub struct FakeConnectors {
    clock: ManualClock,
    pub idempotent: bool,
    pub needs_session: bool,
    pub features: Vec<String>,
    pub max_in_flight: u16,
    script: Mutex<Option<Arc<Script>>>,
    pub session: Mutex<SessionState>,
    pub account: Mutex<Option<Account>>,
    pub sent: Mutex<Vec<Sent>>,
    /// Sends under way now, and the most there ever were.
    pub running: Mutex<(usize, usize)>,
    pub operations: Mutex<Vec<Operation>>,
    name: Mutex<String>,
    pub versions: Mutex<Versions>,
}

/// Which version of the plugin the connectors run, as somebody asked for it.
#[derive(Default)]
pub struct Versions {
    pub running: String,
    before: Option<String>,
    /// What was asked, in order.
    pub asked: Vec<String>,
    /// A version that cannot be staged.
    pub broken: Option<String>,
}

impl FakeConnectors {
    pub fn new(clock: ManualClock, idempotent: bool) -> Self {
        Self {
            clock,
            idempotent,
            needs_session: false,
            features: Vec::new(),
            max_in_flight: 50,
            script: Mutex::new(None),
            session: Mutex::new(SessionState::Connected),
            account: Mutex::default(),
            sent: Mutex::default(),
            running: Mutex::default(),
            operations: Mutex::default(),
            name: Mutex::new("fake".to_owned()),
            versions: Mutex::default(),
        }
    }
    pub fn act(&self, script: impl Fn(&Sent) -> Does + Send + Sync + 'static) {
        *self.script.lock() = Some(Arc::new(Box::new(script)));
    }
    /// Another name than `fake`.
    pub fn plugin_name_is(&self, name: &str) {
        name.clone_into(&mut self.name.lock());
    }
    /// The texts in the order of their sends.
    pub fn texts(&self) -> Vec<String> {
        self.sent.lock().iter().map(|sent| sent.text.clone()).collect()
    }
}

#[async_trait]
impl Connectors for FakeConnectors {
    fn plugins(&self) -> Vec<PluginDescription> {
        vec![PluginDescription {
            name: self.name.lock().clone(),
            version: "0.0.0".to_owned(),
            digest: self.versions.lock().running.clone(),
            channel: "email".to_owned(),
            display_name: String::new(),
            config_schema: Value::Null,
            secret_fields: Vec::new(),
            capabilities: Vec::new(),
            features: self.features.clone(),
            idempotent_resend: self.idempotent,
            max_in_flight: self.max_in_flight,
            needs_session: self.needs_session,
            pace: None,
        }]
    }
    fn check_config(&self, _: &str, _: &Value) -> Result<(), Vec<FieldProblem>> {
        unreachable!()
    }
    async fn check_recipients(&self, _: &str, _: Vec<String>) -> Result<Vec<Result<String, String>>, ConnectorError> {
        unreachable!()
    }
    async fn start(&self, _: ConnectorSpec) -> Result<(), ConnectorError> {
        unreachable!()
    }
    async fn stop(&self, _: ConnectorIndex) {
        unreachable!()
    }
    async fn send(&self, connector: ConnectorIndex, message: Outgoing) -> SendOutcome {
        let sent = Sent {
            connector,
            client_id: message.client_id,
            text: message.text,
            subject: message.subject,
            attachments: message.attachments.len(),
            attempt: message.attempt,
            options: MessageOptions {
                act: message.act,
                reply_to: message.reply_to,
                mentions: message.mentions,
                voice_note: message.voice_note,
            },
            at: self.clock.now(),
        };
        {
            let mut running = self.running.lock();
            running.0 += 1;
            running.1 = running.1.max(running.0);
        }
        self.sent.lock().push(sent.clone());
        let script = self.script.lock().clone();
        let outcome = match script.map_or(Does::Answer(accepted()), |script| script(&sent)) {
            Does::Answer(outcome) => {
                tokio::task::yield_now().await;
                outcome
            }
            Does::After(ms, outcome) => {
                self.clock.sleep_until(self.clock.now().plus_ms(ms)).await;
                outcome
            }
            Does::Hang => std::future::pending().await,
            Does::Panic => panic!("a planned panic"),
        };
        self.running.lock().0 -= 1;
        outcome
    }
    async fn operate(&self, _: ConnectorIndex, operation: Operation) -> Result<Answer, OperationError> {
        self.operations.lock().push(operation);
        Ok(Answer::Done)
    }
    async fn stage(&self, _: &str, digest: &str, share: u8) -> Result<(), ConnectorError> {
        let mut versions = self.versions.lock();
        versions.asked.push(format!("stage {digest} {share}"));
        if versions.broken.as_deref() == Some(digest) {
            return Err(ConnectorError::Plugin("it traps at its start".to_owned()));
        }
        if share == 100 && versions.running != digest {
            versions.before = Some(std::mem::replace(&mut versions.running, digest.to_owned()));
        }
        Ok(())
    }
    async fn unstage(&self, plugin: &str) -> Result<(), ConnectorError> {
        let mut versions = self.versions.lock();
        versions.asked.push("unstage".to_owned());
        match versions.before.take() {
            Some(before) => versions.running = before,
            None => return Err(ConnectorError::UnknownPlugin(plugin.to_owned())),
        }
        Ok(())
    }
    async fn settle(&self, _: &str) {
        let mut versions = self.versions.lock();
        versions.asked.push("settle".to_owned());
        versions.before = None;
    }
    fn session(&self, _: ConnectorIndex) -> SessionState {
        self.session.lock().clone()
    }
    fn account(&self, _: ConnectorIndex) -> Option<Account> {
        self.account.lock().clone()
    }
    async fn session_after(&self, _: ConnectorIndex, _: &SessionState) -> SessionState {
        unreachable!()
    }
    async fn reload(&self, _: &str) -> Result<PluginDescription, ConnectorError> {
        unreachable!()
    }
}

/// Renders a text as itself, with the variables behind it where it ends in `?`; `{bad` is a template error; fails as a whole
/// as often as told.
#[derive(Default)]
pub struct FakeRenderer {
    pub unavailable: Mutex<usize>,
    pub seeds: Mutex<Vec<u64>>,
}

#[async_trait]
impl Renderer for FakeRenderer {
    async fn render(&self, jobs: Vec<RenderJob>) -> Vec<Result<String, RenderError>> {
        tokio::task::yield_now().await;
        let mut unavailable = self.unavailable.lock();
        if *unavailable > 0 {
            *unavailable -= 1;
            return jobs.iter().map(|_| Err(RenderError::Unavailable("restarting".to_owned()))).collect();
        }
        self.seeds.lock().extend(jobs.iter().map(|job| job.seed));
        jobs.iter()
            .map(|job| match &*job.template {
                bad if bad.starts_with("{bad") => Err(RenderError::Template(TemplateProblem {
                    message: "undefined variable x".to_owned(),
                    line: 1,
                    column: 2,
                })),
                asks if asks.ends_with('?') => Ok(format!("{asks}{}", job.variables)),
                text => Ok(text.to_owned()),
            })
            .collect()
    }
    async fn preview(&self, _: &str, _: &str, _: u32) -> Result<Preview, RenderError> {
        unreachable!()
    }
}

pub struct FakeEntropy;

impl Entropy for FakeEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(0x5a);
    }
}

/// A webhook as its receiver saw it.
#[derive(Clone, Debug)]
pub struct Hook {
    pub url: String,
    pub headers: Vec<(&'static str, String)>,
    pub body: Value,
}

type Receiver = Box<dyn Fn(&Hook) -> HookAct + Send + Sync>;

pub enum HookAct {
    Answer(u16),
    Fail(OutboundError),
    /// Answers only when the timeout is over.
    TimeOut,
}

pub struct FakeWebhooks {
    clock: ManualClock,
    receiver: Mutex<Option<Arc<Receiver>>>,
    pub hooks: Mutex<Vec<Hook>>,
}

impl FakeWebhooks {
    pub fn new(clock: ManualClock) -> Self {
        Self { clock, receiver: Mutex::new(None), hooks: Mutex::default() }
    }
    pub fn act(&self, receiver: impl Fn(&Hook) -> HookAct + Send + Sync + 'static) {
        *self.receiver.lock() = Some(Arc::new(Box::new(receiver)));
    }
    /// The statuses that `url` was told, in order.
    pub fn told(&self, url: &str) -> Vec<String> {
        let hooks = self.hooks.lock();
        hooks.iter().filter(|h| h.url == url).map(|h| h.body["status"].as_str().unwrap_or("").to_owned()).collect()
    }
}

#[async_trait]
impl WebhookClient for FakeWebhooks {
    async fn post(
        &self,
        url: &str,
        headers: &[(&'static str, String)],
        body: String,
        timeout: Duration,
    ) -> Result<u16, OutboundError> {
        let body = serde_json::from_str(&body).expect("an event is JSON");
        let hook = Hook { url: url.to_owned(), headers: headers.to_vec(), body };
        self.hooks.lock().push(hook.clone());
        let receiver = self.receiver.lock().clone();
        match receiver.map_or(HookAct::Answer(200), |receiver| receiver(&hook)) {
            HookAct::Answer(status) => {
                tokio::task::yield_now().await;
                Ok(status)
            }
            HookAct::Fail(error) => Err(error),
            HookAct::TimeOut => {
                let ms = i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX);
                self.clock.sleep_until(self.clock.now().plus_ms(ms)).await;
                Err(OutboundError::Unreachable("no answer in time".to_owned()))
            }
        }
    }
}

/// Answers as told, one after the other, then with a file.
pub struct FakeFetcher {
    clock: ManualClock,
    pub answers: Mutex<VecDeque<OutboundError>>,
    pub took_ms: i64,
    pub fetched: Mutex<usize>,
}

impl FakeFetcher {
    pub fn new(clock: ManualClock) -> Self {
        Self { clock, answers: Mutex::default(), took_ms: 10, fetched: Mutex::default() }
    }
}

#[async_trait]
impl AttachmentFetcher for FakeFetcher {
    async fn fetch(&self, _: TenantIndex, _: &str) -> Result<Attachment, OutboundError> {
        self.clock.sleep_until(self.clock.now().plus_ms(self.took_ms)).await;
        *self.fetched.lock() += 1;
        match self.answers.lock().pop_front() {
            Some(error) => Err(error),
            None => Ok(Attachment {
                id: uuid::Uuid::from_u128(7),
                file_name: "a.pdf".to_owned(),
                content_type: "application/pdf".to_owned(),
                size: 3,
            }),
        }
    }
}

pub struct FakeSecrets;

impl SigningSecrets for FakeSecrets {
    fn webhook_secret(&self, tenant: TenantIndex) -> Vec<u8> {
        format!("secret of {}", tenant.0).into_bytes()
    }
}
