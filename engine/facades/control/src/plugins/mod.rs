//! Section Plugins: listing them, uploading a version, consenting to what it asks for, activating it and going back.

pub(crate) mod replays;
pub(crate) mod telemetry;
pub(crate) mod trust_roots;
pub(crate) mod upload;
pub(crate) mod wire;

use std::sync::Arc;

use poem::http::StatusCode;
use poem::web::Data;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::registry::MetaSchema;
use poem_openapi::{ApiResponse, Object, OpenApi};
use pombo_domain::commands::access::actor::Actor;
use pombo_domain::commands::plugins::grants::Consent;
use pombo_domain::commands::plugins::versions::Activation;
use pombo_domain::{Error, model};
use serde::Deserialize;
use uuid::Uuid;

use crate::Section;
use crate::access::{Operator, Owning};
use crate::concurrency::ConcurrencyLimit;
use crate::plugins::upload::{ComponentForm, form_limit, receive};
use crate::plugins::wire::{AuditEntry, Plugin, PluginDetail, UploadedPlugin};
use crate::wire::{BODY, CONFLICT, Deleted, OPERATOR, READ, Refused, WRITE, body};
use pombo_api::declared::{Param, ParamKind};
use pombo_api::error::{Failure, status};
use pombo_api::json::JsonBytes;
use pombo_api::multipart::Multipart;
use pombo_api::options::ApiState;

/// Maximum number of components that are received and inspected at the same time: each is in memory.
const UPLOADS: usize = 8;
const UPLOADS_OF_ONE: usize = 2;
/// Number of entries of an audit trail if the caller does not say.
const DEFAULT_AUDIT: u32 = 100;

pub(crate) struct Plugins {
    uploads: ConcurrencyLimit,
}

impl Default for Plugins {
    fn default() -> Self {
        Self { uploads: ConcurrencyLimit::new(UPLOADS, UPLOADS_OF_ONE) }
    }
}

/// The answer to a change of a plugin.
type Changed = Result<Json<PluginDetail>, Refused<{ READ | BODY | WRITE | CONFLICT | status::FORBIDDEN }>>;

/// A plugin's name in a path. If no plugin has it, it is not found.
pub(crate) struct PluginName;

impl ParamKind for PluginName {
    type Value = String;

    fn schema() -> MetaSchema {
        MetaSchema { min_length: Some(1), max_length: Some(100), ..MetaSchema::new("string") }
    }
    fn parse(text: &str) -> Result<String, String> {
        Ok(text.to_owned())
    }
}

/// The plugins.
#[derive(Object)]
pub(crate) struct PluginList {
    /// The plugins, by name.
    data: Vec<Plugin>,
}

/// The audit trail of a plugin.
#[derive(Object)]
pub(crate) struct AuditTrail {
    /// The entries, newest first.
    data: Vec<AuditEntry>,
}

/// What a plugin may use: exactly what is listed, or what a version asks for.
#[derive(Object, Deserialize)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct GrantPlugin {
    /// Grants what the version with this digest asks for. Must be the only field.
    #[oai(nullable, validator(min_length = 64, max_length = 64, pattern = "^[0-9a-f]{64}$"))]
    digest: Option<String>,
    /// Servers that it may reach, in the plugin's own notation; at most 64.
    #[oai(nullable, validator(max_items = 64))]
    hosts: Option<Vec<String>>,
    /// Host interfaces, for connectors.
    #[oai(nullable, validator(max_items = 64))]
    capabilities: Option<Vec<String>>,
    /// Size of its key/value store, in bytes.
    #[oai(nullable, validator(maximum(value = "1073741824")))]
    kv_bytes: Option<u64>,
    /// Processor time of one call, in milliseconds; 0 for the default.
    #[oai(nullable, validator(maximum(value = "60000")))]
    cpu_ms: Option<u32>,
    /// Memory of one call, in bytes; 0 for the default.
    #[oai(nullable, validator(maximum(value = "1073741824")))]
    memory_bytes: Option<u64>,
    /// Events per minute; 0 for the default.
    #[oai(nullable, validator(maximum(value = "10000000")))]
    events_per_minute: Option<u32>,
}

