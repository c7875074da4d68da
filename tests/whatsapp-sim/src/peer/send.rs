//! What a peer sends. Every method returns the message id; that the server took it is told by [`Peer::ack`], that it
//! arrived by [`Peer::receipt`].

use wacore::download::MediaType;
use wacore::proto_helpers::{MessageBuilderExt, MessageExt};
use wacore_binary::{Jid, JidExt};
use waproto::buffa::MessageField;
use waproto::whatsapp as wa;
use whatsapp_rust::features::{MediaRetryResult, MediaReuploadRequest};
use whatsapp_rust::media::{self, AudioOptions, DocumentOptions, ImageOptions, VideoOptions};
use whatsapp_rust::upload::UploadOptions;
use whatsapp_rust::{RevokeType, SendOptions};

use super::{Error, Media, Peer, Received, client_error, record};

/// A text with a context.
#[derive(Debug, Clone, Default)]
pub struct Text<'a> {
    /// The body. A mention is written into it as `@` and the number.
    pub body: &'a str,
    /// The message that it replies to.
    pub reply_to: Option<&'a Received>,
    /// The addresses that it mentions.
    pub mentions: Vec<Jid>,
}

/// Bytes to send, by kind.
#[derive(Debug, Clone)]
pub enum Attachment<'a> {
    /// A JPEG picture.
    Image {
        /// Text below it.
        caption: Option<&'a str>,
    },
    /// An MP4 video.
    Video {
        /// Text below it.
        caption: Option<&'a str>,
    },
    /// Ogg Opus as a voice note.
    VoiceNote {
        /// Its duration.
        seconds: u32,
    },
    /// An audio file.
    Audio,
    /// A document.
    Document {
        /// Name of the file.
        file_name: &'a str,
        /// MIME type of the file.
        mime: &'a str,
        /// Text below it.
        caption: Option<&'a str>,
    },
}

impl Peer {
    /// Sends a plain text.
    pub async fn send_text(&self, to: &Jid, body: &str) -> Result<String, Error> {
        self.send_message(to, wa::Message::text(body)).await
    }

    /// Sends a text under an id of the caller's choice: sent twice with one id, it is one message.
    pub async fn send_text_as(&self, to: &Jid, body: &str, id: &str) -> Result<String, Error> {
        let options = SendOptions::default().with_message_id(id);
        let sent = self
            .client()?
            .send_message_with_options(to, wa::Message::text(body), options)
            .await
            .map_err(client_error("send"))?;
        Ok(sent.message_id)
    }

    /// Sends a text that answers or mentions.
    pub async fn send_rich_text(&self, to: &Jid, text: Text<'_>) -> Result<String, Error> {
        let mut context = wa::ContextInfo {
            mentioned_jid: text.mentions.iter().map(ToString::to_string).collect(),
            ..Default::default()
        };
        if let Some(original) = text.reply_to {
            context.stanza_id = Some(original.id.clone());
            context.participant = Some(original.sender.clone());
            context.quoted_message = MessageField::from_box(original.message.prepare_for_quote());
        }
        self.send_message(to, wa::Message::text_with_context(text.body, context)).await
    }

    /// Sends any message.
    pub async fn send_message(&self, to: &Jid, message: wa::Message) -> Result<String, Error> {
        let sent = self.client()?.send_message(to, message).await.map_err(client_error("send"))?;
        Ok(sent.message_id)
    }

    /// Uploads bytes and sends them.
    pub async fn send_media(&self, to: &Jid, bytes: Vec<u8>, what: Attachment<'_>) -> Result<String, Error> {
        let media_type = match what {
            Attachment::Image { .. } => MediaType::Image,
            Attachment::Video { .. } => MediaType::Video,
            Attachment::VoiceNote { .. } | Attachment::Audio => MediaType::Audio,
            Attachment::Document { .. } => MediaType::Document,
        };
        let upload =
            self.client()?.upload(bytes, media_type, UploadOptions::new()).await.map_err(client_error("upload"))?;
        let message = match what {
            Attachment::Image { caption } => {
                media::image_message(upload, ImageOptions { caption: caption.map(str::to_owned), ..Default::default() })
            }
            Attachment::Video { caption } => {
                media::video_message(upload, VideoOptions { caption: caption.map(str::to_owned), ..Default::default() })
            }
            Attachment::VoiceNote { seconds } => media::audio_message(
                upload,
                AudioOptions { ptt: Some(true), duration_seconds: Some(seconds), ..Default::default() },
            ),
            Attachment::Audio => media::audio_message(
                upload,
                AudioOptions { mimetype: Some("audio/mpeg".to_owned()), ..Default::default() },
            ),
            Attachment::Document { file_name, mime, caption } => media::document_message(
                upload,
                DocumentOptions {
                    file_name: Some(file_name.to_owned()),
                    mimetype: Some(mime.to_owned()),
                    caption: caption.map(str::to_owned),
                    ..Default::default()
                },
            ),
        };
        self.send_message(to, message).await
    }

    /// Reacts to a received message; an empty emoji removes the reaction.
    pub async fn react(&self, to: &Received, emoji: &str) -> Result<String, Error> {
        let chat: Jid = to.chat.parse().map_err(client_error("read the chat"))?;
        let key = wa::MessageKey {
            remote_jid: Some(to.chat.clone()),
            from_me: Some(to.from_me),
            id: Some(to.id.clone()),
            participant: to.group.then(|| to.sender.clone()),
        };
        let sent = self.client()?.send_reaction(chat, key, emoji).await.map_err(client_error("react"))?;
        Ok(sent.message_id)
    }

