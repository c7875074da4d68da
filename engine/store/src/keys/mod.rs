//! The registry of key spaces and key prefixes. Append only: a number that was once given is never given to something else.
//!
//! All integers are big-endian, so that byte order is numeric order; instants are signed and have their sign bit flipped for
//! the same reason. A serial takes 5 bytes (serials are below 2^40), which keeps most keys within 20 bytes, the length that
//! the backend holds without an allocation. A variable-length part comes last.
//!
//! ```text
//! messages    tenant:4 serial:5                                          → record        (written once)
//! states      tenant:4 serial:5                                          → state         (absent: the initial state)
//! queues      01 connector:4 rank:1 due:8 serial:5                       → tenant        (the ready queues)
//!             02 due:8 connector:4 tenant:4 serial:5                     → nothing       (the scheduled queue)
//! deliveries  01 tenant:4 serial:5 revision:4                            → delivery
//!             02 next:8 tenant:4 serial:5 revision:4                     → nothing       (the due queue)
//!             03 tenant:4 status:1 serial:5 revision:4                   → nothing       (all that are not delivered)
//!             04 tenant:4 number:8 kind:1                                → delivery of an event, by the event's number
//!             05 next:8 tenant:4 number:8 kind:1                         → nothing       (the due queue of these)
//!             06 tenant:4 connector:4 conversation:5 number:8 kind:1     → nothing       (those that wait, a queue for each conversation)
//! columns     01 tenant:4 block:4                                        → image of 65,536 serials
//!             02 sequence:8                                              → delta of one group commit
//!             03                                                         → the first delta that still counts
//! documents   01 name                                                    → meta (schema version, counters, seed)
//!             10 tenant:4                                                → tenant
//!             11 tenant:4 id:16                                          → user
//!             12 e-mail                                                  → tenant:4 id:16
//!             13 tenant:4 id:16                                          → API key
//!             14 connector:4                                             → connector
//!             15 connector:4                                             → pace state
//!             16 tenant:4 kind:1 identifier                              → contact
//!             17 tenant:4 id:16                                          → kind:1 identifier
//!             18 tenant:4 id:16                                          → import
//!             19 tenant:4 created:8 id:16                                → nothing       (imports by time)
//!             1a tenant:4 key:32                                         → idempotency record
//!             1b at:8 tenant:4 key:32                                    → nothing       (idempotency records by time)
//!             1c connector:4                                             → bytes of its kv
//!             1d connector:4                                             → health counts
//!             1e tenant:4 kind:1 alias                                   → identifier    (another address of a contact)
//!             1f tenant:4 kind:1 length:2 identifier alias               → nothing       (the aliases of an identifier)
//!             20 automation:4                                            → automation
//!             21 name                                                    → plugin
//!             22 id:16                                                   → trust root
//!             23 length:2 name number:8                                  → audit entry   (of a plugin; numbers from 1)
//!             24 tenant:4 series:1                                       → number:8      (the last one given, of a series of numbers)
//!             25 tenant:4 number:5                                       → kind:1 identifier  (contacts by number)
//!             26 tenant:4 number:4                                       → tag
//!             27 number:8                                                → access token
//!             28 tenant:4                                                → what a tenant set for itself
//!             29 tenant:4 id:16                                          → stored file   (ahead of its message)
//!             2a connector:4                                             → webhook
//!             2c tenant:4 kind:1 identifier                              → opt-out       (where a contact was deleted)
//!             2d expires:8 tenant:4 id:16                                → nothing       (stored files by expiry)
//!             2e tenant:4                                                → files:8 bytes:8  (stored files that no message uses)
//!             40 connector:4                                             → what the channel told of its limits
//!             41 audience:16 person:16                                   → at:8 until:8  (when a person of an audience was written to)
//!             42 tenant:4 number:4                                       → template
//!             43 tenant:4 id:16                                          → number:4      (of a template)
//!             44 tenant:4 of-connector:1 connector:4 name [0 language]   → number:4      (of a template)
//!             45 tenant:4                                                → number:4      (how many templates there are)
//!             46 tenant:4 kind:1 number:4                                → label
//!             47 audience:16                                             → what the channel told of the limit of an audience
//!             48 connector:4                                             → what the channel told of starting conversations
//!             60 tenant:4 campaign:4                                     → campaign
//!             61 tenant:4 campaign:4                                     → counts of its rows
//!             62 tenant:4 campaign:4 row:4                               → row of a campaign (written once)
//!             63 tenant:4 campaign:4 row:4                               → what became of the row
//!             64 tenant:4 campaign:4 status:1 row:4                      → nothing       (its pending 0 and queued 1 rows)
//!             65 tenant:4 serial:5                                       → campaign:4 row:4  (the row that a message is)
//!             66 tenant:4 campaign:4 generation:4 row:4                  → row of a list handed in for a campaign
//!             67 tenant:4 id:16                                          → number:4      (of a campaign)
//!             70 tenant:4 span:1 number:4 connector:4 type:1 template:4 campaign:4 → counts (of messages, in an hour or a day)
//!             71 tenant:4 serial:5                                       → nothing       (failed, and tried again)
//! kv          connector:4 key                                            → value
//! events      01 tenant:4 number:8                                       → event         (written once; numbers from 1)
//!             02 tenant:4 mark:16                                        → number:8      (goes with its event)
//!             03 tenant:4                                                → number:8      (the first event not forgotten)
//!             04 tenant:4 serial:5                                       → receipts of a message
//! conversations
//!             01 id:16                                                   → conversation with its lanes
//!             02 connector:4 chat                                        → id:16
//!             03 tenant:4 id:16                                          → nothing       (a tenant's conversations)
//!             04 conversation:16 automation:4                            → an automation's state
//!             05 tenant:4 serial:5                                       → origin of a message
//!             06 tenant:4 id:16                                          → dead letter
//!             07 conversation:16 automation:4 name                       → timer         (its due time and payload)
//!             08 tenant:4 number:5                                       → id:16         (a conversation by its number)
//! work        01 conversation:16 lane:4 number:8                         → event task
//!             02 due:8 conversation:16 automation:4 name                 → nothing       (timers by due time)
//!             03 automation:4 number:8                                   → recording     (a ring; numbers from 1)
//!             04 until:8 conversation:16                                 → nothing       (pauses that end by themselves)
//! timeline    01 tenant:4 conversation:5 item:5                          → entry         (of a conversation's timeline)
//!             02 tenant:4 item:5                                         → conversation:5
//!             03 tenant:4 conversation:5 provider-id                     → item:5        (the first one with this id)
//!             04 tenant:4 serial:5                                       → entry of a sent message, or what the message does to one
//!             05 tenant:4 conversation:5                                 → id:16         (deleted, its rows are to be purged)
//!             06 tenant:4                                                → conversation:8 item:8 looked:8 (the next numbers; see tables/timeline)
//!             07 tenant:4 serial:5                                       → who sent a message
//!             08 connector:4 conversation:16                             → nothing       (read, and the channel is still to be told)
//!             09 connector:4 provider-id                                 → tenant:4 serial:5 (the last message with this id)
//! ```
//!
//! Messages with a connector need no key of their own: the packed columns are that index (status PROCESSING). Nor do lanes that
//! are due: they are held in memory, and found again from the first item of each lane.

