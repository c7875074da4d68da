//! A conversation's timeline: what was said in it, by either side, in one order. An entry of an own message is written with its first
//! attempt, with the text as it was rendered: being in the timeline means that it reached the other side, or may have.
//!
//! How far an own message came is not here: it follows from the message's state and receipts when it is read.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::inbound::{Inbound, InboundAttachment, InboundContent, MediaKind, MediaState};
use super::{Attachment, FileKind, NewMessage};
use crate::{MessageKey, Timestamp};

/// Maximum length of a preview, in characters.
pub const MAX_PREVIEW_CHARS: usize = 200;
/// Maximum number of reactions kept with an entry; a further one is left out.
pub const MAX_REACTIONS: usize = 500;

/// An entry as the store has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimelineItem {
    /// Its number: from 1, counted per tenant, never given again. Within a conversation it is the order.
    pub number: u64,
    /// Number of the conversation.
    pub conversation: u64,
    /// Public id: of an own message, the message's.
    pub id: Uuid,
    /// When the engine took it. Never decreases with the number within a conversation.
    pub at: Timestamp,
    /// How many messages the other side had written in the conversation, with this one.
    pub ordinal: u64,
    /// What was said.
    pub entry: TimelineEntry,
}

/// What was said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimelineEntry {
    /// Whether the connector's own account wrote it, with the engine or from another of its devices.
    pub from_me: bool,
    /// Address of the sender; `None` for a message that was sent with the engine.
    pub sender: Option<String>,
    /// Name that the sender goes by.
    pub sender_name: Option<String>,
    /// The channel's id, of a received message. That of an own one is in the message's state.
    pub provider_id: Option<String>,
    /// When it was written, according to the channel; of an own message, when its first attempt began.
    pub sent_at: Timestamp,
    /// The channel's id of the message that it replies to.
    pub reply_to: Option<String>,
    /// Addresses mentioned in the text.
    pub mentions: Vec<String>,
    /// Its content.
    pub content: EntryContent,
    /// Serial of the message, if it was sent with the engine.
    pub message: Option<u64>,
    /// The present reactions, one for each person; at most [`MAX_REACTIONS`].
    pub reactions: Vec<EntryReaction>,
    /// When its text was last changed.
    pub edited_at: Option<Timestamp>,
    /// When it was deleted for everyone.
    pub revoked_at: Option<Timestamp>,
}

/// Content of an entry. It is stored: variants are only ever added, at the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum EntryContent {
    /// Of a message that came from the channel. Never a reaction, an edit or a deletion: these change an entry.
    Received(InboundContent),
    /// Of a message that was sent with the engine.
    Sent {
        /// The text as it was rendered; `None` for a message of which only the template is known, which is rendered when it is read.
        text: Option<String>,
        /// The subject as it was rendered.
        subject: Option<String>,
        /// Files, in order.
        attachments: Vec<Attachment>,
        /// Whether audio was sent as a voice note.
        voice_note: bool,
        /// What the files were to be shown as; `None`: whatever their types say.
        file_kind: Option<FileKind>,
    },
    /// None any longer: the sender deleted it for everyone.
    Gone,
}

impl EntryContent {
    /// Of a message that is sent with the engine: what its text and subject were rendered to, and its files, with the one that was
    /// fetched from its URL.
    pub fn sent(message: &NewMessage, fetched: Option<&Attachment>, text: String, subject: Option<String>) -> Self {
        Self::Sent {
            text: Some(text),
            subject,
            attachments: message.attachments.iter().chain(fetched).cloned().collect(),
            voice_note: message.options.voice_note,
            file_kind: message.options.file_kind,
        }
    }
}

/// A reaction to an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryReaction {
    /// Address of the person; `None` for the connector's own account.
    pub by: Option<String>,
    /// The emoji.
    pub emoji: String,
    /// When the engine took it.
    pub at: Timestamp,
}

/// Kind of content of an entry, for lists. It is stored: variants are only ever added, at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum EntryKind {
    /// A text.
    Text,
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
    /// A place.
    Location,
    /// Anything else.
    Other,
    /// Nothing any longer: it was deleted for everyone.
    Revoked,
}

