//! Whether a session lets messages go, and what to say where it does not. Pure.

use pombo_domain::ports::SessionState;

/// Why messages wait for a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionWait {
    /// A stable word for comparing: two waits with the same word mean the same, whatever the plugin's own text.
    pub word: &'static str,
    /// A sentence for a person, with what to do.
    pub sentence: String,
}

/// Why messages wait while the session is in this state; `None` when they need not wait.
pub fn wait_of(state: &SessionState) -> Option<SessionWait> {
    let wait = |word, sentence: String| Some(SessionWait { word, sentence });
    let because = |why: &str| if why.is_empty() { String::new() } else { format!(" ({why})") };
    match state {
        SessionState::Connected => None,
        SessionState::Stopped => wait("stopped", "the connector does not run; resume it to start it".to_owned()),
        SessionState::Connecting => {
            wait("connecting", "the connector is connecting; the message goes as soon as it has".to_owned())
        }
        SessionState::Disconnected(why) => {
            wait("disconnected", format!("the session is disconnected{}; it reconnects by itself", because(why)))
        }
        SessionState::Failing(why) => {
            wait("failing", format!("the connector's plugin failed{}; it restarts by itself", because(why)))
        }
        SessionState::QrCode(_) => {
            wait("pairing", "nobody has paired the account yet; scan the QR code with its device".to_owned())
        }
        SessionState::PairingCode(_) => {
            wait("pairing", "nobody has paired the account yet; type the pairing code on its device".to_owned())
        }
        SessionState::Unpaired(why) => {
            wait("unpaired", format!("there is no session{}; open one to pair the account", because(why)))
        }
        SessionState::LoggedOut(why) => wait(
            "logged-out",
            format!("the account was logged out{}; open a new session to pair it again", because(why)),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_but_connected_says_what_to_do() {
        let why = || "gone".to_owned();
        for (state, expected) in [
            (SessionState::Stopped, "resume it"),
            (SessionState::Connecting, "as soon as"),
            (SessionState::Disconnected(why()), "disconnected (gone); it reconnects by itself"),
            (SessionState::Disconnected(String::new()), "disconnected; it reconnects by itself"),
            (SessionState::Failing(why()), "failed (gone); it restarts by itself"),
            (SessionState::QrCode("a secret".to_owned()), "scan the QR code"),
            (SessionState::PairingCode("a secret".to_owned()), "type the pairing code"),
            (SessionState::Unpaired(why()), "no session (gone); open one"),
            (SessionState::LoggedOut(why()), "logged out (gone); open a new session"),
        ] {
            let wait = wait_of(&state).expect("only a connected one lets messages go");
            assert!(wait.sentence.contains(expected), "{}", wait.sentence);
            assert!(!wait.sentence.contains("a secret"), "a code is not for the messages");
        }
        assert_eq!(wait_of(&SessionState::Connected), None);
    }
}
