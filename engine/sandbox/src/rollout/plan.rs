//! What is known of a change of versions, and which version a connector runs by it. Pure.

use std::sync::Arc;

use pombo_domain::ConnectorIndex;
use pombo_domain::ports::ConnectorSpec;
use serde_json::Value;

use crate::connector::versions::drawn;
use crate::registry::ConnectorPlugin;

/// A change of versions under way.
#[derive(Clone)]
pub(crate) struct Rollout {
    /// The version before; `None` when the plugin was not there.
    pub(super) from: Option<Arc<ConnectorPlugin>>,
    pub(super) to: Arc<ConnectorPlugin>,
    pub(super) share: u8,
    /// The new version is the one that counts.
    pub(super) promoted: bool,
}

impl Rollout {
    /// Whether the two versions cannot run for one connector at once.
    pub(super) fn exclusive(&self) -> bool {
        self.to.description.needs_session || self.from.as_ref().is_some_and(|from| from.description.needs_session)
    }

    /// The version that a connector starts on, and that of its canary. `tried`: another connector is on the new version already.
    pub(crate) fn versions(
        &self,
        spec: &ConnectorSpec,
        tried: bool,
    ) -> (Arc<ConnectorPlugin>, Option<Arc<ConnectorPlugin>>) {
        let Some(from) = self.from.as_ref().filter(|_| !self.promoted) else { return (self.to.clone(), None) };
        let (from, to) = (from.clone(), self.to.clone());
        match fits(&to, spec) {
            Err(problem) => {
                tracing::warn!(connector = %spec.id, problem, "a connector stays with the old version of its plugin");
                (from, None)
            }
            Ok(()) if !self.exclusive() => (from, Some(to)),
            Ok(()) if !tried || moves(spec.index, self.share) => (to, None),
            Ok(()) => (from, None),
        }
    }

    pub(crate) fn share(&self) -> u8 {
        self.share
    }

    pub(crate) fn to(&self) -> &Arc<ConnectorPlugin> {
        &self.to
    }
}

/// Whether a connector is among `share` of a hundred.
pub(super) fn moves(connector: ConnectorIndex, share: u8) -> bool {
    drawn(u128::from(connector.0) << 64, share)
}

/// Whether a version accepts a connector's whole specification. `Err` says what it does not accept.
pub(super) fn fits(plugin: &ConnectorPlugin, spec: &ConnectorSpec) -> Result<(), String> {
    let mut config = spec.config.clone();
    if let Some(fields) = config.as_object_mut() {
        let known = |name: &String| plugin.description.secret_fields.contains(name);
        let secrets = spec.secrets.iter().filter(|(name, _)| known(name));
        fields.extend(secrets.map(|(name, secret)| (name.clone(), Value::String(secret.clone()))));
    }
    plugin.check_config(&config).map_err(|problems| {
        let problem = problems.first().map(|p| format!("{} {}", p.field, p.message)).unwrap_or_default();
        let (version, connector) = (&plugin.description.version, spec.id);
        format!("version {version} does not accept the configuration of the connector {connector}: {problem}")
    })
}
