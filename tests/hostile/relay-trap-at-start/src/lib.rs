//! A version of `relay` that traps when it starts.

#[path = "../../relay/src/relay.rs"]
mod relay;

use pombo_plugin::connector::*;

/// The plugin.
#[derive(Debug)]
pub struct Hostile(relay::Relay);

impl Connector for Hostile {
    fn describe() -> Description {
        relay::Relay::describe("2.0.0+trap-at-start")
    }

    async fn start(config: &str) -> Result<Self, RunError> {
        let nothing: Vec<u8> = Vec::new();
        // Always beyond the end.
        match nothing[std::hint::black_box(config.len())] {
            0 => relay::Relay::start(config).map(Self),
            _ => Err(RunError::Failed("there is something in nothing".to_owned())),
        }
    }

    async fn send(&self, message: Outgoing) -> Outcome {
        self.0.send(message).await
    }
}

pombo_plugin::export_connector!(Hostile);
