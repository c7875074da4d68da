//! A delivery of either sort on its way: of a message's change to the message's own URL, or of an event to its connector's webhook.

use pombo_domain::Timestamp;
use pombo_domain::model::delivery::{Delivery, DeliveryKey, DeliveryState, DeliveryStatus};
use pombo_domain::model::{EventDelivery, EventDeliveryKey};
use pombo_domain::ports::{Change, DueDelivery, DueEventDelivery, WebhookChange};
use uuid::Uuid;

/// Which delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum ItemKey {
    Message(DeliveryKey),
    Event(EventDeliveryKey),
}

/// A place in one of the two due queues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    Message(DueDelivery),
    Event(DueEventDelivery),
}

/// A delivery with its attempts.
#[derive(Clone)]
pub(super) enum Item {
    Message(Delivery),
    /// With the URL that its webhook had when it was taken in, by which it waits for its turn.
    Event(EventDelivery, String),
}

impl From<Delivery> for Item {
    fn from(delivery: Delivery) -> Self {
        Self::Message(delivery)
    }
}

impl Item {
    pub(super) fn key(&self) -> ItemKey {
        match self {
            Self::Message(delivery) => ItemKey::Message(delivery.key),
            Self::Event(delivery, _) => ItemKey::Event(delivery.key),
        }
    }

    pub(super) fn id(&self) -> Uuid {
        match self {
            Self::Message(delivery) => delivery.id,
            Self::Event(delivery, _) => delivery.id(),
        }
    }

    pub(super) fn url(&self) -> &str {
        match self {
            Self::Message(delivery) => &delivery.url,
            Self::Event(_, url) => url,
        }
    }

    pub(super) fn state(&self) -> DeliveryState {
        match self {
            Self::Message(delivery) => delivery.state(),
            Self::Event(delivery, _) => delivery.state.clone(),
        }
    }

    pub(super) fn with_state(self, state: DeliveryState) -> Self {
        match self {
            Self::Message(delivery) => Self::Message(delivery.with_state(state)),
            Self::Event(delivery, url) => Self::Event(EventDelivery { state, ..delivery }, url),
        }
    }

    /// The same delivery, due at another time.
    pub(super) fn deferred(self, next_at: Timestamp) -> Self {
        let state = DeliveryState { next_at, ..self.state() };
        self.with_state(state)
    }

    /// Its place in the due queue, if it is still to be posted.
    pub(super) fn due(&self) -> Option<Due> {
        let state = self.state();
        (state.status == DeliveryStatus::Pending).then(|| match self {
            Self::Message(delivery) => Due::Message(DueDelivery { due_at: state.next_at, key: delivery.key }),
            Self::Event(delivery, _) => Due::Event(DueEventDelivery { due_at: state.next_at, key: delivery.key }),
        })
    }

    /// The change that stores it.
    pub(super) fn change(&self) -> Change {
        match self {
            Self::Message(delivery) => Change::Delivery(delivery.clone()),
            Self::Event(delivery, _) => Change::Webhook(Box::new(WebhookChange::Delivery(delivery.clone()))),
        }
    }
}
