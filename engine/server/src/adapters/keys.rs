//! The root key: where it comes from, the keys derived from it, and the check that it is the one the data was created with.
//!
//! Invariant: a data folder that has a check value never gets a new key by itself.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use hmac::{Hmac, Mac};
use pombo_domain::ports::Entropy;
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::entropy::OsEntropy;
use crate::config::Security;

const KEY_FILE: &str = "secret.key";
const CHECK_FILE: &str = "secret.check";

/// Why there is no usable key.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyError {
    #[error("{origin} is not a key: it must be 32 bytes, as 64 hex digits or as base64")]
    Malformed { origin: String },
    #[error("cannot read or write {path}: {error}")]
    Io { path: PathBuf, error: std::io::Error },
    #[error(
        "the secret key from {origin} is not the one that this data folder was made with ({check} does not match): \
         configure that one (security.secret_key, security.secret_key_file, POMBO_SECRET_KEY or {key_file})"
    )]
    Wrong { origin: String, check: PathBuf, key_file: PathBuf },
    #[error(
        "the secret key of this data folder is missing: put {key_file} back, or configure the key \
         (security.secret_key_file or POMBO_SECRET_KEY). Without it the stored secrets cannot be opened"
    )]
    Missing { key_file: PathBuf },
}

/// The 32 bytes from which all other keys are derived. No `Debug`.
#[derive(Clone)]
pub(crate) struct RootKey([u8; 32]);

impl From<[u8; 32]> for RootKey {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl RootKey {
    /// The key for one purpose. It reveals nothing about the root key or the key of another purpose.
    pub(crate) fn derive(&self, purpose: &str) -> [u8; 32] {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        mac.update(b"pombo/1/");
        mac.update(purpose.as_bytes());
        mac.finalize().into_bytes().into()
    }

    /// Finds the key by the configuration, or creates `DATA/secret.key` in a folder that never had one, and checks that it
    /// belongs to this data.
    pub(crate) fn open(data: &Path, config: &Security) -> Result<Self, KeyError> {
        let key_file = data.join(KEY_FILE);
        let check = data.join(CHECK_FILE);
        let known = read_optional(&check)?;
        let (key, origin) = if !config.secret_key.is_empty() {
            let origin = "security.secret_key (or POMBO_SECRET_KEY)".to_owned();
            (parse(&config.secret_key, &origin)?, origin)
        } else if !config.secret_key_file.is_empty() {
            let path = PathBuf::from(&config.secret_key_file);
            let text = fs::read_to_string(&path).map_err(|error| KeyError::Io { path: path.clone(), error })?;
            (parse(&text, &path.display().to_string())?, path.display().to_string())
        } else if let Some(text) = read_optional(&key_file)? {
            (parse(&text, &key_file.display().to_string())?, key_file.display().to_string())
        } else if known.is_some() {
            return Err(KeyError::Missing { key_file });
        } else {
            let mut bytes = [0; 32];
            OsEntropy.fill(&mut bytes);
            write_private(&key_file, &format!("{}\n", hex::encode(bytes)))?;
            (Self(bytes), key_file.display().to_string())
        };

        let value = hex::encode(&key.derive("check")[..16]);
        match known {
            Some(text) if bool::from(text.trim().as_bytes().ct_eq(value.as_bytes())) => Ok(key),
            Some(_) => Err(KeyError::Wrong { origin, check, key_file }),
            None => {
                write_private(&check, &format!("{value}\n"))?;
                Ok(key)
            }
        }
    }
}

fn parse(text: &str, origin: &str) -> Result<RootKey, KeyError> {
    use base64::Engine;
    let text = text.trim();
    let bytes = hex::decode(text)
        .ok()
        .filter(|b| b.len() == 32)
        .or_else(|| base64::engine::general_purpose::STANDARD.decode(text).ok())
        .or_else(|| base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text).ok());
    bytes
        .and_then(|b| <[u8; 32]>::try_from(b).ok())
        .map(RootKey)
        .ok_or_else(|| KeyError::Malformed { origin: origin.to_owned() })
}

fn read_optional(path: &Path) -> Result<Option<String>, KeyError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(KeyError::Io { path: path.to_owned(), error }),
    }
}

/// Writes a file that only its owner can read, completely or not at all, and syncs it.
pub(crate) fn write_private(path: &Path, text: &str) -> Result<(), KeyError> {
    let failed = |error| KeyError::Io { path: path.to_owned(), error };
    let temporary = path.with_extension("tmp");
    let mut file =
        fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    fs::rename(&temporary, path).map_err(failed)?;
    if let Some(folder) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
        fs::File::open(folder).and_then(|f| f.sync_all()).map_err(failed)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn security(key: &str) -> Security {
        let mut config = crate::config::load(None, [], &Default::default()).expect("defaults").security;
        key.clone_into(&mut config.secret_key);
        config
    }

    #[test]
    fn the_first_start_makes_a_key_and_later_ones_find_it() {
        let data = tempfile::tempdir().expect("folder");
        let first = RootKey::open(data.path(), &security("")).expect("made");
        let again = RootKey::open(data.path(), &security("")).expect("found");
        assert_eq!(first.derive("jwt"), again.derive("jwt"));
        assert_ne!(first.derive("jwt"), first.derive("secrets"));
        let mode = fs::metadata(data.path().join(KEY_FILE)).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn another_key_and_a_lost_key_are_told_at_once() {
        let data = tempfile::tempdir().expect("folder");
        let key = "ab".repeat(32);
        RootKey::open(data.path(), &security(&key)).expect("made");
        RootKey::open(data.path(), &security(&key)).expect("same key");
        let other = RootKey::open(data.path(), &security(&"cd".repeat(32)));
        assert!(matches!(other, Err(KeyError::Wrong { .. })));
        let none = RootKey::open(data.path(), &security(""));
        assert!(matches!(none, Err(KeyError::Missing { .. })));
        assert!(!data.path().join(KEY_FILE).exists(), "no new key was made");
        let short = RootKey::open(data.path(), &security("abcd"));
        assert!(matches!(short, Err(KeyError::Malformed { .. })));
    }
}
