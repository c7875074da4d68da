//! Plugins as they are answered: rows of the list, a plugin with its versions, what is asked for and granted.

use poem_openapi::{Enum, Object};
use pombo_domain::commands::plugins::packages::{Origin, PluginView};
use pombo_domain::model;
use pombo_domain::model::plugin::Package;
use pombo_domain::ports::PluginDescription;
use serde_json::Value;
use uuid::Uuid;

use crate::connectors::pace::Pace;
use crate::wire::Instant;

/// What a plugin is.
#[derive(Enum, Clone, Copy)]
#[oai(rename_all = "lowercase")]
pub(crate) enum PluginKind {
    /// Decides what is answered in conversations.
    Automation,
    /// Talks to a channel.
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

/// Whose a plugin is.
#[derive(Enum, Clone, Copy)]
#[oai(rename_all = "snake_case")]
pub(crate) enum PluginOwner {
    /// The engine's own.
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

/// A plugin: what connectors and automations are made from. Where no version is active, what only a version can say is absent.
#[derive(Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct Plugin {
    /// Its name, to be given when a connector or an automation is created.
    name: String,
    /// What it is.
    kind: PluginKind,
    /// Whose it is.
    owner: PluginOwner,
    /// The active version.
    version: Option<String>,
    /// SHA-256 of the active component.
    digest: Option<String>,
    /// For people.
    display_name: Option<String>,
    /// JSON Schema of the `config` of a connector or an automation.
    config_schema: Option<Value>,
    /// Fields of `config` that are sealed and never returned.
    secret_fields: Vec<String>,
    /// Of a connector: `email`, `whatsapp` …
    channel: Option<String>,
    /// Of a connector: host interfaces that it is granted.
    capabilities: Option<Vec<String>>,
    /// Of a connector: what else it can do: `groups`, `reactions` …
    features: Option<Vec<String>>,
    /// Of a connector: sending again with the same client id can not send twice, or is told apart by the receiver.
    idempotent_resend: Option<bool>,
    /// Of a connector: sends at once, at most.
    max_in_flight: Option<u16>,
    /// Of a connector: needs a session that somebody must open (a QR code).
    needs_session: Option<bool>,
    /// Of a connector: its pace when none is given; no limits where absent.
    pace: Option<Pace>,
    /// Of an automation: what it is called for, such as `message-received`.
    events: Option<Vec<String>>,
    /// Of an automation: it only watches.
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
        let package = view.package.as_deref();
        let active = package.and_then(Package::active_version);
        let (kind, automation) = (package.map(|package| package.kind), view.automation);
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
    /// Bytes of key/value store; 0 for none.
    kv_bytes: u64,
    /// Processor time of one call, ms; 0 for the default.
    cpu_ms: u32,
    /// Memory of one call, bytes; 0 for the default.
    memory_bytes: u64,
    /// Events a minute; 0 for the default.
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

/// What a plugin may use, and who said so.
#[derive(Object)]
pub(crate) struct PluginGrants {
    /// What.
    what: PluginWants,
    /// Who: `user:…`, `key:…`, `operator` or `engine`.
    by: String,
    /// When.
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
    /// It may.
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

/// An uploaded component.
#[derive(Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct PluginVersion {
    /// SHA-256 of the component: its identity.
    digest: String,
    /// As the plugin says.
    version: String,
    /// For people, as the plugin says.
    display_name: String,
    /// Bytes.
    size: u64,
    /// Whether it may run.
    status: VersionStatus,
    /// Why it was rolled back.
    reason: Option<String>,
    /// What it asks for.
    wants: PluginWants,
    /// Its whole description.
    description: Value,
    /// The trust root whose signature it carries.
    signed_by: Option<Uuid>,
    /// Who uploaded it.
    uploaded_by: String,
    /// When.
    uploaded_at: Instant,
}

impl From<&model::PackageVersion> for PluginVersion {
    fn from(version: &model::PackageVersion) -> Self {
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

/// Where a rollout stands.
#[derive(Enum, Clone, Copy)]
#[oai(rename_all = "lowercase")]
pub(crate) enum RolloutStep {
    /// The new version gets its share.
    Canary,
    /// The new version does all the work and is still watched.
    Watching,
}

/// A change of versions under way.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
pub(crate) struct PluginRollout {
    /// The version before.
    from: Option<String>,
    /// The new version.
    to: String,
    /// How much of the work the new one gets, in percent.
    share: u8,
    /// Where it stands.
    step: RolloutStep,
    /// Whether it goes on and back by itself.
    automatic: bool,
    /// Since when it stands there.
    since: Instant,
    /// Who began it.
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
    /// Its name.
    name: String,
    /// What it is.
    kind: PluginKind,
    /// Whose it is.
    owner: PluginOwner,
    /// The digest of the version that runs.
    active: Option<String>,
    /// The digest of the one before: what a rollback goes to.
    previous: Option<String>,
    /// What it may use; absent until somebody consented.
    grants: Option<PluginGrants>,
    /// A change of versions under way.
    rollout: Option<PluginRollout>,
    /// Oldest first. Empty for a connector that is the engine's own: the list of plugins describes it.
    versions: Vec<PluginVersion>,
    /// As in the list of plugins.
    about: Plugin,
    /// When its first version was uploaded.
    created_at: Option<Instant>,
    /// Last change.
    updated_at: Option<Instant>,
}

impl From<PluginView> for PluginDetail {
    fn from(view: PluginView) -> Self {
        let package = view.package.clone();
        let package = package.as_deref();
        let about = Plugin::from(view);
        Self {
            name: about.name.clone(),
            kind: about.kind,
            owner: about.owner,
            active: package.map_or_else(|| about.digest.clone(), |package| package.active.clone()),
            previous: package.and_then(|package| package.previous.clone()),
            grants: package.and_then(|package| package.grants.as_ref()).map(PluginGrants::from),
            rollout: package.and_then(|package| package.rollout.as_ref()).map(PluginRollout::from),
            versions: package.map(|package| package.versions.iter().map(Into::into).collect()).unwrap_or_default(),
            created_at: package.map(|package| Instant(package.created_at)),
            updated_at: package.map(|package| Instant(package.updated_at)),
            about,
        }
    }
}

/// What an upload made.
#[derive(Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct UploadedPlugin {
    /// The plugin's name, as the component says.
    name: String,
    /// What it is.
    kind: PluginKind,
    /// As the component says.
    version: String,
    /// For people, as the component says.
    display_name: String,
    /// SHA-256 of the component: the version's identity.
    digest: String,
    /// Bytes.
    size: u64,
    /// Whether it may be activated without further consent.
    status: VersionStatus,
    /// What it asks for.
    wants: PluginWants,
    /// What the plugin may use; absent until somebody consented.
    granted: Option<PluginWants>,
    /// The trust root whose signature it carries.
    signed_by: Option<Uuid>,
    /// Whether it was not there before.
    is_new: bool,
}

impl UploadedPlugin {
    pub(crate) fn of(package: &Package, version: &model::PackageVersion, is_new: bool) -> Self {
        Self {
            name: package.name.clone(),
            kind: package.kind.into(),
            version: version.version.clone(),
            display_name: version.display_name.clone(),
            digest: version.digest.clone(),
            size: version.size,
            status: (&version.status).into(),
            wants: (&version.wants).into(),
            granted: package.grants.as_ref().map(|grants| (&grants.what).into()),
            signed_by: version.signed_by,
            is_new,
        }
    }
}

/// One thing that was done with a plugin.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
pub(crate) struct AuditEntry {
    /// When.
    at: Instant,
    /// Who: `user:…`, `key:…`, `operator` or `engine`.
    by: String,
    /// `uploaded`, `signed`, `granted`, `canary`, `activated`, `promoted`, `rolled-back`, `version-deleted`, `deleted` …
    action: String,
    /// The version's digest.
    digest: Option<String>,
    /// For a person.
    detail: String,
}

impl From<model::AuditEntry> for AuditEntry {
    fn from(entry: model::AuditEntry) -> Self {
        let model::AuditEntry { at, by, action, digest, detail, .. } = entry;
        Self { at: Instant(at), by, action, digest, detail }
    }
}
