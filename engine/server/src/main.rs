//! The `pombo` binary.
//!
//! Layout
//! - [`cli`], [`config`]: what the operator says.
//! - [`serve`]: wires the parts, runs them and ends them in order. [`inspect`], [`openapi`]: the other commands.
//! - [`adapters`]: the domain's ports that need the operating system.
//! - [`http`]: connections and their limits. [`telemetry`]: log lines and metrics.
//! - [`demo`]: accounts and a mailbox to try things with.

mod adapters;
mod cli;
mod config;
mod demo;
mod http;
mod telemetry;

use std::process::ExitCode;

use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let started = std::time::Instant::now();
    let cli = cli::Cli::parse();
    let _ = (started, cli);
    ExitCode::SUCCESS
}
