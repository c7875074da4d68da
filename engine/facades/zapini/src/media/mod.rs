//! Section "Mídia": files that are uploaded for later messages, messages with a file, and the files of messages. A file is the tenant's,
//! not one instance's: every token of the tenant finds it by its id.

mod upload;

use std::sync::Arc;

use poem::Request;
use poem::http::StatusCode;
use poem::web::Data;
use poem_openapi::param::Path;
use poem_openapi::{Object, OpenApi};
use pombo_api::declared::{Declared, Param};
use pombo_api::download::Download;
use pombo_api::error::Failure;
use pombo_api::json::JsonBytes;
use pombo_api::multipart::Multipart;
use pombo_api::options::ApiState;
use pombo_domain::model::{Attachment, MediaFile, MediaState, Right};
use serde::Serialize;
use uuid::Uuid;

use self::upload::MediaForm;
use crate::credentials::Caller;
use crate::envelope::{Created, Said, Settled, Success};
use crate::errors::{BODY, CHANNEL, EVERY, NAMED, Refused, VALUES, WRITE};
use crate::gate::State;
use crate::media_message::{MediaFields, MediaType, SENT, SendMedia, send_media};
use crate::params::Text;
use crate::sending::{SendStatus, settled};
use crate::times::{millis, seconds};
use crate::{Section, ZapiniDeps, refs};

/// When to ask again for a file that is still being fetched, in milliseconds.
const PENDING_MS: u64 = 5_000;

/// A file that was just uploaded.
#[derive(Debug, Serialize, Object)]
struct UploadedMedia {
    /// Id of the file, for `media_id`.
    id: String,
    /// URL that opens the file without a token until `expires_at`.
    url: String,
    /// What the file is sent as.
    #[serde(rename = "type")]
    #[oai(rename = "type")]
    media_type: MediaType,
    /// MIME type, as the file's content shows it.
    mime_type: String,
    /// Size in bytes.
    size: u64,
    /// Name of the file, without any path.
    filename: String,
    /// When the file expires: 7 days after its upload. A message that was sent with it keeps it.
    expires_at: String,
}

/// A file that was uploaded.
#[derive(Debug, Serialize, Object)]
struct StoredMedia {
    /// Id of the file, for `media_id`.
    id: String,
    /// URL that opens the file without a token until `expires_at`.
    url: String,
    /// What the file is sent as.
    #[serde(rename = "type")]
    #[oai(rename = "type")]
    media_type: MediaType,
    /// MIME type, as the file's content shows it.
    mime_type: String,
    /// Size in bytes.
    size: u64,
    /// Name of the file, without any path.
    filename: String,
    /// When the file was uploaded.
    created_at: String,
    /// When the file expires: 7 days after its upload. A message that was sent with it keeps it.
    expires_at: String,
}

impl StoredMedia {
    fn of(state: &ApiState, file: MediaFile) -> Self {
        Self {
            url: state.media_links.url_until(file.tenant, &file.attachment, file.expires_at),
            id: refs::media_text(file.attachment.id),
            media_type: file.kind.into(),
            mime_type: file.attachment.content_type,
            size: file.attachment.size,
            filename: file.attachment.file_name,
            created_at: seconds(file.created_at),
            expires_at: seconds(file.expires_at),
        }
    }
}

impl From<StoredMedia> for UploadedMedia {
    fn from(media: StoredMedia) -> Self {
        let StoredMedia { id, url, media_type, mime_type, size, filename, created_at: _, expires_at } = media;
        Self { id, url, media_type, mime_type, size, filename, expires_at }
    }
}

/// A message with a file that was sent.
#[derive(Debug, Serialize, Object)]
struct SentMedia {
    /// WhatsApp's id of the message; null while it is not known.
    #[oai(nullable)]
    message_id: Option<String>,
    /// UUID of the message.
    message_uuid: Uuid,
    /// What the file was sent as.
    media_type: MediaType,
    /// How far it came.
    status: SendStatus,
    /// When WhatsApp accepted it; with status 202, the present time.
    timestamp: String,
}

/// The file that a path names.
fn named(given: &str) -> Result<Uuid, Failure> {
    refs::media(given).ok_or_else(|| Failure::not_found("File"))
}

/// Handlers of the section.
#[derive(Default)]
pub(crate) struct MediaApi;

impl pombo_api::Section for MediaApi {
    const FILE: &'static str = file!();
}

