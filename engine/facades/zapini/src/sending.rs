//! What all operations share that send something at once: how their bodies are read, and what is answered for each outcome.

use std::borrow::Cow;

use poem::http::StatusCode;
use poem_openapi::Enum;
use poem_openapi::registry::{MetaSchema, MetaSchemaRef, Registry};
use pombo_api::declared::Declares;
use pombo_api::error::Failure;
use pombo_api::fields::{self, required};
use pombo_api::json_fields;
use pombo_api::options::ApiState;
use pombo_domain::commands::connectors::overview::ConnectorOverview;
use pombo_domain::commands::messages::now::{SentNow, Waiting};
use pombo_domain::commands::messages::send::{Draft, MAX_TO_BYTES};
use pombo_domain::model::reason::Reason;
use pombo_domain::model::{MessageOptions, ReasonCode};
use pombo_domain::{Error, Field, FieldProblem, Timestamp, Word};
use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

use crate::ZapiniDeps;
use crate::credentials::Caller;
use crate::emoji;
use crate::envelope::{Settled, Success};
use crate::params::{NumberOrText, bounded};
use crate::refs::{is_group, person};

/// After how many milliseconds a message that was not sent in time is worth another try.
const RETRY_MS: u64 = 5_000;

json_fields! {
    /// A text message.
    pub(crate) struct TextFields<'a> {
        instance_id: "instance_id" as NumberOrText,
        recipient: "recipient" as NumberOrText,
        number: "number" as NumberOrText,
        to: "to" as NumberOrText,
        message: "message" as Cow<'a, str>,
        reply_to: "reply_to" as NumberOrText,
        quoted_message_id: "quoted_message_id" as NumberOrText,
    }
}

json_fields! {
    /// A reaction to a message of a chat.
    pub(crate) struct ChatReactionFields<'a> {
        instance_id: "instance_id" as NumberOrText,
        to: "to" as NumberOrText,
        recipient: "recipient" as NumberOrText,
        number: "number" as NumberOrText,
        message_id: "messageId" as NumberOrText,
        emoji: "emoji" as Cow<'a, str>,
    }
}

json_fields! {
    /// A new text.
    pub(crate) struct EditFields<'a> {
        message: "message" as Cow<'a, str>,
    }
}

json_fields! {
    /// A reaction.
    pub(crate) struct ReactionFields<'a> {
        emoji: "emoji" as Cow<'a, str>,
    }
}

/// A text message that can be read.
pub(crate) struct TextMessage<'a> {
    /// The instance, as it was named.
    pub(crate) instance: Option<String>,
    to: String,
    text: Cow<'a, str>,
    reply_to: Option<String>,
}

impl TextMessage<'_> {
    /// Its text.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}

impl<'a> TextFields<'a> {
    pub(crate) fn checked(self) -> Result<TextMessage<'a>, Failure> {
        let mut problems = Vec::new();
        let instance = self.instance_id.take(Field::Connector, &mut problems).map(|given| given.0);
        let to = recipient([self.recipient, self.number, self.to], &mut problems);
        let text = self.message.take(Field::Text, &mut problems);
        let text = required(Field::Text, text, &mut problems);
        let reply_to = first([self.reply_to, self.quoted_message_id], Field::ReplyTo, &mut problems);
        let (Some(to), Some(text), true) = (to, text, problems.is_empty()) else {
            return Err(Error::invalid_fields(problems).into());
        };
        Ok(TextMessage { instance, to, text, reply_to: named("reply_to", reply_to.map(|given| given.0))? })
    }
}

/// A reaction to a message of a chat that can be read.
pub(crate) struct ChatReaction {
    /// The instance, as it was named.
    pub(crate) instance: Option<String>,
    to: String,
    message: String,
    emoji: String,
}

impl ChatReactionFields<'_> {
    pub(crate) fn checked(self) -> Result<ChatReaction, Failure> {
        let mut problems = Vec::new();
        let instance = self.instance_id.take(Field::Connector, &mut problems).map(|given| given.0);
        let to = recipient([self.to, self.recipient, self.number], &mut problems);
        let message = self.message_id.take(Field::Message, &mut problems).map(|given| given.0);
        let message = required(Field::Message, message.filter(|id| !id.trim().is_empty()), &mut problems);
        let emoji = checked_emoji(self.emoji, &mut problems);
        let (Some(to), Some(message), Some(emoji), true) = (to, message, emoji, problems.is_empty()) else {
            return Err(Error::invalid_fields(problems).into());
        };
        bounded("messageId", &message)?;
        Ok(ChatReaction { instance, to, message: message.trim().to_owned(), emoji })
    }
}

