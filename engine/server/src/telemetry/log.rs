//! Log lines to standard error, as text or as JSON with one object per line.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::config::{Log, LogFormat};

/// Libraries that log too much at the engine's level, or that might log data.
const QUIET: &str = "fjall=warn,lsm_tree=warn,wasmtime=warn,cranelift=warn,hyper=warn,h2=warn,reqwest=warn,rustls=warn,\
                     mailin=off,lettre=warn,poem=warn,poem_openapi=warn";

/// Installs it for the process. A second call (tests) changes nothing.
pub(crate) fn install(config: &Log) -> anyhow::Result<()> {
    let filter =
        EnvFilter::try_new(format!("{QUIET},{}", config.level)).map_err(|e| anyhow::anyhow!("log.level: {e}"))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let installed = match config.format {
        LogFormat::Text => builder.with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).with_current_span(false).try_init(),
    };
    drop(installed);
    // A panic's own words may quote what was being handled; where it happened is enough to find it.
    std::panic::set_hook(Box::new(|panic| {
        let location = panic.location().map(ToString::to_string).unwrap_or_default();
        let backtrace = std::backtrace::Backtrace::capture();
        tracing::error!(location, %backtrace, "a defect: a task ended in a panic");
    }));
    Ok(())
}
