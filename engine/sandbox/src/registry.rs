//! Which plugins there are: those of the binary and those of the operator's folder, compiled, checked, and asked who they are.
//!
//! A plugin of the operator's that does not fit is refused with a reason and left out; one of the binary's is a broken build.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pombo_domain::error::FieldProblem;
use pombo_domain::ports::PluginDescription;
use serde_json::Value;
use wasmtime::Engine;
use wasmtime::component::{Component, HasSelf, Linker};

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
    pub(crate) connectors: BTreeMap<String, Arc<ConnectorPlugin>>,
    pub(crate) renderer: Option<(Arc<str>, RendererPre<HostState>)>,
    pub(crate) refused: Vec<Refused>,
}

/// What a component turned out to be.
enum Loaded {
    Connector(Box<ConnectorPlugin>),
    Renderer(RendererPre<HostState>),
}

impl Registry {
    /// Loads everything. `Err` is a plugin of the binary's that does not load, with the reason.
    pub(crate) async fn load(
        engine: &Engine,
        cache: &mut Cache,
        options: &Options,
        services: &Arc<Services>,
    ) -> Result<Self, (String, String)> {
        let linker = linker(engine).map_err(|e| ("the host's interfaces".to_owned(), format!("{e:#}")))?;
        let loader = Loader { engine, linker, services };
        let mut this = Self { connectors: BTreeMap::new(), renderer: None, refused: Vec::new() };
        for embedded in &options.embedded {
            let loaded = loader.load(cache, embedded.component, None, embedded.name).await;
            loaded
                .and_then(|plugin| this.add(embedded.name, plugin))
                .map_err(|reason| (embedded.name.to_owned(), reason))?;
        }
        for file in options.plugin_dir.iter().flat_map(|dir| components(dir)) {
            let loaded = match std::fs::read(&file) {
                Ok(component) => loader.load(cache, &component, Some(options), &file.display().to_string()).await,
                Err(error) => Err(format!("cannot be read: {error}")),
            };
            let name = file.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
            if let Err(reason) = loaded.and_then(|plugin| this.add(&name, plugin)) {
                this.refused.push(Refused { file, reason });
            }
        }
        cache.prune();
        Ok(this)
    }

    fn add(&mut self, name: &str, plugin: Loaded) -> Result<(), String> {
        match plugin {
            Loaded::Connector(plugin) => {
                let name = plugin.name.to_string();
                if self.connectors.contains_key(&name) {
                    return Err(format!("a plugin named {name:?} is there already"));
                }
                tracing::info!(
                    plugin = name,
                    version = plugin.description.version,
                    digest = plugin.description.digest,
                    "plugin loaded"
                );
                self.connectors.insert(name, Arc::new(*plugin));
            }
            Loaded::Renderer(pre) => {
                if self.renderer.is_some() {
                    return Err("there is a renderer already".to_owned());
                }
                self.renderer = Some((name.into(), pre));
            }
        }
        Ok(())
    }
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

struct Loader<'a> {
    engine: &'a Engine,
    linker: Linker<HostState>,
    services: &'a Arc<Services>,
}

impl Loader<'_> {
    /// Compiles, checks and describes a component. `operator` holds the grants when it is not one of the binary's own.
    async fn load(
        &self,
        cache: &mut Cache,
        component: &[u8],
        operator: Option<&Options>,
        label: &str,
    ) -> Result<Loaded, String> {
        let digest = digest(component);
        let component: Component = cache
            .load(self.engine, component, &digest)
            .map_err(|e| format!("is no component that this engine can run: {e:#}"))?;
        let kind = component.component_type();
        let unknown: Vec<_> =
            kind.imports(self.engine).map(|(name, _)| name.to_owned()).filter(|name| !offered(name)).collect();
        if !unknown.is_empty() {
            return Err(format!("imports what the engine does not offer: {}", unknown.join(", ")));
        }
        let pre = self
            .linker
            .instantiate_pre(&component)
            .map_err(|e| format!("imports what the engine does not offer: {e:#}"))?;
        if kind.get_export(self.engine, "render-batch").is_some() {
            return RendererPre::new(pre).map(Loaded::Renderer).map_err(|e| format!("is no renderer: {e:#}"));
        }
        let pre = ConnectorPre::new(pre).map_err(|e| format!("is neither a connector nor a renderer: {e:#}"))?;
        let checkers = Checkers::new(self.engine, label.into(), pre.clone(), self.services.clone());
        let said = checkers.describe().await.map_err(|e| format!("does not say who it is: {e}"))?;
        let hosts = said.hosts.clone();
        let wanted: Vec<Capability> = said.capabilities.iter().map(|c| Capability::from(*c)).collect();
        let description = worlds::connector::description(said, &digest)?;
        let schema = jsonschema::validator_for(&description.config_schema)
            .map_err(|e| format!("its configuration's schema is not valid: {e}"))?;
        let allowed = operator.and_then(|o| o.grants.get(&description.name)).map(Vec::as_slice);
        Ok(Loaded::Connector(Box::new(ConnectorPlugin {
            name: description.name.as_str().into(),
            grants: Grants::of(&wanted, allowed),
            description,
            hosts,
            pre,
            checkers,
            schema,
        })))
    }
}
