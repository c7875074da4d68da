//! Messages that a connector receives, in the form of its channel.

use serde::{Deserialize, Serialize};

use super::Attachment;
use crate::Timestamp;

/// A received message, or one that the account sent from another of its devices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inbound {
    /// The channel's id of the message, unique within (chat, sender).
    pub provider_id: String,
    /// The conversation: address of a contact or group.
    pub chat: String,
    /// Address of the sender.
    pub sender: String,
    /// Name that the sender goes by.
    pub sender_name: Option<String>,
    /// Whether the connector's own account wrote it.
    pub from_me: bool,
    /// Whether `chat` is a group.
    pub is_group: bool,
    /// Provider id of the message that it replies to.
    pub reply_to: Option<String>,
    /// Addresses mentioned in the text.
    pub mentions: Vec<String>,
    /// When it was sent.
    pub sent_at: Timestamp,
    /// Content of the message.
    pub content: InboundContent,
}

/// Content of a received message. It is stored: variants are only ever added, at the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum InboundContent {
    /// A text.
    Text(String),
    /// A file.
    Attachment(InboundAttachment),
    /// A place.
    Location {
        /// Degrees north, as the channel wrote them.
        latitude: String,
        /// Degrees east, as the channel wrote them.
        longitude: String,
        /// What it is called.
        name: Option<String>,
    },
    /// A reaction to an earlier message.
    Reaction {
        /// That message's provider id.
        to: String,
        /// Empty: the reaction is taken back.
        emoji: String,
    },
    /// A new text for an earlier message.
    Edit {
        /// That message's provider id.
        of: String,
        /// Its text now.
        text: String,
    },
    /// The message with this provider id was deleted for everyone.
    Revoke(String),
    /// Other content: a kind and JSON.
    Other(String, String),
}

/// Kind of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum MediaKind {
    /// A picture.
    Image,
    /// A video.
    Video,
    /// An audio file.
    Audio,
    /// A voice note.
    Voice,
    /// Any other file.
    Document,
    /// A sticker.
    Sticker,
}

impl MediaKind {
    /// Its name in the APIs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Video => "video",
            Self::Audio => "audio",
            Self::Voice => "voice",
            Self::Document => "document",
            Self::Sticker => "sticker",
        }
    }
}

/// A received file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InboundAttachment {
    /// Kind of file.
    pub kind: MediaKind,
    /// Whether its bytes are available.
    pub media: MediaState,
    /// Name of the file, if the sender gave one.
    pub file_name: Option<String>,
    /// MIME type.
    pub content_type: String,
    /// Size in bytes, if the channel reports it.
    pub size: Option<u64>,
    /// The text that came with it.
    pub caption: Option<String>,
}

/// Whether the bytes of a received file are available.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum MediaState {
    /// The connector is fetching them; an [`super::event::EventBody::Media`] follows.
    Pending,
    /// They are in the media store.
    Ready(Attachment),
    /// They cannot be fetched; says why.
    Failed(String),
}
