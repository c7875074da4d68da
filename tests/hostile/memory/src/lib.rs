//! A send that allocates without end.

use pombo_plugin::connector::*;

/// The plugin.
#[derive(Debug)]
pub struct Hostile;

impl Connector for Hostile {
    fn describe() -> Description {
        Description::new("hostile-memory", env!("CARGO_PKG_VERSION"), "test")
    }

    async fn start(_config: &str) -> Result<Self, RunError> {
        Ok(Self)
    }

    async fn send(&self, _message: Outgoing) -> Outcome {
        let mut kept = Vec::new();
        loop {
            kept.push(std::hint::black_box(vec![1u8; 1 << 20]));
            if kept.len() == 1 << 20 {
                return Outcome::accepted(None);
            }
        }
    }
}

pombo_plugin::export_connector!(Hostile);
