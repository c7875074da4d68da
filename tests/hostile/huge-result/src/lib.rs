//! A send whose answer is far larger than any reason.

use pombo_plugin::connector::*;

/// The plugin.
#[derive(Debug)]
pub struct Hostile;

impl Connector for Hostile {
    fn describe() -> Description {
        Description::new("hostile-huge-result", env!("CARGO_PKG_VERSION"), "test")
    }

    async fn start(_config: &str) -> Result<Self, RunError> {
        Ok(Self)
    }

    async fn send(&self, _message: Outgoing) -> Outcome {
        Outcome::rejected("x".repeat(24 << 20))
    }
}

pombo_plugin::export_connector!(Hostile);
