//! What the library's events mean for the session: ended for good, or to be connected again and when. It must not know clients.

use std::time::Duration;

use whatsapp_rust::wacore::net::DisconnectReason;
use whatsapp_rust::wacore::types::events::{ConnectFailureReason, Event};

use crate::redact;

/// Another connection with the same session is not an accident. If this one reconnected at once, it would be thrown out again,
/// and so on.
const AFTER_REPLACEMENT: Duration = Duration::from_secs(60);
/// A refusal that nothing here can change.
const AFTER_REFUSAL: Duration = Duration::from_secs(60);
/// A ban whose length the server does not tell; also the least for one that it tells.
const AFTER_BAN: Duration = Duration::from_secs(30 * 60);

/// What follows from the news.
#[derive(Debug)]
pub(super) enum Verdict {
    /// The server ended the session.
    LoggedOut(String),
    /// The server no longer accepts the version that the connector claims.
    Outdated,
    /// The session continues; the next attempt comes after at least this time.
    Wait { at_least: Duration, why: String },
}

impl Verdict {
    /// What an operator should be warned of.
    pub(super) fn warning(&self) -> Option<String> {
        match self {
            Self::Wait { at_least, why } if *at_least > AFTER_BAN => Some(why.clone()),
            _ => None,
        }
    }
}

/// The JSON of the event `account`: what the phone says of itself when it is paired; `None` if it says nothing. Its platform is
/// `android` or `iphone`, and that of the app for businesses begins with `smb`.
pub(super) fn phone_said(platform: &str) -> Option<String> {
    let platform = platform.trim().to_ascii_lowercase();
    let business = platform.starts_with("smb");
    let name = match platform.as_str() {
        "" => return None,
        "smba" => "android",
        "smbi" => "ios",
        "iphone" => "ios",
        other => other,
    };
    Some(serde_json::json!({ "platform": redact::line(name), "business": business }).to_string())
}

/// `None`: nothing follows for the session.
pub(super) fn of(event: &Event) -> Option<Verdict> {
    let wait = |at_least, why: &str| Some(Verdict::Wait { at_least, why: why.to_owned() });
    match event {
        Event::LoggedOut(news) => Some(Verdict::LoggedOut(
            match news.reason {
                ConnectFailureReason::AccountLocked => "WhatsApp locked the account",
                _ if news.on_connect => "WhatsApp no longer accepts the session",
                _ => "the device was removed from the account",
            }
            .to_owned(),
        )),
        Event::StreamReplaced(_) => wait(AFTER_REPLACEMENT, "another connection uses this session"),
        Event::ClientOutdated(_) => Some(Verdict::Outdated),
        Event::TemporaryBan(ban) => {
            let time = ban.expire.to_std().unwrap_or(AFTER_BAN);
            // Longer than every other pause: that is how a ban is told.
            let time = time.max(AFTER_BAN + Duration::from_secs(1));
            let reason = redact::line(&ban.code.to_string());
            Some(Verdict::Wait { at_least: time, why: format!("WhatsApp restricts the account temporarily: {reason}") })
        }
        Event::ConnectFailure(failure) => {
            let at_least = if failure.reason.should_reconnect() { Duration::ZERO } else { AFTER_REFUSAL };
            Some(Verdict::Wait { at_least, why: format!("WhatsApp refuses the connection ({:?})", failure.reason) })
        }
        _ => None,
    }
}

/// Why a connection ended, for people.
pub(super) fn words(reason: &DisconnectReason) -> String {
    match reason {
        DisconnectReason::ServerClose { reason, .. } if !reason.is_empty() => {
            format!("WhatsApp closed the connection: {}", redact::line(reason))
        }
        DisconnectReason::ServerClose { .. } | DisconnectReason::StreamEnded => {
            "WhatsApp closed the connection".to_owned()
        }
        DisconnectReason::ReadError(why) => format!("the connection broke: {}", redact::line(why)),
        DisconnectReason::Unknown => "the connection ended".to_owned(),
    }
}

/// The number that a code is asked for, as the server wants it.
pub(super) fn phone(text: &str) -> Result<String, String> {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let others = text.chars().any(|c| !c.is_ascii_digit() && !" +-().".contains(c));
    if others || !(8..=15).contains(&digits.len()) || digits.starts_with('0') {
        return Err("write the account's phone number with its country code, e.g. +55 11 98765-4321".to_owned());
    }
    Ok(digits)
}
