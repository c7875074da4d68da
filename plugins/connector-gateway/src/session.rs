//! What the gateway tells of its session, and what the engine is told of it.

use pombo_plugin::clock;
use pombo_plugin::connector::events::{self, State};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::address;

/// How long a QR code can be scanned.
const CODE_MILLIS: u64 = 60_000;
/// The longest code that the engine takes.
const CODE_BYTES: usize = 4_096;
/// How far the gateway's clock may be ahead.
const AHEAD_MILLIS: u64 = 5 * 60_000;
/// `2025-01-15T10:30:00`, without what may follow.
const SECONDS: usize = 19;

/// The session's state, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "camelCase")]
pub(crate) enum Session {
    Connected,
    /// A QR code waits to be scanned; empty while the gateway has not told it.
    Qr {
        code: String,
        at: u64,
    },
    /// The gateway reconnects by itself.
    Disconnected {
        why: String,
    },
}

/// The account behind the gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Account {
    pub(crate) address: String,
    pub(crate) name: Option<String>,
}

/// The last state, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Kept {
    pub(crate) session: Session,
    /// Kept while it is disconnected too: the account is the same afterwards.
    pub(crate) account: Option<Account>,
    /// When it was so, by the gateway's clock, see [`moment`].
    #[serde(default)]
    pub(crate) moment: Option<String>,
}

impl Kept {
    /// What the engine is told of it.
    pub(crate) fn state(&self, now: u64) -> State {
        match (&self.session, &self.account) {
            (Session::Connected, Some(account)) => State::Connected(events::Account {
                address: account.address.clone(),
                display_name: account.name.clone(),
                aliases: Vec::new(),
            }),
            (Session::Connected, None) => State::Disconnected("the gateway did not say with which number".to_owned()),
            (Session::Qr { code, .. }, _) if self.shows_code(now) => State::Qr(code.clone()),
            (Session::Qr { .. }, _) => State::Unpaired("the gateway waits for a phone to scan its QR code".to_owned()),
            (Session::Disconnected { why }, _) => State::Disconnected(why.clone()),
        }
    }

    /// Whether it is a QR code that can still be scanned.
    pub(crate) fn shows_code(&self, now: u64) -> bool {
        matches!(&self.session, Session::Qr { code, at } if !code.is_empty() && *at + CODE_MILLIS > now)
    }
}

/// The session that a word of the gateway's means. `None`: it is not a known word.
pub(crate) fn session(word: &str, now: u64) -> Option<Session> {
    Some(match word {
        "connected" => Session::Connected,
        "qr_ready" => Session::Qr { code: String::new(), at: now },
        "disconnected" => Session::Disconnected { why: "the gateway lost its connection to WhatsApp".to_owned() },
        "offline" => Session::Disconnected { why: "the gateway's instance is offline".to_owned() },
        "pending" | "connecting" => Session::Disconnected { why: "the gateway is connecting to WhatsApp".to_owned() },
        _ => return None,
    })
}

/// The account of a number as the gateway writes it.
pub(crate) fn account(phone: &str, name: Option<&str>) -> Option<Account> {
    let name = name.map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned);
    address::person(phone, None).map(|address| Account { address, name })
}

/// A phone number in JSON: a text that is not blank, or a number.
pub(crate) fn phone(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
        Value::Number(number) => number.as_u64().map(|number| number.to_string()),
        _ => None,
    }
}

/// An instant of the gateway's clock that can be compared with others: RFC 3339 in UTC. What is ahead of the engine's clock is none,
/// since nothing after it would count.
pub(crate) fn moment(text: &str, now: u64) -> Option<String> {
    let text = text.trim();
    let seconds = text.get(..SECONDS)?;
    let mut form = seconds.bytes().zip("0000-00-00T00:00:00".bytes());
    let sound = form.all(|(byte, like)| if like == b'0' { byte.is_ascii_digit() } else { byte == like });
    let latest = clock::rfc3339(now + AHEAD_MILLIS);
    (sound && text.ends_with('Z') && text.len() <= 40 && seconds <= &latest[..SECONDS]).then(|| text.to_owned())
}

/// Whether the one instant is before the other. Those of different precision cannot be compared.
pub(crate) fn is_before(one: &str, other: &str) -> bool {
    one.len() == other.len() && one < other
}

/// Whether the engine takes this as the content of a QR code. A picture of one is none.
pub(crate) fn is_code(text: &str) -> bool {
    (1..=CODE_BYTES).contains(&text.len()) && !text.starts_with("data:")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_phone_number_is_a_text_or_a_number() {
        for (value, want) in [
            (json!(" 5511999999999 "), Some("5511999999999")),
            (json!(5511999999999_u64), Some("5511999999999")),
            (json!(""), None),
            (json!(-1), None),
            (json!(1.5), None),
            (json!(true), None),
            (Value::Null, None),
        ] {
            assert_eq!(phone(&value).as_deref(), want, "{value}");
        }
    }

    #[test]
    fn instants_are_compared_where_they_can_be() {
        // 2026-01-05T12:00:00Z
        let now = 1_767_614_400_000;
        let of = |text: &str| moment(text, now);
        assert_eq!(of(" 2025-01-15T10:30:00Z ").as_deref(), Some("2025-01-15T10:30:00Z"));
        assert!(of("2026-01-05T12:04:59.999Z").is_some());
        for none in ["2026-01-05T12:06:00Z", "2025-01-15T10:30:00+01:00", "2025-01-15", "yesterday", "1705312200", ""] {
            assert_eq!(of(none), None, "{none}");
        }
        assert!(is_before("2025-01-15T10:29:59Z", "2025-01-15T10:30:00Z"));
        assert!(!is_before("2025-01-15T10:30:00Z", "2025-01-15T10:30:00Z"));
        assert!(!is_before("2025-01-15T10:29:59.123Z", "2025-01-15T10:30:00Z"));
        assert!(!is_code("data:image/png;base64,AAAA") && !is_code("") && is_code("2@ABC"));
    }
}
