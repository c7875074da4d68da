//! A send that never returns and never yields.

use pombo_plugin::connector::*;

/// The plugin.
#[derive(Debug)]
pub struct Hostile;

impl Connector for Hostile {
    fn describe() -> Description {
        Description::new("hostile-endless-loop", env!("CARGO_PKG_VERSION"), "test")
    }

    async fn start(_config: &str) -> Result<Self, RunError> {
        Ok(Self)
    }

    async fn send(&self, message: Outgoing) -> Outcome {
        let mut turns = message.attempt as u64;
        loop {
            turns = std::hint::black_box(turns.wrapping_add(1));
            if turns == 0 {
                return Outcome::accepted(None);
            }
        }
    }
}

pombo_plugin::export_connector!(Hostile);
