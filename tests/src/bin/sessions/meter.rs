//! The processor time and memory of a process, from /proc.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use pombo_tests::server::Server;

/// Processor time that the process has used, all threads.
pub(crate) fn processor_time(pid: u32) -> Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name may hold spaces: count behind it.
    let fields: Vec<&str> = stat.rsplit_once(") ").context("not a stat line")?.1.split(' ').collect();
    let ticks = fields[11].parse::<u64>()? + fields[12].parse::<u64>()?;
    // USER_HZ is 100 on every Linux that we know.
    Ok(Duration::from_millis(ticks * 10))
}

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
