//! What a handler fails with.

use std::fmt::Display;

/// Why an event could not be answered. Its text is read by a person when the event is put aside: say what to change.
///
/// Any error becomes one by `?`. It is no `std::error::Error` itself, so that this works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error(String);

impl Error {
    /// An error that says `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// What it says.
    pub fn text(&self) -> &str {
        &self.0
    }

    pub(crate) fn into_text(self) -> String {
        self.0
    }
}

impl Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl<E: std::error::Error> From<E> for Error {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}