impl GrantPlugin {
    fn consent(self) -> Result<Consent, Failure> {
        let Self { digest, hosts, capabilities, kv_bytes, cpu_ms, memory_bytes, events_per_minute } = self;
        let lists = hosts.is_some() || capabilities.is_some();
        let numbers = kv_bytes.is_some() || memory_bytes.is_some() || cpu_ms.is_some() || events_per_minute.is_some();
        match digest {
            Some(_) if lists || numbers => Err(Error::invalid(
                "digest",
                "must be the only field, because it stands for everything that the version asks for",
            )
            .into()),
            Some(digest) => Ok(Consent::ToVersion(digest)),
            None if !lists && !numbers => {
                Err(Error::invalid("body", "list what is granted, or give the digest of the version that asks for it")
                    .into())
            }
            None => Ok(Consent::To(model::Wants {
                hosts: hosts.unwrap_or_default(),
                capabilities: capabilities.unwrap_or_default(),
                kv_bytes: kv_bytes.unwrap_or_default(),
                cpu_ms: cpu_ms.unwrap_or_default(),
                memory_bytes: memory_bytes.unwrap_or_default(),
                events_per_minute: events_per_minute.unwrap_or_default(),
            })),
        }
    }
}

/// The version to run.
#[derive(Object, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub(crate) struct ActivatePlugin {
    /// Digest of the version.
    #[oai(validator(min_length = 64, max_length = 64, pattern = "^[0-9a-f]{64}$"))]
    digest: String,
    /// Percentage of the work that it gets at first, from 1 to 100. With 100, or if omitted, it takes over at once and is
    /// watched.
    #[oai(nullable, validator(minimum(value = "1"), maximum(value = "100")))]
    share: Option<u8>,
    /// Whether the engine compares it with the previous version, and promotes it or rolls it back by itself; true if omitted.
    #[oai(nullable)]
    automatic: Option<bool>,
    /// Whether to consent to what it asks for.
    #[oai(default)]
    #[serde(default)]
    grant: bool,
}

/// The answer to an upload.
#[derive(ApiResponse)]
pub(crate) enum Uploads {
    /// This component had already been uploaded.
    #[oai(status = 200)]
    Known(Json<UploadedPlugin>),
    /// A new version.
    #[oai(status = 201)]
    New(Json<UploadedPlugin>),
}

/// The present state of the plugin.
fn detail(state: &ApiState, actor: &Actor, name: &str) -> Result<Json<PluginDetail>, Failure> {
    Ok(Json(state.commands.get_plugin(actor, name)?.into()))
}

impl pombo_api::Section for Plugins {
    const FILE: &'static str = file!();
}

#[OpenApi(tag = "Section::Plugins")]
impl Plugins {
    /// Upload a version of a plugin
    ///
    /// A tenant uploads automations; the operator uploads connectors too. The component is checked in this order: its size, its
    /// signature, whether it is a component of a known world and version without other imports, whether it compiles, its
    /// description, its name. Names are unique in the engine. If the same component is uploaded again, the answer is 200 with
    /// `isNew` false. Nothing runs until a version is activated.
    #[oai(path = "/v1/plugins", method = "post", operation_id = "upload_plugin")]
    async fn upload_plugin(
        &self,
        state: Data<&Arc<ApiState>>,
        owning: Owning,
        form: Multipart<'_, ComponentForm>,
    ) -> Result<Uploads, Refused<{ READ | BODY | WRITE | CONFLICT | status::FORBIDDEN }>> {
        let limit = state.commands.plugin_policy().max_bytes;
        let Some(_place) = self.uploads.take(owning.0.tenant) else {
            form.discard(form_limit(limit)).await;
            let message = "too many components are being uploaded; try again in a moment";
            let failure = Failure::new(StatusCode::SERVICE_UNAVAILABLE, message);
            return Err(Failure { retry_after_ms: Some(2_000), ..failure }.into());
        };
        let received = receive(form, limit).await?;
        let signature = received.signature.as_deref();
        let uploaded = state.commands.upload_plugin(&owning.0, received.bytes, signature).await?;
        let version = uploaded.plugin.version(&uploaded.digest);
        let version =
            version.ok_or_else(|| Failure::internal("an uploaded version is not among its plugin's versions"))?;
        let json = Json(UploadedPlugin::of(&uploaded.plugin, version, uploaded.is_new));
        Ok(if uploaded.is_new { Uploads::New(json) } else { Uploads::Known(json) })
    }

