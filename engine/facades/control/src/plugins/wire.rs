//! Wire types of plugins: rows of the list, a plugin with its versions, wants and grants.

use poem_openapi::{Enum, Object};
use pombo_domain::commands::plugins::catalog::{Origin, PluginView};
use pombo_domain::model;
use pombo_domain::model::plugin::AuditAction;
use pombo_domain::ports::PluginDescription;
use serde_json::Value;
use uuid::Uuid;

use crate::wire::pace::Pace;
use crate::wire::{Instant, WordOf};

/// Kind of plugin.
#[derive(Enum, Clone, Copy)]
#[oai(rename_all = "lowercase")]
pub(crate) enum PluginKind {
    /// Answers in conversations.
    Automation,
    /// Connects a channel.
    Connector,
}

impl From<model::PluginKind> for PluginKind {
    fn from(kind: model::PluginKind) -> Self {
        match kind {
            model::PluginKind::Automation => Self::Automation,
            model::PluginKind::Connector => Self::Connector,
        }
    }
}

/// Owner of a plugin.
#[derive(Enum, Clone, Copy)]
#[oai(rename_all = "snake_case")]
pub(crate) enum PluginOwner {
    /// It is built into the engine.
    Engine,
    /// The operator uploaded it, for every tenant.
    Operator,
    /// The tenant uploaded it.
    Tenant,
}

impl From<Origin> for PluginOwner {
    fn from(origin: Origin) -> Self {
        match origin {
            Origin::BuiltIn => Self::Engine,
            Origin::Operator => Self::Operator,
            Origin::Tenant => Self::Tenant,
        }
    }
}

/// A kind of content, or an operation, that only the plugin knows.
#[derive(Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct OwnKind {
    /// Its name, such as `poll`.
    name: String,
    /// JSON Schema of its value; absent if it takes any.
    schema: Option<Value>,
}

impl From<pombo_domain::ports::OwnKind> for OwnKind {
    fn from(kind: pombo_domain::ports::OwnKind) -> Self {
        Self { name: kind.name, schema: kind.schema }
    }
}

/// A plugin, from which connectors or automations are created. If no version is active, the fields that come from a version are
/// absent.
#[derive(Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct Plugin {
    /// Name of the plugin, to be given when a connector or an automation is created.
    name: String,
    /// Kind of plugin.
    kind: PluginKind,
    /// Owner of the plugin.
    owner: PluginOwner,
    /// Version number of the active version.
    version: Option<String>,
    /// SHA-256 of the active component.
    digest: Option<String>,
    /// Name to show to people.
    display_name: Option<String>,
    /// JSON Schema of the `config` of a connector or an automation.
    config_schema: Option<Value>,
    /// Fields of `config` that are stored encrypted and never returned.
    secret_fields: Vec<String>,
    /// Of a connector: its channel, such as `email` or `whatsapp`.
    channel: Option<String>,
    /// Of a connector: host interfaces that it is granted.
    capabilities: Option<Vec<String>>,
    /// Of a connector: what it can do besides sending texts, such as `groups` or `reactions`.
    features: Option<Vec<String>>,
    /// Of a connector: the kinds of content of its own that it sends.
    contents: Option<Vec<OwnKind>>,
    /// Of a connector: the operations of its own.
    operations: Option<Vec<OwnKind>>,
    /// Of a connector: whether sending again with the same client id cannot produce a second message, or produces one that the
    /// recipient's software recognises as the same.
    idempotent_resend: Option<bool>,
    /// Of a connector: maximum number of sends at the same time.
    max_in_flight: Option<u16>,
    /// Of a connector: whether it needs a session that somebody must open (with a QR code).
    needs_session: Option<bool>,
    /// Of a connector: its default pace; absent for no limits.
    pace: Option<Pace>,
    /// Of an automation: kinds of event that it is called for, such as `message-received`.
    events: Option<Vec<String>>,
    /// Of an automation: whether it only observes.
    observer: Option<bool>,
}

impl From<PluginDescription> for Plugin {
    fn from(plugin: PluginDescription) -> Self {
        Self {
            name: plugin.name,
            kind: PluginKind::Connector,
            owner: PluginOwner::Engine,
            version: Some(plugin.version),
            digest: Some(plugin.digest),
            display_name: Some(plugin.display_name),
            config_schema: Some(plugin.config_schema),
            secret_fields: plugin.secret_fields,
            channel: Some(plugin.channel),
            capabilities: Some(plugin.capabilities),
            features: Some(plugin.features),
            contents: Some(plugin.contents.into_iter().map(OwnKind::from).collect()),
            operations: Some(plugin.operations.into_iter().map(OwnKind::from).collect()),
            idempotent_resend: Some(plugin.idempotent_resend),
            max_in_flight: Some(plugin.max_in_flight),
            needs_session: Some(plugin.needs_session),
            pace: plugin.pace.as_ref().map(Pace::from),
            events: None,
            observer: None,
        }
    }
}

