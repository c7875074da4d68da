//! Faults of form: tables of keys and kinds for objects of a request, and the texts of Graph's parameter layer. It knows no rule
//! of WhatsApp and no state; pure functions, called from any task.

use serde_json::Value;

use crate::errors::GraphError;

/// Where in the body a value is, as Graph writes it: `text['body']`, `components[0]['type']`.
#[derive(Debug, Clone, Copy)]
pub(crate) enum At<'a> {
    /// The body itself.
    Body,
    /// A key of an object.
    Key(&'a At<'a>, &'a str),
    /// A place in a list.
    Place(&'a At<'a>, usize),
}

impl At<'_> {
    /// With quoted keys: `text['body']`.
    pub(crate) fn quoted(&self) -> String {
        match self {
            At::Body => String::new(),
            At::Key(At::Body, key) => (*key).to_owned(),
            At::Key(parent, key) => format!("{}['{key}']", parent.quoted()),
            At::Place(parent, place) => format!("{}[{place}]", parent.quoted()),
        }
    }

    /// With dots, if no list is on the way: `text.body`.
    fn dotted(&self) -> Option<String> {
        match self {
            At::Body => Some(String::new()),
            At::Key(At::Body, key) => Some((*key).to_owned()),
            At::Key(parent, key) => Some(format!("{}.{key}", parent.dotted()?)),
            At::Place(..) => None,
        }
    }
}

/// What a value may be.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// A text of at most so many characters; not empty where it is required.
    Text(usize),
    /// A text that may be empty.
    AnyText,
    /// A text or a number.
    Scalar,
    /// A number, or a text that is one.
    Number,
    /// True or false.
    Bool,
    /// An object with these keys.
    Object(&'static [Field]),
    /// A list of such objects.
    List(&'static [Field]),
    /// Anything.
    Raw,
}

/// A key of an object.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field {
    key: &'static str,
    required: bool,
    kind: Kind,
}

/// A key that must be there.
pub(crate) const fn must(key: &'static str, kind: Kind) -> Field {
    Field { key, required: true, kind }
}

/// A key that may be there.
pub(crate) const fn may(key: &'static str, kind: Kind) -> Field {
    Field { key, required: false, kind }
}

/// The error of a key that is missing.
pub(crate) fn required(at: &At<'_>) -> GraphError {
    match at.dotted() {
        Some(path) => GraphError::form(format!("The parameter {path} is required.")),
        None => GraphError::form(format!("Param {} is required", at.quoted())),
    }
}

/// The error of a value of another type.
pub(crate) fn wrong_type(at: &At<'_>, expected: &str) -> GraphError {
    GraphError::form(format!("Param {} must be {expected}.", at.quoted()))
}

/// The error of a key that is not known.
pub(crate) fn unexpected(at: &At<'_>, key: &str) -> GraphError {
    GraphError::form(format!("Unexpected key \"{key}\" on param \"{}\".", at.quoted()))
}

/// The error of a value that is none of these.
pub(crate) fn not_one_of(at: &At<'_>, allowed: &[&str], got: &str) -> GraphError {
    GraphError::form(format!("Param {} must be one of {{{}}} - got \"{got}\".", at.quoted(), allowed.join(", ")))
}

/// Checks an object against its table.
pub(crate) fn object(at: &At<'_>, value: &Value, fields: &[Field]) -> Result<(), GraphError> {
    let Some(map) = value.as_object() else { return Err(wrong_type(at, "a JSON object")) };
    if let Some(unknown) = map.keys().find(|key| !fields.iter().any(|field| field.key == key.as_str())) {
        return Err(unexpected(at, unknown));
    }
    for field in fields {
        let here = At::Key(at, field.key);
        match map.get(field.key) {
            None | Some(Value::Null) if field.required => return Err(required(&here)),
            None | Some(Value::Null) => {}
            Some(value) => check(&here, value, field)?,
        }
    }
    Ok(())
}

fn check(at: &At<'_>, value: &Value, field: &Field) -> Result<(), GraphError> {
    match field.kind {
        Kind::Text(most) => {
            let Some(text) = value.as_str() else { return Err(wrong_type(at, "a string")) };
            if field.required && text.is_empty() {
                return Err(required(at));
            }
            // Bytes are at least as many as characters: most texts need no counting.
            if text.len() > most && text.chars().count() > most {
                return Err(GraphError::form(format!("Param {} must be at most {most} characters long.", at.quoted())));
            }
            Ok(())
        }
        Kind::AnyText if value.is_string() => Ok(()),
        Kind::AnyText => Err(wrong_type(at, "a string")),
        Kind::Scalar if value.is_string() || value.is_number() => Ok(()),
        Kind::Scalar => Err(wrong_type(at, "a string")),
        Kind::Number => {
            let good = value.is_number() || value.as_str().is_some_and(|text| text.trim().parse::<f64>().is_ok());
            if good { Ok(()) } else { Err(wrong_type(at, "a number")) }
        }
        Kind::Bool if value.is_boolean() => Ok(()),
        Kind::Bool => Err(wrong_type(at, "a boolean")),
        Kind::Object(fields) => object(at, value, fields),
        Kind::List(fields) => {
            let Some(items) = value.as_array() else { return Err(wrong_type(at, "an array")) };
            for (place, item) in items.iter().enumerate() {
                object(&At::Place(at, place), item, fields)?;
            }
            Ok(())
        }
        Kind::Raw => Ok(()),
    }
}
