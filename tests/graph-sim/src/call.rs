//! A request to Graph as its handlers see it, and what they answer. Data only.

use std::collections::HashMap;

use bytes::Bytes;
use hyper::Method;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

/// A request.
pub(crate) struct Call {
    pub(crate) method: Method,
    /// Without the version.
    pub(crate) segments: Vec<String>,
    /// As it came.
    pub(crate) path: String,
    pub(crate) raw_query: String,
    pub(crate) query: HashMap<String, String>,
    pub(crate) token: Option<String>,
    pub(crate) content_type: String,
    /// Where in the file the bytes of a sample begin.
    pub(crate) file_offset: Option<usize>,
    pub(crate) body: Bytes,
    /// The body, if it is JSON or a form; null otherwise.
    pub(crate) json: Value,
}

impl Call {
    /// A value of the query or of the body.
    pub(crate) fn value(&self, key: &str) -> Option<String> {
        if let Some(value) = self.query.get(key) {
            return Some(value.clone());
        }
        match &self.json[key] {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        }
    }

    /// The recipient, for faults.
    pub(crate) fn to(&self) -> Option<&str> {
        self.json["to"].as_str().or_else(|| self.json["recipient"].as_str())
    }
}

/// What follows before the answer is sent.
pub(crate) enum Then {
    /// Nothing.
    Answer,
    /// The webhooks that are due are delivered first.
    Flush,
    /// A callback is verified, and set if it is good.
    Verify { url: String, token: String, target: Target },
}

/// Whose callback is set.
pub(crate) enum Target {
    App(String),
    Waba(String),
}

/// An answer.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) json: Value,
    /// A file instead of JSON.
    pub(crate) file: Option<(String, Bytes)>,
    pub(crate) then: Then,
}

impl Reply {
    pub(crate) fn json(json: Value) -> Self {
        Self { status: 200, json, file: None, then: Then::Answer }
    }

    pub(crate) fn success() -> Self {
        Self::json(json!({ "success": true }))
    }
}

/// Reads `a=b&c=d`.
pub(crate) fn pairs(text: &str) -> HashMap<String, String> {
    let decode = |part: &str| percent_decode_str(&part.replace('+', " ")).decode_utf8_lossy().into_owned();
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(key), decode(value))
        })
        .collect()
}

/// A part of a multipart body.
pub(crate) struct Part {
    pub(crate) name: String,
    pub(crate) filename: Option<String>,
    pub(crate) content_type: Option<String>,
    pub(crate) bytes: Bytes,
}

/// Reads a multipart body; what is not one has no parts.
pub(crate) fn parts(content_type: &str, body: &Bytes) -> Vec<Part> {
    let boundary = content_type.split(';').find_map(|part| part.trim().strip_prefix("boundary="));
    let Some(boundary) = boundary.map(|boundary| boundary.trim_matches('"')) else { return Vec::new() };
    let delimiter = format!("\r\n--{boundary}");
    let first = format!("--{boundary}");
    let mut found = Vec::new();
    let Some(begin) = position(body, first.as_bytes(), 0) else { return found };
    let mut at = begin + first.len();
    while let Some(end) = position(body, delimiter.as_bytes(), at) {
        // Behind the boundary stands a line break.
        let part = body.slice((at + 2).min(end)..end);
        if let Some(split) = position(&part, b"\r\n\r\n", 0) {
            let head = String::from_utf8_lossy(&part[..split]).into_owned();
            found.extend(part_of(&head, part.slice(split + 4..)));
        }
        at = end + delimiter.len();
    }
    found
}

fn part_of(head: &str, bytes: Bytes) -> Option<Part> {
    let line = |wanted: &str| {
        head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.trim().eq_ignore_ascii_case(wanted).then(|| value.trim().to_owned())
        })
    };
    let disposition = line("content-disposition")?;
    let attribute = |key: &str| {
        disposition.split(';').find_map(|part| {
            let (name, value) = part.trim().split_once('=')?;
            (name == key).then(|| value.trim_matches('"').to_owned())
        })
    };
    Some(Part { name: attribute("name")?, filename: attribute("filename"), content_type: line("content-type"), bytes })
}

fn position(haystack: &[u8], needle: &[u8], from: usize) -> Option<usize> {
    haystack.get(from..)?.windows(needle.len()).position(|window| window == needle).map(|place| place + from)
}
