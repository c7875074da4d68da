//! Automations, plugins and trust roots in memory, and where the automations' recordings and the plugins' audit trails end.
//! Part of [`crate::catalog`]: the rows on disk are the truth, and the committer changes this after a commit.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use pombo_domain::model::{Automation, AutomationStatus, EventKind, Plugin, TrustRoot};
use pombo_domain::ports::StoreResult;
use pombo_domain::{AutomationIndex, ConnectorIndex, TenantIndex};
use uuid::Uuid;

use crate::backend::{Backend, KeyRange, Order};
use crate::codec::bad_key;
use crate::keys;
use crate::space::Space;
use crate::tables::events::Extent;
use crate::tables::{automations, plugins, recordings};

/// A connector's automations in their order.
pub(crate) type Listed = Arc<[Arc<Automation>]>;

/// Something whose entries are numbered: an automation's recordings, a plugin's audit trail.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Numbered {
    Recordings(AutomationIndex),
    Audit(String),
}

/// A change that a commit made.
#[derive(Clone)]
pub(crate) enum AutomationCatalogChange {
    Automation(Arc<Automation>),
    Plugin(Arc<Plugin>),
    NoPlugin(String),
    TrustRoot(TrustRoot),
    Numbers(Numbered, Extent),
}

/// The automations, plugins and trust roots; see the module.
#[derive(Default)]
pub(crate) struct AutomationCatalog {
    pub(crate) automations: BTreeMap<AutomationIndex, Arc<Automation>>,
    ids: HashMap<Uuid, AutomationIndex>,
    /// The automations of each connector, without deleted ones.
    lists: HashMap<ConnectorIndex, Listed>,
    /// Tenants with an active automation that listens to status changes of messages.
    hear_steps: HashSet<TenantIndex>,
    pub(crate) plugins: BTreeMap<String, Arc<Plugin>>,
    pub(crate) trust_roots: BTreeMap<Uuid, TrustRoot>,
    numbers: HashMap<Numbered, Extent>,
}

/// Sorts automations by their order and leaves out deleted ones.
pub(crate) fn ordered<'a>(automations: impl Iterator<Item = &'a Arc<Automation>>) -> Listed {
    let mut listed: Vec<_> = automations.filter(|a| a.status != AutomationStatus::Deleted).cloned().collect();
    listed.sort_by_key(|automation| automation.order());
    listed.into()
}

fn hears_steps(automation: &Automation) -> bool {
    automation.status == AutomationStatus::Active && automation.events.has(EventKind::StatusChanged)
}

impl AutomationCatalog {
    /// Reads it from the store.
    pub(crate) fn open(backend: &dyn Backend) -> StoreResult<Self> {
        let mut catalog = Self::default();
        let rows = |tag: u8| backend.scan(Space::Documents, KeyRange::prefix(&[tag]), Order::Forward);
        for row in rows(keys::AUTOMATION) {
            let automation = Arc::new(automations::parse(&row?.1)?);
            let ring = recordings::extent(backend, automation.index)?;
            catalog.apply(AutomationCatalogChange::Numbers(Numbered::Recordings(automation.index), ring));
            catalog.apply(AutomationCatalogChange::Automation(automation));
        }
        for row in rows(keys::PLUGIN) {
            catalog.apply(AutomationCatalogChange::Plugin(Arc::new(plugins::parse(&row?.1)?)));
        }
        for row in rows(keys::TRUST_ROOT) {
            catalog.apply(AutomationCatalogChange::TrustRoot(plugins::parse_trust_root(&row?.1)?));
        }
        // A trail outlives its plugin.
        for row in rows(keys::AUDIT) {
            let (key, _) = row?;
            let (name, number) = keys::parse_audit(&key).ok_or_else(|| bad_key("audit trails"))?;
            let end = Extent { first: 1, next: number + 1 };
            catalog.apply(AutomationCatalogChange::Numbers(Numbered::Audit(name.to_owned()), end));
        }
        Ok(catalog)
    }

    pub(crate) fn apply(&mut self, change: AutomationCatalogChange) {
        match change {
            AutomationCatalogChange::Automation(automation) => {
                self.ids.insert(automation.id, automation.index);
                let old = self.automations.insert(automation.index, automation.clone());
                let connectors = [Some(automation.connector), old.as_ref().map(|old| old.connector)];
                for connector in connectors.into_iter().flatten() {
                    let here = self.automations.values().filter(|a| a.connector == connector);
                    self.lists.insert(connector, ordered(here));
                }
                let tenants = [Some(automation.tenant), old.map(|old| old.tenant)];
                for tenant in tenants.into_iter().flatten() {
                    if self.automations.values().any(|a| a.tenant == tenant && hears_steps(a)) {
                        self.hear_steps.insert(tenant);
                    } else {
                        self.hear_steps.remove(&tenant);
                    }
                }
            }
            AutomationCatalogChange::Plugin(plugin) => {
                self.plugins.insert(plugin.name.clone(), plugin);
            }
            AutomationCatalogChange::NoPlugin(name) => {
                self.plugins.remove(&name);
            }
            AutomationCatalogChange::TrustRoot(root) => {
                self.trust_roots.insert(root.id, root);
            }
            AutomationCatalogChange::Numbers(what, extent) => {
                self.numbers.insert(what, extent);
            }
        }
    }

    pub(crate) fn by_id(&self, tenant: TenantIndex, id: Uuid) -> Option<&Arc<Automation>> {
        self.automations.get(self.ids.get(&id)?).filter(|a| a.tenant == tenant)
    }

    pub(crate) fn on(&self, connector: ConnectorIndex) -> Listed {
        self.lists.get(&connector).cloned().unwrap_or_default()
    }

    /// Whether an active automation of the tenant listens to status changes of messages.
    pub(crate) fn hears_steps(&self, tenant: TenantIndex) -> bool {
        self.hear_steps.contains(&tenant)
    }

    pub(crate) fn numbers(&self, what: &Numbered) -> Extent {
        self.numbers.get(what).copied().unwrap_or_default()
    }
}
