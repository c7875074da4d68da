//! Labels, the queues and statuses of conversations, by tenant, kind and number. A conversation's row has their numbers: a deleted label
//! is left behind in the rows that have its number, which no other label ever gets.

use pombo_domain::TenantIndex;
use pombo_domain::model::{Label, LabelKind};
use pombo_domain::ports::StoreResult;

use crate::backend::{Backend, KeyRange, Order};
use crate::codec::{decode, encode};
use crate::keys;
use crate::space::Space;
use crate::staged::Staged;

pub(crate) fn parse(row: &[u8]) -> StoreResult<Label> {
    decode(row, "labels")
}

pub(crate) fn put(staged: &mut Staged<'_>, label: &Label) {
    staged.put(Space::Documents, keys::label(label.tenant, label.kind, label.number).bytes(), encode(label));
}

pub(crate) fn delete(staged: &mut Staged<'_>, label: &Label) {
    staged.delete(Space::Documents, keys::label(label.tenant, label.kind, label.number).bytes());
}

pub(crate) fn by_number(
    backend: &dyn Backend,
    tenant: TenantIndex,
    kind: LabelKind,
    number: u32,
) -> StoreResult<Option<Label>> {
    let row = backend.get(Space::Documents, &keys::label(tenant, kind, number))?;
    row.map(|row| parse(&row)).transpose()
}

/// A tenant's labels of a kind, ordered by number.
pub(crate) fn all(backend: &dyn Backend, tenant: TenantIndex, kind: LabelKind) -> StoreResult<Vec<Label>> {
    let range = KeyRange::prefix(&keys::labels_of(tenant, kind));
    backend.scan(Space::Documents, range, Order::Forward).map(|row| parse(&row?.1)).collect()
}
