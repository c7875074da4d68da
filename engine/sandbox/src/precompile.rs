//! Compiles the plugins that a start needs, all at once: one after the other, the end of each would leave cores idle. What is compiled
//! lies in the cache afterwards, where loading finds it.
//!
//! Runs on the blocking threads of the start. This module must not know what a plugin is good for; whether one fits is found out when
//! it is loaded.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::task::JoinSet;
use wasmtime::Engine;

use crate::cache::{Cache, digest};

/// The plugins that are being compiled for this machine at the moment: what a start waits for. Clones share one list.
#[derive(Debug, Clone, Default)]
pub struct Compiling(Arc<Mutex<BTreeSet<String>>>);

impl Compiling {
    /// Their names, in order.
    pub fn names(&self) -> Vec<String> {
        self.0.lock().iter().cloned().collect()
    }
}

/// Where a component comes from.
pub(crate) enum Origin {
    /// It is in the binary, which carries these bytes.
    Carried(&'static [u8]),
    /// It is a file in the operator's folder.
    File(PathBuf),
}

/// A plugin to compile.
pub(crate) struct Job {
    pub(crate) name: String,
    pub(crate) origin: Origin,
    pub(crate) engine: Engine,
    pub(crate) cache: Cache,
}

/// Compiles those that are not in the cache.
pub(crate) async fn all(jobs: Vec<Job>, compiling: &Compiling) {
    let mut running = JoinSet::new();
    for job in jobs {
        let compiling = compiling.clone();
        running.spawn_blocking(move || job.run(&compiling));
    }
    running.join_all().await;
}

impl Job {
    /// A failure is told when the plugin is loaded, which tries again.
    fn run(self, compiling: &Compiling) {
        let component = match self.origin {
            Origin::Carried(component) => Bytes::from_static(component),
            Origin::File(file) => match std::fs::read(file) {
                Ok(component) => component.into(),
                Err(_) => return,
            },
        };
        let digest = digest(&component);
        if self.cache.has(&digest) {
            return;
        }
        compiling.0.lock().insert(self.name.clone());
        if let Err(error) = self.cache.load(&self.engine, &component, &digest) {
            tracing::debug!(plugin = self.name, error = format!("{error:#}"), "a plugin cannot be compiled");
        }
        compiling.0.lock().remove(&self.name);
    }
}
