//! A version of `relay` that takes its time.
#![cfg(target_arch = "wasm32")]

#[path = "../../relay/src/relay.rs"]
mod relay;

use std::time::Duration;

use pombo_plugin::clock;
use pombo_plugin::connector::*;

/// The plugin.
#[derive(Debug)]
pub struct Hostile(relay::Relay);

impl Connector for Hostile {
    fn describe() -> Description {
        relay::Relay::describe("2.0.0+slow")
    }

    async fn start(config: &str) -> Result<Self, RunError> {
        relay::Relay::start(config).map(Self)
    }

    async fn send(&self, message: Outgoing) -> Outcome {
        clock::sleep(Duration::from_millis(300)).await;
        self.0.send(message).await
    }
}

pombo_plugin::export_connector!(Hostile);
