//! A plugin's project: `pombo.toml`, the SDK in `.pombo`, and where the component is.
//!
//! `.pombo` belongs only to this program: it is not under version control, and is rewritten whenever it is missing or from
//! another version.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::args::ProjectArgs;
use super::lang::{CarriedFile, Lang};
use super::names::Name;

/// The file that makes a folder a project.
pub(super) const PROJECT_FILE: &str = "pombo.toml";
/// The folder for this program's own files.
pub(super) const OWN_FOLDER: &str = ".pombo";
/// The file that records the version of the SDK next to it.
const STAMP: &str = ".fingerprint";

/// The content of `pombo.toml`.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ProjectFile {
    lang: Lang,
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    out: Option<PathBuf>,
}

/// Why the project cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProjectError {
    #[error(
        "{0} is in no plugin project (no {PROJECT_FILE} there or above): go into one, name it with --project, or make one with \
         `pombo plugin new --lang rust|js|python NAME`"
    )]
    None(PathBuf),
    #[error("{path} is not a project file: {reason}; it needs lang = \"rust\" | \"js\" | \"python\" and name = \"…\"")]
    Malformed { path: PathBuf, reason: String },
    #[error("cannot {what} {path}: {error}")]
    Io { what: &'static str, path: PathBuf, error: io::Error },
}

/// A plugin's project, as its `pombo.toml` describes it.
#[derive(Debug, Clone)]
pub(super) struct Project {
    /// The project's folder, absolute.
    pub(super) root: PathBuf,
    /// The project's language.
    pub(super) lang: Lang,
    /// The project's name. The component's own description decides; this one is for finding the plugin in the engine.
    pub(super) name: String,
    /// Path of the component, absolute.
    pub(super) out: PathBuf,
}

/// The text of a new project's `pombo.toml`.
pub(super) fn project_text(lang: Lang, name: &Name) -> String {
    format!(
        "# A Pombo plugin. See `pombo plugin --help`.\nlang = \"{lang}\"\nname = \"{name}\"\nout = \"{}\"\n",
        lang.default_out()
    )
}

impl Project {
    /// The named project, or the nearest one from the working folder upward.
    pub(super) fn find(args: &ProjectArgs) -> Result<Self, ProjectError> {
        let io = |path: &Path| {
            let path = path.to_owned();
            move |error| ProjectError::Io { what: "enter", path, error }
        };
        if let Some(dir) = &args.project {
            let root = dir.canonicalize().map_err(io(dir))?;
            return if root.join(PROJECT_FILE).is_file() { Self::open(root) } else { Err(ProjectError::None(root)) };
        }
        let here = std::env::current_dir().map_err(io(Path::new(".")))?;
        match here.ancestors().find(|folder| folder.join(PROJECT_FILE).is_file()) {
            Some(root) => Self::open(root.to_owned()),
            None => Err(ProjectError::None(here)),
        }
    }

    /// The project in a folder that has a project file.
    pub(super) fn open(root: PathBuf) -> Result<Self, ProjectError> {
        let path = root.join(PROJECT_FILE);
        let text =
            fs::read_to_string(&path).map_err(|error| ProjectError::Io { what: "read", path: path.clone(), error })?;
        let file: ProjectFile = toml::from_str(&text)
            .map_err(|e| ProjectError::Malformed { path: path.clone(), reason: e.message().to_owned() })?;
        if let Err(e) = file.name.parse::<Name>() {
            return Err(ProjectError::Malformed { path, reason: format!("name: {e}") });
        }
        let out = root.join(file.out.unwrap_or_else(|| file.lang.default_out().into()));
        Ok(Self { root, lang: file.lang, name: file.name, out })
    }

    /// A path in the folder that belongs to this program.
    pub(super) fn own(&self, path: &str) -> PathBuf {
        self.root.join(OWN_FOLDER).join(path)
    }

