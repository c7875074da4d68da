//! Which plugins there are: those of the binary and those of the operator's folder, compiled, checked, and asked who they are.
//!
//! A plugin of the operator's that does not fit is refused with a reason and left out; one of the binary's is a broken build.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use pombo_domain::error::FieldProblem;
use pombo_domain::ports::PluginDescription;
use serde_json::Value;
use wasmtime::Engine;
use wasmtime::component::{HasSelf, Linker};

use crate::bindings::connector::{Connector, ConnectorPre};
use crate::bindings::renderer::RendererPre;
use crate::cache::{Cache, digest};
use crate::capability::{Capability, Grants};
use crate::options::Options;
use crate::state::{HostState, Services};
use crate::stateless::Checkers;
use crate::worlds;

/// A plugin file that was left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The operator's file.
    pub file: PathBuf,
    /// Why, for the operator.
    pub reason: String,
}

/// A connector plugin, ready to be instantiated.
pub(crate) struct ConnectorPlugin {
    pub(crate) name: Arc<str>,
    pub(crate) description: PluginDescription,
    /// See [`crate::capability::Hosts`].
    pub(crate) hosts: Vec<String>,
    pub(crate) grants: Grants,
    pub(crate) pre: ConnectorPre<HostState>,
    pub(crate) checkers: Checkers,
    /// Where it was loaded from; `None` for the binary's own.
    pub(crate) file: Option<PathBuf>,
    schema: jsonschema::Validator,
}

impl ConnectorPlugin {
    /// Checks a whole configuration. Fields are named as the caller wrote them, below `config`.
    pub(crate) fn check_config(&self, config: &Value) -> Result<(), Vec<FieldProblem>> {
        let problems: Vec<_> = self.schema.iter_errors(config).map(|e| field_problem(&e)).collect();
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }
}

fn field_problem(error: &jsonschema::ValidationError<'_>) -> FieldProblem {
    use jsonschema::error::ValidationErrorKind as Kind;
    let mut path: Vec<String> = vec!["config".to_owned()];
    let pointer = error.instance_path().to_string();
    path.extend(pointer.split('/').skip(1).map(|s| s.replace("~1", "/").replace("~0", "~")));
    // What a value was is left out: it may be a secret.
    let message = match error.kind() {
        Kind::Required { property } => {
            path.push(property.as_str().unwrap_or_default().to_owned());
            "is required".to_owned()
        }
        Kind::AdditionalProperties { unexpected } => {
            path.extend(unexpected.first().cloned());
            "is not a field of this plugin's configuration".to_owned()
        }
        Kind::Type { kind } => {
            use jsonschema::error::TypeKind;
            match kind {
                TypeKind::Single(t) => format!("must be of type {t}"),
                TypeKind::Multiple(_) => "is of the wrong type".to_owned(),
            }
        }
        Kind::Enum { options } => format!("must be one of {options}"),
        Kind::Minimum { limit } => format!("must be at least {limit}"),
        Kind::Maximum { limit } => format!("must be at most {limit}"),
        Kind::MinLength { limit } => format!("must have at least {limit} characters"),
        Kind::MaxLength { limit } => format!("must have at most {limit} characters"),
        Kind::Pattern { pattern } => format!("must match {pattern}"),
        Kind::Format { format } => format!("must be a valid {format}"),
        Kind::MinProperties { limit } => format!("must have at least {limit} fields"),
        _ => "does not fit this plugin's configuration".to_owned(),
    };
    FieldProblem { field: path.join("."), message }
}

/// All plugins.
pub(crate) struct Registry {
    pub(crate) connectors: RwLock<BTreeMap<String, Arc<ConnectorPlugin>>>,
    pub(crate) renderer: Option<(Arc<str>, RendererPre<HostState>)>,
    pub(crate) refused: Vec<Refused>,
    loader: Loader,
}

/// What a component turned out to be.
enum Loaded {
    Connector(Box<ConnectorPlugin>),
    Renderer(RendererPre<HostState>),
}

