//! Who calls: an API key in the header `apikey`, of one instance or of the whole tenant. A key of one instance acts by that instance
//! alone; the operations keep to it with [`Caller::is_for`].

use std::future::{Future, ready};

use poem::{Request, RequestBody};
use poem_openapi::registry::{MetaSecurityScheme, Registry};
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};
use pombo_api::auth::state_of;
use pombo_api::error::Failure;
use pombo_domain::{ConnectorIndex, ErrorCode, TenantIndex};
use uuid::Uuid;

/// The header that has the key.
const HEADER: &str = "apikey";
/// The longest key that is looked up, in bytes.
const MAX_KEY_BYTES: usize = 256;

/// The owner of the key in a request. Extracting it fails with 401. Put it before the body, so that nothing is read for a caller
/// without a key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caller {
    /// The tenant in which everything is looked up.
    pub(crate) tenant: TenantIndex,
    /// The connector that the key is bound to.
    pub(crate) own: Option<ConnectorIndex>,
    key: Option<Uuid>,
}

impl Caller {
    fn of(request: &Request) -> Result<Self, Failure> {
        let mut given = request.headers().get_all(HEADER).iter();
        let (Some(key), None) = (given.next(), given.next()) else {
            return Err(Failure::unauthorized(match request.headers().contains_key(HEADER) {
                true => "send the header apikey once",
                false => "send your API key in the header apikey",
            }));
        };
        let wrong = || Failure::unauthorized("the API key is unknown or revoked");
        let key = key.to_str().map_err(|_| wrong())?.trim();
        if key.is_empty() || key.len() > MAX_KEY_BYTES {
            return Err(wrong());
        }
        match state_of(request)?.commands.identify_api_key(key) {
            Ok(identity) => Ok(Self { tenant: identity.tenant, own: identity.connector, key: identity.key }),
            Err(error) if error.code == ErrorCode::Unauthenticated => Err(wrong()),
            Err(error) => Err(error.into()),
        }
    }

    /// Who acts, as it is kept with messages.
    pub(crate) fn by(&self) -> String {
        self.key.map_or_else(|| "key".to_owned(), |key| format!("key:{key}"))
    }

    /// Whether the key is for this instance: for all of the tenant's, or for this one.
    pub(crate) fn is_for(&self, instance: ConnectorIndex) -> bool {
        self.own.is_none_or(|own| own == instance)
    }
}

impl<'a> ApiExtractor<'a> for Caller {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        registry.create_security_scheme(
            "apikey",
            MetaSecurityScheme {
                ty: "apiKey",
                description: Some("An API key, of one instance (`sk_inst_…`) or of the whole tenant (`sk_live_…`)."),
                name: Some(HEADER),
                key_in: Some("header"),
                scheme: None,
                bearer_format: None,
                flows: None,
                openid_connect_url: None,
            },
        );
    }

    fn security_schemes() -> Vec<&'static str> {
        vec!["apikey"]
    }

    fn from_request(
        request: &'a Request,
        _body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> impl Future<Output = poem::Result<Self>> + Send {
        ready(Self::of(request).map_err(Into::into))
    }
}
