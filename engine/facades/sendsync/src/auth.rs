//! Section "Autenticação": the login.

use std::borrow::Cow;
use std::sync::Arc;

use poem::Request;
use poem::web::Data;
use poem_openapi::registry::{MetaSchema, Registry};
use poem_openapi::{Object, OpenApi};
use pombo_domain::Error;
use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

use super::Section;
use super::error::LoginFails;
use super::schema::inline;
use pombo_api::auth::client_address;
use pombo_api::declared::{Declared, Declares};
use pombo_api::fields::required;
use pombo_api::json::{JsonBytes, SerdeJson};
use pombo_api::json_fields;
use pombo_api::options::ApiState;

json_fields! {
    struct LoginFields<'a> {
        email: "email" as Cow<'a, str>,
        password: "password" as Cow<'a, str>,
    }
}

/// `LoginRequest` in the document.
pub(super) struct LoginRequest;

impl Declares for LoginRequest {
    const NAME: &'static str = "LoginRequest";

    fn schema(_: &mut Registry) -> MetaSchema {
        let text = |description| MetaSchema { description: Some(description), ..MetaSchema::new("string") };
        MetaSchema {
            description: Some("E-mail and password of a user."),
            required: vec!["email", "password"],
            properties: vec![
                ("email", inline(text("E-mail address of the user."))),
                ("password", inline(MetaSchema { format: Some("password"), ..text("Password of the user.") })),
            ],
            example: Some(json!({"email": "seu@email.com", "password": "sua_senha"})),
            ..MetaSchema::new("object")
        }
    }
}

/// The result of a login.
#[derive(Debug, Serialize, Object)]
pub(super) struct LoginResponse {
    /// Token for the header `Authorization: Bearer`.
    pub access_token: String,
    /// Always `Bearer`.
    pub token_type: String,
    /// Seconds until the token expires.
    pub expires_in: u64,
    /// The user who logged in.
    pub user: LoginUser,
}

/// The user who logged in.
#[derive(Debug, Serialize, Object)]
#[serde(rename_all = "camelCase")]
#[oai(rename_all = "camelCase")]
pub(super) struct LoginUser {
    /// Id of the user.
    pub id: Uuid,
    /// E-mail address of the user.
    pub email: String,
    /// Name of the user.
    pub name: String,
    /// Id of the user's company, to which everything belongs.
    pub company_id: Uuid,
    /// Name of the company.
    pub company_name: String,
}

/// Handlers of the section.
#[derive(Default)]
pub struct AuthApi;

impl pombo_api::Section for AuthApi {
    const FILE: &'static str = file!();
}

#[OpenApi(tag = "Section::Auth")]
impl AuthApi {
    /// Log in
    ///
    /// Returns a token for the header `Authorization: Bearer`, which expires. After several failures, further attempts with the
    /// same e-mail address are refused for a while.
    #[oai(path = "/auth/login", method = "post", operation_id = "login")]
    async fn login(
        &self,
        state: Data<&Arc<ApiState>>,
        request: &Request,
        body: JsonBytes<Declared<LoginRequest>>,
    ) -> Result<SerdeJson<LoginResponse>, LoginFails> {
        let fields: LoginFields<'_> = body.object()?;
        let mut problems = Vec::new();
        let email = fields.email.take("email", &mut problems);
        let email = required("email", email, &mut problems);
        let password = fields.password.take("password", &mut problems);
        let (Some(email), Some(password)) = (email, required("password", password, &mut problems)) else {
            return Err(Error::invalid_fields(problems).into());
        };
        let login = state.commands.login(&email, password.into_owned(), client_address(request)).await?;
        let access_token = state.tokens.issue(&login, state.commands.now())?;
        Ok(SerdeJson(LoginResponse {
            access_token,
            token_type: "Bearer".to_owned(),
            expires_in: state.options.token_lifetime.as_secs(),
            user: LoginUser {
                id: login.user.id,
                email: login.user.email,
                name: login.user.name,
                company_id: login.tenant.id,
                company_name: login.tenant.name,
            },
        }))
    }
}
