//! From a message of the engine's to calls of the Graph API, and to an outcome.
//!
//! A message with several files is several on the channel. What was sent of it is kept, so that a further attempt goes on where the
//! last one ended: the recipient gets no part twice. Each part carries the engine's id of the message, which comes back with every status:
//! so a status is known to be of this message even if it comes before the answer, or if the answer never comes.

use pombo_plugin::connector::events::Event;
use pombo_plugin::connector::{
    Acceptance, Attachment, Content, Outcome, Outgoing, Refusal, TextContent, ThrottleScope,
};
use pombo_plugin::log;
use serde_json::{Value, json};

use crate::account::NotWorking;
use crate::answer::{self, Failure};
use crate::cloud::Cloud;
use crate::codes::{self, Meaning};
use crate::outside::{Outside, Trouble};
use crate::uploads::{self, NotUploaded};
use crate::{address, contents, parts, template};

/// The most characters of a text, and of a file's.
const TEXT_CHARACTERS: usize = 4_096;
const CAPTION_CHARACTERS: usize = 1_024;

/// What a file is sent as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sort {
    Image,
    Video,
    Audio,
    Document,
    Sticker,
}

impl Sort {
    fn name(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Video => "video",
            Self::Audio => "audio",
            Self::Document => "document",
            Self::Sticker => "sticker",
        }
    }

    /// The most bytes.
    fn most(self) -> u64 {
        match self {
            Self::Image => 5 << 20,
            Self::Video | Self::Audio => 16 << 20,
            Self::Document => 100 << 20,
            Self::Sticker => 500 << 10,
        }
    }

    fn has_caption(self) -> bool {
        matches!(self, Self::Image | Self::Video | Self::Document)
    }
}

/// What a message of the channel says.
#[derive(Debug, PartialEq)]
enum Said<'m> {
    /// Its type, and the value of that name.
    Value(&'static str, Value),
    /// The content of a template. Files of the message's own that it shows are still to be uploaded.
    Template(Value),
    File(FilePart<'m>),
}

#[derive(Debug, PartialEq)]
struct FilePart<'m> {
    file: &'m Attachment,
    sort: Sort,
    /// Without parameters: Meta refuses `audio/ogg; codecs=opus`.
    content_type: String,
    /// For a type that Meta does not let anybody upload.
    link: Option<&'m str>,
    caption: Option<&'m str>,
    voice: bool,
}

/// One message of the channel.
#[derive(Debug, PartialEq)]
struct Part<'m> {
    said: Said<'m>,
    /// The message that it answers.
    reply_to: Option<&'m str>,
}

/// Sends one message. It is accepted with the id of the first of its parts.
pub(crate) async fn send(cloud: &Cloud<impl Outside>, message: &Outgoing) -> Outcome {
    let Cloud { outside, account, .. } = cloud;
    if account.is_closed() {
        return Outcome::Disconnected(NotWorking::Closed.reason());
    }
    let all = match plan(message) {
        Ok(all) => all,
        Err(reason) => return rejected(reason),
    };
    let client = message.client_id.as_str();
    let mut sent = Vec::new();
    // The number of the attempt does not say whether something was sent: one that was throttled is not counted.
    if all.len() > 1 {
        match parts::sent(outside, client).await {
            Ok(known) => sent = known,
            Err(trouble) => return Outcome::Temporary(format!("what was sent of it before cannot be read: {trouble}")),
        }
    }
    let (mut noted, mut told) = (true, None);
    for part in all.iter().skip(sent.len()) {
        let acceptance = match post(cloud, message, part).await {
            Ok(acceptance) => acceptance,
            Err(outcome) => return in_part(outcome, sent.len(), all.len(), noted),
        };
        sent.push(acceptance.provider_id.clone().unwrap_or_default());
        told.get_or_insert(acceptance);
        if all.len() > 1 {
            let done = parts::note(outside, client, &sent, sent.len() >= all.len()).await;
            noted = done.is_ok();
            if let Err(trouble) = done {
                log::warn("send", &format!("what was sent of a message was not noted: {trouble}"));
            }
        }
    }
    let Acceptance { aliases, held, .. } =
        told.unwrap_or(Acceptance { provider_id: None, aliases: Vec::new(), held: false });
    Outcome::Accepted(Acceptance { provider_id: sent.into_iter().next(), aliases, held })
}

