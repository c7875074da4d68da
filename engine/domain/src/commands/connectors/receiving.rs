//! Requests that a channel makes to a connector: who may make them, and on to the plugin.
//!
//! The right to call is a secret of the connector's own, which is derived and not stored; the connector only has the number of times that
//! it was changed. What is derived from, and how a request shows the secret, is known to the caller of these commands. A plugin may also
//! describe proofs by which its channel shows that a request is its own ([`Proof`]): they are checked with the connector's sealed secrets,
//! by the same caller, and the plugin never sees these.
//!
//! Connectors that share an address get each other's requests, one after the other: see [`Commands::receive`].

use std::sync::Arc;

use serde_json::Value;
use uuid::Uuid;

use crate::commands::Commands;
use crate::commands::connectors::open_secrets;
use crate::model::{Connector, ConnectorStatus};
use crate::ports::{PluginDescription, Proof, ReceiveError, ReceivedRequest, ReceivedResponse};
use crate::{ConnectorIndex, Error, ErrorCode, Result, TenantIndex};

/// The feature of a plugin that takes requests of its channel.
pub const RECEIVE: &str = "receive";

/// Maximum size of the body of a request, in bytes.
pub const MAX_RECEIVED_BYTES: usize = 3 * 1024 * 1024;

/// Connectors beside the addressed one that get a request at a shared address, at most.
const MAX_SHARING: usize = 64;

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

/// What a request must show to be passed to a connector: the secret of this connector and epoch, or one of the proofs.
pub struct Credentials {
    /// The connector.
    pub connector: Uuid,
    /// The epoch of its secret.
    pub epoch: u32,
    /// The proofs that its plugin describes and for which it has secrets, each with its secret.
    pub proofs: Vec<(Proof, String)>,
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

    /// The proofs that the plugin of a connector of whichever tenant describes; none for a connector that is not there.
    pub fn receiving_proofs(&self, named: ReceiverRef) -> Result<Vec<Proof>> {
        let plugin = self.receiver(named)?.and_then(|found| self.ports().connectors.plugin(&found.plugin));
        Ok(plugin.map(|plugin| plugin.proofs).unwrap_or_default())
    }

    /// Passes a request of a channel to a connector of whichever tenant. `open` gives the request if it shows one of these credentials,
    /// without what showed that. A request that does not, and one for a connector that is not there, are refused alike; where the plugin
    /// describes proofs, the refusal is [`unproven`].
    ///
    /// If the plugin describes a shared address, the tenant's other connectors on it with the same value get the request as well, one
    /// after the other. The answer is that of the addressed one. If one of them cannot take it, the channel has to repeat it for all:
    /// each takes again what it has taken before. Only what a paused connector cannot take is let go.
    pub async fn receive(
        &self,
        named: ReceiverRef,
        open: impl FnOnce(&Credentials) -> Option<ReceivedRequest> + Send,
    ) -> Result<ReceivedResponse> {
        let found = self.receiver(named)?;
        let described = found.as_ref().and_then(|found| self.ports().connectors.plugin(&found.plugin));
        let proves = described.as_ref().is_some_and(|plugin| !plugin.proofs.is_empty());
        let opened = open(&self.credentials(found.as_deref(), described.as_ref()));
        let (Some(connector), Some(request)) = (found, opened) else {
            if proves {
                return Err(unproven());
            }
            let message = "there is no such connector, or the secret is wrong: it may have been changed since";
            return Err(Error::new(ErrorCode::Unauthenticated, message));
        };
        let plugin = self.plugin_of(&connector)?;
        if !plugin.offers(RECEIVE) {
            return Err(unsupported(&connector.plugin));
        }
        let others = self.sharing(&connector, plugin.shared_address.as_deref())?;
        let connectors = &self.ports().connectors;
        let refused = |error: ReceiveError| match error {
            ReceiveError::Unsupported => unsupported(&connector.plugin),
            ReceiveError::Busy(_) | ReceiveError::Failed(_) => not_now(&error.to_string()),
        };
        if others.is_empty() {
            return connectors.receive(connector.index, request).await.map_err(refused);
        }
        let answer = connectors.receive(connector.index, request.clone()).await;
        let mut all = answer.as_ref().is_ok_and(|answer| answer.status < 500);
        for other in others {
            let taken = match connectors.receive(other.index, request.clone()).await {
                // Too many requests: it has not taken this one.
                Ok(answer) => answer.status < 500 && answer.status != 429,
                Err(ReceiveError::Unsupported) => true,
                Err(ReceiveError::Busy(_) | ReceiveError::Failed(_)) => false,
            };
            all &= taken || other.status == ConnectorStatus::Paused;
        }
        let answer = answer.map_err(refused)?;
        if all { Ok(answer) } else { Err(not_now("a connector that shares the address could not take it")) }
    }