mod automations;
mod campaigns;
mod chats;
mod contacts;
mod files;
mod rules;
mod stats;
mod templates;
mod webhooks;

pub(crate) use automations::*;
pub(crate) use campaigns::*;
pub(crate) use chats::*;
pub(crate) use contacts::*;
pub(crate) use files::*;
use pombo_domain::model::message::ReadyOrder;
use pombo_domain::model::{DeliveryKey, DeliveryStatus, EventKey};
use pombo_domain::ports::{DueDelivery, ScheduledEntry};
use pombo_domain::{ConnectorIndex, MessageKey, TenantIndex, Timestamp};
pub(crate) use rules::*;
pub(crate) use stats::*;
pub(crate) use templates::*;
use uuid::Uuid;
pub(crate) use webhooks::*;

use crate::backend::Bytes;

pub(crate) const READY: u8 = 0x01;
pub(crate) const SCHEDULED: u8 = 0x02;

pub(crate) const DELIVERY: u8 = 0x01;
pub(crate) const DELIVERY_DUE: u8 = 0x02;
pub(crate) const DELIVERY_OPEN: u8 = 0x03;

pub(crate) const COLUMN_BLOCK: u8 = 0x01;
pub(crate) const COLUMN_LOG: u8 = 0x02;
pub(crate) const COLUMN_LOG_START: u8 = 0x03;

