//! Waiting for what another process does, where nothing but looking again can tell.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// How long a test waits for something that normally takes well under a second. Generous, for a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Looks every 20 ms until `look` finds something, or fails after `patience` saying `what` was awaited. An error of `look`
/// ends the wait at once.
pub fn until<T>(what: &str, patience: Duration, mut look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let start = Instant::now();
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        if start.elapsed() > patience {
            bail!("waited {} s in vain for {what}", patience.as_secs());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
