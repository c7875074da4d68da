//! Row formats that earlier engines wrote, and what they mean today. Read only: a row gets the present format when it is
//! written again. Invariant: nothing here ever changes.

use std::collections::BTreeMap;

use pombo_domain::model::connector::{QuietHours, WarmUp};
use pombo_domain::model::message::MessageAction;
use pombo_domain::model::*;
use pombo_domain::{ConnectorIndex, TenantIndex, Timestamp};
use serde::Deserialize;
use uuid::Uuid;

/// A record of format 1: without options.
#[derive(Deserialize)]
pub(crate) struct NewMessage1 {
    connector: ConnectorIndex,
    to: String,
    text: String,
    subject: Option<String>,
    contact_name: Option<String>,
    message_type: MessageType,
    priority: u8,
    scheduled_at: Option<Timestamp>,
    requires_approval: bool,
    force_direct: bool,
    notes: Option<String>,
    webhook_url: Option<String>,
    external_id: Option<String>,
    attachments: Vec<Attachment>,
    attachment_url: Option<String>,
    variables: Option<String>,
}

impl From<NewMessage1> for NewMessage {
    fn from(old: NewMessage1) -> Self {
        Self {
            connector: old.connector,
            to: old.to,
            text: old.text,
            subject: old.subject,
            contact_name: old.contact_name,
            message_type: old.message_type,
            priority: old.priority,
            scheduled_at: old.scheduled_at,
            requires_approval: old.requires_approval,
            force_direct: old.force_direct,
            notes: old.notes,
            webhook_url: old.webhook_url,
            external_id: old.external_id,
            attachments: old.attachments,
            attachment_url: old.attachment_url,
            variables: old.variables,
            options: MessageOptions::default(),
        }
    }
}

/// A record of format 2, 3 or 4. On disk, what follows the content of format 1 are the options.
#[derive(Deserialize)]
pub(crate) struct WithOptions<O> {
    content: NewMessage1,
    options: O,
}

/// A record of format 2: its options do not say what its files are shown as.
pub(crate) type NewMessage2 = WithOptions<MessageOptions2>;
/// A record of format 3: its options do not say until when it may be sent.
pub(crate) type NewMessage3 = WithOptions<MessageOptions3>;
/// A record of format 4: its options do not say what it was made from.
pub(crate) type NewMessage4 = WithOptions<MessageOptions4>;

#[derive(Deserialize)]
pub(crate) struct MessageOptions2 {
    action: MessageAction,
    reply_to: Option<Target>,
    mentions: Vec<String>,
    voice_note: bool,
}

impl From<MessageOptions2> for MessageOptions {
    fn from(old: MessageOptions2) -> Self {
        let MessageOptions2 { action, reply_to, mentions, voice_note } = old;
        Self { action, reply_to, mentions, voice_note, ..Self::default() }
    }
}

#[derive(Deserialize)]
pub(crate) struct MessageOptions3 {
    options: MessageOptions2,
    file_kind: Option<FileKind>,
}

impl From<MessageOptions3> for MessageOptions {
    fn from(old: MessageOptions3) -> Self {
        Self { file_kind: old.file_kind, ..old.options.into() }
    }
}

#[derive(Deserialize)]
pub(crate) struct MessageOptions4 {
    options: MessageOptions3,
    expires_at: Option<Timestamp>,
}

impl From<MessageOptions4> for MessageOptions {
    fn from(old: MessageOptions4) -> Self {
        Self { expires_at: old.expires_at, ..old.options.into() }
    }
}

impl<O: Into<MessageOptions>> From<WithOptions<O>> for NewMessage {
    fn from(old: WithOptions<O>) -> Self {
        Self { options: old.options.into(), ..old.content.into() }
    }
}

/// A conversation of format 1: there were only those in which an automation took part, and they had no timeline.
#[derive(Deserialize)]
pub(crate) struct Conversation1 {
    id: Uuid,
    tenant: TenantIndex,
    connector: ConnectorIndex,
    chat: String,
    is_group: bool,
    contact_name: Option<String>,
    opened_at: Timestamp,
    last_event_at: Timestamp,
    tags: Vec<String>,
    assignee: Option<String>,
    handover: Option<Handover>,
    next_task: u64,
}

