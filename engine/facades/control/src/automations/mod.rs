//! Section Automations. No answer contains a secret, only the names of the secret fields that are set.

pub(crate) mod dead_letters;
pub(crate) mod hooks;

use std::collections::BTreeMap;
use std::sync::Arc;

use poem::web::Data;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Enum, Object, OpenApi};
use pombo_domain::commands::automations::events::Made;
use pombo_domain::commands::automations::{AutomationPatch, AutomationRequest, AutomationView};
use pombo_domain::model;
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use crate::Section;
use crate::access::Acting;
use crate::wire::{
    BODY, CHANNEL, CONFLICT, Created, Deleted, Instant, Page, PathId, READ, Refused, WRITE, body, page_of,
};
use pombo_api::json::JsonBytes;
use pombo_api::options::ApiState;

#[derive(Default)]
pub(crate) struct Automations;

impl pombo_api::Section for Automations {
    const FILE: &'static str = file!();
}

/// Whether an automation is to be called.
#[derive(Enum, Deserialize, Clone, Copy, PartialEq, Eq)]
#[oai(rename_all = "SCREAMING_SNAKE_CASE")]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum AutomationStatus {
    /// It is called.
    Active,
    /// It is not called. Events that happen in the meantime are not handled later.
    Paused,
}

/// An automation to create.
#[derive(Object, Deserialize)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct CreateAutomation {
    /// Display name, from 1 to 120 characters.
    #[oai(validator(
        min_length = 1,
        max_length = 120,
        pattern = "^[^\\x00-\\x20\\x7f-\\xa0]([^\\x00-\\x1f\\x7f-\\x9f]*[^\\x00-\\x20\\x7f-\\xa0])?$"
    ))]
    name: String,
    /// Name of the plugin, as in the list of plugins; its `kind` must be `automation`.
    plugin: String,
    /// Id of the connector in whose conversations it answers.
    connector_id: Uuid,
    /// Configuration that the plugin's `configSchema` describes, including secrets; at most 64 KB of JSON.
    #[oai(default)]
    #[serde(default)]
    config: BTreeMap<String, Value>,
    /// Position among the connector's automations, at most 1,000,000: they are asked in this order until one claims the event. If
    /// omitted, it is asked last.
    #[oai(nullable, validator(maximum(value = "1000000")))]
    position: Option<u32>,
    /// Whether it is called in groups too.
    #[oai(default)]
    #[serde(default)]
    groups: bool,
    /// Whether its calls are recorded (encrypted) for replays; true if omitted.
    #[oai(nullable)]
    record: Option<bool>,
    /// Whether it is called; ACTIVE if omitted.
    #[oai(nullable)]
    status: Option<AutomationStatus>,
}

/// A change of an automation. Omitted fields stay as they are.
#[derive(Object, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpdateAutomation {
    /// New display name, from 1 to 120 characters.
    #[oai(
        nullable,
        validator(
            min_length = 1,
            max_length = 120,
            pattern = "^[^\\x00-\\x20\\x7f-\\xa0]([^\\x00-\\x1f\\x7f-\\x9f]*[^\\x00-\\x20\\x7f-\\xa0])?$"
        )
    )]
    name: Option<String>,
    /// New configuration, which replaces the whole old one; however, an omitted secret field stays, and one that is `null` is
    /// removed.
    #[oai(nullable)]
    config: Option<BTreeMap<String, Value>>,
    /// New position among the connector's automations, at most 1,000,000.
    #[oai(nullable, validator(maximum(value = "1000000")))]
    position: Option<u32>,
    /// Whether it is called in groups too.
    #[oai(nullable)]
    groups: Option<bool>,
    /// Whether its calls are recorded for replays.
    #[oai(nullable)]
    record: Option<bool>,
    /// Whether it is to be called.
    #[oai(nullable)]
    status: Option<AutomationStatus>,
}

