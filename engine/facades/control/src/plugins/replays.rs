//! Section Replays: trying a version of a plugin on recorded calls of another version, before it goes live.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::param::Path;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use pombo_domain::commands::plugins::replays::{Difference, Replay, ReplayRequest};
use pombo_domain::ports::{Action, CallFailure, Outcome, SendContent};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::Section;
use crate::access::Acting;
use crate::plugins::PluginName;
use crate::wire::{BODY, CONFLICT, Instant, READ, Refused, WRITE, body};
use pombo_api::declared::Param;
use pombo_api::json::JsonBytes;
use pombo_api::options::ApiState;

#[derive(Default)]
pub(crate) struct Replays;

impl pombo_api::Section for Replays {
    const FILE: &'static str = file!();
}

/// Number of calls of each automation if the caller does not say.
const DEFAULT_CALLS: u32 = 100;
/// Maximum length of a text in a difference, in characters.
const SHOWN_CHARS: usize = 2_000;
/// Maximum number of actions in a difference.
const SHOWN_ACTIONS: usize = 50;

/// The version to try.
#[derive(Object, Deserialize)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ReplayPlugin {
    /// Digest of the version.
    #[oai(validator(min_length = 64, max_length = 64, pattern = "^[0-9a-f]{64}$"))]
    digest: String,
    /// Only recordings of this automation; of all automations on the plugin if omitted.
    #[oai(nullable)]
    automation_id: Option<Uuid>,
    /// Maximum number of calls of each automation, from 1 to 1000, newest first; 100 if omitted.
    #[oai(nullable, validator(minimum(value = "1"), maximum(value = "1000")))]
    limit: Option<u32>,
}

/// A call that the version answers differently.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
pub(crate) struct ReplayDifference {
    /// When the call was recorded.
    at: Instant,
    /// Kind of event, such as `message-received`.
    kind: String,
    /// Id of the event.
    event_id: Uuid,
    /// Id of the automation.
    automation_id: Uuid,
    /// Id of the conversation.
    conversation_id: Uuid,
    /// The recorded answer: `state`, `actions` and `claim`, or `failure` with its `code` and `reason`.
    was: Value,
    /// The version's answer, in the same form.
    is: Value,
}

/// The result of a replay.
#[derive(Object)]
pub(crate) struct ReplayReport {
    /// Number of calls that were made.
    calls: u64,
    /// Number of calls that were answered as recorded.
    same: u64,
    /// Number of calls that were answered differently.
    different: u64,
    /// Number of calls in which the version failed, whatever was recorded.
    failed: u64,
    /// Number of recordings that can no longer be read.
    unreadable: u64,
    /// Whether all recordings were tried within the time for a replay.
    complete: bool,
    /// The first 50 differences.
    differ: Vec<ReplayDifference>,
}

impl From<Difference> for ReplayDifference {
    fn from(difference: Difference) -> Self {
        Self {
            at: Instant(difference.at),
            kind: difference.kind.as_str().to_owned(),
            event_id: difference.event,
            automation_id: difference.automation,
            conversation_id: difference.conversation,
            was: answer(&difference.was),
            is: answer(&difference.is),
        }
    }
}

impl From<Replay> for ReplayReport {
    fn from(replay: Replay) -> Self {
        let Replay { calls, same, different, failed, unreadable, complete, differ } = replay;
        let differ = differ.into_iter().map(ReplayDifference::from).collect();
        Self { calls, same, different, failed, unreadable, complete, differ }
    }
}

fn answer(answer: &Result<Outcome, CallFailure>) -> Value {
    match answer {
        Err(failure) => json!({"failure": {"code": failure.code().as_str(), "reason": cut(&failure.to_string())}}),
        Ok(outcome) => {
            let mut actions: Vec<Value> = outcome.actions.iter().take(SHOWN_ACTIONS).map(action).collect();
            if outcome.actions.len() > SHOWN_ACTIONS {
                actions.push(json!({"more": outcome.actions.len() - SHOWN_ACTIONS}));
            }
            json!({"state": outcome.state.as_deref().map(cut), "actions": actions, "claim": outcome.claim})
        }
    }
}

fn action(action: &Action) -> Value {
    match action {
        Action::Send(send) => json!({"send": {
            "content": content(&send.content),
            "replyTo": send.reply_to,
            "delayMs": send.delay_ms,
            "label": send.label,
        }}),
        Action::WriteKv(key, value) => json!({"writeKv": {"key": cut(key), "value": value.as_deref().map(cut)}}),
        Action::SetTimer(name, delay_ms, payload) => {
            json!({"setTimer": {"name": cut(name), "delayMs": delay_ms, "payload": cut(payload)}})
        }
        Action::CancelTimer(name) => json!({"cancelTimer": cut(name)}),
        Action::AddTag(tag) => json!({"addTag": cut(tag)}),
        Action::RemoveTag(tag) => json!({"removeTag": cut(tag)}),
        Action::UpdateContact(name, active) => json!({"updateContact": {"name": name, "active": active}}),
        Action::HandOver(reason) => json!({"handOver": cut(reason)}),
        Action::Assign(assignee) => json!({"assign": assignee}),
        Action::Emit(kind, text) => json!({"emit": {"kind": cut(kind), "json": cut(text)}}),
        Action::MarkRead => json!({"markRead": true}),
    }
}

fn content(content: &SendContent) -> Value {
    match content {
        SendContent::Text(text) => json!({"text": cut(text)}),
        SendContent::Template(text, variables) => json!({"template": cut(text), "variables": cut(variables)}),
        SendContent::FileUrl { url, caption, voice_note } => {
            json!({"fileUrl": cut(url), "caption": caption.as_deref().map(cut), "voiceNote": voice_note})
        }
        SendContent::File { file, caption, voice_note } => json!({
            "file": {"id": file.id, "fileName": file.file_name, "contentType": file.content_type, "size": file.size},
            "caption": caption.as_deref().map(cut),
            "voiceNote": voice_note,
        }),
        SendContent::Reaction { message, sender, emoji } => {
            json!({"reaction": {"message": message, "sender": sender, "emoji": emoji}})
        }
    }
}

/// The text, or its beginning with a mark that there is more.
fn cut(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

#[OpenApi(tag = "Section::Replays")]
impl Replays {
    /// Try a version on recorded calls
    ///
    /// Runs the version on the recorded calls of the automations on the plugin, newest first, with the host's recorded answers,
    /// and compares its answers. No server is called, and nothing is stored or sent. Takes at most one minute.
    #[oai(path = "/v1/plugins/:name/replay", method = "post", operation_id = "replay_plugin")]
    async fn replay_plugin(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        name: Path<Param<PluginName>>,
        json: JsonBytes<ReplayPlugin>,
    ) -> Result<Json<ReplayReport>, Refused<{ READ | BODY | WRITE | CONFLICT }>> {
        let ReplayPlugin { digest, automation_id, limit } = body(&json)?;
        let limit = limit.unwrap_or(DEFAULT_CALLS) as usize;
        let request = ReplayRequest { digest, automation: automation_id, limit };
        let replay = state.commands.replay_plugin(&acting.actor(), &name.0.0, &request).await?;
        Ok(Json(replay.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(cut("ação"), "ação");
        let long = "é".repeat(SHOWN_CHARS + 1);
        assert_eq!(cut(&long), format!("{}…", "é".repeat(SHOWN_CHARS)));
        assert_eq!(cut(&long[..2 * SHOWN_CHARS]), "é".repeat(SHOWN_CHARS));
    }
}
