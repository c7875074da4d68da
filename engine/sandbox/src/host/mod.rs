//! The host's side of what plugins import: one file per interface.
//!
//! Each call asks the instance's grant first, and ends by a deadline. What a guest says is data: cut before it is kept, and
//! never a format, a path or a query.

pub(crate) mod clock;
pub(crate) mod events;
pub(crate) mod http;
pub(crate) mod kv;
pub(crate) mod log;
pub(crate) mod media;
pub(crate) mod network;
pub(crate) mod random;
pub(crate) mod smtp;
pub(crate) mod websocket;

use std::sync::Arc;

use wasmtime::component::{Accessor, HasSelf};

use crate::grants::Capability;
use crate::state::{Context, HostState, Services};

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
