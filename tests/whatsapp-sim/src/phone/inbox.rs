//! What a phone saw, in words a test can compare.

use std::collections::HashMap;

use wacore_binary::Jid;
use waproto::whatsapp as wa;

use crate::world::DeviceId;

/// A message that a phone received, or one of its own account's.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Received {
    /// The message id.
    pub id: String,
    /// Who sent it: a number.
    pub from: String,
    /// In which chat: a JID.
    pub chat: String,
    /// Its own account sent it.
    pub from_me: bool,
    /// text, image, video, audio, document, sticker, reaction, edit, revoke, other.
    pub kind: &'static str,
    /// The text, the caption, the emoji, or the new text of an edit.
    pub text: Option<String>,
    /// The message that is answered, reacted to, edited or revoked.
    pub target: Option<String>,
    /// The numbers or JIDs it mentions.
    pub mentions: Vec<String>,
    /// The media of the message.
    pub media: Option<Media>,
    /// How often it arrived.
    pub copies: u32,
    /// Seconds since 1970.
    pub at: u64,
    /// The message itself, as protobuf.
    #[serde(skip)]
    pub message: Vec<u8>,
}

/// What a message says about its media.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Media {
    /// The digest of the file, hex.
    pub sha256: String,
    /// Size of the file in bytes.
    pub size: u64,
    /// MIME type of the file.
    pub mime: String,
    /// Name of the file.
    pub name: Option<String>,
    /// Whether it is a voice note.
    pub voice: bool,
    /// Its path on the media host.
    pub path: Option<String>,
}

/// Somebody is typing or recording, or has stopped.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ChatState {
    /// The phone number.
    pub from: String,
    /// composing, recording, paused.
    pub state: String,
}

/// A receipt for a message of the phone's account.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct SeenReceipt {
    /// Id of the message.
    pub id: String,
    /// The device that sent it.
    pub from: String,
    /// delivery, inactive, read, played…
    pub kind: String,
}

/// Everything a phone saw.
#[derive(Default)]
pub struct Seen {
    messages: Vec<Received>,
    by_id: HashMap<(String, String), usize>,
    origins: HashMap<String, (Jid, Option<Jid>)>,
    chat_states: Vec<ChatState>,
    receipts: Vec<SeenReceipt>,
    retries: HashMap<String, u32>,
    failures: Vec<(String, String)>,
    duplicates: u64,
}

impl Seen {
    /// The messages, oldest first.
    pub fn messages(&self) -> &[Received] {
        &self.messages
    }

    /// Who typed, oldest first.
    pub fn chat_states(&self) -> &[ChatState] {
        &self.chat_states
    }

    /// The receipts for messages of the account, oldest first.
    pub fn receipts(&self) -> &[SeenReceipt] {
        &self.receipts
    }

    /// Messages that could not be decrypted, with why.
    pub fn failures(&self) -> &[(String, String)] {
        &self.failures
    }

    /// How many ciphertexts arrived a second time.
    pub fn duplicates(&self) -> u64 {
        self.duplicates
    }

    pub(super) fn note(&mut self, received: Received) {
        let key = (received.from.clone(), received.id.clone());
        if let Some(index) = self.by_id.get(&key) {
            self.messages[*index].copies += 1;
            return;
        }
        self.by_id.insert(key, self.messages.len());
        self.messages.push(received);
    }

    pub(super) fn note_from(&mut self, received: Received, from: Jid, participant: Option<Jid>) {
        if !received.from_me {
            self.origins.insert(received.id.clone(), (from, participant));
        }
        self.note(received);
    }

    pub(super) fn origin(&self, id: &str) -> Option<(Jid, Option<Jid>)> {
        self.origins.get(id).cloned()
    }

    pub(super) fn typed(&mut self, state: ChatState) {
        self.chat_states.push(state);
    }

    pub(super) fn receipt(&mut self, id: &str, from: &DeviceId, kind: &str) {
        let kind = if kind.is_empty() { "delivery" } else { kind };
        self.receipts.push(SeenReceipt { id: id.to_owned(), from: from.to_string(), kind: kind.to_owned() });
    }

    pub(super) fn failed(&mut self, id: &str, why: &str, again: bool) {
        if again {
            self.duplicates += 1;
        } else {
            self.failures.push((id.to_owned(), why.to_owned()));
        }
    }

    /// How often this message was asked for again, this time included.
    pub(super) fn retries(&mut self, id: &str) -> u32 {
        let count = self.retries.entry(id.to_owned()).or_default();
        *count += 1;
        *count
    }
}

