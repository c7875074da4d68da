//! The folder of uploaded components: each a file named by its digest, written whole or not at all. What is in it stays until it is
//! forgotten, and so does its compiled code.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use bytes::Bytes;

const EXTENSION: &str = "wasm";
const UNFINISHED: &str = "checking";

/// The folder of kept components.
#[derive(Debug)]
pub(super) struct Kept {
    folder: PathBuf,
    /// Makes names of files that are being checked.
    next: AtomicU64,
}

/// A component that is being checked. Gone when it is dropped, unless it was kept.
#[derive(Debug)]
pub(super) struct Checked {
    path: PathBuf,
    kept: bool,
}

impl Checked {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Checked {
    fn drop(&mut self) {
        if !self.kept
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::debug!(%error, path = %self.path.display(), "a refused component cannot be removed");
        }
    }
}

/// Whether it is a SHA-256 in lower-case hexadecimal digits, and so a name that leads nowhere else.
pub(super) fn is_digest(digest: &str) -> bool {
    digest.len() == 64 && digest.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

impl Kept {
    /// Opens the folder, and gives the digests of what is in it.
    pub(super) fn open(folder: &Path) -> io::Result<(Self, Vec<String>)> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let mut digests = Vec::new();
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let named = path.file_stem().and_then(|stem| stem.to_str()).filter(|stem| is_digest(stem));
            match (path.extension().and_then(|e| e.to_str()), named) {
                (Some(EXTENSION), Some(digest)) => digests.push(digest.to_owned()),
                // What a crash left.
                (Some(UNFINISHED), _) => fs::remove_file(&path)?,
                _ => {}
            }
        }
        Ok((Self { folder: folder.to_owned(), next: AtomicU64::new(0) }, digests))
    }

    fn path(&self, digest: &str) -> Option<PathBuf> {
        is_digest(digest).then(|| self.folder.join(format!("{digest}.{EXTENSION}")))
    }

    pub(super) fn has(&self, digest: &str) -> bool {
        self.path(digest).is_some_and(|path| path.is_file())
    }

    pub(super) fn read(&self, digest: &str) -> Option<Bytes> {
        fs::read(self.path(digest)?).ok().map(Bytes::from)
    }

    /// Writes a component where it can be looked at, on disk.
    pub(super) fn write(&self, component: &[u8]) -> io::Result<Checked> {
        let name = format!("{}-{}.{UNFINISHED}", std::process::id(), self.next.fetch_add(1, Relaxed));
        let path = self.folder.join(name);
        let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path)?;
        let checked = Checked { path, kept: false };
        file.write_all(component)?;
        file.sync_all()?;
        Ok(checked)
    }

    /// Keeps a checked component, so that it is there after a loss of power.
    pub(super) fn keep(&self, mut checked: Checked, digest: &str) -> io::Result<()> {
        let path = self.path(digest).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        fs::rename(&checked.path, path)?;
        checked.kept = true;
        fs::File::open(&self.folder)?.sync_all()
    }

    pub(super) fn forget(&self, digest: &str) {
        let Some(path) = self.path(digest) else { return };
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(%error, path = %path.display(), "a component that is forgotten cannot be removed");
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_is_there_whole_or_not_at_all() {
        let folder = tempfile::tempdir().expect("a folder");
        let digest = "a".repeat(64);
        let (kept, known) = Kept::open(folder.path()).expect("opens");
        assert!(known.is_empty());
        drop(kept.write(b"refused").expect("written"));
        assert_eq!(fs::read_dir(folder.path()).expect("read").count(), 0);
        let checked = kept.write(b"fine").expect("written");
        assert_eq!(kept.read(&digest), None);
        kept.keep(checked, &digest).expect("kept");
        assert_eq!(kept.read(&digest).as_deref(), Some(&b"fine"[..]));
        fs::write(folder.path().join("1-1.checking"), b"left by a crash").expect("written");
        let (kept, known) = Kept::open(folder.path()).expect("opens again");
        assert_eq!(known, [digest.clone()]);
        assert_eq!(fs::read_dir(folder.path()).expect("read").count(), 1);
        kept.forget(&digest);
        assert!(!kept.has(&digest));
        assert_eq!(kept.read("../../etc/passwd"), None);
    }
}
