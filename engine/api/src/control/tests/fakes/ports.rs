//! Every port but the store.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use async_trait::async_trait;
use pombo_domain::model::Attachment;
use pombo_domain::ports::*;
use pombo_domain::{ConnectorIndex, Error, FieldProblem, TenantIndex, Timestamp};
use serde_json::{Value, json};
use uuid::Uuid;

/// A clock that a test moves. Sleeping moves it, so that nothing waits.
pub(in crate::control::tests) struct ManualClock(AtomicI64);

impl ManualClock {
    pub(super) fn at(start: Timestamp) -> Self {
        Self(AtomicI64::new(start.0))
    }
    pub(in crate::control::tests) fn advance(&self, ms: i64) {
        self.0.fetch_add(ms, Ordering::SeqCst);
    }
}

#[async_trait]
impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
    async fn sleep_until(&self, at: Timestamp) {
        self.0.fetch_max(at.0, Ordering::SeqCst);
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

/// One plugin, `connector-email`: wants a `host`, has the secret `password`, takes recipients with an `@`.
#[derive(Default)]
pub(in crate::control::tests) struct FakeConnectors {
    /// What is running, as it was started.
    pub(in crate::control::tests) running: Mutex<BTreeMap<ConnectorIndex, ConnectorSpec>>,
    /// What starting fails with.
    pub(in crate::control::tests) fails_to_start: Mutex<Option<String>>,
}

#[async_trait]
impl Connectors for FakeConnectors {
    fn plugins(&self) -> Vec<PluginDescription> {
        vec![PluginDescription {
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
        }]
    }
    fn check_config(&self, _plugin: &str, config: &Value) -> Result<(), Vec<FieldProblem>> {
        match config.get("host") {
            Some(Value::String(_)) => Ok(()),
            _ => Err(vec![FieldProblem { field: "host".to_owned(), message: "must be a text".to_owned() }]),
        }
    }
    async fn check_recipients(
        &self,
        _plugin: &str,
        recipients: Vec<String>,
    ) -> Result<Vec<Result<String, String>>, ConnectorError> {
        let check = |to: String| if to.contains('@') { Ok(to) } else { Err("must be an e-mail address".to_owned()) };
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
    fn session(&self, connector: ConnectorIndex) -> SessionState {
        match self.running.lock().expect("no test panics in it").contains_key(&connector) {
            true => SessionState::Connected,
            false => SessionState::Stopped,
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
