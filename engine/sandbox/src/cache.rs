//! Native code of plugins, kept on disk so that a start does not compile again.
//!
//! Beside that folder there may be one with code that was compiled ahead of the start, e.g. when the program was built; it is only read.
//!
//! A file is named by the component's SHA-256 and by what the engine's settings and version demand of it; anything else is
//! another file. A folder is its owner's alone: code from it is run without being checked.

use std::collections::HashSet;
use std::fs;
use std::hash::{Hash, Hasher};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

const EXTENSION: &str = "cwasm";

/// The folder, as one engine uses it. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Cache {
    dir: Arc<Path>,
    /// Code that was compiled ahead.
    ahead: Option<Arc<Path>>,
    /// What this engine demands of native code.
    compatibility: Arc<str>,
    /// Files that stay: those of plugins that were loaded, and of uploads that are kept. Shared by all engines.
    used: Arc<Mutex<HashSet<PathBuf>>>,
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
    /// Makes `dir` if it is not there. What is in `ahead` is used too; nothing is written there.
    pub(crate) fn open(dir: &Path, ahead: Option<&Path>, engine: &Engine) -> io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        let ahead = ahead.map(Arc::from);
        Ok(Self { dir: dir.into(), ahead, compatibility: compatibility(engine), used: Arc::default() })
    }

    /// The same folder for another engine.
    pub(crate) fn of(&self, engine: &Engine) -> Self {
        Self { compatibility: compatibility(engine), ..self.clone() }
    }

    /// Where the native code of a component is, or would be. It stays when the folder is pruned.
    pub(crate) fn path(&self, digest: &str) -> PathBuf {
        let path = self.dir.join(self.name(digest));
        self.used.lock().insert(path.clone());
        path
    }

    fn name(&self, digest: &str) -> String {
        format!("{digest}-{}.{EXTENSION}", self.compatibility)
    }

    /// Where the native code of a component is, if it is anywhere.
    fn place(&self, digest: &str) -> Option<PathBuf> {
        let ahead = self.ahead.iter().map(|ahead| ahead.join(self.name(digest)));
        std::iter::once(self.path(digest)).chain(ahead).find(|path| is_ours(path))
    }

    /// Whether the native code of a component is there, whether or not it can be used.
    pub(crate) fn has(&self, digest: &str) -> bool {
        self.place(digest).is_some()
    }

    /// Where to write native code before it is put in its place.
    pub(crate) fn partial(path: &Path) -> PathBuf {
        path.with_extension(format!("{}.partial", std::process::id()))
    }

    /// The compiled component: from disk where it is there, else compiled and put there.
    pub(crate) fn load(&self, engine: &Engine, component: &[u8], digest: &str) -> wasmtime::Result<Component> {
        if let Some(component) = self.find(engine, digest) {
            return Ok(component);
        }
        let native = engine.precompile_component(component)?;
        if let Err(error) = self.write(&self.path(digest), &native) {
            tracing::warn!(%error, digest, "compiled code cannot be kept; the next start compiles again");
        }
        // SAFETY: these bytes come from this very engine's compiler.
        unsafe { Component::deserialize(engine, &native) }
    }

    /// The compiled component, where it is there.
    pub(crate) fn find(&self, engine: &Engine, digest: &str) -> Option<Component> {
        match self.read(engine, digest)? {
            Ok(component) => Some(component),
            Err(error) => {
                tracing::warn!(%error, digest, "compiled code is not usable; compiling again");
                None
            }
        }
    }

    /// The compiled component, where it is there, or why it cannot be used.
    pub(crate) fn read(&self, engine: &Engine, digest: &str) -> Option<wasmtime::Result<Component>> {
        let path = self.place(digest)?;
        // SAFETY: the file is one that this engine's own code made, in a folder and with a mode that only its owner can write (our own
        // user, or whoever may also write this program), from this component (its digest is in the name) by an engine with these
        // settings and this version (so is theirs).
        Some(unsafe { Component::deserialize_file(engine, &path) })
    }

    /// Forgets the native code of a component.
    pub(crate) fn forget(&self, digest: &str) {
        let path = self.path(digest);
        self.used.lock().remove(&path);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(%error, path = %path.display(), "compiled code cannot be removed");
            }
            _ => {}
        }
    }

    fn write(&self, path: &Path, native: &[u8]) -> io::Result<()> {
        let partial = Self::partial(path);
        write(&partial, native)?;
        fs::rename(&partial, path)
    }

    /// Removes what no plugin of this start used: code of other versions, and what a crash left half written.
    pub(crate) fn prune(&self) {
        let Ok(entries) = fs::read_dir(&self.dir) else { return };
        let used = self.used.lock();
        for path in entries.flatten().map(|e| e.path()).filter(|p| !used.contains(p)) {
            let ours = path.extension().is_some_and(|e| e == EXTENSION || e == "partial");
            if ours && let Err(error) = fs::remove_file(&path) {
                tracing::debug!(%error, path = %path.display(), "old compiled code cannot be removed");
            }
        }
    }
}

/// Writes native code where only our own user can write.
pub(crate) fn write(path: &Path, native: &[u8]) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(native)?;
    file.sync_all()
}

fn compatibility(engine: &Engine) -> Arc<str> {
    let mut hasher = Stable(Sha256::new());
    engine.precompile_compatibility_hash().hash(&mut hasher);
    hex::encode(&hasher.0.finalize()[..8]).into()
}

/// Whether it is a regular file that belongs to the owner of its folder and that no other user may write.
fn is_ours(path: &Path) -> bool {
    let Ok(file) = fs::symlink_metadata(path) else { return false };
    let owner = path.parent().and_then(|p| fs::metadata(p).ok()).map(|m| m.uid());
    file.is_file() && Some(file.uid()) == owner && file.mode() & 0o022 == 0
}
