//! Pausing and resuming the automations of conversations, as several sections offer it in forms of their own.

use std::borrow::Cow;

use poem_openapi::registry::{MetaSchema, MetaSchemaRef, Registry};
use pombo_api::declared::Declares;
use pombo_api::error::Failure;
use pombo_api::fields::{Field as Given, required};
use pombo_api::json_fields;
use pombo_api::options::ApiState;
use pombo_domain::commands::conversations::{Bulk, ConversationView, Selection};
use pombo_domain::{Error, Field, FieldProblem};
use serde_json::json;

use crate::credentials::Caller;
use crate::params::Texts;
use crate::refs::conversation;
use crate::schemas::inline;

/// Maximum number of conversations in one request.
const MAX_CONVERSATIONS: usize = 100;
/// Maximum length of a reason, in characters.
const MAX_REASON_CHARS: usize = 500;

json_fields! {
    /// Why the automations are paused.
    pub(crate) struct ReasonFields<'a> {
        reason: "reason" as Cow<'a, str>,
    }
}

json_fields! {
    /// The conversations of a bulk change.
    pub(crate) struct BulkFields<'a> {
        conversation_ids: "conversation_ids" as Texts,
        reason: "reason" as Cow<'a, str>,
    }
}

fn reason_schema() -> MetaSchemaRef {
    let description = Some("Why, for the person who takes over.");
    let max_length = Some(MAX_REASON_CHARS);
    MetaSchemaRef::Inline(Box::new(MetaSchema { description, max_length, nullable: true, ..MetaSchema::new("string") }))
}

fn ids_schema() -> MetaSchemaRef {
    // Not declared as a UUID: numbers are taken, and what names no conversation is counted.
    let kinds = ["string", "number"].map(|kind| inline(MetaSchema::new(kind)));
    let id = inline(MetaSchema { any_of: kinds.into(), ..MetaSchema::ANY });
    MetaSchemaRef::Inline(Box::new(MetaSchema {
        description: Some("Ids or numbers of conversations."),
        items: Some(Box::new(id)),
        min_items: Some(1),
        max_items: Some(MAX_CONVERSATIONS),
        ..MetaSchema::new("array")
    }))
}

/// `Pause` in the document.
pub(crate) struct Pause;

impl Declares for Pause {
    const NAME: &'static str = "Pause";

    fn schema(_: &mut Registry) -> MetaSchema {
        MetaSchema {
            description: Some("Why the automations are paused."),
            properties: vec![("reason", reason_schema())],
            example: Some(json!({"reason": "Manual takeover for VIP client"})),
            ..MetaSchema::new("object")
        }
    }
}

/// `BulkPause` in the document.
pub(crate) struct BulkPause;

impl Declares for BulkPause {
    const NAME: &'static str = "BulkPause";

    fn schema(_: &mut Registry) -> MetaSchema {
        MetaSchema {
            description: Some("The conversations in which the automations are paused."),
            required: vec!["conversation_ids"],
            properties: vec![("conversation_ids", ids_schema()), ("reason", reason_schema())],
            ..MetaSchema::new("object")
        }
    }
}

/// `BulkResume` in the document.
pub(crate) struct BulkResume;

impl Declares for BulkResume {
    const NAME: &'static str = "BulkResume";

    fn schema(_: &mut Registry) -> MetaSchema {
        MetaSchema {
            description: Some("The conversations in which the automations are resumed."),
            required: vec!["conversation_ids"],
            properties: vec![("conversation_ids", ids_schema())],
            ..MetaSchema::new("object")
        }
    }
}

/// What became of the conversations of a bulk change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct BulkCount {
    /// Conversations that were changed.
    pub(crate) changed: u64,
    /// Conversations in which there was nothing to change.
    pub(crate) skipped: u64,
    /// Ids that name no conversation that the caller may change.
    pub(crate) errors: u64,
}

/// Who paused the automations, for people.
pub(crate) fn paused_by(state: &ApiState, caller: &Caller, view: &ConversationView) -> Result<Option<String>, Failure> {
    let Some(handover) = &view.conversation.handover else { return Ok(None) };
    Ok(Some(state.commands.actor_name(caller.tenant, &handover.by)?))
}

