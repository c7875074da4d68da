//! What there is to say about a connector at a glance: its session and since when, its account (also while it is not connected), and
//! when it last did something. Reads only; nothing here is stored.

use std::sync::Arc;

use uuid::Uuid;

use crate::commands::Commands;
use crate::model::Connector;
use crate::model::health::HealthHour;
use crate::ports::{Account, SessionState};
use crate::{Result, TenantIndex, Timestamp};

/// A connector at a glance.
#[derive(Clone)]
pub struct ConnectorOverview {
    /// The stored connector.
    pub connector: Arc<Connector>,
    /// The state of its session.
    pub session: SessionState,
    /// Since when the session is in this state; `None` where it has not changed since the engine started.
    pub since: Option<Timestamp>,
    /// The account, while it is connected.
    pub account: Option<Account>,
    /// Address of the account that is connected now, or that was connected last.
    pub last_account: Option<String>,
    /// No earlier than this did it last send or receive something, or connect; `None` where nothing is known. What it sent and
    /// received is known to the hour; [`Commands::with_activity`] knows what was said in its conversations to the instant.
    pub last_active_at: Option<Timestamp>,
}

impl Commands {
    /// A connector that is not deleted, at a glance.
    pub fn overview_connector(&self, tenant: TenantIndex, id: Uuid) -> Result<ConnectorOverview> {
        self.overview(self.live_connector(tenant, id)?)
    }

    /// A tenant's connectors at a glance, oldest first, without deleted ones.
    pub fn overview_connectors(&self, tenant: TenantIndex) -> Result<Vec<ConnectorOverview>> {
        let mut connectors = self.ports().store.connectors(Some(tenant))?;
        connectors.sort_by_key(|connector| connector.index);
        connectors.into_iter().map(|connector| self.overview(connector)).collect()
    }

    /// The same with what was last said in the connectors' conversations, groups included.
    pub async fn with_activity(
        &self,
        tenant: TenantIndex,
        mut overviews: Vec<ConnectorOverview>,
    ) -> Result<Vec<ConnectorOverview>> {
        let said = self.ports().store.last_activity(tenant).await?;
        for overview in &mut overviews {
            overview.last_active_at = overview.last_active_at.max(said.get(&overview.connector.index).copied());
        }
        Ok(overviews)
    }

    fn overview(&self, connector: Arc<Connector>) -> Result<ConnectorOverview> {
        let (connectors, index) = (&self.ports().connectors, connector.index);
        let counted = self.ports().store.health_state(index)?;
        let session = connectors.session(index);
        let since = connectors.session_since(index);
        let account = connectors.account(index);
        let last_account = account.as_ref().map(|account| account.address.clone()).or(counted.account);
        let connected = since.filter(|_| session == SessionState::Connected);
        let last_active_at = counted.hours.iter().rev().find(|hour| is_active(hour)).map(beginning).max(connected);
        Ok(ConnectorOverview { connector, session, since, account, last_account, last_active_at })
    }
}

/// Whether the account itself did something or got something in this hour.
fn is_active(hour: &HealthHour) -> bool {
    hour.sent > 0 || hour.delivered > 0 || hour.replies > 0
}

fn beginning(hour: &HealthHour) -> Timestamp {
    Timestamp(hour.hour.saturating_mul(3_600_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_of_refusals_is_no_activity() {
        let hour = HealthHour { hour: 2, failed: 3, ..HealthHour::default() };
        assert!(!is_active(&hour));
        assert!(is_active(&HealthHour { sent: 1, ..hour }));
        assert_eq!(beginning(&hour), Timestamp(7_200_000));
    }
}