fn rejected(reason: String) -> Outcome {
    Outcome::Rejected(Refusal { reason, code: None })
}

/// The outcome of a message of which `sent` parts of `all` were sent before this one ended.
fn in_part(outcome: Outcome, sent: usize, all: usize, noted: bool) -> Outcome {
    if sent == 0 {
        return outcome;
    }
    let tell = |why: String| format!("{sent} of its {all} messages were sent, then: {why}");
    match outcome {
        Outcome::InvalidRecipient(refusal) | Outcome::Rejected(refusal) => {
            Outcome::Rejected(Refusal { reason: tell(refusal.reason), code: refusal.code })
        }
        Outcome::Unknown(why) => Outcome::Unknown(tell(why)),
        // Another attempt would not know what was sent already.
        Outcome::Temporary(why) | Outcome::Disconnected(why) if !noted => Outcome::Unknown(tell(why)),
        Outcome::Throttled(throttle) if !noted => Outcome::Unknown(tell(throttle.reason)),
        other => other,
    }
}

/// The messages of the channel that a message becomes. `Err` says why it cannot be sent.
fn plan(message: &Outgoing) -> Result<Vec<Part<'_>>, String> {
    let reply_to = message.reply_to.as_ref().map(|target| target.provider_id.as_str());
    let value = |kind: &'static str, value: Value, reply_to| vec![Part { said: Said::Value(kind, value), reply_to }];
    match &message.content {
        Content::Text(content) => texts_and_files(message, content, reply_to),
        Content::Reaction(reaction) => {
            let body = json!({"message_id": reaction.to.provider_id, "emoji": reaction.emoji});
            Ok(value("reaction", body, None))
        }
        Content::Edit(_) => Err("Meta's API cannot edit messages".to_owned()),
        Content::Revoke(_) => Err("Meta's API cannot delete messages".to_owned()),
        Content::Other((kind, json)) => {
            let content: Value =
                serde_json::from_str(json).map_err(|error| format!("the content is not JSON: {error}"))?;
            if kind == template::KIND {
                // A template's answer shows no bubble of what it answers.
                return Ok(vec![Part { said: Said::Template(content), reply_to: None }]);
            }
            let (kind, body) = contents::body(kind, &content)?;
            Ok(value(kind, body, reply_to))
        }
    }
}

fn texts_and_files<'m>(
    message: &'m Outgoing,
    content: &'m TextContent,
    reply_to: Option<&'m str>,
) -> Result<Vec<Part<'m>>, String> {
    let text = content.text.as_str();
    let wanted = message.metadata.iter().find(|(key, _)| key == "media-kind").map(|(_, value)| value.as_str());
    let mut files = Vec::with_capacity(content.attachments.len());
    for file in &content.attachments {
        files.push(file_part(file, wanted, message.voice_note)?);
    }
    if text.is_empty() && files.is_empty() {
        return Err("the message is empty".to_owned());
    }
    let fits = text.chars().count() <= CAPTION_CHARACTERS;
    let mut parts = Vec::with_capacity(files.len() + 1);
    match files.first_mut() {
        Some(first) if text.is_empty() || (first.sort.has_caption() && fits) => {
            first.caption = Some(text).filter(|text| !text.is_empty());
        }
        // What cannot have a caption has its text before it.
        _ => {
            let characters = text.chars().count();
            if characters > TEXT_CHARACTERS {
                return Err(format!("a text has at most {TEXT_CHARACTERS} characters, but this one has {characters}"));
            }
            let preview = text.contains("https://") || text.contains("http://");
            let body = json!({"body": text, "preview_url": preview});
            parts.push(Part { said: Said::Value("text", body), reply_to: None });
        }
    }
    parts.extend(files.into_iter().map(|file| Part { said: Said::File(file), reply_to: None }));
    if let Some(first) = parts.first_mut() {
        first.reply_to = reply_to;
    }
    Ok(parts)
}

