//! Wire types of a message to send, and of a reference to a message.

use std::collections::BTreeMap;

use poem_openapi::Object;
use pombo_domain::commands::connectors::offering::TargetRef;
use pombo_domain::{Error, Field, model};
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use crate::wire::{Instant, MessageType};
use pombo_api::error::Failure;

/// Refers to a message by exactly one of `messageId`, `event` and `providerId`.
#[derive(Object, Deserialize, Clone)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct MessageRef {
    /// Id of a message that was sent with this API.
    #[oai(nullable)]
    message_id: Option<Uuid>,
    /// For a received message: the `cursor` of its `message.received` event.
    #[oai(nullable, validator(minimum(value = "1")))]
    event: Option<u64>,
    /// For any message: the channel's own id, at most 255 characters.
    #[oai(nullable, validator(min_length = 1, max_length = 255, pattern = "^[!-~]+$"))]
    provider_id: Option<String>,
    /// With `providerId`: address of the message's author. If omitted, the connector's own account.
    #[oai(nullable, validator(min_length = 1, max_length = 320))]
    sender: Option<String>,
}

impl MessageRef {
    /// The message that this refers to; `field` names it in a refusal.
    pub(crate) fn named(self, field: &str) -> Result<TargetRef, Failure> {
        let Self { message_id, event, provider_id, sender } = self;
        if sender.is_some() && provider_id.is_none() {
            return Err(Error::invalid(format!("{field}.sender"), "is allowed only together with providerId").into());
        }
        match (message_id, event, provider_id) {
            (Some(id), None, None) => Ok(TargetRef::Message(id)),
            (None, Some(cursor), None) => Ok(TargetRef::Event(cursor)),
            (None, None, Some(id)) => Ok(TargetRef::Provider { id, sender }),
            _ => {
                Err(Error::invalid(field, "must name the message by exactly one of messageId, event and providerId")
                    .into())
            }
        }
    }
}

/// A file that was uploaded before.
#[derive(Object, Deserialize, Clone)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct AttachedFile {
    /// The `id` that the upload returned.
    pub(crate) id: Uuid,
    /// Name that the recipient sees, from 1 to 255 characters; the uploaded name if omitted.
    #[oai(nullable, validator(min_length = 1, max_length = 255, pattern = "^[^\\x00-\\x1f\\x7f-\\x9f/\\\\]+$"))]
    pub(crate) file_name: Option<String>,
    /// MIME type; it decides whether the file is sent as a picture, video, audio or document.
    #[oai(nullable, validator(max_length = 127, pattern = "^[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+$"))]
    pub(crate) content_type: Option<String>,
}

/// Content that only a connector's plugin knows.
#[derive(Object, Deserialize, Clone)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub(crate) struct OwnContent {
    /// Its kind, at most 64 characters.
    #[oai(validator(min_length = 1, max_length = 64))]
    kind: String,
    /// Its value, in the form that the plugin's description says; at most 64 KB of JSON.
    value: Value,
}

impl OwnContent {
    /// What the domain knows it as.
    pub(crate) fn named(self) -> model::OwnContent {
        model::OwnContent { kind: self.kind, value: self.value.to_string() }
    }

    /// Content as it was queued.
    pub(crate) fn of(own: model::OwnContent) -> Self {
        let value = serde_json::from_str(&own.value).unwrap_or(Value::String(own.value));
        Self { kind: own.kind, value }
    }
}

/// What a template's header shows: exactly one of a link, an uploaded file and a place.
#[derive(Object, Deserialize, Clone)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct TemplateHeader {
    /// Address of a file that the channel fetches; at most 2048 characters.
    #[oai(nullable, validator(max_length = 2048))]
    pub(crate) link: Option<String>,
    /// An uploaded file.
    #[oai(nullable)]
    pub(crate) file: Option<AttachedFile>,
    /// A place on a map.
    #[oai(nullable)]
    pub(crate) location: Option<HeaderLocation>,
}

/// Maximum length of a place's name or address, in characters.
const MAX_PLACE_CHARS: usize = 255;

/// A place on a map.
#[derive(Object, Deserialize, Clone)]
#[oai(deny_unknown_fields, skip_serializing_if_is_none)]
#[serde(deny_unknown_fields)]
pub(crate) struct HeaderLocation {
    /// Degrees north, from -90 to 90.
    #[oai(validator(minimum(value = "-90"), maximum(value = "90")))]
    pub(crate) latitude: f64,
    /// Degrees east, from -180 to 180.
    #[oai(validator(minimum(value = "-180"), maximum(value = "180")))]
    pub(crate) longitude: f64,
    /// Its name, at most 255 characters.
    #[oai(nullable, validator(max_length = 255))]
    pub(crate) title: Option<String>,
    /// Its address, at most 255 characters.
    #[oai(nullable, validator(max_length = 255))]
    pub(crate) address: Option<String>,
}

