//! What is posted to an instance's webhook: the documented payloads and headers.
//!
//! A receiver may check the signature over its own `JSON.stringify` of what it parsed, as the documentation's sample does. So a body is
//! exactly what that writes: keys in a fixed order, none of them a number, no fractions, no number beyond what JavaScript writes exactly,
//! and only those characters escaped that it escapes.

use pombo_api::media_links::MediaLinks;
use pombo_api::options::ApiOptions;
use pombo_api::qr::png_data_url;
use pombo_domain::model::timeline::{EntryContent, EntryKind};
use pombo_domain::model::{
    EventBody, HookKind, Inbound, InboundAttachment, InboundContent, MediaState, Progress, SessionChange,
};
use pombo_domain::ports::{HookForm, ToldEvent};
use pombo_domain::{Timestamp, Word};
use serde::Serialize;
use uuid::Uuid;

use crate::instance::InstanceStatus;
use crate::refs::number_or_jid;
use crate::times::offset;

/// The documented name of an event.
pub(crate) fn event_name(kind: HookKind) -> &'static str {
    match kind {
        HookKind::Received => "message.received",
        HookKind::Sent => "message.sent",
        HookKind::Status => "message.status",
        HookKind::Connected => "instance.connected",
        HookKind::Disconnected => "instance.disconnected",
        HookKind::Code => "instance.qr",
    }
}

/// The event of a documented name, `message.incoming` included, which one sample writes for `message.received`.
pub(crate) fn event_named(name: &str) -> Option<HookKind> {
    let name = if name == "message.incoming" { "message.received" } else { name };
    HookKind::ALL.into_iter().find(|kind| event_name(*kind) == name)
}

/// Writes posts to the webhooks of instances.
pub struct WebhookBodies {
    links: MediaLinks,
}

impl WebhookBodies {
    /// With links to files as the API with these settings gives them.
    pub fn new(options: &ApiOptions) -> Self {
        Self { links: MediaLinks::new(&options.secret, &options.public_url, options.media_link_lifetime) }
    }
}

#[derive(Serialize)]
struct Payload<T> {
    event: &'static str,
    instance_uuid: Uuid,
    timestamp: String,
    data: T,
}

/// What a message says: its text, or what came with its file, and the file.
#[derive(Default)]
struct Said<'a> {
    content: Option<&'a str>,
    media_type: Option<&'static str>,
    media_url: Option<String>,
}

#[derive(Serialize)]
struct Received<'a> {
    message_id: Uuid,
    whatsapp_message_id: &'a str,
    sender_number: &'a str,
    sender_name: Option<&'a str>,
    content: Option<&'a str>,
    media_type: Option<&'static str>,
    media_url: Option<String>,
    timestamp: String,
    conversation_id: Option<u64>,
}

#[derive(Serialize)]
struct Sent<'a> {
    message_id: Uuid,
    whatsapp_message_id: Option<&'a str>,
    recipient_number: &'a str,
    content: Option<&'a str>,
    media_type: Option<&'static str>,
    media_url: Option<String>,
    timestamp: String,
    conversation_id: Option<u64>,
}

#[derive(Serialize)]
struct Status<'a> {
    message_id: Uuid,
    whatsapp_message_id: Option<&'a str>,
    previous_status: &'a str,
    new_status: &'a str,
    recipient_number: &'a str,
    timestamp: String,
}

#[derive(Serialize)]
struct Connection<'a> {
    previous_status: InstanceStatus,
    new_status: InstanceStatus,
    phone_number: Option<&'a str>,
}

#[derive(Serialize)]
struct Code<'a> {
    qr: &'a str,
    qr_image: Option<String>,
    generated_at: String,
}

/// The documented word for a kind of file; `None` for an entry that is not a file.
fn media_type(kind: EntryKind) -> Option<&'static str> {
    match kind {
        EntryKind::Image | EntryKind::Sticker => Some("image"),
        EntryKind::Video => Some("video"),
        EntryKind::Audio | EntryKind::Voice => Some("audio"),
        EntryKind::Document => Some("document"),
        EntryKind::Text | EntryKind::Location | EntryKind::Other | EntryKind::Revoked => None,
    }
}

