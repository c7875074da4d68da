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
use super::queue::schema::inline;
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
                ("email", inline(text("The login."))),
                ("password", inline(MetaSchema { format: Some("password"), ..text("The password.") })),
            ],
            example: Some(json!({"email": "seu@email.com", "password": "sua_senha"})),
            ..MetaSchema::new("object")
        }
    }
}

/// A login.
#[derive(Debug, Serialize, Object)]
pub(super) struct LoginResponse {
    /// Goes into `Authorization: Bearer`.
    pub access_token: String,
    /// Always `Bearer`.
    pub token_type: String,
    /// Seconds until the token expires.
    pub expires_in: u64,
    /// Who logged in.
    pub user: LoginUser,
}

/// The user of a login.
#[derive(Debug, Serialize, Object)]
#[serde(rename_all = "camelCase")]
#[oai(rename_all = "camelCase")]
pub(super) struct LoginUser {
    /// The user's id.
    pub id: Uuid,
    /// The login.
    pub email: String,
    /// The user's name.
    pub name: String,
    /// The company that everything belongs to.
    pub company_id: Uuid,
    /// The company's name.
    pub company_name: String,
}

/// Handlers of the section.
pub struct AuthApi;

#[OpenApi(tag = "Section::Auth")]
impl AuthApi {
    /// Log in
    ///
    /// Answers a token that goes into `Authorization: Bearer` and expires. After several failures the same e-mail is refused for
    /// a while.
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
        let access_token = state.tokens.issue(&login, state.commands.ports().clock.now())?;
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
