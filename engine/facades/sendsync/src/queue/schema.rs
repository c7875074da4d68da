//! What the document says of the bodies that [`super::draft`] and [`super::form`] read: one list of properties for the JSON body, the
//! form and the rows of a bulk. A test compares the names with those that are read.

use poem_openapi::registry::{MetaSchema, MetaSchemaRef, Registry};
use pombo_domain::commands::messages::preview::MAX_VARIABLES_BYTES;
use pombo_domain::commands::messages::send::{
    MAX_BULK, MAX_DAYS_AHEAD, MAX_EXTERNAL_ID_CHARS, MAX_FILES, MAX_NAME_CHARS, MAX_NOTES_CHARS, MAX_SUBJECT_CHARS,
    MAX_TO_BYTES, MAX_URL_BYTES,
};
use pombo_domain::model::MessageType;
use pombo_domain::model::message::MAX_TEXT_BYTES;
use serde_json::{Value, json};

use crate::names::category_name;
use crate::schema::{FILLED_LINE_PATTERN, LINE_PATTERN, inline, nullable, text};
use pombo_api::declared::Declares;

/// Something other than white space, and no NUL.
const TEXT_PATTERN: &str = r"^[^\u0000]*[^\u0000\s][^\u0000]*$";
fn flag(description: &'static str) -> MetaSchemaRef {
    nullable(MetaSchema { description: Some(description), default: Some(false.into()), ..MetaSchema::new("boolean") })
}

fn line(description: &'static str, max: usize) -> MetaSchemaRef {
    nullable(MetaSchema { max_length: Some(max), pattern: Some(LINE_PATTERN.to_owned()), ..text(description) })
}

fn url(description: &'static str, example: &'static str) -> MetaSchemaRef {
    let pattern = Some("^https?://".to_owned());
    let example = Some(Value::from(example));
    nullable(MetaSchema { max_length: Some(MAX_URL_BYTES), pattern, example, ..text(description) })
}

/// The properties of a message to be sent.
fn properties() -> Vec<(&'static str, MetaSchemaRef)> {
    let filled = |description, max, pattern: &str| {
        inline(MetaSchema {
            min_length: Some(1),
            max_length: Some(max),
            pattern: Some(pattern.to_owned()),
            ..text(description)
        })
    };
    let message_type = MetaSchema {
        enum_items: MessageType::ALL.into_iter().map(|kind| category_name(kind).into()).collect(),
        default: Some(category_name(MessageType::General).into()),
        ..text("Category of the message; GERAL if omitted.")
    };
    let priority = MetaSchema {
        description: Some("Priority, from 1 to 10, where 10 goes first; 5 if omitted."),
        minimum: Some(1.0),
        maximum: Some(10.0),
        default: Some(5.into()),
        ..MetaSchema::new_with_format("integer", "int32")
    };
    const { assert!(MAX_DAYS_AHEAD == 366, "the description below says so") };
    let scheduled_at = MetaSchema {
        format: Some("date-time"),
        example: Some("2024-01-22T10:00:00Z".into()),
        ..text("When to send it at the earliest, ISO 8601, at most 366 days ahead; a time in the past means at once.")
    };
    let scalar = MetaSchema {
        one_of: ["string", "number", "boolean"].map(|kind| inline(MetaSchema::new(kind))).into(),
        nullable: true,
        ..MetaSchema::ANY
    };
    const { assert!(MAX_VARIABLES_BYTES == 64 * 1024, "the description below says so") };
    let variables = MetaSchema {
        description: Some(
            "Extension: values for the template's `{{ name }}`; at most 64 KB. `nome`, `primeiro_nome`, `name` and `first_name` are taken from \
             contactName if they are not given here.",
        ),
        additional_properties: Some(Box::new(inline(scalar))),
        example: Some(json!({"pedido": 12345, "loja": "Centro"})),
        ..MetaSchema::new("object")
    };
    vec![
        (
            "connectorId",
            inline(MetaSchema {
                min_length: Some(1),
                ..text("Id of the connector that sends it, from `GET /connectors`.")
            }),
        ),
        (
            "to",
            filled(
                "The recipient: for WhatsApp, a phone number with country and area code; for e-mail, an address.",
                MAX_TO_BYTES,
                FILLED_LINE_PATTERN,
            ),
        ),
        (
            "message",
            filled(
                "The text, at most 64 KB, with WhatsApp's markup (*bold*, _italic_ …). Spintax `{Olá|Oi}` and variables `{{ nome }}` \
                 are filled in for each message; a text that is not a valid template is refused.",
                MAX_TEXT_BYTES,
                TEXT_PATTERN,
            ),
        ),
        ("contactName", line("Name of the recipient; stored with the message and in the contacts.", MAX_NAME_CHARS)),
        ("messageType", nullable(message_type)),
        ("priority", nullable(priority)),
        ("scheduledAt", nullable(scheduled_at)),
        ("requiresApproval", flag("Whether the message is PENDING_APPROVAL until somebody approves it.")),
        ("forceDirect", flag("Whether it goes ahead of the queue and bypasses the pace.")),
        (
            "notes",
            nullable(MetaSchema {
                max_length: Some(MAX_NOTES_CHARS),
                pattern: Some(r"^[^\u0000]*$".to_owned()),
                ..text("Internal remark, never sent.")
            }),
        ),
        ("webhookUrl", url("URL that receives every status change.", "https://exemplo.com/webhook")),
        ("externalId", line("Your own reference.", MAX_EXTERNAL_ID_CHARS)),
        (
            "attachmentUrl",
            url("Public URL of a file that the engine fetches and attaches.", "https://exemplo.com/boleto.pdf"),
        ),
        (
            "subject",
            line(
                "Extension: the subject, for channels that have one. It may be a template, like the text.",
                MAX_SUBJECT_CHARS,
            ),
        ),
        ("variables", nullable(variables)),
    ]
}

