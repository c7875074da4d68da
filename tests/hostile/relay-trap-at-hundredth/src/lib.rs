//! A version of `relay` that traps at its hundredth send.

#[path = "../../relay/src/relay.rs"]
mod relay;

use std::cell::Cell;

use pombo_plugin::connector::*;

/// The plugin.
#[derive(Debug)]
pub struct Hostile(relay::Relay, Cell<usize>);

impl Connector for Hostile {
    fn describe() -> Description {
        relay::Relay::describe("2.0.0+trap-at-hundredth")
    }

    async fn start(config: &str) -> Result<Self, RunError> {
        Ok(Self(relay::Relay::start(config)?, Cell::new(0)))
    }

    async fn send(&self, message: Outgoing) -> Outcome {
        let sends = self.1.get() + 1;
        self.1.set(sends);
        let so_many = [(); 99];
        // Beyond the end at the hundredth.
        let () = so_many[std::hint::black_box(sends) - 1];
        self.0.send(message).await
    }
}

pombo_plugin::export_connector!(Hostile);
