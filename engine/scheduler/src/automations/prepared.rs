//! What is kept in memory of each automation between its calls: its opened secrets, its versions and its allowance. Checked against
//! the store's own copies at each use, so that it is never out of date.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use pombo_domain::model::{Automation, AutomationStatus, EventKind, EventKinds, Plugin, RolloutStep, Wants};
use pombo_domain::ports::{AutomationDescription, SecretBox, Store, StoreResult};
use pombo_domain::{AutomationIndex, Timestamp};
use uuid::Uuid;

use super::allowance::Allowance;
use super::rules;
use crate::options::{AutomationOptions, Ports};

/// A version of its plugin.
#[derive(Clone)]
pub(super) struct Version {
    pub(super) digest: Arc<str>,
    /// The events that this version listens to, while two versions share the work: the automation is then registered for the events of
    /// either.
    events: Option<EventKinds>,
}

impl Version {
    fn of(plugin: &Plugin, digest: &str) -> Self {
        let shared = plugin.rollout.as_ref().is_some_and(|rollout| rollout.step == RolloutStep::Canary);
        let described = || serde_json::from_str::<AutomationDescription>(&plugin.version(digest)?.description).ok();
        let events = if shared { described().map(|description| description.events) } else { None };
        Self { digest: digest.into(), events }
    }

    pub(super) fn listens_to(&self, kind: EventKind) -> bool {
        self.events.is_none_or(|events| events.has(kind))
    }
}

/// An automation, ready to be called.
pub(super) struct Prepared {
    automation: Arc<Automation>,
    plugin: Arc<Plugin>,
    pub(super) plugin_name: Arc<str>,
    pub(super) config: Arc<str>,
    pub(super) secrets: Arc<BTreeMap<String, String>>,
    pub(super) grants: Arc<Wants>,
    active: Option<Version>,
    canary: Option<Version>,
    allowance: Arc<Mutex<Allowance>>,
}

impl Prepared {
    /// The version that handles this conversation.
    pub(super) fn version(&self, conversation: Uuid) -> Option<&Version> {
        let digest = rules::version(&self.plugin, conversation)?;
        [&self.canary, &self.active].into_iter().flatten().find(|known| *known.digest == *digest)
    }

    /// Takes one event from its allowance. Returns when the event may be handled.
    pub(super) fn take(&self, now: Timestamp) -> Timestamp {
        self.allowance.lock().take(now)
    }
}

/// The automations that were called.
#[derive(Default)]
pub(crate) struct Preparations {
    known: RwLock<HashMap<AutomationIndex, Arc<Prepared>>>,
    /// Automations of which the log already says that they cannot be called; cleared when something changes.
    told: Mutex<HashSet<AutomationIndex>>,
}

impl Preparations {
    /// The automation, ready; an inner `Err` says why it cannot be called now.
    pub(super) fn get(
        &self,
        ports: &Ports,
        options: &AutomationOptions,
        automation: &Arc<Automation>,
    ) -> StoreResult<Result<Arc<Prepared>, String>> {
        let Some(plugin) = ports.store.plugin(&automation.plugin)? else {
            return Ok(Err("its plugin is not there; upload it".to_owned()));
        };
        let known = self.known.read().get(&automation.index).cloned();
        if let Some(known) = &known
            && Arc::ptr_eq(&known.automation, automation)
            && Arc::ptr_eq(&known.plugin, &plugin)
        {
            return Ok(Ok(known.clone()));
        }
        let Some(grants) = &plugin.grants else {
            return Ok(Err("its plugin was granted nothing; grant it what it asks for".to_owned()));
        };
        let secrets = match open(&*ports.seals, automation) {
            Ok(secrets) => secrets,
            Err(why) => return Ok(Err(why)),
        };
        let per_minute = match grants.what.events_per_minute {
            0 => options.events_per_minute,
            granted => granted,
        };
        let allowance = match known {
            Some(known) => {
                known.allowance.lock().set(per_minute);
                known.allowance.clone()
            }
            None => Arc::new(Mutex::new(Allowance::new(per_minute))),
        };
        let canary = plugin.rollout.as_ref().filter(|rollout| rollout.step == RolloutStep::Canary);
        let prepared = Arc::new(Prepared {
            automation: automation.clone(),
            plugin_name: plugin.name.as_str().into(),
            config: automation.config.as_str().into(),
            secrets: Arc::new(secrets),
            grants: Arc::new(grants.what.clone()),
            active: plugin.active.as_deref().map(|digest| Version::of(&plugin, digest)),
            canary: canary.map(|rollout| Version::of(&plugin, &rollout.to)),
            allowance,
            plugin,
        });
        self.known.write().insert(automation.index, prepared.clone());
        Ok(Ok(prepared))
    }

    /// Whether the log does not yet say that this one cannot be called: it is logged once for all its events.
    pub(super) fn is_news(&self, automation: AutomationIndex) -> bool {
        self.told.lock().insert(automation)
    }

    /// Automations or plugins changed: forgets the automations that are gone.
    pub(super) fn changed(&self, store: &dyn Store) {
        self.told.lock().clear();
        self.known.write().retain(|index, _| {
            let found = store.automation(*index);
            !found.is_ok_and(|found| found.is_none_or(|found| found.status == AutomationStatus::Deleted))
        });
    }
}

fn open(seals: &dyn SecretBox, automation: &Automation) -> Result<BTreeMap<String, String>, String> {
    let opened = automation.secrets.iter().map(|(field, sealed)| {
        let context = format!("automation:{}:{field}", automation.id);
        let problem = |why: String| format!("its secret {field} cannot be read: {why}; set it again");
        let plain = seals.open(&context, sealed).map_err(|error| problem(error.to_string()))?;
        Ok((field.clone(), String::from_utf8(plain).map_err(|_| problem("it is not text".to_owned()))?))
    });
    opened.collect()
}