const REQUIRED: [&str; 3] = ["connectorId", "to", "message"];

/// `SendMessage` in the document.
pub(super) struct SendMessage;

impl Declares for SendMessage {
    const NAME: &'static str = "SendMessage";

    fn schema(_: &mut Registry) -> MetaSchema {
        MetaSchema {
            description: Some("A message to send."),
            required: REQUIRED.into(),
            properties: properties(),
            example: Some(json!({
                "connectorId": "con_123456",
                "to": "5511999998888",
                "message": "Olá *Cliente*, seu pedido foi confirmado!",
                "contactName": "João Silva",
                "notes": "Mensagem de confirmação de pedido #12345",
                "messageType": "TRANSACTIONAL",
                "externalId": "REF-123",
            })),
            ..MetaSchema::new("object")
        }
    }
}

/// `SendMessageForm` in the document.
pub(super) struct SendMessageForm;

impl Declares for SendMessageForm {
    const NAME: &'static str = "SendMessageForm";

    fn schema(_: &mut Registry) -> MetaSchema {
        const { assert!(MAX_FILES == 10, "the description below says so") };
        let mut properties = properties();
        let file = MetaSchema::new_with_format("string", "binary");
        let attachments = MetaSchema {
            description: Some("Files, at most 10, each at most 50 MB."),
            items: Some(Box::new(inline(file))),
            max_items: Some(MAX_FILES),
            ..MetaSchema::new("array")
        };
        for (_, schema) in &mut properties {
            if let MetaSchemaRef::Inline(schema) = schema {
                // A form has no null: a field is there or not, and an empty one is not.
                schema.nullable = false;
                schema.enum_items.retain(|item| !item.is_null());
            }
        }
        properties.push(("attachments", inline(attachments)));
        MetaSchema {
            description: Some("A message with files. Numbers and true/false are given as text, variables as JSON."),
            required: REQUIRED.into(),
            properties,
            ..MetaSchema::new("object")
        }
    }
}

/// `SendBulk` in the document.
pub(super) struct SendBulk;

impl Declares for SendBulk {
    const NAME: &'static str = "SendBulk";

    fn schema(registry: &mut Registry) -> MetaSchema {
        registry.create_schema::<SendMessage, _>(SendMessage::NAME.to_owned(), SendMessage::schema);
        let messages = MetaSchema {
            description: Some("From 1 to 1000 messages. A wrong message does not affect the others."),
            items: Some(Box::new(MetaSchemaRef::Reference(SendMessage::NAME.to_owned()))),
            min_items: Some(1),
            max_items: Some(MAX_BULK),
            ..MetaSchema::new("array")
        };
        let row = |to, message| json!({"connectorId": "c1", "to": to, "message": message, "messageType": "MARKETING"});
        MetaSchema {
            description: Some("Messages to send."),
            required: vec!["messages"],
            properties: vec![("messages", inline(messages))],
            example: Some(json!({"messages": [row("5511999998888", "Msg 1"), row("5511988887777", "Msg 2")]})),
            ..MetaSchema::new("object")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::draft::SendFields;
    use super::*;

    #[test]
    fn what_is_declared_is_what_is_read() {
        let declared: Vec<_> = properties().into_iter().map(|(name, _)| name).collect();
        assert_eq!(declared, SendFields::NAMES);
    }
}
