//! Hands each message to a server that counts.

mod relay;

use pombo_plugin::connector::*;

/// Tests write another letter over these to have another version of the plugin.
const VERSION: &str = "1.0.0+aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

/// The plugin.
#[derive(Debug)]
pub struct Good(relay::Relay);

impl Connector for Good {
    fn describe() -> Description {
        relay::Relay::describe(VERSION)
    }

    async fn start(config: &str) -> Result<Self, RunError> {
        relay::Relay::start(config).map(Self)
    }

    async fn send(&self, message: Outgoing) -> Outcome {
        self.0.send(message).await
    }
}

pombo_plugin::export_connector!(Good);