impl EntryKind {
    /// Its name in the APIs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Image => "image",
            Self::Video => "video",
            Self::Audio => "audio",
            Self::Voice => "voice",
            Self::Document => "document",
            Self::Sticker => "sticker",
            Self::Location => "location",
            Self::Other => "other",
            Self::Revoked => "revoked",
        }
    }

    /// The kind of a file with this MIME type.
    pub fn of_content_type(content_type: &str) -> Self {
        match content_type.split('/').next().unwrap_or_default() {
            "image" => Self::Image,
            "video" => Self::Video,
            "audio" => Self::Audio,
            _ => Self::Document,
        }
    }
}

impl From<FileKind> for EntryKind {
    fn from(kind: FileKind) -> Self {
        match kind {
            FileKind::Image => Self::Image,
            FileKind::Video => Self::Video,
            FileKind::Audio => Self::Audio,
            FileKind::Document => Self::Document,
        }
    }
}

impl From<MediaKind> for EntryKind {
    fn from(kind: MediaKind) -> Self {
        match kind {
            MediaKind::Image => Self::Image,
            MediaKind::Video => Self::Video,
            MediaKind::Audio => Self::Audio,
            MediaKind::Voice => Self::Voice,
            MediaKind::Document => Self::Document,
            MediaKind::Sticker => Self::Sticker,
        }
    }
}

/// What a message does to a timeline: it adds an entry, or changes one. The author of a change is `None` for the connector's own
/// account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::large_enum_variant, reason = "most add an entry: a box would cost each of them an allocation")]
pub enum TimelineAct {
    /// Adds an entry.
    Say(TimelineEntry),
    /// Sets or takes back somebody's reaction.
    React {
        /// The channel's id of the entry's message.
        to: String,
        /// Who reacts.
        by: Option<String>,
        /// The emoji; empty: the reaction is taken back.
        emoji: String,
    },
    /// Gives an entry a new text.
    Edit {
        /// The channel's id of the entry's message.
        of: String,
        /// Who edits.
        by: Option<String>,
        /// The new text.
        text: String,
    },
    /// Deletes an entry for everyone.
    Revoke {
        /// The channel's id of the entry's message.
        of: String,
        /// Who deletes.
        by: Option<String>,
    },
}

impl TimelineAct {
    /// What a message from the channel does.
    pub fn of(inbound: &Inbound) -> Self {
        let by = || (!inbound.from_me).then(|| inbound.sender.clone());
        match &inbound.content {
            InboundContent::Reaction { to, emoji } => Self::React { to: to.clone(), by: by(), emoji: emoji.clone() },
            InboundContent::Edit { of, text } => Self::Edit { of: of.clone(), by: by(), text: text.clone() },
            InboundContent::Revoke(of) => Self::Revoke { of: of.clone(), by: by() },
            content => Self::Say(TimelineEntry {
                from_me: inbound.from_me,
                sender: Some(inbound.sender.clone()),
                sender_name: inbound.sender_name.clone(),
                provider_id: Some(inbound.provider_id.clone()),
                sent_at: inbound.sent_at,
                reply_to: inbound.reply_to.clone(),
                mentions: inbound.mentions.clone(),
                content: EntryContent::Received(content.clone()),
                message: None,
                reactions: Vec::new(),
                edited_at: None,
                revoked_at: None,
            }),
        }
    }
}

impl TimelineEntry {
    /// An own message at its first attempt, which begins at `now`. Its text is still to be filled in.
    pub fn sent(message: MessageKey, now: Timestamp) -> Self {
        let content = EntryContent::Sent {
            text: None,
            subject: None,
            attachments: Vec::new(),
            voice_note: false,
            file_kind: None,
        };
        Self {
            from_me: true,
            sender: None,
            sender_name: None,
            provider_id: None,
            sent_at: now,
            reply_to: None,
            mentions: Vec::new(),
            content,
            message: Some(message.serial),
            reactions: Vec::new(),
            edited_at: None,
            revoked_at: None,
        }
    }

