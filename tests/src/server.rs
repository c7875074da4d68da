//! The engine under test: the built binary with its own data folder.

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::http::Client;
use crate::process::{Watched, free_port, memory, processor_time, signal, target};
use crate::wait::until;

/// The configuration that most tests use: connectors and webhooks may reach the loopback, and retries come soon.
pub const OPEN: &str = r#"
[http]
max_body_mb = 256
[security]
login_failures_per_account = 100000
login_failures_per_address = 100000
[outbound]
allow = ["127.0.0.1"]
connect_timeout_seconds = 2
[webhooks]
timeout_seconds = 2
retry_seconds = [1, 1, 1, 2]
plain_http = true
[scheduler]
max_attempts = 4
backoff_first_ms = 1000
backoff_max_ms = 2000
breaker_first_ms = 500
breaker_max_ms = 1000
[sandbox]
allow_private = ["127.0.0.1", "localhost"]
smtp_plain_hosts = ["127.0.0.1", "localhost"]
proxy_hosts = ["127.0.0.1"]
"#;

/// How to start an engine.
#[derive(Debug, Clone)]
pub struct Options {
    /// The configuration file's text.
    pub config: String,
    /// Whether to start with `--demo`.
    pub demo: bool,
    /// Additional environment variables.
    pub variables: Vec<(String, String)>,
    /// The folder to use instead of a temporary one: emptied at the start and left at the end.
    pub folder: Option<PathBuf>,
    /// The address that it listens on.
    pub host: IpAddr,
    /// A program with arguments that becomes the engine; empty: the engine itself is started.
    pub wrapper: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            config: OPEN.to_owned(),
            demo: true,
            variables: Vec::new(),
            folder: None,
            host: Ipv4Addr::LOCALHOST.into(),
            wrapper: Vec::new(),
        }
    }
}

impl Options {
    /// [`OPEN`] with additional lines, which replace the same keys of [`OPEN`].
    pub fn with(lines: &str) -> Self {
        let config = merge(OPEN, lines);
        Self { config, ..Self::default() }
    }

    /// Only these lines, without [`OPEN`].
    pub fn only(lines: &str) -> Self {
        Self { config: lines.to_owned(), ..Self::default() }
    }
}

/// A running (or killed, or stopped) engine. Its data folder is removed with it.
#[derive(Debug)]
pub struct Server {
    folder: PathBuf,
    _temporary: Option<TempDir>,
    options: Options,
    port: u16,
    process: Option<Watched>,
    /// How long the last start took, from the call until `/ready` said 200.
    pub started_in: Duration,
    /// The processor time that the last start took, until `/ready` said 200. Other work on the machine does not add to it.
    pub started_with: Duration,
}

/// The path of the built binary.
pub fn binary() -> PathBuf {
    target().join("release/pombo")
}

impl Server {
    /// Starts an engine with an empty data folder and waits until it is ready.
    pub fn start(options: Options) -> Result<Self> {
        let mut server = Self::prepare(options)?;
        server.launch()?;
        Ok(server)
    }

    /// An engine with an empty data folder that is not started yet.
    pub fn prepare(options: Options) -> Result<Self> {
        ensure!(binary().is_file(), "{} is not built: run `make build`", binary().display());
        let (folder, temporary) = match &options.folder {
            Some(folder) => {
                if folder.exists() {
                    std::fs::remove_dir_all(folder)?;
                }
                std::fs::create_dir_all(folder)?;
                (folder.clone(), None)
            }
            None => {
                let temporary = tempfile::Builder::new().prefix("pombo-test-").tempdir()?;
                (temporary.path().to_owned(), Some(temporary))
            }
        };
        std::fs::write(folder.join("config.toml"), &options.config)?;
        Ok(Self {
            folder,
            _temporary: temporary,
            options,
            port: free_port()?,
            process: None,
            started_in: Duration::ZERO,
            started_with: Duration::ZERO,
        })
    }

    /// Starts the engine (again) with its data and waits until it is ready.
    pub fn launch(&mut self) -> Result<()> {
        ensure!(self.process.is_none(), "it runs already");
        let start = Instant::now();
        self.process = Some(Watched::start(&mut self.command()?)?);
        let client = self.client();
        let ready = until("the engine to be ready", Duration::from_secs(120), || {
            if let Some(status) = self.process.as_mut().context("it was not started")?.ended()? {
                bail!("it ended at once: {status}");
            }
            Ok(client.get("/ready").ok().filter(|reply| reply.status == 200))
        });
        if let Err(error) = ready {
            return Err(error.context(format!("its log:\n{}", self.log_end())));
        }
        self.started_in = start.elapsed();
        self.started_with = processor_time(self.id()?)?;
        Ok(())
    }

