//! The invariants of files that were stored ahead of their messages: each has its key by expiry, and the counts are those of the rows.

use std::collections::{BTreeMap, BTreeSet};

use pombo_domain::TenantIndex;
use pombo_domain::model::FileUse;
use pombo_domain::ports::StoreResult;

use super::Problems;
use crate::DiskStore;
use crate::codec::bad_key;
use crate::keys;
use crate::tables::media_files;

impl DiskStore {
    pub(super) fn verify_files(&self, problems: &mut Problems) -> StoreResult<()> {
        let mut expected = BTreeSet::new();
        let mut counted: BTreeMap<TenantIndex, FileUse> = BTreeMap::new();
        for row in self.documents(keys::MEDIA_FILE) {
            let (key, row) = row?;
            let file = media_files::parse(&row)?;
            let id = file.attachment.id;
            if key != keys::owned(keys::MEDIA_FILE, file.tenant, id).bytes() {
                problems.add(|| format!("stored file {id}: under another's key"));
            }
            expected.insert(media_files::expiry_key(&file));
            if !file.used {
                let used = counted.entry(file.tenant).or_default();
                *used = used.with(file.attachment.size);
            }
        }
        for row in self.documents(keys::MEDIA_EXPIRY) {
            let (key, _) = row?;
            if !expected.remove(&key) {
                problems.add(|| format!("expiry {key:?} of no stored file"));
            }
        }
        for key in expected {
            problems.add(|| format!("expiry {key:?} is missing"));
        }
        for row in self.documents(keys::MEDIA_USE) {
            let (key, row) = row?;
            let tenant = keys::parse_tenant(&key).ok_or_else(|| bad_key("stored files"))?;
            if counted.remove(&tenant) != Some(media_files::parse_use(&row)?) {
                problems.add(|| format!("{}: its unused files are counted wrongly", tenant.0));
            }
        }
        for tenant in counted.keys() {
            problems.add(|| format!("{}: its unused files are not counted", tenant.0));
        }
        Ok(())
    }
}
