//! What a peer saw: decrypted messages, receipts, acks, typing, group changes, connection events, in the order in which
//! they came. Written by the peer's recorder task, read by tests, which wait for an entry instead of sleeping.
//!
//! A message that comes again under the id, the kind and the sender of one that is there is not shown again, as on a screen; it is
//! counted as another copy of that one.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;
use wacore::download::Downloadable;
use wacore::proto_helpers::MessageExt;
use wacore::types::message::MessageInfo;
use waproto::whatsapp as wa;

use super::Error;

/// Kind of message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Text, plain or with a context (reply, mention).
    Text,
    /// A picture message.
    Image,
    /// A video message.
    Video,
    /// Audio that is not a voice note.
    Audio,
    /// Audio recorded as a voice note.
    VoiceNote,
    /// A document message.
    Document,
    /// A sticker message.
    Sticker,
    /// A reaction; with an empty text, its removal.
    Reaction,
    /// A new text for an earlier message.
    Edit,
    /// The deletion of an earlier message.
    Revoke,
    /// Any other kind.
    Other,
}

/// The media of a message, as downloaded and decrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Media {
    /// Downloaded: SHA-256 in hex, and how many bytes.
    Bytes {
        /// Of the plaintext.
        sha256: String,
        /// Of the plaintext.
        size: usize,
    },
    /// It could not be downloaded; the client's reason.
    Failed(String),
}

/// A message as its receiver decrypted it.
#[derive(Debug, Clone)]
pub struct Received {
    /// The sender's message id.
    pub id: String,
    /// The chat: a user or a group.
    pub chat: String,
    /// Who wrote it (phone number or LID, as addressed).
    pub sender: String,
    /// The sender's other address, if the server gave one.
    pub sender_alt: Option<String>,
    /// Whether it is a copy of a message that another device of the same account sent.
    pub from_me: bool,
    /// Whether it was sent in a group.
    pub group: bool,
    /// Whether it waited in the offline queue.
    pub offline: bool,
    /// The name that the sender chose.
    pub push_name: String,
    /// Kind of message.
    pub kind: Kind,
    /// Body, caption, emoji or new text.
    pub text: Option<String>,
    /// The file's name.
    pub file_name: Option<String>,
    /// The media's declared type.
    pub mime: Option<String>,
    /// The downloaded media.
    pub media: Option<Media>,
    /// Id of the message that it replies to.
    pub quoted: Option<String>,
    /// The addresses that it mentions.
    pub mentions: Vec<String>,
    /// Id of the message that a reaction, an edit or a deletion refers to.
    pub target: Option<String>,
    /// How often it came: more than one when its sender sent it again under its id. It is shown once.
    pub copies: u32,
    /// The whole message.
    pub message: Arc<wa::Message>,
}

/// A part of the history that the account's phone shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistoryPart {
    /// The number of its kind in the protocol: 0 the first, 3 the older messages, 4 the names.
    pub kind: i32,
    /// How many chats are in it.
    pub chats: usize,
    /// How many messages, over all chats.
    pub messages: usize,
    /// How many names of people.
    pub names: usize,
}

/// A receipt for a message of this peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Id of the message.
    pub id: String,
    /// `delivered`, `read`, `played`, `retry`, `server-error`, … as on the wire.
    pub kind: String,
    /// JID of the chat.
    pub chat: String,
    /// Who sent the receipt.
    pub from: String,
}

/// The server's answer to a message that this peer sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ack {
    /// Id of the message.
    pub id: String,
    /// The code of a refusal.
    pub error: Option<String>,
}

/// Somebody is typing or recording, or has stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Typing {
    /// JID of the chat.
    pub chat: String,
    /// JID of that person.
    pub from: String,
    /// `composing`, `recording` or `paused`.
    pub state: &'static str,
}

