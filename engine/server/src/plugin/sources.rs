//! A project's sources: which files they are, and whether they changed since the component was built.
//!
//! Files that tools generate (folders of dependencies and builds, lock files) are not sources, so that a build does not start the
//! next one.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use sha2::{Digest, Sha256};

use super::project::Project;

const MADE_FOLDERS: [&str; 6] = ["target", "node_modules", "dist", "__pycache__", "venv", "coverage"];
const MADE_FILES: [&str; 6] =
    ["Cargo.lock", "package-lock.json", "yarn.lock", "pnpm-lock.yaml", "uv.lock", "poetry.lock"];

/// The state of the sources at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Sources(BTreeMap<PathBuf, (SystemTime, u64)>);

impl Sources {
    /// Looks at all of them. Files that cannot be read are left out, because an editor may be replacing them.
    pub(super) fn of(project: &Project) -> Self {
        let mut found = BTreeMap::new();
        walk(&project.root, &project.out, &mut found);
        Self(found)
    }

    /// Files that are new, changed or deleted since `before`, relative to the project.
    pub(super) fn changed<'a>(&'a self, before: &'a Self, root: &'a Path) -> Vec<&'a Path> {
        let here = self.0.iter().filter(|(path, seen)| before.0.get(*path) != Some(*seen)).map(|(path, _)| path);
        let gone = before.0.keys().filter(|path| !self.0.contains_key(*path));
        here.chain(gone).map(|path| path.strip_prefix(root).unwrap_or(path)).collect()
    }

    /// Identifies these sources, this SDK and this component: stored after a build, compared before the next.
    pub(super) fn fingerprint(&self, project: &Project) -> String {
        let mut hash = Sha256::new();
        let mut add = |path: &Path, at: SystemTime, length: u64| {
            let at = at.duration_since(UNIX_EPOCH).unwrap_or_default();
            hash.update(path.as_os_str().as_encoded_bytes());
            hash.update([0]);
            hash.update(at.as_nanos().to_le_bytes());
            hash.update(length.to_le_bytes());
        };
        for (path, (at, length)) in &self.0 {
            add(path, *at, *length);
        }
        if let Some((at, length)) = stamp(&project.out) {
            add(&project.out, at, length);
        }
        hash.update(project.sdk_stamp());
        hex::encode(hash.finalize())
    }
}

fn walk(folder: &Path, out: &Path, found: &mut BTreeMap<PathBuf, (SystemTime, u64)>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let path = entry.path();
        // Hidden files are the editors' and the tools', but for the compiler's own settings.
        if (name.starts_with('.') && name != ".cargo") || name.ends_with('~') || path == out {
            continue;
        }
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => {
                if !MADE_FOLDERS.contains(&&*name) && !name.ends_with(".egg-info") {
                    walk(&path, out, found);
                }
            }
            Ok(_) if MADE_FILES.contains(&&*name) || name.ends_with(".pyc") || name.ends_with(".swp") => {}
            Ok(_) => {
                if let Some(seen) = stamp(&path) {
                    found.insert(path, seen);
                }
            }
            Err(_) => {}
        }
    }
}

fn stamp(path: &Path) -> Option<(SystemTime, u64)> {
    let seen = fs::metadata(path).ok()?;
    Some((seen.modified().ok()?, seen.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::lang::Lang;

    fn project(root: &Path) -> Project {
        Project { root: root.to_owned(), lang: Lang::Js, name: "a".into(), out: root.join("dist/plugin.wasm") }
    }

    fn put(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, text).expect("a file");
    }

    #[test]
    fn what_tools_make_is_no_source() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        let project = project(root);
        put(root, "src/index.ts", "1");
        let before = Sources::of(&project);
        for made in [
            "dist/plugin.wasm",
            "node_modules/x/y.js",
            ".git/HEAD",
            ".pombo/venv/x",
            "package-lock.json",
            "src/.index.ts.swp",
            "src/index.ts~",
        ] {
            put(root, made, "made");
        }
        assert_eq!(Sources::of(&project), before);
    }

    #[test]
    fn new_changed_and_gone_files_are_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        let project = project(root);
        put(root, "src/kept.ts", "1");
        put(root, "src/gone.ts", "1");
        put(root, "src/changed.ts", "1");
        let before = Sources::of(&project);
        put(root, "src/changed.ts", "longer");
        put(root, "src/new.ts", "1");
        fs::remove_file(root.join("src/gone.ts")).expect("removed");
        let after = Sources::of(&project);
        let changed = after.changed(&before, root);
        assert_eq!(changed, ["src/changed.ts", "src/new.ts", "src/gone.ts"].map(Path::new));
        assert_ne!(after.fingerprint(&project), before.fingerprint(&project));
    }

    #[test]
    fn another_component_in_its_place_is_noticed() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        let project = project(root);
        put(root, "src/index.ts", "1");
        put(root, "dist/plugin.wasm", "one");
        let sources = Sources::of(&project);
        let before = sources.fingerprint(&project);
        assert_eq!(sources.fingerprint(&project), before);
        put(root, "dist/plugin.wasm", "another");
        assert_ne!(sources.fingerprint(&project), before);
    }
}
