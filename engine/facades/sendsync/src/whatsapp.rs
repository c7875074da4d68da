//! Sections "Conectar sessão WhatsApp" and "WhatsApp — Status e desconexão".

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::param::Path;
use poem_openapi::{Enum, Object, OpenApi};
use pombo_domain::commands::Commands;
use pombo_domain::commands::connectors::sessions::SessionView;
use pombo_domain::ports::SessionState;
use pombo_domain::{Error, ErrorCode, TenantIndex};
use serde::Serialize;
use uuid::Uuid;

use super::Section;
use super::error::{NamedFails, SessionFails};
use super::params::GivenId;
use pombo_api::auth::Caller;
use pombo_api::declared::Param;
use pombo_api::error::Failure;
use pombo_api::json::SerdeJson;
use pombo_api::options::ApiState;
use pombo_api::qr;

/// State of a session.
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

/// The session of a WhatsApp connector.
#[derive(Debug, Serialize, Object)]
#[serde(rename_all = "camelCase")]
#[oai(rename_all = "camelCase")]
pub(super) struct WhatsappSession {
    /// State of the session.
    pub status: WhatsappStatus,
    /// With QR_CODE: the code as a PNG in a data URL, to be scanned with the account's phone. The code changes; connect again for
    /// the current one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[oai(skip_serializing_if_is_none)]
    pub qr_code: Option<String>,
    /// With CONNECTED: the account's own phone number.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[oai(skip_serializing_if_is_none)]
    pub phone: Option<String>,
}

impl WhatsappSession {
    fn of(session: &SessionView) -> Self {
        let status = match session.state {
            SessionState::Connected => WhatsappStatus::Connected,
            SessionState::QrCode(_) => WhatsappStatus::QrCode,
            // A code to type is not of this API: for it, the account is not connected.
            SessionState::Stopped
            | SessionState::Connecting
            | SessionState::Disconnected(_)
            | SessionState::PairingCode(_)
            | SessionState::Unpaired(_)
            | SessionState::LoggedOut(_)
            | SessionState::Failing(_) => WhatsappStatus::Disconnected,
        };
        let phone = session.account.as_ref().map(|account| account.address.clone());
        Self { status, qr_code: None, phone: phone.filter(|_| status == WhatsappStatus::Connected) }
    }

    /// The same with the code to scan, where it waits for that.
    fn with_code(session: &SessionView) -> Result<Self, Failure> {
        let qr_code = match &session.state {
            SessionState::QrCode(text) => Some(qr::png_data_url(text)?),
            _ => None,
        };
        Ok(Self { qr_code, ..Self::of(session) })
    }
}

/// The connector of an id in a path, which must be one of WhatsApp. A text that is not an id names a connector that does not exist.
fn whatsapp_connector(commands: &Commands, tenant: TenantIndex, id: &str) -> Result<Uuid, Error> {
    let id = Uuid::parse_str(id.trim()).map_err(|_| Error::not_found("Connector"))?;
    let connector = commands.get_connector(tenant, id)?.connector;
    if connector.channel != "whatsapp" {
        let channel = connector.channel.to_uppercase();
        let message = format!("this connector is of type {channel}; only connectors of type WHATSAPP have sessions");
        return Err(Error::new(ErrorCode::Unsupported, message));
    }
    Ok(connector.id)
}

/// Ends a session. It may still be on its way out; it is over for the caller.
async fn disconnect(commands: &Commands, tenant: TenantIndex, id: Uuid) -> Result<SessionView, Error> {
    let view = commands.close_session(tenant, id).await?;
    let state = match view.state {
        SessionState::Connected | SessionState::QrCode(_) | SessionState::PairingCode(_) => SessionState::Stopped,
        state => state,
    };
    Ok(SessionView { state, account: None, ..view })
}

/// Handlers of the section.
#[derive(Default)]
pub struct WhatsAppApi;

impl pombo_api::Section for WhatsAppApi {
    const FILE: &'static str = file!();
}

#[OpenApi(tag = "Section::WhatsApp")]
impl WhatsAppApi {
    /// Connect a WhatsApp session
    ///
    /// Opens the session of a WhatsApp connector and waits, up to 20 seconds, for a QR code or the connection. With DISCONNECTED
    /// there is neither yet: ask for the status or connect again. A connector of another channel is refused with 400.
    #[oai(path = "/whatsapp/connect/:connectorId", method = "post", operation_id = "connect_whatsapp")]
    async fn connect_whatsapp(
        &self,
        caller: Caller,
        state: Data<&Arc<ApiState>>,
        /// Id of the connector, from `GET /connectors`.
        #[oai(name = "connectorId")]
        connector_id: Path<Param<GivenId>>,
    ) -> Result<SerdeJson<WhatsappSession>, SessionFails> {
        let tenant = caller.0.tenant;
        let id = whatsapp_connector(&state.commands, tenant, &connector_id.0.0)?;
        let session = state.commands.open_session(tenant, id, None).await?;
        Ok(SerdeJson(WhatsappSession::with_code(&session)?))
    }

    /// Get the status of a WhatsApp session
    ///
    /// Returns the state of a WhatsApp connector's session, with the account's phone number while it is connected. A connector of
    /// another channel is refused with 400.
    #[oai(path = "/whatsapp/status/:connectorId", method = "get", operation_id = "whatsapp_status")]
    async fn whatsapp_status(
        &self,
        caller: Caller,
        state: Data<&Arc<ApiState>>,
        /// Id of the connector, from `GET /connectors`.
        #[oai(name = "connectorId")]
        connector_id: Path<Param<GivenId>>,
    ) -> Result<SerdeJson<WhatsappSession>, NamedFails> {
        let tenant = caller.0.tenant;
        let id = whatsapp_connector(&state.commands, tenant, &connector_id.0.0)?;
        let session = state.commands.get_session(tenant, id)?;
        Ok(SerdeJson(WhatsappSession::of(&session)))
    }

    /// Disconnect a WhatsApp session
    ///
    /// Logs out and deletes the session of a WhatsApp connector. Does nothing if there is no session. A connector of another
    /// channel is refused with 400.
    #[oai(path = "/whatsapp/disconnect/:connectorId", method = "post", operation_id = "disconnect_whatsapp")]
    async fn disconnect_whatsapp(
        &self,
        caller: Caller,
        state: Data<&Arc<ApiState>>,
        /// Id of the connector, from `GET /connectors`.
        #[oai(name = "connectorId")]
        connector_id: Path<Param<GivenId>>,
    ) -> Result<SerdeJson<WhatsappSession>, SessionFails> {
        let tenant = caller.0.tenant;
        let id = whatsapp_connector(&state.commands, tenant, &connector_id.0.0)?;
        let session = disconnect(&state.commands, tenant, id).await?;
        Ok(SerdeJson(WhatsappSession::of(&session)))
    }
}
