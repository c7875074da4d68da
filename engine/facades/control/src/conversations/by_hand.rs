//! Wire type of a message by hand into a conversation.

use std::collections::BTreeMap;

use poem_openapi::Object;
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use crate::wire::send::{AttachedFile, MessageRef, OwnContent, SendMessage, TemplateHeader};
use crate::wire::{Instant, MessageType};

/// A message to send by hand into a conversation.
#[derive(Object, Deserialize)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct SendInConversation {
    /// Text of at most 64 KB, with the markup of messaging apps and templates. Required unless there is a file.
    #[oai(nullable)]
    text: Option<String>,
    /// Subject of at most 500 characters, for channels that have one.
    #[oai(nullable, validator(max_length = 500))]
    subject: Option<String>,
    /// Name of the recipient, at most 255 characters; stored with the contact.
    #[oai(nullable, validator(max_length = 255))]
    contact_name: Option<String>,
    /// Category; GERAL if omitted.
    #[oai(nullable)]
    message_type: Option<MessageType>,
    /// Addresses that the text mentions as `@address`; at most 100.
    #[oai(default, validator(max_items = 100))]
    #[serde(default)]
    mentions: Vec<String>,
    /// The message to reply to.
    #[oai(nullable)]
    reply_to: Option<MessageRef>,
    /// Whether audio is sent as a voice note.
    #[oai(default)]
    #[serde(default)]
    voice_note: bool,
    /// Uploaded files, at most 10.
    #[oai(default, validator(max_items = 10))]
    #[serde(default)]
    attachments: Vec<AttachedFile>,
    /// URL of a file that the engine fetches once, before the first attempt; at most 2048 characters.
    #[oai(nullable, validator(max_length = 2048))]
    attachment_url: Option<String>,
    /// Priority, from 1 to 10, where 10 goes first; 5 if omitted.
    #[oai(nullable, validator(minimum(value = "1"), maximum(value = "10")))]
    priority: Option<u8>,
    /// When to send it at the earliest, at most 366 days ahead; at once if omitted.
    #[oai(nullable)]
    scheduled_at: Option<Instant>,
    /// Whether it waits for approval.
    #[oai(default)]
    #[serde(default)]
    requires_approval: bool,
    /// Whether it goes ahead of the queue and bypasses the pace.
    #[oai(default)]
    #[serde(default)]
    force_direct: bool,
    /// Internal remark of at most 4000 characters, never sent.
    #[oai(nullable, validator(max_length = 4000))]
    notes: Option<String>,
    /// URL that receives every status change of the message; at most 2048 characters.
    #[oai(nullable, validator(max_length = 2048))]
    webhook_url: Option<String>,
    /// Your own reference, at most 255 characters.
    #[oai(nullable, validator(max_length = 255))]
    external_id: Option<String>,
    /// Values for the template: texts, numbers, true and false; at most 64 KB of JSON.
    #[oai(default)]
    #[serde(default)]
    variables: BTreeMap<String, Value>,
    /// Content that only the connector's plugin knows; its kind is one of the plugin's `contents`. With it, `text` is what people read
    /// of it here; files and a template do not go with it.
    #[oai(nullable)]
    content: Option<OwnContent>,
    /// Id of a template: `variables` are its values, and its category is the message's. Text, subject, category, files and content do not
    /// go with it. It must be approved, and the connector's own or a text of yours.
    #[oai(nullable)]
    template_id: Option<Uuid>,
    /// With `templateId`: what the template's header shows, where that is not a text.
    #[oai(nullable)]
    header: Option<TemplateHeader>,
    /// Whether to send it even while an automation is active in the conversation. Otherwise the request is then refused with the
    /// code `AUTOMATION_ACTIVE`: pause the conversation first.
    #[oai(default)]
    #[serde(default)]
    during_automation: bool,
}

impl SendInConversation {
    /// The same message, with the conversation's address.
    pub(crate) fn to(self, to: String) -> SendMessage {
        SendMessage {
            to,
            text: self.text,
            subject: self.subject,
            contact_name: self.contact_name,
            message_type: self.message_type,
            mentions: self.mentions,
            reply_to: self.reply_to,
            voice_note: self.voice_note,
            attachments: self.attachments,
            attachment_url: self.attachment_url,
            priority: self.priority,
            scheduled_at: self.scheduled_at,
            requires_approval: self.requires_approval,
            force_direct: self.force_direct,
            notes: self.notes,
            webhook_url: self.webhook_url,
            external_id: self.external_id,
            variables: self.variables,
            content: self.content,
            template_id: self.template_id,
            header: self.header,
            during_automation: self.during_automation,
        }
    }
}
