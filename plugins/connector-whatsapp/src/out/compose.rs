//! Builds the protocol's message for each piece. Addresses are passed in; none is looked up here.

use wacore::proto_helpers::build_reaction_message;
use wacore_binary::Jid;
use waproto::buffa::MessageField;
use waproto::whatsapp::{self as wa, message};

use crate::media::{Kind, Uploaded};

/// A message that another one answers.
#[derive(Clone, Debug)]
pub(crate) struct Quoted {
    pub(crate) id: String,
    pub(crate) author: Jid,
    pub(crate) text: String,
}

/// What a message says about others.
#[derive(Clone, Debug, Default)]
pub(crate) struct Context {
    pub(crate) quoted: Option<Quoted>,
    pub(crate) mentioned: Vec<Jid>,
}

impl Context {
    fn info(&self) -> MessageField<wa::ContextInfo> {
        if self.quoted.is_none() && self.mentioned.is_empty() {
            return MessageField::default();
        }
        let mut info = wa::ContextInfo {
            mentioned_jid: self.mentioned.iter().map(Jid::to_non_ad_string).collect(),
            ..Default::default()
        };
        if let Some(quoted) = &self.quoted {
            info.stanza_id = Some(quoted.id.clone());
            info.participant = Some(quoted.author.to_non_ad_string());
            // Apps show a quotation only where there is a message in it.
            info.quoted_message =
                MessageField::some(wa::Message { conversation: Some(quoted.text.clone()), ..Default::default() });
        }
        MessageField::some(info)
    }
}

/// A message that something is done to.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) chat: Jid,
    pub(crate) id: String,
    pub(crate) from_me: bool,
    /// Its writer, in a group.
    pub(crate) participant: Option<Jid>,
}

impl Key {
    fn proto(self) -> wa::MessageKey {
        wa::MessageKey {
            remote_jid: Some(self.chat.to_non_ad_string()),
            from_me: Some(self.from_me),
            id: Some(self.id),
            participant: self.participant.map(|jid| jid.to_non_ad_string()),
        }
    }
}

