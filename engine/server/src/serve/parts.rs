//! Builds each part from the configuration: the only place where the configuration's words become the parts' options.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use pombo_api::ApiOptions;
use pombo_api::media_links::MediaLinks;
use pombo_domain::backoff::{Backoff, Jitter};
use pombo_domain::commands::access::authenticate::LoginLimits;
use pombo_domain::commands::campaigns::{CampaignPolicy, PriceTable};
use pombo_domain::commands::connectors::lookups::LookupPace;
use pombo_domain::commands::media_files::FilePolicy;
use pombo_domain::commands::{Commands, PluginPolicy, Ports, Unsigned};
use pombo_domain::model::rollout::RolloutRules;
use pombo_domain::model::{FileUse, PluginKind};
use pombo_domain::ports::{AttachmentFetcher, AutomationStore, HookForm, Store, StoreHealth};
use pombo_imports::ImportWorkerOptions;
use pombo_sandbox::{Capability, Sandbox};
use pombo_scheduler::rules::retry::RetryPolicy;
use pombo_store::DiskStore;
use pombo_zapini::ZapiniOptions;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::views::{FileLinks, Sessions, WebhookSecrets};
use crate::adapters::clock::SystemClock;
use crate::adapters::entropy::OsEntropy;
use crate::adapters::fetcher::GuardedFetcher;
use crate::adapters::guard::Guard;
use crate::adapters::keys::RootKey;
use crate::adapters::kv::StoreKv;
use crate::adapters::media::DiskMedia;
use crate::adapters::operator::OperatorToken;
use crate::adapters::outbound;
use crate::adapters::passwords::Argon2Hasher;
use crate::adapters::proxies::AllowedProxies;
use crate::adapters::secrets::SealedSecrets;
use crate::adapters::webhooks::ReqwestWebhooks;
use crate::cli::COMPILE_COMPONENT;
use crate::compiled;
use crate::config::{self, Config};
use crate::demo::DemoMailbox;
use crate::shipped;

const MEBIBYTE: u64 = 1 << 20;

/// Makes the data folder, for its owner only.
pub(super) fn make_data_folder(config: &Config) -> anyhow::Result<()> {
    let dir = &config.data.dir;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .with_context(|| format!("data.dir: cannot create {}", dir.display()))
}

/// Opens the store, off the async threads.
pub(super) async fn store(config: &Config) -> anyhow::Result<Arc<DiskStore>> {
    let settings = &config.store;
    let options = pombo_store::Options {
        backend: pombo_store::FjallOptions {
            cache_bytes: settings.cache_mb * MEBIBYTE,
            memtable_bytes: settings.write_buffer_mb * MEBIBYTE,
            journal_bytes: settings.journal_mb * MEBIBYTE,
            workers: settings.workers,
        },
        search_bytes: settings.search_mb * MEBIBYTE,
        directory_bytes: settings.directory_mb * MEBIBYTE,
        ..pombo_store::Options::default()
    };
    let path = config.data.dir.clone();
    let open = move || pombo_store::open(options, &path, Arc::new(SystemClock), Arc::new(OsEntropy));
    let store = tokio::task::spawn_blocking(open).await??;
    if let StoreHealth::Failed(reason) = store.health() {
        bail!("the store does not accept writes: {reason}");
    }
    Ok(store)
}

/// The ports that need the operating system.
pub(super) struct Outside {
    client: reqwest::Client,
    guard: Guard,
    media: Arc<DiskMedia>,
    attachments: Arc<dyn AttachmentFetcher>,
    secrets: Arc<SealedSecrets>,
}

impl Outside {
    pub(super) fn new(config: &Config, root: &RootKey) -> anyhow::Result<Self> {
        let guard = Guard::new(&config.outbound.allow);
        let client = outbound::client(&config.outbound, &guard)?;
        let media = DiskMedia::open(config.in_data("media"), Arc::new(OsEntropy)).context("the media folder")?;
        let media = Arc::new(media);
        let fetcher = GuardedFetcher::new(client.clone(), guard.clone(), media.clone(), &config.outbound);
        let secrets = Arc::new(SealedSecrets::new(root));
        Ok(Self { client, guard, media, attachments: Arc::new(fetcher), secrets })
    }
}