/// Nothing but keys: no message for a person.
pub(super) fn is_empty_but_for_keys(message: &wa::Message) -> bool {
    let mut rest = message.clone();
    rest.sender_key_distribution_message = Default::default();
    rest.message_context_info = Default::default();
    waproto::codec::message_encoded_len(&rest) == 0
}

/// Describes a message that was there at `at`, in seconds since 1970.
pub(super) fn describe(id: &str, from: &str, chat: &Jid, from_me: bool, message: &wa::Message, at: u64) -> Received {
    let mut received = Received {
        id: id.to_owned(),
        from: from.to_owned(),
        chat: chat.to_string(),
        from_me,
        kind: "other",
        text: None,
        target: None,
        mentions: Vec::new(),
        media: None,
        copies: 1,
        at,
        message: waproto::codec::message_to_vec(message),
    };
    content(message, &mut received);
    received
}

fn content(message: &wa::Message, received: &mut Received) {
    if let Some(text) = &message.conversation {
        received.kind = "text";
        received.text = Some(text.clone());
    } else if let Some(extended) = message.extended_text_message.as_option() {
        received.kind = "text";
        received.text.clone_from(&extended.text);
        context(extended.context_info.as_option(), received);
    } else if let Some(image) = message.image_message.as_option() {
        received.kind = "image";
        received.text.clone_from(&image.caption);
        context(image.context_info.as_option(), received);
        received.media = Some(media(&image.file_sha256, image.file_length, &image.mimetype, &image.direct_path));
    } else if let Some(video) = message.video_message.as_option() {
        received.kind = "video";
        received.text.clone_from(&video.caption);
        context(video.context_info.as_option(), received);
        received.media = Some(media(&video.file_sha256, video.file_length, &video.mimetype, &video.direct_path));
    } else if let Some(audio) = message.audio_message.as_option() {
        received.kind = "audio";
        context(audio.context_info.as_option(), received);
        let media = media(&audio.file_sha256, audio.file_length, &audio.mimetype, &audio.direct_path);
        received.media = Some(Media { voice: audio.ptt.unwrap_or(false), ..media });
    } else if let Some(document) = message.document_message.as_option() {
        received.kind = "document";
        received.text.clone_from(&document.caption);
        context(document.context_info.as_option(), received);
        let media = media(&document.file_sha256, document.file_length, &document.mimetype, &document.direct_path);
        received.media = Some(Media { name: document.file_name.clone(), ..media });
    } else if let Some(sticker) = message.sticker_message.as_option() {
        received.kind = "sticker";
        received.media =
            Some(media(&sticker.file_sha256, sticker.file_length, &sticker.mimetype, &sticker.direct_path));
    } else if let Some(reaction) = message.reaction_message.as_option() {
        received.kind = "reaction";
        received.text.clone_from(&reaction.text);
        received.target = reaction.key.as_option().and_then(|key| key.id.clone());
    } else if let Some(inner) =
        message.document_with_caption_message.as_option().and_then(|wrapper| wrapper.message.as_option())
    {
        content(inner, received);
    } else if let Some(inner) = message.edited_message.as_option().and_then(|wrapper| wrapper.message.as_option()) {
        content(inner, received);
    } else if let Some(protocol) = message.protocol_message.as_option() {
        use wa::message::protocol_message::Type;
        received.target = protocol.key.as_option().and_then(|key| key.id.clone());
        match protocol.r#type {
            Some(Type::REVOKE) => received.kind = "revoke",
            Some(Type::MESSAGE_EDIT) => {
                if let Some(edited) = protocol.edited_message.as_option() {
                    content(edited, received);
                }
                received.target = protocol.key.as_option().and_then(|key| key.id.clone());
                received.kind = "edit";
            }
            _ => {}
        }
    }
}

fn context(context: Option<&wa::ContextInfo>, received: &mut Received) {
    let Some(context) = context else { return };
    received.target.clone_from(&context.stanza_id);
    received.mentions.clone_from(&context.mentioned_jid);
}

fn media(sha256: &Option<Vec<u8>>, size: Option<u64>, mime: &Option<String>, path: &Option<String>) -> Media {
    Media {
        sha256: hex::encode(sha256.as_deref().unwrap_or_default()),
        size: size.unwrap_or(0),
        mime: mime.clone().unwrap_or_default(),
        name: None,
        voice: false,
        path: path.clone(),
    }
}
