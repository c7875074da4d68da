//! Automations: plugins of that kind with a checked configuration, put on a connector.
//!
//! A secret field of the configuration is sealed before it is stored, decrypted only to check a configuration or to call the
//! plugin, and never returned. What a deleted automation stored in its key/value store remains there, unreachable.

pub mod dead_letters;
pub mod events;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};
use uuid::Uuid;

use crate::commands::Commands;
use crate::commands::access::actor::Actor;
use crate::commands::connectors::{checked_name, config_text, split_secrets, under_config};
use crate::commands::plugins::catalog::{automation_change, described};
use crate::model::plugin::Plugin;
use crate::model::{Automation, AutomationStatus, EventKind, PluginKind, RolloutStep};
use crate::ports::{AutomationChange, AutomationDescription, Batch, Change, SecretBox};
use crate::{AutomationIndex, ConnectorIndex, Error, Field, Result, TenantIndex};

/// Maximum number of automations on one connector.
pub const MAX_ON_CONNECTOR: usize = 20;
/// Maximum position.
pub const MAX_POSITION: u32 = 1_000_000;

/// An automation to create.
pub struct AutomationRequest {
    /// Display name.
    pub name: String,
    /// Name of the plugin.
    pub plugin: String,
    /// Public id of the connector.
    pub connector: Uuid,
    /// The whole configuration, including secrets: a JSON object.
    pub config: Value,
    /// Its position; after all others if omitted.
    pub position: Option<u32>,
    /// Whether it is called in groups too.
    pub groups: bool,
    /// Whether its calls are recorded for replays.
    pub record: bool,
    /// Whether it starts paused.
    pub paused: bool,
}

/// A change of an automation. Omitted fields stay as they are.
#[derive(Default)]
pub struct AutomationPatch {
    /// New display name.
    pub name: Option<String>,
    /// New configuration. An omitted secret field stays as it is, one that is `null` is removed; all other fields are replaced.
    pub config: Option<Value>,
    /// New position.
    pub position: Option<u32>,
    /// Whether it is called in groups too.
    pub groups: Option<bool>,
    /// Whether its calls are recorded for replays.
    pub record: Option<bool>,
    /// Whether it is paused.
    pub paused: Option<bool>,
}

/// An automation with the public id of its connector.
pub struct AutomationView {
    /// The stored automation.
    pub automation: Arc<Automation>,
    /// The connector's public id.
    pub connector: Uuid,
}

/// The context for which a secret field of an automation's configuration is sealed.
pub fn secret_context(automation: Uuid, field: &str) -> String {
    format!("automation:{automation}:{field}")
}

/// The decrypted secrets of an automation, by field, for calling its plugin.
pub fn open_secrets(secret_box: &dyn SecretBox, automation: &Automation) -> Result<BTreeMap<String, String>> {
    let mut opened = BTreeMap::new();
    for (field, sealed) in &automation.secrets {
        let plain = secret_box
            .open(&secret_context(automation.id, field), sealed)
            .ok()
            .and_then(|plain| String::from_utf8(plain).ok())
            .ok_or_else(|| {
                Error::conflict(
                    "the stored secrets cannot be decrypted with the engine's current key; start it with the key they were \
                     encrypted with, or enter the automation's secrets again",
                )
            })?;
        opened.insert(field.clone(), plain);
    }
    Ok(opened)
}

impl Commands {
    /// Creates an automation.
    pub async fn create_automation(&self, actor: &Actor, request: AutomationRequest) -> Result<AutomationView> {
        let tenant = actor.tenant()?;
        let name = checked_name(&request.name)?;
        let connector = self
            .live_connector(tenant, request.connector)
            .map_err(|_| Error::invalid(Field::Connector, "no such connector; use the id of one of your connectors"))?;
        // The same lock as for activating another version: an automation is checked against the version that it will be called with.
        let _plugin_turn = self.plugin_writes.of(&request.plugin).await;
        let (plugin, description) = self.usable_automation(actor, &request.plugin)?;
        let (open, secrets) = split_secrets(request.config, &description.secret_fields)?;
        let secrets: BTreeMap<String, String> =
            secrets.into_iter().filter_map(|(field, value)| Some((field, value?))).collect();
        self.check_automation_config(&plugin, &open, &secrets).await?;

        let index = AutomationIndex(self.ports().store.next_connector_index().await?.0);
        let _turn = self.connector_writes.of(connector.index).await;
        let others = self.ports().store.automations_on(connector.index)?;
        if others.len() >= MAX_ON_CONNECTOR {
            let message = format!("this connector already has {MAX_ON_CONNECTOR} automations");
            return Err(Error::conflict(message));
        }
        let last = others.iter().map(|other| other.position + 1).max().unwrap_or_default();
        let id = self.ports().entropy.uuid();
        let now = self.ports().clock.now();
        let automation = Automation {
            id,
            index,
            tenant,
            connector: connector.index,
            name,
            plugin: plugin.name.clone(),
            config: config_text(open)?,
            secrets: self.sealed(id, &secrets),
            position: checked_position(request.position)?.unwrap_or(last.min(MAX_POSITION)),
            observer: description.observer,
            events: self.called_for(&plugin, &description),
            status: if request.paused { AutomationStatus::Paused } else { AutomationStatus::Active },
            groups: request.groups,
            record: request.record,
            created_at: now,
            updated_at: now,
        };
        let put = automation_change(AutomationChange::Put(automation.clone()));
        self.ports().store.commit(Batch::of(vec![put])).await?;
        Ok(AutomationView { automation: Arc::new(automation), connector: connector.id })
    }

