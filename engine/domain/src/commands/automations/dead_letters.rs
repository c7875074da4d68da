//! Dead letters: events that an automation still failed to handle on the last attempt. A person inspects them, and requeues or
//! discards them. The APIs call such an event parked.

use uuid::Uuid;

use crate::commands::Commands;
use crate::commands::plugins::catalog::automation_change;
use crate::model::DeadLetter;
use crate::ports::{AutomationChange, Batch};
use crate::{AutomationIndex, Error, Result, TenantIndex};

/// Number of items to look at to fill one page with the items of one automation.
const LOOKED_AT: usize = 5_000;

/// A dead letter with the public id of its automation.
pub struct DeadLetterView {
    /// The stored item.
    pub dead_letter: DeadLetter,
    /// Public id of the automation.
    pub automation: Uuid,
}

/// A page of dead letters.
pub struct DeadLetterPage {
    /// The items, ordered by id.
    pub items: Vec<DeadLetterView>,
    /// The `after` of the next page, if there may be more.
    pub next: Option<Uuid>,
}

impl Commands {
    /// A tenant's dead letters, of one automation or of all. A page may have fewer than `limit` items although there are more.
    pub fn list_dead_letters(
        &self,
        tenant: TenantIndex,
        automation: Option<Uuid>,
        after: Option<Uuid>,
        limit: usize,
    ) -> Result<DeadLetterPage> {
        let store = &self.ports().store;
        let of: Option<AutomationIndex> = match automation {
            None => None,
            // Deleted ones too: what they left is still to be looked at.
            Some(id) => Some(store.automation_by_id(tenant, id)?.ok_or_else(|| Error::not_found("Automation"))?.index),
        };
        let (mut items, mut next, mut looked) = (Vec::new(), after, 0);
        loop {
            let wanted = if of.is_some() { 500 } else { limit - items.len() };
            let page = store.dead_letters(tenant, next, wanted)?;
            let more = page.len() == wanted;
            looked += page.len();
            for dead_letter in page {
                next = Some(dead_letter.id);
                if of.is_none_or(|of| of == dead_letter.automation) {
                    items.push(self.dead_letter_view(dead_letter)?);
                }
                if items.len() == limit {
                    return Ok(DeadLetterPage { items, next });
                }
            }
            if !more {
                return Ok(DeadLetterPage { items, next: None });
            }
            if looked >= LOOKED_AT {
                return Ok(DeadLetterPage { items, next });
            }
        }
    }

    fn dead_letter_view(&self, dead_letter: DeadLetter) -> Result<DeadLetterView> {
        let found = self.ports().store.automation(dead_letter.automation)?;
        let automation = found.ok_or_else(|| Error::internal("a parked item names no stored automation"))?.id;
        Ok(DeadLetterView { dead_letter, automation })
    }

    /// Puts a dead letter back at the end of its lane, as if it were new.
    pub async fn requeue_dead_letter(&self, tenant: TenantIndex, id: Uuid) -> Result<()> {
        self.end_dead_letter(tenant, id, AutomationChange::Requeue(tenant, id)).await
    }

    /// Deletes a dead letter.
    pub async fn discard_dead_letter(&self, tenant: TenantIndex, id: Uuid) -> Result<()> {
        self.end_dead_letter(tenant, id, AutomationChange::Discard(tenant, id)).await
    }

    async fn end_dead_letter(&self, tenant: TenantIndex, id: Uuid, change: AutomationChange) -> Result<()> {
        self.ports().store.dead_letter(tenant, id)?.ok_or_else(|| Error::not_found("Parked event"))?;
        self.ports().store.commit(Batch::of(vec![automation_change(change)])).await?;
        Ok(())
    }
}
