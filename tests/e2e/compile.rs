//! `pombo compile`: native code of the plugins, made before the first start.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use anyhow::Result;
use pombo_tests::server::binary;

fn compile(into: &Path, plugins: &Path) -> Result<Output> {
    Ok(Command::new(binary()).arg("compile").arg("--into").arg(into).arg("--plugin-dir").arg(plugins).output()?)
}

#[test]
fn what_it_compiles_others_can_read_and_what_else_lies_there_stays() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (into, plugins) = (folder.path().join("code"), folder.path().join("plugins"));
    fs::create_dir_all(&into)?;
    fs::create_dir_all(&plugins)?;
    let private = into.join("private.txt");
    fs::write(&private, b"not code")?;
    fs::set_permissions(&private, Permissions::from_mode(0o600))?;

    let output = compile(&into, &plugins)?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mode = |path: &Path| -> Result<u32> { Ok(fs::metadata(path)?.permissions().mode() & 0o7777) };
    let code: Vec<_> = fs::read_dir(&into)?
        .map(|entry| Ok(entry?.path()))
        .filter(|path: &Result<_>| path.as_ref().is_ok_and(|path| path.extension().is_some_and(|e| e == "cwasm")))
        .collect::<Result<_>>()?;
    assert!(code.len() > 3, "{code:?}");
    for file in &code {
        assert_eq!(mode(file)?, 0o644, "{}", file.display());
    }
    assert_eq!(mode(&private)?, 0o600);
    assert_eq!(fs::read(&private)?, b"not code");

    // A plugin that cannot be compiled is named, and the exit status says that something is missing.
    fs::write(plugins.join("broken.wasm"), b"not wasm")?;
    let output = compile(&into, &plugins)?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && text.contains("broken.wasm"), "{text}");
    assert!(!text.contains("panicked"), "{text}");
    Ok(())
}
