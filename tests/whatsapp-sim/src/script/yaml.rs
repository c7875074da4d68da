//! YAML as JSON: what a script needs of YAML, and no more. Anchors, tags and several documents are refused, so that nothing grows that is
//! not written out; a key that comes twice is a mistake. Plain words are read as YAML 1.2 reads them: `yes` and `on` are texts.

use saphyr_parser::{Event, Parser, ScalarStyle};
use serde_json::{Map, Number, Value};

use super::Error;

/// How deep lists and maps may be nested.
const DEEPEST: usize = 32;

/// A list or a map that is still open.
enum Open {
    List(Vec<Value>),
    /// The map so far, and the key whose value comes next.
    Map(Map<String, Value>, Option<String>),
}

/// Reads one document; an empty one is `null`.
pub(super) fn read(text: &str) -> Result<Value, Error> {
    let mut open: Vec<Open> = Vec::new();
    let mut root = None;
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|e| wrong(e.marker().line(), e.info()))?;
        let line = span.start.line();
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
            Event::DocumentStart(_) => {
                if root.is_some() {
                    return Err(wrong(line, "a script is one document"));
                }
            }
            Event::Alias(_) => return Err(wrong(line, "anchors and aliases are not taken: write it out")),
            Event::Scalar(text, style, anchor, tag) => {
                plain(line, anchor, tag.is_some())?;
                match open.last_mut() {
                    Some(Open::Map(map, key @ None)) => {
                        if map.contains_key(&*text) {
                            return Err(wrong(line, format!("{text:?} comes twice in one map")));
                        }
                        *key = Some(text.into_owned());
                    }
                    _ => {
                        let value = if style == ScalarStyle::Plain { word(&text) } else { text.into_owned().into() };
                        put(&mut open, &mut root, value);
                    }
                }
            }
            Event::SequenceStart(anchor, tag) => {
                plain(line, anchor, tag.is_some())?;
                begin(&mut open, line, Open::List(Vec::new()))?;
            }
            Event::MappingStart(anchor, tag) => {
                plain(line, anchor, tag.is_some())?;
                begin(&mut open, line, Open::Map(Map::new(), None))?;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let value = match open.pop() {
                    Some(Open::List(list)) => Value::Array(list),
                    Some(Open::Map(map, _)) => Value::Object(map),
                    None => return Err(wrong(line, "something ends here that did not begin")),
                };
                put(&mut open, &mut root, value);
            }
        }
    }
    Ok(root.unwrap_or_default())
}

fn wrong(line: usize, reason: impl Into<String>) -> Error {
    Error::Yaml { line, reason: reason.into() }
}

fn plain(line: usize, anchor: usize, tagged: bool) -> Result<(), Error> {
    match anchor != 0 || tagged {
        true => Err(wrong(line, "anchors and tags are not taken: write it out")),
        false => Ok(()),
    }
}

fn begin(open: &mut Vec<Open>, line: usize, new: Open) -> Result<(), Error> {
    if matches!(open.last(), Some(Open::Map(_, None))) {
        return Err(wrong(line, "a key is a text"));
    }
    if open.len() == DEEPEST {
        return Err(wrong(line, format!("more than {DEEPEST} lists and maps within one another")));
    }
    open.push(new);
    Ok(())
}

/// A value is complete: it goes into what is open around it.
fn put(open: &mut [Open], root: &mut Option<Value>, value: Value) {
    match open.last_mut() {
        None => *root = Some(value),
        Some(Open::List(list)) => list.push(value),
        Some(Open::Map(map, key)) => {
            if let Some(key) = key.take() {
                map.insert(key, value);
            }
        }
    }
}

/// A word without quotes.
fn word(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    // Rust also takes words as numbers: `inf`, `NaN`.
    let numeric = text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E'));
    if numeric {
        if let Ok(number) = text.parse::<u64>() {
            return number.into();
        }
        if let Ok(number) = text.parse::<i64>() {
            return number.into();
        }
        if let Some(number) = text.parse().ok().and_then(Number::from_f64) {
            return Value::Number(number);
        }
    }
    Value::String(text.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn yaml_becomes_the_json_that_it_means() {
        let text = "a: 1\nb: [x, \"2\", -3, 1.5, true, ~, yes, inf]\nc:\n  - d: 'e'\n    f: |\n      two\n      lines\n  - {}\n";
        let expected = json!({
            "a": 1,
            "b": ["x", "2", -3, 1.5, true, null, "yes", "inf"],
            "c": [{ "d": "e", "f": "two\nlines\n" }, {}],
        });
        assert_eq!(read(text).expect("YAML"), expected);
        assert_eq!(read("").expect("nothing"), Value::Null);
    }

    #[test]
    fn what_a_script_does_not_need_is_refused_with_its_line() {
        let deep = format!("{}{}\n", "[".repeat(40), "]".repeat(40));
        let cases = [
            ("a: &x 1\n", 1),
            ("a: 1\nb: *x\n", 2),
            ("a: !!str 1\n", 1),
            ("a: 1\n\na: 2\n", 3),
            ("? [a]\n: 1\n", 1),
            ("a: 1\n---\nb: 2\n", 2),
            ("a: [1,\n", 0),
            (&deep, 1),
        ];
        for (text, expected) in cases {
            match read(text) {
                Err(Error::Yaml { line, .. }) if expected == 0 => assert!(line > 0),
                Err(Error::Yaml { line, .. }) => assert_eq!(line, expected, "{text:?}"),
                other => panic!("{text:?}: {other:?}"),
            }
        }
    }
}
