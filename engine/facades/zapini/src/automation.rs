//! Section "Controle de Automação": who answers a conversation, an automation or a person. The bulk operations answer otherwise below
//! `/api/v1`, as documented.

use poem::http::StatusCode;
use poem_openapi::param::Path;
use poem_openapi::{Enum, Object, OpenApi};
use pombo_api::declared::{Declared, Param};
use pombo_api::error::Failure;
use pombo_api::json::{JsonBytes, OptionalJsonBytes};
use pombo_domain::ErrorCode;
use pombo_domain::commands::conversations::ConversationView;
use pombo_domain::model::Right;
use serde::Serialize;
use uuid::Uuid;

use crate::Section;
use crate::credentials::Caller;
use crate::envelope::{Said, Success};
use crate::errors::{BODY, EVERY, NAMED, Refused, VALUES, WRITE};
use crate::gate::State;
use crate::params::Text;
use crate::pauses::{self, BulkCount, BulkPause, BulkResume, Pause};
use crate::refs::conversation;
use crate::times::seconds;

/// Who answers a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Enum)]
#[serde(rename_all = "lowercase")]
#[oai(rename_all = "lowercase")]
pub(crate) enum AutomationStatus {
    /// An automation does.
    Active,
    /// A person does: the automations are paused.
    Paused,
    /// A person does: the instance has no automation that answers it.
    Inactive,
}

impl AutomationStatus {
    pub(crate) fn of(view: &ConversationView) -> Self {
        match (&view.conversation.handover, view.automated()) {
            (Some(_), _) => Self::Paused,
            (None, true) => Self::Active,
            (None, false) => Self::Inactive,
        }
    }
}

/// Who answers a conversation, since when and why.
#[derive(Debug, Serialize, Object)]
struct AutomationState {
    /// Id of the conversation.
    conversation_id: Uuid,
    /// Who answers it.
    automation_status: AutomationStatus,
    /// Whether `automation_status` is `active`.
    is_automation_active: bool,
    /// Whether a message by hand would be accepted.
    can_send_manual_message: bool,
    /// When the automations were paused; null while they are not.
    #[oai(nullable)]
    paused_at: Option<String>,
    /// Name of who paused them.
    #[oai(nullable)]
    paused_by: Option<String>,
    /// Why they were paused; null where no reason was given.
    #[oai(nullable)]
    pause_reason: Option<String>,
}

/// The answer to a pause.
#[derive(Debug, Serialize, Object)]
struct Paused {
    /// Always `paused`.
    automation_status: AutomationStatus,
    /// When the automations were paused.
    #[oai(nullable)]
    paused_at: Option<String>,
    /// Name of who paused them.
    #[oai(nullable)]
    paused_by: Option<String>,
}

/// The answer to a resumption.
#[derive(Debug, Serialize, Object)]
struct Resumed {
    /// Who answers the conversation now.
    automation_status: AutomationStatus,
}

/// What became of the conversations of a bulk pause.
#[derive(Debug, Serialize, Object)]
struct BulkPaused {
    /// Conversations in which the automations were paused.
    paused: u64,
    /// Conversations in which they were paused already, or in which none is active.
    skipped: u64,
    /// Number of ids that name no conversation.
    errors: u64,
}

/// What became of the conversations of a bulk resumption.
#[derive(Debug, Serialize, Object)]
struct BulkResumed {
    /// Conversations in which the automations were resumed.
    resumed: u64,
    /// Conversations in which they were not paused.
    skipped: u64,
    /// Number of ids that name no conversation.
    errors: u64,
}

/// Handlers of the section.
#[derive(Default)]
pub(crate) struct AutomationApi;

impl pombo_api::Section for AutomationApi {
    const FILE: &'static str = file!();
}

#[OpenApi(tag = "Section::Automation")]
impl AutomationApi {
    /// Get who answers a conversation
    #[oai(path = "/conversations/:uuid/automation", method = "get", operation_id = "get_automation")]
    async fn get_automation(
        &self,
        caller: Caller,
        state: State<'_>,
        /// UUID or number of the conversation.
        uuid: Path<Param<Text>>,
    ) -> Result<Success<AutomationState>, Refused<{ NAMED | VALUES }>> {
        caller.must(Right::Read)?;
        let view = conversation(&state, &caller, &uuid.0.0)?;
        let status = AutomationStatus::of(&view);
        let paused_by = pauses::paused_by(&state, &caller, &view)?;
        let handover = view.conversation.handover;
        Ok(Success::of(AutomationState {
            conversation_id: view.conversation.id,
            automation_status: status,
            is_automation_active: status == AutomationStatus::Active,
            can_send_manual_message: status != AutomationStatus::Active,
            paused_at: handover.as_ref().map(|handover| seconds(handover.at)),
            paused_by,
            pause_reason: handover.map(|handover| handover.reason).filter(|reason| !reason.is_empty()),
        }))
    }

