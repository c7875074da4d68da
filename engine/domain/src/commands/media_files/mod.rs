//! Files that are stored ahead of the messages that send them: uploaded by somebody, or fetched from a URL while a request waits.
//!
//! - [`upload`]: a file that is being received. `formats`: what a file is, by its content.
//!
//! A file's record is stored before its bytes get their name. So a crash, or a caller who hangs up, may leave a record without bytes,
//! which expires, and never bytes that nothing names.
//!
//! What a file is decides how it goes out. A channel shows some of the listed formats only as a file to save; then the connector sends
//! it as one, with its name, and nothing is converted. Of WhatsApp that holds for GIF (it plays short videos instead), WAV, AVI and
//! MKV; the table is the connector's own (`plugins/connector-whatsapp/src/media/kind.rs`). The kind in the record stays what the file is.

mod formats;
mod upload;

use uuid::Uuid;

use self::formats::Format;
pub use self::upload::FileUpload;
use crate::commands::Commands;
use crate::commands::messages::send::MAX_URL_BYTES;
use crate::commands::text::{Rule, checked_optional};
use crate::model::attachment::MAX_STORED_BYTES;
use crate::model::{Attachment, EntryContent, FileKind, FileUse, InboundContent, MediaFile, MediaState};
use crate::ports::{Batch, Change, FileChange, MediaError, MediaWriter, OutboundError, size_text};
use crate::{ConnectorIndex, Error, ErrorCode, Field, Result, TenantIndex};

/// Maximum length of the name with which a file is sent, in characters.
pub const MAX_NAME_CHARS: usize = 180;

const MEBIBYTE: u64 = 1024 * 1024;
/// When to ask again for a file that is being fetched, in milliseconds.
const FILE_AGAIN_MS: u64 = 2_000;
const HOUR_MS: i64 = 60 * 60 * 1000;

/// How long a fetched file waits for the message that it was fetched for, in milliseconds.
const FETCHED_MS: i64 = HOUR_MS;

/// How large stored files may be, how many there may be, and how long they wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FilePolicy {
    /// Maximum size of an image, in bytes.
    pub image_bytes: u64,
    /// Maximum size of a video, in bytes.
    pub video_bytes: u64,
    /// Maximum size of an audio file, in bytes.
    pub audio_bytes: u64,
    /// Maximum size of a document, in bytes.
    pub document_bytes: u64,
    /// How long an uploaded file waits for a message, in milliseconds.
    pub lifetime_ms: i64,
    /// What a tenant may have at most that no message uses.
    pub share: FileUse,
}

impl Default for FilePolicy {
    fn default() -> Self {
        Self {
            image_bytes: 16 * MEBIBYTE,
            video_bytes: 64 * MEBIBYTE,
            audio_bytes: 16 * MEBIBYTE,
            document_bytes: MAX_STORED_BYTES,
            lifetime_ms: 7 * 24 * HOUR_MS,
            share: FileUse { files: 1_000, bytes: 10 * 1024 * MEBIBYTE },
        }
    }
}

impl FilePolicy {
    /// Maximum size of a file of this kind, in bytes.
    pub fn most(&self, kind: FileKind) -> u64 {
        match kind {
            FileKind::Image => self.image_bytes,
            FileKind::Video => self.video_bytes,
            FileKind::Audio => self.audio_bytes,
            FileKind::Document => self.document_bytes,
        }
    }

    /// Maximum size of a file of whatever kind, in bytes.
    pub fn largest(&self) -> u64 {
        FileKind::ALL.map(|kind| self.most(kind)).into_iter().max().unwrap_or_default()
    }
}

/// Where the file of a message comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileSource<'a> {
    /// A stored one, by its id.
    Stored(Uuid),
    /// A URL, from which it is fetched now.
    Url(&'a str),
}

/// A file as a message wants it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileRequest<'a> {
    /// Where it comes from.
    pub source: FileSource<'a>,
    /// What it is to be sent as: what it is, or a document.
    pub kind: FileKind,
    /// Name that the recipient sees; the file's own if omitted. At most [`MAX_NAME_CHARS`].
    pub name: Option<&'a str>,
}

/// What a stored file is, by its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RecognisedFile {
    /// Its size, in bytes.
    pub(super) size: u64,
    /// Its MIME type; that of any bytes for a format that is not taken.
    pub(super) content_type: &'static str,
    /// The usual extension of such files.
    pub(super) extension: &'static str,
}