/// Loads the plugins; compiles those that are new.
pub(super) async fn plugins(
    config: &Config,
    root: &RootKey,
    mailbox: Option<&DemoMailbox>,
    store: &Arc<DiskStore>,
    outside: &Outside,
    sessions: Arc<Sessions>,
    compiling: pombo_sandbox::Compiling,
) -> anyhow::Result<Arc<Sandbox>> {
    let settings = &config.sandbox;
    let mut private = settings.allow_private.clone();
    let mut plain = settings.smtp_plain_hosts.clone();
    if let Some(mailbox) = mailbox {
        // Of the demo only: its connectors may reach this machine.
        private.push(mailbox.smtp().ip().to_string());
        plain.push(mailbox.smtp().to_string());
    }
    let options = pombo_sandbox::Options {
        cache_dir: match settings.cache_dir.as_str() {
            "" => config.in_data("cache").join("plugins"),
            dir => dir.into(),
        },
        compiled_ahead: compiled::beside_program(),
        operator_dir: Some(settings.plugin_dir.as_str()).filter(|dir| !dir.is_empty()).map(Into::into),
        uploads_dir: config.in_data("plugins"),
        compile_command: compile_command(),
        embedded: shipped::PLUGINS.to_vec(),
        grants: grants(&settings.grants)?,
        smtp_plain_hosts: plain,
        http_plain_hosts: settings.http_plain_hosts.clone(),
        authorities: authorities(&settings.extra_ca)?,
        connect_to: connect_to(&settings.connect_to)?,
        limits: pombo_sandbox::Limits {
            memory_bytes: usize::try_from(settings.memory_mb * MEBIBYTE)?,
            cpu: Duration::from_millis(settings.cpu_deadline_ms),
            host_call: Duration::from_secs(settings.host_call_timeout_seconds),
            send: Duration::from_secs(settings.send_timeout_seconds),
            drain: Duration::from_secs(config.runtime.drain_seconds),
            instances: settings.max_instances,
            kv_bytes: settings.kv_max_mb * MEBIBYTE,
            session_wait: Duration::from_secs(settings.session_wait_seconds),
            starts_at_once: settings.starts_at_once,
            events_per_second: settings.events_per_second,
            event_bytes_per_second: settings.event_kb_per_second << 10,
            log_lines_per_second: settings.log_lines_per_second,
            restart_first: Duration::from_millis(settings.restart_first_ms),
            restart_max: Duration::from_millis(settings.restart_max_ms),
            uploads: upload_limits(config),
            automations: automation_limits(config),
            ..pombo_sandbox::Limits::default()
        },
        renderers: settings.renderers,
        compiling,
    };
    let ports = pombo_sandbox::Ports {
        clock: Arc::new(SystemClock),
        entropy: Arc::new(OsEntropy),
        kv: Arc::new(StoreKv(store.clone())),
        media: outside.media.clone(),
        links: Arc::new(file_links(config, root)),
        guard: Arc::new(Guard::new(&private)),
        proxies: Arc::new(AllowedProxies::new(settings.proxies, &settings.proxy_hosts)),
        events: sessions,
    };
    let sandbox = Sandbox::open(options, ports).await?;
    for refused in sandbox.refused() {
        tracing::warn!(file = %refused.file.display(), reason = refused.reason, "a plugin was not loaded");
    }
    Ok(Arc::new(sandbox))
}

/// Links to files with the key of the API's own, so that its route opens them.
fn file_links(config: &Config, root: &RootKey) -> FileLinks {
    let listen = config.http.listen;
    let known = !config.http.public_url.is_empty() || (!listen.ip().is_unspecified() && listen.port() != 0);
    let lifetime = Duration::from_secs(config.security.media_link_hours * 3600);
    FileLinks(known.then(|| MediaLinks::new(&root.derive("api"), &config.public_url(), lifetime)))
}

/// This very program compiles what is uploaded, in a process of its own. Without its path, this process does.
fn compile_command() -> Option<Vec<OsString>> {
    match std::env::current_exe() {
        Ok(program) => Some(vec![program.into(), COMPILE_COMPONENT.into()]),
        Err(error) => {
            tracing::warn!(%error, "this program's path is not known: uploaded plugins are compiled without a memory limit");
            None
        }
    }
}

