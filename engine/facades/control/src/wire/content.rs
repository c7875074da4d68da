//! Wire types of what a received message can hold: files, places, other content; and the links to stored files.

use poem_openapi::{Enum, Object};
use pombo_domain::model::{self, InboundAttachment, MediaState};
use pombo_domain::{TenantIndex, Timestamp};
use serde_json::Value;
use uuid::Uuid;

use pombo_api::options::ApiState;

/// Kind of file.
#[derive(Enum, Clone, Copy)]
#[oai(rename_all = "lowercase")]
pub(crate) enum FileKind {
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

/// Whether the bytes of a received file are available.
#[derive(Enum, Clone, Copy)]
#[oai(rename_all = "lowercase")]
pub(crate) enum FileState {
    /// They are being fetched; an event `message.media` follows.
    Pending,
    /// They are available under the URL of `file`.
    Ready,
    /// They cannot be fetched; `reason` says why.
    Failed,
}

/// A file that the engine has stored.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
pub(crate) struct StoredFile {
    /// Id of the file.
    pub(crate) id: Uuid,
    /// Name of the file.
    pub(crate) file_name: String,
    /// MIME type of the file.
    pub(crate) content_type: String,
    /// Size in bytes.
    pub(crate) size: u64,
    /// URL that opens the file without a credential, for a limited time.
    pub(crate) url: String,
}

/// A received file.
#[derive(Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct ReceivedFile {
    /// Kind of file.
    pub(crate) kind: FileKind,
    /// Whether its bytes are available.
    pub(crate) state: FileState,
    /// The stored file, if it is available.
    pub(crate) file: Option<StoredFile>,
    /// Why the file cannot be fetched.
    pub(crate) reason: Option<String>,
    /// Name of the file, if the sender gave one.
    pub(crate) file_name: Option<String>,
    /// MIME type of the file.
    pub(crate) content_type: String,
    /// Size in bytes, if the channel reports it.
    pub(crate) size: Option<u64>,
    /// Text that came with the file.
    pub(crate) caption: Option<String>,
}

/// A place.
#[derive(Object)]
pub(crate) struct Location {
    /// Degrees north, as the channel wrote them.
    pub(crate) latitude: String,
    /// Degrees east, as the channel wrote them.
    pub(crate) longitude: String,
    /// Name of the place.
    #[oai(skip_serializing_if_is_none)]
    pub(crate) name: Option<String>,
}

/// Something that has no form of its own.
#[derive(Object)]
pub(crate) struct Untyped {
    /// Kind that the connector gave it.
    pub(crate) kind: String,
    /// Its data, any JSON.
    pub(crate) payload: Value,
}

impl Untyped {
    pub(crate) fn of(kind: String, json: String) -> Self {
        let payload = serde_json::from_str(&json).unwrap_or(Value::String(json));
        Self { kind, payload }
    }
}

/// Creates the links to files.
pub(crate) struct Links<'a> {
    state: &'a ApiState,
    tenant: TenantIndex,
    now: Timestamp,
}

impl<'a> Links<'a> {
    /// Links to files of a tenant, valid from now on.
    pub(crate) fn new(state: &'a ApiState, tenant: TenantIndex) -> Self {
        Self { state, tenant, now: state.commands.now() }
    }

    /// A file that the engine has stored.
    pub(crate) fn stored(&self, file: model::Attachment) -> StoredFile {
        StoredFile {
            url: self.state.media_links.url(self.tenant, &file, self.now),
            id: file.id,
            file_name: file.file_name,
            content_type: file.content_type,
            size: file.size,
        }
    }

    /// The state of a file, the file, and the reason if there is none.
    pub(crate) fn media(&self, media: MediaState) -> (FileState, Option<StoredFile>, Option<String>) {
        match media {
            MediaState::Pending => (FileState::Pending, None, None),
            MediaState::Failed(reason) => (FileState::Failed, None, Some(reason)),
            MediaState::Ready(file) => (FileState::Ready, Some(self.stored(file)), None),
        }
    }

    /// A file of a received message.
    pub(crate) fn received_file(&self, file: InboundAttachment) -> ReceivedFile {
        let (state, stored, reason) = self.media(file.media);
        ReceivedFile {
            kind: match file.kind {
                model::MediaKind::Image => FileKind::Image,
                model::MediaKind::Video => FileKind::Video,
                model::MediaKind::Audio => FileKind::Audio,
                model::MediaKind::Voice => FileKind::Voice,
                model::MediaKind::Document => FileKind::Document,
                model::MediaKind::Sticker => FileKind::Sticker,
            },
            state,
            file: stored,
            reason,
            file_name: file.file_name,
            content_type: file.content_type,
            size: file.size,
            caption: file.caption,
        }
    }
}