    /// A tenant's automations, in the order of their connectors and positions, without deleted ones.
    pub fn list_automations(&self, tenant: TenantIndex, connector: Option<Uuid>) -> Result<Vec<AutomationView>> {
        let on = connector.map(|id| self.live_connector(tenant, id)).transpose()?;
        let mut automations = self.ports().store.automations(Some(tenant))?;
        automations.retain(|automation| on.as_ref().is_none_or(|on| on.index == automation.connector));
        automations.sort_by_key(|automation| (automation.connector, automation.order()));
        automations.into_iter().map(|automation| self.automation_view(automation)).collect()
    }

    /// An automation that is not deleted.
    pub fn get_automation(&self, tenant: TenantIndex, id: Uuid) -> Result<AutomationView> {
        self.automation_view(self.live_automation(tenant, id)?)
    }

    /// Changes an automation. A new configuration takes effect with the next event.
    pub async fn update_automation(&self, actor: &Actor, id: Uuid, patch: AutomationPatch) -> Result<AutomationView> {
        let tenant = actor.tenant()?;
        let name = patch.name.as_deref().map(checked_name).transpose()?;
        let position = checked_position(patch.position)?;
        let found = self.live_automation(tenant, id)?;
        let _plugin_turn = self.plugin_writes.of(&found.plugin).await;
        let _turn = self.connector_writes.of(found.connector).await;
        let mut automation = Automation::clone(self.live_automation(tenant, id)?.as_ref());
        if let Some(name) = name {
            automation.name = name;
        }
        if let Some(config) = patch.config {
            let (plugin, description) = self.usable_automation(actor, &automation.plugin)?;
            let (open, given) = split_secrets(config, &description.secret_fields)?;
            let mut secrets = open_secrets(self.ports().secrets.as_ref(), &automation)?;
            for (field, value) in given {
                match value {
                    Some(value) => secrets.insert(field, value),
                    None => secrets.remove(&field),
                };
            }
            self.check_automation_config(&plugin, &open, &secrets).await?;
            automation.config = config_text(open)?;
            automation.secrets = self.sealed(automation.id, &secrets);
        }
        automation.position = position.unwrap_or(automation.position);
        automation.groups = patch.groups.unwrap_or(automation.groups);
        automation.record = patch.record.unwrap_or(automation.record);
        automation.status = match patch.paused {
            Some(true) => AutomationStatus::Paused,
            Some(false) => AutomationStatus::Active,
            None => automation.status,
        };
        self.put_automation(automation).await
    }

    /// Deletes an automation: its secrets are deleted, and it is no longer called.
    pub async fn delete_automation(&self, tenant: TenantIndex, id: Uuid) -> Result<()> {
        let found = self.live_automation(tenant, id)?;
        let _plugin_turn = self.plugin_writes.of(&found.plugin).await;
        let _turn = self.connector_writes.of(found.connector).await;
        let automation = self.live_automation(tenant, id)?;
        self.put_automation(deleted(&automation)).await?;
        Ok(())
    }

    /// The changes that delete the automations on a connector, to be committed together with the connector's own deletion.
    pub(crate) fn deleted_automations(&self, connector: ConnectorIndex) -> Result<Vec<Change>> {
        let now = self.ports().clock.now();
        let on = self.ports().store.automations_on(connector)?;
        let gone = on.iter().map(|automation| Automation { updated_at: now, ..deleted(automation) });
        Ok(gone.map(|automation| automation_change(AutomationChange::Put(automation))).collect())
    }

