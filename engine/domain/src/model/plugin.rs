//! Uploaded plugins: their versions, their grants, the keys that are trusted to sign them, and the audit trail.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::rollout::Rollout;
use crate::words::{Word, words};
use crate::{TenantIndex, Timestamp};

/// Kind of plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PluginKind {
    /// Answers in conversations.
    Automation,
    /// Connects a channel. Only the operator uploads these.
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

/// A plugin with its versions. Invariant: there is one per name in the whole engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plugin {
    /// Name of the plugin.
    pub name: String,
    /// The tenant that owns it; `None` for the operator, whose plugins every tenant may use.
    pub owner: Option<TenantIndex>,
    /// Kind of plugin.
    pub kind: PluginKind,
    /// The versions, oldest first.
    pub versions: Vec<PluginVersion>,
    /// Digest of the active version.
    pub active: Option<String>,
    /// Digest of the previous version, for going back.
    pub previous: Option<String>,
    /// What it may use; `None` until somebody has consented.
    pub grants: Option<Grants>,
    /// The change of versions that is in progress.
    pub rollout: Option<Rollout>,
    /// Number of changes so far. A change is refused unless its revision is the stored one plus one.
    pub revision: u64,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

impl Plugin {
    /// The version with this digest.
    pub fn version(&self, digest: &str) -> Option<&PluginVersion> {
        self.versions.iter().find(|v| v.digest == digest)
    }
    /// The active version.
    pub fn active_version(&self) -> Option<&PluginVersion> {
        self.version(self.active.as_deref()?)
    }
}

/// An uploaded version of a plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginVersion {
    /// SHA-256 of the component in hexadecimal, which identifies the version.
    pub digest: String,
    /// Version number in its description.
    pub version: String,
    /// Name to show to people, from its description.
    pub display_name: String,
    /// Size of the component in bytes.
    pub size: u64,
    /// Whether it may run.
    pub status: VersionStatus,
    /// What it asks for.
    pub wants: Wants,
    /// Its whole description as JSON, to be shown.
    pub description: String,
    /// The trust root that signed it.
    pub signed_by: Option<Uuid>,
    /// Who uploaded it.
    pub uploaded_by: String,
    /// When it was uploaded.
    pub uploaded_at: Timestamp,
}

/// Whether a version may run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum VersionStatus {
    /// It may run.
    Ready,
    /// It asks for more than was granted, and may be activated after somebody has consented.
    NeedsConsent,
    /// It was rolled back, for this reason. It may be activated again by hand.
    RolledBack(String),
}

/// What a plugin asks for, or may use.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Wants {
    /// Servers that it may reach, in the notation of its description.
    pub hosts: Vec<String>,
    /// Host interfaces, for connectors.
    pub capabilities: Vec<String>,
    /// Size of its key/value store, in bytes.
    pub kv_bytes: u64,
    /// Processor time of one call, in milliseconds.
    pub cpu_ms: u32,
    /// Memory of one call, in bytes.
    pub memory_bytes: u64,
    /// Events per minute.
    pub events_per_minute: u32,
}

impl Wants {
    /// Whether it asks for nothing beyond `granted`.
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

/// What a plugin may use, and who consented.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grants {
    /// What it may use.
    pub what: Wants,
    /// Who consented.
    pub by: String,
    /// When that person consented.
    pub at: Timestamp,
}

/// A public key whose signatures are trusted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrustRoot {
    /// Public id.
    pub id: Uuid,
    /// The tenant for whose plugins it vouches; `None` for a key of the operator, which vouches for everybody's.
    pub owner: Option<TenantIndex>,
    /// Name of the key's owner or purpose, for people.
    pub name: String,
    /// The Ed25519 public key.
    pub key: [u8; 32],
    /// When it was registered.
    pub created_at: Timestamp,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

words! {
    /// What was done with a plugin.
    pub enum AuditAction {
        /// A version was uploaded.
        Uploaded = "uploaded",
        /// A version that was uploaded before got a signature.
        Signed = "signed",
        /// Somebody consented to what it may use.
        Granted = "granted",
        /// A new version got a share of the work, and is compared with the previous one.
        Canary = "canary",
        /// A version became active at once.
        Activated = "activated",
        /// The new version took over all the work, and is still watched.
        Promoted = "promoted",
        /// The new version did well, and is no longer watched.
        Settled = "settled",
        /// The new version was taken back, and the previous one became active again.
        RolledBack = "rolled-back",
        /// A version did badly and stays active, because there is no previous one.
        Kept = "kept",
        /// A version was deleted.
        VersionDeleted = "version-deleted",
        /// The plugin was deleted with all its versions.
        Deleted = "deleted",
    }
}

/// An entry of a plugin's audit trail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// Name of the plugin.
    pub plugin: String,
    /// The tenant that owns the plugin; `None` for the operator.
    pub owner: Option<TenantIndex>,
    /// When it was done.
    pub at: Timestamp,
    /// Who did it: `user:…`, `key:…`, `operator` or `engine`.
    pub by: String,
    /// What was done, as a stable word.
    pub action: Word<AuditAction>,
    /// Digest of the version.
    pub digest: Option<String>,
    /// Details, for a person.
    pub detail: String,
}
