//! A multipart body that a handler reads piece by piece: declared to the document, its Content-Type checked, nothing of it read yet.

use std::marker::PhantomData;
use std::pin::Pin;

use poem::http::header;
use poem::web::Field;
use poem::{Request, RequestBody};
use poem_openapi::registry::{MetaMediaType, MetaRequest, MetaSchema, MetaSchemaRef, Registry};
use poem_openapi::types::Type;
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};
use pombo_domain::Error;
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::body::LimitedMultipart;
use crate::declared::{Declared, Declares};
use crate::error::Failure;

/// What the parts besides the file may weigh, with boundaries and headers, in bytes.
pub const FORM_BYTES: u64 = 64 * 1024;

const PIECE_BYTES: usize = 64 * 1024;

/// A form as the document describes it.
pub trait Form: Send + Sync + 'static {
    /// The schema's name.
    const NAME: &'static str;
    /// An object with a property for each part.
    fn schema() -> MetaSchema;
}

/// The body of a request, not yet read; extracting it fails with 415 for another Content-Type.
pub struct Multipart<'a, F> {
    request: &'a Request,
    body: RequestBody,
    form: PhantomData<fn() -> F>,
}

struct FormSchema<F>(PhantomData<fn() -> F>);

impl<F: Form> Declares for FormSchema<F> {
    const NAME: &'static str = F::NAME;

    fn schema(_: &mut Registry) -> MetaSchema {
        F::schema()
    }
}

impl<F: Form> Multipart<'_, F> {
    /// Begins to read; the whole may have `limit` bytes.
    pub async fn open(mut self, limit: u64) -> Result<LimitedMultipart, Failure> {
        LimitedMultipart::open(self.request, &mut self.body, limit).await
    }

    /// Reads on to its end and throws it away, so that the caller sees the answer. For a request that is refused unread.
    pub async fn discard(self, limit: u64) {
        // Where it is not a form at all, there is nothing to be read.
        if let Ok(form) = self.open(limit).await {
            form.discard().await;
        }
    }
}

impl<'a, F: Form> ApiExtractor<'a> for Multipart<'a, F> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        Declared::<FormSchema<F>>::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        let schema = Declared::<FormSchema<F>>::schema_ref();
        let content = vec![MetaMediaType { content_type: "multipart/form-data", schema }];
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
        Ok(Self { request, body: RequestBody::new(body.take()?), form: PhantomData })
    }
}

/// Refuses a part that the form does not have; `known` is what to send instead, in words.
pub fn unknown_part(name: &str, known: &str) -> Failure {
    let shown: String = name.chars().filter(|c| !c.is_control()).take(60).collect();
    Error::invalid(shown, format!("is not known here; {known}")).into()
}

/// A property's schema.
pub fn inline(schema: MetaSchema) -> MetaSchemaRef {
    MetaSchemaRef::Inline(Box::new(schema))
}

/// Reads a part piece by piece.
pub struct Pieces {
    reader: Pin<Box<dyn AsyncRead + Send>>,
    piece: Vec<u8>,
}

impl Pieces {
    /// The pieces of `part`.
    pub fn of(part: Field) -> Self {
        Self { reader: Box::pin(part.into_async_read()), piece: vec![0; PIECE_BYTES] }
    }

    /// The next piece; `None` after the last. `form` is the one that the part is of.
    pub async fn next(&mut self, form: &LimitedMultipart) -> Result<Option<&[u8]>, Failure> {
        let read = self.reader.read(&mut self.piece).await.map_err(|_| form.broken())?;
        Ok((read > 0).then(|| &self.piece[..read]))
    }
}
