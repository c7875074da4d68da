//! Many contacts at once: what can be taken is one batch, and each row that cannot be taken says why.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::{ContactDraft, RETRIES, checked_patch, created};
use crate::commands::Commands;
use crate::model::{Contact, ContactStep, ContactType};
use crate::ports::{Batch, Change, Conflict, StoreError};
use crate::{ConnectorIndex, Error, ErrorCode, Field, Result, TenantIndex};

/// Maximum number of contacts in one import.
pub const MAX_ROWS: usize = 1_000;

/// What became of an import.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ImportedContacts {
    /// Number of rows that created a contact.
    pub created: u64,
    /// Number of rows that changed a contact.
    pub updated: u64,
    /// Number of rows that said nothing new.
    pub unchanged: u64,
    /// The rows that were refused, by their place among the rows, from 0, each with its problems.
    pub refused: Vec<(usize, Error)>,
}

/// A row that can be taken.
struct Row {
    kind: ContactType,
    identifier: String,
    steps: Vec<ContactStep>,
}

/// What the rows of an import come to.
#[derive(Default)]
struct Plan {
    changes: Vec<Change>,
    created: u64,
    updated: u64,
    unchanged: u64,
}

impl Commands {
    /// Creates or updates up to [`MAX_ROWS`] contacts in one batch: all rows that are good, or none of them if the store fails. Several
    /// rows of one contact are taken in order. All contacts become known on `connectors`, in addition to those of their rows.
    pub async fn import_contacts(
        &self,
        tenant: TenantIndex,
        connectors: &[Uuid],
        drafts: Vec<ContactDraft>,
    ) -> Result<ImportedContacts> {
        if drafts.is_empty() || drafts.len() > MAX_ROWS {
            return Err(Error::invalid(Field::Contacts, format!("must be 1 to {MAX_ROWS}")));
        }
        let common = self.named_connectors(tenant, connectors)?;
        let plugin = match connectors.first() {
            Some(id) => Some(self.live_connector(tenant, *id)?.plugin.clone()),
            None => None,
        };
        let (rows, refused) = self.import_rows(tenant, plugin.as_deref(), &common, drafts).await?;
        for _ in 0..RETRIES {
            let Plan { changes, created, updated, unchanged } = self.import_plan(tenant, &rows)?;
            if !changes.is_empty() {
                match self.ports().store.commit(Batch::of(changes)).await {
                    Ok(_) => {}
                    Err(StoreError::Conflict(Conflict::Contact)) => continue,
                    Err(error) => return Err(error.into()),
                }
            }
            return Ok(ImportedContacts { created, updated, unchanged, refused });
        }
        Err(StoreError::Conflict(Conflict::Contact).into())
    }

    /// The rows that can be taken, in order, and the others.
    async fn import_rows(
        &self,
        tenant: TenantIndex,
        plugin: Option<&str>,
        common: &[ConnectorIndex],
        drafts: Vec<ContactDraft>,
    ) -> Result<(Vec<Row>, Vec<(usize, Error)>)> {
        let mut addresses: BTreeMap<usize, Result<String>> = BTreeMap::new();
        for kind in [ContactType::WhatsApp, ContactType::Email] {
            let of_kind = || drafts.iter().enumerate().filter(move |(_, draft)| draft.kind == kind);
            let given: Vec<String> = of_kind().map(|(_, draft)| draft.identifier.clone()).collect();
            if !given.is_empty() {
                let found = self.contact_addresses(tenant, plugin, kind, given).await?;
                addresses.extend(of_kind().map(|(row, _)| row).zip(found));
            }
        }
        let (mut rows, mut refused) = (Vec::with_capacity(drafts.len()), Vec::new());
        for (place, draft) in drafts.into_iter().enumerate() {
            let address = addresses.remove(&place).unwrap_or_else(|| Err(Error::internal("a row has no address")));
            let connectors = self.named_connectors(tenant, &draft.connectors);
            match (address, checked_patch(draft.patch), connectors) {
                (Ok(identifier), Ok(mut steps), Ok(own)) => {
                    steps.extend(common.iter().chain(&own).copied().map(ContactStep::Join));
                    rows.push(Row { kind: draft.kind, identifier, steps });
                }
                (address, steps, connectors) => {
                    let errors = [address.err(), steps.err(), connectors.err()];
                    let mut fields = Vec::new();
                    for error in errors.into_iter().flatten() {
                        // What is not the row's fault is the fault of none of them.
                        if error.code != ErrorCode::Invalid {
                            return Err(error);
                        }
                        fields.extend(error.fields);
                    }
                    refused.push((place, Error::invalid_fields(fields)));
                }
            }
        }
        Ok((rows, refused))
    }

    fn import_plan(&self, tenant: TenantIndex, rows: &[Row]) -> Result<Plan> {
        let at = self.ports().clock.now();
        let mut plan = Plan::default();
        // Contacts as the rows so far leave them, by the address that led to them.
        let mut known: BTreeMap<(ContactType, &str), Contact> = BTreeMap::new();
        for Row { kind, identifier, steps } in rows {
            let key = (*kind, identifier.as_str());
            if !known.contains_key(&key)
                && let Some(contact) = self.ports().store.contact(tenant, *kind, identifier)?
            {
                known.insert(key, contact);
            }
            match known.get_mut(&key) {
                Some(contact) => {
                    if contact.apply(steps, at) {
                        let (id, steps) = (contact.id, steps.clone());
                        plan.changes.push(Change::ContactSteps { tenant, id, at, steps, must_exist: true });
                        plan.updated += 1;
                    } else {
                        plan.unchanged += 1;
                    }
                }
                None => {
                    let id = self.ports().entropy.uuid();
                    let mut contact = Contact::new(id, tenant, *kind, identifier.clone(), at);
                    plan.changes.extend(created(contact.clone(), steps));
                    contact.apply(steps, at);
                    known.insert(key, contact);
                    plan.created += 1;
                }
            }
        }
        Ok(plan)
    }
}
