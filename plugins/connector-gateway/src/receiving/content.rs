//! What a message in Baileys' form says, whatever it is wrapped in.
//!
//! Such a message is an object of which one field is set, e.g. `conversation` or `imageMessage`; the others are absent or null.

use pombo_plugin::connector::events::{Edit, Location, MediaKind, Reaction};
use serde_json::{Value, json};

use super::body::{Object, Problem, number};
use crate::echoes::Look;

/// Wrappers: each has the message itself in `message`.
const WRAPPERS: [&str; 13] = [
    "ephemeralMessage",
    "viewOnceMessage",
    "viewOnceMessageV2",
    "viewOnceMessageV2Extension",
    "documentWithCaptionMessage",
    "editedMessage",
    "deviceSentMessage",
    "groupMentionedMessage",
    "botInvokeMessage",
    "lottieStickerMessage",
    "associatedChildMessage",
    "groupStatusMessage",
    "spoilerMessage",
];
/// A wrapper within a wrapper within …: no more than a sane sender makes.
const DEPTH: usize = 8;
/// What is only between devices.
const SILENT: [&str; 4] =
    ["senderKeyDistributionMessage", "fastRatchetKeySenderKeyDistributionMessage", "messageContextInfo", "chat"];
/// What else stands there and is not a kind of message.
const BESIDE: [&str; 5] = ["conversation", "base64", "mediaUrl", "media_url", "url"];
/// The longest text that the engine takes; what a peer writes beyond is cut, or the whole message could never be taken.
const TEXT_BYTES: usize = 64 << 10;
/// The same for a reaction.
pub(crate) const EMOJI_BYTES: usize = 64;
/// How many people a message mentions at most.
const MENTIONS: usize = 256;

/// The content of a message.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Body {
    Text(String),
    File(File),
    Location(Location),
    Reaction(Reaction),
    Edit(Edit),
    /// The message with this id was deleted.
    Revoke(String),
    /// A kind and JSON.
    Other(&'static str, String),
}

/// A file, as its message describes it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct File {
    pub(crate) kind: MediaKind,
    pub(crate) content_type: String,
    pub(crate) filename: Option<String>,
    pub(crate) size: Option<u64>,
    pub(crate) caption: Option<String>,
    pub(crate) source: Source,
}

/// Where a file's bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// A link to the file as it is, not as WhatsApp keeps it encrypted.
    Link(String),
    /// In base64, in the webhook itself, at this path: it may be large, so that it is not copied.
    Base64(String),
    /// The webhook has no bytes and no link.
    Nowhere,
}

/// A message without its wrapping.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Said {
    pub(crate) body: Body,
    /// The id of the message it answers.
    pub(crate) reply_to: Option<String>,
    /// The JIDs that it mentions.
    pub(crate) mentions: Vec<String>,
}

impl Body {
    /// How it would look as the echo of a send; `None` for what this connector cannot send.
    pub(crate) fn look(&self) -> Option<Look> {
        match self {
            Self::Text(text) => Some(Look::text(text)),
            Self::File(file) => Some(Look::file(file.caption.as_deref().unwrap_or_default())),
            Self::Reaction(reaction) => Some(Look::reaction(&reaction.to_provider_id, &reaction.emoji)),
            Self::Location(_) | Self::Edit(_) | Self::Revoke(_) | Self::Other(..) => None,
        }
    }
}

/// What the message of a webhook says; `None` for what is only between devices. `beside` is the webhook's body, which may say where the
/// file is.
pub(crate) fn read(message: &Object<'_>, beside: &Object<'_>) -> Result<Option<Said>, Problem> {
    let outer = message.clone();
    let message = bare(message)?;
    let Some((body, context)) = body(&message, [&outer, beside])? else { return Ok(None) };
    let context = match context {
        // Also where the context is what a wrapper has.
        Some(holder) => holder.object("contextInfo")?,
        None => None,
    };
    let reply_to = context.as_ref().and_then(|c| c.any_text(&["stanzaId"])).filter(|id| id.len() <= 256);
    let mentioned = context.as_ref().and_then(|c| c.get("mentionedJid")).and_then(Value::as_array);
    let mentions = mentioned.into_iter().flatten().filter_map(Value::as_str).take(MENTIONS).map(str::to_owned);
    Ok(Some(Said { body, reply_to: reply_to.map(str::to_owned), mentions: mentions.collect() }))
}

/// Without the wrappers, however they are nested.
fn bare<'v>(message: &Object<'v>) -> Result<Object<'v>, Problem> {
    let mut message = message.clone();
    for _ in 0..DEPTH {
        let mut inner = None;
        for wrapper in WRAPPERS {
            if let Some(wrapper) = message.object(wrapper)? {
                inner = wrapper.object("message")?;
                break;
            }
        }
        match inner {
            Some(inner) => message = inner,
            None => break,
        }
    }
    Ok(message)
}

