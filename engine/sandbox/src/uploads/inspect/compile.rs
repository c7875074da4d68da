//! Compiling what was uploaded: by a child process that cannot take more time and memory than it is given, a few at once.
//!
//! The child is this engine's own program (see [`crate::Options::compile_command`]); what it writes is trusted like what this
//! process compiles itself. Where there is none, a thread compiles: then the deadline ends the waiting, not the work, and the work
//! keeps its turn until it is over.

use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use pombo_domain::model::PluginKind;
use rustix::process::{Resource, Rlimit, Signal, set_parent_process_death_signal, setpriority_process, setrlimit};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::cache;
use crate::engine::compiling;
use crate::limits::{UploadLimits, cut};

/// The child's exit code when the component is at fault; its standard error says why.
const UNFIT: u8 = 3;
/// How much nicer than the engine the child is.
const NICE: i32 = 10;
/// How often it is looked after.
const LOOK: Duration = Duration::from_millis(10);

/// Why there is no compiled code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failed {
    /// The component is at fault; says what to change.
    Unfit(String),
    /// The engine is at fault; says why.
    Engine(String),
}

/// Compiles a few components at once.
pub(crate) struct Compiler {
    command: Option<Vec<OsString>>,
    limits: UploadLimits,
    turns: Arc<Semaphore>,
}

/// One component to compile.
#[derive(Debug, Clone)]
pub(crate) struct Work {
    pub(crate) kind: PluginKind,
    /// The component's file.
    pub(crate) from: PathBuf,
    /// Where the native code belongs.
    pub(crate) to: PathBuf,
}

impl Compiler {
    pub(crate) fn new(command: Option<Vec<OsString>>, limits: UploadLimits) -> Self {
        let turns = Arc::new(Semaphore::new(limits.compiles_at_once.max(1)));
        Self { command: command.filter(|words| !words.is_empty()), limits, turns }
    }

    /// Waits for its turn and compiles.
    pub(crate) async fn compile(&self, work: Work) -> Result<(), Failed> {
        let Ok(turn) = self.turns.clone().acquire_owned().await else {
            return Err(Failed::Engine("it is ending".to_owned()));
        };
        let (limits, command) = (self.limits.clone(), self.command.clone());
        let deadline = limits.compile_time;
        let compiling = tokio::task::spawn_blocking(move || match command {
            Some(command) => by_child(&command, &work, &limits, turn),
            None => here(&work, turn),
        });
        match tokio::time::timeout(deadline + Duration::from_secs(5), compiling).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(Failed::Engine("its compilation was interrupted".to_owned())),
            Err(_) => Err(too_long(deadline)),
        }
    }
}

fn too_long(limit: Duration) -> Failed {
    Failed::Unfit(format!(
        "it takes longer than {} seconds to compile; make it smaller, or split its largest functions",
        limit.as_secs().max(1)
    ))
}

fn here(work: &Work, _turn: OwnedSemaphorePermit) -> Result<(), Failed> {
    let partial = cache::Cache::partial(&work.to);
    compiled(work.kind, &work.from, &partial)?;
    std::fs::rename(&partial, &work.to).map_err(|error| Failed::Engine(error.to_string()))
}

/// Compiles a file into another one.
fn compiled(kind: PluginKind, from: &Path, to: &Path) -> Result<(), Failed> {
    let component = std::fs::read(from).map_err(|error| Failed::Engine(error.to_string()))?;
    let engine = compiling(kind).map_err(|error| Failed::Engine(format!("{error:#}")))?;
    let native = engine.precompile_component(&component).map_err(|error| {
        Failed::Unfit(format!("it is not a component that this engine can run: {}", cut(&format!("{error:#}"), 500)))
    })?;
    cache::write(to, &native).map_err(|error| Failed::Engine(error.to_string()))
}

/// Kills the child when the waiting is broken off.
struct Child(std::process::Child);

