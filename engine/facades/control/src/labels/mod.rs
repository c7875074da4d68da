//! Sections Queues and Statuses: the labels that a tenant gives to conversations, in one form. The handlers of each are in a file of their
//! own.

pub(crate) mod queues;
pub(crate) mod statuses;

use std::sync::Arc;

use poem_openapi::Object;
use poem_openapi::payload::Json;
use poem_openapi::types::MaybeUndefined;
use pombo_domain::TenantIndex;
use pombo_domain::commands::labels::LabelPatch;
use pombo_domain::model::{self, LabelKind};
use serde::Deserialize;
use uuid::Uuid;

use crate::wire::{Created, Deleted, Instant, body};
use pombo_api::error::Failure;
use pombo_api::json::JsonBytes;
use pombo_api::options::ApiState;

/// A queue or a status of conversations.
#[derive(Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct Label {
    /// Its id.
    id: Uuid,
    /// The tenant's number for it: from 1, never given twice.
    number: u32,
    /// Its name. No two queues, and no two statuses, have the same one; case and accents do not count.
    name: String,
    /// Colour that it is shown in, such as `#3b82f6`.
    color: Option<String>,
    /// When it was created.
    created_at: Instant,
    /// When it was last changed.
    updated_at: Instant,
}

impl From<Arc<model::Label>> for Label {
    fn from(label: Arc<model::Label>) -> Self {
        Self {
            id: label.id,
            number: label.number,
            name: label.name.clone(),
            color: label.color.map(model::Color::to_hex),
            created_at: Instant(label.created_at),
            updated_at: Instant(label.updated_at),
        }
    }
}

/// All queues, or all statuses.
#[derive(Object)]
pub(crate) struct LabelList {
    /// The queues or statuses, ordered by number.
    data: Vec<Label>,
}

/// A queue or a status to create.
#[derive(Object, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateLabel {
    /// Its name, at most 50 characters.
    #[oai(validator(min_length = 1, max_length = 50))]
    name: String,
    /// Colour: `#` and six hexadecimal digits.
    #[oai(nullable, validator(pattern = "^#[0-9A-Fa-f]{6}$"))]
    color: Option<String>,
}

/// A change of a queue or a status. Omitted fields stay as they are.
#[derive(Object, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpdateLabel {
    /// The new name, at most 50 characters. Conversations keep it.
    #[oai(nullable, validator(min_length = 1, max_length = 50))]
    name: Option<String>,
    /// The new colour: `#` and six hexadecimal digits; `null` for none.
    #[oai(default, nullable, validator(pattern = "^#[0-9A-Fa-f]{6}$"))]
    #[serde(default)]
    color: MaybeUndefined<String>,
}

fn list(state: &ApiState, tenant: TenantIndex, kind: LabelKind) -> Result<Json<LabelList>, Failure> {
    let data = state.commands.list_labels(tenant, kind)?.into_iter().map(Label::from).collect();
    Ok(Json(LabelList { data }))
}

async fn create(
    state: &ApiState,
    tenant: TenantIndex,
    kind: LabelKind,
    json: &JsonBytes<CreateLabel>,
) -> Result<Created<Label>, Failure> {
    let CreateLabel { name, color } = body(json)?;
    let label = state.commands.create_label(tenant, kind, &name, color.as_deref()).await?;
    Ok(Created::Made(Json(label.into())))
}

async fn update(
    state: &ApiState,
    tenant: TenantIndex,
    kind: LabelKind,
    id: Uuid,
    json: &JsonBytes<UpdateLabel>,
) -> Result<Json<Label>, Failure> {
    let UpdateLabel { name, color } = body(json)?;
    let color = match color {
        MaybeUndefined::Undefined => None,
        MaybeUndefined::Null => Some(None),
        MaybeUndefined::Value(color) => Some(Some(color)),
    };
    Ok(Json(state.commands.update_label(tenant, kind, id, LabelPatch { name, color }).await?.into()))
}

async fn delete(state: &ApiState, tenant: TenantIndex, kind: LabelKind, id: Uuid) -> Result<Deleted, Failure> {
    state.commands.delete_label(tenant, kind, id).await?;
    Ok(Deleted::Done)
}