    /// Whether the other side wrote it, so that it counts as unread.
    pub fn is_received(&self) -> bool {
        !self.from_me
    }

    /// Kind of content.
    pub fn kind(&self) -> EntryKind {
        if self.revoked_at.is_some() {
            return EntryKind::Revoked;
        }
        match &self.content {
            EntryContent::Gone => EntryKind::Revoked,
            EntryContent::Received(InboundContent::Attachment(file)) => file.kind.into(),
            EntryContent::Received(InboundContent::Location { .. }) => EntryKind::Location,
            EntryContent::Received(InboundContent::Text(_)) => EntryKind::Text,
            EntryContent::Received(_) => EntryKind::Other,
            EntryContent::Sent { attachments, voice_note, file_kind, .. } => match attachments.first() {
                Some(_) if *voice_note => EntryKind::Voice,
                Some(file) => file_kind.map_or_else(|| EntryKind::of_content_type(&file.content_type), EntryKind::from),
                None => EntryKind::Text,
            },
        }
    }

    /// Its text, or what came with its file.
    pub fn text(&self) -> Option<&str> {
        if self.revoked_at.is_some() {
            return None;
        }
        match &self.content {
            EntryContent::Received(InboundContent::Text(text)) => Some(text),
            EntryContent::Received(InboundContent::Attachment(file)) => file.caption.as_deref(),
            EntryContent::Received(InboundContent::Location { name, .. }) => name.as_deref(),
            EntryContent::Sent { text, .. } => text.as_deref(),
            EntryContent::Received(_) | EntryContent::Gone => None,
        }
    }

    /// The words by which it is shown in lists and found: its text; for a file without a text, its name.
    pub fn words(&self) -> Option<&str> {
        if let Some(text) = self.text().filter(|text| !text.is_empty()) {
            return Some(text);
        }
        match &self.content {
            _ if self.revoked_at.is_some() => None,
            EntryContent::Received(InboundContent::Attachment(file)) => file.file_name.as_deref(),
            EntryContent::Sent { attachments, .. } => attachments.first().map(|file| file.file_name.as_str()),
            EntryContent::Received(_) | EntryContent::Gone => None,
        }
    }

    /// How it begins, on one line; see [`Self::words`].
    pub fn preview(&self) -> String {
        self.words().map(preview).unwrap_or_default()
    }

    /// The stored files of a received message: they are deleted with the entry. Those of an own message belong to the message.
    pub fn received_file(&self) -> Option<&Attachment> {
        match &self.content {
            EntryContent::Received(InboundContent::Attachment(InboundAttachment {
                media: MediaState::Ready(file),
                ..
            })) => Some(file),
            _ => None,
        }
    }

    /// Whether `who` (`None`: the connector's own account) wrote it. In a conversation with one person all that is not one's own is
    /// theirs, whichever of their addresses it names.
    pub fn is_by(&self, who: Option<&str>, is_group: bool) -> bool {
        match who {
            None => self.from_me,
            Some(who) => !self.from_me && (!is_group || self.sender.as_deref() == Some(who)),
        }
    }

    /// Sets somebody's reaction, or takes it back with an empty emoji. Returns whether anything changed.
    pub fn react(&mut self, by: Option<String>, emoji: String, at: Timestamp) -> bool {
        let there = self.reactions.iter().position(|reaction| reaction.by == by);
        match there {
            Some(place) if emoji.is_empty() => drop(self.reactions.remove(place)),
            Some(place) if self.reactions[place].emoji == emoji => return false,
            Some(place) => self.reactions[place] = EntryReaction { by, emoji, at },
            None if emoji.is_empty() || self.reactions.len() >= MAX_REACTIONS => return false,
            None => self.reactions.push(EntryReaction { by, emoji, at }),
        }
        true
    }