/// The new text of a message; required.
pub(crate) fn new_text(fields: EditFields<'_>) -> Result<String, Failure> {
    let mut problems = Vec::new();
    let text = fields.message.take(Field::Text, &mut problems);
    let text = required(Field::Text, text, &mut problems);
    text.map(Cow::into_owned).ok_or_else(|| Error::invalid_fields(problems).into())
}

/// The emoji of a reaction, empty to remove it; required.
pub(crate) fn reaction(fields: ReactionFields<'_>) -> Result<String, Failure> {
    let mut problems = Vec::new();
    checked_emoji(fields.emoji, &mut problems).ok_or_else(|| Error::invalid_fields(problems).into())
}

fn checked_emoji(given: fields::Field<Cow<'_, str>>, problems: &mut Vec<FieldProblem>) -> Option<String> {
    let given = given.take(Field::Emoji, problems);
    let emoji = required(Field::Emoji, given, problems)?.trim().to_owned();
    if emoji.is_empty() || emoji::is_one(&emoji) {
        return Some(emoji);
    }
    problems.push(FieldProblem::new(Field::Emoji, "must be one emoji; an empty text removes the reaction"));
    None
}

/// The first value that is given under one of the names of a field.
pub(crate) fn first<T, const N: usize>(
    given: [fields::Field<T>; N],
    field: Field,
    problems: &mut Vec<FieldProblem>,
) -> Option<T> {
    let mut found = None;
    for one in given {
        found = found.or(one.take(field, problems));
    }
    found
}

/// Who gets it: a number, or a JID of a person or a group; required.
pub(crate) fn recipient(given: [fields::Field<NumberOrText>; 3], problems: &mut Vec<FieldProblem>) -> Option<String> {
    let given = first(given, Field::To, problems).filter(|to| !to.0.trim().is_empty());
    required(Field::To, given, problems).map(|to| person(&to.0))
}

/// What names a message; an empty text names none.
fn named(field: &'static str, given: Option<String>) -> Result<Option<String>, Failure> {
    let Some(given) = given.map(|given| given.trim().to_owned()).filter(|given| !given.is_empty()) else {
        return Ok(None);
    };
    bounded(field, &given)?;
    Ok(Some(given))
}

/// What a send came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reached {
    /// The message's own id.
    pub(crate) id: Uuid,
    /// WhatsApp's id of it, once WhatsApp has accepted it.
    pub(crate) provider_id: Option<String>,
    /// When WhatsApp accepted it; `None` while that is still to come.
    pub(crate) at: Option<Timestamp>,
}

/// How far a send came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Enum)]
#[serde(rename_all = "lowercase")]
#[oai(rename_all = "lowercase")]
pub(crate) enum SendStatus {
    /// WhatsApp has accepted it.
    Sent,
    /// WhatsApp may have it; its outcome is still to come.
    Pending,
}

impl SendStatus {
    /// `None` for what needed nothing to be sent.
    pub(crate) fn of(done: Option<&Reached>) -> Self {
        match done {
            Some(Reached { at: None, .. }) => Self::Pending,
            _ => Self::Sent,
        }
    }
}

/// 200 for what is done, 202 for what is still under way.
pub(crate) fn settled<T>(done: SendStatus, answer: Success<T>) -> Settled<Success<T>> {
    match done {
        SendStatus::Sent => Settled::Done(answer),
        SendStatus::Pending => Settled::UnderWay(answer),
    }
}

/// Makes a failure one that concerns this instance: its details name it.
pub(crate) fn about<E: Into<Failure>>(instance: Uuid) -> impl Fn(E) -> Failure {
    move |error| Failure { connector_id: Some(instance), ..error.into() }
}

/// What is answered for an outcome: a success, also while it is still to come; or why it was not sent.
pub(crate) fn reached(sent: SentNow) -> Result<Reached, Failure> {
    let later = |code, retry_after_ms, message: &str| Failure {
        code: Some(code),
        retry_after_ms: Some(retry_after_ms),
        ..Failure::new(StatusCode::TOO_MANY_REQUESTS, message)
    };
    Err(match sent {
        SentNow::Sent { id, provider_id, at } => return Ok(Reached { id, provider_id, at: Some(at) }),
        SentNow::Pending { id } => return Ok(Reached { id, provider_id: None, at: None }),
        SentNow::Refused { id, reason } => Failure { message_id: Some(id), ..refused(&reason) },
        SentNow::Throttled { retry_after_ms } => {
            later("THROTTLED", retry_after_ms, "WhatsApp asks to slow down; it was not sent and will not be")
        }
        SentNow::NoOutreach { reason, retry_after_ms } => {
            let message = format!("{}; it was not sent and will not be", reason.detail);
            later("THROTTLED", retry_after_ms, &message)
        }
        SentNow::CapReached { retry_after_ms } => {
            later("DAILY_LIMIT_REACHED", retry_after_ms, "the instance's limit for today is reached; nothing was sent")
        }
        SentNow::NotSent { id, reason } => {
            let why = reason.map_or_else(String::new, |reason| format!(": {}", reason.detail));
            let message = format!("it was not sent in time and will not be; you may send it again{why}");
            let failure = Failure::new(StatusCode::SERVICE_UNAVAILABLE, message);
            Failure { code: Some("NOT_SENT"), retry_after_ms: Some(RETRY_MS), message_id: Some(id), ..failure }
        }
        SentNow::Unknown { id, .. } => {
            let message = "nobody can tell whether it was sent; look before you send it again";
            let failure = Failure::new(StatusCode::BAD_GATEWAY, message);
            Failure { code: Some("OUTCOME_UNKNOWN"), message_id: Some(id), ..failure }
        }
    })
}

