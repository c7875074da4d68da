//! Replays: a version of a plugin gets the recorded inputs of another one, and its answers are compared. Nothing outside is
//! called and nothing is stored: the host gives its recorded answers.

use std::collections::BTreeMap;
use std::sync::Arc;

use uuid::Uuid;

use crate::commands::Commands;
use crate::commands::access::actor::Actor;
use crate::commands::automations::open_secrets;
use crate::commands::plugins::grants::joined;
use crate::model::recording::{Recording, context};
use crate::model::{Automation, EventKind, PluginKind};
use crate::ports::{AutomationCall, CallFailure, Outcome};
use crate::{Error, ErrorCode, Field, Result, Timestamp};

/// Maximum number of calls of one replay.
pub const MAX_CALLS: usize = 1000;
/// Maximum number of differences in the result.
pub const MAX_DIFFERENCES: usize = 50;
/// Maximum duration of a replay, in milliseconds.
pub const REPLAY_MS: i64 = 60_000;

/// A replay to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplayRequest {
    /// Digest of the version.
    pub digest: String,
    /// Only recordings of this automation; of all the tenant's automations on the plugin if omitted.
    pub automation: Option<Uuid>,
    /// Maximum number of calls of each automation, newest first.
    pub limit: usize,
}

/// A call that the version answers differently.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// Public id of the automation.
    pub automation: Uuid,
    /// The event's id.
    pub event: Uuid,
    /// The conversation's public id.
    pub conversation: Uuid,
    /// Kind of event.
    pub kind: EventKind,
    /// When the call was recorded.
    pub at: Timestamp,
    /// The recorded answer.
    pub was: Result<Outcome, CallFailure>,
    /// The version's answer.
    pub is: Result<Outcome, CallFailure>,
}

/// The result of a replay.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Replay {
    /// Number of calls that were made.
    pub calls: u64,
    /// Number of calls that were answered as recorded.
    pub same: u64,
    /// Number of calls that were answered differently.
    pub different: u64,
    /// Number of calls in which the version failed, whatever was recorded.
    pub failed: u64,
    /// Number of recordings that can no longer be read.
    pub unreadable: u64,
    /// Whether all recordings were tried within the time for a replay.
    pub complete: bool,
    /// The first differences.
    pub differ: Vec<Difference>,
}

impl Commands {
    /// Runs a version on the recordings of the tenant's automations on its plugin.
    pub async fn replay_plugin(&self, actor: &Actor, name: &str, request: &ReplayRequest) -> Result<Replay> {
        let tenant = actor.tenant()?;
        if !(1..=MAX_CALLS).contains(&request.limit) {
            return Err(Error::invalid(Field::Limit, format!("must be 1 to {MAX_CALLS}")));
        }
        let plugin = self.get_plugin(actor, name)?.plugin.filter(|plugin| plugin.kind == PluginKind::Automation);
        let plugin = plugin.ok_or_else(|| Error::conflict("only automations are recorded and replayed"))?;
        let version = plugin.version(&request.digest).ok_or_else(|| Error::not_found("Version"))?;
        let mut automations = self.automations_of(name)?;
        automations.retain(|automation| automation.tenant == tenant);
        if let Some(id) = request.automation {
            automations.retain(|automation| automation.id == id);
            if automations.is_empty() {
                return Err(Error::not_found("Automation"));
            }
        }
        let granted = plugin.grants.as_ref().map(|grants| grants.what.clone()).unwrap_or_default();
        let call_like =
            |recording: &Recording, automation: &Automation, secrets: &Arc<BTreeMap<_, _>>| AutomationCall {
                digest: version.digest.as_str().into(),
                plugin: plugin.name.as_str().into(),
                tenant,
                automation: automation.index,
                id: automation.id,
                config: recording.config.as_str().into(),
                secrets: secrets.clone(),
                // What it would be granted: a version that waits for consent is tried too.
                grants: Arc::new(joined(&granted, &version.wants)),
                event: Arc::new(recording.event.clone()),
                state: recording.state.clone(),
                now: recording.now,
                seed: recording.seed,
                replay: Some(recording.inputs.clone()),
            };
        let clock = &self.ports().clock;
        let until = clock.now().plus_ms(REPLAY_MS);
        let mut replay = Replay { complete: true, ..Replay::default() };
        for automation in automations {
            let secrets = Arc::new(open_secrets(self.ports().secrets.as_ref(), &automation)?);
            let context = context(automation.id);
            for sealed in self.ports().store.recordings(automation.index, request.limit)? {
                if clock.now() >= until || replay.calls >= MAX_CALLS as u64 {
                    replay.complete = false;
                    return Ok(replay);
                }
                let plain = self.ports().secrets.open(&context, &sealed).ok();
                let Some(recording) = plain.and_then(|plain| Recording::decode(&plain).ok()) else {
                    replay.unreadable += 1;
                    continue;
                };
                let call = call_like(&recording, &automation, &secrets);
                let is = self.ports().plugins.call(call).await.outcome;
                if let Err(CallFailure::NotCalled(reason)) = is {
                    let message = format!("the version could not be called: {reason}");
                    return Err(Error { retry_after_ms: Some(2_000), ..Error::new(ErrorCode::Unavailable, message) });
                }
                replay.note(automation.id, recording, is);
            }
        }
        Ok(replay)
    }
}

impl Replay {
    fn note(&mut self, automation: Uuid, recording: Recording, is: Result<Outcome, CallFailure>) {
        self.calls += 1;
        self.failed += u64::from(is.is_err());
        if alike(&recording.outcome, &is) {
            self.same += 1;
            return;
        }
        self.different += 1;
        if self.differ.len() < MAX_DIFFERENCES {
            self.differ.push(Difference {
                automation,
                event: recording.event.id,
                conversation: recording.event.conversation,
                kind: recording.event.body.kind(),
                at: recording.now,
                was: recording.outcome,
                is,
            });
        }
    }
}

/// Whether two answers are the same. The texts of traps are ignored, because they contain code addresses, which differ with every
/// build.
fn alike(was: &Result<Outcome, CallFailure>, is: &Result<Outcome, CallFailure>) -> bool {
    match (was, is) {
        (Err(CallFailure::Trap(_)), Err(CallFailure::Trap(_))) => true,
        _ => was == is,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traps_are_alike_whatever_they_say_and_errors_are_not() {
        let trap = |text: &str| Err(CallFailure::Trap(text.to_owned()));
        let said = |text: &str| Err(CallFailure::Said(text.to_owned()));
        let answer = |claim| Ok(Outcome { state: None, actions: Vec::new(), claim });
        assert!(alike(&trap("a"), &trap("b")));
        assert!(!alike(&said("a"), &said("b")) && alike(&said("a"), &said("a")));
        assert!(alike(&answer(true), &answer(true)) && !alike(&answer(true), &answer(false)));
        assert!(!alike(&answer(true), &trap("a")));
    }
}
