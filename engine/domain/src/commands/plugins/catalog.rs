//! The catalog of plugins: who sees which, their details, deleting them and their versions. Each change is decided on the stored
//! revision and committed together with an entry of the audit trail and, for a tenant's plugin, an event of the tenant's log.
//!
//! A tenant sees its own plugins and the operator's, and changes only its own. Of another tenant's plugins it learns only that
//! a name is taken.

use std::sync::Arc;

use crate::commands::Commands;
use crate::commands::access::actor::Actor;
use crate::commands::access::tenants::operator_only;
use crate::model::plugin::{AuditAction, Plugin};
use crate::model::{
    AuditEntry, Automation, EventBody, EventKind, EventKinds, Grants, NewEvent, PluginKind, PluginVersion,
    VersionStatus, Wants,
};
use crate::ports::{
    AppendEvent, AutomationChange, AutomationDescription, Batch, Change, Conflict, Inspected, PluginDescription, Store,
    StoreError, StoreResult,
};
use crate::{ConnectorIndex, Error, Result, TenantIndex};

/// Maximum number of times that a change is decided again because another change was faster.
const DECISIONS: usize = 6;

/// Changes of one plugin and of the automations on it happen one after the other. The locks are striped, so their number is
/// bounded.
#[derive(Clone, Default)]
pub(crate) struct Turns(Arc<[futures::lock::Mutex<()>; 32]>);

impl Turns {
    /// The lock to change the plugin called `name`.
    pub(crate) async fn of(&self, name: &str) -> futures::lock::MutexGuard<'_, ()> {
        let sum = name.bytes().fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(byte)));
        self.0[sum % self.0.len()].lock().await
    }
}

/// The owner of a plugin, as its caller sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// It is built into the engine.
    BuiltIn,
    /// The operator uploaded it, for every tenant.
    Operator,
    /// The tenant uploaded it.
    Tenant,
}

/// A plugin that a caller sees.
pub struct PluginView {
    /// Who owns the plugin.
    pub origin: Origin,
    /// The plugin as it is stored; `None` for a built-in connector.
    pub plugin: Option<Arc<Plugin>>,
    /// The description of a connector, while it is loaded.
    pub connector: Option<PluginDescription>,
    /// The description of an automation that has an active version.
    pub automation: Option<AutomationDescription>,
}

impl PluginView {
    /// Name of the plugin.
    pub fn name(&self) -> &str {
        match (&self.plugin, &self.connector) {
            (Some(plugin), _) => &plugin.name,
            (None, Some(connector)) => &connector.name,
            (None, None) => "",
        }
    }
}

/// The description of an automation's version.
pub(crate) fn described(version: &PluginVersion) -> Option<AutomationDescription> {
    serde_json::from_str(&version.description).ok()
}

/// The changes that adapt a plugin's automations to a version: the events that they are called for, and whether they only
/// observe. `beside` is another version that gets a share of the work; then they are called for the events of both versions.
/// The caller commits them together with the change of the plugin's active version or rollout.
pub fn following(
    store: &dyn Store,
    plugin: &Plugin,
    version: &PluginVersion,
    beside: Option<&PluginVersion>,
) -> StoreResult<Vec<Change>> {
    let Some(description) = described(version) else { return Ok(Vec::new()) };
    let beside = beside.and_then(described).map(|other| other.events).unwrap_or_default();
    let either = |kind: &EventKind| description.events.has(*kind) || beside.has(*kind);
    let events: EventKinds = EventKind::ALL.into_iter().filter(either).collect();
    let mut changes = Vec::new();
    for automation in store.automations(None)? {
        let differs = automation.events != events || automation.observer != description.observer;
        if automation.plugin == plugin.name && differs {
            let next = Automation { events, observer: description.observer, ..Automation::clone(&automation) };
            changes.push(automation_change(AutomationChange::Put(next)));
        }
    }
    Ok(changes)
}

pub(crate) fn automation_change(change: AutomationChange) -> Change {
    Change::Automation(Box::new(change))
}

/// What a change of a plugin did, for the audit trail.
pub(crate) struct Done {
    /// What was done.
    pub(crate) action: AuditAction,
    /// Digest of the version.
    pub(crate) digest: Option<String>,
    /// Details, for a person.
    pub(crate) detail: String,
}

impl Done {
    pub(crate) fn new(action: AuditAction, digest: Option<&str>, detail: impl Into<String>) -> Self {
        Self { action, digest: digest.map(str::to_owned), detail: detail.into() }
    }
}