impl Registry {
    /// Loads everything. An operator's connector takes the place of the binary's own one of the same name. `Err` is a plugin
    /// of the binary's that does not load, with the reason.
    pub(crate) async fn load(
        engine: &Engine,
        cache: Cache,
        options: &Options,
        services: &Arc<Services>,
    ) -> Result<Self, (String, String)> {
        let linker = linker(engine).map_err(|e| ("the host's interfaces".to_owned(), format!("{e:#}")))?;
        let loader = Loader {
            engine: engine.clone(),
            linker,
            services: services.clone(),
            cache: Arc::new(Mutex::new(cache)),
            folder: options.plugin_dir.clone(),
            grants: options.grants.clone(),
        };
        let (mut connectors, mut renderer, mut refused) = (BTreeMap::new(), None, Vec::new());
        for file in options.plugin_dir.iter().flat_map(|dir| components(dir)) {
            let reason = match loader.load_file(&file).await {
                Ok(Loaded::Connector(plugin)) => add(&mut connectors, *plugin).err(),
                // The binary always carries one, and messages must not depend on which is found first.
                Ok(Loaded::Renderer(_)) => Some("there is a renderer already".to_owned()),
                Err(reason) => Some(reason),
            };
            refused.extend(reason.map(|reason| Refused { file, reason }));
        }
        for embedded in &options.embedded {
            if connectors.contains_key(embedded.name) {
                tracing::info!(plugin = embedded.name, "the operator's plugin is used in place of the binary's own");
                continue;
            }
            let bytes = Bytes::from_static(embedded.component);
            match loader.load(bytes, None, embedded.name).await {
                Ok(Loaded::Connector(plugin)) => add(&mut connectors, *plugin),
                Ok(Loaded::Renderer(_)) if renderer.is_some() => Err("there is a renderer already".to_owned()),
                Ok(Loaded::Renderer(pre)) => {
                    renderer = Some((embedded.name.into(), pre));
                    Ok(())
                }
                Err(reason) => Err(reason),
            }
            .map_err(|reason| (embedded.name.to_owned(), reason))?;
        }
        loader.cache.lock().prune();
        Ok(Self { connectors: RwLock::new(connectors), renderer, refused, loader })
    }

    pub(crate) fn find(&self, name: &str) -> Option<Arc<ConnectorPlugin>> {
        self.connectors.read().get(name).cloned()
    }

    /// The newer component of a plugin, loaded and checked but not yet used. `Err` is for the operator.
    pub(crate) async fn newer(&self, old: &ConnectorPlugin) -> Result<ConnectorPlugin, String> {
        let file = match (&old.file, &self.loader.folder) {
            (Some(file), _) => file.clone(),
            (None, Some(folder)) => folder.join(format!("{}.wasm", old.name)),
            (None, None) => return Err(embedded_only(&old.name, None)),
        };
        if old.file.is_none() && !file.exists() {
            return Err(embedded_only(&old.name, Some(&file)));
        }
        let shown = file.display();
        match self.loader.load_file(&file).await {
            Ok(Loaded::Connector(plugin)) if plugin.name == old.name => Ok(*plugin),
            Ok(Loaded::Connector(plugin)) => {
                Err(format!("{shown} holds the plugin {:?} and not {:?}", plugin.name, old.name))
            }
            Ok(Loaded::Renderer(_)) => Err(format!("{shown} holds a renderer")),
            Err(reason) => Err(format!("{shown}: {reason}")),
        }
    }

    /// Uses a plugin from now on.
    pub(crate) fn put(&self, plugin: Arc<ConnectorPlugin>) {
        self.connectors.write().insert(plugin.name.to_string(), plugin);
    }
}

fn embedded_only(name: &str, file: Option<&Path>) -> String {
    match file {
        Some(file) => {
            format!("the plugin {name:?} is the binary's own; put its newer version at {} first", file.display())
        }
        None => {
            format!("the plugin {name:?} is the binary's own, and no folder of plugins is set (sandbox.plugin_dir)")
        }
    }
}

fn add(connectors: &mut BTreeMap<String, Arc<ConnectorPlugin>>, plugin: ConnectorPlugin) -> Result<(), String> {
    let name = plugin.name.to_string();
    if connectors.contains_key(&name) {
        return Err(format!("a plugin named {name:?} is there already"));
    }
    tracing::info!(
        plugin = name,
        version = plugin.description.version,
        digest = plugin.description.digest,
        "plugin loaded"
    );
    connectors.insert(name, Arc::new(plugin));
    Ok(())
}

