//! Uploaded components and automations, with real guests: `target/hostile/automation-*.wasm`.

mod calls;
mod fairness;
mod made;
mod outside;
mod uploads;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pombo_domain::model::{Inbound, InboundContent, TaskBody, Wants};
use pombo_domain::ports::{
    Action, AutomationCall, CallEvent, CallFailure, Inspected, Outcome, PluginEngine, SendContent,
};
use pombo_domain::{AutomationIndex, TenantIndex, Timestamp};
use pombo_sandbox::{Options, PluginKv, Plugins, Sandbox};
use serde_json::{Value, json};
use tempfile::TempDir;
use uuid::Uuid;

use crate::support::{Wish, built, options, ports};

/// A sandbox for automations.
pub(crate) struct Bench {
    pub(crate) sandbox: Sandbox,
    pub(crate) plugins: Arc<Plugins>,
    pub(crate) kv: Arc<dyn PluginKv>,
    pub(crate) folder: TempDir,
    options: Options,
}

/// Copies what is there.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("readable").flatten() {
        std::fs::copy(entry.path(), to.join(entry.file_name())).expect("copied");
    }
}

/// A folder with the renderer's compiled code: what takes time is done once for all tests.
async fn warm() -> &'static PathBuf {
    static WARM: tokio::sync::OnceCell<PathBuf> = tokio::sync::OnceCell::const_new();
    let making = async {
        let folder = std::env::temp_dir().join(format!("pombo-automation-tests-{}", std::process::id()));
        let mut options = options(&folder, &Wish::default());
        options.embedded.truncate(1);
        options.cache_dir = folder.join("cache");
        Sandbox::open(options, ports(&folder, true).0).await.expect("opens");
        folder.join("cache")
    };
    WARM.get_or_init(|| making).await
}

pub(crate) async fn bench(change: impl FnOnce(&mut Options)) -> Bench {
    let folder = tempfile::tempdir().expect("a folder");
    let mut options = options(folder.path(), &Wish::default());
    options.embedded.truncate(1);
    options.cache_dir = folder.path().join("cache");
    change(&mut options);
    copy(warm().await, &options.cache_dir);
    open(folder, options).await
}

async fn open(folder: TempDir, options: Options) -> Bench {
    let (ports, _) = ports(folder.path(), true);
    let kv = ports.kv.clone();
    let sandbox = Sandbox::open(options.clone(), ports).await.expect("opens");
    Bench { plugins: sandbox.plugins(), sandbox, kv, folder, options }
}

impl Bench {
    /// The same folders, opened again.
    pub(crate) async fn reopened(self, change: impl FnOnce(&mut Options)) -> Self {
        let Self { sandbox, plugins, kv: _, folder, mut options } = self;
        drop((sandbox, plugins));
        change(&mut options);
        open(folder, options).await
    }

    pub(crate) async fn probe(&self) -> Inspected {
        self.plugins.inspect(built("hostile/automation-probe.wasm").into()).await.expect("fits")
    }

    /// What the probe answers when it is told to do something.
    pub(crate) async fn told(&self, probe: &Inspected, text: &str) -> Result<Outcome, CallFailure> {
        self.plugins.call(call(probe, 1, text)).await.outcome
    }

    /// The text that the probe sends then.
    pub(crate) async fn says(&self, probe: &Inspected, text: &str) -> String {
        said(self.told(probe, text).await.expect(text))
    }
}

/// The text of the one message in it.
pub(crate) fn said(outcome: Outcome) -> String {
    match &outcome.actions[..] {
        [Action::Send(send)] => match &send.content {
            SendContent::Text(text) => text.clone(),
            other => panic!("sends {other:?}"),
        },
        other => panic!("does {other:?}"),
    }
}

pub(crate) fn call(plugin: &Inspected, tenant: u32, text: &str) -> AutomationCall {
    with_body(plugin, tenant, TaskBody::Message(message(text)))
}

pub(crate) fn message(text: &str) -> Inbound {
    let (sent_at, content) = (Timestamp(1_700_000_000_000), InboundContent::Text(text.to_owned()));
    Inbound { sent_at, content, ..pombo_testkit::samples::inbound("5511999990000", "3EB0") }
}

pub(crate) fn with_body(plugin: &Inspected, tenant: u32, body: TaskBody) -> AutomationCall {
    AutomationCall {
        digest: plugin.digest.as_str().into(),
        plugin: plugin.name.as_str().into(),
        tenant: TenantIndex(tenant),
        automation: AutomationIndex(tenant),
        id: Uuid::from_u128(u128::from(tenant)),
        config: json!({"greeting": "olá"}).to_string().into(),
        secrets: Arc::new(BTreeMap::from([("password".to_owned(), "s3cret".to_owned())])),
        grants: Arc::new(plugin.wants.clone()),
        event: Arc::new(CallEvent {
            id: Uuid::from_u128(0xe),
            at: Timestamp(1_700_000_000_000),
            attempt: 1,
            conversation: Uuid::from_u128(0xc),
            connector: Uuid::from_u128(0xd),
            channel: "whatsapp".to_owned(),
            chat: "5511999990000".to_owned(),
            is_group: false,
            contact_name: Some("Ana".to_owned()),
            tags: vec!["vip".to_owned()],
            assignee: None,
            opened_at: Timestamp(1_690_000_000_000),
            body,
        }),
        state: None,
        now: Timestamp(1_700_000_000_123),
        seed: 42,
        replay: None,
    }
}

/// With other grants.
pub(crate) fn granted(mut call: AutomationCall, change: impl FnOnce(&mut Wants)) -> AutomationCall {
    let mut grants = Wants::clone(&call.grants);
    change(&mut grants);
    call.grants = Arc::new(grants);
    call
}

/// With another configuration.
pub(crate) fn configured(mut call: AutomationCall, config: &Value) -> AutomationCall {
    call.config = config.to_string().into();
    call
}
