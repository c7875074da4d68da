//! A connector's component, whichever accepted version of the world it was built for: the engine calls this one type, in the types of
//! the newest version.
//!
//! Invariant: what a version cannot express does not reach its components.

use wasmtime::Store;
use wasmtime::component::Accessor;

use crate::bindings::connector::{Connector, ConnectorPre};
use crate::bindings::connector_0_1::{Connector as Connector01, ConnectorPre as ConnectorPre01};
use crate::bindings::types::{
    Answer, Description, Operation, OperationError, Outcome, Outgoing, ReceivedRequest, ReceivedResponse, RunError,
};
use crate::state::HostState;
use crate::worlds::connector_0_1 as v0_1;

/// A component, linked and ready to be instantiated.
#[derive(Clone)]
pub(crate) enum ConnectorGuestPre {
    /// Of the version that the engine speaks.
    Newest(ConnectorPre<HostState>),
    /// Of the version 0.1.0.
    V0_1(ConnectorPre01<HostState>),
}

/// An instance of a component.
pub(crate) enum ConnectorGuest {
    /// Of the version that the engine speaks.
    Newest(Connector),
    /// Of the version 0.1.0.
    V0_1(Connector01),
}

impl ConnectorGuestPre {
    /// Makes an instance in a store.
    pub(crate) async fn instantiate_async(&self, store: &mut Store<HostState>) -> wasmtime::Result<ConnectorGuest> {
        Ok(match self {
            Self::Newest(pre) => ConnectorGuest::Newest(pre.instantiate_async(store).await?),
            Self::V0_1(pre) => ConnectorGuest::V0_1(pre.instantiate_async(store).await?),
        })
    }
}

impl ConnectorGuest {
    /// What the plugin says of itself.
    pub(crate) async fn describe(&self, store: &mut Store<HostState>) -> wasmtime::Result<Description> {
        match self {
            Self::Newest(guest) => guest.call_describe(store).await,
            Self::V0_1(guest) => guest.call_describe(store).await.map(v0_1::description),
        }
    }

    /// One answer for each recipient, in order: its normal form, or what is wrong with it.
    pub(crate) async fn check_recipients(
        &self,
        store: &mut Store<HostState>,
        recipients: &[String],
    ) -> wasmtime::Result<Vec<Result<String, String>>> {
        match self {
            Self::Newest(guest) => guest.call_check_recipients(store, recipients).await,
            Self::V0_1(guest) => guest.call_check_recipients(store, recipients).await,
        }
    }

    /// Runs the connector with its configuration (JSON) until it is stopped.
    pub(crate) async fn run(
        &self,
        accessor: &Accessor<HostState>,
        config: String,
    ) -> wasmtime::Result<Result<(), RunError>> {
        match self {
            Self::Newest(guest) => guest.call_run(accessor, config).await,
            Self::V0_1(guest) => Ok(guest.call_run(accessor, config).await?.map_err(v0_1::run_error)),
        }
    }

    /// Sends a message.
    pub(crate) async fn send(&self, accessor: &Accessor<HostState>, message: Outgoing) -> wasmtime::Result<Outcome> {
        match self {
            Self::Newest(guest) => guest.call_send(accessor, message).await,
            Self::V0_1(guest) => guest.call_send(accessor, v0_1::outgoing(message)).await.map(v0_1::outcome),
        }
    }

    /// Does anything other than sending. What the plugin's version has no operation for is unsupported.
    pub(crate) async fn operate(
        &self,
        accessor: &Accessor<HostState>,
        operation: Operation,
    ) -> wasmtime::Result<Result<Answer, OperationError>> {
        match self {
            Self::Newest(guest) => guest.call_operate(accessor, operation).await,
            Self::V0_1(guest) => match v0_1::operation(operation) {
                Some(operation) => {
                    let said = guest.call_operate(accessor, operation).await?;
                    Ok(said.map(v0_1::answer).map_err(v0_1::operation_error))
                }
                None => Ok(Err(OperationError::Unsupported("its plugin was built for an older world".to_owned()))),
            },
        }
    }

    /// Answers a request of the channel. `None`: the plugin's version has no such requests.
    pub(crate) async fn receive(
        &self,
        accessor: &Accessor<HostState>,
        request: ReceivedRequest,
    ) -> wasmtime::Result<Option<ReceivedResponse>> {
        match self {
            Self::Newest(guest) => guest.call_receive(accessor, request).await.map(Some),
            Self::V0_1(_) => Ok(None),
        }
    }

    /// Asks `run` to return.
    pub(crate) async fn stop(&self, accessor: &Accessor<HostState>) -> wasmtime::Result<()> {
        match self {
            Self::Newest(guest) => guest.call_stop(accessor).await,
            Self::V0_1(guest) => guest.call_stop(accessor).await,
        }
    }
}