impl Commands {
    /// The plugins that the actor sees, by name.
    pub fn list_all_plugins(&self, actor: &Actor) -> Result<Vec<PluginView>> {
        let mut views = Vec::new();
        let plugins = self.ports().store.plugins()?;
        for connector in self.ports().connectors.plugins() {
            if !plugins.iter().any(|plugin| plugin.name == connector.name) {
                let connector = Some(connector);
                views.push(PluginView { origin: Origin::BuiltIn, plugin: None, connector, automation: None });
            }
        }
        for plugin in plugins {
            if self.is_visible(actor, &plugin) {
                views.push(self.view(plugin));
            }
        }
        views.sort_by(|a, b| a.name().cmp(b.name()));
        Ok(views)
    }

    /// A plugin that the actor sees.
    pub fn get_plugin(&self, actor: &Actor, name: &str) -> Result<PluginView> {
        if let Some(plugin) = self.ports().store.plugin(name)? {
            let seen = self.is_visible(actor, &plugin);
            return seen.then(|| self.view(plugin)).ok_or_else(|| Error::not_found("Plugin"));
        }
        let connector = self.ports().connectors.plugin(name).ok_or_else(|| Error::not_found("Plugin"))?;
        Ok(PluginView { origin: Origin::BuiltIn, plugin: None, connector: Some(connector), automation: None })
    }

    fn view(&self, plugin: Arc<Plugin>) -> PluginView {
        let origin = match plugin.owner {
            Some(_) => Origin::Tenant,
            None if self.is_embedded(&plugin.name) => Origin::BuiltIn,
            None => Origin::Operator,
        };
        let connector = match plugin.kind {
            PluginKind::Connector => self.ports().connectors.plugin(&plugin.name),
            PluginKind::Automation => None,
        };
        let automation = plugin.active_version().and_then(described);
        PluginView { origin, plugin: Some(plugin), connector, automation }
    }

    fn is_visible(&self, actor: &Actor, plugin: &Plugin) -> bool {
        plugin.owner.is_none() || plugin.owner == actor.tenant
    }

    pub(crate) fn is_embedded(&self, name: &str) -> bool {
        self.ports().plugins.embedded().iter().any(|carried| carried.name == name)
    }

    /// A plugin that the actor may change.
    pub(crate) fn own_plugin(&self, actor: &Actor, name: &str) -> Result<Arc<Plugin>> {
        match self.get_plugin(actor, name)?.plugin {
            Some(plugin) if plugin.owner == actor.tenant => Ok(plugin),
            Some(_) => Err(operator_only()),
            None if actor.tenant.is_some() => Err(operator_only()),
            None => Err(Error::conflict("this plugin is built into the engine and changes only with the engine")),
        }
    }

    /// Changes a plugin that the actor may change. The change is decided on the stored plugin, and again if another change was
    /// faster. `decide` returns further changes to store, and what was done; `None` if nothing changes.
    pub(crate) async fn change_plugin(
        &self,
        actor: &Actor,
        name: &str,
        mut decide: impl FnMut(&mut Plugin) -> Result<Option<(Vec<Change>, Vec<Done>)>> + Send,
    ) -> Result<Arc<Plugin>> {
        for _ in 0..DECISIONS {
            let stored = self.own_plugin(actor, name)?;
            let mut plugin = Plugin::clone(&stored);
            let Some((mut changes, done)) = decide(&mut plugin)? else { return Ok(stored) };
            plugin.revision += 1;
            plugin.updated_at = self.ports().clock.now();
            changes.push(automation_change(AutomationChange::Plugin(plugin.clone())));
            self.account(actor, &plugin, done, &mut changes);
            match self.ports().store.commit(Batch::of(changes)).await {
                Ok(_) => return Ok(Arc::new(plugin)),
                Err(StoreError::Conflict(Conflict::Plugin(_))) => continue,
                Err(error) => return Err(error.into()),
            }
        }
        Err(StoreError::Conflict(Conflict::Plugin(name.to_owned())).into())
    }

    /// Adds what was done to the audit trail and to the owner's log.
    pub(crate) fn account(&self, actor: &Actor, plugin: &Plugin, done: Vec<Done>, changes: &mut Vec<Change>) {
        let at = self.ports().clock.now();
        for Done { action, digest, detail } in done {
            if let Some(tenant) = plugin.owner {
                let body = EventBody::Plugin {
                    plugin: plugin.name.clone(),
                    step: action.into(),
                    digest: digest.clone(),
                    detail: detail.clone(),
                };
                changes.push(self.event(tenant, ConnectorIndex::NONE, body));
            }
            changes.push(automation_change(AutomationChange::Audit(AuditEntry {
                plugin: plugin.name.clone(),
                owner: plugin.owner,
                at,
                by: actor.by.clone(),
                action: action.into(),
                digest,
                detail,
            })));
        }
    }