/// How a file is sent: as what apps show or play, otherwise as a file to be saved.
fn file_part<'m>(file: &'m Attachment, wanted: Option<&str>, voice_note: bool) -> Result<FilePart<'m>, String> {
    let content_type = plain_type(&file.content_type);
    let shown = match content_type.as_str() {
        _ if wanted == Some("document") => None,
        "image/jpeg" | "image/png" => Some(Sort::Image),
        "image/webp" => Some(Sort::Sticker),
        "video/mp4" | "video/3gpp" => Some(Sort::Video),
        "audio/aac" | "audio/amr" | "audio/mpeg" | "audio/mp4" | "audio/ogg" | "audio/opus" => Some(Sort::Audio),
        _ => None,
    };
    let sort = shown.filter(|sort| file.size <= sort.most()).unwrap_or(Sort::Document);
    if file.size > sort.most() {
        return Err("a file has at most 100 MB".to_owned());
    }
    let link = if may_be_uploaded(&content_type) {
        None
    } else {
        let none = || {
            format!(
                "Meta takes no upload of the type {content_type}, and the engine has no link to the file: \
            set http.public_url"
            )
        };
        Some(file.url.as_deref().filter(|link| !link.is_empty()).ok_or_else(none)?)
    };
    let voice = voice_note && sort == Sort::Audio && matches!(content_type.as_str(), "audio/ogg" | "audio/opus");
    Ok(FilePart { file, sort, content_type, link, caption: None, voice })
}

/// A type as Meta writes it.
fn plain_type(content_type: &str) -> String {
    let content_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match content_type.as_str() {
        "image/jpg" => "image/jpeg".to_owned(),
        "audio/mp3" => "audio/mpeg".to_owned(),
        "audio/m4a" | "audio/x-m4a" => "audio/mp4".to_owned(),
        "" => "application/octet-stream".to_owned(),
        _ => content_type,
    }
}

/// Whether Meta takes an upload of this type.
fn may_be_uploaded(content_type: &str) -> bool {
    matches!(
        content_type,
        "text/plain"
            | "application/pdf"
            | "application/msword"
            | "application/vnd.ms-excel"
            | "application/vnd.ms-powerpoint"
            | "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
            | "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
            | "application/vnd.openxmlformats-officedocument.presentationml.presentation"
            | "image/jpeg"
            | "image/png"
            | "image/webp"
            | "video/mp4"
            | "video/3gpp"
            | "audio/aac"
            | "audio/amr"
            | "audio/mpeg"
            | "audio/mp4"
            | "audio/ogg"
            | "audio/opus"
    )
}

/// Posts one message of the channel. A file that Meta forgot is uploaded again once.
async fn post(cloud: &Cloud<impl Outside>, message: &Outgoing, part: &Part<'_>) -> Result<Acceptance, Outcome> {
    let mut anew = false;
    loop {
        let (kind, value) = match &part.said {
            Said::Value(kind, value) => (*kind, value.clone()),
            Said::Template(content) => (template::KIND, template_value(cloud, message, content, anew).await?),
            Said::File(file) => (file.sort.name(), file_value(cloud, message, file, anew).await?),
        };
        let body = envelope(message, kind, value, part.reply_to).to_string().into_bytes();
        let path = format!("/{}/messages", cloud.config.phone);
        let failure = match answer::read(cloud.outside.call(cloud.config.request("POST", &path, Some(body))).await) {
            Ok(body) => {
                let unclear = || Outcome::Unknown("Meta's API did not name the message".to_owned());
                let acceptance = answer::acceptance(&body, &message.to).ok_or_else(unclear)?;
                if cloud.refused.get(&message.to).is_some_and(|times| times > 0) {
                    cloud.refused.note(message.to.clone(), 0);
                }
                return Ok(acceptance);
            }
            Err(failure) => failure,
        };
        let forgotten = matches!(&failure, Failure::Fault(fault) if fault.bad_file);
        let by_id = match &part.said {
            Said::Value(..) => false,
            Said::Template(content) => !template::files(&mut content.clone()).is_empty(),
            Said::File(file) => file.link.is_none(),
        };
        if forgotten && by_id && !anew {
            anew = true;
            continue;
        }
        return Err(failed(cloud, message, failure).await);
    }
}

