//! A version of `relay` that ends with an error when it starts.

#[path = "../../relay/src/relay.rs"]
mod relay;

use pombo_plugin::connector::*;

/// The plugin.
#[derive(Debug)]
pub struct Hostile(relay::Relay);

impl Connector for Hostile {
    fn describe() -> Description {
        relay::Relay::describe("2.0.0+error-at-start")
    }

    async fn start(config: &str) -> Result<Self, RunError> {
        let unused = Self(relay::Relay::start(config)?);
        Err(RunError::Config(format!("host: nothing is good enough for {unused:?}")))
    }

    async fn send(&self, message: Outgoing) -> Outcome {
        self.0.send(message).await
    }
}

pombo_plugin::export_connector!(Hostile);
