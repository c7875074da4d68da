//! Building and testing with each language's own tools, run as child processes.
//!
//! Their output goes to standard error, because standard output is for results.

mod javascript;
mod python;
mod rust;

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use super::lang::Lang;
use super::project::{Project, ProjectError};
use super::sources::Sources;

/// The file in `.pombo` that records what the component was built from.
const BUILT: &str = "built";

/// Why nothing was built or tested.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ToolError {
    #[error("{program} is not installed: {hint}")]
    Missing { program: String, hint: &'static str },
    #[error("{what} failed ({status}); see the messages above")]
    Failed { what: String, status: ExitStatus },
    #[error("{0}")]
    NoCompiler(String),
    #[error("{0}")]
    Result(String),
    #[error("cannot {what}: {error}")]
    Io { what: String, error: io::Error },
    #[error(transparent)]
    Project(#[from] ProjectError),
}

impl ToolError {
    /// Whether the tools worked and the sources have errors.
    pub(super) fn is_the_sources(&self) -> bool {
        matches!(self, Self::Failed { .. } | Self::Result(_))
    }
}

/// Builds the component, even if it is up to date.
pub(super) fn build(project: &Project) -> Result<(), ToolError> {
    if project.keep_sdk()? {
        eprintln!("updated the SDK in {} to this version of pombo", project.own(&project.lang.sdk_folder()).display());
    }
    let sources = Sources::of(project);
    match project.lang {
        Lang::Rust => rust::build(project)?,
        Lang::Js => javascript::build(project)?,
        Lang::Python => python::build(project)?,
    }
    // Only a note for next time: without it the component is built once more than needed.
    let _ = fs::write(project.own(BUILT), sources.fingerprint(project));
    Ok(())
}

/// Builds the component if its sources changed since the last build, or if it does not exist.
pub(super) fn build_when_changed(project: &Project) -> Result<(), ToolError> {
    let current = project.out.is_file()
        && project.sdk_stamp() == project.lang.sdk_fingerprint()
        && fs::read_to_string(project.own(BUILT)).is_ok_and(|built| built == Sources::of(project).fingerprint(project));
    if current {
        return Ok(());
    }
    eprintln!("building {}", project.name);
    build(project)
}

/// Runs the project's tests.
pub(super) fn test(project: &Project, rest: &[String]) -> Result<ExitStatus, ToolError> {
    project.keep_sdk()?;
    match project.lang {
        Lang::Rust => rust::test(project, rest),
        Lang::Js => javascript::test(project, rest),
        Lang::Python => python::test(project, rest),
    }
}

/// A tool to run in the project's folder.
fn tool(project: &Project, program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(&project.root).stdin(Stdio::null());
    command
}

/// Runs a tool to its end; `hint` says how to install it.
fn status(command: &mut Command, hint: &'static str) -> Result<ExitStatus, ToolError> {
    command.stdout(io::stderr()).status().map_err(|error| not_started(command, hint, error))
}

/// Runs a tool that must succeed.
fn run(command: &mut Command, what: &str, hint: &'static str) -> Result<(), ToolError> {
    let status = status(command, hint)?;
    if status.success() { Ok(()) } else { Err(ToolError::Failed { what: what.to_owned(), status }) }
}

/// The output of a tool; `None` if the tool does not exist or fails.
fn answer(command: &mut Command) -> Option<String> {
    let output = command.stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn not_started(command: &Command, hint: &'static str, error: io::Error) -> ToolError {
    let program = command.get_program().to_string_lossy().into_owned();
    match error.kind() {
        io::ErrorKind::NotFound => ToolError::Missing { program, hint },
        _ => ToolError::Io { what: format!("run {program}"), error },
    }
}

/// Puts the component into place: a concurrent reader sees the old or the new one.
fn place(component: &[u8], out: &Path) -> Result<(), ToolError> {
    let io = |error| ToolError::Io { what: format!("write {}", out.display()), error };
    if let Some(folder) = out.parent() {
        fs::create_dir_all(folder).map_err(io)?;
    }
    let partial: PathBuf = out.with_extension("partial");
    fs::write(&partial, component).map_err(io)?;
    fs::rename(&partial, out).map_err(io)
}

/// Checks after a build by another tool that the component exists.
fn expect_component(project: &Project) -> Result<(), ToolError> {
    if project.out.is_file() {
        return Ok(());
    }
    Err(ToolError::Result(format!("the build succeeded but did not write {}", project.out.display())))
}
