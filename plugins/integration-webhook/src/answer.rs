//! What the server answered: read in full and checked before anything of it is done.

use std::time::Duration;

use pombo_plugin::automation::types::{Action, Emitted, EventBody, NewTimer, Outgoing, SentReaction, Template};
use pombo_plugin::automation::{Automation, Error, FileToSend, Turn};
use serde_json::Value;

use crate::fields::{Fields, name_of, quoted};

/// Messages and actions of one answer.
const MAX_MESSAGES: usize = 20;
const MAX_ACTIONS: usize = 50;
/// Bytes, as the engine takes them.
const MAX_TEXT: usize = 64 << 10;
const MAX_NAME: usize = 128;
const MAX_TAG: usize = 64;
const MAX_ID: usize = 256;
const MAX_REASON: usize = 500;
const MAX_URL: usize = 4096;
/// Bytes of JSON that come back with the next event.
const MAX_STATE: usize = 64 << 10;
const DAY: f64 = 24.0 * 60.0 * 60.0;

/// An answer that can be carried out.
#[derive(Debug, Default, PartialEq)]
pub struct Answer {
    steps: Vec<Step>,
    /// `Some(None)` forgets the state; `None` leaves it.
    pub state: Option<Option<Value>>,
    claim: Option<bool>,
}

#[derive(Debug, PartialEq)]
enum Step {
    Send(Box<Sent>),
    Act(Action),
}

#[derive(Debug, PartialEq)]
struct Sent {
    content: Outgoing,
    reply_to: Option<String>,
    delay: Duration,
    label: Option<String>,
}

/// Reads the body of a 2xx answer to this event. Empty is nothing to do.
pub fn read(body: &[u8], event: &EventBody) -> Result<Answer, Error> {
    if body.trim_ascii().is_empty() {
        return Ok(Answer::default());
    }
    let value: Value = serde_json::from_slice(body).map_err(|e| {
        let place = format!("line {}, column {}", e.line(), e.column());
        Error::new(format!("its answer is not JSON ({place}): answer with an empty body, or with a JSON object"))
    })?;
    read_answer(value, event).map_err(|e| Error::new(format!("its answer cannot be carried out: {e}")))
}

fn read_answer(value: Value, event: &EventBody) -> Result<Answer, Error> {
    let mut fields = Fields::of("", value)?;
    let mut answer = Answer { claim: fields.flag("claim")?, ..Answer::default() };
    if let Some(text) = fields.text("text", MAX_TEXT)? {
        answer.steps.push(text_message(text));
    }
    for (i, message) in fields.list("messages", MAX_MESSAGES)?.into_iter().enumerate() {
        let path = format!("messages[{i}]");
        answer.steps.push(match message {
            Value::String(text) if !text.trim().is_empty() && text.len() <= MAX_TEXT => text_message(text),
            Value::String(text) => {
                let what = name_of(&Value::String(text));
                return Err(Error::new(format!("{path} must be a text of 1 to {MAX_TEXT} bytes, not {what}")));
            }
            message => {
                let mut fields = Fields::of(path, message)?;
                let step = send(&mut fields, event)?;
                fields.end()?;
                step
            }
        });
    }
    for (i, action) in fields.list("actions", MAX_ACTIONS)?.into_iter().enumerate() {
        answer.steps.push(read_action(Fields::of(format!("actions[{i}]"), action)?, event)?);
    }
    if let Some(state) = fields.raw("state") {
        if state.to_string().len() > MAX_STATE {
            return Err(fields.wrong("state", &format!("has more than {MAX_STATE} bytes: keep it on your side")));
        }
        answer.state = Some((!state.is_null()).then_some(state));
    }
    fields.end()?;
    Ok(answer)
}

fn text_message(text: String) -> Step {
    Step::Send(Box::new(Sent { content: Outgoing::Text(text), reply_to: None, delay: Duration::ZERO, label: None }))
}

fn read_action(mut fields: Fields, event: &EventBody) -> Result<Step, Error> {
    let kind = fields.required("type", MAX_NAME)?;
    let action = match &*kind {
        "send" => {
            let step = send(&mut fields, event)?;
            fields.end()?;
            return Ok(step);
        }
        "tag" => Action::AddTag(fields.required("tag", MAX_TAG)?),
        "untag" => Action::RemoveTag(fields.required("tag", MAX_TAG)?),
        "handOver" => Action::HandOver(fields.required("reason", MAX_REASON)?),
        "assign" => Action::Assign(fields.text("to", MAX_NAME)?),
        "setTimer" => {
            let name = fields.required("name", MAX_NAME)?;
            let Some(delay) = fields.seconds("seconds", 1.0, 400.0 * DAY)? else {
                return Err(fields.wrong("seconds", "is missing"));
            };
            let payload = match fields.take("payload") {
                None => String::new(),
                Some(Value::String(text)) => text,
                Some(other) => other.to_string(),
            };
            if payload.len() > MAX_STATE {
                return Err(fields.wrong("payload", &format!("has more than {MAX_STATE} bytes")));
            }
            Action::SetTimer(NewTimer { name, delay_millis: delay.as_millis() as u64, payload })
        }
        "cancelTimer" => Action::CancelTimer(fields.required("name", MAX_NAME)?),
        "updateContact" => {
            let (name, active) = (fields.text("name", MAX_ID)?, fields.flag("active")?);
            if name.is_none() && active.is_none() {
                return Err(fields.wrong("name", "and active are both missing: give at least one"));
            }
            Action::UpdateContact(pombo_plugin::automation::types::ContactUpdate { name, active })
        }
        "emit" => {
            let kind = fields.required("kind", 64)?;
            if !kind.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.')) {
                return Err(fields.wrong("kind", "may contain only letters, digits, dashes, dots and underscores"));
            }
            let json = fields.take("data").unwrap_or(Value::Null).to_string();
            Action::Emit(Emitted { kind, json })
        }
        "markRead" => Action::MarkRead,
        other => {
            let known = "send, tag, untag, handOver, assign, setTimer, cancelTimer, updateContact, emit and markRead";
            return Err(fields.wrong("type", &format!("`{}` is not known; known are {known}", quoted(other))));
        }
    };
    fields.end()?;
    Ok(Step::Act(action))
}

