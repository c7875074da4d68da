//! The reasons that serde and the web framework give for a value that does not fit, as sentences for the caller: they follow the
//! field's name, say what to send instead, and never quote what was sent. Reasons that are not recognised stay as they are.

/// The sentence for a reason of the framework about a parameter.
pub(crate) fn of_parameter(reason: &str) -> String {
    let reason = reason.split(" (occurred while parsing").next().unwrap_or(reason);
    if let Some(rule) = reason.strip_prefix("verification failed. ") {
        return of_rule(rule).unwrap_or_else(|| reason.to_owned());
    }
    if reason.starts_with("Expected input type ") {
        return "is not one of the documented values".to_owned();
    }
    let Some((kind, reason)) = reason.strip_prefix("failed to parse \"").and_then(|rest| rest.split_once("\": "))
    else {
        return reason.to_owned();
    };
    match kind.split(['_', '(']).next().unwrap_or(kind) {
        "string" if kind.contains("uuid") => UUID.to_owned(),
        "integer" => format!("must be {}", if kind.contains("uint") { UNSIGNED } else { SIGNED }),
        "number" => "must be a number".to_owned(),
        "boolean" => "must be true or false".to_owned(),
        _ => reason.to_owned(),
    }
}

/// The sentence for a reason of serde about a value of a JSON body.
pub fn of_value(reason: &str) -> String {
    let reason = reason.split(" at line ").next().unwrap_or(reason);
    said_by_serde(reason).unwrap_or_else(|| reason.to_owned())
}

const UUID: &str = "must be a UUID, such as 550e8400-e29b-41d4-a716-446655440000";
const SIGNED: &str = "a whole number";
const UNSIGNED: &str = "a whole number that is not negative";

fn said_by_serde(reason: &str) -> Option<String> {
    if reason.starts_with("UUID parsing failed") || reason.contains("invalid group length") {
        return Some(UUID.to_owned());
    }
    if let Some(field) = reason.strip_prefix("missing field ") {
        return Some(format!("needs the field {field}"));
    }
    if let Some(field) = reason.strip_prefix("duplicate field ") {
        return Some(format!("has the field {field} twice"));
    }
    if let Some(rest) = reason.strip_prefix("unknown field ") {
        let (_, known) = after_quote(rest)?.split_once(", ")?;
        return Some(match known.strip_prefix("expected ") {
            Some(known) => format!("is not a field of this object; its fields are {}", list(known)),
            None => "is not a field of this object, which has none".to_owned(),
        });
    }
    if let Some(rest) = reason.strip_prefix("unknown variant ") {
        let known = after_quote(rest)?.strip_prefix(", expected ")?;
        return Some(format!("must be one of {}", list(known)));
    }
    let rest = reason.strip_prefix("invalid type: ").or_else(|| reason.strip_prefix("invalid value: "))?;
    let (found, wanted) = rest.rsplit_once(", expected ")?;
    let found = match found.split([' ', ',']).next().unwrap_or_default() {
        "string" => "a string",
        "integer" | "floating" => "this number",
        "boolean" => "true or false",
        "sequence" => "a list",
        "map" => "an object",
        "null" | "unit" => "null",
        _ => "this",
    };
    Some(format!("must be {}, not {found}", wanted_by_serde(wanted)))
}

/// What follows a name in backquotes. The name may hold backquotes of its own.
fn after_quote(text: &str) -> Option<&str> {
    let rest = text.strip_prefix('`')?;
    let end = rest.find("`, ")?;
    rest.get(end + 1..)
}

/// "one of `a`, `b`" and "`a` or `b`" as "a, b".
fn list(known: &str) -> String {
    known.trim_start_matches("one of ").replace(" or ", ", ").replace('`', "")
}

fn wanted_by_serde(wanted: &str) -> &str {
    match wanted {
        "u8" | "u16" | "u32" | "u64" | "usize" => UNSIGNED,
        "i8" | "i16" | "i32" | "i64" | "isize" => SIGNED,
        "f32" | "f64" => "a number",
        "a boolean" => "true or false",
        "a sequence" => "a list",
        "a map" => "an object",
        "a borrowed string" | "string" => "a string",
        _ if wanted.starts_with("struct ") => "an object",
        _ if wanted.starts_with("a UUID") || wanted.contains("UUID") => "a UUID",
        _ => wanted,
    }
}

/// A rule of the document that a value breaks, e.g. `maximum(250, exclusive: false)`.
fn of_rule(rule: &str) -> Option<String> {
    let (name, rest) = rule.split_once('(')?;
    let rest = rest.strip_suffix(')')?;
    let bound = rest.split(',').next()?.trim();
    let exclusive = rest.ends_with("exclusive: true");
    Some(match (name, exclusive) {
        ("maximum", false) => format!("must be at most {bound}"),
        ("maximum", true) => format!("must be less than {bound}"),
        ("minimum", false) => format!("must be at least {bound}"),
        ("minimum", true) => format!("must be more than {bound}"),
        ("maxLength", _) => format!("must have at most {bound} characters"),
        ("minLength", _) => format!("must have at least {bound} characters"),
        ("maxItems", _) => format!("must have at most {bound} items"),
        ("minItems", _) => format!("must have at least {bound} items"),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Role {
        Owner,
        Viewer,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its errors are looked at")]
    struct Sample {
        role: Option<Role>,
        days: Option<Vec<u32>>,
        id: Option<uuid::Uuid>,
        on: bool,
    }

    fn refused(json: &str) -> String {
        of_value(&serde_json::from_str::<Sample>(json).expect_err(json).to_string())
    }

    #[test]
    fn a_value_that_does_not_fit_is_told_what_would() {
        assert_eq!(refused(r#"{"role":"kin`g","on":true}"#), "must be one of owner, viewer");
        assert_eq!(refused(r#"{"role":"viewer"}"#), "needs the field `on`");
        assert_eq!(refused(r#"{"on":true,"on":true}"#), "has the field `on` twice");
        assert_eq!(refused(r#"{"off":true}"#), "is not a field of this object; its fields are role, days, id, on");
        assert_eq!(refused(r#"{"on":"secret"}"#), "must be true or false, not a string");
        assert_eq!(refused(r#"{"days":[-1]}"#), "must be a whole number that is not negative, not this number");
        assert_eq!(refused(r#"{"days":{"a":1}}"#), "must be a list, not an object");
        assert_eq!(refused(r#"{"id":"12"}"#), UUID);
        assert_eq!(refused("7"), "must be an object, not this number");
    }

    #[test]
    fn a_parameter_that_does_not_fit_is_told_what_would() {
        let wrapped =
            |kind: &str, why: &str| format!("failed to parse \"{kind}\": {why} (occurred while parsing \"optional\")");
        assert_eq!(
            of_parameter(&wrapped("integer(uint32)", "invalid digit found in string")),
            "must be a whole number that is not negative"
        );
        assert_eq!(of_parameter(&wrapped("integer_int64", "invalid digit found in string")), "must be a whole number");
        assert_eq!(of_parameter(&wrapped("string_uuid", "invalid length: 2")), UUID);
        assert_eq!(
            of_parameter(&wrapped("Time", "must be like 2026-01-02T03:04:05Z")),
            "must be like 2026-01-02T03:04:05Z"
        );
        assert_eq!(of_parameter("verification failed. maximum(250, exclusive: false)"), "must be at most 250");
        assert_eq!(of_parameter("verification failed. minLength(1)"), "must have at least 1 characters");
        assert_eq!(of_parameter("Expected input type \"Role\", found \"x\"."), "is not one of the documented values");
    }
}
