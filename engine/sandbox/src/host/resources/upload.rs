//! A file that a guest is writing.

use std::sync::Arc;

use pombo_domain::ports::MediaWriter;
use tokio::sync::Mutex;

/// The writer, which the call that finishes the file takes out.
pub(crate) type Writing = Arc<Mutex<Option<Box<dyn MediaWriter>>>>;

/// A guest's upload.
#[allow(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct Upload(Writing);

impl Upload {
    pub(crate) fn new(writer: Box<dyn MediaWriter>) -> Self {
        Self(Arc::new(Mutex::new(Some(writer))))
    }

    pub(crate) fn writing(&self) -> Writing {
        self.0.clone()
    }
}
