//! Section Connectors. No answer contains a secret, only the names of the secret fields that are set.

pub(crate) mod chats;
pub(crate) mod groups;
pub(crate) mod link_page;
pub(crate) mod own;
pub(crate) mod pace;
pub(crate) mod receiving;
pub(crate) mod sessions;
pub(crate) mod webhook_endpoints;
pub(crate) mod webhooks;

use std::collections::BTreeMap;
use std::sync::Arc;

use poem::web::Data;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::types::MaybeUndefined;
use poem_openapi::{Enum, Object, OpenApi};
use pombo_domain::Field;
use pombo_domain::commands::connectors::{ConnectorChange, ConnectorRequest, ConnectorView};
use pombo_domain::model;
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use crate::Section;
use crate::access::Acting;
use crate::wire::pace::Pace;
use crate::wire::proxy::{Proxy, SetProxy};
use crate::wire::session::Session;
use crate::wire::{
    BODY, CONFLICT, Created, Deleted, Instant, Page, PathId, READ, Refused, WRITE, body, optional, page_of,
};
use pombo_api::error::Failure;
use pombo_api::json::{JsonBytes, OptionalJsonBytes};
use pombo_api::options::ApiState;

#[derive(Default)]
pub(crate) struct Connectors;

impl pombo_api::Section for Connectors {
    const FILE: &'static str = file!();
}

/// A connector to create.
#[derive(Object, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateConnector {
    /// Display name, from 1 to 120 characters.
    #[oai(validator(
        min_length = 1,
        max_length = 120,
        pattern = "^[^\\x00-\\x20\\x7f-\\xa0]([^\\x00-\\x1f\\x7f-\\x9f]*[^\\x00-\\x20\\x7f-\\xa0])?$"
    ))]
    name: String,
    /// Name of the plugin, as in the list of plugins; its `kind` must be `connector`.
    plugin: String,
    /// Configuration that the plugin's `configSchema` describes, including secrets; at most 64 KB of JSON.
    config: BTreeMap<String, Value>,
    /// How fast it may send. If omitted, the plugin's default (see the list of plugins); if that has none either, without limits.
    #[oai(nullable)]
    pace: Option<Pace>,
    /// The proxy that all connections of its plugin go through. If omitted, they go directly.
    #[oai(nullable)]
    proxy: Option<SetProxy>,
}

/// A change of a connector. Omitted fields stay as they are.
#[derive(Object, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpdateConnector {
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
    /// New proxy, which replaces the old one; `null` removes it.
    #[oai(default, nullable)]
    #[serde(default)]
    proxy: MaybeUndefined<SetProxy>,
}

/// The reason for pausing a connector.
#[derive(Object, Deserialize, Default)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub(crate) struct PauseConnector {
    /// Reason for people to read, at most 500 characters.
    #[oai(nullable, validator(max_length = 500, pattern = "^[^\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f-\\x9f]*$"))]
    reason: Option<String>,
}

/// Whether a connector is to send.
#[derive(Enum, Clone, Copy)]
#[oai(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum ConnectorStatus {
    /// It sends.
    Active,
    /// It accepts and keeps messages, but does not send them.
    Paused,
    /// It was deleted.
    Deleted,
}

/// A connector.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
pub(crate) struct Connector {
    /// Id of the connector (`connectorId` in other operations).
    id: Uuid,
    /// Its number, by which APIs know it that name instances by integers.
    number: u32,
    /// Display name.
    name: String,
    /// Name of its plugin.
    plugin: String,
    /// Channel of its plugin, such as `email` or `whatsapp`.
    channel: String,
    /// Configuration without the secret fields.
    config: BTreeMap<String, Value>,
    /// Names of the secret fields that are set.
    secrets_set: Vec<String>,
    /// Whether it is to send.
    status: ConnectorStatus,
    /// Why it was paused.
    #[oai(skip_serializing_if_is_none)]
    status_reason: Option<String>,
    /// State of its session.
    session: Session,
    /// How fast it may send.
    pace: Pace,
    /// The proxy that all connections of its plugin go through; absent if they go directly.
    #[oai(skip_serializing_if_is_none)]
    proxy: Option<Proxy>,
    /// When it was created. The warm-up counts from its first message.
    created_at: Instant,
    /// When it was last changed.
    updated_at: Instant,
}

impl From<ConnectorView> for Connector {
    fn from(view: ConnectorView) -> Self {
        let connector = view.connector.as_ref();
        Self {
            id: connector.id,
            number: connector.index.0,
            name: connector.name.clone(),
            plugin: connector.plugin.clone(),
            channel: connector.channel.clone(),
            // Written by the create and update commands from an object.
            config: serde_json::from_str(&connector.config).unwrap_or_default(),
            secrets_set: connector.secrets.keys().cloned().collect(),
            status: match connector.status {
                model::ConnectorStatus::Active => ConnectorStatus::Active,
                model::ConnectorStatus::Paused => ConnectorStatus::Paused,
                model::ConnectorStatus::Deleted => ConnectorStatus::Deleted,
            },
            status_reason: connector.status_reason.clone(),
            session: view.session.into(),
            pace: (&connector.pace).into(),
            proxy: connector.proxy.as_ref().map(|proxy| Proxy::of(proxy, view.proxy.clone())),
            created_at: Instant(connector.created_at),
            updated_at: Instant(connector.updated_at),
        }
    }
}