    /// Writes the SDK if it is missing or from another version of this program; returns whether it did.
    pub(super) fn keep_sdk(&self) -> Result<bool, ProjectError> {
        let folder = self.own(&self.lang.sdk_folder());
        let fingerprint = self.lang.sdk_fingerprint();
        if fs::read_to_string(folder.join(STAMP)).is_ok_and(|stamp| stamp == fingerprint) {
            return Ok(false);
        }
        let had_one = folder.is_dir();
        if had_one {
            remove_old(&folder)?;
        }
        for CarriedFile { path, bytes } in self.lang.sdk() {
            write(&folder.join(path), bytes)?;
        }
        write(&folder.join(STAMP), fingerprint.as_bytes())?;
        Ok(had_one)
    }

    /// The version of the SDK in the project.
    pub(super) fn sdk_stamp(&self) -> String {
        fs::read_to_string(self.own(&self.lang.sdk_folder()).join(STAMP)).unwrap_or_default()
    }
}

/// Removes the old SDK, but not what a package manager installed into it.
fn remove_old(folder: &Path) -> Result<(), ProjectError> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |error| ProjectError::Io { what: "replace", path, error }
    };
    for entry in fs::read_dir(folder).map_err(io(folder))? {
        let entry = entry.map_err(io(folder))?;
        let path = entry.path();
        if entry.file_name() == "node_modules" || entry.file_name() == "target" {
            continue;
        }
        let is_folder = entry.file_type().map_err(io(&path))?.is_dir();
        if is_folder { fs::remove_dir_all(&path) } else { fs::remove_file(&path) }.map_err(io(&path))?;
    }
    Ok(())
}

/// Writes a file, and creates its folder if necessary. A script is made executable.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), ProjectError> {
    let folder = path.parent().map_or(Ok(()), fs::create_dir_all);
    let mode = if bytes.starts_with(b"#!") { 0o755 } else { 0o644 };
    folder
        .and_then(|()| fs::write(path, bytes))
        .and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(mode)))
        .map_err(|error| ProjectError::Io { what: "write", path: path.to_owned(), error })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(text: &str) -> Result<Project, ProjectError> {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join(PROJECT_FILE), text).expect("a file");
        Project::open(folder.path().to_owned())
    }

    #[test]
    fn a_new_projects_file_is_read_again() {
        for lang in [Lang::Rust, Lang::Js, Lang::Python] {
            let name = "acme-orders".parse().expect("a name");
            let project = opened(&project_text(lang, &name)).expect("a project");
            assert_eq!((project.lang, project.name.as_str()), (lang, "acme-orders"));
            assert!(project.out.ends_with(lang.default_out()), "{}", project.out.display());
        }
    }

    #[test]
    fn a_wrong_project_file_says_what_is_wrong() {
        for (text, said) in [
            ("name = \"ab\"", "lang"),
            ("lang = \"cobol\"\nname = \"ab\"", "cobol"),
            ("lang = \"js\"\nname = \"A b\"", "a-b"),
            ("lang = \"js\"\nname = \"ab\"\nlong = 1", "long"),
        ] {
            let error = opened(text).expect_err("must not be taken").to_string();
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn the_sdk_is_written_once_and_again_when_it_is_another() {
        let folder = tempfile::tempdir().expect("a folder");
        let name = "ab".parse().expect("a name");
        fs::write(folder.path().join(PROJECT_FILE), project_text(Lang::Rust, &name)).expect("a file");
        let project = Project::open(folder.path().to_owned()).expect("a project");
        assert!(!project.keep_sdk().expect("written"), "there was none to replace");
        assert!(!project.keep_sdk().expect("kept"), "it is the same");
        let sdk = project.own("sdk-rust");
        fs::write(sdk.join(STAMP), "another").expect("a file");
        fs::write(sdk.join("old.rs"), "").expect("a file");
        assert!(project.keep_sdk().expect("replaced"));
        assert!(!sdk.join("old.rs").exists());
        assert!(sdk.join("Cargo.toml").is_file());
    }

    #[test]
    fn scripts_may_be_run() {
        let folder = tempfile::tempdir().expect("a folder");
        let mode = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            write(&path, bytes).expect("written");
            fs::metadata(path).expect("there").permissions().mode() & 0o777
        };
        assert_eq!((mode("bin/tool", b"#!/bin/sh\n"), mode("text", b"text")), (0o755, 0o644));
    }
}