/// The file of a message of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageFile {
    /// The connector that the conversation is on.
    pub connector: ConnectorIndex,
    /// Whether its bytes are available.
    pub media: MediaState,
}

impl Commands {
    /// How large stored files may be, how many there may be, and how long they wait.
    pub fn file_policy(&self) -> FilePolicy {
        self.ports().file_policy
    }

    /// Begins to receive a file. It is dropped with the upload, unless [`FileUpload::finish`] succeeds.
    pub async fn begin_file(&self, tenant: TenantIndex, file_name: &str) -> Result<FileUpload> {
        let policy = self.file_policy();
        // The store decides again once the size is known.
        if self.ports().store.media_file_use(tenant)?.with(0).exceeds(policy.share) {
            return Err(too_many_files());
        }
        let media = &self.ports().media;
        let writer = media.create(tenant, file_name, None, policy.largest()).await;
        let writer = writer.map_err(|error| refused(Field::File, &error))?;
        Ok(FileUpload::new(self.clone(), tenant, writer))
    }

    /// A stored file; not found once it has expired.
    pub fn media_file(&self, tenant: TenantIndex, id: Uuid) -> Result<MediaFile> {
        let found = self.ports().store.media_file(tenant, id)?;
        found.filter(|file| file.is_there(self.now())).ok_or_else(|| Error::not_found("File"))
    }

    /// Deletes a stored file. The bytes of one that a message uses stay, because they are the message's.
    pub async fn delete_media_file(&self, tenant: TenantIndex, id: Uuid) -> Result<()> {
        let file = self.media_file(tenant, id)?;
        if !file.used {
            // First, because the record is all that names them.
            let deleted = self.ports().media.delete(tenant, id).await;
            deleted.map_err(|error| Error::internal(format!("deleting a stored file: {error}")))?;
        }
        self.forget_file(tenant, id).await
    }

    /// The file for a message that is about to be sent: a stored one, or one that is fetched now. It is checked by its content against
    /// what it is to be sent as, and against the limit of its kind. Whoever inserts a message with it makes it used; otherwise it
    /// expires.
    ///
    /// Problems name [`Field::FileId`] (not found), [`Field::AttachmentUrl`], [`Field::FileKind`] and [`Field::FileName`].
    pub async fn file_to_send(&self, tenant: TenantIndex, request: FileRequest<'_>) -> Result<Attachment> {
        let rule = Rule { field: Field::FileName, max_chars: MAX_NAME_CHARS, lines: false };
        let name = checked_optional(rule, request.name.map(last_of_path))?;
        let file = match request.source {
            FileSource::Stored(id) => self.stored(tenant, id, request.kind).await?,
            FileSource::Url(url) => self.fetched(tenant, url.trim(), request.kind).await?,
        };
        let file_name = name.unwrap_or(file.file_name);
        Ok(Attachment { file_name, ..file })
    }

    async fn stored(&self, tenant: TenantIndex, id: Uuid, kind: FileKind) -> Result<Attachment> {
        let unknown = || Error::unknown(Field::FileId, "names no stored file; it may have expired, so upload it again");
        let file = match self.media_file(tenant, id) {
            Ok(file) => file.attachment,
            Err(error) if error.code == ErrorCode::NotFound => return Err(unknown()),
            Err(error) => return Err(error),
        };
        let there = self.ports().media.stat(tenant, id).await;
        if there.map_err(|error| Error::internal(format!("looking at a stored file: {error}")))?.is_none() {
            return Err(unknown());
        }
        check_kind(Field::FileKind, Format::kind_of(&file.content_type), kind)?;
        Ok(file)
    }

    /// What a tenant's file is, whatever was said of it when it was uploaded; `None` if there is no such file. The name only tells apart
    /// what begins alike.
    pub(super) async fn recognised_file(
        &self,
        tenant: TenantIndex,
        id: Uuid,
        file_name: &str,
    ) -> Result<Option<RecognisedFile>> {
        let failed = |error: MediaError| Error::internal(format!("looking at a stored file: {error}"));
        let media = &self.ports().media;
        let Some(size) = media.stat(tenant, id).await.map_err(failed)? else { return Ok(None) };
        let Some(head) = media.head(tenant, id).await.map_err(failed)? else { return Ok(None) };
        let (content_type, extension) = match Format::of(&head, file_name) {
            Some(format) => (format.content_type, format.name),
            None => ("application/octet-stream", "bin"),
        };
        Ok(Some(RecognisedFile { size, content_type, extension }))
    }