    /// An event for a tenant's log.
    pub(crate) fn event(&self, tenant: TenantIndex, connector: ConnectorIndex, body: EventBody) -> Change {
        let event = NewEvent { id: self.ports().entropy.uuid(), connector, at: self.ports().clock.now(), body };
        Change::Event(AppendEvent { tenant, event, once: None })
    }

    /// The automations on a plugin, of all tenants.
    pub(crate) fn automations_of(&self, plugin: &str) -> Result<Vec<Arc<Automation>>> {
        let mut automations = self.ports().store.automations(None)?;
        automations.retain(|automation| automation.plugin == plugin);
        Ok(automations)
    }

    /// Deletes a plugin that nothing uses; its name becomes available again.
    pub async fn delete_plugin(&self, actor: &Actor, name: &str) -> Result<()> {
        let _turn = self.plugin_writes.of(name).await;
        let plugin = self.own_plugin(actor, name)?;
        if self.is_embedded(name) {
            return Err(Error::conflict("this plugin is built into the engine and cannot be deleted"));
        }
        let automations = self.automations_of(name)?.len();
        if automations > 0 {
            return Err(Error::conflict(format!("{automations} automations use this plugin; delete them first")));
        }
        let connectors = self.ports().store.connectors(None)?.iter().filter(|c| c.plugin == name).count();
        if connectors > 0 {
            return Err(Error::conflict(format!("{connectors} connectors use this plugin; delete them first")));
        }
        let delete = AutomationChange::DeletePlugin(name.to_owned(), plugin.revision);
        let mut changes = vec![automation_change(delete)];
        self.account(
            actor,
            &plugin,
            vec![Done::new(AuditAction::Deleted, None, "with all its versions")],
            &mut changes,
        );
        self.ports().store.commit(Batch::of(changes)).await?;
        for version in &plugin.versions {
            self.ports().plugins.forget(&version.digest).await;
        }
        Ok(())
    }

    /// Deletes a version that is not running.
    pub async fn delete_plugin_version(&self, actor: &Actor, name: &str, digest: &str) -> Result<()> {
        let _turn = self.plugin_writes.of(name).await;
        self.change_plugin(actor, name, |plugin| {
            let version = plugin.version(digest).ok_or_else(|| Error::not_found("Version"))?;
            let (digest, shown) = (version.digest.clone(), version.version.clone());
            if plugin.active.as_ref() == Some(&digest) {
                return Err(Error::conflict("this version is active; activate another one first"));
            }
            let rolls =
                |rollout: &crate::model::Rollout| rollout.to == digest || rollout.from.as_ref() == Some(&digest);
            if plugin.rollout.as_ref().is_some_and(rolls) {
                return Err(Error::conflict("this version takes part in a rollout; wait for its end, or roll back"));
            }
            plugin.versions.retain(|version| version.digest != digest);
            plugin.previous.take_if(|previous| *previous == digest);
            Ok(Some((Vec::new(), vec![Done::new(AuditAction::VersionDeleted, Some(&digest), shown)])))
        })
        .await?;
        self.ports().plugins.forget(digest).await;
        Ok(())
    }

    /// Creates plugins for the automations that are built into the engine, and activates their current versions; for the server,
    /// at boot.
    pub async fn install_embedded(&self) -> Result<()> {
        for carried in self.ports().plugins.embedded() {
            self.install(carried).await?;
        }
        for plugin in self.ports().store.plugins()? {
            self.renew_own_version(&plugin).await?;
        }
        Ok(())
    }

    /// If a plugin runs the version of a connector that came with the engine, and the engine now comes with another one,
    /// switches to that.
    async fn renew_own_version(&self, plugin: &Plugin) -> Result<()> {
        let own = plugin.active_version().filter(|version| version.uploaded_by == Actor::engine().by);
        let running = self.ports().connectors.plugin(&plugin.name);
        let (PluginKind::Connector, Some(own), Some(running)) = (plugin.kind, own, running) else { return Ok(()) };
        if own.digest == running.digest {
            return Ok(());
        }
        let mut renewed = plugin.clone();
        let version = own_version(&running, self.ports().clock.now());
        let places = renewed.versions.iter_mut().filter(|known| known.digest == own.digest);
        places.for_each(|known| *known = version.clone());
        renewed.active = Some(version.digest);
        (renewed.rollout, renewed.previous) = (None, None);
        renewed.revision += 1;
        renewed.updated_at = self.ports().clock.now();
        self.ports().store.commit(Batch::of(vec![automation_change(AutomationChange::Plugin(renewed))])).await?;
        Ok(())
    }

