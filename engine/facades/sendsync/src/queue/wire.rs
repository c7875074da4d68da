//! The answers of the section: messages and the rows of a bulk.

use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Enum, Object};
use pombo_domain::TenantIndex;
use pombo_domain::Timestamp;
use pombo_domain::commands::messages::send::Row;
use pombo_domain::model::reason::Reason;
use pombo_domain::model::{Attachment, MessageType, Status, StoredMessage};
use serde::Serialize;
use uuid::Uuid;

use crate::names::field_name;
use pombo_api::json::SerdeJson;
use pombo_api::media_links::MediaLinks;

macro_rules! named_enum {
    ($(#[$doc:meta])* $name:ident of $domain:ident { $($(#[$item:meta])* $variant:ident = $from:ident,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Enum)]
        #[serde(rename_all = "SCREAMING_SNAKE_CASE")]
        #[oai(rename_all = "SCREAMING_SNAKE_CASE")]
        pub(crate) enum $name { $($(#[$item])* $variant,)+ }

        impl From<$domain> for $name {
            fn from(value: $domain) -> Self {
                match value { $($domain::$from => Self::$variant,)+ }
            }
        }
    };
}

named_enum! {
    /// Status of a message.
    MessageStatus of Status {
        /// Ready in the queue.
        Pending = Pending,
        /// Scheduled, to be tried again later, or held back by the connector's pace.
        Waiting = Waiting,
        /// The connector is sending it.
        Processing = Processing,
        /// The channel accepted it.
        Sent = Sent,
        /// Given up; `reason` says why.
        Failed = Failed,
        /// Canceled or rejected before it was sent.
        Canceled = Canceled,
        /// Waits for approval.
        PendingApproval = PendingApproval,
        /// Extension: it may or may not have been sent, and sending it again could send it twice; a person has to decide.
        Unknown = Unknown,
    }
}

named_enum! {
    /// Category of a message.
    MessageCategory of MessageType {
        /// The default category.
        Geral = General,
        /// A notification.
        Notification = Notification,
        /// Marketing.
        Marketing = Marketing,
        /// About a transaction.
        Transactional = Transactional,
        /// Support.
        Support = Support,
        /// A reminder.
        Reminder = Reminder,
    }
}

/// A file of a message.
#[derive(Debug, Serialize, Object)]
#[serde(rename_all = "camelCase")]
#[oai(rename_all = "camelCase")]
pub(super) struct AttachmentBody {
    /// Id of the file.
    pub id: Uuid,
    /// URL that opens the file without a credential, for a limited time.
    pub url: String,
    /// Name with which the file was posted.
    pub original_file_name: String,
}

/// Why a message has its status.
#[derive(Debug, Serialize, Object)]
pub(super) struct StatusReason {
    /// The reason as a stable word: `invalid_recipient`, `rejected`, `temporary`, `scheduled`, `pace` …
    pub code: String,
    /// The reason, for a person.
    pub detail: String,
}

/// A message.
#[derive(Debug, Serialize, Object)]
#[serde(rename_all = "camelCase")]
#[oai(rename = "Message", rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(super) struct MessageBody {
    /// Id of the message.
    pub id: Uuid,
    /// Status of the message.
    pub status: MessageStatus,
    /// Address of the recipient, normalised by the connector.
    pub to: String,
    /// The text as posted.
    pub message: String,
    /// Priority, from 1 to 10, where 10 goes first.
    pub priority: u8,
    /// Id of the connector that sends it.
    pub connector_id: Uuid,
    /// Category of the message.
    pub message_type: MessageCategory,
    /// When the engine accepted it, ISO 8601.
    pub created_at: String,
    /// When the channel accepted it, ISO 8601.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sent_at: Option<String>,
    /// Your own reference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// Name of the recipient.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contact_name: Option<String>,
    /// The subject as posted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// When to send it at the earliest, ISO 8601.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheduled_at: Option<String>,
    /// Internal remark, never sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notes: Option<String>,
    /// Number of attempts begun; absent before the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u16>,
    /// Why it has this status, if there is something to say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<StatusReason>,
    /// Files of the message. Absent in the answer to a send without files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attachments: Option<Vec<AttachmentBody>>,
}

impl Example for MessageBody {
    fn example() -> Self {
        Self {
            id: Uuid::from_u128(0x018d_3160_c5c0_7c3e_8000_0000_0000_0001),
            status: MessageStatus::Pending,
            to: "5511999998888".to_owned(),
            message: "Olá! Seu pedido foi confirmado.".to_owned(),
            priority: 5,
            connector_id: Uuid::from_u128(0x6f0e_2c1a_52b7_4d7e_9a53_3f6c_1d2b_4a5c),
            message_type: MessageCategory::Transactional,
            created_at: "2024-01-22T14:30:00.000Z".to_owned(),
            sent_at: None,
            external_id: Some("REF-123".to_owned()),
            contact_name: None,
            subject: None,
            scheduled_at: None,
            notes: None,
            attempts: None,
            reason: None,
            attachments: None,
        }
    }
}

/// How links to files are made for one answer.
pub(super) struct Links<'a> {
    pub(super) links: &'a MediaLinks,
    pub(super) tenant: TenantIndex,
    pub(super) now: Timestamp,
}

impl Links<'_> {
    fn attachment(&self, file: Attachment) -> AttachmentBody {
        let url = self.links.url(self.tenant, &file, self.now);
        AttachmentBody { id: file.id, url, original_file_name: file.file_name }
    }
}

impl MessageBody {
    /// A stored message of the connector `connector_id`.
    pub(super) fn of(stored: StoredMessage, connector_id: Uuid, links: &Links<'_>) -> Self {
        let StoredMessage { message, state } = stored;
        let content = message.content;
        let files = content.attachments.into_iter().chain(state.fetched);
        Self {
            id: message.id,
            status: state.status.into(),
            to: content.to,
            message: content.text,
            priority: content.priority,
            connector_id,
            message_type: content.message_type.into(),
            created_at: message.created_at.to_iso(),
            sent_at: state.sent_at.map(Timestamp::to_iso),
            external_id: content.external_id,
            contact_name: content.contact_name,
            subject: content.subject,
            scheduled_at: content.scheduled_at.map(Timestamp::to_iso),
            notes: content.notes,
            attempts: (state.attempts > 0).then_some(state.attempts),
            reason: state.reason.map(|Reason { code, detail, .. }| StatusReason { code: code.to_string(), detail }),
            attachments: Some(files.map(|file| links.attachment(file)).collect()),
        }
    }
}

/// A page of messages, newest first.
#[derive(Debug, Serialize, Object)]
pub(super) struct MessagePage {
    /// The messages.
    pub data: Vec<MessageBody>,
    /// Position of the page in the list.
    pub meta: PageMeta,
}

/// Position of a page in its list.
#[derive(Debug, Serialize, Object)]
pub(super) struct PageMeta {
    /// Exact number of all messages that match the filters.
    pub total: u64,
    /// Number of this page, from 1.
    pub page: u32,
    /// Maximum number of messages per page.
    pub limit: u32,
    /// Number of pages.
    pub pages: u64,
}

/// The result for one message of a bulk.
#[derive(Debug, Serialize, Object)]
#[serde(rename_all = "camelCase")]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct BulkRow {
    /// Position of the message in the request, from 0.
    pub index: u32,
    /// Id of the message, if it was accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Uuid>,
    /// Status of the message, if it was accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<MessageStatus>,
    /// Your own reference, if the row has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// What to change, if it was not accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// The result of a bulk.
#[derive(Debug, Serialize, Object)]
#[serde(rename_all = "camelCase")]
#[oai(rename_all = "camelCase")]
pub(crate) struct BulkResult {
    /// Whether every message was accepted.
    pub success: bool,
    /// Number of messages in the request.
    pub total: u32,
    /// Number of accepted messages.
    pub accepted: u32,
    /// Number of refused messages.
    pub rejected: u32,
    /// One result for each message, in the order of the request.
    pub results: Vec<BulkRow>,
    /// Extension: what to think of, if there is something: advertising that is the same for too many within 24 hours.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[oai(skip_serializing_if_is_none)]
    pub warnings: Option<Vec<String>>,
}

/// A bulk of which no message was accepted. It has rows if there were any that could be read.
#[derive(Debug, Serialize, Object)]
#[serde(rename_all = "camelCase")]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct BulkError {
    /// The HTTP status.
    pub status_code: u16,
    /// What is wrong and what to change.
    pub message: String,
    /// The name of the HTTP status.
    pub error: String,
    /// Always false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub success: Option<bool>,
    /// Number of messages in the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<u32>,
    /// Always 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepted: Option<u32>,
    /// Number of refused messages: all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rejected: Option<u32>,
    /// One result for each message, in the order of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub results: Option<Vec<BulkRow>>,
}

