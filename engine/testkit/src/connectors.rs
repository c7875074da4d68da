//! Connectors without a plugin: a function from the test decides what they do.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use pombo_domain::error::FieldProblem;
use pombo_domain::model::Attachment;
use pombo_domain::model::message::MessageOptions;
use pombo_domain::ports::*;
use pombo_domain::{ConnectorIndex, Timestamp};
use serde_json::Value;
use tokio::sync::{Notify, watch};

use crate::ManualClock;

/// A send as the connector saw it.
#[derive(Clone, Debug)]
pub struct Sent {
    /// The connector that sent it.
    pub connector: ConnectorIndex,
    /// The message's id.
    pub client_id: uuid::Uuid,
    /// The rendered text.
    pub text: String,
    /// The rendered subject.
    pub subject: Option<String>,
    /// How many files it carries.
    pub attachments: usize,
    /// Which attempt this is, from 1.
    pub attempt: u16,
    /// The message's other options; a connector does not get `expires_at`.
    pub options: MessageOptions,
    /// Whether somebody waits for its outcome.
    pub awaited: bool,
    /// When the send was requested.
    pub at: Timestamp,
}

/// What a connector does with a send.
pub enum Does {
    /// Answers at once.
    Answer(SendOutcome),
    /// Answers after so many milliseconds.
    After(i64, SendOutcome),
    /// Never answers.
    Hang,
    /// Panics.
    Panic,
}

/// The channel accepted the message.
pub fn accepted() -> SendOutcome {
    SendOutcome::accepted(None)
}

/// The channel asks to slow down.
pub fn throttled(scope: ThrottleScope, retry_after_ms: Option<u64>, reason: &str) -> SendOutcome {
    SendOutcome::Throttled { retry_after_ms, reason: reason.to_owned(), scope, code: None }
}

/// Which version of its plugin a connector runs, as requested.
#[derive(Default)]
pub struct Versions {
    /// The digest of the running version.
    pub running: String,
    before: Option<String>,
    /// The requests, in order.
    pub asked: Vec<String>,
    /// A version that cannot be staged.
    pub broken: Option<String>,
}

type Rule = Arc<dyn Fn(String) -> Result<String, String> + Send + Sync>;
type Meanwhile = Box<dyn FnOnce() + Send>;
type Script = Arc<dyn Fn(&Sent) -> Does + Send + Sync>;

/// Connectors of the plugins that a test describes.
///
/// A plugin of the channel `email` requires the text `host` in its configuration and accepts addresses with an `@`, whose domain it
/// puts into lower case. Any other plugin accepts the digits of a number, with or without `+`, and groups that end in `@g.us`.
pub struct ScriptedConnectors {
    clock: ManualClock,
    plugins: Mutex<Vec<PluginDescription>>,
    script: Mutex<Option<Script>>,
    number_rule: Mutex<Option<Rule>>,
    /// Whether a connector that was never started still counts as connected.
    always_started: bool,
    sessions: watch::Sender<BTreeMap<ConnectorIndex, (SessionState, Timestamp)>>,
    /// What linking asks of a person, in every connector.
    pub link_step: Mutex<Option<LinkStep>>,
    connected: Mutex<BTreeMap<ConnectorIndex, Timestamp>>,
    /// The account of a connected session.
    pub account: Mutex<Option<Account>>,
    /// The sends, in order.
    pub sent: Mutex<Vec<Sent>>,
    /// How many sends are in progress now, and the highest number so far.
    pub running: Mutex<(usize, usize)>,
    /// The started connectors, as they were started.
    pub started: Mutex<BTreeMap<ConnectorIndex, ConnectorSpec>>,
    /// What is known of the proxy of every connector that runs with one. One on `forbidden.example` is not allowed.
    pub proxy: Mutex<ProxyStatus>,
    /// The error that starting a connector fails with.
    pub fails_to_start: Mutex<Option<String>>,
    /// The connectors whose instances were restarted, in order, and when.
    pub restarted: Mutex<Vec<(ConnectorIndex, Timestamp)>>,
    /// The error that a reload fails with.
    pub fails_to_reload: Mutex<Option<String>>,
    /// The operations other than sending that were requested, in order.
    pub operations: Mutex<Vec<Operation>>,
    /// The files that each of these operations was given.
    pub operation_files: Mutex<Vec<Vec<Attachment>>>,
    /// Notified when an operation is requested.
    pub was_asked: Notify,
    answers: Mutex<VecDeque<Result<Answer, OperationError>>>,
    meanwhile: Mutex<Option<Meanwhile>>,
    /// The requests of the channel that reached a connector, in order.
    pub received: Mutex<Vec<(ConnectorIndex, ReceivedRequest)>>,
    received_answers: Mutex<VecDeque<Result<ReceivedResponse, ReceiveError>>>,
    openings: Mutex<Vec<SessionState>>,
    /// Versions of the plugin.
    pub versions: Mutex<Versions>,
}