impl HeaderLocation {
    /// It with texts that are not too long.
    pub(crate) fn checked(self) -> Result<Self, Failure> {
        for (name, text) in [("location.title", &self.title), ("location.address", &self.address)] {
            if text.as_ref().is_some_and(|text| text.chars().count() > MAX_PLACE_CHARS) {
                let message = format!("must have at most {MAX_PLACE_CHARS} characters");
                return Err(Error::invalid(Field::Header.named(name), message).into());
            }
        }
        Ok(self)
    }
}

/// A message to send.
#[derive(Object, Deserialize)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct SendMessage {
    /// Address of the recipient, in the form that the connector's channel uses; for a group, the group's `id`. At most 320
    /// characters.
    #[oai(validator(min_length = 1, max_length = 320))]
    pub(crate) to: String,
    /// Text of at most 64 KB, with the markup of messaging apps and templates. Required unless there is a file, a template or content.
    #[oai(nullable)]
    pub(crate) text: Option<String>,
    /// Subject of at most 500 characters, for channels that have one.
    #[oai(nullable, validator(max_length = 500))]
    pub(crate) subject: Option<String>,
    /// Name of the recipient, at most 255 characters; stored with the contact.
    #[oai(nullable, validator(max_length = 255))]
    pub(crate) contact_name: Option<String>,
    /// Category; GERAL if omitted.
    #[oai(nullable)]
    pub(crate) message_type: Option<MessageType>,
    /// Addresses that the text mentions as `@address`; at most 100.
    #[oai(default, validator(max_items = 100))]
    #[serde(default)]
    pub(crate) mentions: Vec<String>,
    /// The message to reply to.
    #[oai(nullable)]
    pub(crate) reply_to: Option<MessageRef>,
    /// Whether audio is sent as a voice note.
    #[oai(default)]
    #[serde(default)]
    pub(crate) voice_note: bool,
    /// Uploaded files, at most 10.
    #[oai(default, validator(max_items = 10))]
    #[serde(default)]
    pub(crate) attachments: Vec<AttachedFile>,
    /// URL of a file that the engine fetches once, before the first attempt; at most 2048 characters.
    #[oai(nullable, validator(max_length = 2048))]
    pub(crate) attachment_url: Option<String>,
    /// Priority, from 1 to 10, where 10 goes first; 5 if omitted.
    #[oai(nullable, validator(minimum(value = "1"), maximum(value = "10")))]
    pub(crate) priority: Option<u8>,
    /// When to send it at the earliest, at most 366 days ahead; at once if omitted.
    #[oai(nullable)]
    pub(crate) scheduled_at: Option<Instant>,
    /// Whether it waits for approval.
    #[oai(default)]
    #[serde(default)]
    pub(crate) requires_approval: bool,
    /// Whether it goes ahead of the queue and bypasses the pace.
    #[oai(default)]
    #[serde(default)]
    pub(crate) force_direct: bool,
    /// Internal remark of at most 4000 characters, never sent.
    #[oai(nullable, validator(max_length = 4000))]
    pub(crate) notes: Option<String>,
    /// URL that receives every status change of the message; at most 2048 characters.
    #[oai(nullable, validator(max_length = 2048))]
    pub(crate) webhook_url: Option<String>,
    /// Your own reference, at most 255 characters.
    #[oai(nullable, validator(max_length = 255))]
    pub(crate) external_id: Option<String>,
    /// Values for the template: texts, numbers, true and false; at most 64 KB of JSON.
    #[oai(default)]
    #[serde(default)]
    pub(crate) variables: BTreeMap<String, Value>,
    /// Content that only the connector's plugin knows; its kind is one of the plugin's `contents`. With it, `text` is what people read
    /// of it here; files and a template do not go with it.
    #[oai(nullable)]
    pub(crate) content: Option<OwnContent>,
    /// Id of a template: `variables` are its values, and its category is the message's. Text, subject, category, files and content do not
    /// go with it. It must be approved, and the connector's own or a text of yours.
    #[oai(nullable)]
    pub(crate) template_id: Option<Uuid>,
    /// With `templateId`: what the template's header shows, where that is not a text.
    #[oai(nullable)]
    pub(crate) header: Option<TemplateHeader>,
    /// Whether to send it even while an automation is active in the conversation. Otherwise the request is then refused with the
    /// code `AUTOMATION_ACTIVE`: pause the conversation first.
    #[oai(default)]
    #[serde(default)]
    pub(crate) during_automation: bool,
}