pub(crate) const META: u8 = 0x01;
pub(crate) const TENANT: u8 = 0x10;
pub(crate) const USER: u8 = 0x11;
pub(crate) const USER_EMAIL: u8 = 0x12;
pub(crate) const API_KEY: u8 = 0x13;
pub(crate) const CONNECTOR: u8 = 0x14;
pub(crate) const PACE: u8 = 0x15;
pub(crate) const IMPORT: u8 = 0x18;
pub(crate) const IMPORT_TIME: u8 = 0x19;
pub(crate) const IDEMPOTENCY: u8 = 0x1a;
pub(crate) const IDEMPOTENCY_TIME: u8 = 0x1b;
pub(crate) const KV_BYTES: u8 = 0x1c;
pub(crate) const HEALTH: u8 = 0x1d;
pub(crate) const ACCESS_TOKEN: u8 = 0x27;

pub(crate) const EVENT: u8 = 0x01;
pub(crate) const EVENT_MARK: u8 = 0x02;
pub(crate) const EVENT_EDGE: u8 = 0x03;
pub(crate) const RECEIPTS: u8 = 0x04;

/// A fixed-size key under construction, on the stack.
pub(crate) struct Key {
    bytes: [u8; 64],
    len: usize,
}

impl Key {
    pub(crate) fn new() -> Self {
        Self { bytes: [0; 64], len: 0 }
    }
    pub(crate) fn tag(tag: u8) -> Self {
        Self::new().raw(&[tag])
    }
    pub(crate) fn raw(mut self, part: &[u8]) -> Self {
        self.bytes[self.len..self.len + part.len()].copy_from_slice(part);
        self.len += part.len();
        self
    }
    pub(crate) fn u8(self, n: u8) -> Self {
        self.raw(&[n])
    }
    pub(crate) fn u32(self, n: u32) -> Self {
        self.raw(&n.to_be_bytes())
    }
    pub(crate) fn u64(self, n: u64) -> Self {
        self.raw(&n.to_be_bytes())
    }
    pub(crate) fn serial(self, serial: u64) -> Self {
        self.raw(&serial.to_be_bytes()[3..])
    }
    pub(crate) fn time(self, at: Timestamp) -> Self {
        self.u64((at.0 as u64) ^ (1 << 63))
    }
    pub(crate) fn uuid(self, id: Uuid) -> Self {
        self.raw(id.as_bytes())
    }
    pub(crate) fn bytes(&self) -> Bytes {
        Bytes::from(&self.bytes[..self.len])
    }
}

impl std::ops::Deref for Key {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// Takes the parts of a key from its front.
pub(crate) struct Parts<'a>(pub(crate) &'a [u8]);

impl<'a> Parts<'a> {
    pub(crate) fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(n)?;
        self.0 = tail;
        Some(head)
    }
    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.take(1).map(|b| b[0])
    }
    pub(crate) fn u32(&mut self) -> Option<u32> {
        Some(u32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }
    pub(crate) fn u64(&mut self) -> Option<u64> {
        Some(u64::from_be_bytes(self.take(8)?.try_into().ok()?))
    }
    pub(crate) fn serial(&mut self) -> Option<u64> {
        let mut bytes = [0; 8];
        bytes[3..].copy_from_slice(self.take(5)?);
        Some(u64::from_be_bytes(bytes))
    }
    pub(crate) fn time(&mut self) -> Option<Timestamp> {
        Some(Timestamp((self.u64()? ^ (1 << 63)) as i64))
    }
    pub(crate) fn uuid(&mut self) -> Option<Uuid> {
        Uuid::from_slice(self.take(16)?).ok()
    }
    pub(crate) fn message(&mut self) -> Option<MessageKey> {
        Some(MessageKey { tenant: TenantIndex(self.u32()?), serial: self.serial()? })
    }
}

/// Key of a record and of a state.
pub(crate) fn message(key: MessageKey) -> Key {
    Key::new().u32(key.tenant.0).serial(key.serial)
}

pub(crate) fn parse_message(key: &[u8]) -> Option<MessageKey> {
    Parts(key).message()
}

pub(crate) fn ready_prefix(connector: ConnectorIndex) -> Key {
    Key::tag(READY).u32(connector.0)
}

