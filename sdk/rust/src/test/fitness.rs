//! Checks what the engine would refuse, so that a test finds it first.

use super::answer::Failure;
use crate::automation::types::{Action, Description, File, Outcome, Outgoing};

const ACTIONS: usize = 100;
const TEXT_BYTES: usize = 64 << 10;
const STATE_BYTES: usize = 256 << 10;
const NAME_BYTES: usize = 128;
const REASON_BYTES: usize = 500;
const ID_BYTES: usize = 256;
const TAG_BYTES: usize = 64;
const LONGEST_DELAY_MILLIS: u64 = 400 * 24 * 60 * 60 * 1000;

/// Checks a description; panics with what to change.
pub(super) fn check_description(description: &Description) {
    let name = &description.name;
    let named = (2..=63).contains(&name.len())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
        && name.starts_with(|c: char| c.is_ascii_lowercase());
    assert!(named, "the name `{name}` must be 2 to 63 lower-case letters, digits and dashes, and begin with a letter");
    let numbers = description.version.split(['-', '+']).next().unwrap_or_default().split('.');
    let semantic = numbers.clone().count() == 3 && numbers.into_iter().all(|n| n.parse::<u64>().is_ok());
    assert!(semantic, "the version `{}` must be a semantic version, e.g. 1.0.0", description.version);
    let schema: Result<serde_json::Value, _> = serde_json::from_str(&description.config_schema);
    assert!(schema.is_ok_and(|s| s.is_object()), "the configuration's schema must be a JSON object");
    assert!(!description.events.is_empty(), "the description names no events: it would never be called");
}

/// Checks whether the engine would carry out the outcome.
pub(super) fn check_outcome(description: &Description, outcome: &Outcome) -> Result<(), Failure> {
    let refused = |why: String| Failure::new(&format!("its answer cannot be carried out: {why}"));
    if outcome.actions.len() > ACTIONS {
        return Err(refused(format!("it has {} actions; one call may have {ACTIONS}", outcome.actions.len())));
    }
    within("the state", outcome.state.as_deref(), STATE_BYTES).map_err(refused)?;
    outcome.actions.iter().try_for_each(|action| check(description, action)).map_err(refused)
}

fn check(description: &Description, action: &Action) -> Result<(), String> {
    if description.observer && matches!(action, Action::Send(_) | Action::HandOver(_) | Action::Assign(_)) {
        return Err("an observer may not send, hand over or assign".to_owned());
    }
    match action {
        Action::Send(send) => {
            match &send.content {
                Outgoing::Text(text) => named("a text to send", text, TEXT_BYTES)?,
                Outgoing::Template(template) => named("a template to send", &template.text, TEXT_BYTES)?,
                Outgoing::File(file) => {
                    within("a file's caption", file.caption.as_deref(), TEXT_BYTES)?;
                    if let File::Url(url) = &file.file
                        && !(url.starts_with("https://") || url.starts_with("http://"))
                    {
                        return Err("a file's URL must begin with https:// or http://".to_owned());
                    }
                }
                Outgoing::Reaction(reaction) => {
                    named("the message of a reaction", &reaction.message, ID_BYTES)?;
                    within("a reaction", Some(&reaction.emoji), 64)?;
                }
            }
            within("the id of the message to reply to", send.reply_to.as_deref(), ID_BYTES)?;
            within("a label", send.label.as_deref(), NAME_BYTES)?;
            delay("a delay", send.delay_millis)
        }
        Action::SetTimer(timer) => {
            named("a timer's name", &timer.name, NAME_BYTES)?;
            within("a timer's payload", Some(&timer.payload), TEXT_BYTES)?;
            if timer.delay_millis < 1000 {
                return Err(format!("the timer `{}` must run from a second to 400 days", timer.name));
            }
            delay("a timer's delay", timer.delay_millis)
        }
        Action::WriteKv(_) if description.wants.kv_bytes == 0 => {
            Err("it writes to its store but does not ask for one: set wants.kv_bytes".to_owned())
        }
        Action::WriteKv(write) => {
            named("a key", &write.key, 512)?;
            within("a value", write.value.as_deref(), 1 << 20)
        }
        Action::CancelTimer(name) => named("a timer's name", name, NAME_BYTES),
        Action::AddTag(tag) | Action::RemoveTag(tag) => named("a tag", tag, TAG_BYTES),
        Action::UpdateContact(update) => {
            update.name.as_ref().map_or(Ok(()), |name| named("a contact's name", name, ID_BYTES))
        }
        Action::HandOver(reason) => named("the reason to hand over", reason, REASON_BYTES),
        Action::Assign(to) => to.as_ref().map_or(Ok(()), |to| named("the assignee", to, NAME_BYTES)),
        Action::Emit(emitted) => {
            let of_kind = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
            if (1..=64).contains(&emitted.kind.len()) && emitted.kind.bytes().all(of_kind) {
                within("an event's content", Some(&emitted.json), TEXT_BYTES)
            } else {
                Err("an event's kind must be 1 to 64 letters, digits, dashes, dots and underscores".to_owned())
            }
        }
        Action::MarkRead => Ok(()),
    }
}

fn within(what: &str, text: Option<&str>, most: usize) -> Result<(), String> {
    let fits = text.is_none_or(|text| text.len() <= most);
    if fits { Ok(()) } else { Err(format!("{what} is longer than {most} bytes")) }
}

fn named(what: &str, text: &str, most: usize) -> Result<(), String> {
    if text.trim().is_empty() { Err(format!("{what} is empty")) } else { within(what, Some(text), most) }
}

fn delay(what: &str, millis: u64) -> Result<(), String> {
    if millis <= LONGEST_DELAY_MILLIS { Ok(()) } else { Err(format!("{what} is longer than 400 days")) }
}
