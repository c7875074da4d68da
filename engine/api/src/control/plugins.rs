//! Section Plugins.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::param::Path;
use poem_openapi::payload::Json;
use poem_openapi::registry::MetaSchema;
use poem_openapi::{Object, OpenApi};
use pombo_domain::ports::PluginDescription;
use serde_json::Value;
use uuid::Uuid;

use super::Section;
use super::credentials::{Acting, Operator};
use super::pace::Pace;
use super::wire::{CONFLICT, OPERATOR, READ, Refused};
use crate::declared::{Param, ParamKind};
use crate::error::status;
use crate::options::ApiState;

pub(super) struct Plugins;

/// A plugin that a connector can be made from.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
pub(super) struct Plugin {
    /// Its name, to be given when a connector is created.
    name: String,
    /// Its version.
    version: String,
    /// SHA-256 of the component.
    digest: String,
    /// `email`, `whatsapp` …
    channel: String,
    /// For people.
    display_name: String,
    /// JSON Schema of a connector's `config`.
    config_schema: Value,
    /// Fields of `config` that are sealed and never returned.
    secret_fields: Vec<String>,
    /// Host interfaces that it is granted.
    capabilities: Vec<String>,
    /// What else it can do: `groups`, `reactions` …
    features: Vec<String>,
    /// Sending again with the same client id can not send twice, or is told apart by the receiver.
    idempotent_resend: bool,
    /// Sends at once, at most.
    max_in_flight: u16,
    /// Needs a session that somebody must open (a QR code).
    needs_session: bool,
    /// The pace of a new connector when none is given; no limits where absent.
    #[oai(skip_serializing_if_is_none)]
    pace: Option<Pace>,
}

/// A plugin's name. One that no plugin has is not found.
pub(super) struct PluginName;

impl ParamKind for PluginName {
    type Value = String;

    fn schema() -> MetaSchema {
        MetaSchema { min_length: Some(1), max_length: Some(100), ..MetaSchema::new("string") }
    }
    fn parse(text: &str) -> Result<String, String> {
        Ok(text.to_owned())
    }
}

impl From<PluginDescription> for Plugin {
    fn from(plugin: PluginDescription) -> Self {
        Self {
            name: plugin.name,
            version: plugin.version,
            digest: plugin.digest,
            channel: plugin.channel,
            display_name: plugin.display_name,
            config_schema: plugin.config_schema,
            secret_fields: plugin.secret_fields,
            capabilities: plugin.capabilities,
            features: plugin.features,
            idempotent_resend: plugin.idempotent_resend,
            max_in_flight: plugin.max_in_flight,
            needs_session: plugin.needs_session,
            pace: plugin.pace.as_ref().map(Pace::from),
        }
    }
}

/// The installed plugins.
#[derive(Object)]
pub(super) struct PluginList {
    /// By name.
    data: Vec<Plugin>,
}

#[OpenApi(
    tag = "Section::Plugins",
    request_header(
        name = "X-Pombo-Tenant",
        ty = "Option<Uuid>",
        description = "The tenant that the operator acts for."
    )
)]
impl Plugins {
    /// List the plugins
    #[oai(path = "/v1/plugins", method = "get", operation_id = "list_plugins")]
    async fn list_plugins(
        &self,
        state: Data<&Arc<ApiState>>,
        _acting: Acting,
    ) -> Result<Json<PluginList>, Refused<READ>> {
        Ok(Json(PluginList { data: state.commands.list_plugins().into_iter().map(Plugin::from).collect() }))
    }

    /// Read a plugin's component anew
    ///
    /// For the operator. Every connector on it goes to the new version: the old instance ends its sends and stops, the new one
    /// starts on the same stored session, sends wait meanwhile. A component that does not load or does not fit is refused with 409
    /// and the present version goes on.
    #[oai(path = "/v1/plugins/:name/reload", method = "post", operation_id = "reload_plugin")]
    async fn reload_plugin(
        &self,
        state: Data<&Arc<ApiState>>,
        _operator: Operator,
        name: Path<Param<PluginName>>,
    ) -> Result<Json<Plugin>, Refused<{ OPERATOR | status::NOT_FOUND | CONFLICT }>> {
        Ok(Json(state.commands.reload_plugin(&name.0.0).await?.into()))
    }
}
