//! Section Users: people who log in with e-mail and password.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{Enum, Object, OpenApi};
use pombo_domain::commands::access::users::{UserChange, UserRequest};
use pombo_domain::model;
use serde::Deserialize;
use uuid::Uuid;

use crate::Section;
use crate::access::Acting;
use crate::wire::{
    BODY, CONFLICT, Created, Deleted, Instant, Page, PathId, READ, Refused, WRITE, WordOf, body, page_of,
};
use pombo_api::json::JsonBytes;
use pombo_api::options::ApiState;

#[derive(Default)]
pub(crate) struct Users;

impl pombo_api::Section for Users {
    const FILE: &'static str = file!();
}

/// What a user may do. So far, only APIs with access tokens enforce it; with this one, every user may do everything.
#[derive(Enum, Deserialize, Clone, Copy)]
#[oai(rename_all = "lowercase")]
#[serde(rename_all = "lowercase")]
pub(crate) enum UserRole {
    /// Everything, users, keys and plugins included.
    Owner,
    /// Everything about messages, conversations, contacts, connectors and automations.
    Manager,
    /// Answers in conversations, sends messages, keeps contacts and tags.
    Agent,
    /// Sees everything that an agent sees, and changes nothing.
    Viewer,
}

impl From<UserRole> for model::Role {
    fn from(role: UserRole) -> Self {
        match role {
            UserRole::Owner => Self::Owner,
            UserRole::Manager => Self::Manager,
            UserRole::Agent => Self::Agent,
            UserRole::Viewer => Self::Viewer,
        }
    }
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
    /// What the user may do; `owner` if omitted.
    #[oai(nullable)]
    role: Option<UserRole>,
}

/// Changes of a user. Fields that are omitted or null stay as they are.
#[derive(Object, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpdateUser {
    /// Display name, from 1 to 120 characters.
    #[oai(
        nullable,
        validator(
            min_length = 1,
            max_length = 120,
            pattern = "^[^\\x00-\\x20\\x7f-\\xa0]([^\\x00-\\x1f\\x7f-\\x9f]*[^\\x00-\\x20\\x7f-\\xa0])?$"
        )
    )]
    name: Option<String>,
    /// What the user may do.
    #[oai(nullable)]
    role: Option<UserRole>,
    /// New password, from 10 to 128 characters. It ends every login of the user.
    #[oai(nullable, validator(min_length = 10, max_length = 128, pattern = "^[^\\x00]*$"))]
    password: Option<String>,
}

/// A person who logs in with e-mail and password.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
pub(crate) struct User {
    /// Id of the user.
    id: Uuid,
    /// Number of the user in this engine, by which some APIs name it.
    number: u32,
    /// E-mail address for the login.
    email: String,
    /// Display name.
    name: String,
    role: WordOf<model::Role>,
    /// When the user was created.
    created_at: Instant,
}

impl From<model::User> for User {
    fn from(user: model::User) -> Self {
        Self {
            id: user.id,
            number: user.number,
            email: user.email,
            name: user.name,
            role: user.role.into(),
            created_at: Instant(user.created_at),
        }
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
        let CreateUser { email, name, password, role } = body(&json)?;
        let role = role.map_or(model::Role::Owner, model::Role::from);
        let user = state.commands.create_user(acting.tenant, UserRequest { email, name, password, role }).await?;
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

    /// Change a user's name, role or password
    ///
    /// The last `owner` of a tenant stays one. A new password ends every login of the user.
    #[oai(path = "/v1/users/:id", method = "patch", operation_id = "update_user")]
    async fn update_user(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        id: Path<PathId>,
        json: JsonBytes<UpdateUser>,
    ) -> Result<Json<User>, Refused<{ READ | BODY | WRITE | CONFLICT }>> {
        let id = id.of("User")?;
        let UpdateUser { name, role, password } = body(&json)?;
        let change = UserChange { name, role: role.map(model::Role::from), password };
        Ok(Json(state.commands.update_user(acting.tenant, id, change).await?.into()))
    }

    /// Delete a user
    ///
    /// Every login of the user ends, and the user's conversations are assigned to nobody. The last `owner` of a tenant cannot be
    /// deleted.
    #[oai(path = "/v1/users/:id", method = "delete", operation_id = "delete_user")]
    async fn delete_user(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        id: Path<PathId>,
    ) -> Result<Deleted, Refused<{ READ | WRITE | CONFLICT }>> {
        state.commands.delete_user(&acting.actor(), id.of("User")?).await?;
        Ok(Deleted::Done)
    }
}
