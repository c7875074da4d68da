//! Files to send, and options of a message.

use std::time::Duration;

use super::StoredFile;
use super::types::{File, FileContent, Outgoing, Send};

/// A message that was just added to the turn, to set its options.
#[derive(Debug)]
pub struct Sending<'t>(pub(super) &'t mut Send);

impl Sending<'_> {
    /// Sends it only after this time.
    pub fn after(self, delay: Duration) -> Self {
        self.0.delay_millis = millis(delay);
        self
    }
    /// Sends it as a reply to the message with this id (the channel's id: [`super::Message::id`]).
    pub fn quoting(self, message: impl Into<String>) -> Self {
        self.0.reply_to = Some(message.into());
        self
    }
    /// Sets a label, which [`super::Automation::on_status`] gets back.
    pub fn label(self, label: impl Into<String>) -> Self {
        self.0.label = Some(label.into());
        self
    }
}

/// A file to send.
#[derive(Debug, Clone, PartialEq)]
pub struct FileToSend(FileContent);

impl FileToSend {
    /// A file that the engine fetches from this URL before it sends the message.
    pub fn url(url: impl Into<String>) -> Self {
        Self(FileContent { file: File::Url(url.into()), caption: None, voice_note: false })
    }
    /// A file that the engine already has, e.g. from a received attachment.
    pub fn stored(file: StoredFile) -> Self {
        Self(FileContent { file: File::Stored(file), caption: None, voice_note: false })
    }
    /// Sets the caption.
    #[must_use]
    pub fn caption(mut self, caption: impl Into<String>) -> Self {
        self.0.caption = Some(caption.into());
        self
    }
    /// Sends audio as a voice note.
    #[must_use]
    pub fn voice_note(mut self) -> Self {
        self.0.voice_note = true;
        self
    }
}

impl From<FileToSend> for Outgoing {
    fn from(file: FileToSend) -> Self {
        Self::File(file.0)
    }
}

pub(super) fn millis(time: Duration) -> u64 {
    time.as_millis().min(u128::from(u64::MAX)) as u64
}