/// The outcome of a failure; what concerns the whole number, or what the person wants, the engine is told.
async fn failed(cloud: &Cloud<impl Outside>, message: &Outgoing, failure: Failure) -> Outcome {
    let concerns_all = match &failure {
        Failure::Fault(fault) => matches!(fault.meaning, Meaning::Token | Meaning::Stop),
        Failure::Away(_) => true,
        Failure::Slow(_) | Failure::Malformed(_) | Failure::Unclear(_) => false,
    };
    if concerns_all && let Err(trouble) = cloud.account.failed(&cloud.outside, &failure).await {
        log::warn("send", &format!("the number's state was not reported: {trouble}"));
    }
    if let Failure::Fault(fault) = &failure
        && fault.meaning == Meaning::OptOut
    {
        let at = cloud.outside.now_millis();
        let json = json!({"address": message.to, "category": codes::REFUSABLE, "out": true, "atMillis": at});
        let told = Event::Other(("opt-out".to_owned(), json.to_string()));
        if let Err(trouble) = cloud.outside.emit(told).await {
            log::warn("send", &format!("a refusal of marketing was not reported: {trouble}"));
        }
    }
    let refused = cloud.refused.get(&message.to).unwrap_or(0);
    let outcome = answer::outcome(failure, message.attempt, refused);
    if matches!(&outcome, Outcome::Throttled(throttle) if throttle.scope == ThrottleScope::Recipient) {
        cloud.refused.note(message.to.clone(), refused.saturating_add(1));
    }
    outcome
}

/// What stands under a file's type.
async fn file_value(
    cloud: &Cloud<impl Outside>,
    message: &Outgoing,
    part: &FilePart<'_>,
    anew: bool,
) -> Result<Value, Outcome> {
    let Cloud { outside, config, uploads: known, .. } = cloud;
    let mut value = match part.link {
        Some(link) => json!({"link": link}),
        None => match known.id(outside, config, part.file, &part.content_type, anew).await {
            Ok(id) => json!({"id": id}),
            Err(not) => return Err(not_uploaded(cloud, message, not).await),
        },
    };
    if let Some(caption) = part.caption {
        value["caption"] = json!(caption);
    }
    if part.sort == Sort::Document && !part.file.filename.is_empty() {
        value["filename"] = json!(part.file.filename);
    }
    if part.voice {
        value["voice"] = json!(true);
    }
    Ok(value)
}

/// What stands under `template`.
async fn template_value(
    cloud: &Cloud<impl Outside>,
    message: &Outgoing,
    content: &Value,
    anew: bool,
) -> Result<Value, Outcome> {
    let Cloud { outside, config, uploads: known, .. } = cloud;
    let mut content = content.clone();
    for media in template::files(&mut content) {
        let given = &media["file"];
        let text = |name: &str| given[name].as_str().unwrap_or_default().to_owned();
        let file = Attachment {
            media: text("media"),
            filename: text("filename"),
            content_type: text("contentType"),
            size: given["size"].as_u64().unwrap_or(0),
            url: None,
        };
        let content_type = plain_type(&file.content_type);
        let uploaded = known.id(outside, config, &file, &content_type, anew).await;
        let filename = Some(file.filename).filter(|name| !name.is_empty());
        *media = match uploaded {
            Ok(id) => json!({"id": id, "filename": filename}),
            Err(not) => return Err(not_uploaded(cloud, message, not).await),
        };
    }
    template::body(&content, config.newlines).map_err(rejected)
}

async fn not_uploaded(cloud: &Cloud<impl Outside>, message: &Outgoing, not: NotUploaded) -> Outcome {
    match uploads::failure(not) {
        Ok(failure) => failed(cloud, message, failure).await,
        Err(Trouble::Temporary(why)) => Outcome::Temporary(format!("the file was not uploaded: {why}")),
        Err(Trouble::Final(why)) => rejected(format!("the file was not uploaded: {why}")),
    }
}

fn envelope(message: &Outgoing, kind: &str, value: Value, reply_to: Option<&str>) -> Value {
    let mut body = json!({
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "type": kind,
        "biz_opaque_callback_data": message.client_id,
    });
    // Meta's own id of a person is never a phone number: in `to` it would vanish without a word.
    if address::is_user(&message.to) {
        body["recipient"] = json!(message.to);
    } else {
        // Without the plus, Meta may put the country code of the business in front.
        body["to"] = json!(format!("+{}", message.to.trim_start_matches('+')));
    }
    body[kind] = value;
    if let Some(id) = reply_to {
        body["context"] = json!({"message_id": id});
    }
    body
}

#[cfg(test)]
mod tests;