/// A change in a group, as its notification reported it.
#[derive(Debug, Clone)]
pub struct GroupChange {
    /// JID of the group.
    pub group: String,
    /// Who made it.
    pub by: Option<String>,
    /// The action's name on the wire: `create`, `add`, `remove`, `promote`, `subject`, …
    pub action: String,
    /// The whole action as JSON.
    pub detail: serde_json::Value,
}

/// Everything that was recorded.
#[derive(Debug, Default)]
pub struct Entries {
    /// Received messages.
    pub received: Vec<Received>,
    /// Receipts, one entry per message id.
    pub receipts: Vec<Receipt>,
    /// Acks of messages.
    pub acks: Vec<Ack>,
    /// Typing states.
    pub typing: Vec<Typing>,
    /// Changes of groups.
    pub group_changes: Vec<GroupChange>,
    /// Ids of messages that did not decrypt (a retry may still bring them).
    pub undecryptable: Vec<String>,
    /// QR strings offered.
    pub qr_codes: Vec<String>,
    /// Number of completed logins.
    pub logins: usize,
    /// Connections lost without being asked for.
    pub losses: usize,
    /// Why the server logged this device out.
    pub logged_out: Option<String>,
    /// Whether another connection replaced this session.
    pub replaced: bool,
    /// Parts of the history, for a peer that takes it.
    pub history: Vec<HistoryPart>,
    /// What the server told of its own accord: a word for what, and what of it.
    pub told: Vec<(&'static str, String)>,
    /// Names of app-state changes (`mute`, `pin`, `archive`, …) with the chat.
    pub app_state: Vec<(&'static str, String)>,
    /// How many messages `Peer::next_message` has handed out.
    pub(super) taken: usize,
}

impl Entries {
    /// Takes a message, or counts one more copy of it.
    pub(super) fn receive(&mut self, received: Received) {
        let known = |m: &&mut Received| m.id == received.id && m.kind == received.kind && m.is_from(&received);
        match self.received.iter_mut().find(known) {
            Some(known) => known.copies += 1,
            None => self.received.push(received),
        }
    }
}

/// [`Entries`] that can be waited for.
pub(super) struct Record {
    entries: Mutex<Entries>,
    changed: watch::Sender<()>,
}

impl Record {
    pub(super) fn new() -> Self {
        Self { entries: Mutex::new(Entries::default()), changed: watch::Sender::new(()) }
    }

    pub(super) fn read<T>(&self, look: impl FnOnce(&Entries) -> T) -> T {
        look(&self.entries.lock())
    }

    pub(super) fn write(&self, change: impl FnOnce(&mut Entries)) {
        change(&mut self.entries.lock());
        self.changed.send_replace(());
    }

    /// Waits until `look` finds something.
    pub(super) async fn wait<T>(
        &self,
        what: &str,
        patience: Duration,
        mut look: impl FnMut(&mut Entries) -> Option<T>,
    ) -> Result<T, Error> {
        let mut changed = self.changed.subscribe();
        let found = async {
            loop {
                changed.mark_unchanged();
                if let Some(found) = look(&mut self.entries.lock()) {
                    return found;
                }
                // The sender lives as long as `self`.
                let _ = changed.changed().await;
            }
        };
        tokio::time::timeout(patience, found).await.map_err(|_| Error::Timeout {
            what: what.to_owned(),
            after: patience,
            seen: self.summary(),
        })
    }

    /// Counts only: what a failed wait may print.
    fn summary(&self) -> String {
        let e = self.entries.lock();
        format!(
            "{} messages, {} undecryptable, {} receipts, {} acks ({} refused), {} group changes, {} logins, {} losses{}",
            e.received.len(),
            e.undecryptable.len(),
            e.receipts.len(),
            e.acks.len(),
            e.acks.iter().filter(|a| a.error.is_some()).count(),
            e.group_changes.len(),
            e.logins,
            e.losses,
            e.logged_out.as_deref().map(|r| format!(", logged out: {r}")).unwrap_or_default()
        )
    }
}

impl Received {
    /// Whether both are from one person, whichever of its two addresses each of them names.
    fn is_from(&self, other: &Self) -> bool {
        let is = |address: &str| address == other.sender || other.sender_alt.as_deref() == Some(address);
        self.from_me == other.from_me && (is(&self.sender) || self.sender_alt.as_deref().is_some_and(is))
    }

    /// Reads a decrypted message. The caller that downloads the file fills `media`.
    pub(super) fn read(info: &MessageInfo, message: Arc<wa::Message>) -> Self {
        let base = message.get_base_message();
        let mut received = Self {
            id: info.id.clone(),
            chat: info.source.chat.to_string(),
            sender: info.source.sender.to_string(),
            sender_alt: info.source.sender_alt.as_ref().map(ToString::to_string),
            from_me: info.source.is_from_me,
            group: info.source.is_group,
            offline: info.is_offline,
            push_name: info.push_name.clone(),
            kind: Kind::Other,
            text: base.text_content().or(base.get_caption()).map(str::to_owned),
            file_name: None,
            mime: None,
            media: None,
            quoted: None,
            mentions: Vec::new(),
            target: None,
            copies: 1,
            message: message.clone(),
        };
        let context = if let Some(m) = base.extended_text_message.as_option() {
            received.kind = Kind::Text;
            m.context_info.as_option()
        } else if base.conversation.is_some() {
            received.kind = Kind::Text;
            None
        } else if let Some(m) = base.image_message.as_option() {
            received.kind = Kind::Image;
            received.mime = m.mimetype.clone();
            m.context_info.as_option()
        } else if let Some(m) = base.video_message.as_option() {
            received.kind = Kind::Video;
            received.mime = m.mimetype.clone();
            m.context_info.as_option()
        } else if let Some(m) = base.audio_message.as_option() {
            received.kind = if m.ptt == Some(true) { Kind::VoiceNote } else { Kind::Audio };
            received.mime = m.mimetype.clone();
            m.context_info.as_option()
        } else if let Some(m) = base.document_message.as_option() {
            received.kind = Kind::Document;
            received.mime = m.mimetype.clone();
            received.file_name = m.file_name.clone();
            m.context_info.as_option()
        } else if let Some(m) = base.sticker_message.as_option() {
            received.kind = Kind::Sticker;
            received.mime = m.mimetype.clone();
            m.context_info.as_option()
        } else if let Some(m) = base.reaction_message.as_option() {
            received.kind = Kind::Reaction;
            received.text = Some(m.text.clone().unwrap_or_default());
            received.target = m.key.as_option().and_then(|k| k.id.clone());
            None
        } else if let Some(m) = base.protocol_message.as_option() {
            received.target = m.key.as_option().and_then(|k| k.id.clone());
            match m.r#type {
                Some(wa::message::protocol_message::Type::Revoke) => received.kind = Kind::Revoke,
                Some(wa::message::protocol_message::Type::MessageEdit) => {
                    received.kind = Kind::Edit;
                    let edited = m.edited_message.as_option();
                    received.text = edited.and_then(|e| e.text_content().or(e.get_caption())).map(str::to_owned);
                }
                _ => {}
            }
            None
        } else {
            None
        };
        if let Some(context) = context {
            received.quoted = context.stanza_id.clone();
            received.mentions = context.mentioned_jid.clone();
        }
        received
    }
}

/// The part of a message that names bytes on the media host.
pub(crate) fn downloadable(message: &wa::Message) -> Option<&dyn Downloadable> {
    let base = message.get_base_message();
    if let Some(m) = base.image_message.as_option() {
        return Some(m);
    }
    if let Some(m) = base.video_message.as_option() {
        return Some(m);
    }
    if let Some(m) = base.audio_message.as_option() {
        return Some(m);
    }
    if let Some(m) = base.document_message.as_option() {
        return Some(m);
    }
    base.sticker_message.as_option().map(|m| m as &dyn Downloadable)
}
