//! Events that were parked after the last attempt to handle them failed: a person inspects them, and replays or discards them.

use uuid::Uuid;

use crate::commands::Commands;
use crate::commands::plugins::packages::automation_change;
use crate::model::Parked;
use crate::ports::{AutomationChange, Batch};
use crate::{AutomationIndex, Error, Result, TenantIndex};

/// Number of items to look at to fill one page with the items of one automation.
const LOOKED_AT: usize = 5_000;

/// A parked item with the public id of its automation.
pub struct ParkedView {
    /// The stored item.
    pub parked: Parked,
    /// Public id of the automation.
    pub automation: Uuid,
}

/// A page of parked items.
pub struct ParkedPage {
    /// The items, ordered by id.
    pub items: Vec<ParkedView>,
    /// The `after` of the next page, if there may be more.
    pub next: Option<Uuid>,
}

impl Commands {
    /// A tenant's parked items, of one automation or of all. A page may have fewer than `limit` items although there are more.
    pub fn list_parked(
        &self,
        tenant: TenantIndex,
        automation: Option<Uuid>,
        after: Option<Uuid>,
        limit: usize,
    ) -> Result<ParkedPage> {
        let store = &self.ports().store;
        let of: Option<AutomationIndex> = match automation {
            None => None,
            // Deleted ones too: what they left is still to be looked at.
            Some(id) => Some(store.automation_by_id(tenant, id)?.ok_or_else(|| Error::not_found("Automation"))?.index),
        };
        let (mut items, mut next, mut looked) = (Vec::new(), after, 0);
        loop {
            let wanted = if of.is_some() { 500 } else { limit - items.len() };
            let page = store.parked(tenant, next, wanted)?;
            let more = page.len() == wanted;
            looked += page.len();
            for parked in page {
                next = Some(parked.id);
                if of.is_none_or(|of| of == parked.automation) {
                    items.push(self.parked_view(parked)?);
                }
                if items.len() == limit {
                    return Ok(ParkedPage { items, next });
                }
            }
            if !more {
                return Ok(ParkedPage { items, next: None });
            }
            if looked >= LOOKED_AT {
                return Ok(ParkedPage { items, next });
            }
        }
    }

    fn parked_view(&self, parked: Parked) -> Result<ParkedView> {
        let found = self.ports().store.automation(parked.automation)?;
        let automation = found.ok_or_else(|| Error::internal("a parked item names no stored automation"))?.id;
        Ok(ParkedView { parked, automation })
    }

    /// Puts a parked item back at the end of its lane, as if it were new.
    pub async fn replay_parked(&self, tenant: TenantIndex, id: Uuid) -> Result<()> {
        self.end_parking(tenant, id, AutomationChange::Unpark(tenant, id)).await
    }

    /// Deletes a parked item.
    pub async fn discard_parked(&self, tenant: TenantIndex, id: Uuid) -> Result<()> {
        self.end_parking(tenant, id, AutomationChange::Discard(tenant, id)).await
    }

    async fn end_parking(&self, tenant: TenantIndex, id: Uuid, change: AutomationChange) -> Result<()> {
        self.ports().store.parked_by_id(tenant, id)?.ok_or_else(|| Error::not_found("Parked event"))?;
        self.ports().store.commit(Batch::of(vec![automation_change(change)])).await?;
        Ok(())
    }
}