fn refused(reason: &Reason) -> Failure {
    let (code, what) = match reason.code {
        Word::Known(ReasonCode::InvalidRecipient) => ("INVALID_RECIPIENT", "WhatsApp does not know the recipient"),
        Word::Known(ReasonCode::Rejected) => ("REFUSED", "WhatsApp refuses it"),
        Word::Known(ReasonCode::WindowClosed) => ("WINDOW_CLOSED", "WhatsApp does not take it now"),
        _ => ("REFUSED", "it cannot be sent"),
    };
    let message = format!("{what}: {}", reason.detail);
    Failure { code: Some(code), ..Failure::new(StatusCode::UNPROCESSABLE_ENTITY, message) }
}

/// How the operations wait.
pub(crate) fn waiting(deps: &ZapiniDeps) -> Waiting<'_> {
    Waiting { paces: &*deps.pace, wait_ms: i64::try_from(deps.send_wait.as_millis()).unwrap_or(i64::MAX) }
}

/// A message of an instance, by a caller.
pub(crate) fn draft<'a>(
    caller: &Caller,
    instance: &ConnectorOverview,
    to: String,
    text: Option<Cow<'a, str>>,
) -> Draft<'a> {
    Draft {
        connector: Some(instance.connector.id),
        to: Some(Cow::Owned(to)),
        text,
        author: Some(Cow::Owned(caller.actor().by)),
        ..Draft::default()
    }
}

/// Sends a text by an instance, and waits for its outcome.
pub(crate) async fn send_text(
    state: &ApiState,
    caller: &Caller,
    deps: &ZapiniDeps,
    instance: &ConnectorOverview,
    message: TextMessage<'_>,
) -> Result<Reached, Failure> {
    let TextMessage { to, text, reply_to, .. } = message;
    let (commands, connector) = (&state.commands, instance.connector.id);
    let reply_to = match reply_to {
        None => None,
        Some(named) => {
            let chat = commands.checked_chat(caller.tenant, connector, &to).await?;
            let author = author_of(&chat);
            Some(commands.answered_in_chat(caller.tenant, connector, &chat, &named, author)?)
        }
    };
    let options = MessageOptions { reply_to, ..MessageOptions::default() };
    let draft = Draft { options, ..draft(caller, instance, to, Some(text)) };
    let sent = commands.send_now(caller.tenant, draft, waiting(deps)).await;
    reached(sent.map_err(about(connector))?).map_err(about(connector))
}

/// Reacts to a message of a chat, and waits for the outcome. `None`: there was no reaction to remove.
pub(crate) async fn react_in_chat(
    state: &ApiState,
    caller: &Caller,
    deps: &ZapiniDeps,
    instance: &ConnectorOverview,
    reaction: ChatReaction,
) -> Result<Option<Reached>, Failure> {
    let ChatReaction { to, message, emoji, .. } = reaction;
    let (commands, connector) = (&state.commands, instance.connector.id);
    let chat = commands.checked_chat(caller.tenant, connector, &to).await?;
    let (author, by) = (author_of(&chat), caller.actor().by);
    let done = commands
        .react_in_chat_now(caller.tenant, connector, &chat, &message, author, &emoji, &by, waiting(deps))
        .await
        .map_err(about(connector))?;
    done.map(reached).transpose().map_err(about(connector))
}

/// Who wrote a message that the engine does not know: in a chat with one person that person; in a group nobody can tell.
fn author_of(chat: &str) -> Option<&str> {
    (!is_group(chat)).then_some(chat)
}

fn text_schema(description: &'static str, least: Option<usize>, most: Option<usize>) -> MetaSchemaRef {
    MetaSchemaRef::Inline(Box::new(MetaSchema {
        description: Some(description),
        min_length: least,
        max_length: most,
        ..MetaSchema::new("string")
    }))
}

