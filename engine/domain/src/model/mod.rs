//! One file per noun.

pub mod attachment;
pub mod connector;
pub mod contact;
pub mod delivery;
pub mod import;
pub mod message;
pub mod tenant;
mod variables;

pub use attachment::Attachment;
pub use connector::{Connector, ConnectorStatus, Pace, PaceState};
pub use contact::{Contact, ContactType};
pub use delivery::{Delivery, DeliveryKey, DeliveryStatus};
pub use import::Import;
pub use message::{Message, MessageState, MessageType, NewMessage, Status, StoredMessage};
pub use tenant::{ApiKey, Tenant, User};
