//! The engine's inspection of components, without an engine: only the sandbox, with its default limits.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use pombo_domain::ports::PluginEngine;
use pombo_sandbox::{Options, Ports, Sandbox};

use crate::adapters::clock::SystemClock;
use crate::adapters::entropy::OsEntropy;
use crate::compiled;
use crate::shipped;

/// An engine that inspects, and stores what it inspected in a folder.
pub(super) async fn engine(folder: &Path) -> anyhow::Result<Arc<dyn PluginEngine>> {
    // It compiles in this process: the component is the author's own, on the author's own machine, and needs no bound.
    let options = Options {
        compiled_ahead: compiled::beside_program(),
        embedded: vec![shipped::renderer()],
        ..compiled::alone(cache(folder), folder.join("plugins"))
    };
    let ports = Ports::offline(Arc::new(SystemClock), Arc::new(OsEntropy));
    let sandbox = Sandbox::open(options, ports).await.context("the inspection cannot start")?;
    Ok(sandbox.plugins())
}

/// The folder for native code from one check to the next; in the folder itself if the user has no cache folder.
fn cache(folder: &Path) -> PathBuf {
    let set = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let place = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")));
    let Some(place) = place.map(|place| place.join("pombo")) else { return folder.join("cache") };
    match std::fs::create_dir_all(&place) {
        Ok(()) => place.join("plugins"),
        Err(_) => folder.join("cache"),
    }
}
