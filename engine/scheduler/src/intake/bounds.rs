//! How much of what a connector reports is kept. Texts are cut and lists are shortened. Addresses and ids are never altered: an event
//! in which one of them is too long is not taken at all.

use pombo_domain::model::event::GroupStep;
use pombo_domain::model::inbound::{Inbound, InboundAttachment, InboundContent, MediaState};

/// The longest text or caption, in bytes: twice what the messaging apps allow.
pub(super) const TEXT: usize = 128 * 1024;
/// The longest name, file name or reason, in bytes.
pub(super) const NAME: usize = 1_024;
/// The longest address or id, in bytes.
pub(super) const ID: usize = 512;
/// The largest JSON of an event without a case of its own, in bytes.
const JSON: usize = 64 * 1024;
/// Addresses of one list: a group's members, mentions.
const ADDRESSES: usize = 4_096;
/// Other addresses of one contact.
pub(super) const ALIASES: usize = 16;

/// Why an event cannot be taken; for the log, without its content.
pub(super) type Unfit = &'static str;

/// `text`, cut at a character's end.
pub(super) fn cut(text: &mut String, bytes: usize) {
    text.truncate(text.floor_char_boundary(bytes));
}

fn cut_optional(text: &mut Option<String>, bytes: usize) {
    if let Some(text) = text {
        cut(text, bytes);
    }
}

/// An address or id that can be kept.
pub(super) fn id(text: &str) -> Result<(), Unfit> {
    match text.len() {
        0 => Err("an address or id is empty"),
        1..=ID => Ok(()),
        _ => Err("an address or id is longer than 512 bytes"),
    }
}

fn addresses(list: &mut Vec<String>) {
    list.retain(|address| id(address).is_ok());
    list.truncate(ADDRESSES);
}

/// A kind and JSON. JSON that is too long is replaced as a whole by JSON that says so, since a part of it would not parse.
pub(super) fn other(kind: &mut String, json: &mut String) {
    cut(kind, 64);
    if json.len() > JSON {
        *json = r#"{"omitted":"larger than 64 KB"}"#.to_owned();
    }
}

/// A name as a contact may have it: one line, without control characters; `None` when nothing is left.
pub(super) fn name(text: &str) -> Option<String> {
    let clean: String = text.chars().filter(|c| !c.is_control()).take(255).collect();
    let clean = clean.trim();
    (!clean.is_empty()).then(|| clean.to_owned())
}

pub(super) fn media(state: &mut MediaState) {
    match state {
        MediaState::Pending => {}
        MediaState::Ready(file) => {
            cut(&mut file.file_name, NAME);
            cut(&mut file.content_type, NAME);
        }
        MediaState::Failed(why) => cut(why, NAME),
    }
}

pub(super) fn message(inbound: &mut Inbound) -> Result<(), Unfit> {
    let Inbound { provider_id, chat, sender, sender_name, reply_to, mentions, content, .. } = inbound;
    for part in [provider_id, chat, sender] {
        id(part)?;
    }
    cut_optional(sender_name, NAME);
    if reply_to.as_ref().is_some_and(|to| id(to).is_err()) {
        *reply_to = None;
    }
    addresses(mentions);
    match content {
        InboundContent::Text(text) => cut(text, TEXT),
        InboundContent::Attachment(InboundAttachment { media: state, file_name, content_type, caption, .. }) => {
            media(state);
            cut_optional(file_name, NAME);
            cut(content_type, NAME);
            cut_optional(caption, TEXT);
        }
        InboundContent::Location { latitude, longitude, name } => {
            cut(latitude, 64);
            cut(longitude, 64);
            cut_optional(name, NAME);
        }
        InboundContent::Reaction { to, emoji } => {
            id(to)?;
            cut(emoji, 64);
        }
        InboundContent::Edit { of, text } => {
            id(of)?;
            cut(text, TEXT);
        }
        InboundContent::Revoke(of) => id(of)?,
        InboundContent::Other(kind, json) => other(kind, json),
    }
    Ok(())
}

pub(super) fn group_step(step: &mut GroupStep) {
    match step {
        GroupStep::Created => {}
        GroupStep::Subject(text) | GroupStep::Description(text) => cut(text, TEXT),
        GroupStep::Added(who) | GroupStep::Removed(who) | GroupStep::Promoted(who) | GroupStep::Demoted(who) => {
            addresses(who)
        }
        GroupStep::Other(kind, json) => other(kind, json),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_between_characters_and_names_are_one_line() {
        let mut text = "é".repeat(100);
        cut(&mut text, 33);
        assert_eq!(text, "é".repeat(16));
        assert_eq!(name("  Ana\u{0}\n Souza \u{7}"), Some("Ana Souza".to_owned()));
        assert_eq!((name(" \n\t"), name("")), (None, None));
        assert_eq!(name(&"x".repeat(9_999)).map(|name| name.len()), Some(255));
    }

    #[test]
    fn json_is_whole_or_not_there() {
        let (mut kind, mut json) = ("k".to_owned(), format!("[{}1]", "1,".repeat(40_000)));
        other(&mut kind, &mut json);
        assert_eq!(json, r#"{"omitted":"larger than 64 KB"}"#);
    }

    #[test]
    fn what_names_something_is_never_altered() {
        assert!(id("").is_err() && id(&"1".repeat(513)).is_err() && id(&"1".repeat(512)).is_ok());
        let mut step = GroupStep::Added(vec![String::new(), "a".to_owned(), "b".repeat(600)]);
        group_step(&mut step);
        assert_eq!(step, GroupStep::Added(vec!["a".to_owned()]));
    }
}