/// An automation.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
pub(crate) struct Automation {
    /// Id of the automation.
    id: Uuid,
    /// Display name.
    name: String,
    /// Name of its plugin.
    plugin: String,
    /// Id of the connector in whose conversations it answers.
    connector_id: Uuid,
    /// Configuration without the secret fields.
    config: BTreeMap<String, Value>,
    /// Names of the secret fields that are set.
    secrets_set: Vec<String>,
    /// Position among the connector's automations: they are asked in this order until one claims the event.
    position: u32,
    /// Whether it only observes: it then gets every event, even one that another automation claims, and may not send.
    observer: bool,
    /// Kinds of event that it is called for, such as `message-received`.
    events: Vec<String>,
    /// Whether it is called in groups too.
    groups: bool,
    /// Whether its calls are recorded (encrypted) for replays.
    record: bool,
    /// Whether it is to be called.
    status: AutomationStatus,
    /// When it was created.
    created_at: Instant,
    /// When it was last changed.
    updated_at: Instant,
}

impl From<AutomationView> for Automation {
    fn from(view: AutomationView) -> Self {
        let automation = view.automation.as_ref();
        Self {
            id: automation.id,
            name: automation.name.clone(),
            plugin: automation.plugin.clone(),
            connector_id: view.connector,
            // Written by the create and update commands from an object.
            config: serde_json::from_str(&automation.config).unwrap_or_default(),
            secrets_set: automation.secrets.keys().cloned().collect(),
            position: automation.position,
            observer: automation.observer,
            events: automation.events.iter().map(|kind| kind.as_str().to_owned()).collect(),
            groups: automation.groups,
            record: automation.record,
            status: match automation.status {
                model::AutomationStatus::Active => AutomationStatus::Active,
                model::AutomationStatus::Paused | model::AutomationStatus::Deleted => AutomationStatus::Paused,
            },
            created_at: Instant(automation.created_at),
            updated_at: Instant(automation.updated_at),
        }
    }
}

/// The conversation in which an automation is started, and its input.
#[derive(Object, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub(crate) struct StartAutomation {
    /// Address of the conversation, in the form that the connector's channel uses.
    #[oai(validator(min_length = 1, max_length = 320))]
    to: String,
    /// Input for the automation: any JSON of at most 64 KB; `null` if omitted.
    #[oai(default)]
    #[serde(default)]
    input: Value,
    /// Whether `to` is a group. Needed only if there is no conversation with it yet.
    #[oai(default)]
    #[serde(default)]
    group: bool,
}

/// An event that waits for its automation.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
pub(crate) struct MadeEvent {
    /// Id of the event.
    event_id: Uuid,
    /// Id of the conversation in which it waits.
    #[oai(skip_serializing_if_is_none)]
    conversation_id: Option<Uuid>,
}

impl From<Made> for MadeEvent {
    fn from(made: Made) -> Self {
        Self { event_id: made.event, conversation_id: made.conversation }
    }
}

/// The answer to a request that is carried out later.
#[derive(ApiResponse)]
pub(crate) enum Accepted {
    /// Stored. The event is handled when its turn comes.
    #[oai(status = 202)]
    Taken(Json<MadeEvent>),
}

/// The webhook of an automation.
#[derive(Object)]
pub(crate) struct AutomationHook {
    /// URL to call. Treat it as a secret: anyone who knows it can call the automation.
    url: String,
}

fn object(config: BTreeMap<String, Value>) -> Value {
    Value::Object(config.into_iter().collect())
}

#[OpenApi(tag = "Section::Automations")]
impl Automations {
    /// Put an automation on a connector
    ///
    /// The configuration is checked against the plugin's `configSchema`; fields that do not fit are listed as `config.url` and so
    /// on. A connector has at most 20 automations.
    #[oai(path = "/v1/automations", method = "post", operation_id = "create_automation")]
    async fn create_automation(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        json: JsonBytes<CreateAutomation>,
    ) -> Result<Created<Automation>, Refused<{ READ | BODY | WRITE | CONFLICT }>> {
        let CreateAutomation { name, plugin, connector_id, config, position, groups, record, status } = body(&json)?;
        let request = AutomationRequest {
            name,
            plugin,
            connector: connector_id,
            config: object(config),
            position,
            groups,
            record: record.unwrap_or(true),
            paused: status == Some(AutomationStatus::Paused),
        };
        let view = state.commands.create_automation(&acting.actor(), request).await?;
        Ok(Created::Made(Json(view.into())))
    }

