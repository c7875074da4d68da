//! Which plugins there are: those of the binary and those of the operator's folder, compiled, checked, and described.
//!
//! A plugin of the operator's that does not fit is refused with a reason and left out; one of the binary's is a broken build.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::RwLock;
use pombo_domain::error::FieldProblem;
use pombo_domain::ports::{OwnKind, PluginDescription};
use pombo_domain::{Field, FieldPath};
use serde_json::Value;
use wasmtime::Engine;
use wasmtime::component::Linker;

use crate::bindings::renderer::RendererPre;
use crate::cache::{Cache, digest};
use crate::grants::{Capability, Grants};
use crate::instances::StatelessPool;
use crate::options::Options;
use crate::state::{HostState, Services};
use crate::wasi;
use crate::worlds::connector_guest::ConnectorGuestPre;
use crate::worlds::{self, accepted};

/// More problems of one value than this are not listed.
const MOST_CONTENT_PROBLEMS: usize = 20;

/// A plugin file that was left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The operator's file.
    pub file: PathBuf,
    /// Why, for the operator.
    pub reason: String,
}

/// Where a component was loaded from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// The engine's binary.
    Own,
    /// The operator's folder.
    File(PathBuf),
    /// The kept uploads.
    Kept,
}

/// A connector plugin, ready to be instantiated.
pub(crate) struct ConnectorPlugin {
    pub(crate) name: Arc<str>,
    pub(crate) description: PluginDescription,
    /// As in the description.
    pub(crate) digest: Arc<str>,
    /// The servers that it wants, as [`crate::grants::Hosts::new`] reads them.
    pub(crate) hosts: Vec<String>,
    pub(crate) grants: Grants,
    pub(crate) pre: ConnectorGuestPre,
    pub(crate) stateless: StatelessPool,
    pub(crate) source: Source,
    schema: jsonschema::Validator,
    /// Of its kinds of content that have a schema.
    contents: BTreeMap<String, jsonschema::Validator>,
    /// The same of its operations.
    operations: BTreeMap<String, jsonschema::Validator>,
}

impl ConnectorPlugin {
    /// Checks a whole configuration. Fields are named as the caller wrote them, below `config`.
    pub(crate) fn check_config(&self, config: &Value) -> Result<(), Vec<FieldProblem>> {
        let schema = &self.description.config_schema;
        let problems: Vec<_> = self.schema.iter_errors(config).map(|e| field_problem(&e, schema)).collect();
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }
}

impl ConnectorPlugin {
    /// Checks content of a kind of the plugin's own. Fields are named as the caller wrote them, below the content's value.
    pub(crate) fn check_content(&self, kind: &str, value: &Value) -> Result<(), Vec<FieldProblem>> {
        check_kind(&self.contents, kind, value, |place| Field::Content.named(place))
    }

    /// Checks the value of an operation of the plugin's own. Fields are named below `value`.
    pub(crate) fn check_operation(&self, kind: &str, value: &Value) -> Result<(), Vec<FieldProblem>> {
        check_kind(&self.operations, kind, value, FieldPath::from)
    }
}

/// Checks the value of a kind, if it has a schema. `named` makes a field of a place that begins with `value`.
fn check_kind(
    schemas: &BTreeMap<String, jsonschema::Validator>,
    kind: &str,
    value: &Value,
    named: impl Fn(String) -> FieldPath,
) -> Result<(), Vec<FieldProblem>> {
    let Some(schema) = schemas.get(kind) else { return Ok(()) };
    let problem = |error: jsonschema::ValidationError<'_>| {
        let place = format!("value{}", error.instance_path().to_string().replace('/', "."));
        FieldProblem::new(named(place), "does not have the form that the connector's plugin describes")
    };
    let problems: Vec<_> = schema.iter_errors(value).take(MOST_CONTENT_PROBLEMS).map(problem).collect();
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

/// The schemas of kinds of a plugin's own; `of` is what they are in a refusal.
fn schemas_of(of: &str, kinds: &[OwnKind]) -> Result<BTreeMap<String, jsonschema::Validator>, String> {
    let mut schemas = BTreeMap::new();
    for kind in kinds {
        if let Some(schema) = &kind.schema {
            let schema = jsonschema::validator_for(schema)
                .map_err(|e| format!("the schema of its {of} {:?} is not valid: {e}", kind.name))?;
            schemas.insert(kind.name.clone(), schema);
        }
    }
    Ok(schemas)
}

/// What is wrong with a configuration, for whoever wrote it. `schema` is the plugin's schema as it stands in its description.
pub(crate) fn field_problem(error: &jsonschema::ValidationError<'_>, schema: &Value) -> FieldProblem {
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
        Kind::Pattern { pattern } => match example(schema, error.schema_path().as_str()) {
            Some(example) => format!("does not have the right form; an example is {example}"),
            None => format!("must match the pattern {pattern}"),
        },
        Kind::Format { format } => format!("must be a valid {format}"),
        Kind::MinProperties { limit } => format!("must have at least {limit} fields"),
        _ => "does not fit this plugin's configuration".to_owned(),
    };
    FieldProblem::new(path.join("."), message)
}