    /// Pause the automations of a conversation
    ///
    /// A person takes it over. If they are paused already, nothing changes.
    #[oai(path = "/conversations/:uuid/automation/pause", method = "post", operation_id = "pause_automation")]
    async fn pause_automation(
        &self,
        caller: Caller,
        state: State<'_>,
        /// UUID or number of the conversation.
        uuid: Path<Param<Text>>,
        body: OptionalJsonBytes<Declared<Pause>>,
    ) -> Result<Success<Paused>, Refused<{ NAMED | BODY | WRITE }>> {
        caller.must(Right::Converse)?;
        let view = pauses::pause(&state, &caller, &uuid.0.0, body.object()?).await?;
        let paused_by = pauses::paused_by(&state, &caller, &view)?;
        let paused_at = view.conversation.handover.as_ref().map(|handover| seconds(handover.at));
        let paused = Paused { automation_status: AutomationStatus::Paused, paused_at, paused_by };
        Ok(Success::saying("Automation paused. You can now send messages manually.", paused))
    }

    /// Resume the automations of a conversation
    ///
    /// Only of an archived one, so that the work of the person who took it over is done: otherwise 422 with
    /// `CONVERSATION_NOT_ARCHIVED`. It is taken back from the archive in the same step.
    #[oai(path = "/conversations/:uuid/automation/resume", method = "post", operation_id = "resume_automation")]
    async fn resume_automation(
        &self,
        caller: Caller,
        state: State<'_>,
        /// UUID or number of the conversation.
        uuid: Path<Param<Text>>,
    ) -> Result<Success<Resumed>, Refused<{ NAMED | VALUES | WRITE }>> {
        caller.must(Right::Converse)?;
        let id = conversation(&state, &caller, &uuid.0.0)?.conversation.id;
        let handed = state.commands.hand_back_conversation(&caller.actor(), id).await;
        let view = handed.map_err(|error| match error.code {
            ErrorCode::Conflict => Failure {
                code: Some("CONVERSATION_NOT_ARCHIVED"),
                conversation_id: Some(id),
                ..Failure::new(StatusCode::UNPROCESSABLE_ENTITY, error.message)
            },
            _ => error.into(),
        })?;
        let resumed = Resumed { automation_status: AutomationStatus::of(&view) };
        Ok(Success::saying("Automation resumed. AI will handle this conversation.", resumed))
    }

    /// Pause the automations of many conversations
    ///
    /// At most 100. Conversations in which no automation is active are passed over, as are ids that name no conversation.
    #[oai(path = "/conversations/automation/bulk-pause", method = "post", operation_id = "bulk_pause")]
    async fn bulk_pause(
        &self,
        caller: Caller,
        state: State<'_>,
        body: JsonBytes<Declared<BulkPause>>,
    ) -> Result<Said, Refused<{ EVERY | BODY | WRITE }>> {
        caller.must(Right::Converse)?;
        let count = pauses::pause_many(&state, &caller, body.object()?).await?;
        Ok(Said(format!("{} conversations paused successfully.", count.changed).into()))
    }

    /// Resume the automations of many conversations
    ///
    /// At most 100. Conversations that are not paused are passed over, as are ids that name no conversation.
    #[oai(path = "/conversations/automation/bulk-resume", method = "post", operation_id = "bulk_resume")]
    async fn bulk_resume(
        &self,
        caller: Caller,
        state: State<'_>,
        body: JsonBytes<Declared<BulkResume>>,
    ) -> Result<Said, Refused<{ EVERY | BODY | WRITE }>> {
        caller.must(Right::Converse)?;
        let count = pauses::resume_many(&state, &caller, body.object()?).await?;
        Ok(Said(format!("{} conversations resumed successfully.", count.changed).into()))
    }

    /// Pause the automations of many conversations, and count them
    ///
    /// As `POST /conversations/automation/bulk-pause`, but the answer counts what was passed over.
    #[oai(path = "/api/v1/conversations/automation/bulk-pause", method = "post", operation_id = "bulk_pause_counted")]
    async fn bulk_pause_counted(
        &self,
        caller: Caller,
        state: State<'_>,
        body: JsonBytes<Declared<BulkPause>>,
    ) -> Result<Success<BulkPaused>, Refused<{ EVERY | BODY | WRITE }>> {
        caller.must(Right::Converse)?;
        let BulkCount { changed, skipped, errors } = pauses::pause_many(&state, &caller, body.object()?).await?;
        let message = format!("{changed} conversations paused");
        Ok(Success::saying(message, BulkPaused { paused: changed, skipped, errors }))
    }

    /// Resume the automations of many conversations, and count them
    ///
    /// As `POST /conversations/automation/bulk-resume`, but the answer counts what was passed over.
    #[oai(path = "/api/v1/conversations/automation/bulk-resume", method = "post", operation_id = "bulk_resume_counted")]
    async fn bulk_resume_counted(
        &self,
        caller: Caller,
        state: State<'_>,
        body: JsonBytes<Declared<BulkResume>>,
    ) -> Result<Success<BulkResumed>, Refused<{ EVERY | BODY | WRITE }>> {
        caller.must(Right::Converse)?;
        let BulkCount { changed, skipped, errors } = pauses::resume_many(&state, &caller, body.object()?).await?;
        let message = format!("{changed} automations resumed");
        Ok(Success::saying(message, BulkResumed { resumed: changed, skipped, errors }))
    }
}
