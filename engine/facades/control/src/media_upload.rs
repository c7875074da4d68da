//! Receives a file into a tenant's media, streamed piece by piece; a request that is refused or cut off leaves nothing behind.

use std::borrow::Cow;

use poem::http::header;
use poem::web::Field;
use poem::{Request, RequestBody};
use poem_openapi::registry::{MetaMediaType, MetaRequest, MetaSchema, MetaSchemaRef, Registry};
use poem_openapi::types::Type;
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};
use pombo_domain::model::Attachment;
use pombo_domain::ports::MediaError;
use pombo_domain::{Error, TenantIndex};
use tokio::io::AsyncReadExt;

use pombo_api::body::LimitedMultipart;
use pombo_api::error::Failure;
use pombo_api::options::ApiState;

const PIECE_BYTES: usize = 64 * 1024;

/// The multipart body in the document.
struct UploadForm;

impl Type for UploadForm {
    const IS_REQUIRED: bool = true;
    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        "MediaUpload".into()
    }
    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Reference("MediaUpload".to_owned())
    }
    fn register(registry: &mut Registry) {
        registry.create_schema::<Self, _>("MediaUpload".to_owned(), |_| {
            let file = MetaSchema {
                description: Some("The file with its name and type, at most 50 MB."),
                ..MetaSchema::new_with_format("string", "binary")
            };
            MetaSchema {
                description: Some("A file to send later."),
                required: vec!["file"],
                properties: vec![("file", MetaSchemaRef::Inline(Box::new(file)))],
                ..MetaSchema::new("object")
            }
        });
    }
    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }
    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(std::iter::once(self))
    }
}

/// A multipart body with one file, not yet read.
pub(crate) struct FileBody<'a> {
    request: &'a Request,
    body: RequestBody,
}

impl<'a> ApiExtractor<'a> for FileBody<'a> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        UploadForm::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        let content = vec![MetaMediaType { content_type: "multipart/form-data", schema: UploadForm::schema_ref() }];
        Some(MetaRequest { description: None, content, required: true })
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        let content_type = request.header(header::CONTENT_TYPE).unwrap_or_default();
        if !content_type.trim_start().to_ascii_lowercase().starts_with("multipart/form-data") {
            return Err(Failure::wrong_content_type(content_type, "multipart/form-data").into());
        }
        Ok(Self { request, body: RequestBody::new(body.take()?) })
    }
}

impl FileBody<'_> {
    /// Reads the file into the tenant's media.
    pub(crate) async fn receive(mut self, state: &ApiState, tenant: TenantIndex) -> Result<Attachment, Failure> {
        let limit = state.options.limits.multipart_bytes;
        let mut form = LimitedMultipart::open(self.request, &mut self.body, limit).await?;
        let mut received = None;
        let outcome = read_parts(state, tenant, &mut form, &mut received).await;
        match (outcome, received) {
            (Ok(()), Some(file)) => Ok(file),
            (Ok(()), None) => Err(Error::invalid("file", "send the file as this part, with a file name").into()),
            (Err(failure), received) => {
                if let Some(file) = received
                    && let Err(error) = state.commands.media().delete(tenant, file.id).await
                {
                    tracing::warn!(%error, "a file of a refused upload stays");
                }
                form.discard().await;
                Err(failure)
            }
        }
    }
}

async fn read_parts(
    state: &ApiState,
    tenant: TenantIndex,
    form: &mut LimitedMultipart,
    received: &mut Option<Attachment>,
) -> Result<(), Failure> {
    while let Some(part) = form.next().await? {
        let name = part.name().unwrap_or_default();
        if name != "file" {
            let shown: String = name.chars().filter(|c| !c.is_control()).take(60).collect();
            return Err(Error::invalid(shown, "is not known here; send one part named file").into());
        }
        if received.is_some() {
            return Err(Error::invalid("file", "send one file at a time").into());
        }
        if part.file_name().is_none_or(str::is_empty) {
            return Err(Error::invalid("file", "must be a file with a name").into());
        }
        *received = Some(store(state, tenant, part, form).await?);
    }
    Ok(())
}

async fn store(
    state: &ApiState,
    tenant: TenantIndex,
    part: Field,
    form: &LimitedMultipart,
) -> Result<Attachment, Failure> {
    let file_name = part.file_name().unwrap_or_default().to_owned();
    let content_type = part.content_type().map(str::to_owned);
    let media = state.commands.media();
    let mut writer = media.create(tenant, &file_name, content_type.as_deref()).await.map_err(refused)?;
    let mut reader = std::pin::pin!(part.into_async_read());
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let read = reader.read(&mut piece).await.map_err(|_| form.broken())?;
        if read == 0 {
            return writer.finish().await.map_err(refused);
        }
        writer.write(&piece[..read]).await.map_err(refused)?;
    }
}

fn refused(error: MediaError) -> Failure {
    match error {
        MediaError::TooLarge => Failure::too_large(format!("file: {error}")),
        MediaError::NotFound | MediaError::Io(_) => Failure::internal(error.to_string()),
    }
}