/// How an instance stood after an event about its session.
fn status_after(body: &EventBody) -> InstanceStatus {
    match body {
        EventBody::Code { .. } => InstanceStatus::QrReady,
        EventBody::Session {
            state: Word::Known(SessionChange::Connected | SessionChange::Deaf | SessionChange::Hears),
            ..
        } => InstanceStatus::Connected,
        _ => InstanceStatus::Disconnected,
    }
}

/// How an instance stood before an event about its session. Codes are not in the log unless a webhook wants them; but a session that was
/// ended, or never begun, is only ever opened with one.
fn status_before(told: &ToldEvent<'_>) -> InstanceStatus {
    let before = told.before.map(|before| &before.event.body);
    match (told.kind, before) {
        (HookKind::Connected, None) => InstanceStatus::QrReady,
        (HookKind::Connected, Some(EventBody::Session { state: Word::Known(state), .. }))
            if matches!(state, SessionChange::LoggedOut | SessionChange::Unpaired) =>
        {
            InstanceStatus::QrReady
        }
        (_, Some(before)) => status_after(before),
        (_, None) => InstanceStatus::Connected,
    }
}

impl WebhookBodies {
    /// What a message from the channel says. A file that is still being fetched has the link of its message.
    fn received<'a>(&self, told: &ToldEvent<'_>, inbound: &'a Inbound) -> Said<'a> {
        match &inbound.content {
            InboundContent::Text(text) => Said { content: Some(text), ..Said::default() },
            InboundContent::Location { name, .. } => Said { content: name.as_deref(), ..Said::default() },
            InboundContent::Attachment(file) => Said {
                content: file.caption.as_deref(),
                media_type: media_type(file.kind.into()),
                media_url: self.file_url(told, file),
            },
            InboundContent::Reaction { .. }
            | InboundContent::Edit { .. }
            | InboundContent::Revoke(_)
            | InboundContent::Other(..) => Said::default(),
        }
    }

    /// A link to a received file, as the timeline has it by now; `None` if it cannot be fetched.
    fn file_url(&self, told: &ToldEvent<'_>, as_told: &InboundAttachment) -> Option<String> {
        let tenant = told.event.key.tenant;
        let now = told.item.map(|item| &item.entry.content);
        let media = match now {
            Some(EntryContent::Received(InboundContent::Attachment(file))) => &file.media,
            _ => &as_told.media,
        };
        match media {
            MediaState::Ready(file) => Some(self.links.url(tenant, file, told.now)),
            MediaState::Pending => told.item.map(|item| self.links.message_url(tenant, item.id, told.now)),
            MediaState::Failed(_) => None,
        }
    }