/// The first example of the schema's field that holds the keyword at this path.
fn example<'s>(schema: &'s Value, keyword: &str) -> Option<&'s str> {
    let (field, _) = keyword.rsplit_once('/')?;
    schema.pointer(field)?.get("examples")?.get(0)?.as_str()
}

/// The plugins that are loaded, and the loader of further versions.
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
            cache,
            folder: options.operator_dir.clone(),
            kept: options.uploads_dir.clone(),
            grants: options.grants.clone(),
        };
        let (mut connectors, mut renderer, mut refused) = (BTreeMap::new(), None, Vec::new());
        for file in options.operator_dir.iter().flat_map(|dir| components(dir)) {
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
            match loader.load(bytes, Source::Own, embedded.name).await {
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
        loader.cache.prune();
        Ok(Self { connectors: RwLock::new(connectors), renderer, refused, loader })
    }

    pub(crate) fn find(&self, name: &str) -> Option<Arc<ConnectorPlugin>> {
        self.connectors.read().get(name).cloned()
    }

    /// The newer component of a plugin, loaded and checked but not yet used. `Err` is for the operator.
    pub(crate) async fn newer(&self, old: &ConnectorPlugin) -> Result<ConnectorPlugin, String> {
        let file = match (&old.source, &self.loader.folder) {
            (Source::File(file), _) => file.clone(),
            (Source::Own | Source::Kept, Some(folder)) => folder.join(format!("{}.wasm", old.name)),
            (Source::Own | Source::Kept, None) => return Err(no_file(old, None)),
        };
        if !matches!(old.source, Source::File(_)) && !file.exists() {
            return Err(no_file(old, Some(&file)));
        }
        named(self.loader.load_file(&file).await, &old.name, &file.display().to_string())
    }

    /// An uploaded component, loaded and checked but not yet used. `Err` is for the operator.
    pub(crate) async fn kept(&self, name: &str, digest: &str) -> Result<ConnectorPlugin, String> {
        let shown = format!("the upload {}", crate::limits::cut(digest, 64));
        if digest.len() != 64 || !digest.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(format!("{shown} is not named by 64 hexadecimal digits"));
        }
        let component = match tokio::fs::read(self.loader.kept.join(format!("{digest}.wasm"))).await {
            Ok(component) => component,
            Err(error) => return Err(format!("{shown} cannot be read: {error}; upload it again")),
        };
        let plugin = named(self.loader.load(component.into(), Source::Kept, &shown).await, name, &shown)?;
        if plugin.description.digest != digest {
            return Err(format!("{shown} is damaged; upload it again"));
        }
        Ok(plugin)
    }

    /// Stops using any version of a plugin.
    pub(crate) fn take_away(&self, name: &str) {
        self.connectors.write().remove(name);
    }

    /// Uses this version of its plugin from now on.
    pub(crate) fn put(&self, plugin: Arc<ConnectorPlugin>) {
        self.connectors.write().insert(plugin.name.to_string(), plugin);
    }
}

/// What was loaded, if it is the connector of that name.
fn named(loaded: Result<Loaded, String>, name: &str, shown: &str) -> Result<ConnectorPlugin, String> {
    match loaded {
        Ok(Loaded::Connector(plugin)) if &*plugin.name == name => Ok(*plugin),
        Ok(Loaded::Connector(plugin)) => Err(format!("{shown} holds the plugin {:?} and not {name:?}", plugin.name)),
        Ok(Loaded::Renderer(_)) => Err(format!("{shown} holds a renderer")),
        Err(reason) => Err(format!("{shown}: {reason}")),
    }
}

fn no_file(plugin: &ConnectorPlugin, file: Option<&Path>) -> String {
    let name = &plugin.name;
    let whose = match plugin.source {
        Source::Kept => "an uploaded one",
        Source::Own | Source::File(_) => "the binary's own",
    };
    match file {
        Some(file) => {
            format!("the plugin {name:?} is {whose}; put its newer version at {} first", file.display())
        }
        None => format!("the plugin {name:?} is {whose}, and no folder of plugins is set (sandbox.plugin_dir)"),
    }
}

