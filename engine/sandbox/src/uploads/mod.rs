//! Uploaded components: the `PluginEngine` port.
//!
//! # Layout
//! - [`Plugins`] takes uploads through their checks (`inspect/`), keeps them (`kept.rs`), and loads automations when they are called
//!   (`loaded.rs`); the calls themselves are in `crate::automation`.
//!
//! # Who runs where
//! Components are looked at and compiled off the async threads.
//!
//! # Invariants
//! - Compiled code is only ever loaded for a component that was checked by this engine.
//!
//! This module must not know what is done with an answer, nor when an event is handled again.

pub(crate) mod inspect;
mod kept;
pub(crate) mod loaded;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use pombo_domain::model::{PluginKind, Wants};
use pombo_domain::ports::{AutomationCall, CallFailure, CallResult, Inspected, PluginEngine, UploadRefusal};
use pombo_domain::{Field, FieldProblem};
use serde_json::Value;
use tokio::sync::Semaphore;
use wasmtime::Engine;
use wasmtime::component::{Component, Linker};

use self::inspect::compile::{Compiler, Failed, Work};
use self::inspect::{schema, walk, world};
use self::kept::Kept;
use self::loaded::{Loaded, Ready};
use crate::automation::call::Calls;
use crate::automation::fairness::Fairness;
use crate::automation::slices::Slices;
use crate::automation::state::CallState;
use crate::cache::{Cache, digest};
use crate::instances::StatelessPool;
use crate::limits::{Limits, cut};
use crate::options::{Embedded, Options};
use crate::precompile::Origin;
use crate::registry;
use crate::state::{HostState, Services};
use crate::worlds::{self, accepted};
use crate::{precompile, wasi};

/// Components that are looked at at once.
const WALKS: usize = 2;
/// Configurations that are checked at once, and how long one may take.
const CONFIG_CHECKS: usize = 2;
const CONFIG_TIME: Duration = Duration::from_secs(5);
/// How deep a configuration may be nested.
const CONFIG_DEPTH: usize = 32;

/// The uploaded components and the automations that run in them.
pub struct Plugins {
    calls: Calls,
    linker: Linker<CallState>,
    cache: Cache,
    connectors: Connectors,
    kept: Arc<Kept>,
    compiler: Compiler,
    ready: Ready,
    /// Components that are being checked.
    checking: AtomicUsize,
    walks: Semaphore,
    configs: Arc<Semaphore>,
    embedded: Vec<Inspected>,
    limits: Limits,
}

/// What is needed to check an uploaded connector.
struct Connectors {
    engine: Engine,
    linker: Linker<HostState>,
    cache: Cache,
}

/// Why the plugins cannot be opened.
#[derive(Debug)]
pub(crate) enum NotOpened {
    /// The WebAssembly engine.
    Engine(String),
    /// The folder of uploads, and why it cannot be used.
    Folder(PathBuf, std::io::Error),
    /// A plugin of the binary: its name, and why.
    Embedded(String, String),
}

/// What a component was found to be.
enum Found {
    Automation(Arc<Loaded>),
    Connector(Box<Inspected>),
}

/// Counts one check while it lives.
struct Checking<'p>(&'p AtomicUsize);

impl Drop for Checking<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

fn unfit(why: impl Into<String>) -> UploadRefusal {
    UploadRefusal::Unfit(why.into())
}

impl Plugins {
    /// Opens the folder, and checks the automations among the binary's own plugins; gives back the plugins that are not automations.
    pub(crate) async fn open(
        options: &Options,
        services: &Arc<Services>,
        connectors: &Engine,
        cache: &Cache,
    ) -> Result<(Self, Vec<Embedded>), NotOpened> {
        let failed = |error: wasmtime::Error| NotOpened::Engine(format!("{error:#}"));
        let limits = options.limits.clone();
        let engine = crate::engine::automations(&limits).map_err(failed)?;
        let slices = Slices::start(&engine).map_err(|e| NotOpened::Engine(e.to_string()))?;
        let mut linker = Linker::new(&engine);
        accepted::AUTOMATIONS.link(&mut linker).map_err(failed)?;
        let folder = |error| NotOpened::Folder(options.uploads_dir.clone(), error);
        let (kept, digests) = Kept::open(&options.uploads_dir).map_err(folder)?;
        let (own, theirs) = (cache.of(&engine), cache.of(connectors));
        for digest in &digests {
            // Either may have its code; neither is pruned.
            own.path(digest);
            theirs.path(digest);
        }
        let connectors = Connectors {
            engine: connectors.clone(),
            linker: registry::linker(connectors).map_err(failed)?,
            cache: theirs,
        };
        let fairness = Fairness::new(limits.automations.clone());
        let mut plugins = Self {
            calls: Calls { engine, services: services.clone(), fairness, slices },
            linker,
            cache: own,
            connectors,
            kept: Arc::new(kept),
            compiler: Compiler::new(options.compile_command.clone(), limits.uploads.clone()),
            ready: Ready::new(limits.automations.loaded),
            checking: AtomicUsize::new(0),
            walks: Semaphore::new(WALKS),
            configs: Arc::new(Semaphore::new(CONFIG_CHECKS)),
            embedded: Vec::new(),
            limits,
        };
        let (automations, others): (Vec<Embedded>, Vec<Embedded>) = options.embedded.iter().partition(|one| {
            walk::walk(&Bytes::from_static(one.component)).is_ok_and(|found| {
                world::kind(&found.imports, &found.exports).is_ok_and(|kind| kind == PluginKind::Automation)
            })
        });
        plugins.compile_for_start(options, &automations, &others).await;
        for one in automations {
            let inspected = plugins.inspect(Bytes::from_static(one.component)).await;
            let inspected = inspected.map_err(|why| NotOpened::Embedded(one.name.to_owned(), why.to_string()))?;
            plugins.embedded.push(inspected);
        }
        Ok((plugins, others))
    }

