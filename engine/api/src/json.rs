//! JSON requests and responses with serde_json directly from and to bytes, with the schema declared to the OpenAPI document. The
//! framework's own `Json` builds a tree of values, which costs more than all the rest of a large request.

use std::marker::PhantomData;

use bytes::Bytes;
use poem::http::header;
use poem::{Request, RequestBody};
use poem_openapi::payload::Payload;
use poem_openapi::registry::{MetaMediaType, MetaRequest, MetaResponse, MetaResponses, MetaSchemaRef, Registry};
use poem_openapi::types::Type;
use poem_openapi::{ApiExtractor, ApiExtractorType, ApiResponse, ExtractParamOptions};
use serde::{Deserialize, Serialize};

use crate::auth::state_of;
use crate::body;
use crate::error::Failure;
use crate::fields::{Field, Wanted};
use crate::options::Limits;
use crate::reasons;

/// Whether a Content-Type is JSON, ignoring its parameters. A request without a Content-Type counts as JSON.
pub fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
}

/// Chooses one of the configured limits for a body.
pub trait BodyLimit: Send + Sync + 'static {
    /// The limit in bytes.
    fn bytes(limits: &Limits) -> usize;
}

/// The limit [`Limits::json_bytes`].
pub struct Ordinary;

impl BodyLimit for Ordinary {
    fn bytes(limits: &Limits) -> usize {
        limits.json_bytes
    }
}

/// The limit [`Limits::bulk_bytes`].
pub struct Bulk;

impl BodyLimit for Bulk {
    fn bytes(limits: &Limits) -> usize {
        limits.bulk_bytes
    }
}

/// A JSON request body, still as bytes: the handler parses it into types that borrow from it. `T` is the type in the document.
pub struct JsonBytes<T, L = Ordinary> {
    /// The body as it came, of at most the limit's size.
    pub bytes: Bytes,
    declared: PhantomData<fn() -> (T, L)>,
}

impl<T, L> JsonBytes<T, L> {
    /// Parses it as an object of fields.
    pub fn object<'a, U: Wanted<'a>>(&'a self) -> Result<U, Failure> {
        object(&self.bytes)
    }
}

/// Parses a JSON body that must be an object of fields.
pub fn object<'a, U: Wanted<'a>>(bytes: &'a [u8]) -> Result<U, Failure> {
    match parse::<Field<U>>(bytes)? {
        Field::Value(fields) => Ok(fields),
        Field::Wrong(message) => Err(Failure::bad_request(format!("the body {message}"))),
        Field::Missing => Err(Failure::bad_request(format!("the body must be {}, not null", U::NAME))),
    }
}

/// Parses a JSON body; the error says where it is wrong, without quoting a value.
pub fn parse<'a, U: Deserialize<'a>>(bytes: &'a [u8]) -> Result<U, Failure> {
    serde_json::from_slice(bytes).map_err(|error| {
        let place = format!("line {}, column {}", error.line(), error.column());
        match error.classify() {
            serde_json::error::Category::Data => {
                let reason = reasons::of_body(&error.to_string());
                Failure::bad_request(format!("the JSON body does not fit at {place}: {reason}"))
            }
            serde_json::error::Category::Eof if bytes.is_empty() => Failure::bad_request("send a JSON body"),
            _ => Failure::bad_request(format!("the body is not valid JSON ({place})")),
        }
    })
}

impl<'a, T: Type, L: BodyLimit> ApiExtractor<'a> for JsonBytes<T, L> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        let content = vec![MetaMediaType { content_type: "application/json", schema: T::schema_ref() }];
        Some(MetaRequest { description: None, content, required: true })
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        if let Some(given) = request.header(header::CONTENT_TYPE)
            && !is_json(given)
        {
            return Err(Failure::wrong_content_type(given, "application/json").into());
        }
        let limit = L::bytes(&state_of(request)?.options.limits);
        let bytes = body::read(request, body, limit).await?;
        Ok(Self { bytes, declared: PhantomData })
    }
}

/// A JSON request body that may be left out: some clients send a Content-Type without a body, or drop the body of a DELETE. `T` is
/// the type in the document.
pub struct OptionalJsonBytes<T> {
    /// The body as it came, of at most [`Limits::json_bytes`]; empty where there is none.
    pub bytes: Bytes,
    declared: PhantomData<fn() -> T>,
}

impl<T> OptionalJsonBytes<T> {
    /// Whether there is no body, or only blanks.
    pub fn is_absent(&self) -> bool {
        self.bytes.trim_ascii().is_empty()
    }
    /// The body as it came; `{}` if there is none, which asks for the same.
    pub fn bytes_or_empty_object(&self) -> &[u8] {
        if self.is_absent() { b"{}" } else { &self.bytes }
    }
    /// Parses it as an object of fields; without a body, none of them is given.
    pub fn object<'a, U: Wanted<'a> + Default>(&'a self) -> Result<U, Failure> {
        if self.is_absent() { Ok(U::default()) } else { object(&self.bytes) }
    }
}

impl<'a, T: Type> ApiExtractor<'a> for OptionalJsonBytes<T> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        let content = vec![MetaMediaType { content_type: "application/json", schema: T::schema_ref() }];
        Some(MetaRequest { description: None, content, required: false })
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        let bytes = body::read(request, body, state_of(request)?.options.limits.json_bytes).await?;
        match request.header(header::CONTENT_TYPE) {
            Some(given) if !bytes.is_empty() && !is_json(given) => {
                Err(Failure::wrong_content_type(given, "application/json").into())
            }
            _ => Ok(Self { bytes, declared: PhantomData }),
        }
    }
}

/// A JSON response, written by serde. `T` declares the same shape to the document; a test of each facade compares the two.
pub struct SerdeJson<T>(pub T);

impl<T: Type + Send> Payload for SerdeJson<T> {
    const CONTENT_TYPE: &'static str = "application/json";

    fn schema_ref() -> MetaSchemaRef {
        T::schema_ref()
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

impl<T: Serialize + Send> poem::IntoResponse for SerdeJson<T> {
    fn into_response(self) -> poem::Response {
        match serde_json::to_vec(&self.0) {
            Ok(bytes) => poem::Response::builder().content_type("application/json").body(bytes),
            // Reached only by a map whose keys are not texts; none of the wire types has one.
            Err(_) => poem::http::StatusCode::INTERNAL_SERVER_ERROR.into(),
        }
    }
}

impl<T: Type + Send> ApiResponse for SerdeJson<T> {
    fn meta() -> MetaResponses {
        let content = vec![MetaMediaType { content_type: Self::CONTENT_TYPE, schema: T::schema_ref() }];
        let response = MetaResponse {
            description: "The request succeeded.",
            status: Some(200),
            status_range: None,
            content,
            headers: Vec::new(),
        };
        MetaResponses { responses: vec![response] }
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}
