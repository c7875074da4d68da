//! Section Media: files of messages: uploaded for a later message; opened by a signed link or with credentials, streamed from disk.

use std::future::Future;
use std::sync::Arc;

use poem::web::Data;
use poem::{Request, RequestBody};
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::registry::Registry;
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions, Object, OpenApi};
use pombo_domain::TenantIndex;
use uuid::Uuid;

use crate::Section;
use crate::access::{Acting, is_signed};
use crate::media_upload::{MediaForm, receive};
use crate::wire::{BODY, Created, PathId, READ, Refused, WRITE};
use pombo_api::download::{Download, FALLBACK_TYPE};
use pombo_api::error::Failure;
use pombo_api::media_links::LinkQuery;
use pombo_api::multipart::Multipart;
use pombo_api::options::ApiState;

#[derive(Default)]
pub(crate) struct Media;

impl pombo_api::Section for Media {
    const FILE: &'static str = file!();
}

/// A file that the engine has stored.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
pub(crate) struct UploadedFile {
    /// Id of the file, for a message's `attachments`.
    id: Uuid,
    /// Name of the file, without characters that are not allowed.
    file_name: String,
    /// MIME type of the file, as given or guessed from the name.
    content_type: String,
    /// Size in bytes.
    size: u64,
    /// URL that opens the file without a credential, for a limited time.
    url: String,
}

/// A credential, or none: then the link must be signed.
pub(crate) struct MaybeActing(Option<TenantIndex>);

impl<'a> ApiExtractor<'a> for MaybeActing {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        Acting::register(registry);
    }

    fn security_schemes() -> Vec<&'static str> {
        Acting::security_schemes()
    }

    fn has_security_fallback() -> bool {
        true
    }

    fn from_request(
        request: &'a Request,
        _body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> impl Future<Output = poem::Result<Self>> + Send {
        let acting = if is_signed(request) { Ok(None) } else { Acting::of(request).map(|acting| Some(acting.tenant)) };
        std::future::ready(acting.map(Self).map_err(Into::into))
    }
}

#[OpenApi(tag = "Section::Media")]
impl Media {
    /// Upload a file
    ///
    /// The file can then be sent as an attachment of one or many messages.
    #[oai(path = "/v1/media", method = "post", operation_id = "upload_media")]
    async fn upload_media(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        form: Multipart<'_, MediaForm>,
    ) -> Result<Created<UploadedFile>, Refused<{ READ | BODY | WRITE }>> {
        let file = receive(form, &state, acting.tenant).await?;
        Ok(Created::Made(Json(UploadedFile {
            url: state.media_links.url(acting.tenant, &file, state.commands.now()),
            id: file.id,
            file_name: file.file_name,
            content_type: file.content_type,
            size: file.size,
        })))
    }

    /// Download a file of a message
    ///
    /// With the signed link that a message shows, or with credentials and only the id.
    #[expect(clippy::too_many_arguments, reason = "each part of the link is a parameter of the document")]
    #[oai(path = "/v1/media/:id", method = "get", operation_id = "get_media")]
    async fn get_media(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: MaybeActing,
        id: Path<PathId>,
        /// Of a signed link: when it expires.
        exp: Query<Option<i64>>,
        /// Of a signed link: whose file it is.
        t: Query<Option<u32>>,
        /// Of a signed link: MIME type of the file.
        #[oai(name = "type")]
        content_type: Query<Option<String>>,
        /// Of a signed link: name of the file.
        name: Query<Option<String>>,
        /// Of a signed link: its signature.
        sig: Query<Option<String>>,
    ) -> Result<Download, Refused<READ>> {
        let id = id.of("File")?;
        let commands = &state.commands;
        let (tenant, content_type, file_name) = match acting.0 {
            Some(tenant) => (tenant, FALLBACK_TYPE.to_owned(), id.to_string()),
            None => {
                let query = LinkQuery {
                    exp: exp.0.unwrap_or_default(),
                    t: t.0.unwrap_or_default(),
                    content_type: content_type.0.unwrap_or_default(),
                    name: name.0.unwrap_or_default(),
                    sig: sig.0.unwrap_or_default(),
                };
                let link = state.media_links.open(id, query, commands.now()).ok_or_else(|| {
                    Failure::unauthorized("the link is not valid or has expired; get the message again for a new link")
                })?;
                (link.tenant, link.content_type, link.file_name)
            }
        };
        Ok(Download::open(commands, tenant, id, content_type, file_name).await?)
    }

    /// Download the file of a message
    ///
    /// Of a received message its own, of a sent one the first; not found once the message was deleted for everyone.
    /// With the signed link that a webhook was told, or with credentials and only the id. While the file is still being fetched from the
    /// channel, the answer is 503 with `Retry-After`.
    #[oai(path = "/v1/media/messages/:id", method = "get", operation_id = "get_message_media")]
    async fn get_message_media(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: MaybeActing,
        /// Id of the message in its conversation.
        id: Path<PathId>,
        /// Of a signed link: when it expires.
        exp: Query<Option<i64>>,
        /// Of a signed link: whose message it is.
        t: Query<Option<u32>>,
        /// Of a signed link: its signature.
        sig: Query<Option<String>>,
    ) -> Result<Download, Refused<{ READ | WRITE }>> {
        let id = id.of("File")?;
        let tenant = match acting.0 {
            Some(tenant) => tenant,
            None => {
                let (exp, t, sig) = (exp.0.unwrap_or_default(), t.0.unwrap_or_default(), sig.0.unwrap_or_default());
                let opened = state.media_links.open_message(id, exp, t, &sig, state.commands.now());
                opened.ok_or_else(|| Failure::unauthorized("the link is not valid or has expired"))?
            }
        };
        let file = state.commands.available_message_file(tenant, id)?;
        Ok(Download::open(&state.commands, tenant, file.id, file.content_type, file.file_name).await?)
    }
}