    /// Fills the cache with the code of the binary's plugins and of the operator's.
    async fn compile_for_start(&self, options: &Options, automations: &[Embedded], others: &[Embedded]) {
        let files = options.operator_dir.iter().flat_map(|dir| registry::components(dir));
        let files: BTreeMap<String, PathBuf> =
            files.filter_map(|file| Some((file.file_stem()?.to_str()?.to_owned(), file))).collect();
        let job = |kind, name: &str, origin| {
            let (engine, cache) = self.cache_of(kind);
            precompile::Job { name: name.to_owned(), origin, engine: engine.clone(), cache: cache.clone() }
        };
        let mut jobs: Vec<_> = automations
            .iter()
            .map(|one| job(PluginKind::Automation, one.name, Origin::Carried(one.component)))
            // One of the operator's with that name is used in its place.
            .chain(
                others
                    .iter()
                    .filter(|one| !files.contains_key(one.name))
                    .map(|one| job(PluginKind::Connector, one.name, Origin::Carried(one.component))),
            )
            .collect();
        jobs.extend(files.into_iter().map(|(name, file)| job(PluginKind::Connector, &name, Origin::File(file))));
        precompile::all(jobs, &options.compiling).await;
    }

    /// Looks at what a component is made of, and which kind of plugin it is.
    async fn looked_at(&self, component: &Bytes) -> Result<PluginKind, UploadRefusal> {
        // Never closed.
        let Ok(_turn) = self.walks.acquire().await else { return Err(UploadRefusal::Busy) };
        let bytes = component.clone();
        let walked = tokio::task::spawn_blocking(move || walk::walk(&bytes)).await;
        let found = walked.map_err(|_| unfit("its structure cannot be read"))?.map_err(UploadRefusal::Unfit)?;
        let kind = world::kind(&found.imports, &found.exports).map_err(UploadRefusal::Unfit)?;
        let most = match kind {
            PluginKind::Automation => self.limits.automations.memory_most,
            PluginKind::Connector => self.limits.memory_bytes as u64,
        };
        if found.memory > most {
            return Err(unfit(format!(
                "its memories begin with {} bytes; this engine gives at most {most}: ask for less at the start",
                found.memory
            )));
        }
        Ok(kind)
    }

    /// Links compiled code and has it describe itself.
    async fn automation(&self, component: &Component, digest: &str) -> Result<Arc<Loaded>, String> {
        let pre = wasi::instantiate_pre(&self.linker, component).map_err(|error| {
            format!("it imports what the engine does not offer: {}", cut(&format!("{error:#}"), 300))
        })?;
        let pre = accepted::AUTOMATIONS.adapt(&self.calls.engine, pre).map_err(|error| {
            format!(
                "its exports have other types than {}: {}; build it with the SDK of that version",
                accepted::AUTOMATIONS.accepted(),
                cut(&format!("{error:#}"), 300)
            )
        })?;
        let said = self.calls.describe(&pre, digest).await;
        let said = said.map_err(|why| format!("`describe` does not answer: {why}; it must work without any import"))?;
        let description = worlds::automation::description(said, &self.limits.automations)?;
        let schema = schema::compile(&description.config_schema)?;
        Ok(Loaded::new(pre, description, schema))
    }