#[OpenApi(tag = "Section::Media")]
impl MediaApi {
    /// Upload a file
    ///
    /// For later messages. What it is follows from its content: an image (jpg, png, gif, webp; at most 16 MB), a video (mp4, 3gp, mov,
    /// avi, mkv; 64 MB), audio (mp3, ogg, wav, opus, aac, m4a; 16 MB) or a document (pdf, doc, docx, xls, xlsx, ppt, pptx, txt, zip;
    /// 100 MB); 422 for anything else, and where there are too many files that no message uses. WhatsApp shows gif, wav, avi and mkv as
    /// files to be saved.
    #[oai(path = "/media/upload", method = "post", operation_id = "upload_media")]
    async fn upload_media(
        &self,
        caller: Caller,
        state: State<'_>,
        form: Multipart<'_, MediaForm>,
    ) -> Result<Created<UploadedMedia>, Refused<{ EVERY | BODY | WRITE }>> {
        let file = upload::receive(form, &state, &caller).await?;
        Ok(Created::of(StoredMedia::of(&state, file).into()))
    }

    /// Get an uploaded file's data
    ///
    /// 404 once it has expired.
    #[oai(path = "/media/:id", method = "get", operation_id = "get_media")]
    async fn get_media(
        &self,
        caller: Caller,
        state: State<'_>,
        /// Id of the file.
        id: Path<Param<Text>>,
    ) -> Result<Success<StoredMedia>, Refused<{ NAMED | VALUES }>> {
        caller.must(Right::Read)?;
        let file = state.commands.media_file(caller.tenant, named(&id.0.0)?)?;
        Ok(Success::of(StoredMedia::of(&state, file)))
    }

    /// Delete an uploaded file
    ///
    /// Messages that were sent with it keep it.
    #[oai(path = "/media/:id", method = "delete", operation_id = "delete_media")]
    async fn delete_media(
        &self,
        caller: Caller,
        state: State<'_>,
        /// Id of the file.
        id: Path<Param<Text>>,
    ) -> Result<Said, Refused<{ NAMED | VALUES | WRITE }>> {
        caller.must(Right::DeleteRecords)?;
        state.commands.delete_media_file(caller.tenant, named(&id.0.0)?).await?;
        Ok(Said("Media deleted successfully".into()))
    }

    /// Send a file
    ///
    /// As `POST /send-media`, with `media_url` or the `media_id` of an upload.
    #[oai(path = "/messages/send-media", method = "post", operation_id = "send_media_message")]
    async fn send_media_message(
        &self,
        caller: Caller,
        state: State<'_>,
        deps: Data<&Arc<ZapiniDeps>>,
        request: &Request,
        body: JsonBytes<Declared<SendMedia>>,
    ) -> Result<Settled<Success<SentMedia>>, Refused<{ NAMED | BODY | CHANNEL }>> {
        caller.must(Right::Converse)?;
        let message = body.object::<MediaFields<'_>>()?.checked()?;
        let view = refs::named_or_serving(&state, &caller, request, message.instance.as_deref())?;
        let media_type = message.kind.into();
        let sent = send_media(&state, &caller, &deps, &view, message).await?;
        let status = SendStatus::of(Some(&sent));
        let timestamp = millis(sent.at.unwrap_or_else(|| state.commands.now()));
        let sent = SentMedia { message_id: sent.provider_id, message_uuid: sent.id, media_type, status, timestamp };
        Ok(settled(status, Success::saying(SENT, sent)))
    }

    /// Download a message's file
    ///
    /// 404 with `Retry-After` while it is still being fetched from WhatsApp, and 404 with the reason if it cannot be fetched.
    #[oai(path = "/messages/:uuid/media", method = "get", operation_id = "get_message_media")]
    async fn get_message_media(
        &self,
        caller: Caller,
        state: State<'_>,
        /// UUID or number of the message, or WhatsApp's id of it.
        uuid: Path<Param<Text>>,
    ) -> Result<Download, Refused<{ NAMED | VALUES | WRITE }>> {
        caller.must(Right::Read)?;
        let named = refs::entry(&state, &caller, &uuid.0.0).await?;
        let found = state.commands.message_file(caller.tenant, named.item.id)?;
        let file = ready(found.media)?;
        Ok(Download::open(&state.commands, caller.tenant, file.id, file.content_type, file.file_name).await?)
    }
}

/// The file, if its bytes are there.
fn ready(media: MediaState) -> Result<Attachment, Failure> {
    match media {
        MediaState::Ready(file) => Ok(file),
        MediaState::Pending => {
            let failure = Failure::new(StatusCode::NOT_FOUND, "the file is still being fetched; try again in a moment");
            Err(Failure { retry_after_ms: Some(PENDING_MS), ..failure })
        }
        MediaState::Failed(reason) => {
            Err(Failure::new(StatusCode::NOT_FOUND, format!("the file cannot be fetched: {reason}")))
        }
    }
}
