//! Sessions of WhatsApp connectors. Other channels have none that a person opens, and are refused with a word about it.
//!
//! No plugin that ships opens a WhatsApp session yet; a connector of another maker's plugin on that channel shows how its session
//! stands, and opening or closing it is refused.

use std::sync::Arc;

use uuid::Uuid;

use super::Commands;
use crate::model::{Connector, ConnectorStatus};
use crate::ports::SessionState;
use crate::{Error, ErrorCode, Result, TenantIndex};

impl Commands {
    /// How the session stands.
    pub fn whatsapp_session(&self, tenant: TenantIndex, connector: &str) -> Result<SessionState> {
        let connector = self.whatsapp_connector(tenant, connector)?;
        Ok(self.ports().connectors.session(connector.index))
    }

    /// Opens the session, or says how far it is.
    pub async fn connect_whatsapp(&self, tenant: TenantIndex, connector: &str) -> Result<SessionState> {
        let connector = self.whatsapp_connector(tenant, connector)?;
        match self.ports().connectors.session(connector.index) {
            session @ (SessionState::Connected | SessionState::QrCode(_)) => Ok(session),
            _ => Err(not_offered(&connector, "opening")),
        }
    }

    /// Ends the session.
    pub async fn disconnect_whatsapp(&self, tenant: TenantIndex, connector: &str) -> Result<SessionState> {
        let connector = self.whatsapp_connector(tenant, connector)?;
        Err(not_offered(&connector, "ending"))
    }

    fn whatsapp_connector(&self, tenant: TenantIndex, id: &str) -> Result<Arc<Connector>> {
        let found = match Uuid::parse_str(id.trim()) {
            Ok(id) => self.ports().store.connector_by_id(tenant, id)?,
            Err(_) => None,
        };
        let connector = found
            .filter(|connector| connector.status != ConnectorStatus::Deleted)
            .ok_or_else(|| Error::not_found("Connector"))?;
        if connector.channel != "whatsapp" {
            let channel = connector.channel.to_uppercase();
            let message =
                format!("this connector is of type {channel}; sessions are for connectors of type WHATSAPP only");
            return Err(Error::new(ErrorCode::Unsupported, message));
        }
        Ok(connector)
    }
}

fn not_offered(connector: &Connector, what: &str) -> Error {
    Error::new(ErrorCode::Unsupported, format!("the plugin {} does not offer {what} a session", connector.plugin))
}
