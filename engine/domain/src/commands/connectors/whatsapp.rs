//! Sessions as a facade asks for them that knows one channel by name: connectors of other channels are refused with a word about
//! it. What a session is and does, [`super::sessions`] knows.

use uuid::Uuid;

use crate::commands::Commands;
use crate::commands::connectors::sessions::{SessionView, given_id};
use crate::ports::SessionState;
use crate::{Error, ErrorCode, Result, TenantIndex};

impl Commands {
    /// How the session stands.
    pub fn whatsapp_session(&self, tenant: TenantIndex, connector: &str) -> Result<SessionView> {
        let id = self.whatsapp_connector(tenant, connector)?;
        self.get_session(tenant, id)
    }

    /// Opens the session by a QR code, or says how far it is.
    pub async fn connect_whatsapp(&self, tenant: TenantIndex, connector: &str) -> Result<SessionView> {
        let id = self.whatsapp_connector(tenant, connector)?;
        self.open_session(tenant, id, None).await
    }

    /// Ends the session.
    pub async fn disconnect_whatsapp(&self, tenant: TenantIndex, connector: &str) -> Result<SessionView> {
        let id = self.whatsapp_connector(tenant, connector)?;
        let view = self.close_session(tenant, id).await?;
        // It may still be on its way out; it is over for the caller.
        let state = match view.state {
            SessionState::Connected | SessionState::QrCode(_) | SessionState::PairingCode(_) => SessionState::Stopped,
            state => state,
        };
        Ok(SessionView { state, account: None })
    }

    fn whatsapp_connector(&self, tenant: TenantIndex, id: &str) -> Result<Uuid> {
        let connector = self.live_connector(tenant, given_id(id)?)?;
        if connector.channel != "whatsapp" {
            let channel = connector.channel.to_uppercase();
            let message =
                format!("this connector is of type {channel}; only connectors of type WHATSAPP have sessions");
            return Err(Error::new(ErrorCode::Unsupported, message));
        }
        Ok(connector.id)
    }
}
