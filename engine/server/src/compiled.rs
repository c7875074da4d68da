//! `pombo compile`: compiles the plugins for this machine ahead of the first start, into a folder that lies beside the program, where a
//! server finds the code.
//!
//! Runs alone, on a runtime of its own; it opens no store and no connector.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use pombo_sandbox::{Compiling, Limits, Options, Ports, Sandbox};

use crate::adapters::clock::SystemClock;
use crate::adapters::entropy::OsEntropy;
use crate::cli::CompileArgs;
use crate::shipped;

/// The folder beside the program for compiled code, whether or not it is there.
fn folder_of_program() -> std::io::Result<PathBuf> {
    let mut name = std::env::current_exe()?.into_os_string();
    name.push(".compiled");
    Ok(name.into())
}

/// The folder with code that was compiled ahead, if there is one that can be trusted as far as the program itself.
pub(crate) fn beside_program() -> Option<PathBuf> {
    let folder = folder_of_program().ok()?;
    let found = fs::symlink_metadata(&folder).ok()?;
    let program = fs::metadata(std::env::current_exe().ok()?).ok()?;
    if found.is_dir() && found.uid() == program.uid() && found.mode() & 0o022 == 0 {
        return Some(folder);
    }
    tracing::warn!(
        folder = %folder.display(),
        "the compiled plugins beside the program are passed over: the folder must belong to the program's owner, and nobody else may be \
         allowed to write there"
    );
    None
}

/// The options of a sandbox without an engine around it: it carries no plugins and may reach nothing.
pub(crate) fn alone(cache_dir: PathBuf, uploads_dir: PathBuf) -> Options {
    Options {
        cache_dir,
        compiled_ahead: None,
        operator_dir: None,
        uploads_dir,
        compile_command: None,
        embedded: Vec::new(),
        grants: BTreeMap::new(),
        smtp_plain_hosts: Vec::new(),
        http_plain_hosts: Vec::new(),
        authorities: Vec::new(),
        connect_to: BTreeMap::new(),
        limits: Limits::default(),
        renderers: 1,
        compiling: Compiling::default(),
    }
}

/// Compiles what the binary carries, and the operator's plugins.
pub(crate) fn run(args: &CompileArgs) -> anyhow::Result<()> {
    let into = match &args.into {
        Some(into) => into.clone(),
        None => folder_of_program().context("this program's path")?,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("the runtime")?;
    runtime.block_on(compile(&into, args.plugin_dir.as_deref()))?;
    make_readable(&into).with_context(|| format!("the folder {}", into.display()))?;
    println!("compiled into {}", into.display());
    Ok(())
}

async fn compile(into: &Path, plugin_dir: Option<&Path>) -> anyhow::Result<()> {
    let uploads = tempfile::tempdir().context("a temporary folder")?;
    let options = Options {
        operator_dir: plugin_dir.map(Into::into),
        embedded: shipped::PLUGINS.to_vec(),
        ..alone(into.to_owned(), uploads.path().to_owned())
    };
    let sandbox = Sandbox::open(options, Ports::offline(Arc::new(SystemClock), Arc::new(OsEntropy))).await?;
    if let Some(refused) = sandbox.refused().first() {
        bail!("{}: {}", refused.file.display(), refused.reason);
    }
    Ok(())
}

/// Lets other users read the code: the server may run as another user than the one that installs it. What else lies in the folder stays as
/// it is.
fn make_readable(folder: &Path) -> std::io::Result<()> {
    for file in fs::read_dir(folder)? {
        let path = file?.path();
        if path.extension().is_some_and(|extension| extension == "cwasm") {
            fs::set_permissions(path, Permissions::from_mode(0o644))?;
        }
    }
    let mode = fs::metadata(folder)?.mode() & 0o7777;
    fs::set_permissions(folder, Permissions::from_mode(mode | 0o055))
}
