//! The health counts of connectors, a small row each. On disk only.

use pombo_domain::ConnectorIndex;
use pombo_domain::model::HealthState;
use pombo_domain::ports::StoreResult;

use crate::backend::Backend;
use crate::codec::{decode, encode};
use crate::keys;
use crate::space::Space;
use crate::staged::Staged;

pub(crate) fn put(staged: &mut Staged<'_>, connector: ConnectorIndex, state: &HealthState) {
    staged.put(Space::Documents, keys::of_connector(keys::HEALTH, connector).bytes(), encode(state));
}

pub(crate) fn read(backend: &dyn Backend, connector: ConnectorIndex) -> StoreResult<HealthState> {
    let row = backend.get(Space::Documents, &keys::of_connector(keys::HEALTH, connector))?;
    Ok(row.map(|row| parse(&row)).transpose()?.unwrap_or_default())
}

pub(crate) fn parse(row: &[u8]) -> StoreResult<HealthState> {
    decode(row, "health")
}
