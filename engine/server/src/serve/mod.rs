//! `pombo serve`: wires the parts, runs them, and ends them in order.
//!
//! - [`parts`]: builds each part from the configuration. [`views`]: adapters between parts. [`samples`]: their metrics.
//! - [`starting`]: answers until all parts run. [`retention`]: deletes old events. [`purge`]: deletes old messages,
//!   what deleted conversations left, and stored files that expired. [`signals`]: when to end.
//!
//! The order of the start: listen (so that a port in use is reported at once; `/health` and `/ready` answer, other early requests wait),
//! store, keys, sandbox, connectors, scheduler, requests. The end is the reverse: requests and scheduler together, within the time to
//! drain, then the connectors, then their last events, then the store.

mod parts;
mod purge;
mod retention;
mod samples;
mod signals;
mod starting;
mod views;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use poem::EndpointExt;
use pombo_aidesk::AideskDeps;
use pombo_api::signals::EventSignals;
use pombo_api::{ApiState, application};
use pombo_control::{ControlDeps, NotReady};
use pombo_imports::ImportWorker;
use pombo_sandbox::Compiling;
use pombo_sendsync::SendsyncDeps;
use pombo_zapini::ZapiniDeps;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use self::starting::Starting;
use crate::adapters::clock::SystemClock;
use crate::adapters::keys::RootKey;
use crate::adapters::operator::OperatorToken;
use crate::cli::ServeArgs;
use crate::config::{self, Config, Overrides};
use crate::demo::DemoMailbox;
use crate::facades::{self, Given};
use crate::http::{Limits, Listener, TrustedProxies};
use crate::telemetry;
use crate::telemetry::metrics::{HttpMetrics, Metrics};

/// Loads the configuration, starts the runtime and serves until a signal.
pub(crate) fn run(args: &ServeArgs, started: Instant) -> anyhow::Result<()> {
    let overrides = Overrides { data: args.data.clone(), listen: args.listen };
    let config = config::load(args.config.as_deref(), config::environment(), &overrides)?;
    telemetry::log::install(&config.log)?;
    // The process's default, for libraries that ask for one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    if config.runtime.worker_threads > 0 {
        runtime.worker_threads(config.runtime.worker_threads);
    }
    let runtime = runtime.enable_all().thread_name("pombo").build().context("the runtime")?;
    let result = runtime.block_on(serve(&config, args.demo, started));
    // What still runs (a plugin in an endless loop, a hanging look-up of a name) must not hold up the end.
    runtime.shutdown_timeout(Duration::from_secs(1));
    result
}

async fn serve(config: &Config, demo: bool, started: Instant) -> anyhow::Result<()> {
    let draining = CancellationToken::new();
    signals::watch(draining.clone()).context("signals")?;
    let listen = config.http.listen;
    let listener = Listener::bind(listen).with_context(|| format!("http.listen: cannot listen on {listen}"))?;
    let address = listener.address();
    let compiling = Compiling::default();
    let starting = Starting::new({
        let compiling = compiling.clone();
        move || waits_for(&compiling)
    });
    let drain = Duration::from_secs(config.runtime.drain_seconds);
    let (limits, proxies) = (Limits::from(&config.http), TrustedProxies::new(&config.http.trusted_proxies));
    let http_metrics = HttpMetrics::default();
    let endpoint = starting.clone().boxed();
    let serving = listener.serve(endpoint, limits, proxies, http_metrics.clone(), draining.clone(), drain);
    let http = Http { starting, compiling, serving: tokio::spawn(serving), metrics: http_metrics, address };
    parts::make_data_folder(config)?;
    let store = parts::store(config).await?;
    let opened = started.elapsed();
    let outcome = with_store(config, demo, started, opened, http, draining, Arc::clone(&store)).await;
    // Also after a start that failed: what was written so far must be on disk.
    let closed = tokio::task::spawn_blocking(move || store.close()).await?;
    outcome?;
    closed.context("the store did not close")?;
    tracing::info!("stopped");
    Ok(())
}

/// The listener, which answers from the first moment on.
struct Http {
    starting: Starting,
    compiling: Compiling,
    serving: JoinHandle<()>,
    metrics: HttpMetrics,
    address: SocketAddr,
}

/// What stands between the process and its first answer.
fn waits_for(compiling: &Compiling) -> Vec<NotReady> {
    let names = compiling.names();
    let (part, reason) = match names.as_slice() {
        [] => ("engine", "it is starting".to_owned()),
        names => ("plugins", format!("being compiled for this machine: {}", names.join(", "))),
    };
    vec![NotReady { part: part.to_owned(), reason }]
}