/// Pauses a conversation's automations; the conversation afterwards.
pub(crate) async fn pause(
    state: &ApiState,
    caller: &Caller,
    given: &str,
    fields: ReasonFields<'_>,
) -> Result<ConversationView, Failure> {
    let view = conversation(state, caller, given)?;
    let mut problems = Vec::new();
    let reason = fields.reason.take(Field::Reason, &mut problems);
    if !problems.is_empty() {
        return Err(Error::invalid_fields(problems).into());
    }
    let actor = caller.actor();
    Ok(state.commands.pause_conversation(&actor, view.conversation.id, &reason.unwrap_or_default()).await?)
}

/// Resumes a conversation's automations.
pub(crate) async fn resume(state: &ApiState, caller: &Caller, given: &str) -> Result<ConversationView, Failure> {
    let view = conversation(state, caller, given)?;
    Ok(state.commands.resume_conversation(&caller.actor(), view.conversation.id).await?)
}

/// Pauses the automations of many conversations: of those in which one is active.
pub(crate) async fn pause_many(
    state: &ApiState,
    caller: &Caller,
    fields: BulkFields<'_>,
) -> Result<BulkCount, Failure> {
    let mut problems = Vec::new();
    let reason = fields.reason.take(Field::Reason, &mut problems);
    // The command would not look at it where no id names a conversation.
    if reason.as_ref().is_some_and(|reason| reason.chars().count() > MAX_REASON_CHARS) {
        problems.push(FieldProblem::new(Field::Reason, format!("must have at most {MAX_REASON_CHARS} characters")));
    }
    let ids = named(fields.conversation_ids, problems)?;
    let step = Bulk::Pause(reason.map(Cow::into_owned).unwrap_or_default());
    many(state, caller, ids, step, ConversationView::automated).await
}

/// Resumes the automations of many conversations: of those in which they are paused.
pub(crate) async fn resume_many(
    state: &ApiState,
    caller: &Caller,
    fields: BulkFields<'_>,
) -> Result<BulkCount, Failure> {
    let ids = named(fields.conversation_ids, Vec::new())?;
    many(state, caller, ids, Bulk::Resume, |view| view.conversation.handover.is_some()).await
}

fn named(given: Given<Texts>, mut problems: Vec<FieldProblem>) -> Result<Vec<String>, Failure> {
    let given = given.take(Field::Ids, &mut problems);
    let ids = required(Field::Ids, given, &mut problems).map(|texts| texts.0).unwrap_or_default();
    if problems.is_empty() && !(1..=MAX_CONVERSATIONS).contains(&ids.len()) {
        problems.push(FieldProblem::new(Field::Ids, format!("must be 1 to {MAX_CONVERSATIONS} ids of conversations")));
    }
    if problems.is_empty() { Ok(ids) } else { Err(Error::invalid_fields(problems).into()) }
}

async fn many(
    state: &ApiState,
    caller: &Caller,
    mut given: Vec<String>,
    step: Bulk,
    applies: impl Fn(&ConversationView) -> bool,
) -> Result<BulkCount, Failure> {
    given.sort();
    given.dedup();
    let (mut count, mut ids) = (BulkCount::default(), Vec::new());
    for text in &given {
        match conversation(state, caller, text) {
            Ok(view) if applies(&view) => ids.push(view.conversation.id),
            Ok(_) => count.skipped += 1,
            Err(failure) if failure.status.is_client_error() => count.errors += 1,
            Err(failure) => return Err(failure),
        }
    }
    if ids.is_empty() {
        return Ok(count);
    }
    let wanted = ids.len() as u64;
    let done = state.commands.step_conversations(&caller.actor(), Selection::Ids(ids), step).await?;
    count.changed = done.changed;
    count.errors += done.missing.len() as u64;
    // Somebody else was faster.
    count.skipped += wanted.saturating_sub(done.changed + done.missing.len() as u64);
    Ok(count)
}
