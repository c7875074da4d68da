//! One file per noun.

pub mod action;
pub mod attachment;
pub mod automation;
pub mod call;
pub mod campaign;
pub mod campaign_header;
pub mod campaign_row;
pub mod campaign_text;
pub mod connector;
pub mod contact;
pub mod conversation;
pub mod delivery;
pub mod equal_texts;
pub mod event;
pub mod event_task;
pub mod failure_code;
pub mod health;
pub mod hearing;
pub mod import;
pub mod inbound;
pub mod label;
pub mod media_file;
pub mod message;
pub mod outreach;
pub mod pace;
pub mod plugin;
pub mod progress;
pub mod proxy;
pub mod reason;
pub mod receipt;
pub mod recording;
pub mod refusals;
pub mod role;
pub mod rollout;
pub mod rules;
pub mod stats;
pub mod tag;
pub mod template;
pub mod tenant;
pub mod timeline;
pub mod variables;
pub mod webhook;

pub use attachment::Attachment;
pub use automation::{Automation, AutomationStatus, EventKind, EventKinds};
pub use campaign::{
    Audience, Binding, Campaign, CampaignReason, CampaignStatus, ContactChoice, ContactPart, ListedRow, Source,
    StopRules,
};
pub use campaign_header::{CampaignHeader, Degrees};
pub use campaign_row::{CampaignCounts, CampaignRow, RowOutcome, RowState, RowStatus, SkipReason, StoredRow};
pub use campaign_text::FixedText;
pub use connector::{Connector, ConnectorStatus, Pace, PaceState};
pub use contact::{Contact, ContactStep, ContactType, OptOut};
pub use conversation::{Conversation, ConversationAction, ConversationStep, Handover, LastMessage};
pub use delivery::{Delivery, DeliveryAttempt, DeliveryKey, DeliveryState, DeliveryStatus};
pub use equal_texts::{EQUAL_TEXTS, EqualTexts, TextKey};
pub use event::{Event, EventBody, EventKey, NewEvent, SessionChange};
pub use event_task::{DeadLetter, EventTask, Origin, ReportedStatus, TaskBody, TaskKey, TimerKey};
pub use failure_code::FailureCode;
pub use health::{HealthChange, HealthHour, HealthLevel, HealthSignal, HealthState};
pub use import::Import;
pub use inbound::{Inbound, InboundAttachment, InboundContent, MediaKind, MediaState};
pub use label::{Label, LabelKind};
pub use media_file::{FileKind, FileUse, MediaFile};
pub use message::{
    Message, MessageAction, MessageOptions, MessageState, MessageType, NewMessage, OwnContent, Ranking, Status,
    StoredMessage, Target,
};
pub use outreach::{Outreach, OutreachRecord, OutreachWait};
pub use pace::WaitReason;
pub use plugin::{AuditAction, AuditEntry, Grants, Plugin, PluginKind, PluginVersion, TrustRoot, VersionStatus, Wants};
pub use progress::Progress;
pub use proxy::{Proxy, ProxyKind};
pub use reason::{Reason, ReasonCode};
pub use receipt::{EarlyFailure, LateFailure, NotDelivered, Reached, ReceiptKind, Receipts};
pub use recording::Recording;
pub use refusals::Refusals;
pub use role::{Right, Role};
pub use rollout::{Rollout, RolloutStep};
pub use rules::{
    AudienceRule, Bucket, ChannelLimits, OptOutCategory, Quality, Rules, Setting, Throughput, Undelivered,
};
pub use stats::{Stage, StageCounts};
pub use tag::{Color, Tag};
pub use template::{Template, TemplateCategory, TemplateFormat, TemplateStatus};
pub use tenant::{AccessToken, ApiKey, Tenant, TenantSettings, User};
pub use timeline::{EntryContent, EntryKind, EntryReaction, TimelineAct, TimelineEntry, TimelineItem};
pub use variables::Variables;
pub use webhook::{ConnectorWebhook, EventDelivery, EventDeliveryKey, HookKind, HookKinds};
