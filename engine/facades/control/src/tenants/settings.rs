//! Section Settings: what a tenant sets for itself.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::payload::Json;
use poem_openapi::types::MaybeUndefined;
use poem_openapi::{Object, OpenApi};
use pombo_domain::commands::access::settings::SettingsPatch;
use pombo_domain::model;
use pombo_domain::model::refusals::OPT_OUT_WORDS;
use pombo_domain::model::tenant::PHONE_PAUSE_MINUTES;
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
    /// Words by which people refuse advertising: a received text that is exactly one of them. Case and accents do not count. `VOLTAR`
    /// takes it back.
    opt_out_words: Option<Vec<String>>,
    /// Minutes for which a message that is typed on the account's own phone pauses the automations of its conversation; 0: it does not.
    phone_pause_minutes: u32,
    /// What ends such a pause when it is typed on the phone; empty: nothing does.
    phone_resume_word: String,
}

impl From<model::TenantSettings> for Settings {
    fn from(settings: model::TenantSettings) -> Self {
        let usual = || OPT_OUT_WORDS.map(str::to_owned).to_vec();
        let opt_out_words = Some(settings.opt_out_words.clone().unwrap_or_else(usual));
        Self {
            received_days: settings.received_days,
            phone_pause_minutes: settings.phone_pause_minutes.unwrap_or(PHONE_PAUSE_MINUTES),
            phone_resume_word: settings.resume_word().to_owned(),
            opt_out_words,
        }
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
    /// Words by which people refuse advertising, at most 50 of at most 60 characters; `null`: SAIR, PARAR and STOP.
    #[oai(default, nullable, validator(max_items = 50))]
    #[serde(default)]
    opt_out_words: MaybeUndefined<Vec<String>>,
    /// Minutes for which a message that is typed on the account's own phone pauses the automations of its conversation, counted from the
    /// last one, at most 43200; 0: it does not; `null`: 120.
    #[oai(default, nullable, validator(maximum(value = "43200")))]
    #[serde(default)]
    phone_pause_minutes: MaybeUndefined<u32>,
    /// What ends such a pause when it is typed on the phone, at most 40 characters; empty: nothing does; `null`: `/bot`.
    #[oai(default, nullable, validator(max_length = 40))]
    #[serde(default)]
    phone_resume_word: MaybeUndefined<String>,
}

/// A field of a change: left out, taken back, or set.
fn changed<T>(given: MaybeUndefined<T>) -> Option<Option<T>> {
    match given {
        MaybeUndefined::Undefined => None,
        MaybeUndefined::Null => Some(None),
        MaybeUndefined::Value(value) => Some(Some(value)),
    }
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
        let UpdateSettings { received_days, opt_out_words, phone_pause_minutes, phone_resume_word } = body(&json)?;
        let patch = SettingsPatch {
            received_days: changed(received_days),
            opt_out_words: changed(opt_out_words),
            phone_pause_minutes: changed(phone_pause_minutes),
            phone_resume_word: changed(phone_resume_word),
        };
        Ok(Json(state.commands.update_settings(&acting.actor(), patch).await?.into()))
    }
}
