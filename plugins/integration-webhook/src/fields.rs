//! Reads the fields of a JSON object one by one, and says of what is wrong where it is and what to change.

use pombo_plugin::automation::Error;
use serde_json::{Map, Value};

/// The most characters of what is quoted in an error.
const QUOTED: usize = 40;

/// An object being read.
pub struct Fields {
    /// Where it is, e.g. `actions[2]`; empty for the whole answer.
    path: String,
    left: Map<String, Value>,
    asked: Vec<&'static str>,
}

impl Fields {
    /// Of the object at `path`.
    pub fn of(path: impl Into<String>, value: Value) -> Result<Self, Error> {
        let path = path.into();
        match value {
            Value::Object(left) => Ok(Self { path, left, asked: Vec::new() }),
            other => {
                let what = if path.is_empty() { "the answer" } else { &path };
                Err(Error::new(format!("{what} must be an object, not {}", name_of(&other))))
            }
        }
    }

    /// Where a field of it is.
    pub fn place(&self, field: &str) -> String {
        if self.path.is_empty() { field.to_owned() } else { format!("{}.{field}", self.path) }
    }

    /// An error about a field.
    pub fn wrong(&self, field: &str, must: &str) -> Error {
        Error::new(format!("{} {must}", self.place(field)))
    }

    /// Whether it has a field that is not null.
    pub fn has(&self, field: &str) -> bool {
        self.left.get(field).is_some_and(|value| !value.is_null())
    }

    /// A field as it is, `null` included.
    pub fn raw(&mut self, field: &'static str) -> Option<Value> {
        self.asked.push(field);
        self.left.remove(field)
    }

    /// A field as it is; `null` counts as absent.
    pub fn take(&mut self, field: &'static str) -> Option<Value> {
        self.raw(field).filter(|value| !value.is_null())
    }

    /// A text that is not blank, of at most `max` bytes.
    pub fn text(&mut self, field: &'static str, max: usize) -> Result<Option<String>, Error> {
        match self.take(field) {
            None => Ok(None),
            Some(Value::String(text)) if !text.trim().is_empty() && text.len() <= max => Ok(Some(text)),
            Some(other) => {
                let must = format!("must be a text of 1 to {max} bytes, not {}", name_of(&other));
                Err(self.wrong(field, &must))
            }
        }
    }

    /// A text that must be there.
    pub fn required(&mut self, field: &'static str, max: usize) -> Result<String, Error> {
        match self.text(field, max)? {
            Some(text) => Ok(text),
            None => Err(self.wrong(field, "is missing")),
        }
    }

    /// True or false.
    pub fn flag(&mut self, field: &'static str) -> Result<Option<bool>, Error> {
        match self.take(field) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(flag)),
            Some(other) => Err(self.wrong(field, &format!("must be true or false, not {}", name_of(&other)))),
        }
    }

    /// Seconds, fractions included, within bounds.
    pub fn seconds(&mut self, field: &'static str, min: f64, max: f64) -> Result<Option<std::time::Duration>, Error> {
        match self.take(field) {
            None => Ok(None),
            Some(value) => match value.as_f64().filter(|s| (min..=max).contains(s)) {
                Some(seconds) => Ok(Some(std::time::Duration::from_millis((seconds * 1000.0) as u64))),
                None => {
                    let must = format!("must be a number of seconds from {min} to {max}, not {}", name_of(&value));
                    Err(self.wrong(field, &must))
                }
            },
        }
    }

    /// A list of at most `max`; none is empty.
    pub fn list(&mut self, field: &'static str, max: usize) -> Result<Vec<Value>, Error> {
        match self.take(field) {
            None => Ok(Vec::new()),
            Some(Value::Array(list)) if list.len() <= max => Ok(list),
            Some(Value::Array(list)) => {
                Err(self.wrong(field, &format!("has {} entries, but at most {max} are allowed", list.len())))
            }
            Some(other) => Err(self.wrong(field, &format!("must be a list, not {}", name_of(&other)))),
        }
    }

    /// Nothing else may be there.
    pub fn end(self) -> Result<(), Error> {
        match self.left.keys().next() {
            None => Ok(()),
            Some(unknown) => {
                let known = self.asked.join(", ");
                Err(self.wrong(&quoted(unknown), &format!("is not known; known here: {known}")))
            }
        }
    }
}

/// What a value is, for a person.
pub fn name_of(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) if text.trim().is_empty() => "an empty text".to_owned(),
        Value::String(text) => format!("a text of {} bytes", text.len()),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}

/// A piece of the answer within an error: short and without control characters.
pub fn quoted(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(QUOTED).collect()
}
