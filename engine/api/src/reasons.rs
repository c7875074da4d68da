//! The reasons that serde and the web framework give for a value that does not fit, as sentences for the caller: they follow the
//! field's name, say what to send instead, and never quote a value that was sent. Reasons that are not recognised stay as they are.

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
        "integer" if reason.starts_with("number too large") => "is too large".to_owned(),
        "integer" if reason.starts_with("number too small") => "is too small".to_owned(),
        "integer" => format!("must be {}", if kind.contains("uint") { UNSIGNED } else { SIGNED }),
        "number" => "must be a number".to_owned(),
        "boolean" => "must be true or false".to_owned(),
        _ => reason.to_owned(),
    }
}

/// The sentence for a reason of serde about a value of a JSON body.
pub fn of_value(reason: &str) -> String {
    let reason = without_place(reason);
    said_by_serde(reason).unwrap_or_else(|| reason.to_owned())
}

/// The sentence, with its subject, for such a reason where the field's name is not known.
pub(crate) fn of_body(reason: &str) -> String {
    let subject = match unknown_field(reason) {
        Some(name) => format!("the field {name}"),
        None => "the value there".to_owned(),
    };
    format!("{subject} {}", of_value(reason))
}

/// The reason without the place that serde_json writes behind it.
fn without_place(reason: &str) -> &str {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match reason.rsplit_once(" at line ") {
        Some((before, place))
            if place.split_once(" column ").is_some_and(|(line, column)| is_number(line) && is_number(column)) =>
        {
            before
        }
        _ => reason,
    }
}

/// The name of a field that is not known: the only part of a request that is told back, and only if it may be a field's name.
fn unknown_field(reason: &str) -> Option<&str> {
    let (name, _) = reason.strip_prefix("unknown field `")?.split_once("`, ")?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    (name.len() <= 40 && name.bytes().all(is_plain)).then_some(name)
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
        // What was sent may hold anything, also what serde writes behind it: what the type knows comes last.
        return Some(match rest.rsplit_once("`, expected ").map(|(_, known)| list(known)) {
            Some(known) if known.contains(", ") => format!("is not a field of this object; its fields are {known}"),
            Some(known) => format!("is not a field of this object; its only field is {known}"),
            None => "is not a field of this object, which has none".to_owned(),
        });
    }
    if let Some(rest) = reason.strip_prefix("unknown variant ") {
        return Some(match rest.rsplit_once("`, expected ").map(|(_, known)| list(known)) {
            Some(known) if known.contains(", ") => format!("must be one of {known}"),
            Some(known) => format!("must be {known}"),
            None => "is not one of the documented values".to_owned(),
        });
    }
    if let Some((found, wanted)) =
        reason.strip_prefix("invalid value: integer `").and_then(|rest| rest.split_once("`, expected "))
    {
        let wanted = wanted_by_serde(wanted);
        if wanted == SIGNED || (wanted == UNSIGNED && !found.starts_with('-')) {
            return Some("is out of range".to_owned());
        }
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
    let plural = if bound == "1" { "" } else { "s" };
    Some(match (name, exclusive) {
        ("maximum", false) => format!("must be at most {bound}"),
        ("maximum", true) => format!("must be less than {bound}"),
        ("minimum", false) => format!("must be at least {bound}"),
        ("minimum", true) => format!("must be more than {bound}"),
        ("maxLength", _) => format!("must have at most {bound} character{plural}"),
        ("minLength", _) => format!("must have at least {bound} character{plural}"),
        ("maxItems", _) => format!("must have at most {bound} item{plural}"),
        ("minItems", _) => format!("must have at least {bound} item{plural}"),
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
        for odd in ["a`, b", "a`, expected `b", "a at line 1 column 2"] {
            let sent = format!(r#"{{"role":"{odd}","on":true}}"#);
            assert_eq!(refused(&sent), "must be one of owner, viewer", "{odd}");
        }
        assert_eq!(of_value("unknown variant `x`, expected `owner`"), "must be owner");
        assert_eq!(of_value("unknown variant `x`, there are no variants"), "is not one of the documented values");
        assert_eq!(refused(r#"{"role":"viewer"}"#), "needs the field `on`");
        assert_eq!(refused(r#"{"on":true,"on":true}"#), "has the field `on` twice");
        assert_eq!(refused(r#"{"off":true}"#), "is not a field of this object; its fields are role, days, id, on");
        assert_eq!(refused(r#"{"on":"secret"}"#), "must be true or false, not a string");
        assert_eq!(refused(r#"{"days":[-1]}"#), "must be a whole number that is not negative, not this number");
        assert_eq!(refused(r#"{"days":[4294967296]}"#), "is out of range");
        assert_eq!(of_value("invalid value: integer `-200`, expected i8 at line 1 column 4"), "is out of range");
        assert_eq!(refused(r#"{"days":{"a":1}}"#), "must be a list, not an object");
        assert_eq!(refused(r#"{"id":"12"}"#), UUID);
        assert_eq!(refused("7"), "must be an object, not this number");
    }

    #[test]
    fn where_no_field_is_named_the_sentence_has_a_subject() {
        let fields = "is not a field of this object; its fields are role, days, id, on";
        let body = |json: &str| of_body(&serde_json::from_str::<Sample>(json).expect_err(json).to_string());
        assert_eq!(body(r#"{"off":true}"#), format!("the field off {fields}"));
        assert_eq!(body(r#"{"a`, expected `b":true}"#), format!("the field a {fields}"));
        assert_eq!(body(r#"{"<b>":true}"#), format!("the value there {fields}"), "only names are told back");
        assert_eq!(
            of_body("unknown field `x`, expected `on`"),
            "the field x is not a field of this object; its only field is on"
        );
        assert_eq!(body("7"), "the value there must be an object, not this number");
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
        assert_eq!(of_parameter("verification failed. minLength(1)"), "must have at least 1 character");
        assert_eq!(of_parameter("verification failed. minItems(1)"), "must have at least 1 item");
        assert_eq!(of_parameter("verification failed. maxItems(12)"), "must have at most 12 items");
        let (large, small) = ("number too large to fit in target type", "number too small to fit in target type");
        assert_eq!(of_parameter(&wrapped("integer(uint32)", large)), "is too large");
        assert_eq!(of_parameter(&wrapped("integer(int32)", small)), "is too small");
        assert_eq!(of_parameter("Expected input type \"Role\", found \"x\"."), "is not one of the documented values");
    }
}
