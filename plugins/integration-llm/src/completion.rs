//! The request to the service, and its answer.

use pombo_plugin::automation::HttpResponse;
use serde_json::{Map, Value, json};

use crate::config::{Config, MaxTokensField};
use crate::history::{History, cut};

/// The function with which the model may hand over to a person.
const TOOL: &str = "hand_over_to_person";
/// Maximum length of a message that channels accept.
const MAX_ANSWER: usize = 4000;
/// Maximum length of the reason in bytes; the engine accepts 500, including what comes before it.
const MAX_REASON: usize = 400;

/// The body of a request, for an answer of at most `max_tokens`.
pub fn request(config: &Config, history: &History, max_tokens: u64) -> Value {
    let mut messages = Vec::with_capacity(history.messages().len() + 1);
    if let Some(prompt) = config.system_prompt.as_deref().filter(|prompt| !prompt.trim().is_empty()) {
        messages.push(json!({ "role": "system", "content": prompt }));
    }
    messages.extend(history.messages().iter().map(|said| json!(said)));
    let mut body = Map::new();
    body.insert("model".to_owned(), config.model.as_str().into());
    body.insert("messages".to_owned(), messages.into());
    let limit = match config.max_tokens_field {
        MaxTokensField::MaxTokens => "max_tokens",
        MaxTokensField::MaxCompletionTokens => "max_completion_tokens",
    };
    body.insert(limit.to_owned(), max_tokens.into());
    if let Some(temperature) = config.temperature {
        body.insert("temperature".to_owned(), temperature.into());
    }
    if config.hand_over.tool {
        body.insert("tools".to_owned(), json!([{
            "type": "function",
            "function": {
                "name": TOOL,
                "description": "Hands the conversation over to a person. Call it when somebody asks for a person, or when you cannot help.",
                "parameters": {
                    "type": "object",
                    "properties": { "reason": { "type": "string", "description": "The reason, for that person, in one sentence." } },
                    "required": ["reason"]
                }
            }
        }]));
    }
    body.into()
}

/// The model's answer.
#[derive(Debug, PartialEq, Eq)]
pub struct Completion {
    /// The text for the contact; may be missing when it hands over.
    pub text: Option<String>,
    /// Why a person should take over.
    pub hand_over: Option<String>,
    /// Number of tokens that it used.
    pub tokens: u64,
}

/// Why there is no answer.
#[derive(Debug, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong, for a person; without any text of the service, except known codes.
    pub what: String,
    /// Whether the same request may succeed later.
    pub passing: bool,
}

impl Problem {
    /// A problem that will persist.
    pub fn lasting(what: impl Into<String>) -> Self {
        Self { what: what.into(), passing: false }
    }
    /// A problem that may have passed at the next attempt.
    pub fn passing(what: impl Into<String>) -> Self {
        Self { what: what.into(), passing: true }
    }
}

/// Reads an answer to this request.
pub fn read(response: &HttpResponse, request: &Value, tool_offered: bool) -> Result<Completion, Problem> {
    let answer: Result<Value, _> = serde_json::from_slice(&response.body);
    if !response.is_success() {
        return Err(refused(response.status, &code_of(answer.as_ref().unwrap_or(&Value::Null))));
    }
    let answer =
        answer.map_err(|_| Problem::passing("the service answered with something other than JSON; check `baseUrl`"))?;
    let message = &answer["choices"][0]["message"];
    let text = text_of(&message["content"]);
    let calls = message["tool_calls"].as_array().map(Vec::as_slice).unwrap_or_default();
    let called = calls.iter().map(|call| &call["function"]).find(|function| function["name"] == TOOL);
    let hand_over = called.filter(|_| tool_offered).map(reason_of);
    if text.is_none() && hand_over.is_none() {
        return Err(Problem::passing("the service answered without a text"));
    }
    let tokens = tokens_of(&answer["usage"]).unwrap_or_else(|| estimate(request, text.as_deref().unwrap_or_default()));
    Ok(Completion { text, hand_over, tokens })
}

/// A text, or the parts of one, without what a model thinks aloud.
fn text_of(content: &Value) -> Option<String> {
    let whole = match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().filter_map(|part| part["text"].as_str()).collect(),
        _ => return None,
    };
    let spoken = match whole.trim_start().strip_prefix("<think>") {
        // What is not closed was cut off while it was still thinking.
        Some(thought) => thought.split_once("</think>").map_or("", |(_, spoken)| spoken),
        None => &whole,
    };
    let spoken: String = spoken.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect();
    let spoken = spoken.trim();
    let cut_text = cut(spoken, MAX_ANSWER);
    match (cut_text.is_empty(), cut_text.len() < spoken.len()) {
        (true, _) => None,
        (false, false) => Some(cut_text.to_owned()),
        (false, true) => Some([cut_text.trim_end(), "…"].concat()),
    }
}

/// The reason in the function's arguments, which are JSON in a text, not always correct.
fn reason_of(function: &Value) -> String {
    let arguments = &function["arguments"];
    let parsed: Value =
        arguments.as_str().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_else(|| arguments.clone());
    let reason = parsed["reason"].as_str().unwrap_or_default();
    let reason = &reason[..reason.floor_char_boundary(MAX_REASON)];
    let reason: String = reason.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let reason = reason.trim();
    if reason.is_empty() { "the model handed over".to_owned() } else { format!("the model handed over: {reason}") }
}

fn tokens_of(usage: &Value) -> Option<u64> {
    let counted = |field: &str| usage[field].as_u64();
    match (counted("prompt_tokens"), counted("completion_tokens")) {
        (Some(asked), Some(answered)) => {
            // A total may count more than the two, e.g. thoughts.
            Some(asked.saturating_add(answered).max(counted("total_tokens").unwrap_or(0)))
        }
        _ => counted("total_tokens"),
    }
}

/// An estimate for a service that does not count: a token has about four characters.
fn estimate(request: &Value, text: &str) -> u64 {
    let asked = request["messages"].to_string().chars().count();
    (asked + text.chars().count()) as u64 / 4 + 1
}

/// The service's error code, if it is a plain word: messages may quote the key or the conversation.
fn code_of(answer: &Value) -> String {
    let error = &answer["error"];
    let plain =
        |text: &&str| (1..=40).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    let code = [&error["code"], &error["type"]].into_iter().filter_map(Value::as_str).find(plain);
    code.map(|code| format!(", {code}")).unwrap_or_default()
}

fn refused(status: u16, code: &str) -> Problem {
    match status {
        300..=399 => {
            Problem::lasting(format!("the service redirects ({status}), which is not followed: change `baseUrl`"))
        }
        401 | 403 => {
            Problem::lasting(format!("the service refuses the key ({status}{code}): change `apiKey` or `auth`"))
        }
        404 => Problem::lasting(format!(
            "the service does not know the model or the path ({status}{code}): change `model` or `baseUrl`"
        )),
        408 | 409 | 425 | 429 => {
            Problem::passing(format!("the service is busy, or its quota is spent ({status}{code})"))
        }
        400..=499 => Problem::lasting(format!("the service refuses the request ({status}{code})")),
        _ => Problem::passing(format!("the service failed ({status}{code})")),
    }
}
