//! Section Media: files of messages: uploaded for a later message; opened by a signed link or with credentials, streamed from disk.
//!
//! What a tenant uploaded is never shown as a page of this origin: it is always a download, its type is not guessed, and
//! nothing in it may run.

use std::future::Future;
use std::sync::Arc;

use poem::http::{HeaderValue, StatusCode, header};
use poem::web::Data;
use poem::{Body, IntoResponse, Request, RequestBody, Response};
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::{Binary, Json, Payload};
use poem_openapi::registry::{MetaMediaType, MetaResponse, MetaResponses, Registry};
use poem_openapi::{ApiExtractor, ApiExtractorType, ApiResponse, ExtractParamOptions, Object, OpenApi};
use pombo_domain::TenantIndex;
use uuid::Uuid;

use crate::Section;
use crate::access::{Acting, is_signed};
use crate::media_upload::{MediaForm, receive};
use crate::wire::{BODY, Created, PathId, READ, Refused, WRITE};
use pombo_api::error::Failure;
use pombo_api::media_links::LinkQuery;
use pombo_api::multipart::Multipart;
use pombo_api::options::ApiState;

const FALLBACK_TYPE: &str = "application/octet-stream";

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

/// A file's bytes.
pub(crate) struct MediaFile {
    file: tokio::fs::File,
    size: u64,
    content_type: String,
    file_name: String,
}

impl IntoResponse for MediaFile {
    fn into_response(self) -> Response {
        let mut response = Response::builder().body(Body::from_async_read(self.file));
        let headers = response.headers_mut();
        let fixed = [
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"),
            (header::CACHE_CONTROL, "private, max-age=3600"),
        ];
        for (name, value) in fixed {
            headers.insert(name, HeaderValue::from_static(value));
        }
        let content_type = HeaderValue::from_str(&self.content_type);
        headers.insert(header::CONTENT_TYPE, content_type.unwrap_or(HeaderValue::from_static(FALLBACK_TYPE)));
        if let Ok(disposition) = HeaderValue::from_str(&disposition(&self.file_name)) {
            headers.insert(header::CONTENT_DISPOSITION, disposition);
        }
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(self.size));
        response
    }
}

impl ApiResponse for MediaFile {
    fn meta() -> MetaResponses {
        let content = vec![MetaMediaType { content_type: "*/*", schema: Binary::<Body>::schema_ref() }];
        let response = MetaResponse {
            description: "The file, as a download.",
            status: Some(200),
            status_range: None,
            content,
            headers: Vec::new(),
        };
        MetaResponses { responses: vec![response] }
    }

    fn register(_registry: &mut Registry) {}
}

/// A download's name: plain ASCII for old readers, and all of it percent-encoded (RFC 6266).
fn disposition(file_name: &str) -> String {
    let plain: String =
        file_name.chars().map(|c| if c.is_ascii_alphanumeric() || "._- ".contains(c) { c } else { '_' }).collect();
    let mut encoded = String::with_capacity(file_name.len());
    for byte in file_name.bytes() {
        if byte.is_ascii_alphanumeric() || b"._-".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}")
}

/// A stored file, ready to be answered.
async fn opened(
    state: &ApiState,
    tenant: TenantIndex,
    id: Uuid,
    content_type: String,
    file_name: String,
) -> Result<MediaFile, Failure> {
    let unreadable = |cause: String| Failure {
        cause: Some(format!("opening a media file: {cause}")),
        ..Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "the file could not be read")
    };
    let media = state.commands.media();
    let size = media.stat(tenant, id).await.map_err(|error| unreadable(error.to_string()))?;
    let size = size.ok_or_else(|| Failure::not_found("File"))?;
    let file = tokio::fs::File::open(media.path(tenant, id)).await;
    let file = file.map_err(|error| unreadable(error.to_string()))?;
    Ok(MediaFile { file, size, content_type, file_name })
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
    ) -> Result<MediaFile, Refused<READ>> {
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
        Ok(opened(&state, tenant, id, content_type, file_name).await?)
    }

    /// Download the file of a received message
    ///
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
    ) -> Result<MediaFile, Refused<{ READ | WRITE }>> {
        let id = id.of("File")?;
        let tenant = match acting.0 {
            Some(tenant) => tenant,
            None => {
                let (exp, t, sig) = (exp.0.unwrap_or_default(), t.0.unwrap_or_default(), sig.0.unwrap_or_default());
                let opened = state.media_links.open_message(id, exp, t, &sig, state.commands.now());
                opened.ok_or_else(|| Failure::unauthorized("the link is not valid or has expired"))?
            }
        };
        let file = state.commands.received_file(tenant, id)?;
        Ok(opened(&state, tenant, file.id, file.content_type, file.file_name).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::disposition;

    #[test]
    fn a_file_name_can_not_leave_its_header() {
        assert_eq!(disposition("a b.pdf"), "attachment; filename=\"a b.pdf\"; filename*=UTF-8''a%20b.pdf");
        let hostile = disposition("x\"; filename=evil.html\r\nX-A: 1é");
        assert!(!hostile.contains(['\r', '\n']) && hostile.is_ascii());
        assert_eq!(hostile.matches('"').count(), 2);
    }
}
