//! What the server's answer, or its absence, means for a message. Pure. It must not know the library.

use pombo_plugin::connector::{Outcome, Throttle, ThrottleScope};

/// How long the account sends nothing after a refusal that asks for a pause.
const PAUSE_MILLIS: u64 = 15 * 60_000;
/// After how long a recipient is tried again whom the server does not let the account write to: a token comes with what that person
/// writes, or from the phone. The engine makes the pauses longer as the message ages.
const TOKEN_MILLIS: u64 = 60 * 60_000;
/// How long the account sends nothing when the server is only busy.
const BUSY_MILLIS: u64 = 60_000;

/// How a send that reached the socket ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The server acknowledged the message.
    Acknowledged,
    /// The server refused it, with its code.
    Refused(String),
    /// No answer within the time allowed.
    Silence,
    /// The connection ended before the answer.
    ConnectionLost,
}

impl Ending {
    /// Whether the server refused the message because it is a first one without a valid token: the account is locked out of starting
    /// conversations, or this recipient gave it none.
    pub(crate) fn lacks_token(&self) -> bool {
        matches!(self, Self::Refused(code) if code == "463")
    }
}

/// The outcome, and what to warn the operator of. `locked_for`: for how many milliseconds the account may not start conversations.
pub(crate) fn of(ending: Ending, message_id: String, locked_for: Option<u64>) -> (Outcome, Option<String>) {
    match ending {
        Ending::Acknowledged => (Outcome::accepted(Some(message_id)), None),
        Ending::Refused(code) => refused(&code, locked_for),
        Ending::Silence => (Outcome::Unknown("the server did not acknowledge the message in time".to_owned()), None),
        Ending::ConnectionLost => {
            (Outcome::Unknown("the connection ended before the server acknowledged the message".to_owned()), None)
        }
    }
}

fn refused(code: &str, locked_for: Option<u64>) -> (Outcome, Option<String>) {
    let throttled = |millis, reason: &str| {
        let reason = format!("{reason} (code {code})");
        Outcome::Throttled(Throttle { code: Some(code.to_owned()), ..Throttle::of_connector(millis, reason) })
    };
    match code {
        // Neither concerns others: whom the account knows it may write to all the while.
        "463" => {
            let (millis, reason) = match locked_for {
                Some(left) => (left, "WhatsApp does not let the account start conversations for now"),
                None => (
                    TOKEN_MILLIS,
                    "WhatsApp does not let the account write first to this person; it may answer once the person writes",
                ),
            };
            let reason = format!("{reason} (code {code})");
            let scope = ThrottleScope::Recipient;
            (
                Outcome::Throttled(Throttle { retry_after_millis: millis, reason, scope, code: Some(code.to_owned()) }),
                None,
            )
        }
        "479" => (
            Outcome::rejected("the server refuses the form of this message (code 479)".to_owned()),
            Some("the server refuses the form of a message (479): the protocol version may be out of date".to_owned()),
        ),
        "429" => (
            throttled(PAUSE_MILLIS, "the server limits the rate of messages"),
            Some("the server limits the rate of messages (429)".to_owned()),
        ),
        "404" => (Outcome::invalid_recipient("the server does not know this recipient (code 404)".to_owned()), None),
        "401" | "403" | "405" => {
            (Outcome::rejected(format!("the account may not write to this conversation (code {code})")), None)
        }
        "500" | "503" => (throttled(BUSY_MILLIS, "the server is busy"), None),
        _ => (Outcome::rejected(format!("the server refused the message (code {code})")), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings_map_to_outcomes() {
        let kind = |ending| match of(ending, "id".into(), None) {
            (Outcome::Accepted(said), None) if said.provider_id.as_deref() == Some("id") => "accepted",
            (Outcome::InvalidRecipient(_), None) => "invalid-recipient",
            (Outcome::Rejected(_), None) => "rejected",
            (Outcome::Rejected(_), Some(_)) => "rejected, warned",
            (Outcome::Throttled(_), None) => "throttled",
            (Outcome::Throttled(_), Some(_)) => "throttled, warned",
            (Outcome::Unknown(_), None) => "unknown",
            _ => "?",
        };
        for (ending, want) in [
            (Ending::Acknowledged, "accepted"),
            (Ending::Silence, "unknown"),
            (Ending::ConnectionLost, "unknown"),
            (Ending::Refused("463".into()), "throttled"),
            (Ending::Refused("479".into()), "rejected, warned"),
            (Ending::Refused("429".into()), "throttled, warned"),
            (Ending::Refused("404".into()), "invalid-recipient"),
            (Ending::Refused("403".into()), "rejected"),
            (Ending::Refused("400".into()), "rejected"),
            (Ending::Refused("503".into()), "throttled"),
        ] {
            assert_eq!(kind(ending.clone()), want, "{ending:?}");
        }
    }

    #[test]
    fn a_missing_token_holds_back_that_recipient_alone_and_for_as_long_as_a_lock_lasts() {
        for (locked_for, millis) in [(None, TOKEN_MILLIS), (Some(7_000), 7_000)] {
            let ending = Ending::Refused("463".into());
            assert!(ending.lacks_token());
            let (Outcome::Throttled(throttle), None) = of(ending, "id".into(), locked_for) else {
                panic!("it is tried again");
            };
            assert_eq!((throttle.retry_after_millis, throttle.scope), (millis, ThrottleScope::Recipient));
            assert_eq!(throttle.code.as_deref(), Some("463"));
        }
        let (Outcome::Throttled(throttle), _) = of(Ending::Refused("429".into()), "id".into(), Some(7_000)) else {
            panic!("it is tried again");
        };
        assert_eq!((throttle.retry_after_millis, throttle.scope), (PAUSE_MILLIS, ThrottleScope::Connector));
    }
}