    async fn fetched(&self, tenant: TenantIndex, url: &str, kind: FileKind) -> Result<Attachment> {
        let policy = self.file_policy();
        // Anything may be sent as a document.
        let most = if kind == FileKind::Document { policy.largest() } else { policy.most(kind) };
        let (writer, format) = self.received_from(tenant, url, most).await?;
        check_kind(Field::FileKind, format.kind, kind)?;
        Ok(self.keep_file(tenant, writer, format, kind, FETCHED_MS).await?.attachment)
    }

    /// A file for a message that is about to be sent, fetched now, and what it is by its content. As [`Self::file_to_send`] otherwise.
    pub(super) async fn file_as_it_is(&self, tenant: TenantIndex, url: &str) -> Result<(Attachment, FileKind)> {
        let (writer, format) = self.received_from(tenant, url.trim(), self.file_policy().largest()).await?;
        let kind = format.kind;
        Ok((self.keep_file(tenant, writer, format, kind, FETCHED_MS).await?.attachment, kind))
    }

    /// Fetches a file of at most `most` bytes, and no more than its kind may have.
    async fn received_from(&self, tenant: TenantIndex, url: &str, most: u64) -> Result<(Box<dyn MediaWriter>, Format)> {
        let problem = |message: String| Error::invalid(Field::AttachmentUrl, message);
        if url.len() > MAX_URL_BYTES {
            return Err(problem(format!("must have at most {MAX_URL_BYTES} characters")));
        }
        self.ports().guard.check_url(url).map_err(|error| problem(error.to_string()))?;
        let writer = self.ports().attachments.receive(tenant, url, most).await.map_err(|error| match error {
            OutboundError::BadUrl(_) | OutboundError::Forbidden => problem(error.to_string()),
            OutboundError::BadAnswer(_) => problem(format!("cannot be fetched: {error}")),
            OutboundError::Unreachable(_) => problem(format!("cannot be fetched now: {error}")),
        })?;
        let format = recognised(Field::AttachmentUrl, writer.as_ref())?;
        check_size(Field::AttachmentUrl, self.file_policy(), format, writer.file().size)?;
        Ok((writer, format))
    }

    /// Stores the record of a received file, then the file.
    async fn keep_file(
        &self,
        tenant: TenantIndex,
        mut writer: Box<dyn MediaWriter>,
        format: Format,
        kind: FileKind,
        lifetime_ms: i64,
    ) -> Result<MediaFile> {
        writer.set_content_type(format.content_type);
        let created_at = self.now();
        let file = MediaFile {
            tenant,
            attachment: writer.file().clone(),
            kind,
            created_at,
            expires_at: created_at.plus_ms(lifetime_ms),
            used: false,
        };
        let change = FileChange::Add { file: file.clone(), most: self.file_policy().share };
        self.ports().store.commit(Batch::of(vec![Change::File(change)])).await?;
        if let Err(error) = writer.finish().await {
            // Should this fail too, the record expires.
            let _ = self.forget_file(tenant, file.attachment.id).await;
            return Err(refused(Field::File, &error));
        }
        Ok(file)
    }

    async fn forget_file(&self, tenant: TenantIndex, id: Uuid) -> Result<()> {
        let change = Change::File(FileChange::Delete(tenant, id));
        self.ports().store.commit(Batch::of(vec![change])).await?;
        Ok(())
    }

    /// The file of a message of a conversation: of a received one its own, of a sent one the first. Not found if it has none, or was
    /// deleted for everyone.
    pub fn message_file(&self, tenant: TenantIndex, message: Uuid) -> Result<MessageFile> {
        let store = &self.ports().store;
        let unknown = || Error::not_found("Message");
        let item = store.timeline_item_by_id(tenant, message)?.ok_or_else(unknown)?;
        let conversation = store.conversation_by_number(tenant, item.conversation)?.ok_or_else(unknown)?;
        if item.entry.revoked_at.is_some() {
            return Err(Error::new(ErrorCode::NotFound, "the message was deleted for everyone"));
        }
        let media = match item.entry.content {
            EntryContent::Received(InboundContent::Attachment(file)) => Some(file.media),
            EntryContent::Sent { attachments, .. } => attachments.into_iter().next().map(MediaState::Ready),
            EntryContent::Received(_) | EntryContent::Gone => None,
        };
        let media = media.ok_or_else(|| Error::new(ErrorCode::NotFound, "the message has no file"))?;
        Ok(MessageFile { connector: conversation.connector, media })
    }

