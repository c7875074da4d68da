//! The request to the service, and what its answer says.

use pombo_plugin::automation::HttpResponse;
use serde_json::{Map, Value, json};

use crate::config::{Config, MaxTokensField};
use crate::history::{History, cut};

/// The function that the model may call for a person.
const TOOL: &str = "hand_over_to_person";
/// What channels take in one message.
const MAX_ANSWER: usize = 4000;
/// Bytes; the engine takes 500 with what stands before it.
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

/// What the model said.
#[derive(Debug, PartialEq, Eq)]
pub struct Completion {
    /// For the other side; may be missing when it hands over.
    pub text: Option<String>,
    /// Why it wants a person to take over.
    pub hand_over: Option<String>,
    /// What it cost.
    pub tokens: u64,
}

/// Why there is no answer.
#[derive(Debug, PartialEq, Eq)]
pub struct Problem {
    /// For a person; without anything that the service wrote, but for a known kind of code.
    pub what: String,
    /// Whether asking again may help.
    pub passing: bool,
}

impl Problem {
    /// One that stays.
    pub fn lasting(what: impl Into<String>) -> Self {
        Self { what: what.into(), passing: false }
    }
    /// One that may be over when it is asked again.
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

/// A text, or the parts of one; without what a model thinks aloud.
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

/// The arguments are JSON in a text, as models write it: rightly or not.
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

/// A token has about four characters; a service that does not count is counted for.
fn estimate(request: &Value, text: &str) -> u64 {
    let asked = request["messages"].to_string().chars().count();
    (asked + text.chars().count()) as u64 / 4 + 1
}

/// The service's word for what is wrong, when it is a plain one: messages may quote the key or the conversation.
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