    /// Gives a message of this peer another text.
    pub async fn edit(&self, chat: &Jid, id: &str, body: &str) -> Result<(), Error> {
        let content = wa::Message::text(body);
        self.client()?.edit_message(chat, id, content).await.map_err(client_error("edit"))?;
        Ok(())
    }

    /// Deletes a message of this peer for everyone.
    pub async fn revoke(&self, chat: &Jid, id: &str) -> Result<(), Error> {
        self.client()?.revoke_message(chat, id, RevokeType::Sender).await.map_err(client_error("revoke"))
    }

    /// Deletes somebody else's message in a group for everyone, as its admin.
    pub async fn revoke_as_admin(&self, message: &Received) -> Result<(), Error> {
        let chat: Jid = message.chat.parse().map_err(client_error("read the chat"))?;
        let original_sender: Jid = message.sender.parse().map_err(client_error("read the sender"))?;
        let kind = RevokeType::Admin { original_sender };
        self.client()?.revoke_message(chat, message.id.as_str(), kind).await.map_err(client_error("revoke"))
    }

    /// Marks a received message read.
    pub async fn mark_read(&self, message: &Received) -> Result<(), Error> {
        let (chat, sender) = receipt_address(message)?;
        self.client()?
            .mark_as_read(&chat, sender.as_ref(), &[message.id.as_str()])
            .await
            .map_err(client_error("mark read"))
    }

    /// Marks a received voice note played.
    pub async fn mark_played(&self, message: &Received) -> Result<(), Error> {
        let (chat, sender) = receipt_address(message)?;
        self.client()?
            .mark_as_played(&chat, sender.as_ref(), &[message.id.as_str()])
            .await
            .map_err(client_error("mark played"))
    }

    /// Shows that this peer is typing (`true`) or has stopped.
    pub async fn typing(&self, chat: &Jid, on: bool) -> Result<(), Error> {
        let client = self.client()?;
        let sent = match on {
            true => client.chatstate().send_composing(chat).await,
            false => client.chatstate().send_paused(chat).await,
        };
        sent.map_err(client_error("show typing"))
    }

    /// Shows that this peer records a voice note.
    pub async fn recording(&self, chat: &Jid) -> Result<(), Error> {
        self.client()?.chatstate().send_recording(chat).await.map_err(client_error("show recording"))
    }

    /// Shows this peer as available, which others need to see it typing.
    pub async fn available(&self) -> Result<(), Error> {
        self.client()?.presence().set_available().await.map_err(client_error("show available"))
    }

    /// Asks the server who these numbers are: the registered chat of each, or `None`.
    pub async fn on_whatsapp(&self, phones: &[&str]) -> Result<Vec<Option<Jid>>, Error> {
        let jids: Vec<Jid> = phones.iter().map(|p| Jid::pn(*p)).collect();
        let found = self.client()?.contacts().is_on_whatsapp(&jids).await.map_err(client_error("check contacts"))?;
        Ok(found.into_iter().map(|r| r.is_registered.then_some(r.jid)).collect())
    }

    /// Downloads a received message's media again.
    pub async fn download(&self, message: &Received) -> Result<Vec<u8>, Error> {
        let media = record::downloadable(&message.message)
            .ok_or(Error::Client { operation: "download", reason: "the message has no media".to_owned() })?;
        self.client()?.download(media).await.map_err(client_error("download"))
    }

    /// Asks for expired media to be uploaded again and downloads it from its new place.
    pub async fn download_expired(&self, message: &Received) -> Result<Media, Error> {
        let missing = |reason: &str| Error::Client { operation: "ask for the media again", reason: reason.to_owned() };
        let media = record::downloadable(&message.message).ok_or_else(|| missing("the message has no media"))?;
        let media_key = media.media_key().ok_or_else(|| missing("the media has no key"))?;
        let chat: Jid = message.chat.parse().map_err(client_error("read the chat"))?;
        let sender: Jid = message.sender.parse().map_err(client_error("read the sender"))?;
        let request = MediaReuploadRequest {
            msg_id: &message.id,
            chat_jid: &chat,
            media_key,
            is_from_me: message.from_me,
            participant: chat.is_group().then_some(&sender),
        };
        let client = self.client()?;
        let answer =
            client.media_reupload().request(&request).await.map_err(client_error("ask for the media again"))?;
        let MediaRetryResult::Success { direct_path } = answer else {
            return Ok(Media::Failed(format!("{answer:?}")));
        };
        let moved = whatsapp_rust::download::DownloadParams::encrypted(
            direct_path,
            media_key,
            media.file_sha256().unwrap_or_default(),
            media.file_enc_sha256().unwrap_or_default(),
            media.file_length().unwrap_or_default(),
            media.app_info(),
        );
        let bytes = client.download_from_params(&moved).await.map_err(client_error("download"))?;
        Ok(Media::Bytes { sha256: super::sha256(&bytes), size: bytes.len() })
    }
}

/// The chat, and in a group the sender, as a receipt names them.
fn receipt_address(message: &Received) -> Result<(Jid, Option<Jid>), Error> {
    let chat = message.chat.parse().map_err(client_error("read the chat"))?;
    let sender = match message.group {
        true => Some(message.sender.parse().map_err(client_error("read the sender"))?),
        false => None,
    };
    Ok((chat, sender))
}