impl Drop for Child {
    fn drop(&mut self) {
        // Both fail only when it has ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn by_child(
    command: &[OsString],
    work: &Work,
    limits: &UploadLimits,
    _turn: OwnedSemaphorePermit,
) -> Result<(), Failed> {
    let engine = |error: std::io::Error| Failed::Engine(format!("the compiler does not start: {error}"));
    let (program, first) = command.split_first().ok_or_else(|| Failed::Engine("there is no compiler".to_owned()))?;
    let partial = cache::Cache::partial(&work.to);
    let child = Command::new(program)
        .args(first)
        .arg(work.kind.as_str())
        .arg(&work.from)
        .arg(&partial)
        .arg(limits.compile_cpu.as_secs().max(1).to_string())
        .arg(limits.compile_memory.to_string())
        // It needs nothing of what the engine was told, secrets least of all.
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(engine)?;
    let mut child = Child(child);
    let begun = Instant::now();
    let status = loop {
        match child.0.try_wait().map_err(engine)? {
            Some(status) => break status,
            None if begun.elapsed() > limits.compile_time => {
                drop(child);
                discard(&partial);
                return Err(too_long(limits.compile_time));
            }
            None => std::thread::sleep(LOOK),
        }
    };
    if status.success() {
        return std::fs::rename(&partial, &work.to).map_err(|error| Failed::Engine(error.to_string()));
    }
    discard(&partial);
    let mut said = String::new();
    if let Some(stderr) = child.0.stderr.take() {
        // What it wrote before it ended; an incomplete text does no harm.
        let _ = stderr.take(4096).read_to_string(&mut said);
    }
    match status.code() {
        Some(code) if code == i32::from(UNFIT) => Err(Failed::Unfit(cut(said.trim(), 600))),
        Some(code) if code != 101 && code != 134 => {
            Err(Failed::Engine(format!("the compiler ended with {code}: {}", cut(said.trim(), 300))))
        }
        // Ended by a signal: one of its limits, or an allocation that failed.
        _ => Err(Failed::Unfit(format!(
            "it takes more than {} seconds of processor time or {} MiB of memory to compile; make it smaller, or split its largest functions",
            limits.compile_cpu.as_secs(),
            limits.compile_memory >> 20
        ))),
    }
}

fn discard(partial: &Path) {
    match std::fs::remove_file(partial) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            tracing::debug!(%error, path = %partial.display(), "half-written code cannot be removed");
        }
        _ => {}
    }
}

/// The child's side: `KIND FROM TO SECONDS BYTES`. Limits itself, compiles one component, and ends.
pub fn compile_component(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let number = |text: &OsStr| text.to_str().and_then(|text| text.parse::<u64>().ok());
    let [kind, from, to, seconds, bytes] = &arguments[..] else {
        eprintln!("usage: KIND FROM TO SECONDS BYTES");
        return ExitCode::from(2);
    };
    let kind = [PluginKind::Automation, PluginKind::Connector].into_iter().find(|k| kind == k.as_str());
    let (Some(kind), Some(seconds), Some(bytes)) = (kind, number(seconds), number(bytes)) else {
        eprintln!("usage: KIND FROM TO SECONDS BYTES");
        return ExitCode::from(2);
    };
    let limit = |resource, most| setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) });
    let limited = limit(Resource::Cpu, seconds)
        .and_then(|()| limit(Resource::As, bytes))
        .and_then(|()| limit(Resource::Core, 0))
        .and_then(|()| set_parent_process_death_signal(Some(Signal::KILL)));
    if let Err(error) = limited {
        eprintln!("it cannot be limited: {error}");
        return ExitCode::from(2);
    }
    // Where it is not allowed, it competes with the engine for the processor, and its time is bounded all the same.
    let _ = setpriority_process(None, NICE);
    match compiled(kind, Path::new(from), Path::new(to)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failed::Unfit(why)) => {
            eprintln!("{why}");
            ExitCode::from(UNFIT)
        }
        Err(Failed::Engine(why)) => {
            eprintln!("{why}");
            ExitCode::from(2)
        }
    }
}