    /// List the plugins
    ///
    /// The list has the engine's own plugins, the operator's and the tenant's.
    #[oai(path = "/v1/plugins", method = "get", operation_id = "list_plugins")]
    async fn list_plugins(
        &self,
        state: Data<&Arc<ApiState>>,
        owning: Owning,
    ) -> Result<Json<PluginList>, Refused<READ>> {
        let plugins = state.commands.list_all_plugins(&owning.0)?;
        Ok(Json(PluginList { data: plugins.into_iter().map(Plugin::from).collect() }))
    }

    /// Get a plugin with its versions
    #[oai(path = "/v1/plugins/:name", method = "get", operation_id = "get_plugin")]
    async fn get_plugin(
        &self,
        state: Data<&Arc<ApiState>>,
        owning: Owning,
        name: Path<Param<PluginName>>,
    ) -> Result<Json<PluginDetail>, Refused<READ>> {
        Ok(detail(&state, &owning.0, &name.0.0)?)
    }

    /// Delete a plugin with all its versions
    ///
    /// Refused while an automation or a connector uses it. Its name becomes available again.
    #[oai(path = "/v1/plugins/:name", method = "delete", operation_id = "delete_plugin")]
    async fn delete_plugin(
        &self,
        state: Data<&Arc<ApiState>>,
        owning: Owning,
        name: Path<Param<PluginName>>,
    ) -> Result<Deleted, Refused<{ READ | WRITE | CONFLICT | status::FORBIDDEN }>> {
        state.commands.delete_plugin(&owning.0, &name.0.0).await?;
        Ok(Deleted::Done)
    }

    /// Delete a version of a plugin
    ///
    /// Refused while the version is active or takes part in a rollout.
    #[oai(path = "/v1/plugins/:name/versions/:digest", method = "delete", operation_id = "delete_plugin_version")]
    async fn delete_plugin_version(
        &self,
        state: Data<&Arc<ApiState>>,
        owning: Owning,
        name: Path<Param<PluginName>>,
        digest: Path<String>,
    ) -> Result<Deleted, Refused<{ READ | WRITE | CONFLICT | status::FORBIDDEN }>> {
        state.commands.delete_plugin_version(&owning.0, &name.0.0, &digest.0).await?;
        Ok(Deleted::Done)
    }

    /// Consent to what a plugin may use
    ///
    /// Replaces the previous grants. Versions that ask for no more become `ready`, others wait for consent. An automation's active
    /// version continues with what is still granted. A connector cannot be granted less than a version in use asks for (409).
    #[oai(path = "/v1/plugins/:name/grants", method = "put", operation_id = "grant_plugin")]
    async fn grant_plugin(
        &self,
        state: Data<&Arc<ApiState>>,
        owning: Owning,
        name: Path<Param<PluginName>>,
        json: JsonBytes<GrantPlugin>,
    ) -> Changed {
        let consent = body::<GrantPlugin>(&json)?.consent()?;
        state.commands.grant_plugin(&owning.0, &name.0.0, consent).await?;
        Ok(detail(&state, &owning.0, &name.0.0)?)
    }

