//! One file per noun.

pub mod attachment;
pub mod automation;
pub mod connector;
pub mod contact;
pub mod conversation;
pub mod delivery;
pub mod event;
pub mod health;
pub mod import;
pub mod inbound;
pub mod message;
pub mod pace;
pub mod plugin;
pub mod receipt;
pub mod recording;
pub mod rollout;
pub mod tenant;
mod variables;
pub mod work;

pub use attachment::Attachment;
pub use automation::{Automation, AutomationStatus, EventKind, EventKinds};
pub use connector::{Connector, ConnectorStatus, Pace, PaceState};
pub use contact::{Contact, ContactType};
pub use conversation::{Conversation, ConversationStep, Handover};
pub use delivery::{Delivery, DeliveryKey, DeliveryStatus};
pub use event::{Event, EventBody, EventKey, NewEvent};
pub use health::{HealthHour, HealthLevel, HealthSignal, HealthState};
pub use import::Import;
pub use inbound::{Inbound, InboundAttachment, InboundContent, MediaKind, MediaState};
pub use message::{Message, MessageOptions, MessageState, MessageType, NewMessage, Status, StoredMessage, Target};
pub use plugin::{AuditEntry, Grants, Package, PackageVersion, PluginKind, TrustRoot, VersionStatus, Wants};
pub use receipt::{Reached, ReceiptKind, Receipts};
pub use recording::Recording;
pub use rollout::{Rollout, RolloutStep};
pub use tenant::{ApiKey, Tenant, User};
pub use work::{Origin, Parked, TimerKey, Work, WorkBody, WorkKey, WorkStatus};
