//! Identifies the caller: the operator, a tenant, or the operator acting for a tenant.

use std::future::Future;

use poem::http::StatusCode;
use poem::http::header::AUTHORIZATION;
use poem::{Request, RequestBody};
use poem_openapi::registry::{MetaSecurityScheme, Registry};
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};
use pombo_domain::commands::access::actor::Actor;
use pombo_domain::commands::access::authenticate::Identity;
use pombo_domain::commands::access::tenants::operator_only;
use pombo_domain::{Error, TenantIndex};
use uuid::Uuid;

use pombo_api::Security;
use pombo_api::auth::{Caller, bearer, identity_of, is_operator, state_of};
use pombo_api::error::Failure;
use pombo_api::options::ApiState;

/// Names the tenant that the operator acts for.
pub(crate) const TENANT_HEADER: &str = "X-Pombo-Tenant";

/// The operator. Extracting it fails with 401, and with 403 for a tenant's valid token.
pub(crate) struct Operator;

impl Operator {
    fn of(request: &Request) -> Result<Self, Failure> {
        let state = state_of(request)?;
        if bearer(request).is_some_and(|token| is_operator(state, token)) {
            return Ok(Self);
        }
        // An API key in its own header is not a credential for these operations.
        if !request.headers().contains_key(AUTHORIZATION) {
            return Err(Failure::unauthorized("send Authorization: Bearer with the operator token"));
        }
        match Caller::of_all(request) {
            Ok(_) => Err(operator_only().into()),
            Err(failure) if failure.status == StatusCode::UNAUTHORIZED => {
                Err(Failure::unauthorized("send Authorization: Bearer with the operator token"))
            }
            Err(failure) => Err(failure),
        }
    }
}

/// The tenant that a request acts on: the credential's own, or the one that the operator names in `X-Pombo-Tenant`.
pub(crate) struct Acting {
    /// The tenant's number.
    pub(crate) tenant: TenantIndex,
    /// Who acts: `user:…`, `key:…` or `operator`.
    by: String,
    /// The tenant's credential; `None` for the operator's, which holds as long as the process runs.
    identity: Option<Identity>,
}

impl Acting {
    pub(crate) fn of(request: &Request) -> Result<Self, Failure> {
        let state = state_of(request)?;
        // A caller without a credential is not told that this header is wrong.
        let named = named_tenant(request);
        if bearer(request).is_some_and(|token| is_operator(state, token)) {
            if request.headers().contains_key("x-api-key") {
                return Err(Failure::unauthorized("send the operator token or X-API-Key, not both"));
            }
            let id = named?.ok_or_else(|| Error::invalid(TENANT_HEADER, "name the tenant that you act for"))?;
            return Ok(Self { tenant: state.commands.get_tenant(id)?.index, by: OPERATOR.to_owned(), identity: None });
        }
        let Caller(identity) = Caller::of_all(request)?;
        match named? {
            // A tenant may name itself; of any other it learns nothing.
            Some(id) if id != identity.tenant_id => Err(Failure::not_found("Tenant")),
            _ => Ok(Self { tenant: identity.tenant, by: named_by(&identity), identity: Some(identity) }),
        }
    }

    /// Whether the credential still holds, for a request that lasts.
    pub(crate) fn holds(&self, state: &ApiState) -> Result<bool, Failure> {
        holds(self.identity.as_ref(), state)
    }

    /// Who acts: `user:…`, `key:…` or `operator`.
    pub(crate) fn by(&self) -> &str {
        &self.by
    }

    /// Who acts, and for whom.
    pub(crate) fn actor(self) -> Actor {
        Actor { tenant: Some(self.tenant), by: self.by }
    }
}

/// Who reads what a key that is bound to one connector may read as well (decision 0043).
pub(crate) enum Reading {
    /// Whoever acts for the whole tenant.
    Whole(Acting),
    /// A key that is bound to one connector.
    Bound {
        /// Whose it is.
        identity: Identity,
        /// Public id of its connector.
        own: Uuid,
        /// What it is answered where it asks for more.
        refusal: Box<Failure>,
    },
}

impl Reading {
    fn of(request: &Request) -> Result<Self, Failure> {
        let refusal = match Acting::of(request) {
            Ok(acting) => return Ok(Self::Whole(acting)),
            Err(failure) => failure,
        };
        // Beside another credential a bound key is refused, as everywhere.
        let both = request.headers().contains_key("x-api-key") && request.headers().contains_key(AUTHORIZATION);
        if refusal.status != StatusCode::FORBIDDEN || both {
            return Err(refusal);
        }
        let identity = identity_of(request)?;
        let Some(index) = identity.connector else { return Err(refusal) };
        match named_tenant(request)? {
            Some(id) if id != identity.tenant_id => Err(Failure::not_found("Tenant")),
            _ => {
                let own = state_of(request)?.commands.own_connector_id(identity.tenant, index)?;
                Ok(Self::Bound { identity, own, refusal: Box::new(refusal) })
            }
        }
    }
}