/// The answer to a send.
#[derive(ApiResponse)]
pub(super) enum Created {
    /// The message is in the queue and stored on disk.
    #[oai(status = 201)]
    Message(SerdeJson<MessageBody>),
}

/// The answer to a bulk.
#[derive(ApiResponse)]
pub(crate) enum BulkAnswer {
    /// The accepted messages are in the queue and stored on disk; `results` has a result for each row.
    #[oai(status = 201)]
    Accepted(SerdeJson<BulkResult>),
    /// Nothing was accepted and nothing stored.
    #[oai(status = 400)]
    Refused(SerdeJson<BulkError>),
}

impl BulkAnswer {
    /// From the rows, and what each row had as its `externalId`.
    pub(super) fn of<'e>(
        rows: Vec<Row>,
        external_ids: impl Iterator<Item = Option<&'e str>>,
        warnings: Vec<String>,
    ) -> Self {
        let total = rows.len() as u32;
        let mut accepted = 0;
        let row = |(index, (row, external_id)): (usize, (Row, Option<&str>))| {
            let (index, external_id) = (index as u32, external_id.map(str::to_owned));
            match row {
                Ok(taken) => {
                    accepted += 1;
                    let status = Some(taken.status.into());
                    BulkRow { index, id: Some(taken.id), status, external_id, error: None }
                }
                Err(error) => BulkRow {
                    index,
                    id: None,
                    status: None,
                    external_id,
                    error: Some(error.written(field_name).into_owned()),
                },
            }
        };
        let results: Vec<BulkRow> = rows.into_iter().zip(external_ids).enumerate().map(row).collect();
        let rejected = total - accepted;
        if accepted > 0 {
            let success = rejected == 0;
            let warnings = Some(warnings).filter(|warnings| !warnings.is_empty());
            return Self::Accepted(SerdeJson(BulkResult { success, total, accepted, rejected, results, warnings }));
        }
        Self::Refused(SerdeJson(BulkError {
            status_code: 400,
            message: format!("none of the {total} messages was accepted; results says why, row by row"),
            error: "Bad Request".to_owned(),
            success: Some(false),
            total: Some(total),
            accepted: Some(0),
            rejected: Some(rejected),
            results: Some(results),
        }))
    }

    /// A bulk that cannot be read at all.
    pub(crate) fn unreadable(message: String) -> Self {
        Self::Refused(SerdeJson(BulkError {
            status_code: 400,
            message,
            error: "Bad Request".to_owned(),
            success: None,
            total: None,
            accepted: None,
            rejected: None,
            results: None,
        }))
    }
}

