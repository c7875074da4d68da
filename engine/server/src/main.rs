//! The `pombo` binary.
//!
//! Layout
//! - [`cli`], [`config`]: what the operator says.
//! - [`adapters`]: the domain's ports that need the operating system.

mod adapters;
mod cli;
mod config;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    use clap::Parser;
    let _ = cli::Cli::parse();
}
