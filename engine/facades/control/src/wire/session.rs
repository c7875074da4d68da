//! Wire types of a connector's session.

use poem_openapi::{Enum, Object};
use pombo_domain::ports::SessionState;

/// The state of a connector's session.
#[derive(Enum, Clone, Copy)]
#[oai(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum SessionStatus {
    /// Not started.
    Stopped,
    /// Starting or reconnecting.
    Connecting,
    /// Ready to send.
    Connected,
    /// Not connected.
    Disconnected,
    /// Waits for somebody to scan a QR code.
    QrCode,
    /// Waits for somebody to type a code on the account's device.
    PairingCode,
    /// There is no session; somebody must open one.
    Unpaired,
    /// The session was ended; somebody must open a new one.
    LoggedOut,
    /// The plugin failed and is restarted after growing pauses.
    Failing,
}

/// The session of a connector.
#[derive(Object)]
pub(crate) struct Session {
    /// State of the session.
    pub(crate) status: SessionStatus,
    /// Why it is not connected.
    #[oai(skip_serializing_if_is_none)]
    pub(crate) reason: Option<String>,
}

impl From<SessionState> for Session {
    fn from(state: SessionState) -> Self {
        let (status, reason) = match state {
            SessionState::Stopped => (SessionStatus::Stopped, None),
            SessionState::Connecting => (SessionStatus::Connecting, None),
            SessionState::Connected => (SessionStatus::Connected, None),
            SessionState::Disconnected(reason) => (SessionStatus::Disconnected, Some(reason)),
            // The code itself opens a session: only the operations of the session give it out.
            SessionState::QrCode(_) => (SessionStatus::QrCode, None),
            SessionState::PairingCode(_) => (SessionStatus::PairingCode, None),
            SessionState::Unpaired(reason) => (SessionStatus::Unpaired, Some(reason)),
            SessionState::LoggedOut(reason) => (SessionStatus::LoggedOut, Some(reason)),
            SessionState::Failing(reason) => (SessionStatus::Failing, Some(reason)),
        };
        Self { status, reason }
    }
}
