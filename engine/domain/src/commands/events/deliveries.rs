//! Webhook deliveries as people see them: listed, looked at, replayed. Posting them is the scheduler's.

use uuid::Uuid;

use crate::commands::Commands;
use crate::model::{Delivery, DeliveryStatus};
use crate::ports::{Batch, Change, DeliveryFilter};
use crate::{Error, Result, TenantIndex};

/// The filters of a list of deliveries.
#[derive(Debug, Clone, Default)]
pub struct DeliveryQuery {
    /// Of this message.
    pub message: Option<Uuid>,
    /// In this status.
    pub status: Option<DeliveryStatus>,
}

impl Commands {
    /// A tenant's deliveries, newest message first: skips `offset`, takes `limit`. Those of a message that is not the
    /// tenant's are an empty list.
    pub fn list_deliveries(
        &self,
        tenant: TenantIndex,
        query: &DeliveryQuery,
        offset: u64,
        limit: u32,
    ) -> Result<Vec<Delivery>> {
        let message = match query.message {
            None => None,
            Some(id) => match self.ports().store.message_by_id(tenant, id)? {
                Some(found) => Some(found.message.key),
                None => return Ok(Vec::new()),
            },
        };
        let filter = DeliveryFilter { message, status: query.status };
        Ok(self.ports().store.deliveries(tenant, &filter, offset, limit)?)
    }

    /// A delivery with what was tried.
    pub fn get_delivery(&self, tenant: TenantIndex, id: Uuid) -> Result<Delivery> {
        self.ports().store.delivery_by_id(tenant, id)?.ok_or_else(|| Error::not_found("Delivery"))
    }

    /// Posts a delivery again, from the first try on, under the same id. One that still waits for its next try is due at
    /// once. What was tried stays on record.
    pub async fn replay_delivery(&self, tenant: TenantIndex, id: Uuid) -> Result<Delivery> {
        let found = self.get_delivery(tenant, id)?;
        let now = self.ports().clock.now();
        let replayed = Delivery { status: DeliveryStatus::Pending, next_at: now, tries: 0, ..found };
        self.ports().store.commit(Batch::of(vec![Change::Delivery(replayed.clone())])).await?;
        Ok(replayed)
    }
}
