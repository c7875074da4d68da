//! Key files and signatures: Ed25519 over the component's digest.
//!
//! A key file is PKCS #8 in PEM (`BEGIN PRIVATE KEY`), as `openssl genpkey -algorithm ed25519` writes it too. The private key is
//! read only to sign, and never appears in a message.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer, SigningKey};

use super::args::KeygenArgs;

/// The prefix of the signed text, before the digest's hexadecimal digits.
const PURPOSE: &str = "pombo-plugin-v1\n";
/// PKCS #8, version 1, of an Ed25519 key, up to the key's 32 bytes.
const PKCS8_HEAD: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
const BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const END: &str = "-----END PRIVATE KEY-----";

/// Why there is no signature.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyFileError {
    #[error("cannot {what} {path}: {error}")]
    Io { what: &'static str, path: PathBuf, error: io::Error },
    #[error("{0} is not an Ed25519 key in PEM ({BEGIN}): generate one with `pombo plugin keygen`")]
    Malformed(PathBuf),
    #[error("{0} can be read by other users: `chmod 600 {0}` (and generate a new key if somebody may have read it)")]
    Open(PathBuf),
    #[error("{0} exists, and a key file is not overwritten: name another file")]
    Exists(PathBuf),
    #[error("the system's random numbers are not available: {0}")]
    NoRandom(getrandom::Error),
}

/// Generates a key pair; returns what to do with it.
pub(super) fn keygen(args: &KeygenArgs) -> Result<String, KeyFileError> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(KeyFileError::NoRandom)?;
    let key = SigningKey::from_bytes(&seed);
    let io = |error: io::Error| match error.kind() {
        io::ErrorKind::AlreadyExists => KeyFileError::Exists(args.file.clone()),
        _ => KeyFileError::Io { what: "write", path: args.file.clone(), error },
    };
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&args.file).map_err(io)?;
    file.write_all(to_pem(&key).as_bytes()).and_then(|()| file.sync_all()).map_err(io)?;
    let public = public_key(&key);
    let file = args.file.display();
    Ok(format!(
        "The private key is in {file}: keep it secret, and keep a copy.\nThe public key is\n\n  {public}\n\n\
         Register it as a trust root, so that the engine believes what it signs:\n\n  \
         curl -H \"X-API-Key: $POMBO_API_KEY\" -H 'Content-Type: application/json' \\\n       \
         -d '{{\"name\": \"releases\", \"key\": \"{public}\"}}' \"${{POMBO_URL:-http://127.0.0.1:8080}}/v1/trust-roots\"\n\n\
         Sign with it:\n\n  pombo plugin publish --key-file {file}"
    ))
}

/// The signature of the component with this digest, in base64, with the key in a file.
pub(super) fn sign(path: &Path, digest: &str) -> Result<String, KeyFileError> {
    let key = read(path)?;
    Ok(STANDARD.encode(key.sign(format!("{PURPOSE}{digest}").as_bytes()).to_bytes()))
}

fn read(path: &Path) -> Result<SigningKey, KeyFileError> {
    let io = |error| KeyFileError::Io { what: "read", path: path.to_owned(), error };
    let mode = fs::metadata(path).map_err(io)?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(KeyFileError::Open(path.to_owned()));
    }
    let text = fs::read_to_string(path).map_err(io)?;
    of_pem(&text).ok_or_else(|| KeyFileError::Malformed(path.to_owned()))
}

fn public_key(key: &SigningKey) -> String {
    STANDARD.encode(key.verifying_key().as_bytes())
}

fn to_pem(key: &SigningKey) -> String {
    let mut der = PKCS8_HEAD.to_vec();
    der.extend_from_slice(key.as_bytes());
    format!("{BEGIN}\n{}\n{END}\n", STANDARD.encode(der))
}

fn of_pem(text: &str) -> Option<SigningKey> {
    let (_, rest) = text.split_once(BEGIN)?;
    let (body, _) = rest.split_once(END)?;
    let body: String = body.split_whitespace().collect();
    let der = STANDARD.decode(body).ok()?;
    let seed: [u8; 32] = der.strip_prefix(&PKCS8_HEAD)?.try_into().ok()?;
    Some(SigningKey::from_bytes(&seed))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with `openssl genpkey -algorithm ed25519`; its public half by `openssl pkey -pubout`, and the signature by
    /// `openssl pkeyutl -sign -rawin` over the purpose and 64 zeros.
    const OPENSSL: &str = include_str!("signature/openssl.pem");
    const OPENSSL_PUBLIC: &str = include_str!("signature/openssl.pub");
    const OPENSSL_SIGNATURE: &str = include_str!("signature/openssl.sig");

    #[test]
    fn openssl_and_this_program_agree() {
        let key = of_pem(OPENSSL).expect("a key");
        assert_eq!(public_key(&key), OPENSSL_PUBLIC.trim());
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("key.pem");
        fs::write(&path, OPENSSL).expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("permissions");
        assert_eq!(sign(&path, &"0".repeat(64)).expect("a signature"), OPENSSL_SIGNATURE.trim());
    }

    #[test]
    fn a_new_key_is_private_kept_and_never_overwritten() {
        let folder = tempfile::tempdir().expect("a folder");
        let args = KeygenArgs { file: folder.path().join("key.pem") };
        keygen(&args).expect("a key");
        let mode = fs::metadata(&args.file).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let text = fs::read_to_string(&args.file).expect("text");
        assert!(matches!(keygen(&args), Err(KeyFileError::Exists(_))));
        assert_eq!(fs::read_to_string(&args.file).expect("text"), text);
        assert_eq!(sign(&args.file, "d").expect("a signature"), sign(&args.file, "d").expect("a signature"));
        assert_ne!(sign(&args.file, "d").expect("a signature"), sign(&args.file, "e").expect("a signature"));
    }

    #[test]
    fn a_key_that_others_may_read_or_that_is_none_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("key.pem");
        fs::write(&path, OPENSSL).expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("permissions");
        assert!(matches!(sign(&path, "d"), Err(KeyFileError::Open(_))));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("permissions");
        fs::write(&path, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----").expect("a file");
        assert!(matches!(sign(&path, "d"), Err(KeyFileError::Malformed(_))));
    }
}
