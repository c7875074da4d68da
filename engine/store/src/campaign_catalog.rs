//! Which campaigns are open, and which tenants have any, in memory. Part of [`crate::catalog`]: the rows on disk are the truth, and the
//! committer changes this after a commit.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use pombo_domain::TenantIndex;
use pombo_domain::ports::StoreResult;

use crate::backend::{Backend, KeyRange, Order};
use crate::keys;
use crate::space::Space;
use crate::tables::campaigns::parse;

/// The campaigns; see the module.
#[derive(Default)]
pub(crate) struct CampaignCatalog {
    tenants: HashSet<TenantIndex>,
    open: BTreeSet<(TenantIndex, u32)>,
}

impl CampaignCatalog {
    /// Reads it from the store.
    pub(crate) fn open_from(backend: &dyn Backend) -> StoreResult<Self> {
        let mut catalog = Self::default();
        for row in backend.scan(Space::Documents, KeyRange::prefix(&[keys::CAMPAIGN]), Order::Forward) {
            let campaign = parse(&row?.1)?;
            catalog.apply(campaign.tenant, campaign.number, campaign.is_open());
        }
        Ok(catalog)
    }

    pub(crate) fn apply(&mut self, tenant: TenantIndex, number: u32, is_open: bool) {
        self.tenants.insert(tenant);
        if is_open {
            self.open.insert((tenant, number));
        } else {
            self.open.remove(&(tenant, number));
        }
    }

    /// Whether a tenant ever had a campaign.
    pub(crate) fn has_any(&self, tenant: TenantIndex) -> bool {
        self.tenants.contains(&tenant)
    }

    /// The open ones of all tenants.
    pub(crate) fn open(&self) -> Arc<[(TenantIndex, u32)]> {
        self.open.iter().copied().collect()
    }
}
