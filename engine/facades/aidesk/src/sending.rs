//! What both operations share: which connectors are instances, how a send waits, and what is answered for each outcome. Only the
//! documented statuses are left for that: what the message or the person on the other side stands against is 400, what may go well another
//! time is 500, and its message says whether to send again.

use std::sync::Arc;

use poem::http::StatusCode;
use pombo_api::error::Failure;
use pombo_api::options::ApiState;
use pombo_domain::commands::messages::now::{SentNow, Waiting};
use pombo_domain::commands::messages::send::Draft;
use pombo_domain::model::reason::Reason;
use pombo_domain::model::{Connector, ReasonCode};
use pombo_domain::{Error, Field, FieldPath, FieldProblem, Word};

use crate::AideskDeps;
use crate::credentials::Caller;
use crate::errors::{AFTER_THE_WINDOW, WINDOW_CLOSED};

/// The handlers' part of the state.
pub(crate) type State<'a> = poem::web::Data<&'a Arc<ApiState>>;
/// What the server gave besides.
pub(crate) type Deps<'a> = poem::web::Data<&'a Arc<AideskDeps>>;

/// Channels whose connectors are instances begin so.
const CHANNEL: &str = "whatsapp";

pub(crate) fn is_instance(connector: &Connector) -> bool {
    connector.channel.starts_with(CHANNEL)
}

/// The instances that the caller may send by, oldest first.
pub(crate) fn instances(state: &ApiState, caller: &Caller) -> Result<Vec<Arc<Connector>>, Failure> {
    let all = state.commands.overview_connectors(caller.tenant)?.into_iter().map(|view| view.connector);
    Ok(all.filter(|connector| is_instance(connector) && caller.is_for(connector.index)).collect())
}

/// A failure about one field, with another status than 400.
pub(crate) fn about(field: &str, message: &str, failure: fn(String) -> Failure) -> Failure {
    let problem = FieldProblem::new(field, message);
    Failure { fields: vec![problem], ..failure(message.to_owned()) }
}

/// How the operations wait.
pub(crate) fn waiting(deps: &AideskDeps) -> Waiting<'_> {
    Waiting { paces: &*deps.pace, wait_ms: i64::try_from(deps.send_wait.as_millis()).unwrap_or(i64::MAX) }
}

/// A message of an instance to somebody, by a caller.
pub(crate) fn draft(caller: &Caller, instance: &Connector, to: String) -> Draft<'static> {
    let (to, author) = (Some(to.into()), Some(caller.by().into()));
    Draft { connector: Some(instance.id), to, author, ..Draft::default() }
}

/// An error whose problems with one field are problems with what the caller calls by another name.
pub(crate) fn renamed(mut error: Error, field: Field, name: &'static str) -> Error {
    for problem in error.fields.iter_mut().filter(|problem| problem.field == field) {
        problem.field = FieldPath::from(name);
    }
    error
}

/// Why a use case refused it. What it did not find is wrong with the request here: only paths are not found.
pub(crate) fn refusal(error: Error) -> Failure {
    let failure = Failure::from(error);
    match failure.status {
        StatusCode::NOT_FOUND => Failure { status: StatusCode::BAD_REQUEST, ..failure },
        _ => failure,
    }
}

/// WhatsApp's id of a message that it accepted, or our own where the connector gives none; otherwise why it was not sent, or why that is not
/// known.
pub(crate) fn accepted(sent: SentNow) -> Result<String, Failure> {
    let internal = |message: String| Failure::new(StatusCode::INTERNAL_SERVER_ERROR, message);
    let later = |message: &str, retry_after_ms| Failure {
        retry_after_ms: Some(retry_after_ms),
        ..internal(message.to_owned())
    };
    Err(match sent {
        SentNow::Sent { id, provider_id, .. } => return Ok(provider_id.unwrap_or_else(|| id.to_string())),
        SentNow::Refused { reason, .. } => Failure::bad_request(refused(&reason)),
        SentNow::Throttled { retry_after_ms } => later(
            "WhatsApp asks to slow down; it was not sent and will not be; you may send it again later",
            retry_after_ms,
        ),
        SentNow::NoOutreach { reason, retry_after_ms } => {
            let message = format!("{}; it was not sent and will not be; you may send it again later", reason.detail);
            later(&message, retry_after_ms)
        }
        SentNow::CapReached { retry_after_ms } => later(
            "the instance's limit for today is reached; nothing was sent; you may send it again tomorrow",
            retry_after_ms,
        ),
        SentNow::NotSent { reason, .. } => {
            let why = reason.map_or_else(String::new, |reason| format!(": {}", reason.detail));
            internal(format!("it was not sent in time and will not be; you may send it again{why}"))
        }
        SentNow::Pending { id } => {
            let message =
                "WhatsApp may have it, and its outcome was not known in time; do not send it again without looking";
            Failure { message_id: Some(id), ..internal(message.to_owned()) }
        }
        SentNow::Unknown { id, .. } => {
            let message = "nobody can tell whether it was sent; look before you send it again";
            Failure { message_id: Some(id), ..internal(message.to_owned()) }
        }
    })
}

fn refused(reason: &Reason) -> String {
    let what = match reason.code {
        Word::Known(ReasonCode::InvalidRecipient) => "WhatsApp does not know the recipient",
        Word::Known(ReasonCode::Rejected) => "WhatsApp refuses it",
        _ => "it cannot be sent",
    };
    let then = if reason.code.as_str() == WINDOW_CLOSED { AFTER_THE_WINDOW } else { "" };
    format!("{what}: {}{then}", reason.detail)
}