/// What a message says, and the part of it that has the context.
type Found<'v> = Option<(Body, Option<Object<'v>>)>;

fn body<'v>(m: &Object<'v>, beside: [&Object<'_>; 2]) -> Result<Found<'v>, Problem> {
    if let Some(protocol) = m.object("protocolMessage")? {
        return Ok(of_protocol(&protocol)?.map(|body| (body, None)));
    }
    if let Some(reaction) = m.object("reactionMessage")? {
        let to_provider_id = reaction.must_object("key")?.must_id("id")?.to_owned();
        let emoji = cut(reaction.text("text")?.unwrap_or_default(), EMOJI_BYTES);
        return Ok(Some((Body::Reaction(Reaction { to_provider_id, emoji }), None)));
    }
    if let Some(text) = m.text("conversation")?.filter(|text| !text.is_empty()) {
        return Ok(Some((Body::Text(cut(text, TEXT_BYTES)), None)));
    }
    if let Some(extended) = m.object("extendedTextMessage")? {
        let text = cut(extended.text("text")?.unwrap_or_default(), TEXT_BYTES);
        return Ok(Some((Body::Text(text), Some(extended))));
    }
    if let Some(found) = of_file(m, beside)? {
        return Ok(Some(found));
    }
    if let Some(found) = of_answer(m)? {
        return Ok(Some(found));
    }
    of_rest(m)
}

fn of_protocol(protocol: &Object<'_>) -> Result<Option<Body>, Problem> {
    let edited = protocol.object("editedMessage")?;
    let kind = protocol.get("type");
    let named = |word: &str, code: u64| kind.is_some_and(|kind| kind == word || number(kind) == Some(code));
    // The type that is 0 may be left out; a key makes it meant.
    let is_revoke = named("REVOKE", 0) || (kind.is_none() && edited.is_none() && protocol.get("key").is_some());
    let is_edit = named("MESSAGE_EDIT", 14) || (kind.is_none() && edited.is_some());
    if !is_revoke && !is_edit {
        return Ok(None);
    }
    let id = protocol.must_object("key")?.must_id("id")?.to_owned();
    if is_revoke {
        return Ok(Some(Body::Revoke(id)));
    }
    let edited = bare(&edited.ok_or_else(|| protocol.problem("editedMessage", "is missing"))?)?;
    let text = match text_of(&edited)? {
        Some(text) => text,
        None => return Ok(None),
    };
    Ok(Some(Body::Edit(Edit { of_provider_id: id, text: cut(text, TEXT_BYTES) })))
}

/// A text or a caption.
fn text_of<'v>(m: &Object<'v>) -> Result<Option<&'v str>, Problem> {
    if let Some(text) = m.text("conversation")? {
        return Ok(Some(text));
    }
    if let Some(extended) = m.object("extendedTextMessage")? {
        return extended.text("text");
    }
    for name in ["imageMessage", "videoMessage", "documentMessage"] {
        if let Some(file) = m.object(name)? {
            return file.text("caption");
        }
    }
    Ok(None)
}