pub(crate) fn ready(connector: ConnectorIndex, order: ReadyOrder) -> Key {
    ready_prefix(connector).u8(order.rank).time(order.due_at).serial(order.serial)
}

pub(crate) fn parse_ready(key: &[u8]) -> Option<(ConnectorIndex, ReadyOrder)> {
    let mut parts = Parts(key);
    parts.u8()?;
    let connector = ConnectorIndex(parts.u32()?);
    let order = ReadyOrder { rank: parts.u8()?, due_at: parts.time()?, serial: parts.serial()? };
    Some((connector, order))
}

pub(crate) fn scheduled(entry: ScheduledEntry) -> Key {
    scheduled_until(entry.due_at).u32(entry.connector.0).u32(entry.key.tenant.0).serial(entry.key.serial)
}

pub(crate) fn scheduled_until(due_at: Timestamp) -> Key {
    Key::tag(SCHEDULED).time(due_at)
}

pub(crate) fn parse_scheduled(key: &[u8]) -> Option<ScheduledEntry> {
    let mut parts = Parts(key);
    parts.u8()?;
    Some(ScheduledEntry { due_at: parts.time()?, connector: ConnectorIndex(parts.u32()?), key: parts.message()? })
}

pub(crate) fn deliveries_of_tenant(tenant: TenantIndex) -> Key {
    Key::tag(DELIVERY).u32(tenant.0)
}

pub(crate) fn deliveries_of(message: MessageKey) -> Key {
    deliveries_of_tenant(message.tenant).serial(message.serial)
}

pub(crate) fn delivery(key: DeliveryKey) -> Key {
    deliveries_of(key.message).u32(key.revision)
}

pub(crate) fn parse_delivery(key: &[u8]) -> Option<DeliveryKey> {
    let mut parts = Parts(key);
    parts.u8()?;
    Some(DeliveryKey { message: parts.message()?, revision: parts.u32()? })
}

pub(crate) fn delivery_due_until(at: Timestamp) -> Key {
    Key::tag(DELIVERY_DUE).time(at)
}

pub(crate) fn delivery_due(due: DueDelivery) -> Key {
    let DeliveryKey { message, revision } = due.key;
    delivery_due_until(due.due_at).u32(message.tenant.0).serial(message.serial).u32(revision)
}

pub(crate) fn parse_delivery_due(key: &[u8]) -> Option<DueDelivery> {
    let mut parts = Parts(key);
    parts.u8()?;
    let due_at = parts.time()?;
    Some(DueDelivery { due_at, key: DeliveryKey { message: parts.message()?, revision: parts.u32()? } })
}

pub(crate) fn deliveries_open(tenant: TenantIndex, status: DeliveryStatus) -> Key {
    Key::tag(DELIVERY_OPEN).u32(tenant.0).u8(status as u8)
}

pub(crate) fn delivery_open(status: DeliveryStatus, key: DeliveryKey) -> Key {
    deliveries_open(key.message.tenant, status).serial(key.message.serial).u32(key.revision)
}

pub(crate) fn parse_delivery_open(key: &[u8]) -> Option<(u8, DeliveryKey)> {
    let mut parts = Parts(key);
    parts.u8()?;
    let tenant = TenantIndex(parts.u32()?);
    let status = parts.u8()?;
    let message = MessageKey { tenant, serial: parts.serial()? };
    Some((status, DeliveryKey { message, revision: parts.u32()? }))
}

pub(crate) fn column_block(tenant: TenantIndex, block: u32) -> Key {
    Key::tag(COLUMN_BLOCK).u32(tenant.0).u32(block)
}

pub(crate) fn column_log(sequence: u64) -> Key {
    Key::tag(COLUMN_LOG).u64(sequence)
}

pub(crate) fn meta(name: &str) -> Key {
    Key::tag(META).raw(name.as_bytes())
}

pub(crate) fn tenant(index: TenantIndex) -> Key {
    Key::tag(TENANT).u32(index.0)
}

/// Key of a document that has a tenant and an id: [`USER`], [`API_KEY`], [`CONTACT_ID`], [`IMPORT`], [`MEDIA_FILE`].
pub(crate) fn owned(tag: u8, tenant: TenantIndex, id: Uuid) -> Key {
    Key::tag(tag).u32(tenant.0).uuid(id)
}

pub(crate) fn access_token(number: u64) -> Key {
    Key::tag(ACCESS_TOKEN).u64(number)
}