impl From<PluginView> for Plugin {
    fn from(view: PluginView) -> Self {
        let name = view.name().to_owned();
        let owner = view.origin.into();
        if let Some(connector) = view.connector {
            return Self { owner, ..connector.into() };
        }
        let plugin = view.plugin.as_deref();
        let active = plugin.and_then(model::Plugin::active_version);
        let (kind, automation) = (plugin.map(|plugin| plugin.kind), view.automation);
        Self {
            name,
            kind: kind.unwrap_or(model::PluginKind::Connector).into(),
            owner,
            version: active.map(|version| version.version.clone()),
            digest: active.map(|version| version.digest.clone()),
            display_name: active.map(|version| version.display_name.clone()),
            config_schema: automation.as_ref().map(|automation| automation.config_schema.clone()),
            secret_fields: automation.as_ref().map(|automation| automation.secret_fields.clone()).unwrap_or_default(),
            channel: None,
            capabilities: None,
            features: None,
            contents: None,
            operations: None,
            idempotent_resend: None,
            max_in_flight: None,
            needs_session: None,
            pace: None,
            events: automation.as_ref().map(|says| says.events.iter().map(|kind| kind.as_str().to_owned()).collect()),
            observer: automation.as_ref().map(|automation| automation.observer),
        }
    }
}

/// What a plugin asks for, or may use.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
pub(crate) struct PluginWants {
    /// Servers: `=host`, `=host:port`, `=*.suffix`, or the path of a configuration field that names one.
    hosts: Vec<String>,
    /// Host interfaces, for connectors.
    capabilities: Vec<String>,
    /// Size of its key/value store, in bytes; 0 for none.
    kv_bytes: u64,
    /// Processor time of one call, in milliseconds; 0 for the default.
    cpu_ms: u32,
    /// Memory of one call, in bytes; 0 for the default.
    memory_bytes: u64,
    /// Events per minute; 0 for the default.
    events_per_minute: u32,
}

impl From<&model::Wants> for PluginWants {
    fn from(wants: &model::Wants) -> Self {
        Self {
            hosts: wants.hosts.clone(),
            capabilities: wants.capabilities.clone(),
            kv_bytes: wants.kv_bytes,
            cpu_ms: wants.cpu_ms,
            memory_bytes: wants.memory_bytes,
            events_per_minute: wants.events_per_minute,
        }
    }
}

/// What a plugin may use, and who consented.
#[derive(Object)]
pub(crate) struct PluginGrants {
    /// What it may use.
    what: PluginWants,
    /// Who consented: `user:…`, `key:…`, `operator` or `engine`.
    by: String,
    /// When that person consented.
    at: Instant,
}

impl From<&model::Grants> for PluginGrants {
    fn from(grants: &model::Grants) -> Self {
        Self { what: (&grants.what).into(), by: grants.by.clone(), at: Instant(grants.at) }
    }
}

/// Whether a version may run.
#[derive(Enum, Clone, Copy)]
pub(crate) enum VersionStatus {
    /// It may run.
    #[oai(rename = "ready")]
    Ready,
    /// It asks for more than was granted.
    #[oai(rename = "needs-consent")]
    NeedsConsent,
    /// It was rolled back; it may be activated again by hand.
    #[oai(rename = "rolled-back")]
    RolledBack,
}

impl From<&model::VersionStatus> for VersionStatus {
    fn from(status: &model::VersionStatus) -> Self {
        match status {
            model::VersionStatus::Ready => Self::Ready,
            model::VersionStatus::NeedsConsent => Self::NeedsConsent,
            model::VersionStatus::RolledBack(_) => Self::RolledBack,
        }
    }
}

/// An uploaded version of a plugin.
#[derive(Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct PluginVersion {
    /// SHA-256 of the component, which identifies the version.
    digest: String,
    /// Version number in its description.
    version: String,
    /// Name to show to people, from its description.
    display_name: String,
    /// Size of the component in bytes.
    size: u64,
    /// Whether it may run.
    status: VersionStatus,
    /// Why it was rolled back.
    reason: Option<String>,
    /// What it asks for.
    wants: PluginWants,
    /// Its whole description.
    description: Value,
    /// Id of the trust root that signed it.
    signed_by: Option<Uuid>,
    /// Who uploaded it.
    uploaded_by: String,
    /// When it was uploaded.
    uploaded_at: Instant,
}

impl From<&model::PluginVersion> for PluginVersion {
    fn from(version: &model::PluginVersion) -> Self {
        let reason = match &version.status {
            model::VersionStatus::RolledBack(reason) => Some(reason.clone()),
            _ => None,
        };
        Self {
            digest: version.digest.clone(),
            version: version.version.clone(),
            display_name: version.display_name.clone(),
            size: version.size,
            status: (&version.status).into(),
            reason,
            wants: (&version.wants).into(),
            description: serde_json::from_str(&version.description).unwrap_or_default(),
            signed_by: version.signed_by,
            uploaded_by: version.uploaded_by.clone(),
            uploaded_at: Instant(version.uploaded_at),
        }
    }
}

