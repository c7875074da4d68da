//! `pombo plugin`: everything that a plugin's author does, from an empty folder to a running version.
//!
//! Layout
//! - [`args`]: commands and options. [`names`], [`lang`], [`project`], [`template`], [`sources`]: a project and its files.
//! - [`output`]: writes results. [`toolchain`]: each language's own tools. [`check`], [`inspection`]: the engine's inspection on
//!   this machine.
//! - [`engine`]: a running engine's control API, with [`wire`], [`multipart`] and [`sse`] for its forms.
//! - [`publish`], [`consent`], [`signature`], [`dev`], [`logs`], [`replay`] with [`diff`], [`versions`]: the commands that talk
//!   to it.
//!
//! Must not know the store, the scheduler or how the server is wired: of the engine only its HTTP API is used, and the sandbox to
//! inspect components.

pub(crate) mod args;
mod check;
mod consent;
mod dev;
mod diff;
mod engine;
mod inspection;
mod lang;
mod logs;
mod multipart;
mod names;
mod output;
mod project;
mod publish;
mod replay;
mod signature;
mod sources;
mod sse;
mod template;
mod toolchain;
mod versions;
mod wire;

use std::process::ExitCode;

use anyhow::Context;
use args::{PluginArgs, PluginCommand, ProjectArgs};
use output::{path_text, say};
use project::Project;
use toolchain::ToolError;

/// Runs a command to its end.
pub(crate) fn run(args: &PluginArgs) -> anyhow::Result<ExitCode> {
    match command(&args.command) {
        Err(error) if output::nobody_reads(&error) => Ok(ExitCode::SUCCESS),
        done => done,
    }
}

fn command(command: &PluginCommand) -> anyhow::Result<ExitCode> {
    match command {
        PluginCommand::New(args) => told(template::run(args)?),
        PluginCommand::Keygen(args) => told(signature::keygen(args)?),
        PluginCommand::Build(args) => build(args),
        PluginCommand::Test(args) => {
            let status = toolchain::test(&Project::find(&args.project)?, &args.rest)?;
            Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        PluginCommand::Check(args) => wait_for(check::run(args)),
        PluginCommand::Dev(args) => wait_for(dev::run(args)),
        PluginCommand::Publish(args) => wait_for(publish::run(args)),
        PluginCommand::Logs(args) => wait_for(logs::run(args)),
        PluginCommand::Replay(args) => wait_for(replay::run(args)),
        PluginCommand::List(args) => wait_for(versions::list(args)),
        PluginCommand::Rollback(args) => wait_for(versions::rollback(args)),
        PluginCommand::Promote(args) => wait_for(versions::promote(args)),
    }
}

fn told(text: String) -> anyhow::Result<ExitCode> {
    say(text)?;
    Ok(ExitCode::SUCCESS)
}

/// Runs a command that talks to an engine. A negative answer is printed and ends with 1; a command that could not run ends with
/// 2, and the caller prints the error.
fn wait_for(command: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Runtime::new().context("cannot start threads")?;
    or_no(runtime.block_on(command))
}

fn build(args: &ProjectArgs) -> anyhow::Result<ExitCode> {
    let project = Project::find(args)?;
    if let Err(error) = toolchain::build(&project) {
        return or_no(Err(error.into()));
    }
    let size = std::fs::metadata(&project.out).map_or(0, |seen| seen.len());
    say(format_args!("{} ({})", path_text(&project.out), consent::bytes_text(size)))?;
    Ok(ExitCode::SUCCESS)
}

fn or_no(done: anyhow::Result<ExitCode>) -> anyhow::Result<ExitCode> {
    let error = match done {
        Ok(code) => return Ok(code),
        Err(error) => error,
    };
    let is_no = matches!(error.downcast_ref(), Some(engine::EngineError::Refused(_)))
        || error.downcast_ref().is_some_and(ToolError::is_the_sources)
        || error.downcast_ref::<consent::ConsentError>().is_some();
    if !is_no {
        return Err(error);
    }
    eprintln!("pombo: {error:#}");
    Ok(ExitCode::FAILURE)
}

/// The named plugin, or the project's.
fn named(name: Option<&str>, project: &ProjectArgs) -> anyhow::Result<String> {
    match name {
        Some(name) => Ok(name.to_owned()),
        None => Ok(Project::find(project).context("name the plugin, or change into its project's folder")?.name),
    }
}

/// Random bytes from the system.
fn random<const N: usize>() -> anyhow::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|e| anyhow::anyhow!("the system's random numbers are not available: {e}"))?;
    Ok(bytes)
}