pub(crate) fn user_email(email: &str) -> Bytes {
    long(USER_EMAIL, &[], email.as_bytes())
}

/// Key of a document that has a connector's number: [`CONNECTOR`], [`PACE`], [`KV_BYTES`], [`HEALTH`], [`WEBHOOK`],
/// [`CHANNEL_LIMITS`], [`OUTREACH`].
pub(crate) fn of_connector(tag: u8, connector: ConnectorIndex) -> Key {
    Key::tag(tag).u32(connector.0)
}

pub(crate) fn events_of(tenant: TenantIndex) -> Key {
    Key::tag(EVENT).u32(tenant.0)
}

pub(crate) fn event(key: EventKey) -> Key {
    events_of(key.tenant).u64(key.serial)
}

pub(crate) fn parse_event(key: &[u8]) -> Option<EventKey> {
    let mut parts = Parts(key);
    parts.u8()?;
    Some(EventKey { tenant: TenantIndex(parts.u32()?), serial: parts.u64()? })
}

pub(crate) fn event_mark(tenant: TenantIndex, mark: &[u8; 16]) -> Key {
    Key::tag(EVENT_MARK).u32(tenant.0).raw(mark)
}

pub(crate) fn event_edge(tenant: TenantIndex) -> Key {
    Key::tag(EVENT_EDGE).u32(tenant.0)
}

pub(crate) fn receipts(key: MessageKey) -> Key {
    Key::tag(RECEIPTS).u32(key.tenant.0).serial(key.serial)
}

pub(crate) fn parse_receipts(key: &[u8]) -> Option<MessageKey> {
    let mut parts = Parts(key);
    parts.u8()?;
    parts.message()
}

pub(crate) fn import_time(tenant: TenantIndex, created_at: Timestamp, id: Uuid) -> Key {
    Key::tag(IMPORT_TIME).u32(tenant.0).time(created_at).uuid(id)
}

pub(crate) fn idempotency(tenant: TenantIndex, key: &[u8; 32]) -> Key {
    Key::tag(IDEMPOTENCY).u32(tenant.0).raw(key)
}

pub(crate) fn idempotency_time(at: Timestamp, tenant: TenantIndex, key: &[u8; 32]) -> Key {
    Key::tag(IDEMPOTENCY_TIME).time(at).u32(tenant.0).raw(key)
}

pub(crate) fn kv_prefix(connector: ConnectorIndex, prefix: &str) -> Bytes {
    let mut bytes = Vec::with_capacity(4 + prefix.len());
    bytes.extend_from_slice(&connector.0.to_be_bytes());
    bytes.extend_from_slice(prefix.as_bytes());
    Bytes::from(bytes)
}

fn long(tag: u8, fixed: &[u8], variable: &[u8]) -> Bytes {
    let mut bytes = Vec::with_capacity(1 + fixed.len() + variable.len());
    bytes.push(tag);
    bytes.extend_from_slice(fixed);
    bytes.extend_from_slice(variable);
    Bytes::from(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queue_keys_sort_as_their_order_does_and_parse_back() {
        let order = |rank, due, serial| ReadyOrder { rank, due_at: Timestamp(due), serial };
        let ascending =
            [order(0, 5, 9), order(1, -3, 8), order(1, 0, 7), order(1, 1, 0), order(1, 1, 1 << 39), order(2, -9, 0)];
        let keys: Vec<_> = ascending.iter().map(|o| ready(ConnectorIndex(7), *o).bytes()).collect();
        assert!(keys.is_sorted());
        for (key, order) in keys.iter().zip(ascending) {
            assert_eq!(parse_ready(key), Some((ConnectorIndex(7), order)));
        }
        let entry = |due, connector, serial| ScheduledEntry {
            due_at: Timestamp(due),
            connector: ConnectorIndex(connector),
            key: MessageKey { tenant: TenantIndex(3), serial },
        };
        let ascending = [entry(-1, 9, 9), entry(0, 1, 2), entry(0, 2, 1), entry(1, 0, 0)];
        let keys: Vec<_> = ascending.iter().map(|e| scheduled(*e).bytes()).collect();
        assert!(keys.is_sorted());
        for (key, entry) in keys.iter().zip(ascending) {
            assert_eq!(parse_scheduled(key), Some(entry));
        }
    }
}
