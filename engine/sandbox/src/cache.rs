//! Native code of plugins, kept on disk so that a start does not compile again.
//!
//! A file is named by the component's SHA-256 and by what the engine's settings and version demand of it; anything else is
//! another file. The folder is the owner's alone: code from it is run without being checked.

use std::collections::HashSet;
use std::fs;
use std::hash::{Hash, Hasher};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

const EXTENSION: &str = "cwasm";

/// The folder.
#[derive(Debug)]
pub(crate) struct Cache {
    dir: PathBuf,
    /// What this engine demands of native code.
    compatibility: String,
    used: HashSet<PathBuf>,
}

/// SHA-256 in place of a hash table's function, whose values may change with the compiler.
struct Stable(Sha256);

impl Hasher for Stable {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }
    fn finish(&self) -> u64 {
        0
    }
}

/// The SHA-256 of a component, hex.
pub(crate) fn digest(component: &[u8]) -> String {
    hex::encode(Sha256::digest(component))
}

impl Cache {
    pub(crate) fn open(dir: &Path, engine: &Engine) -> io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        let mut hasher = Stable(Sha256::new());
        engine.precompile_compatibility_hash().hash(&mut hasher);
        let compatibility = hex::encode(&hasher.0.finalize()[..8]);
        Ok(Self { dir: dir.to_owned(), compatibility, used: HashSet::new() })
    }

    /// The compiled component: from disk where it is there, else compiled and put there.
    pub(crate) fn load(&mut self, engine: &Engine, component: &[u8], digest: &str) -> wasmtime::Result<Component> {
        let path = self.dir.join(format!("{digest}-{}.{EXTENSION}", self.compatibility));
        self.used.insert(path.clone());
        if is_ours(&path) {
            // SAFETY: the file is one that `write` made, in a folder and with a mode that only our own user can write, from
            // this component (its digest is in the name) by an engine with these settings and this version (so is theirs).
            match unsafe { Component::deserialize_file(engine, &path) } {
                Ok(component) => return Ok(component),
                Err(error) => {
                    tracing::warn!(%error, path = %path.display(), "compiled code is not usable; compiling again")
                }
            }
        }
        let native = engine.precompile_component(component)?;
        if let Err(error) = self.write(&path, &native) {
            tracing::warn!(%error, path = %path.display(), "compiled code cannot be kept; the next start compiles again");
        }
        // SAFETY: these bytes come from this very engine's compiler.
        unsafe { Component::deserialize(engine, &native) }
    }

    fn write(&self, path: &Path, native: &[u8]) -> io::Result<()> {
        let partial = path.with_extension(format!("{}.partial", std::process::id()));
        let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&partial)?;
        file.write_all(native)?;
        file.sync_all()?;
        fs::rename(&partial, path)
    }

    /// Removes what no plugin of this start used: code of other versions, and what a crash left half written.
    pub(crate) fn prune(&self) {
        let Ok(entries) = fs::read_dir(&self.dir) else { return };
        for path in entries.flatten().map(|e| e.path()).filter(|p| !self.used.contains(p)) {
            let ours = path.extension().is_some_and(|e| e == EXTENSION || e == "partial");
            if ours && let Err(error) = fs::remove_file(&path) {
                tracing::debug!(%error, path = %path.display(), "old compiled code cannot be removed");
            }
        }
    }
}

/// Whether the file is there, is a file, belongs to who owns its folder, and nobody else may write it.
fn is_ours(path: &Path) -> bool {
    let Ok(file) = fs::symlink_metadata(path) else { return false };
    let owner = path.parent().and_then(|p| fs::metadata(p).ok()).map(|m| m.uid());
    file.is_file() && Some(file.uid()) == owner && file.mode() & 0o022 == 0
}