    async fn install(&self, carried: Inspected) -> Result<()> {
        let _turn = self.plugin_writes.of(&carried.name).await;
        let now = self.ports().clock.now();
        let actor = Actor::engine();
        let grants = Grants { what: carried.wants.clone(), by: actor.by.clone(), at: now };
        let version = self.version_of(&carried, &actor.by, None, VersionStatus::Ready)?;
        let mut plugin = match self.ports().store.plugin(&carried.name)? {
            None => new_plugin(&carried, None, now),
            Some(stored) if stored.owner.is_some() => {
                // A tenant was first, before the binary carried one of this name: its plugin stays.
                return Ok(());
            }
            Some(stored) if stored.version(&carried.digest).is_some() => return Ok(()),
            Some(stored) => Plugin::clone(&stored),
        };
        plugin.previous = plugin.active.replace(carried.digest.clone());
        plugin.rollout = None;
        plugin.grants = Some(grants);
        plugin.versions.push(version.clone());
        let forgotten = trimmed(&mut plugin, self.ports().plugin_policy.versions);
        plugin.revision += 1;
        plugin.updated_at = now;
        let mut changes = following(self.ports().store.as_ref(), &plugin, &version, None)?;
        let done =
            Done::new(AuditAction::Activated, Some(&carried.digest), format!("{} of the engine", version.version));
        self.account(&actor, &plugin, vec![done], &mut changes);
        changes.push(automation_change(AutomationChange::Plugin(plugin)));
        self.ports().store.commit(Batch::of(changes)).await?;
        for digest in forgotten {
            self.ports().plugins.forget(&digest).await;
        }
        Ok(())
    }
}

/// The version of a connector that came with the engine or from the operator's folder: its component is not among the uploaded
/// ones.
pub(crate) fn own_version(running: &PluginDescription, now: crate::Timestamp) -> PluginVersion {
    PluginVersion {
        digest: running.digest.clone(),
        version: running.version.clone(),
        display_name: running.display_name.clone(),
        size: 0,
        status: VersionStatus::Ready,
        wants: Wants { capabilities: running.capabilities.clone(), ..Wants::default() },
        description: "{}".to_owned(),
        signed_by: None,
        uploaded_by: Actor::engine().by,
        uploaded_at: now,
    }
}

/// A plugin without versions.
pub(crate) fn new_plugin(inspected: &Inspected, owner: Option<TenantIndex>, now: crate::Timestamp) -> Plugin {
    Plugin {
        name: inspected.name.clone(),
        owner,
        kind: inspected.kind,
        versions: Vec::new(),
        active: None,
        previous: None,
        grants: None,
        rollout: None,
        revision: 0,
        created_at: now,
        updated_at: now,
    }
}

/// Removes the oldest versions that nothing needs from a plugin that has more than `keep`, and returns their digests.
pub(crate) fn trimmed(plugin: &mut Plugin, keep: usize) -> Vec<String> {
    let newest = plugin.versions.last().map(|version| version.digest.clone());
    let rollout = plugin.rollout.clone();
    let needed = |digest: &String| {
        [&plugin.active, &plugin.previous, &newest].iter().any(|kept| kept.as_ref() == Some(digest))
            || rollout.as_ref().is_some_and(|rollout| rollout.to == *digest || rollout.from.as_ref() == Some(digest))
    };
    let surplus = plugin.versions.len().saturating_sub(keep.max(1));
    let digests = plugin.versions.iter().map(|version| version.digest.clone());
    let forgotten: Vec<String> = digests.filter(|digest| !needed(digest)).take(surplus).collect();
    plugin.versions.retain(|version| !forgotten.contains(&version.digest));
    forgotten
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Timestamp;
    use crate::model::Wants;

    fn plugin(versions: usize) -> Plugin {
        let version = |n: usize| PluginVersion {
            digest: n.to_string(),
            version: format!("1.0.{n}"),
            display_name: String::new(),
            size: 1,
            status: VersionStatus::Ready,
            wants: Wants::default(),
            description: String::new(),
            signed_by: None,
            uploaded_by: String::new(),
            uploaded_at: Timestamp(0),
        };
        Plugin {
            name: "p".to_owned(),
            owner: None,
            kind: PluginKind::Automation,
            versions: (0..versions).map(version).collect(),
            active: Some("0".to_owned()),
            previous: Some("2".to_owned()),
            grants: None,
            rollout: None,
            revision: 1,
            created_at: Timestamp(0),
            updated_at: Timestamp(0),
        }
    }

    #[test]
    fn the_oldest_versions_that_nothing_needs_are_forgotten() {
        let mut many = plugin(7);
        assert_eq!(trimmed(&mut many, 4), ["1", "3", "4"]);
        let left: Vec<&str> = many.versions.iter().map(|version| version.digest.as_str()).collect();
        assert_eq!(left, ["0", "2", "5", "6"]);
        assert_eq!(trimmed(&mut plugin(3), 1), ["1"], "the active, the one before and the newest stay");
        assert!(trimmed(&mut plugin(4), 4).is_empty());
    }
}
