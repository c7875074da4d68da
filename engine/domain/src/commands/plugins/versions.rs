//! Which version of a plugin runs: activating one (at once, or with a share of the work first), letting it take over, going back.
//!
//! The decision is stored in the plugin, where the sandbox and the scheduler read it. A rollout advances and goes back by
//! itself, see [`crate::model::rollout`]; this module has the steps by hand.

use std::sync::Arc;

use serde_json::Value;

use crate::commands::access::actor::Actor;
use crate::commands::plugins::catalog::{Done, described, following};
use crate::commands::plugins::grants::{self, joined, shown};
use crate::commands::{Commands, Unsigned};
use crate::model::plugin::Plugin;
use crate::model::{AuditAction, PluginKind, PluginVersion, Rollout, RolloutStep, VersionStatus, Wants};
use crate::ports::Change;
use crate::{Error, ErrorCode, Field, Result};

/// How a version is activated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Activation {
    /// Digest of the version.
    pub digest: String,
    /// Percentage of the work that it gets at first; with 100 it takes over at once and is watched.
    pub share: u8,
    /// Whether the engine promotes it or rolls it back by itself.
    pub automatic: bool,
    /// Whether to consent to what it asks for.
    pub grant: bool,
}

impl Commands {
    /// Activates a version. A plugin's first version runs at once; any other begins a rollout.
    pub async fn activate_plugin(&self, actor: &Actor, name: &str, activation: &Activation) -> Result<Arc<Plugin>> {
        if !(1..=100).contains(&activation.share) {
            return Err(Error::invalid(Field::Share, "must be 1 to 100 percent"));
        }
        let _turn = self.plugin_writes.of(name).await;
        let plugin = self.own_plugin(actor, name)?;
        let version = plugin.version(&activation.digest).ok_or_else(|| Error::not_found("Version"))?;
        self.must_be_trusted(actor, version)?;
        if plugin.kind == PluginKind::Automation {
            self.check_automations_fit(actor, name, &activation.digest).await?;
        }
        self.change_plugin(actor, name, |plugin| self.activated(actor, plugin, activation)).await
    }

    fn activated(
        &self,
        actor: &Actor,
        plugin: &mut Plugin,
        activation: &Activation,
    ) -> Result<Option<(Vec<Change>, Vec<Done>)>> {
        let digest = activation.digest.as_str();
        let version = plugin.version(digest).ok_or_else(|| Error::not_found("Version"))?.clone();
        if plugin.active.as_deref() == Some(digest) && plugin.rollout.as_ref().is_none_or(|r| r.to == digest) {
            return Ok(None);
        }
        if plugin.rollout.as_ref().is_some_and(|rollout| rollout.step == RolloutStep::Canary) {
            return Err(Error::conflict(
                "a rollout of another version is in progress; promote it or roll it back first",
            ));
        }
        let mut done = Vec::new();
        let granted = plugin.grants.as_ref().map(|grants| grants.what.clone());
        match granted {
            Some(granted) if version.wants.within(&granted) => {}
            granted if activation.grant => {
                // The version before goes on under what it has.
                let what = joined(&granted.unwrap_or_default(), &version.wants);
                grants::check(&what)?;
                done.push(Done::new(AuditAction::Granted, Some(digest), shown(&what)));
                self.put_grants(actor, plugin, what);
            }
            granted => return Err(without_consent(&version, granted.is_some())),
        }
        for known in plugin.versions.iter_mut().filter(|known| known.digest == digest) {
            known.status = VersionStatus::Ready;
        }
        let now = self.ports().clock.now();
        let store = self.ports().store.as_ref();
        let from = plugin.active.clone();
        let rollout = |step, share| Rollout {
            from: from.clone(),
            to: digest.to_owned(),
            share,
            step,
            automatic: activation.automatic,
            since: now,
            by: actor.by.clone(),
        };
        let changes = match plugin.active_version() {
            None => {
                plugin.active = Some(digest.to_owned());
                plugin.rollout = None;
                done.push(Done::new(AuditAction::Activated, Some(digest), version.version.clone()));
                following(store, plugin, &version, None)?
            }
            Some(old) if activation.share < 100 => {
                let watches = |version: &PluginVersion| described(version).is_some_and(|says| says.observer);
                if watches(old) != watches(&version) {
                    let message = "an observer and an automation that answers cannot share the work; activate it with \
                                   share 100";
                    return Err(Error::invalid(Field::Share, message));
                }
                let changes = following(store, plugin, old, Some(&version))?;
                plugin.rollout = Some(rollout(RolloutStep::Canary, activation.share));
                let detail = format!("{} % of the work for {}", activation.share, version.version);
                done.push(Done::new(AuditAction::Canary, Some(digest), detail));
                changes
            }
            Some(_) => {
                plugin.rollout = Some(rollout(RolloutStep::Watching, 100));
                plugin.previous = plugin.active.replace(digest.to_owned());
                done.push(Done::new(AuditAction::Activated, Some(digest), version.version.clone()));
                following(store, plugin, &version, None)?
            }
        };
        Ok(Some((changes, done)))
    }

