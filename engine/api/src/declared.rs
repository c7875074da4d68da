//! Schemas that are declared to the OpenAPI document by hand, where the framework's derive cannot describe them correctly: bodies
//! that serde_json parses into borrowing types, and parameters with rules of their own.

use std::borrow::Cow;
use std::marker::PhantomData;

use poem::{Request, RequestBody};
use poem_openapi::error::ParseParamError;
use poem_openapi::param::Header;
use poem_openapi::registry::{MetaParamIn, MetaSchema, MetaSchemaRef, Registry};
use poem_openapi::types::{ParseError, ParseFromParameter, ParseResult, Type};
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};
use pombo_domain::commands::messages::send::Idempotency;

/// A type with a named schema in the document.
pub trait Declares: Send + Sync + 'static {
    /// The schema's name.
    const NAME: &'static str;
    /// The schema; may register others that it refers to.
    fn schema(registry: &mut Registry) -> MetaSchema;
}

/// Stands for `T` where the framework requires a type. Has no values.
pub struct Declared<T>(PhantomData<fn() -> T>);

impl<T: Declares> Type for Declared<T> {
    const IS_REQUIRED: bool = true;
    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        T::NAME.into()
    }
    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Reference(T::NAME.to_owned())
    }
    fn register(registry: &mut Registry) {
        registry.create_schema::<T, _>(T::NAME.to_owned(), T::schema);
    }
    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }
    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(self.as_raw_value().into_iter())
    }
}

/// A kind of parameter: its schema in the document and how it is parsed.
pub trait ParamKind: Send + Sync + 'static {
    /// What it is read as.
    type Value: Send + Sync;
    /// Its schema, inline.
    fn schema() -> MetaSchema;
    /// Reads it; the error says what it must be.
    fn parse(text: &str) -> Result<Self::Value, String>;
}

/// The value of a parameter of kind `K`.
pub struct Param<K: ParamKind>(pub K::Value);

impl<K: ParamKind> Type for Param<K> {
    const IS_REQUIRED: bool = true;
    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        "parameter".into()
    }
    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Inline(Box::new(K::schema()))
    }
    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }
    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(self.as_raw_value().into_iter())
    }
}

impl<K: ParamKind> ParseFromParameter for Param<K> {
    fn parse_from_parameter(text: &str) -> ParseResult<Self> {
        K::parse(text).map(Param).map_err(ParseError::custom)
    }
}

/// The header `Idempotency-Key`. Its rules are checked where it is used.
pub struct IdempotencyKey;

impl ParamKind for IdempotencyKey {
    type Value = String;

    fn schema() -> MetaSchema {
        MetaSchema {
            min_length: Some(1),
            max_length: Some(Idempotency::MAX_CHARS),
            pattern: Some("^[!-~]+$".to_owned()),
            ..MetaSchema::new("string")
        }
    }
    fn parse(text: &str) -> Result<String, String> {
        Ok(text.to_owned())
    }
}

/// How a handler takes the `Idempotency-Key`. The framework passes over a header that is not ASCII, as if it had not been sent: here it is
/// refused, because whoever sends a key relies on it.
pub struct KeyHeader(pub Option<Param<IdempotencyKey>>);

type Read = Header<Option<Param<IdempotencyKey>>>;

impl<'a> ApiExtractor<'a> for KeyHeader {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::Parameter];
    const PARAM_IS_REQUIRED: bool = false;
    type ParamType = Option<Param<IdempotencyKey>>;
    type ParamRawType = Param<IdempotencyKey>;

    fn register(registry: &mut Registry) {
        Read::register(registry);
    }
    fn param_in() -> Option<MetaParamIn> {
        Read::param_in()
    }
    fn param_schema_ref() -> Option<MetaSchemaRef> {
        Read::param_schema_ref()
    }
    fn param_raw_type(&self) -> Option<&Self::ParamRawType> {
        self.0.as_ref()
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        options: ExtractParamOptions<Self::ParamType>,
    ) -> poem::Result<Self> {
        let name = options.name;
        if request.headers().get_all(name).iter().any(|value| value.to_str().is_err()) {
            return Err(ParseParamError { name, reason: Idempotency::rule() }.into());
        }
        let Header(key) = Read::from_request(request, body, options).await?;
        Ok(Self(key))
    }
}
