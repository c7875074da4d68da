//! Receives an uploaded component into memory, within its limit, with the optional signature.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use poem::http::header;
use poem::web::Field;
use poem::{Request, RequestBody};
use poem_openapi::registry::{MetaMediaType, MetaRequest, MetaSchema, MetaSchemaRef, Registry};
use poem_openapi::types::Type;
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};
use pombo_domain::Error;
use tokio::io::AsyncReadExt;

use pombo_api::body::LimitedMultipart;
use pombo_api::error::Failure;

const PIECE_BYTES: usize = 64 * 1024;
/// Maximum size of the form other than the component, in bytes: its boundaries, headers and the signature.
const FORM_BYTES: u64 = 64 * 1024;
/// Maximum length of the signature, in bytes of base64.
const SIGNATURE_BYTES: usize = 1024;

/// The multipart body in the document.
struct ComponentForm;

const NAME: &str = "PluginUpload";

impl Type for ComponentForm {
    const IS_REQUIRED: bool = true;
    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        NAME.into()
    }
    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Reference(NAME.to_owned())
    }
    fn register(registry: &mut Registry) {
        registry.create_schema::<Self, _>(NAME.to_owned(), |_| {
            let component = MetaSchema {
                description: Some("The compiled component, as a file."),
                ..MetaSchema::new_with_format("string", "binary")
            };
            let signature = MetaSchema {
                description: Some(
                    "Ed25519, base64, over the line `pombo-plugin-v1` with its line feed and the 64 hexadecimal characters \
                     of the component's SHA-256.",
                ),
                ..MetaSchema::new("string")
            };
            MetaSchema {
                description: Some("A component."),
                required: vec!["component"],
                properties: vec![
                    ("component", MetaSchemaRef::Inline(Box::new(component))),
                    ("signature", MetaSchemaRef::Inline(Box::new(signature))),
                ],
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

/// A multipart body with a component, not yet read.
pub(crate) struct ComponentBody<'a> {
    request: &'a Request,
    body: RequestBody,
}

/// The content of the form.
pub(crate) struct Component {
    pub(crate) bytes: Bytes,
    pub(crate) signature: Option<Vec<u8>>,
}

impl<'a> ApiExtractor<'a> for ComponentBody<'a> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        ComponentForm::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        let content = vec![MetaMediaType { content_type: "multipart/form-data", schema: ComponentForm::schema_ref() }];
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

impl ComponentBody<'_> {
    /// Reads to the end and discards it, so that the caller of a refused request sees the answer.
    pub(crate) async fn discard(mut self, limit: u64) {
        // Where it is no form at all, there is nothing to be read.
        if let Ok(form) = LimitedMultipart::open(self.request, &mut self.body, limit + FORM_BYTES).await {
            form.discard().await;
        }
    }

    /// Reads the form; the component has at most `limit` bytes.
    pub(crate) async fn receive(mut self, limit: u64) -> Result<Component, Failure> {
        let mut form = LimitedMultipart::open(self.request, &mut self.body, limit + FORM_BYTES).await?;
        match read_parts(&mut form, limit).await {
            Ok(component) => Ok(component),
            Err(failure) => {
                form.discard().await;
                Err(failure)
            }
        }
    }
}

async fn read_parts(form: &mut LimitedMultipart, limit: u64) -> Result<Component, Failure> {
    let (mut component, mut signature) = (None, None);
    while let Some(part) = form.next().await? {
        let name = part.name().unwrap_or_default().to_owned();
        match name.as_str() {
            "component" if component.is_some() => return Err(Error::invalid(name, "was given twice").into()),
            "signature" if signature.is_some() => return Err(Error::invalid(name, "was given twice").into()),
            "component" => component = Some(whole(form, part, limit, &name).await?),
            "signature" => {
                let text = whole(form, part, SIGNATURE_BYTES as u64, &name).await?;
                let text: Vec<u8> = text.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
                let decoded = STANDARD.decode(text);
                signature = Some(decoded.map_err(|_| Error::invalid("signature", "must be base64"))?);
            }
            _ => {
                let shown: String = name.chars().filter(|c| !c.is_control()).take(60).collect();
                return Err(Error::invalid(shown, "is not known here; known are component and signature").into());
            }
        }
    }
    let bytes = component.ok_or_else(|| Error::invalid("component", "send the compiled component as this part"))?;
    Ok(Component { bytes, signature })
}

async fn whole(form: &LimitedMultipart, part: Field, limit: u64, name: &str) -> Result<Bytes, Failure> {
    let mut reader = std::pin::pin!(part.into_async_read());
    let mut whole = BytesMut::new();
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let read = reader.read(&mut piece).await.map_err(|_| form.broken())?;
        if read == 0 {
            return Ok(whole.freeze());
        }
        if (whole.len() + read) as u64 > limit {
            return Err(Failure::too_large(format!("{name}: must be at most {limit} bytes")));
        }
        whole.extend_from_slice(&piece[..read]);
    }
}
