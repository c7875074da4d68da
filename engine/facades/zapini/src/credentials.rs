//! Who calls: an access token of a login (`1|…`) or an API key (`sk_…`) in `Authorization: Bearer`. The gate identifies the caller
//! once; the handlers read what it found. A key of one instance acts within that instance alone, a user within the user's role.

use poem::http::StatusCode;
use poem::http::header::AUTHORIZATION;
use poem::{Request, RequestBody};
use poem_openapi::registry::{MetaSecurityScheme, Registry};
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};
use pombo_api::auth::{bearer, state_of};
use pombo_api::error::Failure;
use pombo_domain::commands::access::actor::Actor;
use pombo_domain::commands::access::authenticate::Identity;
use pombo_domain::model::Right;
use pombo_domain::{ConnectorIndex, ErrorCode, TenantIndex};
use uuid::Uuid;

/// The longest credential that is looked up, in bytes.
const MAX_TOKEN_BYTES: usize = 256;

/// Which token a request has, for what is counted of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum TokenId {
    /// An API key, by its public id.
    Key(Uuid),
    /// An access token, by its number.
    Access(u64),
}

/// The owner of the token in a request. Extracting it fails with 401. Put it before the body, so that nothing is read for a caller
/// without a token.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caller {
    /// The tenant in which everything is looked up.
    pub(crate) tenant: TenantIndex,
    /// Which token it is.
    pub(crate) token: TokenId,
    /// Whose it is.
    identity: Identity,
}

impl Caller {
    /// The owner of a credential of this API; `None` for one of another.
    fn of(identity: Identity) -> Option<Self> {
        let token = identity.token.map(TokenId::Access).or(identity.key.map(TokenId::Key))?;
        Some(Self { tenant: identity.tenant, token, identity })
    }

    /// Whose the token is.
    pub(crate) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Who acts, and for whom.
    pub(crate) fn actor(&self) -> Actor {
        let by = match (self.identity.user, self.token) {
            (Some(user), _) => format!("user:{user}"),
            (None, TokenId::Key(key)) => format!("key:{key}"),
            (None, TokenId::Access(number)) => format!("token:{number}"),
        };
        Actor { tenant: Some(self.tenant), by }
    }

    /// Fails with 403 unless the user's role has the right. A key has every right within what it is for.
    pub(crate) fn must(&self, right: Right) -> Result<(), Failure> {
        Ok(self.identity.check(right)?)
    }

    /// Fails with 403 for a token of one instance: what is to be changed is the whole tenant's.
    pub(crate) fn must_be_for_all(&self) -> Result<(), Failure> {
        if self.identity.connector.is_none() {
            return Ok(());
        }
        let message =
            "this token is for one instance, and this belongs to all of them; log in, or use a key of the tenant";
        Err(Failure::new(StatusCode::FORBIDDEN, message))
    }

    /// Whether the token is for this instance: for all of the tenant's, or for this one.
    pub(crate) fn is_for(&self, instance: ConnectorIndex) -> bool {
        self.identity.connector.is_none_or(|own| own == instance)
    }

    /// Fails with 403 for an instance that the token is not for.
    pub(crate) fn within(&self, instance: ConnectorIndex) -> Result<(), Failure> {
        if self.is_for(instance) {
            return Ok(());
        }
        Err(Failure::new(StatusCode::FORBIDDEN, "this token is for another instance; use its own, or log in"))
    }
}

/// What the gate found out about the token in a request.
#[derive(Clone)]
pub(crate) struct Identified(pub(crate) Result<Caller, Failure>);

/// Looks up the token in a request.
pub(crate) fn identify(request: &Request) -> Identified {
    Identified(look_up(request))
}

fn look_up(request: &Request) -> Result<Caller, Failure> {
    let Some(token) = bearer(request) else {
        return Err(Failure::unauthorized(match request.headers().contains_key(AUTHORIZATION) {
            true => "Authorization must be Bearer with a token",
            false => "send Authorization: Bearer with a token",
        }));
    };
    let wrong = || Failure::unauthorized("the token is unknown, expired or revoked");
    if token.is_empty() || token.len() > MAX_TOKEN_BYTES {
        return Err(wrong());
    }
    let commands = &state_of(request)?.commands;
    let found = match token.contains('|') {
        true => commands.identify_access_token(token),
        false => commands.identify_api_key(token),
    };
    match found {
        Ok(identity) => Caller::of(identity).ok_or_else(wrong),
        Err(error) if error.code == ErrorCode::Unauthenticated => Err(wrong()),
        Err(error) => Err(error.into()),
    }
}

impl<'a> ApiExtractor<'a> for Caller {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        registry.create_security_scheme(
            "bearer",
            MetaSecurityScheme {
                ty: "http",
                description: Some(
                    "The `token` of a login (`1|…`), for all instances; or a key of one instance or of the whole tenant (`sk_…`).",
                ),
                name: None,
                key_in: None,
                scheme: Some("bearer"),
                bearer_format: None,
                flows: None,
                openid_connect_url: None,
            },
        );
    }

    fn security_schemes() -> Vec<&'static str> {
        vec!["bearer"]
    }

    async fn from_request(
        request: &'a Request,
        _body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        let Some(Identified(found)) = request.data::<Identified>() else {
            return Err(Failure::internal("a handler runs outside its gate").into());
        };
        let caller = found.clone()?;
        // Should it fail, the token keeps its last day of use, and the request goes on.
        if let Err(error) = state_of(request)?.commands.note_token_use(caller.identity()).await {
            tracing::warn!(error = error.message, "the day of a token's use was not stored");
        }
        Ok(caller)
    }
}
