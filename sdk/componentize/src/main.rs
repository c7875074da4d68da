//! `pombo-componentize IN.wasm OUT.wasm`: turns a core module into a component. Writes nothing if the result is unchanged.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

fn run() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [input, output] = &arguments[..] else {
        bail!("usage: pombo-componentize IN.wasm OUT.wasm");
    };
    let module = std::fs::read(input).with_context(|| format!("cannot read {input}"))?;
    let component = pombo_componentize::componentize(&module).with_context(|| input.clone())?;
    if std::fs::read(output).is_ok_and(|old| old == component) {
        return Ok(());
    }
    let output = Path::new(output);
    if let Some(folder) = output.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    }
    // A concurrent reader sees the old file or the new one, never a part of it.
    let partial = output.with_extension("partial");
    std::fs::write(&partial, component).with_context(|| format!("cannot write {}", partial.display()))?;
    std::fs::rename(&partial, output).with_context(|| format!("cannot write {}", output.display()))
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pombo-componentize: {error:#}");
            ExitCode::FAILURE
        }
    }
}
