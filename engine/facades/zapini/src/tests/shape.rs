//! Compares an answer with a documented example, field by field: its keys, their types, and the form of instants and JIDs.

use serde_json::Value;

/// Requires that an answer has what the example has. `more` are the keys, by their paths, that it has besides; `absent` are those
/// that may be null although the example shows a value.
#[track_caller]
pub(super) fn like(answered: &Value, example: &Value, more: &[&str], absent: &[&str]) {
    compare("", answered, example, more, absent);
}

#[track_caller]
fn compare(path: &str, answered: &Value, example: &Value, more: &[&str], absent: &[&str]) {
    match (answered, example) {
        (Value::Object(given), Value::Object(wanted)) => {
            for (key, wanted) in wanted {
                let path = below(path, key);
                let given = given.get(key).unwrap_or_else(|| panic!("{path} is missing in {answered}"));
                compare(&path, given, wanted, more, absent);
            }
            for key in given.keys().filter(|key| !wanted.contains_key(*key)) {
                let path = below(path, key);
                assert!(more.contains(&path.as_str()), "{path} is not documented");
            }
        }
        (Value::Array(given), Value::Array(wanted)) => {
            assert!(wanted.is_empty() || !given.is_empty(), "{path} is empty");
            // Each row must be like one of the examples.
            for (at, row) in given.iter().enumerate() {
                let same = wanted.get(at).or(wanted.first());
                if let Some(wanted) = same {
                    compare(&format!("{path}[]"), row, wanted, more, absent);
                }
            }
        }
        (Value::Null, wanted) if absent.contains(&path) && !wanted.is_null() => {}
        (Value::String(given), Value::String(wanted)) => {
            assert_eq!(form(given), form(wanted), "{path}: {given} has another form than {wanted}");
        }
        (given, wanted) => {
            assert_eq!(kind(given), kind(wanted), "{path}: {given} has another type than {wanted}");
        }
    }
}

fn below(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(number) if number.is_f64() => "a fraction",
        Value::Number(_) => "a whole number",
        Value::String(_) => "a text",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// The form of a text: of an instant its digits, of a JID and of a data URL what they end or begin with.
fn form(text: &str) -> String {
    let digits: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    if digits.starts_with("0000-00-00T") {
        return digits;
    }
    if let Some((_, domain)) = text.split_once('@').filter(|(user, _)| user.len() > 5) {
        return format!("@{domain}");
    }
    if text.starts_with("data:") {
        return text.split(',').next().unwrap_or_default().to_owned();
    }
    if uuid::Uuid::try_parse(text).is_ok() {
        return "a UUID".to_owned();
    }
    String::new()
}

#[test]
#[should_panic(expected = "data.at: 2025-01-15T10:30:00+00:00 has another form")]
fn an_instant_in_another_form_is_seen() {
    let of = |at: &str| serde_json::json!({"data": {"at": at}});
    like(&of("2025-01-15T10:30:00+00:00"), &of("2024-12-31T00:00:00Z"), &[], &[]);
}

#[test]
#[should_panic(expected = "data.rows[].n: \"5\" has another type")]
fn another_type_in_a_row_is_seen() {
    let of = |n: Value| serde_json::json!({"data": {"rows": [{"n": 1}, {"n": n}]}});
    like(&of("5".into()), &of(2.into()), &[], &[]);
}

#[test]
#[should_panic(expected = "data.b is not documented")]
fn an_undocumented_key_is_seen() {
    like(&serde_json::json!({"data": {"a": 1, "b": 2}}), &serde_json::json!({"data": {"a": 5}}), &[], &[]);
}
