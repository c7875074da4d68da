//! The engine's inspection of components, without an engine: only the sandbox, with its default limits.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use pombo_domain::ports::PluginEngine;
use pombo_sandbox::{Limits, Options, Ports, Sandbox};

use crate::adapters::clock::SystemClock;
use crate::adapters::entropy::OsEntropy;
use crate::compiled;
use crate::shipped;

/// An engine that inspects, and stores what it inspected in a folder.
pub(super) async fn engine(folder: &Path) -> anyhow::Result<Arc<dyn PluginEngine>> {
    let options = Options {
        cache_dir: cache(folder),
        compiled_ahead: compiled::beside_program(),
        operator_dir: None,
        uploads_dir: folder.join("plugins"),
        // The author's own component, on the author's own machine: its compilation needs no bound.
        compile_command: None,
        embedded: vec![shipped::renderer()],
        grants: std::collections::BTreeMap::new(),
        smtp_plain_hosts: Vec::new(),
        http_plain_hosts: Vec::new(),
        authorities: Vec::new(),
        connect_to: std::collections::BTreeMap::new(),
        limits: Limits::default(),
        renderers: 1,
        compiling: pombo_sandbox::Compiling::default(),
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
