//! One file per noun.

pub mod attachment;
pub mod connector;
pub mod contact;
pub mod delivery;
pub mod event;
pub mod health;
pub mod import;
pub mod inbound;
pub mod message;
pub mod receipt;
pub mod tenant;
mod variables;

pub use attachment::Attachment;
pub use connector::{Connector, ConnectorStatus, Pace, PaceState};
pub use contact::{Contact, ContactType};
pub use delivery::{Delivery, DeliveryKey, DeliveryStatus};
pub use event::{Event, EventBody, EventKey, NewEvent};
pub use health::{HealthHour, HealthSignal, HealthState};
pub use import::Import;
pub use inbound::{Inbound, InboundAttachment, InboundContent, MediaKind, MediaState};
pub use message::{Message, MessageOptions, MessageState, MessageType, NewMessage, Status, StoredMessage, Target};
pub use receipt::{Reached, ReceiptKind, Receipts};
pub use tenant::{ApiKey, Tenant, User};