    async fn connector(&self, component: &Component, digest: &str, size: u64) -> Result<Inspected, String> {
        let Connectors { engine, linker, .. } = &self.connectors;
        let pre = wasi::instantiate_pre(linker, component).map_err(|error| {
            format!("it imports what the engine does not offer: {}", cut(&format!("{error:#}"), 300))
        })?;
        let pre = accepted::CONNECTORS.adapt(engine, pre).map_err(|error| {
            format!(
                "its exports have other types than {}: {}; build it with the SDK of that version",
                accepted::CONNECTORS.accepted(),
                cut(&format!("{error:#}"), 300)
            )
        })?;
        let stateless = StatelessPool::new(engine, digest.into(), pre, self.calls.services.clone());
        let said = stateless.describe().await.map_err(|e| format!("`describe` does not answer: {e}"))?;
        let hosts = said.hosts.clone();
        let described = worlds::connector::description(said, digest)?;
        if !worlds::automation::is_name(&described.name) {
            return Err(
                "its name must be 2 to 63 lower-case letters, digits and dashes, and begin with a letter".to_owned()
            );
        }
        if semver::Version::parse(&described.version).is_err() {
            return Err(format!("its version {:?} is not a semantic version such as 1.2.3", described.version));
        }
        schema::compile(&described.config_schema)?;
        let wants = Wants { hosts, capabilities: described.capabilities.clone(), ..Wants::default() };
        let description = serde_json::json!({
            "name": described.name,
            "version": described.version,
            "displayName": described.display_name,
            "channel": described.channel,
            "configSchema": described.config_schema,
            "secretFields": described.secret_fields,
            "features": described.features,
            "needsSession": described.needs_session,
            "wants": {"hosts": wants.hosts, "capabilities": wants.capabilities},
        });
        Ok(Inspected {
            digest: digest.to_owned(),
            size,
            kind: PluginKind::Connector,
            name: described.name,
            version: described.version,
            display_name: described.display_name,
            wants,
            automation: None,
            description,
        })
    }

    fn cache_of(&self, kind: PluginKind) -> (&Engine, &Cache) {
        match kind {
            PluginKind::Automation => (&self.calls.engine, &self.cache),
            PluginKind::Connector => (&self.connectors.engine, &self.connectors.cache),
        }
    }

    /// The code of a component, compiled when it is not there.
    async fn code(&self, kind: PluginKind, from: PathBuf, digest: &str) -> Result<Component, UploadRefusal> {
        let (engine, cache) = self.cache_of(kind);
        if let Some(component) = cache.find(engine, digest) {
            return Ok(component);
        }
        let work = Work { kind, from, to: cache.path(digest) };
        match self.compiler.compile(work).await {
            Ok(()) => match cache.read(engine, digest) {
                Some(Ok(component)) => Ok(component),
                Some(Err(error)) => {
                    Err(unfit(format!("this engine has no room for it: {}", cut(&format!("{error:#}"), 300))))
                }
                None => Err(UploadRefusal::Storage("its compiled code is gone".to_owned())),
            },
            Err(Failed::Unfit(why)) => Err(UploadRefusal::Unfit(why)),
            Err(Failed::Engine(why)) => Err(UploadRefusal::Storage(why)),
        }
    }

    async fn found(
        &self,
        kind: PluginKind,
        component: &Component,
        digest: &str,
        size: u64,
    ) -> Result<Found, UploadRefusal> {
        let found = match kind {
            PluginKind::Automation => self.automation(component, digest).await.map(Found::Automation),
            PluginKind::Connector => {
                self.connector(component, digest, size).await.map(|inspected| Found::Connector(Box::new(inspected)))
            }
        };
        found.map_err(UploadRefusal::Unfit)
    }

    /// A kept automation, loaded when it is not ready.
    async fn loaded(&self, digest: &str) -> Result<Arc<Loaded>, String> {
        if let Some(loaded) = self.ready.get(digest) {
            return Ok(loaded);
        }
        let _one = self.ready.loading.lock().await;
        if let Some(loaded) = self.ready.get(digest) {
            return Ok(loaded);
        }
        let loaded = match self.cache.find(&self.calls.engine, digest).filter(|_| self.kept.has(digest)) {
            Some(component) => self.automation(&component, digest).await?,
            None => {
                let (kept, name) = (self.kept.clone(), digest.to_owned());
                let bytes = tokio::task::spawn_blocking(move || kept.read(&name)).await.ok().flatten();
                let bytes = bytes.ok_or_else(|| format!("the version {} is not there", cut(digest, 64)))?;
                let checked = self.kept.write(&bytes).map_err(|error| error.to_string())?;
                let code = self.code(PluginKind::Automation, checked.path().to_owned(), digest).await;
                self.automation(&code.map_err(|why| why.to_string())?, digest).await?
            }
        };
        self.ready.put(digest, loaded.clone());
        Ok(loaded)
    }
}