impl ScriptedConnectors {
    /// Connectors of these plugins, which accept everything. Each is connected while it is started.
    pub fn new(clock: ManualClock, plugins: Vec<PluginDescription>) -> Self {
        Self {
            clock,
            plugins: Mutex::new(plugins),
            script: Mutex::default(),
            number_rule: Mutex::default(),
            always_started: false,
            sessions: watch::Sender::default(),
            link_step: Mutex::default(),
            connected: Mutex::default(),
            account: Mutex::default(),
            sent: Mutex::default(),
            running: Mutex::default(),
            started: Mutex::default(),
            proxy: Mutex::default(),
            fails_to_start: Mutex::default(),
            restarted: Mutex::default(),
            fails_to_reload: Mutex::default(),
            operations: Mutex::default(),
            operation_files: Mutex::default(),
            was_asked: Notify::new(),
            answers: Mutex::default(),
            meanwhile: Mutex::default(),
            received: Mutex::default(),
            received_answers: Mutex::default(),
            openings: Mutex::default(),
            versions: Mutex::default(),
        }
    }

    /// The same, for tests that never start a connector: each is connected.
    pub fn started(clock: ManualClock, plugins: Vec<PluginDescription>) -> Self {
        Self { always_started: true, ..Self::new(clock, plugins) }
    }

    /// What a connector does with each send from now on.
    pub fn act(&self, script: impl Fn(&Sent) -> Does + Send + Sync + 'static) {
        *self.script.lock() = Some(Arc::new(script));
    }

    /// Another rule for the recipients of plugins other than those of e-mail: the address as it is sent to, or what is wrong.
    pub fn take_numbers(&self, rule: impl Fn(String) -> Result<String, String> + Send + Sync + 'static) {
        *self.number_rule.lock() = Some(Arc::new(rule));
    }

    /// Changes how the first plugin describes itself.
    pub fn describe(&self, change: impl FnOnce(&mut PluginDescription)) {
        change(self.plugins.lock().first_mut().expect("there is a plugin"));
    }

    /// Changes how the plugin with this name describes itself.
    pub fn describe_plugin(&self, name: &str, change: impl FnOnce(&mut PluginDescription)) {
        change(self.plugins.lock().iter_mut().find(|plugin| plugin.name == name).expect("there is such a plugin"));
    }

    /// The texts in the order of their sends.
    pub fn texts(&self) -> Vec<String> {
        self.sent.lock().iter().map(|sent| sent.text.clone()).collect()
    }

    /// Sets the state of a connector's session from now on.
    pub fn set_session(&self, connector: ConnectorIndex, state: SessionState) {
        let now = self.clock.now();
        if state == SessionState::Connected {
            self.connected.lock().insert(connector, now);
        }
        self.sessions.send_modify(|sessions| drop(sessions.insert(connector, (state, now))));
    }

    /// The next opening of a session takes it through these states.
    pub fn opens_with(&self, states: Vec<SessionState>) {
        *self.openings.lock() = states;
    }

    /// Sets the answer to the next operation that has none yet. An operation without a set answer succeeds.
    pub fn answer(&self, answer: Result<Answer, OperationError>) {
        self.answers.lock().push_back(answer);
    }

    /// Sets what happens while the next operation is under way, before it is answered.
    pub fn meanwhile(&self, happens: impl FnOnce() + Send + 'static) {
        *self.meanwhile.lock() = Some(Box::new(happens));
    }

    /// Sets the answer to the next request of the channel that has none yet. One without a set answer is answered with 200 and no body.
    pub fn answer_received(&self, answer: Result<ReceivedResponse, ReceiveError>) {
        self.received_answers.lock().push_back(answer);
    }

    /// The operations that were requested since the last call of this function.
    pub fn asked(&self) -> Vec<Operation> {
        std::mem::take(&mut *self.operations.lock())
    }
}

