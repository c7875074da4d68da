//! Which files a connector may read: those of the messages that it is sending, and those that an operation which it is doing names.
//! Written by the tasks that send and operate.
//!
//! Invariant: a plugin reads no other file.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use pombo_domain::model::Attachment;
use uuid::Uuid;

/// Files that stay readable while this lives.
pub(crate) struct Granted(Arc<AttachmentGrants>, Vec<Attachment>);

impl Drop for Granted {
    fn drop(&mut self) {
        self.0.revoke(&self.1);
    }
}

/// The files of messages and operations in flight, each with the number of those that have it.
#[derive(Debug, Default)]
pub(crate) struct AttachmentGrants(Mutex<HashMap<Uuid, (Attachment, usize)>>);

impl AttachmentGrants {
    /// Lets the plugin read these files while the value lives.
    pub(crate) fn grant(self: &Arc<Self>, files: Vec<Attachment>) -> Granted {
        let mut all = self.0.lock();
        for file in &files {
            all.entry(file.id).or_insert_with(|| (file.clone(), 0)).1 += 1;
        }
        drop(all);
        Granted(self.clone(), files)
    }

    /// Ends one grant of each of these files.
    fn revoke(&self, files: &[Attachment]) {
        let mut all = self.0.lock();
        for file in files {
            if let Some((_, count)) = all.get_mut(&file.id) {
                *count -= 1;
                if *count == 0 {
                    all.remove(&file.id);
                }
            }
        }
    }

    /// The file with this id, if it is granted now.
    pub(crate) fn find(&self, id: &str) -> Option<Attachment> {
        let id = Uuid::parse_str(id).ok()?;
        self.0.lock().get(&id).map(|(file, _)| file.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_readable_while_somebody_has_it() {
        let grants = Arc::new(AttachmentGrants::default());
        let id = Uuid::from_u128(7);
        let file = Attachment { id, file_name: "a".to_owned(), content_type: "image/png".to_owned(), size: 1 };
        let readable = || grants.find(&id.to_string()).is_some();
        assert!(!readable());
        let (message, operation) = (grants.grant(vec![file.clone()]), grants.grant(vec![file]));
        assert!(readable());
        drop(message);
        assert!(readable(), "the operation goes on");
        drop(operation);
        assert!(!readable());
    }
}
