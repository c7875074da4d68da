//! A send that traps.

use pombo_plugin::connector::*;

/// The plugin.
#[derive(Debug)]
pub struct Hostile;

impl Connector for Hostile {
    fn describe() -> Description {
        Description::new("hostile-trap", env!("CARGO_PKG_VERSION"), "test")
    }

    async fn start(_config: &str) -> Result<Self, RunError> {
        Ok(Self)
    }

    async fn send(&self, message: Outgoing) -> Outcome {
        let nothing: Vec<Outcome> = Vec::new();
        nothing[std::hint::black_box(message.attempt as usize)].clone()
    }
}

pombo_plugin::export_connector!(Hostile);
