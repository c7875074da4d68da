//! The operator's token: from the configuration, or created at the first start and kept in `DATA/operator.token`.

use std::path::Path;

use pombo_domain::ports::Entropy;
use sha2::{Digest, Sha256};

use super::entropy::OsEntropy;
use super::keys::{KeyError, write_private};
use crate::config::Security;

const FILE: &str = "operator.token";

/// The token. No `Debug`.
pub(crate) struct OperatorToken {
    text: String,
    /// Whether it was just created, so that the operator must be told where it is.
    pub(crate) made: bool,
}

impl OperatorToken {
    /// Finds or creates the token.
    pub(crate) fn open(data: &Path, config: &Security) -> Result<Self, KeyError> {
        if !config.operator_token.is_empty() {
            return Ok(Self { text: config.operator_token.clone(), made: false });
        }
        let path = data.join(FILE);
        match std::fs::read_to_string(&path) {
            Ok(text) if text.trim().len() >= 24 => Ok(Self { text: text.trim().to_owned(), made: false }),
            Ok(_) => Err(KeyError::Io {
                path,
                error: std::io::Error::other(
                    "does not contain a token of at least 24 characters; remove the file to get a new one",
                ),
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let mut random = [0; 32];
                OsEntropy.fill(&mut random);
                let text = format!("op_{}", hex::encode(random));
                write_private(&path, &format!("{text}\n"))?;
                Ok(Self { text, made: true })
            }
            Err(error) => Err(KeyError::Io { path, error }),
        }
    }

    /// The hash that requests are compared with.
    pub(crate) fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.text.as_bytes()).into()
    }

    /// The token itself, for `demo.json`.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}