    /// A connector of whichever tenant that is not deleted.
    fn receiver(&self, named: ReceiverRef) -> Result<Option<Arc<Connector>>> {
        let store = &self.ports().store;
        let found = match named {
            ReceiverRef::Id(id) => store.connector_of_any_tenant(id)?,
            ReceiverRef::Number(number) => store.connector(number)?,
        };
        Ok(found.filter(|connector| connector.status != ConnectorStatus::Deleted))
    }

    /// What opens a connector; something that nothing opens where there is none, so that both take the same time.
    fn credentials(&self, connector: Option<&Connector>, plugin: Option<&PluginDescription>) -> Credentials {
        let (id, epoch) = connector.map_or((Uuid::nil(), 0), |found| (found.id, found.receive_epoch));
        let proofs = plugin.map(|plugin| plugin.proofs.as_slice()).unwrap_or_default();
        let mut secrets = match connector.filter(|_| !proofs.is_empty()) {
            // Secrets that cannot be opened prove nothing; the connector's own one still does.
            Some(connector) => open_secrets(self.ports().secrets.as_ref(), connector).unwrap_or_default(),
            None => Default::default(),
        };
        // An empty secret is known to everybody.
        secrets.retain(|_, secret| !secret.is_empty());
        let with_secret = |proof: &Proof| Some((proof.clone(), secrets.get(proof.secret())?.clone()));
        Credentials { connector: id, epoch, proofs: proofs.iter().filter_map(with_secret).collect() }
    }

    /// The other connectors of the tenant that run the same plugin and have the same value in this field of their configurations.
    fn sharing(&self, connector: &Connector, field: Option<&str>) -> Result<Vec<Arc<Connector>>> {
        let Some((field, value)) = field.and_then(|field| Some((field, value_of(connector, field)?))) else {
            return Ok(Vec::new());
        };
        let mut others = self.ports().store.connectors(Some(connector.tenant))?;
        others.retain(|other| {
            other.index != connector.index
                && other.plugin == connector.plugin
                && value_of(other, field).as_ref() == Some(&value)
        });
        others.sort_by_key(|other| other.index);
        others.truncate(MAX_SHARING);
        Ok(others)
    }
}

/// The value of a top-level field of a connector's configuration, if it has one.
fn value_of(connector: &Connector, field: &str) -> Option<Value> {
    let mut config: Value = serde_json::from_str(&connector.config).ok()?;
    let value = config.get_mut(field)?.take();
    (!value.is_null() && value.as_str() != Some("")).then_some(value)
}

/// The refusal of a request that shows neither the connector's secret nor a proof of its channel's.
pub fn unproven() -> Error {
    let message = "nothing proves that the channel made this request: it has neither the connector's secret nor a proof of the channel's";
    Error::new(ErrorCode::Forbidden, message)
}

fn unsupported(plugin: &str) -> Error {
    let message = format!(
        "the plugin {plugin} takes no requests of its channel; send them to a connector whose plugin has the feature {RECEIVE}"
    );
    Error::new(ErrorCode::Unsupported, message)
}

fn not_now(why: &str) -> Error {
    let message = format!("the request was not taken; repeat it: {why}");
    Error { retry_after_ms: Some(RETRY_MS), ..Error::new(ErrorCode::Unavailable, message) }
}
