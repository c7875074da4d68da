//! A file that is being received, piece by piece. As soon as its first bytes are there it is known what it is; from then on it may not
//! be larger than a file of its kind. Dropped unfinished, it leaves nothing behind.

use super::formats::{Format, is_text};
use super::{check_kind, check_size, recognised, refused};
use crate::commands::Commands;
use crate::model::{FileKind, MediaFile};
use crate::ports::{HEAD_BYTES, MediaWriter};
use crate::{Error, Field, Result, TenantIndex};

/// A file that is being received. Made by [`Commands::begin_file`].
pub struct FileUpload {
    commands: Commands,
    tenant: TenantIndex,
    writer: Box<dyn MediaWriter>,
    format: Option<Format>,
    /// Whether all that was received so far can be of a text.
    text: bool,
}

impl FileUpload {
    pub(super) fn new(commands: Commands, tenant: TenantIndex, writer: Box<dyn MediaWriter>) -> Self {
        Self { commands, tenant, writer, format: None, text: true }
    }

    /// Takes the next piece. Fails, naming [`Field::File`], for a file that cannot be sent or is too large for what it is.
    pub async fn write(&mut self, piece: &[u8]) -> Result<()> {
        self.writer.write(piece).await.map_err(|error| refused(Field::File, &error))?;
        self.text = self.text && is_text(piece);
        if self.format.is_none() && self.writer.head().len() >= HEAD_BYTES {
            self.format = Some(recognised(Field::File, self.writer.as_ref())?);
        }
        match self.format {
            Some(format) => self.check(format),
            None => Ok(()),
        }
    }

    fn check(&self, format: Format) -> Result<()> {
        if format.is_text() && !self.text {
            return Err(Error::invalid(Field::File, "begins as text, and is not text all through"));
        }
        check_size(Field::File, self.commands.file_policy(), format, self.writer.file().size)
    }

    /// Stores the file. `kind`, what the caller says that it is, must be what it is, or a document; problems with it name
    /// [`Field::Type`].
    pub async fn finish(self, kind: Option<FileKind>) -> Result<MediaFile> {
        let format = match self.format {
            Some(format) => format,
            None => recognised(Field::File, self.writer.as_ref())?,
        };
        self.check(format)?;
        let kind = kind.unwrap_or(format.kind);
        check_kind(Field::Type, format.kind, kind)?;
        let lifetime_ms = self.commands.file_policy().lifetime_ms;
        self.commands.keep_file(self.tenant, self.writer, format, kind, lifetime_ms).await
    }
}
