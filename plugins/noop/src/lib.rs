//! A connector that accepts every message at once. The engine does not embed it: benchmarks load it from the plugin folder.

use pombo_plugin::connector::*;

/// The connector, which has nothing to keep.
#[derive(Debug)]
pub struct Noop;

impl Connector for Noop {
    fn describe() -> Description {
        Description {
            display_name: "No-op (benchmarks)".to_owned(),
            features: Feature::names([Feature::Attachments]),
            idempotent_resend: true,
            max_in_flight: 1024,
            ..Description::new("noop", env!("CARGO_PKG_VERSION"), "test")
        }
    }

    fn check_recipient(address: &str) -> Result<String, String> {
        match address.trim() {
            "" => Err("must not be empty".to_owned()),
            address => Ok(address.to_owned()),
        }
    }

    async fn start(_config: &str) -> Result<Self, RunError> {
        Ok(Self)
    }

    async fn send(&self, message: Outgoing) -> Outcome {
        Outcome::accepted(Some(message.client_id))
    }
}

pombo_plugin::export_connector!(Noop);
