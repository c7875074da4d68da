//! The host's side of what connectors and renderers import: one file per interface; `resources/` what a guest holds handles to.
//!
//! Each call asks the instance's grant first, and ends by a deadline. What a guest says is data: cut before it is kept, and
//! never a format, a path or a query.

pub(crate) mod attachment_grants;
mod clock;
mod events;
mod http;
mod kv;
mod log;
pub(crate) mod log_gate;
mod media;
pub(crate) mod network;
mod placeholders;
mod random;
pub(crate) mod resources;
pub(crate) mod route;
pub(crate) mod smtp;
pub(crate) mod tcp;
mod websocket;

use std::sync::Arc;

use wasmtime::component::{Accessor, HasSelf};

use crate::grants::Capability;
use crate::state::{Context, HostState, Services};

/// The interfaces that hold types only, one for each version of the connector world.
impl crate::bindings::types::Host for HostState {}
impl crate::bindings::types_0_1::Host for HostState {}

/// The connector that a call is for, if it may make it, and the host's services.
fn granted<T: Send + 'static>(
    accessor: &Accessor<T, HasSelf<HostState>>,
    capability: Capability,
) -> Result<(Arc<Context>, Arc<Services>), String> {
    accessor.with(|mut access| {
        let state = access.get();
        Ok((state.granted(capability)?, state.services.clone()))
    })
}
