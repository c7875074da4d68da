//! The inputs and the answer of one call of an automation: enough to call another version with the same inputs, without asking
//! anybody outside. Recordings are stored sealed, see [`context`]; this module defines the form that is sealed.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Timestamp;
use crate::model::call::{CallEvent, CallFailure, HostAnswer, Outcome};

/// The version of the form, which is the first byte of a recording. Recordings of another form come from another version of the
/// engine and are left out of replays.
const FORM: u8 = 1;

/// A call with everything on which its answer depended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recording {
    /// The event with its conversation.
    pub event: CallEvent,
    /// The automation's configuration without secrets, a JSON object as text.
    pub config: String,
    /// The automation's state in the conversation before the call.
    pub state: Option<String>,
    /// The time of its clock.
    pub now: Timestamp,
    /// The seed of its random numbers.
    pub seed: u64,
    /// Digest of the version that was called.
    pub digest: String,
    /// The host's answers, in order.
    pub inputs: Vec<HostAnswer>,
    /// How the call ended.
    pub outcome: Result<Outcome, CallFailure>,
}

/// The sealed bytes are not a recording that this engine can read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a recording that this engine can read")]
pub struct NotARecording;

impl Recording {
    /// Encodes the recording, to be sealed.
    pub fn encode(&self) -> Vec<u8> {
        // Writing into memory fails only for a sequence of unknown length; there is none here.
        postcard::to_extend(self, vec![FORM]).unwrap_or_default()
    }
    /// Decodes a recording from bytes that were sealed.
    pub fn decode(bytes: &[u8]) -> Result<Self, NotARecording> {
        match bytes.split_first() {
            Some((&FORM, rest)) => postcard::from_bytes(rest).map_err(|_| NotARecording),
            _ => Err(NotARecording),
        }
    }
}

/// The context for which recordings of this automation are sealed.
pub fn context(automation: Uuid) -> String {
    format!("recording:{automation}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::TaskBody;
    use crate::model::call::{Action, SendAction, SendContent};

    fn recording() -> Recording {
        let event = CallEvent {
            id: Uuid::from_u128(1),
            at: Timestamp(5),
            attempt: 2,
            conversation: Uuid::from_u128(2),
            connector: Uuid::from_u128(3),
            channel: "whatsapp".to_owned(),
            chat: "5511988887777".to_owned(),
            is_group: false,
            contact_name: None,
            tags: vec!["vip".to_owned()],
            assignee: None,
            opened_at: Timestamp(4),
            body: TaskBody::Opened,
        };
        let send = SendAction {
            content: SendContent::Text("oi".to_owned()),
            reply_to: None,
            delay_ms: 0,
            label: Some("first".to_owned()),
        };
        let outcome = Outcome { state: Some("{}".to_owned()), actions: vec![Action::Send(send)], claim: true };
        let asked = ("p".to_owned(), None, 7);
        Recording {
            event,
            config: "{}".to_owned(),
            state: None,
            now: Timestamp(6),
            seed: u64::MAX,
            digest: "ab".repeat(32),
            inputs: vec![HostAnswer::KvList { asked, entries: Ok(vec![("k".to_owned(), "v".to_owned())]) }],
            outcome: Ok(outcome),
        }
    }

    #[test]
    fn what_is_encoded_is_decoded() {
        let good = recording();
        assert_eq!(Recording::decode(&good.encode()).as_ref(), Ok(&good));
        let failed = Recording { outcome: Err(CallFailure::Said("no".to_owned())), ..recording() };
        assert_eq!(Recording::decode(&failed.encode()), Ok(failed));
    }

    #[test]
    fn what_is_none_is_refused() {
        let bytes = recording().encode();
        for bad in [&[][..], &bytes[1..], &bytes[..bytes.len() - 1], &[2, 0, 0]] {
            assert_eq!(Recording::decode(bad), Err(NotARecording));
        }
    }
}
