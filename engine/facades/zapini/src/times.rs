//! The four forms in which the documentation writes an instant. Each answer uses the form that its example shows.

use pombo_domain::Timestamp;

/// `2025-01-15T10:30:00Z`: of most answers.
pub fn seconds(at: Timestamp) -> String {
    format!("{}Z", to_seconds(at))
}

/// `2025-12-29T12:00:00.000000Z`: of an archived conversation.
pub fn micros(at: Timestamp) -> String {
    format!("{}000Z", at.to_iso().trim_end_matches('Z'))
}

/// `2025-01-15T10:30:00+00:00`: of webhooks, and of the chat API's pauses.
pub fn offset(at: Timestamp) -> String {
    format!("{}+00:00", to_seconds(at))
}

/// `2025-12-30T17:30:00.000Z`: of the instance API.
pub fn millis(at: Timestamp) -> String {
    at.to_iso()
}

fn to_seconds(at: Timestamp) -> String {
    let text = at.to_iso();
    text.split('.').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_is_as_documented() {
        let at = Timestamp::parse("2025-01-15T10:30:00.678Z").expect("an instant");
        assert_eq!(seconds(at), "2025-01-15T10:30:00Z");
        assert_eq!(micros(at), "2025-01-15T10:30:00.678000Z");
        assert_eq!(offset(at), "2025-01-15T10:30:00+00:00");
        assert_eq!(millis(at), "2025-01-15T10:30:00.678Z");
    }
}
