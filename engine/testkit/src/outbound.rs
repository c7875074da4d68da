//! The outside world: addresses, receivers of webhooks, servers of attachments.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use pombo_domain::TenantIndex;
use pombo_domain::model::Attachment;
use pombo_domain::ports::{
    AttachmentFetcher, Clock, HookForm, MediaStore, MediaWriter, OutboundError, OutboundGuard, ProxyPolicy, ToldEvent,
    WebhookClient,
};
use serde_json::{Value, json};

use crate::ManualClock;

/// Lets every http and https URL through other than those of hosts that begin with `forbidden`, `localhost` or `127.`, and
/// every address other than loopback.
pub struct OpenGuard;

impl OutboundGuard for OpenGuard {
    fn check_url(&self, url: &str) -> Result<(), OutboundError> {
        let host = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
        let host = host.ok_or_else(|| OutboundError::BadUrl("must be an http or https URL".to_owned()))?;
        match ["forbidden", "localhost", "127."].iter().any(|forbidden| host.starts_with(forbidden)) {
            true => Err(OutboundError::Forbidden),
            false => Ok(()),
        }
    }
    fn check_address(&self, address: IpAddr) -> bool {
        !address.is_loopback()
    }
}

/// Lets every URL and the loopback addresses through, for servers that a test runs itself; nothing at all, with `false`.
pub struct LoopbackGuard(pub bool);

impl OutboundGuard for LoopbackGuard {
    fn check_url(&self, _: &str) -> Result<(), OutboundError> {
        if self.0 { Ok(()) } else { Err(OutboundError::Forbidden) }
    }
    fn check_address(&self, address: IpAddr) -> bool {
        self.0 && address.is_loopback()
    }
}

/// Lets every proxy through that is on loopback; nothing at all, with `false`.
pub struct LoopbackProxies(pub bool);

impl ProxyPolicy for LoopbackProxies {
    fn check_proxy(&self, _: &str, _: u16) -> Result<(), String> {
        if self.0 { Ok(()) } else { Err("no proxies here".to_owned()) }
    }
    fn check_proxy_address(&self, _: &str, _: u16, address: IpAddr) -> bool {
        self.0 && address.is_loopback()
    }
}

/// A webhook as its receiver saw it.
#[derive(Clone, Debug)]
pub struct Hook {
    /// The URL that it was sent to.
    pub url: String,
    /// Its headers, in order.
    pub headers: Vec<(&'static str, String)>,
    /// Its body.
    pub body: Value,
}

/// What a receiver does with a webhook.
pub enum HookAct {
    /// Answers with this status.
    Answer(u16),
    /// Fails with this error.
    Fail(OutboundError),
    /// Answers only when the sender's patience is over.
    TimeOut,
}

type Receiver = Arc<dyn Fn(&Hook) -> HookAct + Send + Sync>;

/// Receivers of webhooks that do what a test says, and answer 200 otherwise.
pub struct ScriptedWebhooks {
    clock: ManualClock,
    receiver: Mutex<Option<Receiver>>,
    /// What was received, in order.
    pub hooks: Mutex<Vec<Hook>>,
}

impl ScriptedWebhooks {
    /// Receivers whose slowness is measured by `clock`.
    pub fn new(clock: ManualClock) -> Self {
        Self { clock, receiver: Mutex::new(None), hooks: Mutex::default() }
    }

    /// Sets what the receivers do from now on.
    pub fn act(&self, receiver: impl Fn(&Hook) -> HookAct + Send + Sync + 'static) {
        *self.receiver.lock() = Some(Arc::new(receiver));
    }

    /// The statuses that `url` was told, in order.
    pub fn told(&self, url: &str) -> Vec<String> {
        let hooks = self.hooks.lock();
        hooks.iter().filter(|h| h.url == url).map(|h| h.body["status"].as_str().unwrap_or("").to_owned()).collect()
    }
}

#[async_trait]
impl WebhookClient for ScriptedWebhooks {
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

/// Tells of an event its `kind`, its number (`event`), its `text`, where it has one, and the kind of the session's event `before`; the
/// headers are `x-kind` and the `x-digest`.
pub struct PlainForm;

impl HookForm for PlainForm {
    fn body(&self, told: &ToldEvent<'_>) -> Option<String> {
        let text = told.item.and_then(|item| item.entry.text());
        let before = told.before.map(|before| before.event.body.kind());
        let number = told.event.key.serial;
        Some(json!({"kind": told.kind.as_str(), "event": number, "text": text, "before": before}).to_string())
    }
    fn headers(&self, told: &ToldEvent<'_>, digest: &str) -> Vec<(&'static str, String)> {
        vec![("x-kind", told.kind.to_string()), ("x-digest", digest.to_owned())]
    }
}

/// Fetches attachments: fails with the given errors, one after the other, then succeeds with a file.
pub struct ScriptedFetcher {
    clock: ManualClock,
    /// The errors of the next fetches.
    pub answers: Mutex<VecDeque<OutboundError>>,
    /// How long a fetch takes, in milliseconds.
    pub took_ms: i64,
    /// How many fetches have ended.
    pub fetched: Mutex<usize>,
}

impl ScriptedFetcher {
    /// A fetcher that takes ten milliseconds of `clock`.
    pub fn new(clock: ManualClock) -> Self {
        Self { clock, answers: Mutex::default(), took_ms: 10, fetched: Mutex::default() }
    }
}

#[async_trait]
impl AttachmentFetcher for ScriptedFetcher {
    async fn receive(&self, _: TenantIndex, _: &str, _: u64) -> Result<Box<dyn MediaWriter>, OutboundError> {
        Err(OutboundError::BadAnswer("this double has no bytes; see ServingFetcher".to_owned()))
    }
    async fn fetch(&self, _: TenantIndex, _: &str, _: u64) -> Result<Attachment, OutboundError> {
        self.clock.sleep_until(self.clock.now().plus_ms(self.took_ms)).await;
        *self.fetched.lock() += 1;
        match self.answers.lock().pop_front() {
            Some(error) => Err(error),
            None => Ok(crate::samples::attachment()),
        }
    }
}

/// Receives the files that a test put under their URLs, with their bytes. Any other URL is answered with 404.
pub struct ServingFetcher {
    media: Arc<dyn MediaStore>,
    files: Mutex<BTreeMap<String, (String, Vec<u8>)>>,
}

impl ServingFetcher {
    /// A fetcher into this store, with no files.
    pub fn new(media: Arc<dyn MediaStore>) -> Self {
        Self { media, files: Mutex::default() }
    }

    /// Puts a file with this name under `url`.
    pub fn put(&self, url: &str, file_name: &str, bytes: &[u8]) {
        self.files.lock().insert(url.to_owned(), (file_name.to_owned(), bytes.to_vec()));
    }
}

#[async_trait]
impl AttachmentFetcher for ServingFetcher {
    async fn receive(&self, tenant: TenantIndex, url: &str, most: u64) -> Result<Box<dyn MediaWriter>, OutboundError> {
        let found = self.files.lock().get(url).cloned();
        let (name, bytes) = found.ok_or_else(|| OutboundError::BadAnswer("the server answered 404".to_owned()))?;
        let mut writer = self.media.create(tenant, &name, None, most).await?;
        writer.write(&bytes).await?;
        Ok(writer)
    }
}
