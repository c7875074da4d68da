//! Records of a plugin's work: its audit trail, its log, its usage.
//!
//! The owner of a plugin sees all of it; a tenant that uses the operator's plugin sees only the lines of its own instances.

use std::collections::BTreeMap;

use crate::Result;
use crate::commands::Commands;
use crate::commands::access::actor::Actor;
use crate::commands::access::tenants::operator_only;
use crate::commands::plugins::catalog::PluginView;
use crate::model::AuditEntry;
use crate::ports::{PluginLine, PluginUse};

/// Maximum number of lines of one page.
pub const MAX_LINES: usize = 1000;
/// Maximum number of entries of an audit trail that are shown.
pub const MAX_AUDIT: usize = 500;

/// The usage of one version.
pub struct VersionUse {
    /// Digest of the version.
    pub digest: String,
    /// Version number in its description, while the version is kept.
    pub version: Option<String>,
    /// Its calls and usage.
    pub used: PluginUse,
}

impl Commands {
    /// The audit trail of a plugin, newest first.
    pub fn plugin_audit(&self, actor: &Actor, name: &str, limit: usize) -> Result<Vec<AuditEntry>> {
        self.owned(actor, name)?;
        let mut entries = self.ports().store.audit(name, limit.min(MAX_AUDIT))?;
        // The name may have been somebody else's before.
        entries.retain(|entry| entry.owner == actor.tenant);
        Ok(entries)
    }

    /// Lines of a plugin's log after the number `after`, oldest first.
    pub fn plugin_lines(&self, actor: &Actor, name: &str, after: u64, limit: usize) -> Result<Vec<PluginLine>> {
        self.get_plugin(actor, name)?;
        Ok(self.ports().telemetry.lines(name, actor.tenant, after, limit.clamp(1, MAX_LINES)))
    }

    /// The usage of a plugin's versions since the engine started.
    pub fn plugin_usage(&self, actor: &Actor, name: &str) -> Result<Vec<VersionUse>> {
        let view = self.owned(actor, name)?;
        let usage: BTreeMap<String, PluginUse> = self.ports().telemetry.usage(name);
        let label = |digest: &str| match (&view.plugin, &view.connector) {
            (Some(plugin), _) => plugin.version(digest).map(|version| version.version.clone()),
            (None, Some(connector)) if connector.digest == digest => Some(connector.version.clone()),
            _ => None,
        };
        Ok(usage.into_iter().map(|(digest, used)| VersionUse { version: label(&digest), digest, used }).collect())
    }

    fn owned(&self, actor: &Actor, name: &str) -> Result<PluginView> {
        let view = self.get_plugin(actor, name)?;
        let owner = view.plugin.as_ref().and_then(|plugin| plugin.owner);
        if owner == actor.tenant { Ok(view) } else { Err(operator_only()) }
    }
}
