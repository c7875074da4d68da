//! What a group does to contacts.

use pombo_domain::model::{Contact, ContactStep, ContactType};
use pombo_domain::ports::{Conflict, StoreError, StoreResult};
use pombo_domain::{TenantIndex, Timestamp};
use uuid::Uuid;

use super::{Group, check_key};
use crate::tables::contacts;

impl Group<'_> {
    pub(super) fn put_contact(&mut self, contact: Contact) -> StoreResult<()> {
        check_key(&contact.identifier)?;
        let changed = contacts::put(&mut self.staged, contact)?;
        self.outcome.contacts.push(changed);
        Ok(())
    }

    pub(super) fn step_contact(
        &mut self,
        tenant: TenantIndex,
        id: Uuid,
        at: Timestamp,
        steps: &[ContactStep],
        must_exist: bool,
    ) -> StoreResult<()> {
        match contacts::staged_by_id(&self.staged, tenant, id)? {
            Some(contact) => self.outcome.contacts.extend(contacts::step(&mut self.staged, contact, steps, at)),
            None if must_exist => return Err(StoreError::Conflict(Conflict::Contact)),
            None => {}
        }
        Ok(())
    }

    pub(super) fn delete_contact(&mut self, tenant: TenantIndex, id: Uuid) -> StoreResult<()> {
        contacts::delete(&mut self.staged, tenant, id, self.now, &mut self.outcome.contacts)
    }

    pub(super) fn alias(
        &mut self,
        tenant: TenantIndex,
        kind: ContactType,
        alias: &str,
        identifier: &str,
    ) -> StoreResult<()> {
        check_key(alias)?;
        check_key(identifier)?;
        contacts::put_alias(&mut self.staged, tenant, kind, alias, identifier, &mut self.outcome.contacts)
    }
}