    async fn put_automation(&self, mut automation: Automation) -> Result<AutomationView> {
        automation.updated_at = self.ports().clock.now();
        let put = automation_change(AutomationChange::Put(automation.clone()));
        self.ports().store.commit(Batch::of(vec![put])).await?;
        self.automation_view(Arc::new(automation))
    }

    pub(crate) fn live_automation(&self, tenant: TenantIndex, id: Uuid) -> Result<Arc<Automation>> {
        let found = self.ports().store.automation_by_id(tenant, id)?;
        let live = found.filter(|automation| automation.status != AutomationStatus::Deleted);
        live.ok_or_else(|| Error::not_found("Automation"))
    }

    fn automation_view(&self, automation: Arc<Automation>) -> Result<AutomationView> {
        let connector = self.connector_id(automation.connector)?;
        Ok(AutomationView { automation, connector })
    }

    pub(crate) fn connector_id(&self, index: ConnectorIndex) -> Result<Uuid> {
        let found = self.ports().store.connector(index)?;
        Ok(found.ok_or_else(|| Error::internal("something names a connector that is not stored"))?.id)
    }

    /// A plugin from which an automation can be created, with the description of its active version.
    fn usable_automation(&self, actor: &Actor, name: &str) -> Result<(Arc<Plugin>, AutomationDescription)> {
        let unknown = || Error::invalid(Field::Plugin, "no automation plugin has this name; see the list of plugins");
        let plugin = self.get_plugin(actor, name).ok().and_then(|view| view.plugin).ok_or_else(unknown)?;
        if plugin.kind != PluginKind::Automation {
            return Err(unknown());
        }
        let description = plugin
            .active_version()
            .and_then(described)
            .ok_or_else(|| Error::invalid(Field::Plugin, "this plugin has no active version; activate one first"))?;
        Ok((plugin, description))
    }

    /// The digests of the versions with which an automation on this plugin is called at present.
    fn running_versions(plugin: &Plugin) -> impl Iterator<Item = &str> {
        let canary = plugin.rollout.as_ref().filter(|rollout| rollout.step == RolloutStep::Canary);
        plugin.active.as_deref().into_iter().chain(canary.map(|rollout| rollout.to.as_str()))
    }

    fn called_for(&self, plugin: &Plugin, description: &AutomationDescription) -> crate::model::EventKinds {
        let versions = Self::running_versions(plugin).filter_map(|digest| plugin.version(digest));
        let all: Vec<_> = versions.filter_map(described).map(|says| says.events).collect();
        let either = |kind: &EventKind| description.events.has(*kind) || all.iter().any(|events| events.has(*kind));
        EventKind::ALL.into_iter().filter(either).collect()
    }

    async fn check_automation_config(
        &self,
        plugin: &Plugin,
        open: &Map<String, Value>,
        secrets: &BTreeMap<String, String>,
    ) -> Result<()> {
        let whole = Value::Object(whole(open.clone(), secrets));
        for digest in Self::running_versions(plugin) {
            let checked = self.ports().plugins.check_config(digest, &whole).await;
            checked.map_err(|problems| Error::invalid_fields(problems.into_iter().map(under_config).collect()))?;
        }
        Ok(())
    }

    /// An automation's configuration with its decrypted secrets.
    pub(crate) fn whole_config(&self, automation: &Automation) -> Result<Map<String, Value>> {
        let open = serde_json::from_str(&automation.config)
            .map_err(|_| Error::internal("an automation's stored configuration is damaged"))?;
        Ok(whole(open, &open_secrets(self.ports().secrets.as_ref(), automation)?))
    }

    fn sealed(&self, id: Uuid, secrets: &BTreeMap<String, String>) -> BTreeMap<String, Vec<u8>> {
        let seal = |(field, value): (&String, &String)| {
            (field.clone(), self.ports().secrets.seal(&secret_context(id, field), value.as_bytes()))
        };
        secrets.iter().map(seal).collect()
    }
}

fn deleted(automation: &Automation) -> Automation {
    Automation { status: AutomationStatus::Deleted, secrets: BTreeMap::new(), ..automation.clone() }
}

fn whole(mut open: Map<String, Value>, secrets: &BTreeMap<String, String>) -> Map<String, Value> {
    open.extend(secrets.iter().map(|(field, value)| (field.clone(), Value::String(value.clone()))));
    open
}

fn checked_position(position: Option<u32>) -> Result<Option<u32>> {
    match position {
        Some(position) if position > MAX_POSITION => {
            Err(Error::invalid(Field::Position, format!("must be at most {MAX_POSITION}")))
        }
        position => Ok(position),
    }
}