#[async_trait]
impl Connectors for ScriptedConnectors {
    fn plugins(&self) -> Vec<PluginDescription> {
        let running = self.versions.lock().running.clone();
        let described = |plugin: &PluginDescription| match running.is_empty() {
            true => plugin.clone(),
            false => PluginDescription { digest: running.clone(), ..plugin.clone() },
        };
        self.plugins.lock().iter().map(described).collect()
    }
    fn check_config(&self, plugin: &str, config: &Value) -> Result<(), Vec<FieldProblem>> {
        let wants_host = self.plugin(plugin).is_some_and(|plugin| plugin.channel == "email");
        if !wants_host || config["host"].is_string() {
            return Ok(());
        }
        Err(vec![FieldProblem::new("host", "must be a text")])
    }
    async fn check_recipients(
        &self,
        plugin: &str,
        recipients: Vec<String>,
    ) -> Result<Vec<Result<String, String>>, ConnectorError> {
        let plugin = self.plugin(plugin).ok_or_else(|| ConnectorError::UnknownPlugin(plugin.to_owned()))?;
        let email = |to: String| match to.split_once('@') {
            Some((local, domain)) => Ok(format!("{local}@{}", domain.to_lowercase())),
            None => Err("must be an e-mail address such as name@example.com".to_owned()),
        };
        let number = |to: String| match to.trim_start_matches('+') {
            digits if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => Ok(digits.to_owned()),
            group if group.ends_with("@g.us") => Ok(group.to_owned()),
            _ => Err("must be digits with country and area code, for example 5511999998888".to_owned()),
        };
        let rule = self.number_rule.lock().clone();
        Ok(match (plugin.channel.as_str(), rule) {
            ("email", _) => recipients.into_iter().map(email).collect(),
            (_, Some(rule)) => recipients.into_iter().map(|to| rule(to)).collect(),
            (_, None) => recipients.into_iter().map(number).collect(),
        })
    }
    async fn start(&self, spec: ConnectorSpec) -> Result<(), ConnectorError> {
        if let Some(reason) = self.fails_to_start.lock().clone() {
            return Err(ConnectorError::Plugin(reason));
        }
        self.started.lock().insert(spec.index, spec);
        Ok(())
    }
    fn check_proxy(&self, host: &str, _: u16) -> Result<(), String> {
        if host == "forbidden.example" { Err("this proxy is forbidden".to_owned()) } else { Ok(()) }
    }
    fn proxy_status(&self, connector: ConnectorIndex) -> Option<ProxyStatus> {
        self.started.lock().get(&connector)?.proxy.as_ref()?;
        Some(self.proxy.lock().clone())
    }
    async fn stop(&self, connector: ConnectorIndex) {
        self.started.lock().remove(&connector);
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
                action: message.action,
                reply_to: message.reply_to,
                mentions: message.mentions,
                voice_note: message.voice_note,
                file_kind: message.file_kind,
                expires_at: None,
                template: None,
                campaign: None,
            },
            awaited: message.awaited,
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
    async fn operate_with_files(
        &self,
        connector: ConnectorIndex,
        operation: Operation,
        files: Vec<Attachment>,
    ) -> Result<Answer, OperationError> {
        self.operations.lock().push(operation.clone());
        self.operation_files.lock().push(files);
        self.was_asked.notify_one();
        let meanwhile = self.meanwhile.lock().take();
        if let Some(happens) = meanwhile {
            happens();
        }
        if let Some(answer) = self.answers.lock().pop_front() {
            return answer;
        }
        match operation {
            Operation::OpenSession(_) => {
                let (states, sessions) = (std::mem::take(&mut *self.openings.lock()), self.sessions.clone());
                let clock = self.clock.clone();
                tokio::spawn(async move {
                    for state in states {
                        tokio::task::yield_now().await;
                        let now = clock.now();
                        sessions.send_modify(|sessions| drop(sessions.insert(connector, (state, now))));
                    }
                });
            }
            Operation::CloseSession => {
                self.set_session(connector, SessionState::Unpaired("closed by a person".to_owned()));
            }
            _ => {}
        }
        Ok(Answer::Done)
    }
    async fn receive(
        &self,
        connector: ConnectorIndex,
        request: ReceivedRequest,
    ) -> Result<ReceivedResponse, ReceiveError> {
        self.received.lock().push((connector, request));
        let set = self.received_answers.lock().pop_front();
        set.unwrap_or_else(|| {
            Ok(ReceivedResponse { status: 200, content_type: "text/plain".to_owned(), body: Vec::new() })
        })
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
    async fn restart(&self, connector: ConnectorIndex) -> Result<(), ConnectorError> {
        self.restarted.lock().push((connector, self.clock.now()));
        Ok(())
    }
    fn session(&self, connector: ConnectorIndex) -> SessionState {
        if let Some((state, _)) = self.sessions.borrow().get(&connector) {
            return state.clone();
        }
        match self.always_started || self.started.lock().contains_key(&connector) {
            true => SessionState::Connected,
            false => SessionState::Stopped,
        }
    }
    fn account(&self, connector: ConnectorIndex) -> Option<Account> {
        let account = self.account.lock().clone();
        account.filter(|_| self.session(connector) == SessionState::Connected)
    }
    fn link_step(&self, _: ConnectorIndex) -> Option<LinkStep> {
        self.link_step.lock().clone()
    }
    fn connected_at(&self, connector: ConnectorIndex) -> Option<Timestamp> {
        self.connected.lock().get(&connector).copied()
    }
    fn session_since(&self, connector: ConnectorIndex) -> Option<Timestamp> {
        self.sessions.borrow().get(&connector).map(|(_, since)| *since)
    }
    async fn session_after(&self, connector: ConnectorIndex, seen: &SessionState) -> SessionState {
        let mut sessions = self.sessions.subscribe();
        // It cannot be closed while this is borrowed.
        let _ = sessions.wait_for(|_| self.session(connector) != *seen).await;
        self.session(connector)
    }
    async fn reload(&self, plugin: &str) -> Result<PluginDescription, ConnectorError> {
        match self.fails_to_reload.lock().clone() {
            Some(reason) => Err(ConnectorError::Plugin(reason)),
            None => {
                let found = self.plugin(plugin).ok_or_else(|| ConnectorError::UnknownPlugin(plugin.to_owned()))?;
                Ok(PluginDescription { version: "0.2.0".to_owned(), ..found })
            }
        }
    }
}