fn upload_limits(config: &Config) -> pombo_sandbox::UploadLimits {
    let settings = &config.plugins;
    pombo_sandbox::UploadLimits {
        component_bytes: settings.component_max_mb * MEBIBYTE,
        compiles_at_once: settings.compiles_at_once,
        compile_time: Duration::from_secs(settings.compile_timeout_seconds),
        compile_cpu: Duration::from_secs(settings.compile_cpu_seconds),
        compile_memory: settings.compile_memory_mb * MEBIBYTE,
        ..pombo_sandbox::UploadLimits::default()
    }
}

fn automation_limits(config: &Config) -> pombo_sandbox::AutomationLimits {
    let settings = &config.automations;
    pombo_sandbox::AutomationLimits {
        instances_per_tenant: settings.in_flight_per_tenant,
        cpu: Duration::from_millis(settings.cpu_ms),
        cpu_most: Duration::from_millis(settings.cpu_max_ms),
        memory_bytes: settings.memory_mb * MEBIBYTE,
        memory_most: settings.memory_max_mb * MEBIBYTE,
        call: Duration::from_secs(settings.call_timeout_seconds),
        http: Duration::from_secs(settings.http_timeout_seconds),
        http_per_tenant: settings.http_per_tenant,
        tenant_cpu_permille: settings.tenant_cpu_percent.saturating_mul(10),
        tenant_cpu_burst: Duration::from_millis(settings.tenant_cpu_burst_ms),
        log_lines: config.plugins.log_lines,
        ..pombo_sandbox::AutomationLimits::default()
    }
}

fn file_policy(config: &Config) -> FilePolicy {
    let limits = &config.limits;
    let share = FileUse { files: limits.waiting_files, bytes: limits.waiting_files_mb * MEBIBYTE };
    FilePolicy { share, ..FilePolicy::default() }
}

fn plugin_policy(config: &Config) -> PluginPolicy {
    PluginPolicy {
        unsigned: match config.plugins.unsigned {
            config::Unsigned::All => Unsigned::All,
            config::Unsigned::Operator => Unsigned::Operator,
            config::Unsigned::None => Unsigned::Nobody,
        },
        max_bytes: config.plugins.component_max_mb * MEBIBYTE,
        versions: config.plugins.versions_kept,
        per_tenant: config.plugins.per_tenant,
    }
}

/// Makes the versions of connectors that were uploaded and activated the ones that run.
pub(super) async fn use_active_versions(store: &DiskStore, sandbox: &Sandbox) -> anyhow::Result<()> {
    for plugin in store.plugins()?.iter().filter(|plugin| plugin.kind == PluginKind::Connector) {
        let Some(digest) = &plugin.active else { continue };
        // The one that the binary brings goes on instead; the plugin says what should run.
        if let Err(error) = sandbox.use_version(&plugin.name, digest).await {
            tracing::error!(plugin = plugin.name, digest, %error, "an active version cannot be loaded");
        }
    }
    Ok(())
}

fn grants(settings: &BTreeMap<String, Vec<String>>) -> anyhow::Result<BTreeMap<String, Vec<Capability>>> {
    let mut grants = BTreeMap::new();
    for (plugin, names) in settings {
        let mut granted = Vec::new();
        for name in names {
            let Some(capability) = Capability::from_name(name) else {
                let known = Capability::ALL.map(Capability::name).join(", ");
                bail!("sandbox.grants.{plugin} has {name:?}; known are {known}");
            };
            granted.push(capability);
        }
        grants.insert(plugin.clone(), granted);
    }
    Ok(grants)
}

