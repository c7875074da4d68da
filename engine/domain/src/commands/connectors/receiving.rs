//! Requests that a channel makes to a connector: who may make them, and on to the plugin.
//!
//! The right to call is a secret of the connector's own, which is derived and not stored; the connector only has the number of times that
//! it was changed. What is derived from, and how a request shows the secret, is known to the caller of these commands.

use uuid::Uuid;

use crate::commands::Commands;
use crate::model::ConnectorStatus;
use crate::ports::{ReceiveError, ReceivedRequest, ReceivedResponse};
use crate::{ConnectorIndex, Error, ErrorCode, Result, TenantIndex};

/// The feature of a plugin that takes requests of its channel.
pub const RECEIVE: &str = "receive";

/// Maximum size of the body of a request, in bytes.
pub const MAX_RECEIVED_BYTES: usize = 1024 * 1024;

/// After how many milliseconds a request that was not answered is repeated, unless the caller knows better.
const RETRY_MS: u64 = 5_000;

/// How a request names the connector that it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReceiverRef {
    /// By its public id.
    Id(Uuid),
    /// By its number.
    Number(ConnectorIndex),
}

/// How a channel reaches a connector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receiving {
    /// The connector.
    pub connector: Uuid,
    /// The epoch of its secret.
    pub epoch: u32,
    /// What its plugin can do; only with [`RECEIVE`] the connector takes requests.
    pub features: Vec<String>,
}

impl Commands {
    /// How a channel reaches a connector.
    pub fn get_receiving(&self, tenant: TenantIndex, id: Uuid) -> Result<Receiving> {
        let connector = self.live_connector(tenant, id)?;
        let plugin = self.ports().connectors.plugin(&connector.plugin);
        let features = plugin.map(|plugin| plugin.features).unwrap_or_default();
        Ok(Receiving { connector: id, epoch: connector.receive_epoch, features })
    }

    /// Changes the secret with which a channel calls a connector: what was made with the old one is refused from now on.
    pub async fn rotate_receiving(&self, tenant: TenantIndex, id: Uuid) -> Result<Receiving> {
        let change = |connector: &mut crate::model::Connector| {
            connector.receive_epoch = connector.receive_epoch.wrapping_add(1);
        };
        self.change_connector(tenant, id, change).await?;
        self.get_receiving(tenant, id)
    }

    /// Passes a request of a channel to a connector of whichever tenant. `open` gives the request if it was made with the secret of this
    /// connector and epoch, without what proved that. A request that was not, and one for a connector that is not there, are refused
    /// alike.
    pub async fn receive(
        &self,
        named: ReceiverRef,
        open: impl FnOnce(Uuid, u32) -> Option<ReceivedRequest> + Send,
    ) -> Result<ReceivedResponse> {
        let store = &self.ports().store;
        let found = match named {
            ReceiverRef::Id(id) => store.connector_of_any_tenant(id)?,
            ReceiverRef::Number(number) => store.connector(number)?,
        };
        let found = found.filter(|connector| connector.status != ConnectorStatus::Deleted);
        // Also where there is none, so that both take the same time.
        let (id, epoch) = found.as_ref().map_or((Uuid::nil(), 0), |found| (found.id, found.receive_epoch));
        let opened = open(id, epoch);
        let (Some(connector), Some(request)) = (found, opened) else {
            let message = "there is no such connector, or the secret is wrong: it may have been changed since";
            return Err(Error::new(ErrorCode::Unauthenticated, message));
        };
        if !self.plugin_of(&connector)?.offers(RECEIVE) {
            return Err(unsupported(&connector.plugin));
        }
        let answer = self.ports().connectors.receive(connector.index, request).await;
        answer.map_err(|error| match error {
            ReceiveError::Unsupported => unsupported(&connector.plugin),
            ReceiveError::Busy(_) | ReceiveError::Failed(_) => not_now(&error),
        })
    }
}

fn unsupported(plugin: &str) -> Error {
    let message = format!(
        "the plugin {plugin} takes no requests of its channel; send them to a connector whose plugin has the feature {RECEIVE}"
    );
    Error::new(ErrorCode::Unsupported, message)
}

fn not_now(error: &ReceiveError) -> Error {
    let message = format!("the request was not taken; repeat it: {error}");
    Error { retry_after_ms: Some(RETRY_MS), ..Error::new(ErrorCode::Unavailable, message) }
}
