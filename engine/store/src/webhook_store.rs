//! The [`WebhookStore`] port: reads of connectors' webhooks and of the deliveries to them.

use std::sync::Arc;

use pombo_domain::ids::message_serial;
use pombo_domain::model::*;
use pombo_domain::ports::*;
use pombo_domain::{ConnectorIndex, TenantIndex, Timestamp};
use uuid::Uuid;

use crate::DiskStore;
use crate::tables::{events, webhooks};

impl WebhookStore for DiskStore {
    fn connector_webhook(&self, connector: ConnectorIndex) -> StoreResult<Option<Arc<ConnectorWebhook>>> {
        Ok(self.shared.catalog.read().webhooks.get(&connector).cloned())
    }

    fn due_event_deliveries(
        &self,
        until: Timestamp,
        after: Option<DueEventDelivery>,
        limit: usize,
    ) -> StoreResult<Vec<DueEventDelivery>> {
        webhooks::due(&*self.shared.backend, &self.shared.frontiers, until, after, limit)
    }

    fn event_delivery(&self, key: EventDeliveryKey) -> StoreResult<Option<EventDelivery>> {
        webhooks::read(&*self.shared.backend, key)
    }

    fn event_delivery_by_id(&self, tenant: TenantIndex, id: Uuid) -> StoreResult<Option<EventDelivery>> {
        let Some(serial) = message_serial(id) else { return Ok(None) };
        let all = webhooks::of_event(&*self.shared.backend, EventKey { tenant, serial })?;
        Ok(all.into_iter().find(|delivery| delivery.id() == id))
    }

    fn event_deliveries(
        &self,
        tenant: TenantIndex,
        filter: &EventDeliveryFilter,
        before: Option<u64>,
        limit: usize,
    ) -> StoreResult<EventDeliveryPage> {
        webhooks::list(&*self.shared.backend, tenant, filter, before, limit)
    }

    fn event_before(&self, key: EventKey, filter: &EventFilter) -> StoreResult<Option<Event>> {
        events::before(&*self.shared.backend, self.shared.events.of(key.tenant), key, filter)
    }
}
