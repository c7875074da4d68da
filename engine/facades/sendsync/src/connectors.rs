//! Section "Listar conectores".

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::{Enum, Object, OpenApi};
use pombo_domain::commands::connectors::ConnectorView;
use pombo_domain::model::ConnectorStatus;
use pombo_domain::ports::SessionState;
use serde::Serialize;
use uuid::Uuid;

use super::Section;
use super::error::ReadFails;
use pombo_api::auth::Caller;
use pombo_api::json::SerdeJson;
use pombo_api::options::ApiState;

/// Whether a connector sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Enum)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[oai(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum ConnectorState {
    /// It sends.
    Active,
    /// It accepts messages and keeps them.
    Paused,
    /// It accepts messages and keeps them until its session is connected again.
    Disconnected,
}

/// A connector.
#[derive(Debug, Serialize, Object)]
#[serde(rename_all = "camelCase")]
#[oai(rename = "Connector", rename_all = "camelCase")]
pub(super) struct ConnectorBody {
    /// Id of the connector, for `connectorId`.
    pub id: Uuid,
    /// Display name of the connector.
    pub name: String,
    /// Channel: `WHATSAPP`, `EMAIL`, or the channel of another plugin.
    #[serde(rename = "type")]
    #[oai(rename = "type")]
    pub channel: String,
    /// Whether it sends.
    pub status: ConnectorState,
    /// Id of the company that it belongs to.
    pub company_id: Uuid,
}

impl ConnectorBody {
    fn of(view: ConnectorView, needs_session: bool, company_id: Uuid) -> Self {
        let connector = view.connector;
        let status = match (connector.status, view.session) {
            (ConnectorStatus::Paused | ConnectorStatus::Deleted, _) => ConnectorState::Paused,
            (ConnectorStatus::Active, SessionState::Connected) => ConnectorState::Active,
            // Without a session to open, it connects when there is something to send.
            (ConnectorStatus::Active, SessionState::Stopped | SessionState::Connecting) if !needs_session => {
                ConnectorState::Active
            }
            (ConnectorStatus::Active, _) => ConnectorState::Disconnected,
        };
        let channel = connector.channel.to_uppercase();
        Self { id: connector.id, name: connector.name.clone(), channel, status, company_id }
    }
}

/// Handlers of the section.
#[derive(Default)]
pub struct ConnectorsApi;

impl pombo_api::Section for ConnectorsApi {
    const FILE: &'static str = file!();
}

#[OpenApi(tag = "Section::Connectors")]
impl ConnectorsApi {
    /// List connectors
    ///
    /// Lists the company's connectors. Credentials and configuration are not returned.
    #[oai(path = "/connectors", method = "get", operation_id = "list_connectors")]
    async fn list_connectors(
        &self,
        caller: Caller,
        state: Data<&Arc<ApiState>>,
    ) -> Result<SerdeJson<Vec<ConnectorBody>>, ReadFails> {
        let views = state.commands.list_connectors(caller.0.tenant)?;
        let plugins = state.commands.list_plugins();
        let needs_session = |name: &str| plugins.iter().any(|plugin| plugin.name == name && plugin.needs_session);
        let body = |view: ConnectorView| {
            let needs_session = needs_session(&view.connector.plugin);
            ConnectorBody::of(view, needs_session, caller.0.tenant_id)
        };
        Ok(SerdeJson(views.into_iter().map(body).collect()))
    }
}