    /// The command that starts the engine with its log in a file.
    pub fn command(&self) -> Result<Command> {
        let log = File::options().create(true).append(true).open(self.log_path())?;
        let mut command = match self.options.wrapper.split_first() {
            None => Command::new(binary()),
            Some((program, arguments)) => {
                let mut command = Command::new(program);
                command.args(arguments).arg(binary());
                command
            }
        };
        command.arg("serve").arg("--config").arg(self.folder.join("config.toml"));
        command.arg("--data").arg(self.data()).arg("--listen").arg(self.address().to_string());
        if self.options.demo {
            command.arg("--demo");
        }
        // Compiling every plugin again for each server would take longer than the tests. One folder for each set of plugins: a
        // start removes what it does not use.
        let plugins = self.options.config.lines().find(|line| line.starts_with("plugin_dir")).unwrap_or_default();
        let cache = target().join("test-cache").join(&crate::files::sha256(plugins.as_bytes())[..16]);
        command.env("POMBO_SANDBOX__CACHE_DIR", cache);
        for (name, value) in &self.options.variables {
            command.env(name, value);
        }
        command.stdout(Stdio::from(log.try_clone()?)).stderr(Stdio::from(log));
        Ok(command)
    }

    /// The address that it listens on.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::new(self.options.host, self.port)
    }

    /// A client without credentials.
    pub fn client(&self) -> Client {
        Client::new(self.address())
    }

    /// Its data folder.
    pub fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// The folder with its data, configuration and log.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Its process id.
    pub fn id(&self) -> Result<u32> {
        Ok(self.process.as_ref().context("it does not run")?.id())
    }

    /// Its memory in bytes, a field of `/proc/PID/status`.
    pub fn memory(&self, field: &str) -> Result<u64> {
        memory(self.id()?, field)
    }

    /// Kills the engine with -9. [`Self::launch`] starts it again.
    pub fn kill(&mut self) -> Result<()> {
        self.process.take().context("it does not run")?.kill()
    }

    /// Asks the engine to end and waits for its exit status.
    pub fn terminate(&mut self, patience: Duration) -> Result<ExitStatus> {
        self.process.take().context("it does not run")?.terminate(patience)
    }

    /// Sends it SIGTERM without waiting.
    pub fn ask_to_end(&self) -> Result<()> {
        signal(self.id()?, "TERM")
    }

    /// Waits until it has ended by itself.
    pub fn wait_end(&mut self, patience: Duration) -> Result<ExitStatus> {
        let mut process = self.process.take().context("it does not run")?;
        until("the engine to end", patience, || process.ended())
    }

    /// What `--demo` wrote to DATA/demo.json.
    pub fn demo(&self) -> Result<Value> {
        let path = self.data().join("demo.json");
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        Ok(serde_json::from_str(&text)?)
    }

    /// A client with the operator's token.
    pub fn operator(&self) -> Result<Client> {
        let token = if self.options.demo {
            self.demo()?["operator_token"].as_str().context("no operator_token")?.to_owned()
        } else {
            std::fs::read_to_string(self.data().join("operator.token"))?.trim().to_owned()
        };
        Ok(self.client().bearer(&token))
    }

    /// The file of its log and its standard output.
    pub fn log_path(&self) -> PathBuf {
        self.folder.join("pombo.log")
    }

    /// Everything that it logged.
    pub fn log(&self) -> Result<String> {
        Ok(String::from_utf8_lossy(&std::fs::read(self.log_path())?).into_owned())
    }

    /// The last lines of its log, for an error message.
    pub fn log_end(&self) -> String {
        let log = self.log().unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }

    /// The store as text, from `pombo inspect`, which also verifies it. The server must not be running.
    pub fn inspect(&self) -> Result<String> {
        ensure!(self.process.is_none(), "stop it first");
        let output = Command::new(binary()).arg("inspect").arg("--data").arg(self.data()).output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if !output.status.success() {
            let wrong = String::from_utf8_lossy(&output.stderr).into_owned();
            let shown: Vec<&str> = wrong.lines().take(20).collect();
            bail!(
                "the store is not consistent ({}, {} lines):\n{}",
                output.status,
                wrong.lines().count(),
                shown.join("\n")
            );
        }
        Ok(text)
    }
}

/// Joins two configurations by section. If a key is in both, the second line counts. Only for values on one line.
fn merge(first: &str, second: &str) -> String {
    let mut sections: Vec<(String, Vec<String>)> = vec![(String::new(), Vec::new())];
    let mut current = 0;
    for line in first.lines().chain(std::iter::once("[]")).chain(second.lines()) {
        let line = line.trim();
        if line == "[]" {
            current = 0;
        } else if line.starts_with('[') && line.ends_with(']') {
            current = sections.iter().position(|(name, _)| name == line).unwrap_or_else(|| {
                sections.push((line.to_owned(), Vec::new()));
                sections.len() - 1
            });
        } else if let Some((key, _)) = line.split_once('=') {
            let lines = &mut sections[current].1;
            lines.retain(|l| l.split_once('=').is_none_or(|(k, _)| k.trim() != key.trim()));
            lines.push(line.to_owned());
        }
    }
    sections.into_iter().map(|(name, lines)| format!("{name}\n{}\n", lines.join("\n"))).collect()
}

#[cfg(test)]
mod tests {
    use super::merge;

    #[test]
    fn the_second_configuration_wins_by_key() {
        let merged = merge("[a]\nx = 1\ny = 2\n[b]\nz = 3", "[a]\nx = 9\n[c]\nw = []");
        assert_eq!(merged.split_whitespace().collect::<Vec<_>>().join(" "), "[a] y = 2 x = 9 [b] z = 3 [c] w = []");
    }
}
