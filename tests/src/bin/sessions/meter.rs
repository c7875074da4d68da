//! The processor time and memory of a process, from /proc.

use std::time::Instant;

use anyhow::Result;
pub(crate) use pombo_tests::process::processor_time;
use pombo_tests::server::Server;

/// The share of one processor that the engine used while `during` ran.
pub(crate) fn processor_share(server: &Server, during: impl FnOnce() -> Result<()>) -> Result<f64> {
    let pid = server.id()?;
    let (before, start) = (processor_time(pid)?, Instant::now());
    during()?;
    Ok((processor_time(pid)? - before).as_secs_f64() / start.elapsed().as_secs_f64())
}

/// Resident memory in MB.
pub(crate) fn resident_mb(server: &Server) -> Result<f64> {
    Ok(server.memory("VmRSS")? as f64 / 1e6)
}
