//! What a step knows of earlier ones. In a text, `${reply.id}` is the field `id` of what the step with `as: reply` had for an answer,
//! `${found.id}` is of what the step's own `when` found, and `${now+3600}` is the server's clock in an hour, in seconds since 1970. A text
//! that is nothing but one reference takes the type of what it refers to. `$${` writes `${`.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// What can be referred to.
pub(super) trait Known {
    /// A field of what a name stands for, and of its fields, with a `.` between; the error says what to change.
    fn field(&self, name: &str, path: &str) -> Result<Value, String>;
    /// The server's clock, in seconds since 1970.
    fn now(&self) -> u64;
}

/// The answers of a script that runs.
#[derive(Debug, Default)]
pub(super) struct Answers {
    pub(super) named: BTreeMap<String, Value>,
    pub(super) now: u64,
}

impl Known for Answers {
    fn field(&self, name: &str, path: &str) -> Result<Value, String> {
        let mut found = self.named.get(name).ok_or_else(|| format!("there is no `{name}` yet"))?;
        for part in path.split('.') {
            found = found.get(part).ok_or_else(|| format!("`{name}` has no {path}"))?;
        }
        Ok(found.clone())
    }

    fn now(&self) -> u64 {
        self.now
    }
}

/// Writes what is referred to in the place of the references.
pub(super) fn fill(value: &Value, known: &dyn Known) -> Result<Value, String> {
    Ok(match value {
        Value::String(text) => in_text(text, known)?,
        Value::Array(list) => Value::Array(list.iter().map(|item| fill(item, known)).collect::<Result<_, _>>()?),
        Value::Object(map) => {
            let mut filled = Map::new();
            for (key, value) in map {
                filled.insert(key.clone(), fill(value, known)?);
            }
            Value::Object(filled)
        }
        other => other.clone(),
    })
}

fn in_text(text: &str, known: &dyn Known) -> Result<Value, String> {
    if let Some(only) = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'))
        && !only.contains('}')
    {
        return look_up(only, known);
    }
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let before = &rest[..at];
        if let Some(escaped) = before.strip_suffix('$') {
            filled.push_str(escaped);
            filled.push_str("${");
            rest = &rest[at + 2..];
            continue;
        }
        filled.push_str(before);
        let end = rest[at..].find('}').ok_or_else(|| format!("{text:?}: a `${{` has no `}}`"))?;
        match look_up(&rest[at + 2..at + end], known)? {
            Value::String(text) => filled.push_str(&text),
            other => filled.push_str(&other.to_string()),
        }
        rest = &rest[at + end + 1..];
    }
    filled.push_str(rest);
    Ok(Value::String(filled))
}

fn look_up(reference: &str, known: &dyn Known) -> Result<Value, String> {
    let reference = reference.trim();
    if let Some(offset) = reference.strip_prefix("now")
        && (offset.is_empty() || offset.starts_with(['+', '-']))
    {
        let wrong = || format!("`${{{reference}}}`: write now, now+SECONDS or now-SECONDS");
        let offset: i64 = if offset.is_empty() { 0 } else { offset.parse().map_err(|_| wrong())? };
        return known.now().checked_add_signed(offset).map(Value::from).ok_or_else(wrong);
    }
    match reference.split_once('.') {
        Some((name, path)) => known.field(name, path),
        None => Err(format!("`${{{reference}}}`: write NAME.FIELD, or now")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn known() -> Answers {
        Answers { named: BTreeMap::from([("reply".into(), json!({ "id": "3EB0A", "copies": 2 }))]), now: 1000 }
    }

    #[test]
    fn references_become_what_they_refer_to() {
        let cases = [
            (json!({ "id": "${reply.id}", "n": ["${reply.copies}"] }), json!({ "id": "3EB0A", "n": [2] })),
            (json!("<${reply.id}> ×${reply.copies}"), json!("<3EB0A> ×2")),
            (json!("${now}"), json!(1000)),
            (json!("${now+60}"), json!(1060)),
            (json!("${now-1}"), json!(999)),
            (json!("costs $5, $${reply.id}"), json!("costs $5, ${reply.id}")),
            (json!(7), json!(7)),
        ];
        for (written, expected) in cases {
            assert_eq!(fill(&written, &known()), Ok(expected), "{written}");
        }
    }

    #[test]
    fn what_nobody_knows_is_said() {
        let cases = [
            ("${other.id}", "other"),
            ("${reply.colour}", "colour"),
            ("${reply}", "NAME.FIELD"),
            ("a ${reply", "no `}`"),
            ("${now+x}", "SECONDS"),
            ("${now-2000}", "SECONDS"),
        ];
        for (written, word) in cases {
            let reason = fill(&json!(written), &known()).expect_err("refused");
            assert!(reason.contains(word), "{written}: {reason}");
        }
    }
}