    /// Lets the new version of a rollout take over now. It is watched from then on.
    pub async fn promote_plugin(&self, actor: &Actor, name: &str) -> Result<Arc<Plugin>> {
        let _turn = self.plugin_writes.of(name).await;
        self.change_plugin(actor, name, |plugin| {
            let canary = plugin.rollout.as_mut().filter(|rollout| rollout.step == RolloutStep::Canary);
            let Some(rollout) = canary else {
                return Err(Error::conflict("no rollout is in progress; there is nothing to promote"));
            };
            (rollout.step, rollout.share, rollout.since) = (RolloutStep::Watching, 100, self.ports().clock.now());
            let to = rollout.to.clone();
            plugin.previous = plugin.active.replace(to.clone());
            let version = plugin.version(&to).ok_or_else(|| Error::not_found("Version"))?.clone();
            let changes = following(self.ports().store.as_ref(), plugin, &version, None)?;
            Ok(Some((changes, vec![Done::new(AuditAction::Promoted, Some(&to), version.version)])))
        })
        .await
    }

    /// Goes back: ends the rollout, or else activates the previous version.
    pub async fn roll_back_plugin(&self, actor: &Actor, name: &str) -> Result<Arc<Plugin>> {
        let _turn = self.plugin_writes.of(name).await;
        self.change_plugin(actor, name, |plugin| {
            let none = || Error::conflict("there is no previous version to go back to");
            let (bad, good) = match plugin.rollout.take() {
                Some(rollout) => (rollout.to, rollout.from.ok_or_else(none)?),
                None => (plugin.active.clone().ok_or_else(none)?, plugin.previous.clone().ok_or_else(none)?),
            };
            let version = plugin.version(&good).ok_or_else(none)?.clone();
            let granted = plugin.grants.as_ref().is_some_and(|grants| version.wants.within(&grants.what));
            if grants::needs_consent(plugin, &version) && !granted {
                return Err(without_consent(&version, plugin.grants.is_some()));
            }
            plugin.active = Some(good);
            plugin.previous = None;
            let mut shown = bad.clone();
            for known in plugin.versions.iter_mut().filter(|known| known.digest == bad) {
                known.status = VersionStatus::RolledBack(format!("rolled back by {}", actor.by));
                shown.clone_from(&known.version);
            }
            let changes = following(self.ports().store.as_ref(), plugin, &version, None)?;
            let detail = format!("from {shown} to {}", version.version);
            Ok(Some((changes, vec![Done::new(AuditAction::RolledBack, Some(&bad), detail)])))
        })
        .await
    }

    /// If the policy requires signatures, the version's signer must still be trusted.
    fn must_be_trusted(&self, actor: &Actor, version: &PluginVersion) -> Result<()> {
        if self.ports().plugin_policy.unsigned == Unsigned::All || self.may_be_unsigned(actor) {
            return Ok(());
        }
        let roots = self.list_trust_roots(actor)?;
        let trusted = |root: &&crate::model::TrustRoot| root.revoked_at.is_none() && Some(root.id) == version.signed_by;
        if roots.iter().any(|root| trusted(&root)) {
            return Ok(());
        }
        let message = "this engine runs signed components only, and nobody who is trusted now signed this version; upload \
                       it again with a signature";
        Err(Error::new(ErrorCode::Forbidden, message))
    }

    /// Refuses a version that some automation's configuration does not fit.
    async fn check_automations_fit(&self, actor: &Actor, name: &str, digest: &str) -> Result<()> {
        for automation in self.automations_of(name)? {
            let config = Value::Object(self.whole_config(&automation)?);
            if let Err(problems) = self.ports().plugins.check_config(digest, &config).await {
                let said: Vec<String> = problems.iter().map(|p| format!("{}: {}", p.field, p.message)).collect();
                let whose = match actor.tenant {
                    Some(_) => format!("{:?} ({})", automation.name, automation.id),
                    None => automation.id.to_string(),
                };
                return Err(Error::conflict(format!(
                    "the configuration of the automation {whose} does not fit this version: {}; change it first, or the \
                     version's schema",
                    said.join("; ")
                )));
            }
        }
        Ok(())
    }
}

fn without_consent(version: &PluginVersion, some: bool) -> Error {
    let how = "activate it with grant true, or put the grants first";
    Error::conflict(match some {
        true => format!("this version asks for more than was granted ({}); {how}", shown(&version.wants)),
        false if version.wants == Wants::default() => {
            format!("nobody has consented to this plugin yet (it asks for nothing beyond the defaults); {how}")
        }
        false => format!("nobody has consented yet to what this plugin asks for ({}); {how}", shown(&version.wants)),
    })
}
