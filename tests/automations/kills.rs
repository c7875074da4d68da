//! kill -9 while messages come and go in two hundred conversations. POMBO_KILLS=300 does what `make soak` does.

use anyhow::Result;
use pombo_tests::kills::{kills, run};

#[test]
fn conversations_and_webhooks_survive_kills() -> Result<()> {
    run(kills(12)?)
}