    /// Gives it a new text. Returns false where it has none that could change, or was deleted.
    pub fn edit(&mut self, new: String, at: Timestamp) -> bool {
        if self.revoked_at.is_some() {
            return false;
        }
        match &mut self.content {
            EntryContent::Received(InboundContent::Text(text)) => *text = new,
            EntryContent::Received(InboundContent::Attachment(file)) => file.caption = Some(new),
            EntryContent::Sent { text, .. } => *text = Some(new),
            EntryContent::Received(_) | EntryContent::Gone => return false,
        }
        self.edited_at = Some(at);
        true
    }

    /// Deletes it for everyone. What its author deletes is gone; what somebody else in a group deletes is no longer shown, but stays,
    /// because the engine cannot tell whether that person may.
    pub fn revoke(&mut self, by_author: bool, at: Timestamp) -> bool {
        let changed = self.revoked_at.is_none();
        self.revoked_at.get_or_insert(at);
        if by_author {
            self.content = EntryContent::Gone;
            self.reactions.clear();
            self.mentions.clear();
        }
        changed || by_author
    }
}

/// One line of at most [`MAX_PREVIEW_CHARS`] characters.
fn preview(text: &str) -> String {
    let line = text.chars().take(MAX_PREVIEW_CHARS).map(|c| if c.is_control() { ' ' } else { c });
    line.collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TenantIndex;

    fn received(sender: &str, text: &str) -> TimelineEntry {
        let inbound = Inbound {
            provider_id: "p".to_owned(),
            chat: "c".to_owned(),
            sender: sender.to_owned(),
            sender_name: None,
            from_me: false,
            is_group: false,
            reply_to: None,
            mentions: Vec::new(),
            sent_at: Timestamp(1),
            content: InboundContent::Text(text.to_owned()),
        };
        match TimelineAct::of(&inbound) {
            TimelineAct::Say(entry) => entry,
            _ => panic!("a text adds an entry"),
        }
    }

    #[test]
    fn a_person_has_one_reaction_and_there_is_a_bound_to_all() {
        let mut entry = received("a", "oi");
        let a = || Some("a".to_owned());
        assert!(entry.react(a(), "x".to_owned(), Timestamp(1)) && !entry.react(a(), "x".to_owned(), Timestamp(2)));
        assert!(entry.react(a(), "y".to_owned(), Timestamp(3)) && entry.react(None, "z".to_owned(), Timestamp(3)));
        assert_eq!(entry.reactions.len(), 2);
        assert!(entry.react(a(), String::new(), Timestamp(4)) && !entry.react(a(), String::new(), Timestamp(5)));
        for n in 0..2 * MAX_REACTIONS {
            entry.react(Some(n.to_string()), "x".to_owned(), Timestamp(6));
        }
        assert_eq!(entry.reactions.len(), MAX_REACTIONS);
    }

    #[test]
    fn what_its_author_deletes_is_gone_and_what_another_deletes_is_hidden() {
        let mut entry = received("a", "oi");
        assert!(entry.revoke(false, Timestamp(5)));
        assert_eq!((entry.kind(), entry.text(), entry.preview()), (EntryKind::Revoked, None, String::new()));
        assert_ne!(entry.content, EntryContent::Gone);
        assert!(!entry.edit("novo".to_owned(), Timestamp(6)), "it stays deleted");
        assert!(entry.revoke(true, Timestamp(7)));
        assert_eq!((&entry.content, entry.revoked_at), (&EntryContent::Gone, Some(Timestamp(5))));
    }

    #[test]
    fn only_a_group_tells_its_members_apart() {
        let entry = received("a", "oi");
        assert!(entry.is_by(Some("a"), true) && !entry.is_by(Some("b"), true) && entry.is_by(Some("b"), false));
        assert!(!entry.is_by(None, false));
        let own = TimelineEntry::sent(MessageKey { tenant: TenantIndex(1), serial: 4 }, Timestamp(1));
        assert!(own.is_by(None, true) && !own.is_by(Some("a"), false) && !own.is_received());
    }

    #[test]
    fn a_preview_is_one_short_line() {
        assert_eq!(received("a", "  oi\n\ttudo bem?  ").preview(), "oi  tudo bem?");
        assert_eq!(received("a", &"é".repeat(500)).preview().chars().count(), MAX_PREVIEW_CHARS);
    }
}