fn inspected(loaded: &Loaded, digest: &str, size: u64) -> Inspected {
    let description = &loaded.plugin.description;
    Inspected {
        digest: digest.to_owned(),
        size,
        kind: PluginKind::Automation,
        name: description.name.clone(),
        version: description.version.clone(),
        display_name: description.display_name.clone(),
        wants: description.wants.clone(),
        automation: Some(description.clone()),
        description: worlds::automation::shown(description),
    }
}

#[async_trait]
impl PluginEngine for Plugins {
    async fn inspect(&self, component: Bytes) -> Result<Inspected, UploadRefusal> {
        let most = self.limits.uploads.component_bytes;
        let size = component.len() as u64;
        if size > most {
            return Err(UploadRefusal::TooLarge(most));
        }
        let checking = Checking(&self.checking);
        if self.checking.fetch_add(1, SeqCst)
            >= self.limits.uploads.compiles_waiting + self.limits.uploads.compiles_at_once
        {
            return Err(UploadRefusal::Busy);
        }
        let kind = self.looked_at(&component).await?;
        let digest = digest(&component);
        let storage = |error: std::io::Error| UploadRefusal::Storage(error.to_string());
        let (kept, bytes) = (self.kept.clone(), component.clone());
        let written = tokio::task::spawn_blocking(move || kept.write(&bytes)).await;
        let checked =
            written.map_err(|_| UploadRefusal::Storage("writing it was interrupted".to_owned()))?.map_err(storage)?;
        let result = match self.code(kind, checked.path().to_owned(), &digest).await {
            Ok(code) => self.found(kind, &code, &digest, size).await,
            Err(refusal) => Err(refusal),
        };
        let found = match result {
            Ok(found) => found,
            Err(refusal) => {
                if !self.kept.has(&digest) {
                    self.cache_of(kind).1.forget(&digest);
                }
                return Err(refusal);
            }
        };
        self.kept.keep(checked, &digest).map_err(storage)?;
        drop(checking);
        Ok(match found {
            Found::Automation(loaded) => {
                let inspected = inspected(&loaded, &digest, size);
                self.ready.put(&digest, loaded);
                inspected
            }
            Found::Connector(inspected) => *inspected,
        })
    }

    async fn component(&self, digest: &str) -> Option<Bytes> {
        let (kept, digest) = (self.kept.clone(), digest.to_owned());
        tokio::task::spawn_blocking(move || kept.read(&digest)).await.ok().flatten()
    }

    async fn forget(&self, digest: &str) {
        if !kept::is_digest(digest) {
            return;
        }
        self.ready.remove(digest);
        self.kept.forget(digest);
        self.cache.forget(digest);
        self.connectors.cache.forget(digest);
        self.calls.services.telemetry.forget(digest);
    }

    async fn check_config(&self, digest: &str, config: &Value) -> Result<(), Vec<FieldProblem>> {
        let problem = |message: String| vec![FieldProblem::new(Field::Config, message)];
        let loaded = self.loaded(digest).await.map_err(|why| problem(format!("the plugin cannot be asked: {why}")))?;
        if schema::depth(config) > CONFIG_DEPTH {
            return Err(problem(format!("must not be nested more than {CONFIG_DEPTH} deep")));
        }
        let late = || problem("takes too long to check; use a simpler schema or a smaller configuration".to_owned());
        let Ok(Ok(turn)) = tokio::time::timeout(CONFIG_TIME, self.configs.clone().acquire_owned()).await else {
            return Err(late());
        };
        let config = config.clone();
        let check = tokio::task::spawn_blocking(move || {
            // Held until it is over, so that no more than a few threads are ever at it.
            let _turn = turn;
            let schema = &loaded.plugin.description.config_schema;
            let problems = loaded.schema.iter_errors(&config).take(100);
            problems.map(|error| registry::field_problem(&error, schema)).collect::<Vec<_>>()
        });
        match tokio::time::timeout(CONFIG_TIME, check).await {
            Ok(Ok(problems)) if problems.is_empty() => Ok(()),
            Ok(Ok(problems)) => Err(problems),
            Ok(Err(_)) | Err(_) => Err(late()),
        }
    }

    async fn call(&self, call: AutomationCall) -> CallResult {
        match self.loaded(&call.digest).await {
            Ok(loaded) => self.calls.call(&loaded.plugin, call).await,
            Err(why) => CallResult {
                outcome: Err(CallFailure::NotCalled(why)),
                inputs: Vec::new(),
                cpu: Duration::ZERO,
                memory: 0,
            },
        }
    }

    fn embedded(&self) -> Vec<Inspected> {
        self.embedded.clone()
    }
}
