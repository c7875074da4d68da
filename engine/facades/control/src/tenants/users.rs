//! Section Users: people who log in with e-mail and password.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::param::Query;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use pombo_domain::commands::access::tenants::UserRequest;
use pombo_domain::model;
use serde::Deserialize;
use uuid::Uuid;

use crate::Section;
use crate::access::Acting;
use crate::wire::{BODY, CONFLICT, Created, Instant, Page, READ, Refused, WRITE, body, page_of};
use pombo_api::json::JsonBytes;
use pombo_api::options::ApiState;

#[derive(Default)]
pub(crate) struct Users;

impl pombo_api::Section for Users {
    const FILE: &'static str = file!();
}

/// A user to create.
#[derive(Object, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateUser {
    /// E-mail address for the login, at most 254 characters; unique in the whole engine.
    #[oai(validator(
        max_length = 254,
        pattern = "^[^\\s@\\x00-\\x20\\x7f-\\xa0]{1,64}@([A-Za-z0-9-]+\\.)+[A-Za-z0-9-]+$"
    ))]
    email: String,
    /// Display name, from 1 to 120 characters.
    #[oai(validator(
        min_length = 1,
        max_length = 120,
        pattern = "^[^\\x00-\\x20\\x7f-\\xa0]([^\\x00-\\x1f\\x7f-\\x9f]*[^\\x00-\\x20\\x7f-\\xa0])?$"
    ))]
    name: String,
    /// Password, from 10 to 128 characters.
    #[oai(validator(min_length = 10, max_length = 128, pattern = "^[^\\x00]*$"))]
    password: String,
}

/// A person who logs in with e-mail and password.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
pub(crate) struct User {
    /// Id of the user.
    id: Uuid,
    /// E-mail address for the login.
    email: String,
    /// Display name.
    name: String,
    /// When the user was created.
    created_at: Instant,
}

impl From<model::User> for User {
    fn from(user: model::User) -> Self {
        Self { id: user.id, email: user.email, name: user.name, created_at: Instant(user.created_at) }
    }
}

#[OpenApi(tag = "Section::Users")]
impl Users {
    /// Create a user
    #[oai(path = "/v1/users", method = "post", operation_id = "create_user")]
    async fn create_user(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        json: JsonBytes<CreateUser>,
    ) -> Result<Created<User>, Refused<{ READ | BODY | WRITE | CONFLICT }>> {
        let CreateUser { email, name, password } = body(&json)?;
        let user = state.commands.create_user(acting.tenant, UserRequest { email, name, password }).await?;
        Ok(Created::Made(Json(user.into())))
    }

    /// List the users
    #[oai(path = "/v1/users", method = "get", operation_id = "list_users")]
    async fn list_users(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        /// Maximum number of rows, from 1 to 250; 50 if omitted.
        #[oai(validator(minimum(value = "1"), maximum(value = "250")))]
        limit: Query<Option<u32>>,
        /// The `next` of the previous page; the first page if omitted.
        after: Query<Option<Uuid>>,
    ) -> Result<Json<Page<User>>, Refused<READ>> {
        let users = state.commands.list_users(acting.tenant)?;
        Ok(Json(page_of(users, |user| user.id, after.0, limit.0, User::from)?))
    }
}