    /// The same once its bytes are available. While they are fetched from the channel, [`ErrorCode::Unavailable`]; not found where they
    /// could not be fetched.
    pub fn available_message_file(&self, tenant: TenantIndex, message: Uuid) -> Result<Attachment> {
        match self.message_file(tenant, message)?.media {
            MediaState::Ready(file) => Ok(file),
            MediaState::Failed(_) => Err(Error::not_found("File")),
            MediaState::Pending => Err(Error {
                retry_after_ms: Some(FILE_AGAIN_MS),
                ..Error::new(ErrorCode::Unavailable, "the file is still being fetched from the channel; ask again")
            }),
        }
    }
}

/// The tenant's share of files is used up.
pub(crate) fn too_many_files() -> Error {
    Error::conflict("there are too many files that no message uses; send or delete some, or wait until they expire")
}

/// Why a file could not be received, in terms of the field that it came in.
fn refused(field: Field, error: &MediaError) -> Error {
    match error {
        MediaError::TooLarge(_) => Error::invalid(field, error.to_string()),
        MediaError::NotFound | MediaError::Io(_) => Error::internal(format!("storing a file: {error}")),
    }
}

/// What a received file is, by its first bytes.
fn recognised(field: Field, writer: &dyn MediaWriter) -> Result<Format> {
    if writer.head().is_empty() {
        return Err(Error::invalid(field, "is empty"));
    }
    let found = Format::of(writer.head(), &writer.file().file_name);
    found.ok_or_else(|| {
        Error::invalid(field, format!("must be of one of these formats, by its content: {}", Format::all()))
    })
}

/// Whether a file of this kind may have so many bytes.
fn check_size(field: Field, policy: FilePolicy, format: Format, bytes: u64) -> Result<()> {
    let (kind, most) = (format.kind, policy.most(format.kind));
    if bytes <= most {
        return Ok(());
    }
    Err(Error::invalid(field, format!("is larger than {}, the most for files of kind {kind}", size_text(most))))
}

/// Whether a file can be sent as what is asked for.
fn check_kind(field: Field, found: FileKind, wanted: FileKind) -> Result<()> {
    if wanted == found || wanted == FileKind::Document {
        return Ok(());
    }
    let document = FileKind::Document;
    Err(Error::invalid(field, format!("must be {found}, which is what the file contains, or {document}")))
}

/// The last component of a path in either style.
fn last_of_path(name: &str) -> &str {
    name.rsplit(['/', '\\']).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_limit_and_the_limit_itself_is_allowed() {
        let policy = FilePolicy { image_bytes: 10, ..FilePolicy::default() };
        let format = Format::of(b"\x89PNG\r\n\x1a\n\0", "a").expect("a PNG");
        assert!(check_size(Field::File, policy, format, 10).is_ok());
        let refused = check_size(Field::File, policy, format, 11).expect_err("one more");
        assert_eq!(refused.message, "file: is larger than 10 bytes, the most for files of kind image");
        assert_eq!(FilePolicy::default().largest(), 100 * MEBIBYTE);
        assert_eq!(FileKind::ALL.map(|kind| FilePolicy::default().most(kind) / MEBIBYTE), [16, 64, 16, 100]);
    }

    #[test]
    fn a_file_goes_as_what_it_is_or_as_a_document() {
        let check = |found, wanted| check_kind(Field::FileKind, found, wanted);
        assert!(check(FileKind::Image, FileKind::Image).is_ok() && check(FileKind::Image, FileKind::Document).is_ok());
        assert!(
            check(FileKind::Image, FileKind::Video).is_err() && check(FileKind::Document, FileKind::Image).is_err()
        );
    }

    #[test]
    fn a_name_is_without_its_path() {
        assert_eq!((last_of_path("a/b\\c.pdf"), last_of_path("c.pdf"), last_of_path("a/")), ("c.pdf", "c.pdf", ""));
    }
}
