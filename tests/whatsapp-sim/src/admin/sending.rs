//! What a phone sends when the admin says so.

use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};
use wacore::download::MediaType;
use wacore::proto_helpers::{MessageBuilderExt, MessageExt, build_reaction_message};
use wacore::upload::encrypt_media;
use wacore_binary::{Jid, JidExt};
use waproto::buffa::MessageField;
use waproto::whatsapp as wa;

use super::{Refused, chat};
use crate::media::{self, Purpose};
use crate::phone::{self, Received};
use crate::world::World;

/// A message of a phone: `to` and one of `text`, `media`, `reaction`, `edit`, `revoke`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Sending {
    /// A number, or a chat's JID.
    to: String,
    /// The id it shall have.
    #[serde(default)]
    id: Option<String>,
    /// The body.
    #[serde(default)]
    text: Option<String>,
    /// The numbers it mentions.
    #[serde(default)]
    mentions: Vec<String>,
    /// The id of the message it answers.
    #[serde(default)]
    reply_to: Option<String>,
    /// A file.
    #[serde(default)]
    media: Option<Media>,
    /// A reaction to a message; an empty emoji takes it back.
    #[serde(default)]
    reaction: Option<Reaction>,
    /// A new text for a message of the phone.
    #[serde(default)]
    edit: Option<Edit>,
    /// A message of the phone that it takes back.
    #[serde(default)]
    revoke: Option<Revoke>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Media {
    kind: Kind,
    /// The bytes.
    base64: String,
    #[serde(default)]
    mime: Option<String>,
    #[serde(default)]
    caption: Option<String>,
    #[serde(default)]
    file_name: Option<String>,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Image,
    Video,
    Audio,
    Voice,
    Document,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reaction {
    id: String,
    emoji: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Edit {
    id: String,
    text: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Revoke {
    id: String,
}

pub(super) async fn send(world: &Arc<World>, phone: &str, asked: Sending) -> Result<Value, Refused> {
    let to = chat(&asked.to)?;
    let message = build(world, phone, &to, &asked)?;
    let id = phone::send(world, phone, &to, message, asked.id).await?;
    Ok(json!({ "id": id, "to": to.to_string() }))
}

fn build(world: &World, phone: &str, to: &Jid, asked: &Sending) -> Result<wa::Message, Refused> {
    let kinds = [
        asked.text.is_some(),
        asked.media.is_some(),
        asked.reaction.is_some(),
        asked.edit.is_some(),
        asked.revoke.is_some(),
    ];
    if kinds.into_iter().filter(|given| *given).count() != 1 {
        return Err(Refused::bad("give exactly one of text, media, reaction, edit, revoke"));
    }
    let mut message = if let Some(text) = &asked.text {
        wa::Message::text(text.as_str())
    } else if let Some(media) = &asked.media {
        upload(world, media)?
    } else if let Some(reaction) = &asked.reaction {
        let original = find(world, phone, &reaction.id)?;
        build_reaction_message(key(to, &original), reaction.emoji.as_str(), world.now() as i64 * 1000)
    } else {
        return protocol(world, phone, to, asked);
    };
    let mentions = asked.mentions.iter().map(|m| Ok(chat(m)?.to_string())).collect::<Result<Vec<_>, Refused>>()?;
    if asked.reply_to.is_none() && mentions.is_empty() {
        return Ok(message);
    }
    let mut context = wa::ContextInfo { mentioned_jid: mentions, ..Default::default() };
    if let Some(id) = &asked.reply_to {
        let original = find(world, phone, id)?;
        let quoted = waproto::codec::message_decode(&original.message)
            .map_err(|e| Refused::bad(format!("message {id} cannot be quoted: {e}")))?;
        context.stanza_id = Some(id.clone());
        context.participant = Some(sender(&original));
        context.quoted_message = MessageField::from_box(quoted.prepare_for_quote());
    }
    message.set_context_info(context);
    Ok(message)
}

/// An edit or a revoke.
fn protocol(world: &World, phone: &str, to: &Jid, asked: &Sending) -> Result<wa::Message, Refused> {
    use wa::message::protocol_message::Type;
    let (id, kind, edited) = match (&asked.edit, &asked.revoke) {
        (Some(edit), _) => (&edit.id, Type::MESSAGE_EDIT, MessageField::some(wa::Message::text(edit.text.as_str()))),
        (None, Some(revoke)) => (&revoke.id, Type::REVOKE, MessageField::none()),
        (None, None) => return Err(Refused::bad("there is nothing to send")),
    };
    let original = find(world, phone, id)?;
    let protocol = wa::message::ProtocolMessage {
        key: MessageField::some(key(to, &original)),
        r#type: Some(kind),
        edited_message: edited,
        timestamp_ms: Some(world.now() as i64 * 1000),
        ..Default::default()
    };
    Ok(wa::Message { protocol_message: MessageField::some(protocol), ..Default::default() })
}

fn find(world: &World, phone: &str, id: &str) -> Result<Received, Refused> {
    phone::with_seen(world, phone, |seen| seen.messages().iter().find(|m| m.id == id).cloned())?
        .ok_or_else(|| Refused { status: 404, reason: format!("the phone knows no message {id}") })
}

fn key(chat: &Jid, original: &Received) -> wa::MessageKey {
    wa::MessageKey {
        remote_jid: Some(chat.to_string()),
        from_me: Some(original.from_me),
        id: Some(original.id.clone()),
        participant: chat.is_group().then(|| sender(original)),
    }
}

fn sender(original: &Received) -> String {
    Jid::pn(original.from.as_str()).to_string()
}

/// Encrypts a file and puts it on the media host.
fn upload(world: &World, media: &Media) -> Result<wa::Message, Refused> {
    let bytes = BASE64_STANDARD
        .decode(media.base64.as_bytes())
        .map_err(|e| Refused::bad(format!("media.base64 is not base64: {e}")))?;
    let media_type = match media.kind {
        Kind::Image => MediaType::Image,
        Kind::Video => MediaType::Video,
        Kind::Audio | Kind::Voice => MediaType::Audio,
        Kind::Document => MediaType::Document,
    };
    let failed = |e: anyhow::Error| Refused { status: 500, reason: format!("the file cannot be encrypted: {e:#}") };
    let encrypted = encrypt_media(&bytes, media_type).map_err(failed)?;
    let direct_path = world.media.put(world, encrypted.data_to_upload.into(), Purpose::Message);
    let upload = Upload {
        url: Some(media::url(world, &direct_path)),
        direct_path: Some(direct_path),
        media_key: Some(encrypted.media_key.to_vec()),
        file_sha256: Some(encrypted.file_sha256.to_vec()),
        file_enc_sha256: Some(encrypted.file_enc_sha256.to_vec()),
        file_length: Some(bytes.len() as u64),
        media_key_timestamp: Some(world.now() as i64),
    };
    Ok(upload.message(media))
}

struct Upload {
    url: Option<String>,
    direct_path: Option<String>,
    media_key: Option<Vec<u8>>,
    file_sha256: Option<Vec<u8>>,
    file_enc_sha256: Option<Vec<u8>>,
    file_length: Option<u64>,
    media_key_timestamp: Option<i64>,
}

impl Upload {
    fn message(self, media: &Media) -> wa::Message {
        let mime = |usual: &str| Some(media.mime.clone().unwrap_or_else(|| usual.to_owned()));
        macro_rules! fields {
            ($message:ident, $mime:expr $(, $field:ident: $value:expr)*) => {
                wa::message::$message {
                    url: self.url,
                    direct_path: self.direct_path,
                    media_key: self.media_key,
                    file_sha256: self.file_sha256,
                    file_enc_sha256: self.file_enc_sha256,
                    file_length: self.file_length,
                    media_key_timestamp: self.media_key_timestamp,
                    mimetype: mime($mime),
                    $($field: $value,)*
                    ..Default::default()
                }
            };
        }
        let mut message = wa::Message::default();
        let caption = media.caption.clone();
        match media.kind {
            Kind::Image => {
                message.image_message = MessageField::some(fields!(ImageMessage, "image/jpeg", caption: caption));
            }
            Kind::Video => {
                message.video_message = MessageField::some(fields!(VideoMessage, "video/mp4", caption: caption));
            }
            Kind::Audio => {
                message.audio_message = MessageField::some(fields!(AudioMessage, "audio/mpeg"));
            }
            Kind::Voice => {
                message.audio_message =
                    MessageField::some(fields!(AudioMessage, "audio/ogg; codecs=opus", ptt: Some(true)));
            }
            Kind::Document => {
                message.document_message = MessageField::some(fields!(
                    DocumentMessage,
                    "application/octet-stream",
                    caption: caption,
                    file_name: media.file_name.clone()
                ));
            }
        }
        message
    }
}
