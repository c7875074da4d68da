//! Processes that a test starts. They end with the test: when their handle is dropped, and also when the test process dies.

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::wait::until;

/// The repository's root.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests' crate stands in the repository")
}

/// Cargo's target folder.
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// A port of 127.0.0.1 that was free a moment ago.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// Sends a signal (`TERM`, `KILL`, `STOP`, `CONT`).
pub fn signal(pid: u32, name: &str) -> Result<()> {
    let status = Command::new("sh").arg("-c").arg(format!("kill -{name} {pid}")).status()?;
    if !status.success() {
        bail!("could not send SIG{name} to process {pid}");
    }
    Ok(())
}

/// A tool of the tests. It runs until its standard input ends, and so ends when the test process does.
#[derive(Debug)]
pub struct Tool {
    name: String,
    child: Child,
    stdin: Option<ChildStdin>,
}

impl Tool {
    /// Starts the process.
    pub fn start(name: &str, command: &mut Command) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .spawn()
            .with_context(|| format!("{name} does not start; `tests/setup.sh test bench` installs what it needs"))?;
        let stdin = child.stdin.take();
        Ok(Self { name: name.to_owned(), child, stdin })
    }

    /// Fails if the process has ended.
    pub fn check(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            Some(status) => bail!("{} ended: {status}", self.name),
            None => Ok(()),
        }
    }

    /// Waits for a file that the process writes (in one step) when it is ready, and reads it.
    pub fn ready_file(&mut self, path: &Path) -> Result<String> {
        let what = format!("{} to write {}", self.name, path.display());
        until(&what, Duration::from_secs(60), || {
            self.check()?;
            Ok(std::fs::read_to_string(path).ok())
        })
    }

    /// Writes a line to its standard input.
    pub fn write_line(&mut self, line: &str) -> Result<()> {
        let stdin = self.stdin.as_mut().with_context(|| format!("{} reads nothing", self.name))?;
        writeln!(stdin, "{line}").with_context(|| format!("{} does not listen", self.name))
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its standard output, where the command pipes it.
    pub fn stdout(&mut self) -> Option<impl Read + use<>> {
        self.child.stdout.take()
    }
}

impl Drop for Tool {
    fn drop(&mut self) {
        drop(self.stdin.take());
        // It may have hung on purpose: after a while it is no longer asked.
        let ended = until(&self.name, Duration::from_secs(15), || Ok(self.child.try_wait()?));
        if ended.is_err() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// A process that knows nothing of tests (the engine, Redis), with a small shell that kills it when the test dies.
#[derive(Debug)]
pub struct Watched {
    child: Child,
    guard: Child,
}

impl Watched {
    /// Starts the process.
    pub fn start(command: &mut Command) -> Result<Self> {
        let program = command.get_program().to_owned();
        let mut child =
            command.stdin(Stdio::null()).spawn().with_context(|| format!("cannot start {}", show(&program)))?;
        let guard = Command::new("sh")
            .arg("-c")
            // Its standard input ends when the test's process does, however that comes.
            .arg(format!("read -r _; kill -9 {} 2>/dev/null", child.id()))
            .stdin(Stdio::piped())
            .spawn();
        match guard {
            Ok(guard) => Ok(Self { child, guard }),
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                Err(error).context("cannot start the guard")
            }
        }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The exit status, if the process has ended.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Kills the process (-9) and waits until it is gone.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Asks the process to end (TERM) and waits for its exit status.
    pub fn terminate(&mut self, patience: Duration) -> Result<ExitStatus> {
        signal(self.id(), "TERM")?;
        until("the process to end after SIGTERM", patience, || self.ended())
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        // The guard first: once the process is gone, its number may be another's.
        let _ = self.guard.kill();
        let _ = self.guard.wait();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn show(program: &OsStr) -> String {
    program.to_string_lossy().into_owned()
}

/// A figure of `/proc/PID/status` in bytes: `VmRSS` now, `VmHWM` at its highest.
pub fn memory(pid: u32, field: &str) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line =
        status.lines().find(|line| line.starts_with(&format!("{field}:"))).with_context(|| format!("no {field}"))?;
    let kib: u64 = line.split_whitespace().nth(1).context("no number")?.parse()?;
    Ok(kib * 1024)
}

/// The processor time that a process has used, all threads.
pub fn processor_time(pid: u32) -> Result<Duration> {
    /// Of the figures in /proc, on every Linux that we know.
    const TICKS_PER_SECOND: u64 = 100;
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // What follows its name, which may hold anything.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |place: usize| -> Result<u64> { Ok(fields.get(place).context("no processor time")?.parse()?) };
    Ok(Duration::from_millis((ticks(11)? + ticks(12)?) * 1000 / TICKS_PER_SECOND))
}