/// A message: text, template, file or reaction, and how it is sent.
fn send(fields: &mut Fields, event: &EventBody) -> Result<Step, Error> {
    let kinds = ["text", "template", "file", "reaction"];
    let mut given = kinds.into_iter().filter(|kind| fields.has(kind));
    let (kind, second) = (given.next(), given.next());
    if let Some(second) = second {
        return Err(
            fields.wrong(second, "is one too many: a message has exactly one of text, template, file and reaction")
        );
    }
    let content = match kind {
        Some("text") => Outgoing::Text(fields.required("text", MAX_TEXT)?),
        Some("template") => {
            let text = fields.required("template", MAX_TEXT)?;
            let variables = match fields.take("variables") {
                None => "{}".to_owned(),
                Some(variables @ Value::Object(_)) => variables.to_string(),
                Some(other) => {
                    return Err(fields.wrong("variables", &format!("must be an object, not {}", name_of(&other))));
                }
            };
            Outgoing::Template(Template { text, variables })
        }
        Some("file") => {
            let url = fields.required("file", MAX_URL)?;
            if !(url.starts_with("https://") || url.starts_with("http://")) || url.contains(char::is_whitespace) {
                return Err(fields.wrong("file", "must be the URL of a file, beginning with https://"));
            }
            let mut file = FileToSend::url(url);
            if let Some(caption) = fields.text("caption", MAX_TEXT)? {
                file = file.caption(caption);
            }
            if fields.flag("voiceNote")? == Some(true) {
                file = file.voice_note();
            }
            file.into()
        }
        Some("reaction") => Outgoing::Reaction(reaction(fields, event)?),
        _ => {
            return Err(
                fields.wrong("text", "is missing: a message has exactly one of text, template, file and reaction")
            );
        }
    };
    let reply_to = match (fields.take("replyTo"), event) {
        (None | Some(Value::Bool(false)), _) => None,
        (Some(Value::Bool(true)), EventBody::MessageReceived(message)) => Some(message.id.clone()),
        (Some(Value::String(id)), _) if (1..=MAX_ID).contains(&id.len()) => Some(id),
        _ => return Err(fields.wrong("replyTo", "must be a message's id, or true in the answer to a message")),
    };
    let delay = fields.seconds("delaySeconds", 0.0, 400.0 * DAY)?.unwrap_or_default();
    let label = fields.text("label", MAX_NAME)?;
    Ok(Step::Send(Box::new(Sent { content, reply_to, delay, label })))
}

/// To the message that is answered, unless another is named. Empty takes it back.
fn reaction(fields: &mut Fields, event: &EventBody) -> Result<SentReaction, Error> {
    let emoji = match fields.take("reaction") {
        Some(Value::String(emoji)) if emoji.len() <= 64 => emoji,
        _ => return Err(fields.wrong("reaction", "must be an emoji, or empty to remove the reaction")),
    };
    let (named, sender) = (fields.text("messageId", MAX_ID)?, fields.text("sender", MAX_ID)?);
    match (named, event) {
        (Some(message), _) => Ok(SentReaction { message, sender, emoji }),
        (None, EventBody::MessageReceived(message)) => {
            Ok(SentReaction { message: message.id.clone(), sender: Some(message.sender.clone()), emoji })
        }
        (None, _) => Err(fields.wrong("messageId", "is missing: this event is not a message to react to")),
    }
}

impl Answer {
    /// Asks for all of it.
    pub fn carry_out<A: Automation>(self, turn: &mut Turn<'_, A>) {
        for step in self.steps {
            match step {
                Step::Act(action) => turn.act(action),
                Step::Send(sent) => {
                    let Sent { content, reply_to, delay, label } = *sent;
                    let mut sending = turn.send(content).after(delay);
                    if let Some(id) = reply_to {
                        sending = sending.quoting(id);
                    }
                    if let Some(label) = label {
                        sending.label(label);
                    }
                }
            }
        }
        match self.claim {
            Some(true) => turn.claim(),
            Some(false) => turn.pass(),
            None => {}
        }
    }
}
