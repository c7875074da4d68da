//! The invariants of connectors' webhooks: each belongs to a connector; each delivery is of an event of the log, waits in its queue exactly
//! while it is pending, and is due exactly while it is the first there.

use std::collections::BTreeSet;

use pombo_domain::model::{ConnectorStatus, DeliveryStatus, EventKey};
use pombo_domain::ports::{DueEventDelivery, StoreResult};

use super::Problems;
use super::automations::rows;
use crate::DiskStore;
use crate::keys;
use crate::space::Space;
use crate::tables::webhooks;

impl DiskStore {
    pub(super) fn verify_webhooks(&self, problems: &mut Problems) -> StoreResult<()> {
        let backend = &*self.shared.backend;
        let catalog = self.shared.catalog.read();
        let mut stored = 0;
        for row in rows(backend, Space::Documents, keys::WEBHOOK) {
            let webhook = webhooks::parse_webhook(&row?.1)?;
            let index = webhook.connector;
            stored += 1;
            if catalog.webhooks.get(&index).is_none_or(|known| **known != webhook) {
                problems.add(|| format!("connector {}: memory has another webhook", index.0));
            }
            let owner = catalog.connectors.get(&index).filter(|connector| connector.tenant == webhook.tenant);
            if owner.is_none_or(|connector| connector.status == ConnectorStatus::Deleted) {
                problems.add(|| format!("the webhook of connector {} has no connector", index.0));
            }
        }
        if stored != catalog.webhooks.len() {
            problems.add(|| format!("{stored} webhooks of {} in memory", catalog.webhooks.len()));
        }
        let (mut due, mut waiting) = (BTreeSet::new(), BTreeSet::new());
        let mut begun = BTreeSet::new();
        // In the order of the log, so the first that waits in a queue comes first.
        for row in rows(backend, Space::Deliveries, keys::EVENT_DELIVERY) {
            let (key, row) = row?;
            let delivery = webhooks::parse(&key, &row)?;
            let EventKey { tenant, serial } = delivery.key.event;
            let log = self.shared.events.of(tenant);
            if !(log.first..log.next).contains(&serial) {
                problems.add(|| format!("{}: a delivery of event {serial}, which is not in the log", tenant.0));
            }
            if delivery.state.status == DeliveryStatus::Pending {
                waiting.insert(keys::event_delivery_waits(&delivery).bytes());
                if begun.insert((tenant, delivery.connector, delivery.conversation)) {
                    let entry = DueEventDelivery { due_at: delivery.state.next_at, key: delivery.key };
                    due.insert(keys::event_delivery_due(entry).bytes());
                }
            }
        }
        for (tag, mut expected) in [(keys::EVENT_DELIVERY_DUE, due), (keys::EVENT_DELIVERY_WAITS, waiting)] {
            for row in rows(backend, Space::Deliveries, tag) {
                let (key, _) = row?;
                if !expected.remove(&key) {
                    problems.add(|| format!("event delivery entry {key:?} should not be"));
                }
            }
            for key in expected {
                problems.add(|| format!("event delivery entry {key:?} is missing"));
            }
        }
        Ok(())
    }
}