/// Each answer once with everything and once with nothing optional, as serde writes it and as the framework would.
#[cfg(test)]
pub(crate) fn samples() -> Vec<(serde_json::Value, Option<serde_json::Value>)> {
    use poem_openapi::types::ToJSON;

    fn both<T: Serialize + ToJSON>(answer: T) -> (serde_json::Value, Option<serde_json::Value>) {
        (serde_json::to_value(&answer).expect("serialises"), answer.to_json())
    }
    let some = || Some("text".to_owned());
    let row = |id| BulkRow { index: 1, id, status: None, external_id: some(), error: some() };
    let message = |full: bool| {
        let text = || full.then(|| "text".to_owned());
        MessageBody {
            id: Uuid::nil(),
            status: MessageStatus::PendingApproval,
            to: String::new(),
            message: String::new(),
            priority: 5,
            connector_id: Uuid::nil(),
            message_type: MessageCategory::Geral,
            created_at: String::new(),
            sent_at: text(),
            external_id: text(),
            contact_name: text(),
            subject: text(),
            scheduled_at: text(),
            notes: text(),
            attempts: full.then_some(1),
            reason: full.then(|| StatusReason { code: String::new(), detail: String::new() }),
            attachments: full.then(|| {
                vec![AttachmentBody { id: Uuid::nil(), url: String::new(), original_file_name: String::new() }]
            }),
        }
    };
    let refused = match BulkAnswer::unreadable("m".to_owned()) {
        BulkAnswer::Refused(SerdeJson(error)) => error,
        BulkAnswer::Accepted(_) => unreachable!("unreadable is refused"),
    };
    let bulk = |warnings| BulkResult {
        success: true,
        total: 1,
        accepted: 1,
        rejected: 0,
        results: vec![row(Some(Uuid::nil()))],
        warnings,
    };
    let page = MessagePage {
        data: vec![message(true)],
        meta: PageMeta { total: u64::from(u32::MAX) + 1, page: 1, limit: 250, pages: 1 },
    };
    vec![
        both(message(false)),
        both(page),
        both(bulk(None)),
        both(bulk(Some(vec!["text".to_owned()]))),
        both(BulkError { results: Some(vec![row(None)]), ..refused }),
        both(BulkRow { index: 0, id: None, status: Some(MessageStatus::Unknown), external_id: None, error: None }),
    ]
}
