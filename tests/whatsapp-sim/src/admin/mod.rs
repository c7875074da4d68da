//! The admin's HTTP: for tests and for people.

use std::sync::Arc;

use tokio::net::TcpListener;

use crate::{Shutdown, world::World};

/// Serves the admin until the shutdown.
pub async fn serve(_listener: TcpListener, _world: Arc<World>, mut shutdown: Shutdown) {
    shutdown.requested().await;
}