/// The `*.wasm` files of a folder, in the order of their names.
fn components(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = match std::fs::read_dir(dir) {
        Ok(entries) => entries.flatten().map(|e| e.path()).collect(),
        Err(error) => {
            tracing::error!(%error, dir = %dir.display(), "the folder of plugins cannot be read");
            Vec::new()
        }
    };
    files.retain(|p| p.extension().is_some_and(|e| e == "wasm"));
    files.sort();
    files
}

fn linker(engine: &Engine) -> wasmtime::Result<Linker<HostState>> {
    let mut linker = Linker::new(engine);
    Connector::add_to_linker::<_, HasSelf<HostState>>(&mut linker, |state| state)?;
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    Ok(linker)
}

/// What may be imported: our host interfaces, and WASI's, which lead nowhere.
fn offered(import: &str) -> bool {
    const OURS: [&str; 9] = ["log", "clock", "random", "kv", "http", "websocket", "smtp", "media", "events"];
    const WASI: [&str; 6] = ["cli", "clocks", "filesystem", "io", "random", "sockets"];
    let (package, rest) = import.split_once('/').unwrap_or((import, ""));
    let interface = rest.split('@').next().unwrap_or_default();
    match package {
        "pombo:host" => OURS.contains(&interface),
        // Types only.
        "pombo:connector" | "pombo:renderer" => interface == "types",
        _ => package.strip_prefix("wasi:").is_some_and(|p| WASI.contains(&p)),
    }
}

struct Loader {
    engine: Engine,
    linker: Linker<HostState>,
    services: Arc<Services>,
    cache: Arc<Mutex<Cache>>,
    /// The operator's plugins.
    folder: Option<PathBuf>,
    /// What they get, by name.
    grants: BTreeMap<String, Vec<Capability>>,
}

impl Loader {
    async fn load_file(&self, file: &Path) -> Result<Loaded, String> {
        let component = tokio::fs::read(file).await.map_err(|error| format!("cannot be read: {error}"))?;
        self.load(component.into(), Some(file), &file.display().to_string()).await
    }

    /// Compiles (off the async threads), checks and describes a component; `file` when it is an operator's.
    async fn load(&self, component: Bytes, file: Option<&Path>, label: &str) -> Result<Loaded, String> {
        let (engine, cache) = (self.engine.clone(), self.cache.clone());
        let compile = move || {
            let digest = digest(&component);
            cache.lock().load(&engine, &component, &digest).map(|component| (component, digest))
        };
        let (component, digest) = tokio::task::spawn_blocking(compile)
            .await
            .map_err(|_| "its compilation was broken off".to_owned())?
            .map_err(|e| format!("is no component that this engine can run: {e:#}"))?;
        let kind = component.component_type();
        let unknown: Vec<_> =
            kind.imports(&self.engine).map(|(name, _)| name.to_owned()).filter(|name| !offered(name)).collect();
        if !unknown.is_empty() {
            return Err(format!("imports what the engine does not offer: {}", unknown.join(", ")));
        }
        let pre = self
            .linker
            .instantiate_pre(&component)
            .map_err(|e| format!("imports what the engine does not offer: {e:#}"))?;
        if kind.get_export(&self.engine, "render-batch").is_some() {
            return RendererPre::new(pre).map(Loaded::Renderer).map_err(|e| format!("is no renderer: {e:#}"));
        }
        let pre = ConnectorPre::new(pre).map_err(|e| format!("is neither a connector nor a renderer: {e:#}"))?;
        let checkers = Checkers::new(&self.engine, label.into(), pre.clone(), self.services.clone());
        let said = checkers.describe().await.map_err(|e| format!("does not say who it is: {e}"))?;
        let hosts = said.hosts.clone();
        let wanted: Vec<Capability> = said.capabilities.iter().map(|c| Capability::from(*c)).collect();
        let description = worlds::connector::description(said, &digest)?;
        let schema = jsonschema::validator_for(&description.config_schema)
            .map_err(|e| format!("its configuration's schema is not valid: {e}"))?;
        let allowed = file.and_then(|_| self.grants.get(&description.name)).map(Vec::as_slice);
        Ok(Loaded::Connector(Box::new(ConnectorPlugin {
            name: description.name.as_str().into(),
            grants: Grants::of(&wanted, allowed),
            description,
            hosts,
            pre,
            checkers,
            file: file.map(Path::to_owned),
            schema,
        })))
    }
}
