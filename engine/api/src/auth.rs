//! Credentials in a request: a login token (`Authorization: Bearer <JWT>`) or an API key (in `X-API-Key` or as a bearer, because
//! the documentation shows both). A facade that expects its credential elsewhere says so in its own module.

use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;

use poem::http::header::AUTHORIZATION;
use poem::{Request, RequestBody};
use poem_openapi::registry::{MetaSecurityScheme, Registry};
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};
use pombo_domain::ErrorCode;
use pombo_domain::commands::access::authenticate::Identity;
use pombo_domain::commands::access::keys::{hash_api_key, is_api_key};
use subtle::ConstantTimeEq;

use crate::error::Failure;
use crate::options::ApiState;
use crate::tokens::Claims;

/// The state that [`crate::endpoint`] attached to the request.
pub fn state_of(request: &Request) -> Result<&Arc<ApiState>, Failure> {
    request.data::<Arc<ApiState>>().ok_or_else(|| Failure::internal("a handler runs outside its facade"))
}

/// The value of `Authorization: Bearer …`.
pub fn bearer(request: &Request) -> Option<&str> {
    let (scheme, value) = request.headers().get(AUTHORIZATION)?.to_str().ok()?.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| value.trim())
}

/// The address that the request comes from. The listener has already looked through trusted proxies.
pub fn client_address(request: &Request) -> Option<IpAddr> {
    request.remote_addr().as_socket_addr().map(|address| address.ip())
}

/// The tenant's user or key that makes the request, with all rights of the tenant: extracting it fails with 401, and with 403 for a
/// key that is bound to one connector. Put it before the body, so that nothing is read for a caller without credentials.
#[derive(Debug, Clone, Copy)]
pub struct Caller(pub Identity);

impl Caller {
    /// Identifies the caller by the request's credentials. Both headers may be present, as in the documented samples: one valid
    /// credential is enough, and two valid ones must belong to the same tenant. A key that is bound to one connector is refused,
    /// also beside another credential.
    pub fn of(request: &Request) -> Result<Self, Failure> {
        let of_whole_tenant = |identity: Identity| identity.of_the_whole_tenant().map_err(Failure::from);
        let (by_key, by_bearer) = identities(request)?;
        let by_key = by_key.map(of_whole_tenant).transpose()?;
        let by_bearer = by_bearer.map(of_whole_tenant).transpose()?;
        Ok(Self(one_of(request, by_key, by_bearer)?))
    }

    /// Like [`Self::of`], but each credential in the request must be valid.
    pub fn of_all(request: &Request) -> Result<Self, Failure> {
        let caller = Self::of(request)?;
        let state = state_of(request)?;
        let key = request.headers().get("x-api-key").map(|value| value.to_str().unwrap_or_default().trim());
        let key_holds = key.is_none_or(|key| matches!(identify_key(state, key), Ok(Some(_))));
        let bearer_holds = match bearer(request) {
            Some(token) => identify_bearer(state, token)?.is_some(),
            None => !request.headers().contains_key(AUTHORIZATION),
        };
        if key_holds && bearer_holds {
            return Ok(caller);
        }
        Err(Failure::unauthorized("Authorization or X-API-Key is wrong; send only the valid one"))
    }
}

/// Whose credentials a request has, a key that is bound to one connector included: only for a facade that keeps such a caller to
/// [`Identity::connector`]. Every other one extracts [`Caller`], which refuses it. Fails with 401, as that does.
pub fn identity_of(request: &Request) -> Result<Identity, Failure> {
    let (by_key, by_bearer) = identities(request)?;
    one_of(request, by_key, by_bearer)
}

/// Whose the valid credentials are: that of `X-API-Key`, and that of `Authorization`.
fn identities(request: &Request) -> Result<(Option<Identity>, Option<Identity>), Failure> {
    let state = state_of(request)?;
    let key = request.headers().get("x-api-key").map(|value| value.to_str().unwrap_or_default().trim());
    let by_key = key.map(|key| identify_key(state, key)).transpose()?;
    let by_bearer = bearer(request).map(|token| identify_bearer(state, token)).transpose()?;
    Ok((by_key.flatten(), by_bearer.flatten()))
}