    /// What a message that was sent with the engine says.
    fn sent<'a>(&self, told: &ToldEvent<'a>) -> Said<'a> {
        let Some(item) = told.item else { return Said::default() };
        let file = match &item.entry.content {
            EntryContent::Sent { attachments, .. } => attachments.first(),
            EntryContent::Received(_) | EntryContent::Gone => None,
        };
        Said {
            content: item.entry.text(),
            media_type: media_type(item.entry.kind()),
            media_url: file.map(|file| self.links.url(told.event.key.tenant, file, told.now)),
        }
    }

    fn message(&self, told: &ToldEvent<'_>, inbound: &Inbound) -> Option<String> {
        let Said { content, media_type, media_url } = self.received(told, inbound);
        let message_id = told.item.map_or(told.event.event.id, |item| item.id);
        let conversation_id = told.conversation.map(|conversation| conversation.number);
        // Of a person, the address that the contact is known by, whichever the channel named.
        let chat = told.conversation.map_or(inbound.chat.as_str(), |conversation| conversation.chat.as_str());
        let timestamp = offset(inbound.sent_at);
        if inbound.from_me {
            return written(
                told,
                Sent {
                    message_id,
                    whatsapp_message_id: Some(&inbound.provider_id),
                    recipient_number: number_or_jid(chat),
                    content,
                    media_type,
                    media_url,
                    timestamp,
                    conversation_id,
                },
            );
        }
        written(
            told,
            Received {
                message_id,
                whatsapp_message_id: &inbound.provider_id,
                sender_number: number_or_jid(if inbound.is_group { &inbound.sender } else { chat }),
                sender_name: inbound.sender_name.as_deref(),
                content,
                media_type,
                media_url,
                timestamp,
                conversation_id,
            },
        )
    }

    fn status(
        &self,
        told: &ToldEvent<'_>,
        (message_id, chat, provider_id): (Uuid, &str, Option<&str>),
        (previous, now): (&Word<Progress>, &Word<Progress>),
        at: Timestamp,
    ) -> Option<String> {
        written(
            told,
            Status {
                message_id,
                whatsapp_message_id: whatsapp_id(told, provider_id),
                previous_status: previous.as_str(),
                new_status: now.as_str(),
                recipient_number: number_or_jid(chat),
                timestamp: offset(at),
            },
        )
    }
}

/// WhatsApp's id of an own message: as the event has it, or as it became known since.
fn whatsapp_id<'a>(told: &ToldEvent<'a>, as_told: Option<&'a str>) -> Option<&'a str> {
    as_told.or_else(|| told.message.and_then(|message| message.state.provider_id.as_deref()))
}

/// A payload as it is posted.
fn written<T: Serialize>(told: &ToldEvent<'_>, data: T) -> Option<String> {
    let timestamp = offset(told.event.event.at);
    let payload = Payload { event: event_name(told.kind), instance_uuid: told.connector.id, timestamp, data };
    serde_json::to_string(&payload).ok()
}

impl HookForm for WebhookBodies {
    fn body(&self, told: &ToldEvent<'_>) -> Option<String> {
        match &told.event.event.body {
            EventBody::Message(inbound) => self.message(told, inbound),
            EventBody::Sent { message, chat, provider_id, previous, .. } if told.kind == HookKind::Status => {
                let of = (*message, chat.as_str(), provider_id.as_deref());
                self.status(told, of, (previous, &Word::Known(Progress::Sent)), told.event.event.at)
            }
            EventBody::Sent { message, conversation, chat, provider_id, .. } => {
                let Said { content, media_type, media_url } = self.sent(told);
                written(
                    told,
                    Sent {
                        message_id: *message,
                        whatsapp_message_id: whatsapp_id(told, provider_id.as_deref()),
                        recipient_number: number_or_jid(chat),
                        content,
                        media_type,
                        media_url,
                        timestamp: offset(told.event.event.at),
                        conversation_id: Some(*conversation),
                    },
                )
            }
            EventBody::Status { message, chat, provider_id, previous, now, reached_at, .. } => {
                let of = (*message, chat.as_str(), provider_id.as_deref());
                self.status(told, of, (previous, now), *reached_at)
            }
            body @ EventBody::Session { account, .. } => written(
                told,
                Connection {
                    previous_status: status_before(told),
                    new_status: status_after(body),
                    phone_number: account.as_deref().map(number_or_jid),
                },
            ),
            EventBody::Code { text } => written(
                told,
                Code { qr: text, qr_image: png_data_url(text).ok(), generated_at: offset(told.event.event.at) },
            ),
            _ => None,
        }
    }

    fn headers(&self, told: &ToldEvent<'_>, digest: &str) -> Vec<(&'static str, String)> {
        vec![
            ("x-webhook-signature", digest.to_owned()),
            ("x-webhook-event", event_name(told.kind).to_owned()),
            ("x-instance-uuid", told.connector.id.to_string()),
            ("user-agent", "Zapini-Webhook/1.0".to_owned()),
        ]
    }
}
