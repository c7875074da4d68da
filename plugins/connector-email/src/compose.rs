//! Builds the message. The attachments' bytes never come here: each is a mark in the built message, which is then cut at the
//! marks into the segments that the engine streams.

use std::time::SystemTime;

use lettre::Address;
use lettre::message::header::{ContentTransferEncoding, ContentType, HeaderName, HeaderValue};
use lettre::message::{Attachment as Part, Body, Mailbox, Message, MultiPart};
use pombo_plugin::connector::smtp::{Envelope, Segment};
use pombo_plugin::connector::{Attachment, Outcome, Outgoing, TextContent};

use crate::config::Config;
use crate::marks;

/// A message ready to be submitted.
#[derive(Debug)]
#[cfg_attr(not(target_arch = "wasm32"), allow(dead_code, reason = "only a guest submits"))]
pub(crate) struct Composed {
    pub(crate) envelope: Envelope,
    pub(crate) segments: Vec<Segment>,
    /// Without angle brackets.
    pub(crate) message_id: String,
}

/// The message for one recipient. What cannot be built is an outcome: the message's fault, or the recipient's.
pub(crate) fn compose(
    config: &Config,
    outgoing: &Outgoing,
    content: &TextContent,
    now: SystemTime,
) -> Result<Composed, Outcome> {
    let rejected = |what: String| Outcome::rejected(what);
    let recipient = crate::address::normalise(&outgoing.to).map_err(Outcome::invalid_recipient)?;
    let to: Address =
        recipient.parse().map_err(|_| Outcome::invalid_recipient("is not an e-mail address".to_owned()))?;
    let id = local_part(&outgoing.client_id);
    if id.is_empty() {
        return Err(rejected("the message has no client id".to_owned()));
    }
    let message_id = format!("{id}@{}", config.domain);
    let contact = outgoing.contact_name.as_deref().map(one_line).filter(|n| !n.is_empty());

    // The same message gets the same boundaries when it is sent again.
    fastrand::seed(seed_of(&outgoing.client_id));

    let mut builder = Message::builder()
        .message_id(Some(format!("<{message_id}>")))
        .date(now)
        .from(config.from.clone())
        .to(Mailbox::new(contact.clone(), to))
        .subject(subject(config, content, contact.as_deref()));
    if let Some(reply_to) = &config.reply_to {
        builder = builder.reply_to(reply_to.clone());
    }
    for (name, value) in unsubscribe(config, &recipient, &id) {
        builder = builder.raw_header(HeaderValue::new(HeaderName::new_from_ascii_str(name), value));
    }
    let text = plain_lines(&content.text);
    let texts = MultiPart::alternative_plain_html(text.clone(), marks::to_html(&text));
    let marks: Vec<String> = content.attachments.iter().map(|_| mark()).collect();
    let body = if content.attachments.is_empty() {
        texts
    } else {
        content.attachments.iter().zip(&marks).fold(MultiPart::mixed().multipart(texts), |all, (file, mark)| {
            let body = Body::dangerous_pre_encoded(mark.clone().into_bytes(), ContentTransferEncoding::Base64);
            all.singlepart(Part::new(file_name(file)).body(body, content_type(file)))
        })
    };
    let message = builder.multipart(body).map_err(|e| rejected(format!("the message cannot be built: {e}")))?;
    let segments = cut(message.formatted(), &marks, &content.attachments)
        .ok_or_else(|| rejected("the message cannot be built with its attachments".to_owned()))?;
    Ok(Composed {
        envelope: Envelope { sender: Some(config.from.email.to_string()), recipients: vec![recipient] },
        segments,
        message_id,
    })
}

/// Cuts the message at its marks, which stand in it in order.
fn cut(message: Vec<u8>, marks: &[String], files: &[Attachment]) -> Option<Vec<Segment>> {
    let mut segments = Vec::with_capacity(2 * marks.len() + 1);
    let mut rest = &message[..];
    for (mark, file) in marks.iter().zip(files) {
        let at = rest.windows(mark.len()).position(|w| w == mark.as_bytes())?;
        segments.push(Segment::Bytes(rest[..at].to_vec()));
        segments.push(Segment::Media(file.media.clone()));
        rest = &rest[at + mark.len()..];
    }
    segments.push(Segment::Bytes(rest.to_vec()));
    Some(segments)
}

