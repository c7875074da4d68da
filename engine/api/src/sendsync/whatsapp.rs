//! Sections "Conectar sessão WhatsApp" and "WhatsApp — Status e desconexão".

use std::sync::Arc;

use poem::Request;
use poem::web::Data;
use poem_openapi::param::Path;
use poem_openapi::{Enum, Object, OpenApi};
use pombo_domain::ports::SessionState;
use serde::Serialize;

use super::Section;
use super::error::{NamedFails, RemoveFails};
use super::params::{GivenId, only_parameters};
use crate::auth::Caller;
use crate::declared::Param;
use crate::json::SerdeJson;
use crate::options::ApiState;

/// How a session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Enum)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[oai(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum WhatsappStatus {
    /// Ready to send.
    Connected,
    /// Not connected.
    Disconnected,
    /// Waits for somebody to scan the QR code.
    QrCode,
}

/// A session.
#[derive(Debug, Serialize, Object)]
#[serde(rename_all = "camelCase")]
#[oai(rename_all = "camelCase")]
pub(super) struct WhatsappSession {
    /// How it stands.
    pub status: WhatsappStatus,
}

impl WhatsappSession {
    fn of(session: SessionState) -> Self {
        let status = match session {
            SessionState::Connected => WhatsappStatus::Connected,
            SessionState::QrCode(_) => WhatsappStatus::QrCode,
            SessionState::Stopped
            | SessionState::Connecting
            | SessionState::Disconnected(_)
            | SessionState::Failing(_) => WhatsappStatus::Disconnected,
        };
        Self { status }
    }
}

/// Handlers of the section.
pub struct WhatsAppApi;

#[OpenApi(tag = "Section::WhatsApp")]
impl WhatsAppApi {
    /// Connect a WhatsApp session
    ///
    /// Starts the connection of a WhatsApp connector. A connector of another channel is refused with 400.
    #[oai(path = "/whatsapp/connect/:connectorId", method = "post", operation_id = "connect_whatsapp")]
    async fn connect_whatsapp(
        &self,
        caller: Caller,
        state: Data<&Arc<ApiState>>,
        request: &Request,
        /// A connector's id, from `GET /connectors`.
        #[oai(name = "connectorId")]
        connector_id: Path<Param<GivenId>>,
    ) -> Result<SerdeJson<WhatsappSession>, RemoveFails> {
        only_parameters(request, &[])?;
        let session = state.commands.connect_whatsapp(caller.0.tenant, &connector_id.0.0).await?;
        Ok(SerdeJson(WhatsappSession::of(session)))
    }

    /// Status of a WhatsApp session
    ///
    /// How a WhatsApp connector's session stands. A connector of another channel is refused with 400.
    #[oai(path = "/whatsapp/status/:connectorId", method = "get", operation_id = "whatsapp_status")]
    async fn whatsapp_status(
        &self,
        caller: Caller,
        state: Data<&Arc<ApiState>>,
        request: &Request,
        /// A connector's id, from `GET /connectors`.
        #[oai(name = "connectorId")]
        connector_id: Path<Param<GivenId>>,
    ) -> Result<SerdeJson<WhatsappSession>, NamedFails> {
        only_parameters(request, &[])?;
        let session = state.commands.whatsapp_session(caller.0.tenant, &connector_id.0.0)?;
        Ok(SerdeJson(WhatsappSession::of(session)))
    }

    /// Disconnect a WhatsApp session
    ///
    /// Ends a WhatsApp connector's session. A connector of another channel is refused with 400.
    #[oai(path = "/whatsapp/disconnect/:connectorId", method = "post", operation_id = "disconnect_whatsapp")]
    async fn disconnect_whatsapp(
        &self,
        caller: Caller,
        state: Data<&Arc<ApiState>>,
        request: &Request,
        /// A connector's id, from `GET /connectors`.
        #[oai(name = "connectorId")]
        connector_id: Path<Param<GivenId>>,
    ) -> Result<SerdeJson<WhatsappSession>, RemoveFails> {
        only_parameters(request, &[])?;
        let session = state.commands.disconnect_whatsapp(caller.0.tenant, &connector_id.0.0).await?;
        Ok(SerdeJson(WhatsappSession::of(session)))
    }
}
