//! The body that is posted: the event as JSON.

use pombo_plugin::automation::types::{Event, EventBody};
use pombo_plugin::automation::{Attachment, Content, Status, StoredFile};
use pombo_plugin::clock::rfc3339;
use serde_json::{Map, Value, json};

/// The whole body. `now` is when it is sent, so that the other side can refuse an old one: the signature covers it.
pub fn body(event: &Event, state: Option<&Value>, now_millis: u64) -> Value {
    let conversation = &event.conversation;
    let mut body = json!({
        "id": event.id,
        "kind": event.body.kind().name(),
        "at": rfc3339(event.at_millis),
        "timestamp": now_millis / 1000,
        "attempt": event.attempt,
        "conversation": {
            "id": conversation.id,
            "connectorId": conversation.connector,
            "channel": conversation.channel,
            "chat": conversation.chat,
            "isGroup": conversation.is_group,
            "contactName": conversation.contact_name,
            "tags": conversation.tags,
            "assignee": conversation.assignee,
            "openedAt": rfc3339(conversation.opened_at_millis),
        },
        "state": state,
    });
    if let (Value::Object(body), Some((field, what))) = (&mut body, what_happened(&event.body)) {
        body.insert(field.to_owned(), what);
    }
    body
}

fn what_happened(body: &EventBody) -> Option<(&'static str, Value)> {
    Some(match body {
        EventBody::MessageReceived(message) => {
            let mut what = json!({
                "id": message.id,
                "sender": message.sender,
                "senderName": message.sender_name,
                "text": message.text,
                "replyTo": message.reply_to,
                "mentions": message.mentions,
                "sentAt": rfc3339(message.sent_at_millis),
            });
            if let Value::Object(what) = &mut what {
                add_content(what, &message.content);
            }
            ("message", what)
        }
        EventBody::StatusChanged(change) => (
            "statusChange",
            json!({
                "messageId": change.message,
                "label": change.label,
                "status": status(change.status),
                "reason": change.reason,
            }),
        ),
        EventBody::Reaction(reaction) => {
            ("reaction", json!({ "messageId": reaction.message, "sender": reaction.sender, "emoji": reaction.emoji }))
        }
        EventBody::ConversationOpened => return None,
        EventBody::TimerFired(timer) => {
            ("timer", json!({ "name": timer.name, "payload": timer.payload, "dueAt": rfc3339(timer.due_at_millis) }))
        }
        EventBody::Started(start) => ("start", json!({ "by": start.by, "input": json_or_text(&start.input) })),
        EventBody::WebhookCalled(call) => {
            ("webhook", json!({ "contentType": call.content_type, "body": json_or_text(&call.body) }))
        }
    })
}

/// What is JSON goes as JSON, everything else as a text.
fn json_or_text(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::from(text))
}

fn status(status: Status) -> &'static str {
    match status {
        Status::Sent => "sent",
        Status::Delivered => "delivered",
        Status::Read => "read",
        Status::Played => "played",
        Status::Failed => "failed",
        Status::Unknown => "unknown",
        Status::Canceled => "canceled",
    }
}

fn add_content(message: &mut Map<String, Value>, content: &Content) {
    let (kind, field, what) = match content {
        Content::Text(_) => ("text", None, Value::Null),
        Content::Attachment(attachment) => ("attachment", Some("attachment"), attached(attachment)),
        Content::Location(place) => (
            "location",
            Some("location"),
            json!({ "latitude": place.latitude, "longitude": place.longitude, "name": place.name }),
        ),
        Content::Edit(edit) => ("edit", Some("edit"), json!({ "messageId": edit.message, "text": edit.text })),
        Content::Deleted(message) => ("deleted", Some("deleted"), json!({ "messageId": message })),
        Content::Other(other) => {
            ("other", Some("other"), json!({ "kind": other.kind, "data": json_or_text(&other.json) }))
        }
    };
    message.insert("type".to_owned(), kind.into());
    if let Some(field) = field {
        message.insert(field.to_owned(), what);
    }
}

fn attached(attachment: &Attachment) -> Value {
    let file = |file: &StoredFile| json!({ "id": file.id, "filename": file.filename, "contentType": file.content_type, "size": file.size });
    json!({ "kind": attachment.kind, "file": attachment.file.as_ref().map(file), "caption": attachment.caption })
}