impl<'a> ApiExtractor<'a> for Reading {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        Acting::register(registry);
    }

    fn security_schemes() -> Vec<&'static str> {
        Acting::security_schemes()
    }

    fn from_request(
        request: &'a Request,
        _body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> impl Future<Output = poem::Result<Self>> + Send {
        std::future::ready(Self::of(request).map_err(Into::into))
    }
}

/// Whether a tenant's credential still holds. The operator's does, as long as the process runs.
fn holds(identity: Option<&Identity>, state: &ApiState) -> Result<bool, Failure> {
    Ok(match identity {
        Some(identity) => state.commands.still_holds(identity)?,
        None => true,
    })
}

/// Whether a request has a credential for an operation with this security.
pub(crate) fn identify(request: &Request, security: &Security) -> Result<(), Failure> {
    match security.schemes.as_slice() {
        [] => Ok(()),
        [OPERATOR_SCHEME] => Operator::of(request).map(drop),
        _ if security.is_optional && is_signed(request) => Ok(()),
        // Whose tenant it is for is said by the operation itself.
        _ => Owning::of(request).map(drop),
    }
}

/// Whether a request claims to be a signed link; whether it is one shows when the link is opened.
pub(crate) fn is_signed(request: &Request) -> bool {
    request.uri().query().is_some_and(|query| query.split('&').any(|pair| pair.starts_with("sig=")))
}

/// The operator's scheme in the document.
const OPERATOR_SCHEME: &str = "operator";
/// The operator's name in records of who did something.
const OPERATOR: &str = "operator";

fn named_by(identity: &Identity) -> String {
    match (identity.user, identity.key) {
        (Some(user), _) => format!("user:{user}"),
        (None, Some(key)) => format!("key:{key}"),
        (None, None) => "key".to_owned(),
    }
}

/// Who a request acts for: the credential's own tenant, the one that the operator names in `X-Pombo-Tenant`, or, where the operator
/// names none, the engine itself.
pub(crate) struct Owning(pub(crate) Actor, Option<Identity>);

impl Owning {
    fn of(request: &Request) -> Result<Self, Failure> {
        let state = state_of(request)?;
        if bearer(request).is_some_and(|token| is_operator(state, token)) && named_tenant(request)?.is_none() {
            if request.headers().contains_key("x-api-key") {
                return Err(Failure::unauthorized("send the operator token or X-API-Key, not both"));
            }
            return Ok(Self(Actor { tenant: None, by: OPERATOR.to_owned() }, None));
        }
        let acting = Acting::of(request)?;
        let identity = acting.identity;
        Ok(Self(acting.actor(), identity))
    }

    /// Whether the credential still holds, for a request that lasts.
    pub(crate) fn holds(&self, state: &ApiState) -> Result<bool, Failure> {
        holds(self.1.as_ref(), state)
    }
}

fn named_tenant(request: &Request) -> Result<Option<Uuid>, Failure> {
    let Some(value) = request.headers().get(TENANT_HEADER) else { return Ok(None) };
    let id = value.to_str().ok().and_then(|text| Uuid::try_parse(text.trim()).ok());
    id.map(Some).ok_or_else(|| Error::invalid(TENANT_HEADER, "must be a UUID").into())
}

fn register_operator(registry: &mut Registry) {
    registry.create_security_scheme(
        OPERATOR_SCHEME,
        MetaSecurityScheme {
            ty: "http",
            description: Some("The operator token (`op_…`)."),
            name: None,
            key_in: None,
            scheme: Some("bearer"),
            bearer_format: None,
            flows: None,
            openid_connect_url: None,
        },
    );
}

impl<'a> ApiExtractor<'a> for Operator {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        register_operator(registry);
    }

    fn security_schemes() -> Vec<&'static str> {
        vec![OPERATOR_SCHEME]
    }

    fn from_request(
        request: &'a Request,
        _body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> impl Future<Output = poem::Result<Self>> + Send {
        std::future::ready(Self::of(request).map_err(Into::into))
    }
}

impl<'a> ApiExtractor<'a> for Acting {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        register_operator(registry);
        Caller::register(registry);
    }

    fn security_schemes() -> Vec<&'static str> {
        let mut schemes = Caller::security_schemes();
        schemes.push(OPERATOR_SCHEME);
        schemes
    }

    fn from_request(
        request: &'a Request,
        _body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> impl Future<Output = poem::Result<Self>> + Send {
        std::future::ready(Self::of(request).map_err(Into::into))
    }
}

impl<'a> ApiExtractor<'a> for Owning {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        Acting::register(registry);
    }

    fn security_schemes() -> Vec<&'static str> {
        Acting::security_schemes()
    }

    fn from_request(
        request: &'a Request,
        _body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> impl Future<Output = poem::Result<Self>> + Send {
        std::future::ready(Self::of(request).map_err(Into::into))
    }
}