fn add(connectors: &mut BTreeMap<String, Arc<ConnectorPlugin>>, plugin: ConnectorPlugin) -> Result<(), String> {
    let name = plugin.name.to_string();
    if connectors.contains_key(&name) {
        return Err(format!("there is already a plugin named {name:?}"));
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
pub(crate) fn components(dir: &Path) -> Vec<PathBuf> {
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

pub(crate) fn linker(engine: &Engine) -> wasmtime::Result<Linker<HostState>> {
    let mut linker = Linker::new(engine);
    accepted::CONNECTORS.link(&mut linker)?;
    accepted::RENDERERS.link(&mut linker)?;
    Ok(linker)
}

struct Loader {
    engine: Engine,
    linker: Linker<HostState>,
    services: Arc<Services>,
    cache: Cache,
    /// The operator's plugins.
    folder: Option<PathBuf>,
    /// The uploads, each named by its digest.
    kept: PathBuf,
    /// What an operator's plugin gets, by name.
    grants: BTreeMap<String, Vec<Capability>>,
}

impl Loader {
    async fn load_file(&self, file: &Path) -> Result<Loaded, String> {
        let component = tokio::fs::read(file).await.map_err(|error| format!("cannot be read: {error}"))?;
        self.load(component.into(), Source::File(file.to_owned()), &file.display().to_string()).await
    }

    /// Compiles (off the async threads), checks and describes a component.
    async fn load(&self, component: Bytes, source: Source, label: &str) -> Result<Loaded, String> {
        let (engine, cache) = (self.engine.clone(), self.cache.clone());
        let compile = move || {
            let digest = digest(&component);
            cache.load(&engine, &component, &digest).map(|component| (component, digest))
        };
        let (component, digest) = tokio::task::spawn_blocking(compile)
            .await
            .map_err(|_| "its compilation was interrupted".to_owned())?
            .map_err(|e| format!("is not a component that this engine can run: {e:#}"))?;
        let of = component.component_type();
        let imports: Vec<_> = of.imports(&self.engine).map(|(name, _)| name.to_owned()).collect();
        let names = imports.iter().map(String::as_str);
        let renders = of.get_export(&self.engine, "render-batch").is_some();
        let (version, accepted) = match renders {
            true => (accepted::RENDERERS.unknown_version(names.clone()), accepted::RENDERERS.accepted()),
            false => (accepted::CONNECTORS.unknown_version(names.clone()), accepted::CONNECTORS.accepted()),
        };
        if let Some((package, version)) = version {
            return Err(format!("was built for {package}@{version}; this engine runs {accepted}"));
        }
        let offered = |import: &&str| match renders {
            true => accepted::RENDERERS.version_of(names.clone()).offers(import),
            false => accepted::CONNECTORS.version_of(names.clone()).offers(import),
        };
        let unknown: Vec<_> = names.clone().filter(|i| !offered(i) && !accepted::is_wasi(i)).collect();
        if !unknown.is_empty() {
            return Err(format!("imports what the engine does not offer: {}", unknown.join(", ")));
        }
        let pre = wasi::instantiate_pre(&self.linker, &component)
            .map_err(|e| format!("imports what the engine does not offer: {e:#}"))?;
        if renders {
            let pre = accepted::RENDERERS.adapt(&self.engine, pre);
            return pre.map(Loaded::Renderer).map_err(|e| format!("is not a renderer: {e:#}"));
        }
        let pre = accepted::CONNECTORS
            .adapt(&self.engine, pre)
            .map_err(|e| format!("is neither a connector nor a renderer: {e:#}"))?;
        let stateless = StatelessPool::new(&self.engine, label.into(), pre.clone(), self.services.clone());
        let said = stateless.describe().await.map_err(|e| format!("does not describe itself: {e}"))?;
        let hosts = said.hosts.clone();
        let wanted = worlds::connector::capabilities(&said.capabilities)?;
        let description = worlds::connector::description(said, &digest)?;
        let schema = jsonschema::validator_for(&description.config_schema)
            .map_err(|e| format!("its configuration's schema is not valid: {e}"))?;
        let contents = schemas_of("content", &description.contents)?;
        let operations = schemas_of("operation", &description.operations)?;
        let allowed = match source {
            Source::Own => None,
            Source::File(_) | Source::Kept => self.grants.get(&description.name).map(Vec::as_slice),
        };
        Ok(Loaded::Connector(Box::new(ConnectorPlugin {
            name: description.name.as_str().into(),
            digest: digest.into(),
            grants: Grants::of(&wanted, allowed),
            description,
            hosts,
            pre,
            stateless,
            source,
            schema,
            contents,
            operations,
        })))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_of_the_wrong_form_is_answered_with_an_example() {
        let schema = json!({"properties": {
            "server": {"properties": {"url": {"pattern": "^https://", "examples": ["https://mail.example"]}}},
            "code": {"pattern": "^[0-9]+$"},
        }});
        let validator = jsonschema::validator_for(&schema).expect("a schema");
        let config = json!({"server": {"url": "ftp://secret"}, "code": "secret"});
        let mut problems: Vec<_> = validator.iter_errors(&config).map(|error| field_problem(&error, &schema)).collect();
        problems.sort_by(|one, other| one.message.cmp(&other.message));
        assert_eq!(
            problems,
            [
                FieldProblem::new(
                    "config.server.url",
                    "does not have the right form; an example is https://mail.example"
                ),
                FieldProblem::new("config.code", "must match the pattern ^[0-9]+$"),
            ]
        );
    }
}
