//! A connector's webhook: the URL that is told what happens on the connector, and the deliveries to it.
//!
//! A delivery is a pointer to an event of the log, made in the batch of the event. URL, secret and body are looked up when it is posted.
//! Invariant: the deliveries of a webhook about one conversation are a queue, in the order of the log; at most the oldest one that is
//! neither delivered nor given up is due. Those that concern no conversation are a queue of their own.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::delivery::DeliveryState;
use super::event::{EventBody, EventKey, SessionChange};
use super::progress::Progress;
use crate::ids::{message_id, render_seed};
use crate::words::{Word, words};
use crate::{ConnectorIndex, TenantIndex, Timestamp};

words! {
    /// What a connector's webhook can be told.
    pub enum HookKind {
        /// A message was received. Reactions, edits and deletions are not told.
        Received = "message.received",
        /// A message of the account's own was sent, here or from another of its devices.
        Sent = "message.sent",
        /// An own message was sent, delivered, read or played, or failed.
        Status = "message.status",
        /// The account is connected to its channel.
        Connected = "session.connected",
        /// The connection was lost, or the session ended.
        Disconnected = "session.disconnected",
        /// There is a new code to scan.
        Code = "session.code",
    }
}

impl HookKind {
    /// What a webhook can be told of an event, in the order in which it is told.
    pub fn of(body: &EventBody) -> &'static [Self] {
        match body {
            EventBody::Message(inbound) if inbound.from_me => &[Self::Sent],
            EventBody::Message(_) => &[Self::Received],
            // A receipt may have come before the outcome: then its status is known to be further already.
            EventBody::Sent { previous: Word::Known(Progress::Pending | Progress::Unknown), .. } => {
                &[Self::Sent, Self::Status]
            }
            EventBody::Sent { .. } => &[Self::Sent],
            EventBody::Status { .. } => &[Self::Status],
            EventBody::Session { state: Word::Known(SessionChange::Connected), .. } => &[Self::Connected],
            // Its session is connected in either case.
            EventBody::Session { state: Word::Known(SessionChange::Deaf | SessionChange::Hears), .. } => &[],
            EventBody::Session { state: Word::Known(_), .. } => &[Self::Disconnected],
            EventBody::Code { .. } => &[Self::Code],
            _ => &[],
        }
    }

    /// The kind that is stored under this number; `None` for one of a later engine.
    pub fn of_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }
}

/// A set of [`HookKind`]s, as a bit mask of their numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HookKinds(pub u32);

impl HookKinds {
    /// Every kind that there is now.
    pub fn all() -> Self {
        HookKind::ALL.into_iter().collect()
    }
    /// Whether the set contains the kind.
    pub fn has(self, kind: HookKind) -> bool {
        self.0 & 1 << kind as u8 != 0
    }
    /// In the order of their numbers.
    pub fn iter(self) -> impl Iterator<Item = HookKind> {
        HookKind::ALL.into_iter().filter(move |kind| self.has(*kind))
    }
}

impl FromIterator<HookKind> for HookKinds {
    fn from_iter<I: IntoIterator<Item = HookKind>>(kinds: I) -> Self {
        Self(kinds.into_iter().fold(0, |bits, kind| bits | 1 << kind as u8))
    }
}

/// The webhook of a connector.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectorWebhook {
    /// The tenant that owns the connector.
    pub tenant: TenantIndex,
    /// The connector.
    pub connector: ConnectorIndex,
    /// URL that is posted to.
    pub url: String,
    /// The secret that posts are signed with, sealed by [`crate::ports::SecretBox`] for [`Self::secret_context`].
    pub secret: Vec<u8>,
    /// What it is told.
    pub kinds: HookKinds,
    /// Whether it is told anything. What happens while it is not is never told.
    pub active: bool,
    /// When the receiver answered 410, which switched the webhook off; `None` since it was set again.
    pub gone_at: Option<Timestamp>,
    /// When it was last set.
    pub updated_at: Timestamp,
}

impl ConnectorWebhook {
    /// What the secret of a connector's webhook is sealed for.
    pub fn secret_context(connector: Uuid) -> String {
        format!("webhook of {connector}")
    }
}

/// The key of a delivery of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventDeliveryKey {
    /// The event.
    pub event: EventKey,
    /// What is told of it.
    pub kind: HookKind,
}

/// The delivery of an event to its connector's webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventDelivery {
    /// The key under which it is stored.
    pub key: EventDeliveryKey,
    /// The connector whose webhook is told.
    pub connector: ConnectorIndex,
    /// Number of the conversation that it is about, within which deliveries keep their order; 0 for none.
    pub conversation: u64,
    /// How far it is.
    pub state: DeliveryState,
    /// When it was made.
    pub created_at: Timestamp,
}

impl EventDelivery {
    /// A new one, due at once.
    pub fn new(key: EventDeliveryKey, connector: ConnectorIndex, conversation: u64, now: Timestamp) -> Self {
        Self { key, connector, conversation, state: DeliveryState::new(now), created_at: now }
    }

    /// Its public id, derived from what never changes of it. It carries the event's number, so that finding a delivery by its id needs no
    /// index.
    pub fn id(&self) -> Uuid {
        let EventKey { tenant, serial } = self.key.event;
        let high = (u64::from(tenant.0) << 32) | u64::from(self.connector.0);
        let mixed = render_seed(Uuid::from_u64_pair(high, serial ^ ((self.key.kind as u64 + 1) << 56)));
        message_id(self.created_at, serial, mixed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::message_serial;

    #[test]
    fn a_set_has_what_it_was_made_of() {
        let some: HookKinds = [HookKind::Code, HookKind::Sent].into_iter().collect();
        assert_eq!(some.iter().collect::<Vec<_>>(), [HookKind::Sent, HookKind::Code]);
        assert_eq!(HookKinds::all().iter().collect::<Vec<_>>(), HookKind::ALL);
        let numbers = HookKind::ALL.map(|kind| HookKind::of_number(kind as u8));
        assert_eq!(numbers, HookKind::ALL.map(Some));
        assert_eq!(HookKind::of_number(HookKind::ALL.len() as u8), None);
    }

    #[test]
    fn a_delivery_has_one_id_which_carries_its_event() {
        let of = |serial, kind| {
            let key = EventDeliveryKey { event: EventKey { tenant: TenantIndex(1), serial }, kind };
            EventDelivery::new(key, ConnectorIndex(2), 3, Timestamp(1_700_000_000_000)).id()
        };
        let id = of(77, HookKind::Sent);
        assert_eq!((id, message_serial(id)), (of(77, HookKind::Sent), Some(77)));
        assert_ne!(id, of(77, HookKind::Status));
        assert_ne!(id, of(78, HookKind::Sent));
    }
}