/// The use cases over all ports.
pub(super) fn commands(
    config: &Config,
    demo: bool,
    store: &Arc<DiskStore>,
    outside: &Outside,
    sandbox: &Arc<Sandbox>,
) -> Commands {
    let parallel = match config.security.password_hash_parallel {
        0 => std::thread::available_parallelism().map_or(2, usize::from),
        n => n,
    };
    let limits = LoginLimits {
        per_email_and_address: config.security.login_failures_per_account,
        per_address: config.security.login_failures_per_address,
        window_ms: i64::from(config.security.login_window_minutes) * 60_000,
    };
    Commands::new(Ports {
        store: store.clone(),
        clock: Arc::new(SystemClock),
        entropy: Arc::new(OsEntropy),
        passwords: Arc::new(Argon2Hasher::new(parallel)),
        secrets: outside.secrets.clone(),
        renderer: sandbox.renderers(),
        connectors: sandbox.clone(),
        guard: Arc::new(outside.guard.clone()),
        media: outside.media.clone(),
        attachments: outside.attachments.clone(),
        file_policy: file_policy(config),
        plugins: sandbox.plugins(),
        telemetry: sandbox.telemetry(),
        plugin_policy: plugin_policy(config),
    })
    .with_login_limits(limits)
    .with_campaigns(campaign_policy(config))
    .with_lookup_pace(LookupPace { burst: config.limits.lookups_at_once, per_hour: config.limits.lookups_per_hour })
    .with_plain_webhooks(demo || config.webhooks.plain_http)
}

fn campaign_policy(config: &Config) -> CampaignPolicy {
    let settings = &config.campaigns;
    let mut by_category: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
    let prices = settings.prices.iter().filter_map(|(key, price)| config::parse_price(key, price));
    for (category, beginning, price) in prices {
        by_category.entry(category.to_owned()).or_default().insert(beginning.to_owned(), price);
    }
    CampaignPolicy {
        prices: PriceTable { currency: settings.currency.clone(), by_category },
        stop_codes: settings.stop_codes.clone(),
    }
}

/// Starts the scheduler.
pub(super) async fn scheduler(
    config: &Config,
    root: &RootKey,
    store: &Arc<DiskStore>,
    outside: &Outside,
    sandbox: &Arc<Sandbox>,
    commands: &Commands,
    hook_form: Arc<dyn HookForm>,
) -> anyhow::Result<pombo_scheduler::Handle> {
    let (client, guard) = (outside.client.clone(), outside.guard.clone());
    let ports = pombo_scheduler::Ports {
        store: store.clone(),
        renderer: sandbox.renderers(),
        connectors: sandbox.clone(),
        clock: Arc::new(SystemClock),
        entropy: Arc::new(OsEntropy),
        webhooks: Arc::new(ReqwestWebhooks::new(client, guard)),
        hook_form,
        attachments: outside.attachments.clone(),
        plugins: sandbox.plugins(),
        telemetry: sandbox.telemetry(),
        seals: outside.secrets.clone(),
        secrets: Arc::new(webhook_secrets(root)),
        connector_writes: commands.connector_writes(),
    };
    Ok(pombo_scheduler::Scheduler::start(ports, scheduler_options(config)).await?)
}

fn webhook_secrets(root: &RootKey) -> WebhookSecrets {
    WebhookSecrets(root.derive("webhooks"))
}

/// What the API shows a tenant so that it can check signatures: what the scheduler signs with.
pub(super) fn webhook_secret(root: &RootKey) -> Arc<dyn Fn(pombo_domain::TenantIndex) -> Vec<u8> + Send + Sync> {
    let secrets = webhook_secrets(root);
    Arc::new(move |tenant| pombo_scheduler::SigningSecrets::webhook_secret(&secrets, tenant))
}

fn scheduler_options(config: &Config) -> pombo_scheduler::Options {
    let settings = &config.scheduler;
    let webhooks = &config.webhooks;
    let defaults = pombo_scheduler::Options::default();
    let backoff =
        Backoff { base_ms: settings.backoff_first_ms, max_ms: settings.backoff_max_ms, jitter: Jitter::Equal };
    let mut breaker = defaults.breaker.clone();
    breaker.open = Backoff { base_ms: settings.breaker_first_ms, max_ms: settings.breaker_max_ms, ..breaker.open };
    breaker.throttle_default_ms = settings.throttle_rest_ms;
    pombo_scheduler::Options {
        retry: RetryPolicy {
            max_attempts: settings.max_attempts,
            temporary: backoff,
            unknown: backoff,
            attachment: backoff,
            retry_later: settings.retry_later,
            ..defaults.retry
        },
        breaker,
        webhooks: pombo_scheduler::WebhookOptions {
            timeout_ms: webhooks.timeout_seconds * 1000,
            schedule_ms: webhooks.retry_seconds.iter().map(|s| s * 1000).collect(),
            running: webhooks.max_in_flight,
            running_per_host: webhooks.max_in_flight_per_host,
            ..defaults.webhooks
        },
        automations: automation_options(config),
        rollouts: pombo_scheduler::RolloutOptions {
            rules: RolloutRules {
                calls: config.plugins.canary_calls,
                canary_ms: i64::from(config.plugins.canary_seconds) * 1000,
                watch_ms: i64::from(config.plugins.watch_seconds) * 1000,
                ..RolloutRules::default()
            },
            ..defaults.rollouts
        },
        campaigns: pombo_scheduler::CampaignOptions { window: config.campaigns.window, batch: config.campaigns.batch },
        hearing: pombo_scheduler::HearingOptions {
            restarts: settings.restart_deaf,
            heartbeat_ms: (settings.heartbeat_hours > 0).then(|| i64::from(settings.heartbeat_hours) * 3_600_000),
        },
        window: settings.window,
        batch: settings.batch,
        fetches: settings.fetches,
        ..defaults
    }
}

