//! What a connector receives: messages of others, as its channel knows them.

use serde::{Deserialize, Serialize};

use super::Attachment;
use crate::Timestamp;

/// A received message, or one that the account sent from another of its devices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inbound {
    /// The channel's id for it, unique within (chat, sender).
    pub provider_id: String,
    /// The conversation: a contact's or a group's address.
    pub chat: String,
    /// Who wrote it.
    pub sender: String,
    /// The name that the sender gave himself.
    pub sender_name: Option<String>,
    /// Written by the connector's own account.
    pub from_me: bool,
    /// Whether `chat` is a group.
    pub is_group: bool,
    /// The provider id of the message it answers.
    pub reply_to: Option<String>,
    /// Addresses mentioned in the text.
    pub mentions: Vec<String>,
    /// When the sender sent it.
    pub sent_at: Timestamp,
    /// What it says.
    pub content: InboundContent,
}

/// What a received message says. Stored: variants are only ever added, at the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum InboundContent {
    /// Text.
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
    /// Something else: a kind and JSON.
    Other(String, String),
}

/// What sort of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum MediaKind {
    /// A picture.
    Image,
    /// A film.
    Video,
    /// Sound.
    Audio,
    /// A voice note.
    Voice,
    /// Any file.
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
    /// What sort.
    pub kind: MediaKind,
    /// How far its bytes are.
    pub media: MediaState,
    /// Its name, where the sender gave one.
    pub file_name: Option<String>,
    /// MIME type.
    pub content_type: String,
    /// Bytes, where the channel says.
    pub size: Option<u64>,
    /// The text that came with it.
    pub caption: Option<String>,
}

/// How far the bytes of a received file are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum MediaState {
    /// The connector is fetching them; an [`super::event::EventBody::Media`] follows.
    Pending,
    /// They are in the media store.
    Ready(Attachment),
    /// They cannot be had; says why.
    Failed(String),
}
