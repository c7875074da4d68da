//! The difference of two JSON values, line by line.

use std::fmt::Write;

use serde_json::Value;

/// Number of lines around a difference that are shown with it.
const CONTEXT: usize = 2;
/// Number of lines on either side beyond which common parts are not searched for.
const MOST: usize = 2000;

/// A line of the comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Row<'a> {
    Same(&'a str),
    Was(&'a str),
    Is(&'a str),
}

/// The differences, with `-` and `+` in front; empty if there are none.
pub(super) fn text(was: &Value, is: &Value) -> String {
    if was == is {
        return String::new();
    }
    let (mut before, mut after) = (pretty(&opened(was)), pretty(&opened(is)));
    if before == after {
        // Only the writing of a text differs.
        (before, after) = (pretty(was), pretty(is));
    }
    let (was, is) = (before, after);
    let was: Vec<&str> = was.lines().collect();
    let is: Vec<&str> = is.lines().collect();
    let rows = rows(&was, &is);
    let near = |i: usize| {
        let around = i.saturating_sub(CONTEXT)..(i + CONTEXT + 1).min(rows.len());
        rows[around].iter().any(|row| !matches!(row, Row::Same(_)))
    };
    let mut text = String::new();
    let mut left_out = false;
    for (i, row) in rows.iter().enumerate() {
        if !near(i) {
            left_out = true;
            continue;
        }
        if std::mem::take(&mut left_out) {
            text.push_str("    …\n");
        }
        let (mark, line) = match row {
            Row::Same(line) => (' ', line),
            Row::Was(line) => ('-', line),
            Row::Is(line) => ('+', line),
        };
        // A string takes it.
        let _ = writeln!(text, "  {mark} {line}");
    }
    if left_out {
        text.push_str("    …\n");
    }
    text
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

/// Replaces texts that contain JSON (an automation's state, what it emits) with that JSON.
fn opened(value: &Value) -> Value {
    match value {
        Value::String(text) => match serde_json::from_str(text) {
            Ok(inner @ (Value::Object(_) | Value::Array(_))) => opened(&inner),
            _ => value.clone(),
        },
        Value::Array(items) => items.iter().map(opened).collect(),
        Value::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), opened(value))).collect(),
        other => other.clone(),
    }
}

/// The shortest way from one to the other, by their longest common part.
fn rows<'a>(was: &[&'a str], is: &[&'a str]) -> Vec<Row<'a>> {
    if was.len() > MOST || is.len() > MOST {
        return was.iter().map(|line| Row::Was(line)).chain(is.iter().map(|line| Row::Is(line))).collect();
    }
    // common[i][j]: how many lines was[i..] and is[j..] have in common.
    let mut common = vec![vec![0_u16; is.len() + 1]; was.len() + 1];
    for i in (0..was.len()).rev() {
        for j in (0..is.len()).rev() {
            common[i][j] =
                if was[i] == is[j] { common[i + 1][j + 1] + 1 } else { common[i + 1][j].max(common[i][j + 1]) };
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut rows = Vec::with_capacity(was.len().max(is.len()));
    while i < was.len() || j < is.len() {
        if i < was.len() && j < is.len() && was[i] == is[j] {
            rows.push(Row::Same(was[i]));
            (i, j) = (i + 1, j + 1);
        } else if j == is.len() || (i < was.len() && common[i + 1][j] >= common[i][j + 1]) {
            rows.push(Row::Was(was[i]));
            i += 1;
        } else {
            rows.push(Row::Is(is[j]));
            j += 1;
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn equal_values_have_no_difference() {
        assert_eq!(text(&json!({"a": 1}), &json!({"a": 1})), "");
        let shown = text(&json!({"state": "{\"n\": 1}"}), &json!({"state": "{\"n\":1}"}));
        assert!(shown.contains(r#"- "#) && shown.contains(r#"+ "#), "only a space differs, and it is shown: {shown}");
    }

    #[test]
    fn a_changed_text_is_shown_with_what_is_around_it() {
        let was = json!({"actions": [{"send": {"text": "oi"}}], "claim": true, "state": "{\"step\":1}"});
        let is = json!({"actions": [{"send": {"text": "olá"}}], "claim": true, "state": "{\"step\":1}"});
        let shown = text(&was, &is);
        let expected = [
            "    …",
            "        {",
            "          \"send\": {",
            "  -         \"text\": \"oi\"",
            "  +         \"text\": \"olá\"",
            "          }",
            "        }",
            "    …",
            "",
        ];
        assert_eq!(shown, expected.join("\n"));
    }

    #[test]
    fn an_answer_that_became_a_failure_is_shown_whole() {
        let shown = text(&json!({"claim": true}), &json!({"failure": "trap"}));
        assert_eq!(shown, "    {\n  -   \"claim\": true\n  +   \"failure\": \"trap\"\n    }\n");
    }

    #[test]
    fn added_and_removed_lines_alone_are_found() {
        let was = ["a", "b", "c", "d"];
        let is = ["a", "c", "x", "d"];
        let expected = [Row::Same("a"), Row::Was("b"), Row::Same("c"), Row::Is("x"), Row::Same("d")];
        assert_eq!(rows(&was, &is), expected);
    }
}
