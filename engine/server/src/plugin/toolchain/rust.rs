//! Rust: cargo for wasm32-unknown-unknown, then the encoding of the component, which this binary does itself.
//!
//! Two compilers are supported: the `cargo` on the path with that target installed (usually rustup's), and Debian's packages,
//! with which the standard library is built from source.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use serde::Deserialize;

use super::super::project::Project;
use super::{ToolError, answer, not_started, place, run, status, tool};

const TARGET: &str = "wasm32-unknown-unknown";
const INSTALL_RUST: &str =
    "install Rust from https://rustup.rs, or on Debian `sudo apt-get install rustc-web cargo-web`";
const DEBIAN_LINKER: &str = "/usr/bin/wasm-ld-19";

/// The compiler for guests.
#[derive(Debug, PartialEq, Eq)]
enum Compiler {
    /// The one on the path, with the target installed.
    Installed,
    /// Debian's, with which the standard library is built too.
    Debian,
}

pub(super) fn build(project: &Project) -> Result<(), ToolError> {
    let module = compile(project, &compiler(project)?)?;
    let bytes =
        fs::read(&module).map_err(|error| ToolError::Io { what: format!("read {}", module.display()), error })?;
    let component = pombo_componentize::componentize(&bytes).map_err(|e| ToolError::Result(format!("{e:#}")))?;
    place(&component, &project.out)
}

pub(super) fn test(project: &Project, rest: &[String]) -> Result<ExitStatus, ToolError> {
    status(tool(project, "cargo").arg("test").args(rest), INSTALL_RUST)
}

fn compiler(project: &Project) -> Result<Compiler, ToolError> {
    if has_target(project) {
        return Ok(Compiler::Installed);
    }
    if has_debian_compiler() {
        return Ok(Compiler::Debian);
    }
    if answer(tool(project, "rustup").arg("--version")).is_some() {
        eprintln!("adding rustup's target {TARGET}");
        let added = run(tool(project, "rustup").args(["target", "add", TARGET]), "rustup target add", INSTALL_RUST);
        if added.is_ok() && has_target(project) {
            return Ok(Compiler::Installed);
        }
    }
    Err(ToolError::NoCompiler(format!(
        "there is no Rust compiler for {TARGET}. With rustup: `rustup target add {TARGET}`. On Debian: \
         `sudo apt-get install rustc-web cargo-web rust-web-src lld-19`. Without Rust: {INSTALL_RUST}"
    )))
}

/// Whether the compiler that cargo would use here has the target's libraries.
fn has_target(project: &Project) -> bool {
    answer(tool(project, "rustc").args(["--print", "target-libdir", "--target", TARGET]))
        .is_some_and(|folder| fs::read_dir(folder).is_ok_and(|mut files| files.next().is_some()))
}

fn has_debian_compiler() -> bool {
    Path::new("/usr/bin/cargo").is_file()
        && Path::new(DEBIAN_LINKER).is_file()
        && answer(Command::new("/usr/bin/rustc").args(["--print", "sysroot"]))
            .is_some_and(|root| Path::new(&root).join("lib/rustlib/src/rust/library/std").is_dir())
}

/// A line of cargo's messages.
#[derive(Deserialize)]
struct Message {
    reason: String,
    #[serde(default)]
    manifest_path: PathBuf,
    #[serde(default)]
    filenames: Vec<PathBuf>,
}

/// Compiles; returns the path of the core module.
fn compile(project: &Project, compiler: &Compiler) -> Result<PathBuf, ToolError> {
    let mut cargo = match compiler {
        Compiler::Installed => tool(project, "cargo"),
        Compiler::Debian => tool(project, "/usr/bin/cargo"),
    };
    cargo.args(["build", "--release", "--lib", "--target", TARGET, "--message-format", "json-render-diagnostics"]);
    // Flags that are meant for this machine's processor must not reach the guest.
    cargo.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
    if *compiler == Compiler::Debian {
        cargo.arg("-Zbuild-std=std,panic_abort").args(["--target-dir", "target/debian"]);
        // A stable compiler builds its own standard library only when it is told to take unstable options.
        cargo.env_remove("RUSTUP_TOOLCHAIN").env("RUSTC", "/usr/bin/rustc").env("RUSTC_BOOTSTRAP", "1");
        cargo.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", DEBIAN_LINKER);
    }
    let mut child = cargo.stdout(Stdio::piped()).spawn().map_err(|error| not_started(&cargo, INSTALL_RUST, error))?;
    let mut module = None;
    if let Some(said) = child.stdout.take() {
        for line in BufReader::new(said).lines().map_while(Result::ok) {
            module = module_of(&line, &project.root).or(module);
        }
    }
    let status = child.wait().map_err(|error| ToolError::Io { what: "wait for cargo".to_owned(), error })?;
    if !status.success() {
        return Err(ToolError::Failed { what: "cargo build".to_owned(), status });
    }
    module.ok_or_else(|| {
        ToolError::Result(
            "cargo did not build a WebAssembly module: Cargo.toml needs [lib] with crate-type = [\"cdylib\", \"rlib\"]"
                .to_owned(),
        )
    })
}

/// The project's own module, if this line reports it.
fn module_of(line: &str, root: &Path) -> Option<PathBuf> {
    let message: Message = serde_json::from_str(line).ok()?;
    let ours =
        message.manifest_path.parent().is_some_and(|folder| folder.canonicalize().ok() == root.canonicalize().ok());
    if message.reason != "compiler-artifact" || !ours {
        return None;
    }
    message.filenames.into_iter().find(|file| file.extension().is_some_and(|e| e == "wasm"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_projects_module_is_found_among_cargos_lines() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        let line = |reason: &str, manifest: &Path, file: &str| {
            serde_json::json!({"reason": reason, "manifest_path": manifest, "filenames": ["/t/x.rlib", file]})
                .to_string()
        };
        let ours = root.join("Cargo.toml");
        let theirs = root.join("dependency/Cargo.toml");
        assert_eq!(module_of(&line("compiler-artifact", &ours, "/t/x.wasm"), root), Some("/t/x.wasm".into()));
        assert_eq!(module_of(&line("compiler-artifact", &ours, "/t/x.so"), root), None);
        assert_eq!(module_of(&line("compiler-artifact", &theirs, "/t/x.wasm"), root), None);
        assert_eq!(module_of(&line("build-finished", &ours, "/t/x.wasm"), root), None);
        assert_eq!(module_of("warning: no JSON", root), None);
    }
}