fn object(config: BTreeMap<String, Value>) -> Value {
    Value::Object(config.into_iter().collect())
}

/// A whole that does not belong to a body of the pace alone is named below `pace`.
fn under_pace(error: pombo_domain::Error) -> Failure {
    let mut failure = Failure::from(error);
    for problem in &mut failure.fields {
        if problem.field.root().is_some_and(|field| crate::wire::pace::FIELDS.contains(&field)) {
            problem.field = problem.field.clone().inside(Field::Pace);
        }
    }
    failure
}

#[OpenApi(tag = "Section::Connectors")]
impl Connectors {
    /// Create a connector from a plugin
    ///
    /// The configuration is checked against the plugin's `configSchema`; fields that do not fit are listed as `config.host` and
    /// so on. Every connection that the plugin opens goes through the `proxy`, if there is one; it alone resolves names. There is no way
    /// around it: while it does not work, the session is `DISCONNECTED` with that reason. The operator decides which proxies may be used.
    #[oai(path = "/v1/connectors", method = "post", operation_id = "create_connector")]
    async fn create_connector(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        json: JsonBytes<CreateConnector>,
    ) -> Result<Created<Connector>, Refused<{ READ | BODY | WRITE }>> {
        let CreateConnector { name, plugin, config, pace, proxy } = body(&json)?;
        let pace = pace.map(Pace::into_domain).transpose().map_err(under_pace)?;
        let proxy = proxy.map(SetProxy::into_domain).transpose()?;
        let request = ConnectorRequest { name, plugin, config: object(config), pace, proxy };
        let view = state.commands.create_connector(acting.tenant, request).await.map_err(under_pace)?;
        Ok(Created::Made(Json(view.into())))
    }

    /// List the connectors
    #[oai(path = "/v1/connectors", method = "get", operation_id = "list_connectors")]
    async fn list_connectors(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        /// Maximum number of rows, from 1 to 250; 50 if omitted.
        #[oai(validator(minimum(value = "1"), maximum(value = "250")))]
        limit: Query<Option<u32>>,
        /// The `next` of the previous page; the first page if omitted.
        after: Query<Option<Uuid>>,
    ) -> Result<Json<Page<Connector>>, Refused<READ>> {
        let connectors = state.commands.list_connectors(acting.tenant)?;
        Ok(Json(page_of(connectors, |view| view.connector.id, after.0, limit.0, Connector::from)?))
    }

    /// Get a connector
    #[oai(path = "/v1/connectors/:id", method = "get", operation_id = "get_connector")]
    async fn get_connector(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        id: Path<PathId>,
    ) -> Result<Json<Connector>, Refused<READ>> {
        Ok(Json(state.commands.get_connector(acting.tenant, id.of("Connector")?)?.into()))
    }

    /// Change a connector's name, configuration or proxy
    ///
    /// With a new configuration or proxy a new instance replaces the running one: the old one finishes its sends, the new one gets all
    /// further sends.
    #[oai(path = "/v1/connectors/:id", method = "patch", operation_id = "update_connector")]
    async fn update_connector(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        id: Path<PathId>,
        json: JsonBytes<UpdateConnector>,
    ) -> Result<Json<Connector>, Refused<{ READ | BODY | WRITE | CONFLICT }>> {
        let UpdateConnector { name, config, proxy } = body(&json)?;
        let proxy = match proxy {
            MaybeUndefined::Undefined => None,
            MaybeUndefined::Null => Some(None),
            MaybeUndefined::Value(proxy) => Some(Some(proxy.into_domain()?)),
        };
        let change = ConnectorChange { name, config: config.map(object), proxy };
        Ok(Json(state.commands.update_connector(acting.tenant, id.of("Connector")?, change).await?.into()))
    }

    /// Delete a connector
    ///
    /// Its automations are deleted too, as are the secrets of the connector and of its automations. Its messages are kept.
    #[oai(path = "/v1/connectors/:id", method = "delete", operation_id = "delete_connector")]
    async fn delete_connector(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        id: Path<PathId>,
    ) -> Result<Deleted, Refused<{ READ | WRITE }>> {
        state.commands.delete_connector(acting.tenant, id.of("Connector")?).await?;
        Ok(Deleted::Done)
    }

    /// Pause a connector
    ///
    /// It keeps its session and continues to accept messages, but sends none.
    #[oai(path = "/v1/connectors/:id/pause", method = "post", operation_id = "pause_connector")]
    async fn pause_connector(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        id: Path<PathId>,
        json: OptionalJsonBytes<PauseConnector>,
    ) -> Result<Json<Connector>, Refused<{ READ | BODY | WRITE }>> {
        let asked = optional(&json)?;
        let reason = asked.reason.as_deref();
        Ok(Json(state.commands.pause_connector(acting.tenant, id.of("Connector")?, reason).await?.into()))
    }

    /// Resume a connector
    #[oai(path = "/v1/connectors/:id/resume", method = "post", operation_id = "resume_connector")]
    async fn resume_connector(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        id: Path<PathId>,
    ) -> Result<Json<Connector>, Refused<{ READ | WRITE }>> {
        Ok(Json(state.commands.resume_connector(acting.tenant, id.of("Connector")?).await?.into()))
    }
}
