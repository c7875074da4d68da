//! A send that writes a great many long lines to the log.

use pombo_plugin::connector::*;

/// The plugin.
#[derive(Debug)]
pub struct Hostile;

impl Connector for Hostile {
    fn describe() -> Description {
        Description::new("hostile-log-flood", env!("CARGO_PKG_VERSION"), "test")
    }

    async fn start(_config: &str) -> Result<Self, RunError> {
        Ok(Self)
    }

    async fn send(&self, _message: Outgoing) -> Outcome {
        let line = "flood ".repeat(20_000);
        for _ in 0..2_000 {
            pombo_plugin::log::error("flood", &line);
        }
        Outcome::accepted(None)
    }
}

pombo_plugin::export_connector!(Hostile);