    /// Activate a version
    ///
    /// First, the configurations of all automations on the plugin are checked against the version's schema. A first version runs
    /// at once. Any other version begins a rollout: with a `share` below 100 it runs alongside the previous version, is compared
    /// with it and takes over; with 100 it takes over at once. In both cases it is watched for a while, and rolled back if it
    /// does worse, unless `automatic` is false.
    #[oai(path = "/v1/plugins/:name/activate", method = "post", operation_id = "activate_plugin")]
    async fn activate_plugin(
        &self,
        state: Data<&Arc<ApiState>>,
        owning: Owning,
        name: Path<Param<PluginName>>,
        json: JsonBytes<ActivatePlugin>,
    ) -> Changed {
        let ActivatePlugin { digest, share, automatic, grant } = body(&json)?;
        let activation =
            Activation { digest, share: share.unwrap_or(100), automatic: automatic.unwrap_or(true), grant };
        state.commands.activate_plugin(&owning.0, &name.0.0, &activation).await?;
        Ok(detail(&state, &owning.0, &name.0.0)?)
    }

    /// Go back to the previous version
    ///
    /// Ends the rollout, if one is in progress.
    #[oai(path = "/v1/plugins/:name/rollback", method = "post", operation_id = "roll_back_plugin")]
    async fn roll_back_plugin(
        &self,
        state: Data<&Arc<ApiState>>,
        owning: Owning,
        name: Path<Param<PluginName>>,
    ) -> Changed {
        state.commands.roll_back_plugin(&owning.0, &name.0.0).await?;
        Ok(detail(&state, &owning.0, &name.0.0)?)
    }

    /// Let the new version of a rollout take over now
    #[oai(path = "/v1/plugins/:name/promote", method = "post", operation_id = "promote_plugin")]
    async fn promote_plugin(
        &self,
        state: Data<&Arc<ApiState>>,
        owning: Owning,
        name: Path<Param<PluginName>>,
    ) -> Changed {
        state.commands.promote_plugin(&owning.0, &name.0.0).await?;
        Ok(detail(&state, &owning.0, &name.0.0)?)
    }

    /// List what was done with a plugin, newest first
    ///
    /// Only for the plugin's owner.
    #[oai(path = "/v1/plugins/:name/audit", method = "get", operation_id = "get_plugin_audit")]
    async fn get_plugin_audit(
        &self,
        state: Data<&Arc<ApiState>>,
        owning: Owning,
        name: Path<Param<PluginName>>,
        /// Maximum number of entries, from 1 to 500; 100 if omitted.
        #[oai(validator(minimum(value = "1"), maximum(value = "500")))]
        limit: Query<Option<u32>>,
    ) -> Result<Json<AuditTrail>, Refused<{ READ | status::FORBIDDEN }>> {
        let limit = limit.0.unwrap_or(DEFAULT_AUDIT) as usize;
        let entries = state.commands.plugin_audit(&owning.0, &name.0.0, limit)?;
        Ok(Json(AuditTrail { data: entries.into_iter().map(AuditEntry::from).collect() }))
    }

    /// Reload a connector plugin's component
    ///
    /// For the operator, and only for plugins that are read from a folder. Every connector on the plugin moves to the new
    /// version: the old instance finishes its sends and stops, the new one starts with the same stored session, and sends wait
    /// until then. If the component cannot be loaded or does not fit, the request is refused with 409 and the current version
    /// continues.
    #[oai(
        path = "/v1/plugins/:name/reload",
        method = "post",
        operation_id = "reload_plugin",
        request_header(
            name = "X-Pombo-Tenant",
            ty = "Option<Uuid>",
            description = "Without effect: only the operator reloads."
        )
    )]
    async fn reload_plugin(
        &self,
        state: Data<&Arc<ApiState>>,
        _operator: Operator,
        name: Path<Param<PluginName>>,
    ) -> Result<Json<Plugin>, Refused<{ OPERATOR | status::NOT_FOUND | CONFLICT }>> {
        Ok(Json(state.commands.reload_plugin(&name.0.0).await?.into()))
    }
}
