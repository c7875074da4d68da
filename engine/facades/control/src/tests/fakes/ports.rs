//! Every port but the store.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use async_trait::async_trait;
use pombo_domain::model::connector::{HealthRules, WarmUp};
use pombo_domain::model::{Attachment, Pace};
use pombo_domain::ports::*;
use pombo_domain::{ConnectorIndex, Error, FieldProblem, TenantIndex, Timestamp};
use serde_json::{Value, json};
use tokio::sync::{Notify, watch};
use uuid::Uuid;

/// A clock that a test moves. Sleeping moves it, so that nothing waits, unless the test lets it stand.
pub(in crate::tests) struct ManualClock {
    now: watch::Sender<i64>,
    stands: AtomicBool,
}

impl ManualClock {
    pub(super) fn at(start: Timestamp) -> Self {
        Self { now: watch::Sender::new(start.0), stands: AtomicBool::new(false) }
    }
    pub(in crate::tests) fn advance(&self, ms: i64) {
        self.now.send_modify(|now| *now += ms);
    }
    /// From now on only [`Self::advance`] moves it.
    pub(in crate::tests) fn stand(&self) {
        self.stands.store(true, Ordering::SeqCst);
    }
    /// How many sleep.
    pub(in crate::tests) fn sleepers(&self) -> usize {
        self.now.receiver_count()
    }
}

#[async_trait]
impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(*self.now.borrow())
    }
    async fn sleep_until(&self, at: Timestamp) {
        if self.stands.load(Ordering::SeqCst) {
            let moved = self.now.subscribe().wait_for(|now| *now >= at.0).await.is_ok();
            assert!(moved, "the clock outlives its sleepers");
            return;
        }
        self.now.send_modify(|now| *now = at.0.max(*now));
        tokio::task::yield_now().await;
    }
}

/// Different on every call, the same in every run.
#[derive(Default)]
pub(super) struct Counting(AtomicU64);

impl Entropy for Counting {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let mut x = self.0.fetch_add(1, Ordering::SeqCst).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            x ^= x >> 29;
            x = x.wrapping_mul(0xbf58_476d_1ce4_e5b9);
            chunk.copy_from_slice(&x.to_be_bytes()[..chunk.len()]);
        }
    }
}

/// `plain:` and the password.
pub(super) struct PlainPasswords;

#[async_trait]
impl PasswordHasher for PlainPasswords {
    async fn hash(&self, password: String) -> Result<String, Error> {
        Ok(format!("plain:{password}"))
    }
    async fn verify(&self, password: String, phc: Option<String>) -> Result<bool, Error> {
        Ok(phc.as_deref() == Some(format!("plain:{password}").as_str()))
    }
}

/// Not secret, but not readable either, and bound to its context.
pub(super) struct XorSecrets;

impl SecretBox for XorSecrets {
    fn seal(&self, context: &str, plain: &[u8]) -> Vec<u8> {
        let mut sealed: Vec<u8> = plain.iter().map(|byte| byte ^ 0x55).collect();
        sealed.extend(context.as_bytes());
        sealed
    }
    fn open(&self, context: &str, sealed: &[u8]) -> Result<Vec<u8>, SecretError> {
        let plain = sealed.strip_suffix(context.as_bytes()).ok_or(SecretError)?;
        Ok(plain.iter().map(|byte| byte ^ 0x55).collect())
    }
}

/// Puts variables into `{{ name }}`; an unknown one is a problem where it stands.
pub(super) struct PlainRenderer;

