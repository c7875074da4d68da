//! The part of the store for connectors' webhooks: further changes for [`super::Store::commit`], and reads.

use std::sync::Arc;

use uuid::Uuid;

use super::{EventFilter, StoreResult};
use crate::model::*;
use crate::{ConnectorIndex, TenantIndex, Timestamp};

/// An entry of the queue of due deliveries of events, ordered by due time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct DueEventDelivery {
    /// When the delivery's next attempt is due.
    pub due_at: Timestamp,
    /// The delivery.
    pub key: EventDeliveryKey,
}

/// One change of connectors' webhooks. The deliveries themselves are made by the store, in the batch of an event that the active webhook
/// of its connector wants.
#[derive(Clone)]
pub enum WebhookChange {
    /// Creates or replaces the webhook of a connector.
    Put(ConnectorWebhook),
    /// Deletes the webhook of a connector, if there is one. What waits for it is given up when it is due.
    Remove(ConnectorIndex),
    /// The receiver answered 410: switches the webhook off, unless it was set since.
    Gone {
        /// The connector.
        connector: ConnectorIndex,
        /// [`ConnectorWebhook::updated_at`] of the webhook that was posted to.
        updated_at: Timestamp,
        /// When it answered.
        at: Timestamp,
    },
    /// A delivery after an attempt: replaces it, and queues the next one of its conversation when this one has ended. Does nothing if it
    /// was forgotten together with its event.
    Delivery(EventDelivery),
}

/// Filters of a list of deliveries of events.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EventDeliveryFilter {
    /// Only deliveries to the webhook of this connector.
    pub connector: Option<ConnectorIndex>,
    /// Only deliveries in this state.
    pub status: Option<DeliveryStatus>,
}

/// A page of deliveries of events, newest event first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EventDeliveryPage {
    /// The deliveries. It may have none although there are more pages: a page looks at a bounded number.
    pub rows: Vec<EventDelivery>,
    /// Number of the event before which the next page begins; `None` on the last one.
    pub next: Option<u64>,
}

/// Reads of connectors' webhooks. The defaults are those of a store without any.
#[expect(unused_variables, reason = "the defaults read nothing")]
pub trait WebhookStore: Send + Sync + 'static {
    /// The webhook of a connector. Cheap: from memory.
    fn connector_webhook(&self, connector: ConnectorIndex) -> StoreResult<Option<Arc<ConnectorWebhook>>> {
        Ok(None)
    }
    /// The queue of due deliveries of events up to and including `until`, after the entry `after`, oldest first.
    fn due_event_deliveries(
        &self,
        until: Timestamp,
        after: Option<DueEventDelivery>,
        limit: usize,
    ) -> StoreResult<Vec<DueEventDelivery>> {
        Ok(Vec::new())
    }
    /// A delivery of an event.
    fn event_delivery(&self, key: EventDeliveryKey) -> StoreResult<Option<EventDelivery>> {
        Ok(None)
    }
    /// A delivery of an event by its public id.
    fn event_delivery_by_id(&self, tenant: TenantIndex, id: Uuid) -> StoreResult<Option<EventDelivery>> {
        Ok(None)
    }
    /// A page of a tenant's deliveries of events, of those before the event number `before`: at least `limit`, if there are so many, and
    /// always all of one event.
    fn event_deliveries(
        &self,
        tenant: TenantIndex,
        filter: &EventDeliveryFilter,
        before: Option<u64>,
        limit: usize,
    ) -> StoreResult<EventDeliveryPage> {
        Ok(EventDeliveryPage::default())
    }
    /// The newest event before another one that matches. It looks at a bounded number of events.
    fn event_before(&self, key: EventKey, filter: &EventFilter) -> StoreResult<Option<Event>> {
        Ok(None)
    }
}
