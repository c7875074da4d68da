//! What can be sent, and how.

use std::time::Duration;

use super::StoredFile;
use super::types::{File, FileContent, Outgoing, Send};

/// A message that was just asked for: the last word on how it is sent.
#[derive(Debug)]
pub struct Sending<'t>(pub(super) &'t mut Send);

impl Sending<'_> {
    /// Not before this time has passed.
    pub fn after(self, delay: Duration) -> Self {
        self.0.delay_millis = millis(delay);
        self
    }
    /// As an answer to the message with this id (the channel's: [`super::Message::id`]).
    pub fn quoting(self, message: impl Into<String>) -> Self {
        self.0.reply_to = Some(message.into());
        self
    }
    /// With a label that [`super::Automation::on_status`] is told.
    pub fn label(self, label: impl Into<String>) -> Self {
        self.0.label = Some(label.into());
        self
    }
}

/// A file to be sent.
#[derive(Debug, Clone, PartialEq)]
pub struct FileToSend(FileContent);

impl FileToSend {
    /// One that the engine fetches before the message is sent.
    pub fn url(url: impl Into<String>) -> Self {
        Self(FileContent { file: File::Url(url.into()), caption: None, voice_note: false })
    }
    /// One that the engine has, e.g. from an attachment that was received.
    pub fn stored(file: StoredFile) -> Self {
        Self(FileContent { file: File::Stored(file), caption: None, voice_note: false })
    }
    /// With this said beside it.
    #[must_use]
    pub fn caption(mut self, caption: impl Into<String>) -> Self {
        self.0.caption = Some(caption.into());
        self
    }
    /// Audio goes as a voice note.
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
