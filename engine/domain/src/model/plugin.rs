//! Uploaded plugins: packages with their versions, what they were granted, who is trusted to sign them, and what was done.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::rollout::Rollout;
use crate::{TenantIndex, Timestamp};

/// What a plugin is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PluginKind {
    /// Decides answers.
    Automation,
    /// Talks to a channel; the operator's only.
    Connector,
}

impl PluginKind {
    /// Its name in the APIs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Automation => "automation",
            Self::Connector => "connector",
        }
    }
}

/// A plugin with its versions. Invariant: one per name in the whole engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Whose it is; `None`: the operator's, for every tenant.
    pub owner: Option<TenantIndex>,
    /// What it is.
    pub kind: PluginKind,
    /// Oldest first.
    pub versions: Vec<PackageVersion>,
    /// The digest of the version that runs.
    pub active: Option<String>,
    /// The digest of the one before, for going back.
    pub previous: Option<String>,
    /// What it may use; `None` until somebody granted it.
    pub grants: Option<Grants>,
    /// A change of versions under way.
    pub rollout: Option<Rollout>,
    /// Counts changes: a change is refused when it is not the stored one plus one.
    pub revision: u64,
    /// Creation.
    pub created_at: Timestamp,
    /// Last change.
    pub updated_at: Timestamp,
}

impl Package {
    /// A version by its digest.
    pub fn version(&self, digest: &str) -> Option<&PackageVersion> {
        self.versions.iter().find(|v| v.digest == digest)
    }
    /// The version that runs.
    pub fn active_version(&self) -> Option<&PackageVersion> {
        self.version(self.active.as_deref()?)
    }
}

/// An uploaded component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageVersion {
    /// SHA-256 of the component, hex: its identity.
    pub digest: String,
    /// As the plugin says.
    pub version: String,
    /// For people, as the plugin says.
    pub display_name: String,
    /// Bytes.
    pub size: u64,
    /// Whether it may run.
    pub status: VersionStatus,
    /// What it asks for.
    pub wants: Wants,
    /// Its whole description, JSON, for whoever shows it.
    pub description: String,
    /// The trust root whose signature it carries.
    pub signed_by: Option<Uuid>,
    /// Who uploaded it.
    pub uploaded_by: String,
    /// When.
    pub uploaded_at: Timestamp,
}

/// Whether a version may run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum VersionStatus {
    /// It may.
    Ready,
    /// It asks for more than was granted; to be activated once consented to.
    NeedsConsent,
    /// It was rolled back; why. May be activated again by hand.
    RolledBack(String),
}

/// What a plugin asks for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Wants {
    /// As in the plugin's description.
    pub hosts: Vec<String>,
    /// Host interfaces, for connectors.
    pub capabilities: Vec<String>,
    /// Bytes of key/value store.
    pub kv_bytes: u64,
    /// Processor time of a call, ms.
    pub cpu_ms: u32,
    /// Memory, bytes.
    pub memory_bytes: u64,
    /// Events a minute.
    pub events_per_minute: u32,
}

impl Wants {
    /// Whether all of it is within `granted`.
    pub fn within(&self, granted: &Self) -> bool {
        let all = |wanted: &[String], given: &[String]| wanted.iter().all(|w| given.contains(w));
        all(&self.hosts, &granted.hosts)
            && all(&self.capabilities, &granted.capabilities)
            && self.kv_bytes <= granted.kv_bytes
            && self.cpu_ms <= granted.cpu_ms
            && self.memory_bytes <= granted.memory_bytes
            && self.events_per_minute <= granted.events_per_minute
    }
}

/// What a package may use, and who said so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grants {
    /// What.
    pub what: Wants,
    /// Who.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// A public key whose signatures are believed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrustRoot {
    /// Public id.
    pub id: Uuid,
    /// Whose plugins it vouches for; `None`: the operator's, and with it everybody's.
    pub owner: Option<TenantIndex>,
    /// Whose key it is, for people.
    pub name: String,
    /// Ed25519.
    pub key: [u8; 32],
    /// Creation.
    pub created_at: Timestamp,
    /// Set once it is believed no more.
    pub revoked_at: Option<Timestamp>,
}

/// One thing that was done with a package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// The package.
    pub plugin: String,
    /// Whose it is.
    pub owner: Option<TenantIndex>,
    /// When.
    pub at: Timestamp,
    /// Who: `user:…`, `key:…`, `operator` or `engine`.
    pub by: String,
    /// A stable word: `uploaded`, `refused`, `granted`, `canary`, `activated`, `rolled-back`, `deleted` …
    pub action: String,
    /// The version's digest.
    pub digest: Option<String>,
    /// For a person.
    pub detail: String,
}