impl From<Conversation1> for Conversation {
    fn from(old: Conversation1) -> Self {
        Self {
            contact_name: old.contact_name,
            last_event_at: old.last_event_at,
            tags: old.tags,
            assignee: old.assignee,
            handover: old.handover,
            engaged: true,
            next_task: old.next_task,
            ..Self::new(old.id, old.tenant, old.connector, old.chat, old.is_group, old.opened_at)
        }
    }
}

/// A connector of format 1: its pace has no health rules.
#[derive(Deserialize)]
pub(crate) struct Connector1 {
    id: Uuid,
    index: ConnectorIndex,
    tenant: TenantIndex,
    name: String,
    plugin: String,
    channel: String,
    config: String,
    secrets: BTreeMap<String, Vec<u8>>,
    status: ConnectorStatus,
    status_reason: Option<String>,
    pace: Pace1,
    created_at: Timestamp,
    updated_at: Timestamp,
}

#[derive(Deserialize)]
struct Pace1 {
    delay_min_ms: u64,
    delay_max_ms: u64,
    daily_cap: Option<u32>,
    warm_up: Option<WarmUp>,
    quiet_hours: Option<QuietHours>,
    time_zone: String,
    max_in_flight: u16,
}

impl From<Connector1> for Connector {
    fn from(old: Connector1) -> Self {
        let pace = Pace {
            delay_min_ms: old.pace.delay_min_ms,
            delay_max_ms: old.pace.delay_max_ms,
            daily_cap: old.pace.daily_cap,
            warm_up: old.pace.warm_up,
            quiet_hours: old.pace.quiet_hours,
            time_zone: old.pace.time_zone,
            max_in_flight: old.pace.max_in_flight,
            health: None,
            category_order: true,
            in_use_since: None,
        };
        Self {
            id: old.id,
            index: old.index,
            tenant: old.tenant,
            name: old.name,
            plugin: old.plugin,
            channel: old.channel,
            config: old.config,
            secrets: old.secrets,
            status: old.status,
            status_reason: old.status_reason,
            pace,
            created_at: old.created_at,
            updated_at: old.updated_at,
            receive_epoch: 0,
            proxy: None,
        }
    }
}

/// An API key of format 1: every key was the whole tenant's.
#[derive(Deserialize)]
pub(crate) struct ApiKey1 {
    id: Uuid,
    tenant: TenantIndex,
    name: String,
    hash: [u8; 32],
    prefix: String,
    created_at: Timestamp,
    revoked_at: Option<Timestamp>,
}

impl From<ApiKey1> for ApiKey {
    fn from(old: ApiKey1) -> Self {
        Self {
            id: old.id,
            tenant: old.tenant,
            name: old.name,
            hash: old.hash,
            prefix: old.prefix,
            connector: None,
            created_at: old.created_at,
            revoked_at: old.revoked_at,
        }
    }
}

/// A user of format 1: without number, role and epoch.
#[derive(Deserialize)]
pub(crate) struct User1 {
    id: Uuid,
    tenant: TenantIndex,
    email: String,
    name: String,
    password_hash: String,
    created_at: Timestamp,
}

impl User1 {
    /// By this, users get their numbers.
    pub(crate) fn age(&self) -> (Timestamp, TenantIndex, Uuid) {
        (self.created_at, self.tenant, self.id)
    }

    /// The same user with a number. Every user could do everything.
    pub(crate) fn numbered(self, number: u32) -> User {
        User {
            id: self.id,
            number,
            tenant: self.tenant,
            email: self.email,
            name: self.name,
            role: Role::Owner.into(),
            password_hash: self.password_hash,
            login_epoch: 0,
            created_at: self.created_at,
        }
    }
}

/// A contact of format 1: without a number, and with one name, which the tenant may have chosen or the channel reported.
#[derive(Deserialize)]
pub(crate) struct Contact1 {
    id: Uuid,
    tenant: TenantIndex,
    kind: ContactType,
    identifier: String,
    name: Option<String>,
    active: bool,
    reason: Option<String>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl From<Contact1> for Contact {
    fn from(old: Contact1) -> Self {
        Self {
            name: old.name,
            active: old.active,
            reason: old.reason,
            updated_at: old.updated_at,
            ..Self::new(old.id, old.tenant, old.kind, old.identifier, old.created_at)
        }
    }
}
