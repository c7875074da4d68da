//! Types of the automation's key/value store.

/// An entry of the automation's key/value store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KvEntry {
    /// The key, at most 512 bytes.
    pub key: String,
    /// The value, at most 1 MiB.
    pub value: String,
}

/// Why the store did not answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KvError {
    /// The store is not granted, see [`super::Wants::kv_bytes`].
    Refused(String),
    /// The engine's storage fails at the moment.
    Unavailable(String),
}

impl std::fmt::Display for KvError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (what, why) = match self {
            Self::Refused(why) => ("refuses", why),
            Self::Unavailable(why) => ("is not available", why),
        };
        f.write_str("the key/value store ")?;
        f.write_str(what)?;
        f.write_str(": ")?;
        f.write_str(why)
    }
}

impl std::error::Error for KvError {}