/// A message of text alone; with a context (a reply, mentions) it needs the longer form.
pub(crate) fn text(text: String, context: &Context) -> wa::Message {
    let info = context.info();
    if info.is_unset() {
        return wa::Message { conversation: Some(text), ..Default::default() };
    }
    wa::Message {
        extended_text_message: MessageField::some(message::ExtendedTextMessage {
            text: Some(text),
            context_info: info,
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// A file that was uploaded.
#[derive(Clone, Debug)]
pub(crate) struct File<'a> {
    pub(crate) kind: Kind,
    pub(crate) uploaded: &'a Uploaded,
    pub(crate) filename: &'a str,
    pub(crate) content_type: &'a str,
    pub(crate) caption: Option<String>,
}

/// A message with a file.
pub(crate) fn file(file: File<'_>, context: &Context) -> wa::Message {
    let File { kind, uploaded: up, filename, content_type, caption } = file;
    let look = &up.look;
    let (width, height) = look.size.unzip();
    let (seconds, jpeg_thumbnail) = (look.seconds, look.thumbnail.clone());
    // The same fields in each kind of message, which are types of their own.
    macro_rules! of {
        ($kind:ident { $($field:ident $(: $value:expr)?),* $(,)? }) => {
            MessageField::some(message::$kind {
                url: Some(up.url.clone()),
                direct_path: Some(up.direct_path.clone()),
                media_key: Some(up.key.to_vec()),
                media_key_timestamp: Some(up.key_at_secs),
                file_sha256: Some(up.sha256.to_vec()),
                file_enc_sha256: Some(up.encrypted_sha256.to_vec()),
                file_length: Some(up.size),
                context_info: context.info(),
                $($field $(: $value)?,)*
                ..Default::default()
            })
        };
    }
    let mimetype = Some(mimetype(kind, content_type));
    let mut message = wa::Message::default();
    match kind {
        Kind::Image => message.image_message = of!(ImageMessage { mimetype, caption, width, height, jpeg_thumbnail }),
        Kind::Video => {
            message.video_message = of!(VideoMessage {
                mimetype,
                caption,
                width,
                height,
                jpeg_thumbnail,
                seconds,
                streaming_sidecar: up.sidecar.clone(),
            });
        }
        Kind::Audio | Kind::Voice => {
            message.audio_message = of!(AudioMessage {
                mimetype,
                seconds,
                ptt: Some(kind == Kind::Voice),
                waveform: look.waveform.clone().filter(|_| kind == Kind::Voice),
                streaming_sidecar: up.sidecar.clone(),
            });
        }
        Kind::Document => {
            let document = of!(DocumentMessage {
                mimetype,
                caption: caption.clone(),
                file_name: Some(filename.to_owned()),
                title: Some(filename.to_owned()),
            });
            if caption.is_some() {
                // Apps show the caption of a document only inside this wrapper.
                message.document_with_caption_message = MessageField::some(message::FutureProofMessage {
                    message: MessageField::some(wa::Message { document_message: document, ..Default::default() }),
                });
            } else {
                message.document_message = document;
            }
        }
    }
    message
}

fn mimetype(kind: Kind, content_type: &str) -> String {
    match kind {
        // Apps play Opus only under this very name.
        Kind::Audio | Kind::Voice
            if content_type.starts_with("audio/ogg") || content_type.starts_with("audio/opus") =>
        {
            "audio/ogg; codecs=opus".to_owned()
        }
        _ if content_type.trim().is_empty() => "application/octet-stream".to_owned(),
        _ => content_type.to_owned(),
    }
}

/// A reaction, or with an empty `emoji` the end of one.
pub(crate) fn reaction(key: Key, emoji: &str, now_millis: i64) -> wa::Message {
    build_reaction_message(key.proto(), emoji, now_millis)
}

/// A new text for an own message.
pub(crate) fn edit(key: Key, text: wa::Message, now_millis: i64) -> wa::Message {
    protocol(message::ProtocolMessage {
        key: MessageField::some(key.proto()),
        r#type: Some(message::protocol_message::Type::MessageEdit),
        edited_message: MessageField::some(text),
        timestamp_ms: Some(now_millis),
        ..Default::default()
    })
}

/// The deletion of a message, for everyone.
pub(crate) fn revoke(key: Key) -> wa::Message {
    protocol(message::ProtocolMessage {
        key: MessageField::some(key.proto()),
        r#type: Some(message::protocol_message::Type::Revoke),
        ..Default::default()
    })
}

fn protocol(content: message::ProtocolMessage) -> wa::Message {
    wa::Message { protocol_message: MessageField::some(content), ..Default::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::Look;
    use wacore::types::message::EditAttribute;

    fn jid(text: &str) -> Jid {
        text.parse().expect("a jid")
    }

    fn uploaded() -> Uploaded {
        Uploaded {
            url: "https://h/p".into(),
            direct_path: "/p".into(),
            key: [1; 32],
            key_at_secs: 5,
            sha256: [2; 32],
            encrypted_sha256: [3; 32],
            size: 77,
            sidecar: Some(vec![4; 10]),
            look: Look {
                size: Some((640, 480)),
                thumbnail: Some(vec![5; 8]),
                seconds: Some(3),
                waveform: Some(vec![50; 64]),
            },
        }
    }

    fn a_file<'a>(kind: Kind, uploaded: &'a Uploaded, content_type: &'a str, caption: Option<&str>) -> File<'a> {
        File { kind, uploaded, filename: "f.bin", content_type, caption: caption.map(str::to_owned) }
    }

    #[test]
    fn a_plain_text_is_plain_and_a_reply_quotes() {
        assert_eq!(text("*hi*".into(), &Context::default()).conversation.as_deref(), Some("*hi*"));
        let context = Context {
            quoted: Some(Quoted { id: "Q".into(), author: jid("100:4@lid"), text: "before".into() }),
            mentioned: vec![jid("200@lid")],
        };
        let message = text("yes @200".into(), &context);
        let extended = message.extended_text_message.as_option().expect("extended");
        let info = extended.context_info.as_option().expect("context");
        assert_eq!(extended.text.as_deref(), Some("yes @200"));
        assert_eq!((info.stanza_id.as_deref(), info.participant.as_deref()), (Some("Q"), Some("100@lid")));
        assert_eq!(info.mentioned_jid, ["200@lid"]);
        assert_eq!(info.quoted_message.as_option().and_then(|m| m.conversation.as_deref()), Some("before"));
    }

    #[test]
    fn files_carry_what_is_needed_to_fetch_them() {
        let up = uploaded();
        let image = file(a_file(Kind::Image, &up, "image/png", Some("look")), &Context::default());
        let image = image.image_message.as_option().expect("an image");
        assert_eq!(
            (image.caption.as_deref(), image.mimetype.as_deref(), image.file_length),
            (Some("look"), Some("image/png"), Some(77))
        );
        assert_eq!((image.media_key.as_deref(), image.direct_path.as_deref()), (Some(&[1u8; 32][..]), Some("/p")));
        assert!(image.context_info.is_unset());
        assert_eq!((image.width, image.height), (Some(640), Some(480)));
        assert_eq!(image.jpeg_thumbnail.as_deref(), Some(&[5u8; 8][..]));

        let video = file(a_file(Kind::Video, &up, "video/mp4", None), &Context::default());
        let video = video.video_message.as_option().expect("a video");
        assert_eq!(video.streaming_sidecar.as_deref(), Some(&[4u8; 10][..]));
        assert_eq!((video.width, video.height, video.seconds), (Some(640), Some(480), Some(3)));

        for (kind, content_type, ptt, mimetype) in [
            (Kind::Voice, "audio/ogg", true, "audio/ogg; codecs=opus"),
            (Kind::Audio, "audio/mpeg", false, "audio/mpeg"),
            (Kind::Voice, "audio/mpeg", true, "audio/mpeg"),
        ] {
            let audio = file(a_file(kind, &up, content_type, None), &Context::default());
            let audio = audio.audio_message.as_option().expect("audio");
            assert_eq!((audio.ptt, audio.mimetype.as_deref(), audio.seconds), (Some(ptt), Some(mimetype), Some(3)));
            assert_eq!(audio.waveform.is_some(), ptt, "only what is spoken has one");
        }
    }

    #[test]
    fn a_document_with_a_caption_is_wrapped() {
        let up = uploaded();
        let bare = file(a_file(Kind::Document, &up, "", None), &Context::default());
        let document = bare.document_message.as_option().expect("a document");
        assert_eq!(
            (document.file_name.as_deref(), document.mimetype.as_deref()),
            (Some("f.bin"), Some("application/octet-stream"))
        );
        let captioned = file(a_file(Kind::Document, &up, "application/pdf", Some("read")), &Context::default());
        assert!(captioned.document_message.is_unset());
        let inner =
            captioned.document_with_caption_message.as_option().and_then(|w| w.message.as_option()).expect("wrapped");
        assert_eq!(inner.document_message.as_option().and_then(|d| d.caption.as_deref()), Some("read"));
    }

    #[test]
    fn the_library_tells_what_is_done_to_a_message() {
        let key = |from_me| Key {
            chat: jid("1-2@g.us"),
            id: "K".into(),
            from_me,
            participant: (!from_me).then(|| jid("100:3@lid")),
        };
        for (message, attribute) in [
            (reaction(key(false), "👍", 1), None),
            (reaction(key(false), "", 1), Some(EditAttribute::SenderRevoke)),
            (edit(key(true), text("new".into(), &Context::default()), 1), Some(EditAttribute::MessageEdit)),
            (revoke(key(true)), Some(EditAttribute::SenderRevoke)),
            (revoke(key(false)), Some(EditAttribute::AdminRevoke)),
        ] {
            assert_eq!(EditAttribute::infer_from_message(&message), attribute);
        }
        let message = revoke(key(false));
        let proto = message.protocol_message.as_option().and_then(|p| p.key.as_option()).expect("a key");
        assert_eq!(
            (proto.participant.as_deref(), proto.remote_jid.as_deref(), proto.from_me),
            (Some("100@lid"), Some("1-2@g.us"), Some(false))
        );
    }
}
