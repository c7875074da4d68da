//! Section Settings: what a tenant sets for itself.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::payload::Json;
use poem_openapi::types::MaybeUndefined;
use poem_openapi::{Object, OpenApi};
use pombo_domain::commands::access::settings::SettingsPatch;
use pombo_domain::model;
use serde::Deserialize;

use crate::Section;
use crate::access::Acting;
use crate::wire::{BODY, READ, Refused, WRITE, body};
use pombo_api::json::JsonBytes;
use pombo_api::options::ApiState;

#[derive(Default)]
pub(crate) struct TenantSettings;

impl pombo_api::Section for TenantSettings {
    const FILE: &'static str = file!();
}

/// What a tenant sets for itself.
#[derive(Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct Settings {
    /// Days after which received messages are deleted from the conversations, with their files; absent: they are kept as long as their
    /// conversation. The log of events has its own time, which the operator sets.
    received_days: Option<u32>,
}

impl From<model::TenantSettings> for Settings {
    fn from(settings: model::TenantSettings) -> Self {
        Self { received_days: settings.received_days }
    }
}

/// A change of the settings. Omitted fields stay as they are.
#[derive(Object, Deserialize)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct UpdateSettings {
    /// Days after which received messages are deleted from the conversations, from 1 to 36500; `null`: never.
    #[oai(default, nullable, validator(minimum(value = "1"), maximum(value = "36500")))]
    #[serde(default)]
    received_days: MaybeUndefined<u32>,
}

#[OpenApi(tag = "Section::Settings")]
impl TenantSettings {
    /// Get the settings
    #[oai(path = "/v1/settings", method = "get", operation_id = "get_settings")]
    async fn get_settings(&self, state: Data<&Arc<ApiState>>, acting: Acting) -> Result<Json<Settings>, Refused<READ>> {
        Ok(Json(state.commands.tenant_settings(acting.tenant)?.into()))
    }

    /// Change the settings
    #[oai(path = "/v1/settings", method = "patch", operation_id = "update_settings")]
    async fn update_settings(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        json: JsonBytes<UpdateSettings>,
    ) -> Result<Json<Settings>, Refused<{ READ | BODY | WRITE }>> {
        let UpdateSettings { received_days } = body(&json)?;
        let received_days = match received_days {
            MaybeUndefined::Undefined => None,
            MaybeUndefined::Null => Some(None),
            MaybeUndefined::Value(days) => Some(Some(days)),
        };
        Ok(Json(state.commands.update_settings(&acting.actor(), SettingsPatch { received_days }).await?.into()))
    }
}
