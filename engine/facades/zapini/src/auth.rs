//! Section "Autenticação": logging in, and the token that a login gives. An API key has no user, so it is answered 403 here.

use std::borrow::Cow;

use poem::Request;
use poem::http::StatusCode;
use poem_openapi::registry::{MetaSchema, MetaSchemaRef, Registry};
use poem_openapi::{Object, OpenApi};
use pombo_api::auth::client_address;
use pombo_api::declared::{Declared, Declares};
use pombo_api::error::{Failure, status};
use pombo_api::fields::required;
use pombo_api::json::JsonBytes;
use pombo_api::json_fields;
use pombo_domain::commands::access::tokens::{IssuedToken, TokenLogin};
use pombo_domain::model::{Role, User};
use pombo_domain::{Error, Field};
use serde::Serialize;
use serde_json::json;

use crate::Section;
use crate::credentials::Caller;
use crate::envelope::{Said, Success};
use crate::errors::{BODY, EVERY, Refused, WRITE};
use crate::gate::State;

/// Name of a device that gives itself none.
const UNNAMED_DEVICE: &str = "API";

json_fields! {
    struct LoginFields<'a> {
        email: "email" as Cow<'a, str>,
        password: "password" as Cow<'a, str>,
        device_name: "device_name" as Cow<'a, str>,
    }
}

/// `LoginRequest` in the document.
struct LoginRequest;

impl Declares for LoginRequest {
    const NAME: &'static str = "LoginRequest";

    fn schema(_: &mut Registry) -> MetaSchema {
        let text = |description| MetaSchema { description: Some(description), ..MetaSchema::new("string") };
        let inline = |schema| MetaSchemaRef::Inline(Box::new(schema));
        let device = text("Name of the device or program, by which its token is recognised.");
        MetaSchema {
            description: Some("E-mail and password of a user."),
            required: vec!["email", "password"],
            properties: vec![
                ("email", inline(text("E-mail address of the user."))),
                ("password", inline(MetaSchema { format: Some("password"), ..text("Password of the user.") })),
                ("device_name", inline(MetaSchema { max_length: Some(120), nullable: true, ..device })),
            ],
            example: Some(json!({
                "email": "user@example.com", "password": "your_password", "device_name": "My App"
            })),
            ..MetaSchema::new("object")
        }
    }
}

/// A user.
#[derive(Debug, Serialize, Object)]
#[oai(rename = "User")]
struct UserBody {
    /// Number of the user.
    id: u32,
    /// Name of the user.
    name: String,
    /// E-mail address of the user.
    email: String,
    /// What the user may do: `admin` (everything), `manager`, `agent` or `viewer`.
    role: String,
}

impl UserBody {
    fn of(user: User) -> Self {
        let role = match user.known_role() {
            // The documentation's word.
            Some(Role::Owner) => "admin",
            _ => user.role.as_str(),
        };
        Self { id: user.number, role: role.to_owned(), name: user.name, email: user.email }
    }
}

/// A user and a new token.
#[derive(Debug, Serialize, Object)]
struct Session {
    /// The user.
    user: UserBody,
    /// The token for `Authorization: Bearer`. It is shown only here.
    token: String,
    /// Always `Bearer`.
    token_type: String,
}

impl Session {
    fn of(issued: IssuedToken) -> Self {
        Self { user: UserBody::of(issued.user), token: issued.text, token_type: "Bearer".to_owned() }
    }
}

/// The user of a token.
#[derive(Debug, Serialize, Object)]
struct OwnUser {
    /// The user.
    user: UserBody,
}

/// Handlers of the section.
#[derive(Default)]
pub(crate) struct AuthApi;

impl pombo_api::Section for AuthApi {
    const FILE: &'static str = file!();
}

#[OpenApi(tag = "Section::Auth")]
impl AuthApi {
    /// Log in
    ///
    /// Gives the device a token for all of the tenant's instances. It is valid until it is revoked, was not used for 90 days, or the
    /// password changes. After several failures, further attempts with the same e-mail address are refused for a while.
    #[oai(path = "/auth/login", method = "post", operation_id = "login")]
    async fn login(
        &self,
        state: State<'_>,
        request: &Request,
        body: JsonBytes<Declared<LoginRequest>>,
    ) -> Result<Success<Session>, Refused<{ BODY | WRITE | status::UNAUTHORIZED | status::TOO_MANY }>> {
        let fields: LoginFields<'_> = body.object()?;
        let mut problems = Vec::new();
        let email = fields.email.take(Field::Email, &mut problems);
        let email = required(Field::Email, email, &mut problems);
        let password = fields.password.take(Field::Password, &mut problems);
        let password = required(Field::Password, password, &mut problems);
        let device = fields.device_name.take(Field::Device, &mut problems);
        let (Some(email), Some(password), true) = (email, password, problems.is_empty()) else {
            return Err(Error::invalid_fields(problems).into());
        };
        let device = device.filter(|name| !name.trim().is_empty()).unwrap_or(Cow::Borrowed(UNNAMED_DEVICE));
        let login =
            TokenLogin { email: email.into_owned(), password: password.into_owned(), device: device.into_owned() };
        let issued = state.commands.login_with_device(login, client_address(request)).await?;
        Ok(Success::saying("Login successful", Session::of(issued)))
    }

    /// Get the user of the token
    #[oai(path = "/auth/me", method = "get", operation_id = "get_own_user")]
    async fn get_own_user(&self, caller: Caller, state: State<'_>) -> Result<Success<OwnUser>, Refused<EVERY>> {
        let Some(user) = caller.identity().user else {
            let message = "an API key has no user; use the token of a login";
            return Err(Failure::new(StatusCode::FORBIDDEN, message).into());
        };
        let user = state.commands.get_user(caller.tenant, user)?;
        Ok(Success::of(OwnUser { user: UserBody::of(user) }))
    }

    /// Log out
    ///
    /// Revokes the token of this request, and no other.
    #[oai(path = "/auth/logout", method = "post", operation_id = "logout")]
    async fn logout(&self, caller: Caller, state: State<'_>) -> Result<Said, Refused<{ EVERY | WRITE }>> {
        state.commands.log_out(caller.identity()).await?;
        Ok(Said("Logged out successfully".into()))
    }

    /// Replace the token
    ///
    /// The new token takes the place of this request's, which no longer works.
    #[oai(path = "/auth/refresh", method = "post", operation_id = "refresh_token")]
    async fn refresh_token(
        &self,
        caller: Caller,
        state: State<'_>,
    ) -> Result<Success<Session>, Refused<{ EVERY | WRITE }>> {
        let issued = state.commands.refresh_token(caller.identity()).await?;
        Ok(Success::saying("Token refreshed successfully", Session::of(issued)))
    }
}
