//! One file per noun.

pub mod attachment;
pub mod automation;
pub mod call;
pub mod connector;
pub mod contact;
pub mod conversation;
pub mod delivery;
pub mod event;
pub mod event_task;
pub mod failure_code;
pub mod health;
pub mod import;
pub mod inbound;
pub mod message;
pub mod pace;
pub mod plugin;
pub mod receipt;
pub mod recording;
pub mod role;
pub mod rollout;
pub mod tag;
pub mod tenant;
pub mod timeline;
pub mod variables;

pub use attachment::Attachment;
pub use automation::{Automation, AutomationStatus, EventKind, EventKinds};
pub use connector::{Connector, ConnectorStatus, Pace, PaceState};
pub use contact::{Contact, ContactStep, ContactType, OptOut};
pub use conversation::{Conversation, ConversationAction, ConversationStep, Handover, LastMessage};
pub use delivery::{Delivery, DeliveryKey, DeliveryStatus};
pub use event::{Event, EventBody, EventKey, NewEvent, SessionChange};
pub use event_task::{DeadLetter, EventTask, Origin, ReportedStatus, TaskBody, TaskKey, TimerKey};
pub use failure_code::FailureCode;
pub use health::{HealthChange, HealthHour, HealthLevel, HealthSignal, HealthState};
pub use import::Import;
pub use inbound::{Inbound, InboundAttachment, InboundContent, MediaKind, MediaState};
pub use message::{
    Message, MessageOptions, MessageState, MessageType, NewMessage, ReasonCode, Status, StoredMessage, Target,
};
pub use pace::WaitReason;
pub use plugin::{AuditAction, AuditEntry, Grants, Plugin, PluginKind, PluginVersion, TrustRoot, VersionStatus, Wants};
pub use receipt::{Reached, ReceiptKind, Receipts};
pub use recording::Recording;
pub use role::{Right, Role};
pub use rollout::{Rollout, RolloutStep};
pub use tag::{Color, Tag};
pub use tenant::{AccessToken, ApiKey, Tenant, TenantSettings, User};
pub use timeline::{EntryContent, EntryKind, EntryReaction, TimelineAct, TimelineEntry, TimelineItem};
pub use variables::Variables;
