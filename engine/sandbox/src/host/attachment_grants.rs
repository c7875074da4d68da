//! Which files a connector may read: those of the messages that it is sending. Written by the tasks that send.
//!
//! Invariant: a plugin reads no other file.

use std::collections::HashMap;

use parking_lot::Mutex;
use pombo_domain::model::Attachment;
use uuid::Uuid;

/// The files of messages in flight, each with the number of messages that have it.
#[derive(Debug, Default)]
pub(crate) struct AttachmentGrants(Mutex<HashMap<Uuid, (Attachment, usize)>>);

impl AttachmentGrants {
    /// Lets the plugin read these files until they are revoked as often as they were granted.
    pub(crate) fn grant(&self, files: &[Attachment]) {
        let mut all = self.0.lock();
        for file in files {
            all.entry(file.id).or_insert_with(|| (file.clone(), 0)).1 += 1;
        }
    }

    /// Ends one grant of each of these files.
    pub(crate) fn revoke(&self, files: &[Attachment]) {
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
