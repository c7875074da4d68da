//! Webhook deliveries for people: listed, shown, replayed. The scheduler posts them.

use uuid::Uuid;

use crate::commands::Commands;
use crate::model::{Delivery, DeliveryStatus};
use crate::ports::{Batch, Change, DeliveryFilter};
use crate::{Error, Result, TenantIndex};

/// The filters of a list of deliveries.
#[derive(Debug, Clone, Default)]
pub struct DeliveryQuery {
    /// Only deliveries of this message.
    pub message: Option<Uuid>,
    /// Only deliveries in this state.
    pub status: Option<DeliveryStatus>,
}

impl Commands {
    /// A tenant's deliveries, newest message first: skips `offset` and returns `limit`. For a message of another tenant the list
    /// is empty.
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

    /// A delivery with its attempts.
    pub fn get_delivery(&self, tenant: TenantIndex, id: Uuid) -> Result<Delivery> {
        self.ports().store.delivery_by_id(tenant, id)?.ok_or_else(|| Error::not_found("Delivery"))
    }

    /// Posts a delivery again, starting with the first attempt, under the same id. If it still waits for its next attempt, that
    /// is due at once. Its attempts stay on record.
    pub async fn replay_delivery(&self, tenant: TenantIndex, id: Uuid) -> Result<Delivery> {
        let found = self.get_delivery(tenant, id)?;
        let state = found.state().replayed(self.ports().clock.now());
        let replayed = found.with_state(state);
        self.ports().store.commit(Batch::of(vec![Change::Delivery(replayed.clone())])).await?;
        Ok(replayed)
    }
}