/// The placeholder of an attachment's bytes: 190 random bits, so that no text contains it by chance. A sender who guessed it could
/// only misplace an attachment of that one message.
fn mark() -> String {
    let random: String = std::iter::repeat_with(fastrand::alphanumeric).take(32).collect();
    format!("=pombo-media-{random}=")
}

/// A number that is the same for the same client id (FNV-1a).
fn seed_of(client_id: &str) -> u64 {
    client_id.bytes().fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3))
}

/// The characters of a client id that can stand in a Message-ID.
fn local_part(client_id: &str) -> String {
    client_id.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')).take(128).collect()
}

/// Line feeds only, which lettre turns into CRLF, and no NUL.
fn plain_lines(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n").replace('\0', "")
}

/// Text fit for a header: control characters (line ends among them) become blanks, and blanks are single.
pub(crate) fn one_line(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn shortened(text: &str, limit: usize) -> String {
    if text.chars().count() <= limit {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(limit - 1).collect();
    short.truncate(short.trim_end().len());
    short + "…"
}

/// The request's subject, or the configuration's, or the text's first line.
fn subject(config: &Config, content: &TextContent, contact: Option<&str>) -> String {
    let given = content.subject.as_deref().map(one_line).filter(|s| !s.is_empty());
    let configured = || {
        let template = config.subject.as_deref()?;
        let name = contact.unwrap_or_default();
        let filled = ["{{ nome }}", "{{nome}}", "{{ name }}", "{{name}}"]
            .iter()
            .fold(template.to_owned(), |text, place| text.replace(place, name));
        Some(one_line(&filled)).filter(|s| !s.is_empty())
    };
    let first_line = || {
        let line = content.text.lines().map(one_line).find(|l| !l.is_empty())?;
        Some(shortened(line.replace(['*', '_', '~', '`'], "").trim(), 78)).filter(|s| !s.is_empty())
    };
    given
        .map(|s| shortened(&s, 500))
        .or_else(configured)
        .or_else(first_line)
        .unwrap_or_else(|| "(sem assunto)".to_owned())
}

/// RFC 2369 and RFC 8058.
fn unsubscribe(config: &Config, recipient: &str, id: &str) -> Vec<(&'static str, String)> {
    let Some(unsubscribe) = &config.unsubscribe else { return Vec::new() };
    let mut ways = Vec::new();
    if let Some(url) = &unsubscribe.url {
        let url = url.replace("{recipient}", &percent(recipient)).replace("{id}", &percent(id));
        ways.push(format!("<{url}>"));
    }
    if let Some(mailto) = &unsubscribe.mailto {
        ways.push(format!("<mailto:{}?subject=unsubscribe>", percent(mailto)));
    }
    let mut headers = vec![("List-Unsubscribe", ways.join(", "))];
    if unsubscribe.url.is_some() {
        headers.push(("List-Unsubscribe-Post", "List-Unsubscribe=One-Click".to_owned()));
    }
    headers
}

fn percent(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, b| {
        if b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~' | b'@') {
            out.push(b as char);
        } else {
            out.push_str(&format!("%{b:02X}"));
        }
        out
    })
}

fn file_name(file: &Attachment) -> String {
    let name = one_line(&file.filename).replace(['/', '\\'], "_");
    if name.is_empty() { "arquivo".to_owned() } else { shortened(&name, 200) }
}

/// The declared type where it is one that may be sent in base64, else the one that says nothing.
fn content_type(file: &Attachment) -> ContentType {
    let declared = file.content_type.trim();
    let composite = ["multipart/", "message/"]
        .iter()
        .any(|p| declared.get(..p.len()).is_some_and(|start| start.eq_ignore_ascii_case(p)));
    let plain = declared.bytes().all(|b| b.is_ascii_graphic() || b == b' ') && declared.len() <= 200;
    let parsed = if composite || !plain { None } else { ContentType::parse(declared).ok() };
    parsed.or_else(|| ContentType::parse("application/octet-stream").ok()).unwrap_or(ContentType::TEXT_PLAIN)
}

#[cfg(test)]
mod tests;