fn of_file<'v>(m: &Object<'v>, beside: [&Object<'_>; 2]) -> Result<Found<'v>, Problem> {
    for (name, kind, fallback) in [
        ("imageMessage", MediaKind::Image, "image/jpeg"),
        ("videoMessage", MediaKind::Video, "video/mp4"),
        ("ptvMessage", MediaKind::Video, "video/mp4"),
        ("audioMessage", MediaKind::Audio, "audio/ogg; codecs=opus"),
        ("documentMessage", MediaKind::Document, "application/octet-stream"),
        ("stickerMessage", MediaKind::Sticker, "image/webp"),
    ] {
        let Some(part) = m.object(name)? else { continue };
        let kind = if kind == MediaKind::Audio && part.flag("ptt")? { MediaKind::Voice } else { kind };
        let filename = part.filled("fileName")?.or(part.filled("title")?);
        let file = File {
            kind,
            content_type: part.filled("mimetype")?.unwrap_or(fallback).trim().to_owned(),
            filename: filename.map(str::to_owned),
            size: part.number("fileLength")?,
            caption: part.text("caption")?.filter(|text| !text.is_empty()).map(|text| cut(text, TEXT_BYTES)),
            source: source(&[&part, m, beside[0], beside[1]]),
        };
        return Ok(Some((Body::File(file), Some(part))));
    }
    Ok(None)
}

/// The bytes or the link that one of these has, the first before the last.
fn source(places: &[&Object<'_>]) -> Source {
    for place in places {
        if place.any_text(&["base64"]).is_some() {
            return Source::Base64(place.path_to("base64"));
        }
        for name in ["mediaUrl", "media_url", "url"] {
            if let Some(link) = place.any_text(&[name]).filter(|link| is_plain(link)) {
                return Source::Link(link.to_owned());
            }
        }
    }
    Source::Nowhere
}

/// Whether a link leads to the file itself. WhatsApp's own lead to encrypted ones, whose key the gateway does not pass on.
fn is_plain(link: &str) -> bool {
    let lower = link.to_ascii_lowercase();
    let Some(rest) = lower.strip_prefix("https://").or_else(|| lower.strip_prefix("http://")) else { return false };
    let host = rest.split(['/', '?', '#', ':']).next().unwrap_or_default();
    let path = rest.split(['?', '#']).next().unwrap_or_default();
    !path.ends_with(".enc") && host != "whatsapp.net" && !host.ends_with(".whatsapp.net") && link.len() <= 4_096
}

/// What somebody chose from what a business offered: its text counts.
fn of_answer<'v>(m: &Object<'v>) -> Result<Found<'v>, Problem> {
    for (name, texts) in [
        ("buttonsResponseMessage", ["selectedDisplayText", "selectedButtonId"]),
        ("listResponseMessage", ["title", "description"]),
        ("templateButtonReplyMessage", ["selectedDisplayText", "selectedId"]),
    ] {
        if let Some(part) = m.object(name)? {
            let text = cut(part.any_text(&texts).unwrap_or_default(), TEXT_BYTES);
            return Ok(Some((Body::Text(text), Some(part))));
        }
    }
    Ok(None)
}

fn of_rest<'v>(m: &Object<'v>) -> Result<Found<'v>, Problem> {
    for name in ["locationMessage", "liveLocationMessage"] {
        if let Some(place) = m.object(name)? {
            let degrees = |field: &str, most: f64| {
                let degrees = place.decimal(field)?.ok_or_else(|| place.problem(field, "is missing"))?;
                if degrees.abs() <= most { Ok(degrees) } else { Err(place.problem(field, "is not on earth")) }
            };
            let location = Location {
                latitude: degrees("degreesLatitude", 90.0)?,
                longitude: degrees("degreesLongitude", 180.0)?,
                name: place.any_text(&["name", "address", "caption"]).map(str::to_owned),
            };
            return Ok(Some((Body::Location(location), Some(place))));
        }
    }
    if let Some(contact) = m.object("contactMessage")? {
        return Ok(Some((other("contacts", &json!([card(contact.value())])), Some(contact))));
    }
    if let Some(contacts) = m.object("contactsArrayMessage")? {
        let cards: Vec<_> =
            contacts.get("contacts").and_then(Value::as_array).into_iter().flatten().map(card).collect();
        return Ok(Some((other("contacts", &json!(cards)), Some(contacts))));
    }
    let polls = ["pollCreationMessage", "pollCreationMessageV2", "pollCreationMessageV3", "pollCreationMessageV5"];
    for name in polls {
        if let Some(poll) = m.object(name)? {
            let options = poll.get("options").and_then(Value::as_array).into_iter().flatten();
            let options: Vec<_> = options.map(|option| option["optionName"].clone()).collect();
            let choices = poll.get("selectableOptionsCount");
            let json = json!({"question": poll.get("name"), "options": options, "choices": choices});
            return Ok(Some((other("poll", &json), Some(poll))));
        }
    }
    // Something a phone shows and we have no form for: say at least that it came.
    let shown = m.names().find(|name| !SILENT.contains(name) && !BESIDE.contains(name));
    let kind = shown.filter(|name| name.len() <= 64 && name.bytes().all(|b| b.is_ascii_alphanumeric()));
    Ok(kind.map(|kind| (other("unsupported", &json!({"kind": kind.trim_end_matches("Message")})), None)))
}

fn card(contact: &Value) -> Value {
    json!({"name": contact["displayName"], "vcard": contact["vcard"]})
}

fn other(kind: &'static str, json: &Value) -> Body {
    let json = json.to_string();
    if json.len() <= TEXT_BYTES {
        Body::Other(kind, json)
    } else {
        Body::Other(kind, r#"{"tooLarge":true}"#.to_owned())
    }
}

/// The beginning of a text: at most this many bytes, in whole characters.
pub(crate) fn cut(text: &str, bytes: usize) -> String {
    text[..text.floor_char_boundary(bytes)].to_owned()
}

#[cfg(test)]
mod tests;
