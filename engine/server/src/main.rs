//! The `pombo` binary.
//!
//! Layout
//! - [`cli`], [`config`]: the command line and the configuration.
//! - [`facades`]: the APIs, each named once.
//! - [`serve`]: wires the parts, runs them and ends them in order. [`inspect`], [`openapi`]: other commands.
//! - [`compiled`]: plugins that are compiled ahead of a start.
//! - [`plugin`]: the commands for a plugin's author; a client of a running engine like any other.
//! - [`adapters`]: the domain's ports that need the operating system.
//! - [`http`]: connections and their limits. [`telemetry`]: log lines and metrics.
//! - [`demo`]: accounts and a mailbox for trying things out. [`memory`]: settings of the allocator.

mod adapters;
mod cli;
mod compiled;
mod config;
mod demo;
mod facades;
mod http;
mod inspect;
mod memory;
mod openapi;
mod plugin;
mod serve;
mod shipped;
mod telemetry;

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use cli::{Cli, Command, ConfigArgs};

fn main() -> ExitCode {
    let started = Instant::now();
    let done = match Cli::parse().command {
        Command::Serve(args) => {
            memory::give_back_early();
            serve::run(&args, started).map(|()| ExitCode::SUCCESS)
        }
        Command::Openapi(args) => openapi::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Inspect(args) => inspect::run(&args),
        Command::CompileComponent { arguments } => Ok(pombo_sandbox::compile_component(arguments)),
        Command::Compile(args) => compiled::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Config(args) => show_config(&args).map(|()| ExitCode::SUCCESS),
        Command::Plugin(args) => plugin::run(&args),
    };
    done.unwrap_or_else(|error| {
        eprintln!("pombo: {error:#}");
        ExitCode::from(2)
    })
}

fn show_config(args: &ConfigArgs) -> anyhow::Result<()> {
    match &args.check {
        None => print!("{}", config::DEFAULTS),
        Some(file) => {
            config::load(Some(file), config::environment(), &config::Overrides::default())?;
            println!("{} is valid", file.display());
        }
    }
    Ok(())
}