    /// List the automations
    #[oai(path = "/v1/automations", method = "get", operation_id = "list_automations")]
    async fn list_automations(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        /// Only automations on this connector, in the order in which they are asked.
        #[oai(name = "connectorId")]
        connector_id: Query<Option<Uuid>>,
        /// Maximum number of rows, from 1 to 250; 50 if omitted.
        #[oai(validator(minimum(value = "1"), maximum(value = "250")))]
        limit: Query<Option<u32>>,
        /// The `next` of the previous page; the first page if omitted.
        after: Query<Option<Uuid>>,
    ) -> Result<Json<Page<Automation>>, Refused<READ>> {
        let views = state.commands.list_automations(acting.tenant, connector_id.0)?;
        Ok(Json(page_of(views, |view| view.automation.id, after.0, limit.0, Automation::from)?))
    }

    /// Get an automation
    #[oai(path = "/v1/automations/:id", method = "get", operation_id = "get_automation")]
    async fn get_automation(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        id: Path<PathId>,
    ) -> Result<Json<Automation>, Refused<READ>> {
        Ok(Json(state.commands.get_automation(acting.tenant, id.of("Automation")?)?.into()))
    }

    /// Change an automation
    ///
    /// The change takes effect with the next event.
    #[oai(path = "/v1/automations/:id", method = "patch", operation_id = "update_automation")]
    async fn update_automation(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        id: Path<PathId>,
        json: JsonBytes<UpdateAutomation>,
    ) -> Result<Json<Automation>, Refused<{ READ | BODY | WRITE | CONFLICT }>> {
        let UpdateAutomation { name, config, position, groups, record, status } = body(&json)?;
        let paused = status.map(|status| status == AutomationStatus::Paused);
        let patch = AutomationPatch { name, config: config.map(object), position, groups, record, paused };
        let id = id.of("Automation")?;
        Ok(Json(state.commands.update_automation(&acting.actor(), id, patch).await?.into()))
    }

    /// Delete an automation
    ///
    /// Its secrets are deleted. What it stored in its key/value store and in conversations can no longer be reached.
    #[oai(path = "/v1/automations/:id", method = "delete", operation_id = "delete_automation")]
    async fn delete_automation(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        id: Path<PathId>,
    ) -> Result<Deleted, Refused<{ READ | WRITE }>> {
        state.commands.delete_automation(acting.tenant, id.of("Automation")?).await?;
        Ok(Deleted::Done)
    }

    /// Start an automation in a conversation
    ///
    /// The plugin must listen to `started`. If there is no conversation with the address yet, it is opened.
    #[oai(path = "/v1/automations/:id/start", method = "post", operation_id = "start_automation")]
    async fn start_automation(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        id: Path<PathId>,
        json: JsonBytes<StartAutomation>,
    ) -> Result<Accepted, Refused<{ READ | BODY | WRITE | CHANNEL }>> {
        let StartAutomation { to, input, group } = body(&json)?;
        let id = id.of("Automation")?;
        let made = state.commands.start_automation(&acting.actor(), id, &to, group, input.to_string()).await?;
        Ok(Accepted::Taken(Json(made.into())))
    }

    /// Get the URL of an automation's webhook
    #[oai(path = "/v1/automations/:id/hook", method = "get", operation_id = "get_automation_hook")]
    async fn get_automation_hook(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        id: Path<PathId>,
    ) -> Result<Json<AutomationHook>, Refused<READ>> {
        let view = state.commands.get_automation(acting.tenant, id.of("Automation")?)?;
        Ok(Json(AutomationHook { url: state.hook_links.url(acting.tenant, view.automation.id) }))
    }
}