/// Phase of a rollout.
#[derive(Enum, Clone, Copy)]
#[oai(rename_all = "lowercase")]
pub(crate) enum RolloutStep {
    /// The new version gets its share.
    Canary,
    /// The new version does all the work and is still watched.
    Watching,
}

/// A change of versions that is in progress.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
pub(crate) struct PluginRollout {
    /// Digest of the previous version.
    from: Option<String>,
    /// Digest of the new version.
    to: String,
    /// Percentage of the work that the new version gets.
    share: u8,
    /// Phase of the rollout.
    step: RolloutStep,
    /// Whether the engine promotes it or rolls it back by itself.
    automatic: bool,
    /// When this phase began.
    since: Instant,
    /// Who began the rollout.
    by: String,
}

impl From<&model::Rollout> for PluginRollout {
    fn from(rollout: &model::Rollout) -> Self {
        Self {
            from: rollout.from.clone(),
            to: rollout.to.clone(),
            share: rollout.share,
            step: match rollout.step {
                model::RolloutStep::Canary => RolloutStep::Canary,
                model::RolloutStep::Watching => RolloutStep::Watching,
            },
            automatic: rollout.automatic,
            since: Instant(rollout.since),
            by: rollout.by.clone(),
        }
    }
}

/// A plugin with its versions.
#[derive(Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct PluginDetail {
    /// Name of the plugin.
    name: String,
    /// Kind of plugin.
    kind: PluginKind,
    /// Owner of the plugin.
    owner: PluginOwner,
    /// Digest of the active version.
    active: Option<String>,
    /// Digest of the previous version, to which a rollback goes.
    previous: Option<String>,
    /// What it may use; absent until somebody has consented.
    grants: Option<PluginGrants>,
    /// The change of versions that is in progress.
    rollout: Option<PluginRollout>,
    /// The versions, oldest first. Empty for a connector that is built into the engine: the list of plugins describes it.
    versions: Vec<PluginVersion>,
    /// The plugin as in the list of plugins.
    about: Plugin,
    /// When its first version was uploaded.
    created_at: Option<Instant>,
    /// When it was last changed.
    updated_at: Option<Instant>,
}

impl From<PluginView> for PluginDetail {
    fn from(view: PluginView) -> Self {
        let plugin = view.plugin.clone();
        let plugin = plugin.as_deref();
        let about = Plugin::from(view);
        Self {
            name: about.name.clone(),
            kind: about.kind,
            owner: about.owner,
            active: plugin.map_or_else(|| about.digest.clone(), |plugin| plugin.active.clone()),
            previous: plugin.and_then(|plugin| plugin.previous.clone()),
            grants: plugin.and_then(|plugin| plugin.grants.as_ref()).map(PluginGrants::from),
            rollout: plugin.and_then(|plugin| plugin.rollout.as_ref()).map(PluginRollout::from),
            versions: plugin.map(|plugin| plugin.versions.iter().map(Into::into).collect()).unwrap_or_default(),
            created_at: plugin.map(|plugin| Instant(plugin.created_at)),
            updated_at: plugin.map(|plugin| Instant(plugin.updated_at)),
            about,
        }
    }
}

/// The result of an upload.
#[derive(Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct UploadedPlugin {
    /// Name of the plugin, from the component's description.
    name: String,
    /// Kind of plugin.
    kind: PluginKind,
    /// Version number, from the component's description.
    version: String,
    /// Name to show to people, from the component's description.
    display_name: String,
    /// SHA-256 of the component, which identifies the version.
    digest: String,
    /// Size of the component in bytes.
    size: u64,
    /// Whether it may be activated without further consent.
    status: VersionStatus,
    /// What it asks for.
    wants: PluginWants,
    /// What the plugin may use; absent until somebody has consented.
    granted: Option<PluginWants>,
    /// Id of the trust root that signed it.
    signed_by: Option<Uuid>,
    /// Whether this component had not been uploaded before.
    is_new: bool,
}

impl UploadedPlugin {
    pub(crate) fn of(plugin: &model::Plugin, version: &model::PluginVersion, is_new: bool) -> Self {
        Self {
            name: plugin.name.clone(),
            kind: plugin.kind.into(),
            version: version.version.clone(),
            display_name: version.display_name.clone(),
            digest: version.digest.clone(),
            size: version.size,
            status: (&version.status).into(),
            wants: (&version.wants).into(),
            granted: plugin.grants.as_ref().map(|grants| (&grants.what).into()),
            signed_by: version.signed_by,
            is_new,
        }
    }
}

/// An entry of a plugin's audit trail.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
pub(crate) struct AuditEntry {
    /// When it was done.
    at: Instant,
    /// Who did it: `user:…`, `key:…`, `operator` or `engine`.
    by: String,
    action: WordOf<AuditAction>,
    /// Digest of the version.
    digest: Option<String>,
    /// Details, for a person.
    detail: String,
}

impl From<model::AuditEntry> for AuditEntry {
    fn from(entry: model::AuditEntry) -> Self {
        let model::AuditEntry { at, by, action, digest, detail, .. } = entry;
        Self { at: Instant(at), by, action: action.into(), digest, detail }
    }
}