fn plain(template: &str, variables: &str) -> Result<String, RenderError> {
    let variables: BTreeMap<String, Value> = serde_json::from_str(variables).unwrap_or_default();
    let mut out = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        out.push_str(before);
        let (name, after) = after.split_once("}}").unwrap_or((after, ""));
        let Some(value) = variables.get(name.trim()) else {
            let at = template.len() - rest.len() + before.len();
            let line = template[..at].matches('\n').count() as u32 + 1;
            let column = template[..at].rsplit('\n').next().unwrap_or_default().chars().count() as u32 + 1;
            let message = format!("the variable {} is undefined", name.trim());
            return Err(RenderError::Template(TemplateProblem { message, line, column }));
        };
        out.push_str(value.as_str().unwrap_or(&value.to_string()));
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

#[async_trait]
impl Renderer for PlainRenderer {
    async fn render(&self, jobs: Vec<RenderJob>) -> Vec<Result<String, RenderError>> {
        jobs.iter().map(|job| plain(&job.template, &job.variables)).collect()
    }
    async fn preview(&self, template: &str, variables: &str, samples: u32) -> Result<Preview, RenderError> {
        let text = plain(template, variables)?;
        Ok(Preview {
            samples: vec![text; samples as usize],
            distinct_texts: 1,
            collision_probability: 1.0,
            variables: Vec::new(),
        })
    }
}

/// Two plugins: `connector-email` wants a `host`, has the secret `password`, takes recipients with an `@`; `connector-chat` has
/// every feature, needs a session and does what a test prepares.
#[derive(Default)]
pub(in crate::tests) struct FakeConnectors {
    /// What is running, as it was started.
    pub(in crate::tests) running: Mutex<BTreeMap<ConnectorIndex, ConnectorSpec>>,
    /// What starting fails with.
    pub(in crate::tests) fails_to_start: Mutex<Option<String>>,
    /// What was asked of connectors besides sending.
    pub(in crate::tests) asked: Mutex<Vec<Operation>>,
    /// What the next operations answer; without one, it is done.
    pub(in crate::tests) answers: Mutex<VecDeque<Result<Answer, OperationError>>>,
    /// Something was asked.
    pub(in crate::tests) was_asked: Notify,
    /// What a reload fails with.
    pub(in crate::tests) fails_to_reload: Mutex<Option<String>>,
    /// Sessions that are not as running connectors' are.
    sessions: watch::Sender<BTreeMap<ConnectorIndex, SessionState>>,
}

impl FakeConnectors {
    /// The session stands so from now on.
    pub(in crate::tests) fn set_session(&self, connector: ConnectorIndex, state: SessionState) {
        self.sessions.send_modify(|sessions| drop(sessions.insert(connector, state)));
    }
    /// The next operation answers so.
    pub(in crate::tests) fn answer(&self, answer: Result<Answer, OperationError>) {
        self.answers.lock().expect("no test panics in it").push_back(answer);
    }
    /// What was asked since this was last called.
    pub(in crate::tests) fn asked(&self) -> Vec<Operation> {
        std::mem::take(&mut *self.asked.lock().expect("no test panics in it"))
    }
}

const CHAT_FEATURES: [&str; 13] = [
    "attachments",
    "groups",
    "reactions",
    "edit",
    "revoke",
    "reply",
    "mentions",
    "voice-notes",
    "typing",
    "read-receipts",
    "sessions",
    "pairing-code",
    "lookup",
];

#[async_trait]
impl Connectors for FakeConnectors {
    fn plugins(&self) -> Vec<PluginDescription> {
        let email = PluginDescription {
            name: "connector-email".to_owned(),
            version: "0.1.0".to_owned(),
            digest: "00".repeat(32),
            channel: "email".to_owned(),
            display_name: "E-mail (SMTP)".to_owned(),
            config_schema: json!({"type": "object", "required": ["host"]}),
            secret_fields: vec!["password".to_owned()],
            capabilities: vec!["smtp".to_owned()],
            features: Vec::new(),
            idempotent_resend: true,
            max_in_flight: 10,
            needs_session: false,
            pace: None,
        };
        let chat = PluginDescription {
            name: "connector-chat".to_owned(),
            channel: "whatsapp".to_owned(),
            config_schema: json!({"type": "object"}),
            secret_fields: Vec::new(),
            capabilities: vec!["websocket".to_owned()],
            features: CHAT_FEATURES.map(str::to_owned).to_vec(),
            needs_session: true,
            pace: Some(Pace {
                delay_min_ms: 2_000,
                delay_max_ms: 9_000,
                warm_up: Some(WarmUp::default()),
                health: Some(HealthRules::default()),
                ..Pace::default()
            }),
            ..email.clone()
        };
        vec![email, chat]
    }
    fn check_config(&self, plugin: &str, config: &Value) -> Result<(), Vec<FieldProblem>> {
        match config.get("host") {
            Some(Value::String(_)) => Ok(()),
            _ if plugin == "connector-chat" => Ok(()),
            _ => Err(vec![FieldProblem { field: "host".to_owned(), message: "must be a text".to_owned() }]),
        }
    }
    async fn check_recipients(
        &self,
        plugin: &str,
        recipients: Vec<String>,
    ) -> Result<Vec<Result<String, String>>, ConnectorError> {
        let chat = plugin == "connector-chat";
        let check = |to: String| match to.trim_start_matches('+') {
            digits if chat && digits.bytes().all(|b| b.is_ascii_digit()) => Ok(digits.to_owned()),
            group if chat && group.ends_with("@g.us") => Ok(group.to_owned()),
            _ if chat => Err("must be a number or a group".to_owned()),
            _ if to.contains('@') => Ok(to),
            _ => Err("must be an e-mail address".to_owned()),
        };
        Ok(recipients.into_iter().map(check).collect())
    }
    async fn start(&self, spec: ConnectorSpec) -> Result<(), ConnectorError> {
        if let Some(reason) = self.fails_to_start.lock().expect("no test panics in it").clone() {
            return Err(ConnectorError::Plugin(reason));
        }
        self.running.lock().expect("no test panics in it").insert(spec.index, spec);
        Ok(())
    }
    async fn stop(&self, connector: ConnectorIndex) {
        self.running.lock().expect("no test panics in it").remove(&connector);
    }
    async fn send(&self, _connector: ConnectorIndex, _message: Outgoing) -> SendOutcome {
        SendOutcome::Accepted { provider_id: None }
    }
    async fn operate(&self, _: ConnectorIndex, operation: Operation) -> Result<Answer, OperationError> {
        self.asked.lock().expect("no test panics in it").push(operation);
        self.was_asked.notify_one();
        self.answers.lock().expect("no test panics in it").pop_front().unwrap_or(Ok(Answer::Done))
    }
    fn session(&self, connector: ConnectorIndex) -> SessionState {
        if let Some(state) = self.sessions.borrow().get(&connector) {
            return state.clone();
        }
        match self.running.lock().expect("no test panics in it").contains_key(&connector) {
            true => SessionState::Connected,
            false => SessionState::Stopped,
        }
    }
    fn account(&self, connector: ConnectorIndex) -> Option<Account> {
        (self.session(connector) == SessionState::Connected).then(|| Account {
            address: "5511900000001".to_owned(),
            display_name: Some("Loja".to_owned()),
            aliases: vec!["1@lid".to_owned()],
        })
    }
    async fn session_after(&self, connector: ConnectorIndex, seen: &SessionState) -> SessionState {
        let mut sessions = self.sessions.subscribe();
        let _ = sessions.wait_for(|_| self.session(connector) != *seen).await;
        self.session(connector)
    }
    async fn reload(&self, plugin: &str) -> Result<PluginDescription, ConnectorError> {
        match self.fails_to_reload.lock().expect("no test panics in it").clone() {
            Some(reason) => Err(ConnectorError::Plugin(reason)),
            None => {
                let found = self.plugin(plugin).ok_or_else(|| ConnectorError::UnknownPlugin(plugin.to_owned()))?;
                Ok(PluginDescription { version: "0.2.0".to_owned(), ..found })
            }
        }
    }
}

/// Lets everything but `http://forbidden` through.
pub(super) struct OpenGuard;

impl OutboundGuard for OpenGuard {
    fn check_url(&self, url: &str) -> Result<(), OutboundError> {
        match url.starts_with("http") {
            true if url.starts_with("http://forbidden") => Err(OutboundError::Forbidden),
            true => Ok(()),
            false => Err(OutboundError::BadUrl("must be an http or https URL".to_owned())),
        }
    }
    fn check_address(&self, _address: IpAddr) -> bool {
        true
    }
}

/// A folder with a file for each.
pub(super) struct FolderMedia(pub(super) PathBuf);

struct FolderWriter {
    path: PathBuf,
    bytes: Vec<u8>,
    attachment: Attachment,
}

#[async_trait]
impl MediaWriter for FolderWriter {
    async fn write(&mut self, chunk: &[u8]) -> Result<(), MediaError> {
        self.bytes.extend(chunk);
        Ok(())
    }
    async fn finish(self: Box<Self>) -> Result<Attachment, MediaError> {
        std::fs::write(&self.path, &self.bytes)?;
        Ok(Attachment { size: self.bytes.len() as u64, ..self.attachment })
    }
}

#[async_trait]
impl MediaStore for FolderMedia {
    async fn create(
        &self,
        tenant: TenantIndex,
        file_name: &str,
        content_type: Option<&str>,
    ) -> Result<Box<dyn MediaWriter>, MediaError> {
        let id = Uuid::from_u128(u128::from(tenant.0) << 64 | file_name.len() as u128);
        Ok(Box::new(FolderWriter {
            path: self.path(tenant, id),
            bytes: Vec::new(),
            attachment: Attachment {
                id,
                file_name: file_name.to_owned(),
                content_type: content_type.unwrap_or("application/octet-stream").to_owned(),
                size: 0,
            },
        }))
    }
    fn path(&self, tenant: TenantIndex, id: Uuid) -> PathBuf {
        self.0.join(format!("media-{}-{id}", tenant.0))
    }
    async fn delete(&self, tenant: TenantIndex, id: Uuid) -> Result<(), MediaError> {
        match std::fs::remove_file(self.path(tenant, id)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }
}
