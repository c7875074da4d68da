//! Deliveries of events as text.

use pombo_domain::model::EventKey;
use pombo_domain::ports::StoreResult;

use crate::backend::Bytes;
use crate::codec::bad_key;
use crate::keys;
use crate::tables::webhooks;

/// A line of the deliveries of events; `None` for second keys, which follow from their rows, and for other deliveries.
pub(super) fn row(key: &Bytes, value: &Bytes) -> StoreResult<Option<String>> {
    Ok(Some(match key[0] {
        keys::EVENT_DELIVERY => {
            let delivery = webhooks::parse(key, value)?;
            let EventKey { tenant, serial } = delivery.key.event;
            format!(
                "event-delivery {}/{serial} {} id={} connector={} conversation={} {} next={} tries={} attempts={}",
                tenant.0,
                delivery.key.kind,
                delivery.id(),
                delivery.connector.0,
                delivery.conversation,
                delivery.state.status.as_str(),
                delivery.state.next_at.to_iso(),
                delivery.state.tries,
                delivery.state.attempts.len()
            )
        }
        keys::EVENT_DELIVERY_DUE => {
            let due = keys::parse_event_delivery_due(key).ok_or_else(|| bad_key("event deliveries"))?;
            let EventKey { tenant, serial } = due.key.event;
            format!("event-delivery-due at={} {}/{serial} {}", due.due_at.to_iso(), tenant.0, due.key.kind)
        }
        _ => return Ok(None),
    }))
}
