//! Keys of connectors' webhooks and of the deliveries of events.

use pombo_domain::model::{EventDelivery, EventDeliveryKey, EventKey, HookKind};
use pombo_domain::ports::DueEventDelivery;
use pombo_domain::{ConnectorIndex, TenantIndex, Timestamp};

use super::{Key, Parts};

/// Goes with [`super::of_connector`].
pub(crate) const WEBHOOK: u8 = 0x2a;

pub(crate) const EVENT_DELIVERY: u8 = 0x04;
pub(crate) const EVENT_DELIVERY_DUE: u8 = 0x05;
pub(crate) const EVENT_DELIVERY_WAITS: u8 = 0x06;

impl Key {
    fn event_delivery(self, key: EventDeliveryKey) -> Self {
        self.u32(key.event.tenant.0).u64(key.event.serial).u8(key.kind as u8)
    }
}

impl Parts<'_> {
    fn event_delivery(&mut self) -> Option<EventDeliveryKey> {
        let event = EventKey { tenant: TenantIndex(self.u32()?), serial: self.u64()? };
        Some(EventDeliveryKey { event, kind: HookKind::of_number(self.u8()?)? })
    }
}

pub(crate) fn event_deliveries_of(tenant: TenantIndex) -> Key {
    Key::tag(EVENT_DELIVERY).u32(tenant.0)
}

pub(crate) fn event_deliveries_of_event(event: EventKey) -> Key {
    event_deliveries_of(event.tenant).u64(event.serial)
}

pub(crate) fn event_delivery(key: EventDeliveryKey) -> Key {
    Key::tag(EVENT_DELIVERY).event_delivery(key)
}

pub(crate) fn parse_event_delivery(key: &[u8]) -> Option<EventDeliveryKey> {
    Parts(key.get(1..)?).event_delivery()
}

pub(crate) fn event_delivery_due_until(at: Timestamp) -> Key {
    Key::tag(EVENT_DELIVERY_DUE).time(at)
}

pub(crate) fn event_delivery_due(due: DueEventDelivery) -> Key {
    event_delivery_due_until(due.due_at).event_delivery(due.key)
}

pub(crate) fn parse_event_delivery_due(key: &[u8]) -> Option<DueEventDelivery> {
    let mut parts = Parts(key.get(1..)?);
    Some(DueEventDelivery { due_at: parts.time()?, key: parts.event_delivery()? })
}

/// What the keys of all that wait in one queue begin with: the deliveries to a connector's webhook about one conversation.
pub(crate) fn event_deliveries_waiting(tenant: TenantIndex, connector: ConnectorIndex, conversation: u64) -> Key {
    Key::tag(EVENT_DELIVERY_WAITS).u32(tenant.0).u32(connector.0).serial(conversation)
}

/// The place of a delivery in its queue.
pub(crate) fn event_delivery_waits(delivery: &EventDelivery) -> Key {
    let EventDeliveryKey { event, kind } = delivery.key;
    event_deliveries_waiting(event.tenant, delivery.connector, delivery.conversation).u64(event.serial).u8(kind as u8)
}

/// The delivery whose place in a queue this is.
pub(crate) fn parse_event_delivery_waits(key: &[u8]) -> Option<EventDeliveryKey> {
    let mut parts = Parts(key.get(1..)?);
    let tenant = TenantIndex(parts.u32()?);
    // The connector and the conversation.
    parts.take(4 + 5)?;
    let event = EventKey { tenant, serial: parts.u64()? };
    Some(EventDeliveryKey { event, kind: HookKind::of_number(parts.u8()?)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_as_their_queues_do_and_parse_back() {
        let key = |serial, kind| EventDeliveryKey { event: EventKey { tenant: TenantIndex(3), serial }, kind };
        let due = |at, serial, kind| DueEventDelivery { due_at: Timestamp(at), key: key(serial, kind) };
        let ascending = [
            due(-1, 9, HookKind::Code),
            due(0, 1, HookKind::Sent),
            due(0, 1, HookKind::Status),
            due(0, 2, HookKind::Sent),
        ];
        let keys: Vec<_> = ascending.iter().map(|due| event_delivery_due(*due).bytes()).collect();
        assert!(keys.is_sorted() && ascending.is_sorted());
        for (bytes, due) in keys.iter().zip(ascending) {
            assert_eq!(parse_event_delivery_due(bytes), Some(due));
            assert_eq!(parse_event_delivery(&event_delivery(due.key)), Some(due.key));
            let delivery = EventDelivery::new(due.key, ConnectorIndex(7), 5, Timestamp(0));
            let waits = event_delivery_waits(&delivery);
            assert_eq!(parse_event_delivery_waits(&waits), Some(due.key));
            assert!(waits.starts_with(&event_deliveries_waiting(TenantIndex(3), ConnectorIndex(7), 5)));
        }
    }
}