fn one_of(request: &Request, by_key: Option<Identity>, by_bearer: Option<Identity>) -> Result<Identity, Failure> {
    match (by_key, by_bearer) {
        (Some(a), Some(b)) if a.tenant != b.tenant => {
            Err(Failure::unauthorized("Authorization and X-API-Key belong to different tenants; send only one of them"))
        }
        (_, Some(identity)) | (Some(identity), None) => Ok(identity),
        (None, None)
            if request.headers().contains_key(AUTHORIZATION) || request.headers().contains_key("x-api-key") =>
        {
            Err(Failure::unauthorized("the token is invalid or expired, or the API key is invalid or revoked"))
        }
        (None, None) => Err(Failure::unauthorized(
            "send Authorization: Bearer with the access_token of a login, or X-API-Key with an API key",
        )),
    }
}

/// `None` for a wrong credential; an error if the credential could not be checked.
fn only_unauthenticated(result: pombo_domain::Result<Identity>) -> Result<Option<Identity>, Failure> {
    match result {
        Ok(identity) => Ok(Some(identity)),
        Err(error) if error.code == ErrorCode::Unauthenticated => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn identify_key(state: &ApiState, key: &str) -> Result<Option<Identity>, Failure> {
    if !is_api_key(key) || key.len() > 256 {
        return Ok(None);
    }
    only_unauthenticated(state.commands.identify_api_key(key))
}

fn identify_bearer(state: &ApiState, token: &str) -> Result<Option<Identity>, Failure> {
    if is_api_key(token) {
        return identify_key(state, token);
    }
    if token.len() > 4096 {
        return Ok(None);
    }
    match state.tokens.read(token, state.commands.now()) {
        Some(Claims { tenant, sub, email, epoch, .. }) => {
            only_unauthenticated(state.commands.identify_user(tenant, sub, &email, epoch))
        }
        None => Ok(None),
    }
}

/// Whose access token (`number|secret`) a text is; `None` if it is none, or unknown, revoked or expired. For a facade that gives such
/// tokens and enforces the role of their users: [`Caller`] takes none.
pub fn identify_access_token(state: &ApiState, text: &str) -> Result<Option<Identity>, Failure> {
    only_unauthenticated(state.commands.identify_access_token(text))
}

/// Whether `token` is the operator's. Compares digests in constant time.
pub fn is_operator(state: &ApiState, token: &str) -> bool {
    let given = hash_api_key(token);
    state.options.operator_token_hash.is_some_and(|expected| bool::from(given.ct_eq(&expected)))
}

impl<'a> ApiExtractor<'a> for Caller {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        registry.create_security_scheme("bearer", bearer_scheme());
        registry.create_security_scheme("apiKey", api_key_scheme());
    }

    fn security_schemes() -> Vec<&'static str> {
        vec!["bearer", "apiKey"]
    }

    fn from_request(
        request: &'a Request,
        _body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> impl Future<Output = poem::Result<Self>> + Send {
        std::future::ready(Self::of(request).map_err(Into::into))
    }
}

fn bearer_scheme() -> MetaSecurityScheme {
    MetaSecurityScheme {
        ty: "http",
        description: Some("The `access_token` of a login (a JWT, which expires), or an API key (`sk_live_…`)."),
        name: None,
        key_in: None,
        scheme: Some("bearer"),
        bearer_format: Some("JWT"),
        flows: None,
        openid_connect_url: None,
    }
}

fn api_key_scheme() -> MetaSecurityScheme {
    MetaSecurityScheme {
        ty: "apiKey",
        description: Some("An API key (`sk_live_…`); valid until it is revoked."),
        name: Some("X-API-Key"),
        key_in: Some("header"),
        scheme: None,
        bearer_format: None,
        flows: None,
        openid_connect_url: None,
    }
}
