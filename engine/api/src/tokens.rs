//! Login tokens: JWT, signed with HS256. Must not know requests.

use std::time::Duration;

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use pombo_domain::Timestamp;
use pombo_domain::commands::access::authenticate::LoggedIn;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::Failure;

const ISSUER: &str = "pombo";
const AUDIENCE: &str = "pombo-api";

/// What a token says.
#[derive(Serialize, Deserialize)]
pub(crate) struct Claims {
    iss: String,
    aud: String,
    /// The user's id.
    pub(crate) sub: Uuid,
    /// The tenant's id.
    pub(crate) tenant: Uuid,
    /// The user's e-mail address at the time of the login.
    pub(crate) email: String,
    /// The user's `login_epoch` at the time of the login; absent in tokens that older engines gave.
    #[serde(default)]
    pub(crate) epoch: u32,
    iat: i64,
    exp: i64,
}

/// Makes and reads login tokens: JWT, HS256.
pub struct Tokens {
    signing: EncodingKey,
    checking: DecodingKey,
    validation: Validation,
    lifetime: Duration,
}

impl Tokens {
    /// Tokens signed with `secret`.
    pub fn new(secret: &[u8], lifetime: Duration) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        // Checked below by the engine's own clock.
        validation.validate_exp = false;
        Self {
            signing: EncodingKey::from_secret(secret),
            checking: DecodingKey::from_secret(secret),
            validation,
            lifetime,
        }
    }

    /// The token of a login.
    pub fn issue(&self, login: &LoggedIn, now: Timestamp) -> Result<String, Failure> {
        let issued = now.0.div_euclid(1000);
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: login.user.id,
            tenant: login.tenant.id,
            email: login.user.email.clone(),
            epoch: login.user.login_epoch,
            iat: issued,
            exp: issued.saturating_add_unsigned(self.lifetime.as_secs()),
        };
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.signing)
            .map_err(|error| Failure::internal(format!("signing a token: {error}")))
    }

    /// What the token says; `None` when it is not ours, or over.
    pub(crate) fn read(&self, token: &str, now: Timestamp) -> Option<Claims> {
        let claims = jsonwebtoken::decode::<Claims>(token, &self.checking, &self.validation).ok()?.claims;
        (now.0.div_euclid(1000) < claims.exp).then_some(claims)
    }
}

#[cfg(test)]
mod tests {
    use pombo_domain::TenantIndex;
    use pombo_domain::model::{Role, Tenant, User};

    use super::*;

    fn login() -> LoggedIn {
        let tenant =
            Tenant { id: Uuid::from_u128(1), index: TenantIndex(1), name: "Loja".to_owned(), created_at: Timestamp(0) };
        let user = User {
            id: Uuid::from_u128(2),
            number: 1,
            tenant: tenant.index,
            email: "ana@loja.com".to_owned(),
            name: "Ana".to_owned(),
            role: Role::Owner.into(),
            password_hash: String::new(),
            login_epoch: 0,
            created_at: Timestamp(0),
        };
        LoggedIn { user, tenant }
    }

    #[test]
    fn a_token_holds_until_it_expires_and_only_under_its_secret() {
        let tokens = Tokens::new(b"one secret of thirty-two bytes..", Duration::from_secs(60));
        let token = tokens.issue(&login(), Timestamp(1_000_000)).expect("signs");
        let claims = tokens.read(&token, Timestamp(1_059_000)).expect("still valid");
        assert_eq!((claims.tenant, claims.sub), (Uuid::from_u128(1), Uuid::from_u128(2)));
        assert!(tokens.read(&token, Timestamp(1_060_000)).is_none(), "expired");
        let others = Tokens::new(b"another secret of 32 bytes......", Duration::from_secs(60));
        assert!(others.read(&token, Timestamp(1_000_000)).is_none(), "another secret");
    }

    #[test]
    fn a_token_for_another_audience_or_without_a_signature_is_refused() {
        let secret = b"one secret of thirty-two bytes..";
        let tokens = Tokens::new(secret, Duration::from_secs(60));
        let claims = |aud: &str| Claims {
            iss: ISSUER.to_owned(),
            aud: aud.to_owned(),
            sub: Uuid::nil(),
            tenant: Uuid::nil(),
            email: String::new(),
            epoch: 0,
            iat: 0,
            exp: i64::MAX / 1000,
        };
        let sign = |claims: &Claims, algorithm| {
            jsonwebtoken::encode(&Header::new(algorithm), claims, &EncodingKey::from_secret(secret)).expect("signs")
        };
        assert!(tokens.read(&sign(&claims(AUDIENCE), Algorithm::HS256), Timestamp(0)).is_some());
        assert!(tokens.read(&sign(&claims("somebody else"), Algorithm::HS256), Timestamp(0)).is_none());
        assert!(tokens.read(&sign(&claims(AUDIENCE), Algorithm::HS512), Timestamp(0)).is_none());
        assert!(tokens.read("eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.", Timestamp(0)).is_none());
    }
}