async fn with_store(
    config: &Config,
    demo: bool,
    started: Instant,
    opened: Duration,
    http: Http,
    draining: CancellationToken,
    store: Arc<pombo_store::DiskStore>,
) -> anyhow::Result<()> {
    let root = RootKey::open(&config.data.dir, &config.security)?;
    let operator = OperatorToken::open(&config.data.dir, &config.security)?;
    if operator.made {
        tracing::info!("a token for the operator was created; it is in operator.token in the data folder");
    }
    let mailbox = if demo { Some(DemoMailbox::start(config).await?) } else { None };
    let outside = parts::Outside::new(config, &root)?;
    let events = Arc::new(EventSignals::new(draining.clone()));
    let sessions = Arc::new(views::Sessions::new(store.clone(), events.clone()));
    let plugins =
        parts::plugins(config, &root, mailbox.as_ref(), &store, &outside, Arc::clone(&sessions), http.compiling)
            .await?;
    let commands = parts::commands(config, demo, &store, &outside, &plugins);
    commands.install_embedded().await?;
    parts::use_active_versions(&store, &plugins).await?;
    let loaded = started.elapsed();

    for failure in commands.start_connectors().await? {
        let (id, plugin, reason) = (failure.id, failure.plugin, failure.reason);
        tracing::warn!(connector = %id, plugin, reason, "a connector did not start");
    }
    let api_options = parts::api_options(config, &root, &operator);
    let hook_form = facades::hook_form(&api_options);
    let scheduler = parts::scheduler(config, &root, &store, &outside, &plugins, &commands, hook_form).await?;
    sessions.open(scheduler.intake())?;
    let forgetting =
        retention::run(store.clone(), Arc::new(SystemClock), config.events.retention_days, draining.clone());
    let forgetting = tokio::spawn(forgetting);
    let forgetting_tokens = tokio::spawn(retention::forget_tokens(commands.clone(), draining.clone()));
    let forgetting_stats = tokio::spawn(retention::forget_stats(commands.clone(), draining.clone()));
    let settings = Arc::new(purge::SettingsSignal::default());
    scheduler.add_observer(settings.clone());
    let (media, clock) = (commands.media().clone(), Arc::new(SystemClock));
    let purging = purge::run(store.clone(), media, clock, settings, draining.clone());
    let purging = tokio::spawn(purging);
    let (imports, importing) = ImportWorker::start(commands.clone(), parts::import_options(config), draining.clone())
        .await
        .context("imports")?;
    if let Some(mailbox) = &mailbox {
        mailbox.provide(config, &commands, operator.text()).await?;
    }

    let sources = samples::all(&store, &scheduler, &plugins);
    let metrics = Arc::new(Metrics::new(started, &http.metrics, sources));
    let state = ApiState::new(commands, api_options);
    scheduler.add_observer(events.clone());
    let control_deps = ControlDeps {
        pace: Arc::new(scheduler.clone()),
        hearing: Arc::new(scheduler.clone()),
        readiness: Arc::new(views::Ready { store: store.clone(), draining: draining.clone() }),
        metrics: Arc::new(move || metrics.text()),
        webhook_secret: parts::webhook_secret(&root),
        webhook_tests: Arc::new(scheduler.clone()),
        imports: Arc::new(imports),
        lists: Arc::new(pombo_imports::ListReader::default()),
        events,
    };
    let template = || pombo_imports::template().map_err(|error| error.to_string());
    let given = Given {
        zapini: Arc::new(ZapiniDeps {
            pace: Arc::new(scheduler.clone()),
            started: state.commands.now(),
            send_wait: Duration::from_secs(config.zapini.send_wait_seconds),
        }),
        zapini_options: parts::zapini_options(config),
        aidesk: Arc::new(AideskDeps {
            pace: Arc::new(scheduler.clone()),
            send_wait: Duration::from_secs(config.aidesk.send_wait_seconds),
        }),
        sendsync: Arc::new(SendsyncDeps { template, pace: Arc::new(scheduler.clone()) }),
        control: Arc::new(control_deps),
        state,
    };
    let facades = facades::ALL.iter().map(|entry| (entry.serve)(&given)).collect();
    http.starting.open(application(facades, &parts::hosts(config)).boxed());
    tracing::info!(
        address = %http.address,
        version = env!("CARGO_PKG_VERSION"),
        ready_ms = millis(started.elapsed()),
        store_ms = millis(opened),
        plugins_ms = millis(loaded - opened),
        "ready"
    );

    draining.cancelled().await;
    let drain = Duration::from_secs(config.runtime.drain_seconds);
    let by = tokio::time::Instant::now() + drain;
    let (served, all_sent) = tokio::join!(http.serving, scheduler.drain(drain));
    served.context("the listener")?;
    if !all_sent {
        tracing::warn!(
            "sends were still running when the drain time ended; the next start decides what happens to them"
        );
    }
    let left = || by.saturating_duration_since(tokio::time::Instant::now()).max(Duration::from_secs(1));
    if tokio::time::timeout(left(), importing).await.is_err() {
        tracing::warn!("an import was still running when the drain time ended; it continues at the next start");
    }
    forgetting.await.context("the retention of events")?;
    forgetting_tokens.await.context("the retention of access tokens")?;
    forgetting_stats.await.context("the retention of counts")?;
    purging.await.context("the purge of conversations")?;
    plugins.shutdown(left()).await;
    // Last: connectors tell until they have stopped.
    if !scheduler.intake().drain(left()).await {
        tracing::warn!("the connectors' last events were not stored in time; the connectors emit them again");
    }
    Ok(())
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
