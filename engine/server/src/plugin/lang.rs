//! The languages for plugins, and the files that the binary carries for each.

use std::fmt;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A file that the binary carries.
#[derive(Debug, Clone, Copy)]
pub(super) struct CarriedFile {
    /// Its path below the folder that it is written into, with `/`.
    pub(super) path: &'static str,
    /// The content, byte by byte as it is written.
    pub(super) bytes: &'static [u8],
}

// RUST_SDK, RUST_TEMPLATE, JS_SDK … : made by the build script of the files in `sdk/`.
include!(concat!(env!("OUT_DIR"), "/carried.rs"));

/// A language that plugins can be written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Lang {
    /// Rust
    Rust,
    /// TypeScript or JavaScript
    Js,
    /// Python
    Python,
}

impl Lang {
    /// The name of the language in `pombo.toml` and after `--lang`.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::Js => "js",
            Self::Python => "python",
        }
    }

    /// The folder of the SDK inside `.pombo`.
    pub(super) fn sdk_folder(self) -> String {
        format!("sdk-{}", self.as_str())
    }

    /// The SDK's files.
    pub(super) fn sdk(self) -> &'static [CarriedFile] {
        match self {
            Self::Rust => RUST_SDK,
            Self::Js => JS_SDK,
            Self::Python => PYTHON_SDK,
        }
    }

    /// The template's files.
    pub(super) fn template(self) -> &'static [CarriedFile] {
        match self {
            Self::Rust => RUST_TEMPLATE,
            Self::Js => JS_TEMPLATE,
            Self::Python => PYTHON_TEMPLATE,
        }
    }

    /// Where the component goes if `pombo.toml` does not say.
    pub(super) fn default_out(self) -> &'static str {
        match self {
            Self::Rust => "target/plugin.wasm",
            Self::Js | Self::Python => "dist/plugin.wasm",
        }
    }

    /// Changes whenever the carried SDK does.
    pub(super) fn sdk_fingerprint(self) -> String {
        let mut hash = Sha256::new();
        for file in self.sdk() {
            hash.update((file.path.len() as u64).to_le_bytes());
            hash.update(file.path);
            hash.update((file.bytes.len() as u64).to_le_bytes());
            hash.update(file.bytes);
        }
        hex::encode(hash.finalize())
    }
}

impl fmt::Display for Lang {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