fn optional_schema(description: &'static str, most: usize) -> MetaSchemaRef {
    let schema = MetaSchema { description: Some(description), ..MetaSchema::new("string") };
    MetaSchemaRef::Inline(Box::new(MetaSchema { nullable: true, max_length: Some(most), ..schema }))
}

pub(crate) fn recipient_schema() -> MetaSchemaRef {
    let description = "Phone number, digits with country code, or JID of a person or a group. May be a JSON number. `number` and `to` \
        are other names of this field.";
    text_schema(description, Some(1), Some(MAX_TO_BYTES))
}

fn message_schema() -> MetaSchemaRef {
    text_schema("The text, at most 64 KB. It arrives as it is written here.", Some(1), None)
}

pub(crate) fn instance_schema(description: &'static str) -> MetaSchemaRef {
    optional_schema(description, 200)
}

fn reply_schema() -> MetaSchemaRef {
    let description = "The message that it answers: WhatsApp's id of it, its UUID or its number. `quoted_message_id` is another name \
        of this field.";
    optional_schema(description, 200)
}

fn emoji_schema() -> MetaSchemaRef {
    text_schema("One emoji; an empty text removes the reaction.", None, Some(64))
}

/// `SendMessage` in the document.
pub(crate) struct SendMessage;

impl Declares for SendMessage {
    const NAME: &'static str = "SendMessage";

    fn schema(_: &mut Registry) -> MetaSchema {
        MetaSchema {
            description: Some("A text message."),
            required: vec!["recipient", "message"],
            properties: vec![
                ("recipient", recipient_schema()),
                ("message", message_schema()),
                ("reply_to", reply_schema()),
                ("instance_id", instance_schema("UUID or number of the instance, where nothing else names it.")),
            ],
            example: Some(json!({"recipient": "5511999999999", "message": "Olá! Esta é uma mensagem de teste."})),
            ..MetaSchema::new("object")
        }
    }
}

/// `ChatSend` in the document.
pub(crate) struct ChatSend;

impl Declares for ChatSend {
    const NAME: &'static str = "ChatSend";

    fn schema(_: &mut Registry) -> MetaSchema {
        let instance = "UUID or number of the instance. It may be left out where the token can use only one.";
        MetaSchema {
            description: Some("A text message."),
            required: vec!["recipient", "message"],
            properties: vec![
                ("instance_id", instance_schema(instance)),
                ("recipient", recipient_schema()),
                ("message", message_schema()),
                ("reply_to", reply_schema()),
            ],
            example: Some(json!({
                "instance_id": "18", "recipient": "5521999999999", "message": "Hello from Chat API!"
            })),
            ..MetaSchema::new("object")
        }
    }
}

/// `SendReaction` in the document.
pub(crate) struct SendReaction;

impl Declares for SendReaction {
    const NAME: &'static str = "SendReaction";

    fn schema(_: &mut Registry) -> MetaSchema {
        let message = "The message: WhatsApp's id of it, its UUID or its number.";
        MetaSchema {
            description: Some("A reaction to a message of a chat."),
            required: vec!["to", "messageId", "emoji"],
            properties: vec![
                ("to", text_schema("JID of the chat, or a phone number.", Some(1), Some(MAX_TO_BYTES))),
                ("messageId", text_schema(message, Some(1), Some(200))),
                ("emoji", emoji_schema()),
                ("instance_id", instance_schema("UUID or number of the instance, where nothing else names it.")),
            ],
            example: Some(json!({
                "to": "5511999999999@s.whatsapp.net", "messageId": "3EB0B430A8B7F23C1D12", "emoji": "👍"
            })),
            ..MetaSchema::new("object")
        }
    }
}

/// `EditMessage` in the document.
pub(crate) struct EditMessage;

impl Declares for EditMessage {
    const NAME: &'static str = "EditMessage";

    fn schema(_: &mut Registry) -> MetaSchema {
        MetaSchema {
            description: Some("A new text."),
            required: vec!["message"],
            properties: vec![("message", message_schema())],
            example: Some(json!({"message": "Updated message content"})),
            ..MetaSchema::new("object")
        }
    }
}

/// `Reaction` in the document.
pub(crate) struct Reaction;

impl Declares for Reaction {
    const NAME: &'static str = "Reaction";

    fn schema(_: &mut Registry) -> MetaSchema {
        MetaSchema {
            description: Some("A reaction."),
            required: vec!["emoji"],
            properties: vec![("emoji", emoji_schema())],
            example: Some(json!({"emoji": "👍"})),
            ..MetaSchema::new("object")
        }
    }
}
