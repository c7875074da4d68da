//! What the builds outside the workspace leave in Cargo's target folder: plugins and hostile guests.

use std::path::{Path, PathBuf};

/// The bytes of a file below the target folder, such as `plugins/noop.wasm`.
#[track_caller]
pub fn built(path: &str) -> Vec<u8> {
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target"), PathBuf::from);
    let file = target.join(path);
    std::fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}; run plugins/build.sh", file.display()))
}
