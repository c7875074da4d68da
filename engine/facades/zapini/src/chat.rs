//! Section "Chat API": what user interfaces of chats need.

use poem_openapi::param::Path;
use poem_openapi::{Object, OpenApi};
use pombo_api::declared::{Declared, Param};
use pombo_api::json::OptionalJsonBytes;
use pombo_domain::model::Right;
use serde::Serialize;
use uuid::Uuid;

use crate::Section;
use crate::credentials::Caller;
use crate::envelope::Success;
use crate::errors::{BODY, NAMED, Refused, VALUES, WRITE};
use crate::gate::State;
use crate::params::Text;
use crate::pauses::{self, Pause};
use crate::times::offset;

/// The answer to a pause.
#[derive(Debug, Serialize, Object)]
struct ChatPaused {
    /// Id of the conversation.
    conversation_id: Uuid,
    /// Always `true`.
    automation_paused: bool,
    /// When the automations were paused.
    #[oai(nullable)]
    paused_at: Option<String>,
    /// Name of who paused them.
    #[oai(nullable)]
    paused_by: Option<String>,
    /// Why they were paused; null where no reason was given.
    #[oai(nullable)]
    reason: Option<String>,
}

/// The answer to a resumption.
#[derive(Debug, Serialize, Object)]
struct ChatResumed {
    /// Id of the conversation.
    conversation_id: Uuid,
    /// Always `false`.
    automation_paused: bool,
    /// When the automations were resumed.
    resumed_at: String,
}

/// Handlers of the section.
#[derive(Default)]
pub(crate) struct ChatApi;

impl pombo_api::Section for ChatApi {
    const FILE: &'static str = file!();
}

#[OpenApi(tag = "Section::Chat")]
impl ChatApi {
    /// Pause the automations of a chat
    ///
    /// As `POST /conversations/{uuid}/automation/pause`, answered in another form.
    #[oai(
        path = "/api/v1/chat/conversations/:uuid/pause-automation",
        method = "post",
        operation_id = "pause_chat_automation"
    )]
    async fn pause_chat_automation(
        &self,
        caller: Caller,
        state: State<'_>,
        /// Id of the conversation.
        uuid: Path<Param<Text>>,
        body: OptionalJsonBytes<Declared<Pause>>,
    ) -> Result<Success<ChatPaused>, Refused<{ NAMED | BODY | WRITE }>> {
        caller.must(Right::Converse)?;
        let view = pauses::pause(&state, &caller, &uuid.0.0, body.object()?).await?;
        let paused_by = pauses::paused_by(&state, &caller, &view)?;
        let conversation_id = view.conversation.id;
        let handover = view.conversation.handover;
        let paused = ChatPaused {
            conversation_id,
            automation_paused: true,
            paused_at: handover.as_ref().map(|handover| offset(handover.at)),
            paused_by,
            reason: handover.map(|handover| handover.reason).filter(|reason| !reason.is_empty()),
        };
        Ok(Success::saying("Automation paused successfully", paused))
    }

    /// Resume the automations of a chat
    ///
    /// If they are not paused, nothing changes.
    #[oai(
        path = "/api/v1/chat/conversations/:uuid/resume-automation",
        method = "post",
        operation_id = "resume_chat_automation"
    )]
    async fn resume_chat_automation(
        &self,
        caller: Caller,
        state: State<'_>,
        /// Id of the conversation.
        uuid: Path<Param<Text>>,
    ) -> Result<Success<ChatResumed>, Refused<{ NAMED | VALUES | WRITE }>> {
        caller.must(Right::Converse)?;
        let view = pauses::resume(&state, &caller, &uuid.0.0).await?;
        let resumed = ChatResumed {
            conversation_id: view.conversation.id,
            automation_paused: false,
            resumed_at: offset(state.commands.now()),
        };
        Ok(Success::saying("Automation resumed successfully", resumed))
    }
}