fn automation_options(config: &Config) -> pombo_scheduler::AutomationOptions {
    let settings = &config.automations;
    pombo_scheduler::AutomationOptions {
        in_flight: settings.in_flight,
        in_flight_per_tenant: settings.in_flight_per_tenant,
        retry_ms: settings.retry_seconds.iter().map(|s| s * 1000).collect(),
        events_per_minute: settings.events_per_minute,
        record: settings.record,
        record_keep: settings.record_keep,
        ..pombo_scheduler::AutomationOptions::default()
    }
}

/// Settings of the facades.
pub(super) fn api_options(config: &Config, root: &RootKey, operator: &OperatorToken) -> ApiOptions {
    let limits = &config.limits;
    ApiOptions {
        public_url: config.public_url(),
        secret: root.derive("api").to_vec(),
        token_lifetime: Duration::from_secs(config.security.jwt_expiry_minutes * 60),
        media_link_lifetime: Duration::from_secs(config.security.media_link_hours * 3600),
        operator_token_hash: Some(operator.hash()),
        limits: pombo_api::Limits {
            json_bytes: limits.json_mb << 20,
            bulk_bytes: limits.bulk_mb << 20,
            multipart_bytes: limits.multipart_mb * MEBIBYTE,
            files: limits.files,
        },
    }
}

/// The settings of the Zapini API.
pub(super) fn zapini_options(config: &Config) -> ZapiniOptions {
    let zapini = &config.zapini;
    ZapiniOptions {
        rate_limit: zapini.rate_limit,
        rate_window: Duration::from_secs(u64::from(zapini.rate_window_minutes) * 60),
        cors_origins: zapini.cors_origins.clone(),
    }
}

/// Host names and the facades that are served at their roots.
pub(super) fn hosts(config: &Config) -> Vec<(String, String)> {
    config.http.hosts.iter().map(|(host, facade)| (host.clone(), facade.clone())).collect()
}

/// Where uploaded workbooks wait.
pub(super) fn import_options(config: &Config) -> ImportWorkerOptions {
    ImportWorkerOptions { folder: config.in_data("imports"), waiting: 16 }
}

/// The authorities in a PEM file; none without a file.
fn authorities(file: &str) -> anyhow::Result<Vec<Vec<u8>>> {
    if file.is_empty() {
        return Ok(Vec::new());
    }
    let wrong = || format!("sandbox.extra_ca: {file} does not contain certificates (PEM)");
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(file).with_context(wrong)?.collect();
    let found = found.with_context(wrong)?;
    anyhow::ensure!(!found.is_empty(), wrong());
    Ok(found.into_iter().map(|authority| authority.to_vec()).collect())
}

/// Where the hosts of `sandbox.connect_to` really are: each entry is `name=address:port`.
fn connect_to(entries: &[String]) -> anyhow::Result<BTreeMap<String, SocketAddr>> {
    let read = |entry: &String| {
        let (name, address) = entry.split_once('=')?;
        Some((name.trim().to_ascii_lowercase(), address.trim().parse().ok()?))
    };
    let wrong = |entry: &String| {
        format!("sandbox.connect_to: {entry:?} is not name=address:port, e.g. mail.example=10.0.0.5:465")
    };
    entries.iter().map(|entry| read(entry).with_context(|| wrong(entry))).collect()
}
