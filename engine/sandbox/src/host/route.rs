//! The way to one server, decided before anything is opened.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;

use super::tcp::{self, Unreachable};
use crate::proxy::Proxy;

/// How a connector reaches one server.
pub(crate) enum Route {
    /// At one of these addresses.
    Direct(Vec<SocketAddr>),
    /// By its proxy, which gets the name and the port.
    Proxied(Arc<Proxy>, String, u16),
}

impl Route {
    /// A connection. A route by a proxy never becomes a direct one.
    pub(crate) async fn connect(&self, limit: Duration) -> Result<TcpStream, Unreachable> {
        match self {
            Self::Direct(addresses) => tcp::connect(addresses, limit).await,
            Self::Proxied(proxy, host, port) => proxy.dial(host, *port).await,
        }
    }
}
