//! Tenants, users, API keys, connectors and pace states: their rows. They are read from the catalog in memory.

use pombo_domain::model::{ApiKey, Connector, PaceState, Tenant, User};
use pombo_domain::ports::{Conflict, StoreError, StoreResult};
use pombo_domain::{ConnectorIndex, TenantIndex};
use uuid::Uuid;

use super::earlier::Connector1;
use crate::codec::{append, body_of, damaged, decode, encode, format_of, unknown_format};
use crate::keys::{self, Parts};
use crate::space::Space;
use crate::staged::Staged;

/// Format 2 has the rules of the health in the pace.
const CONNECTOR_FORMAT: u8 = 2;

pub(crate) fn put_tenant(staged: &mut Staged<'_>, tenant: &Tenant) {
    staged.put(Space::Documents, keys::tenant(tenant.index).bytes(), encode(tenant));
}

/// Stores a user; no other user may have its e-mail address.
pub(crate) fn put_user(staged: &mut Staged<'_>, user: &User) -> StoreResult<()> {
    let email = keys::user_email(&user.email);
    let owner = keys::Key::new().u32(user.tenant.0).uuid(user.id);
    if let Some(row) = staged.get(Space::Documents, &email)?
        && row[..] != owner[..]
    {
        return Err(StoreError::Conflict(Conflict::Email));
    }
    let key = keys::owned(keys::USER, user.tenant, user.id).bytes();
    if let Some(row) = staged.get(Space::Documents, &key)? {
        let old: User = decode(&row, "users")?;
        if old.email != user.email {
            staged.delete(Space::Documents, keys::user_email(&old.email));
        }
    }
    staged.put(Space::Documents, email, owner.to_vec());
    staged.put(Space::Documents, key, encode(user));
    Ok(())
}

/// The user that an e-mail address belongs to, from its row.
pub(crate) fn parse_owner(row: &[u8]) -> StoreResult<(TenantIndex, Uuid)> {
    let mut parts = Parts(row);
    let owner = parts.u32().zip(parts.uuid()).map(|(tenant, id)| (TenantIndex(tenant), id));
    owner.ok_or_else(|| damaged("users: a malformed e-mail row"))
}

pub(crate) fn put_api_key(staged: &mut Staged<'_>, key: &ApiKey) {
    staged.put(Space::Documents, keys::owned(keys::API_KEY, key.tenant, key.id).bytes(), encode(key));
}

pub(crate) fn put_connector(staged: &mut Staged<'_>, connector: &Connector) {
    let row = append(vec![CONNECTOR_FORMAT], connector);
    staged.put(Space::Documents, keys::of_connector(keys::CONNECTOR, connector.index).bytes(), row);
}

/// A connector's row, of any format.
pub(crate) fn parse_connector(row: &[u8]) -> StoreResult<Connector> {
    let what = "connectors";
    match format_of(row, what)? {
        (CONNECTOR_FORMAT, body) => body_of(body, what),
        (1, body) => Ok(body_of::<Connector1>(body, what)?.into()),
        (format, _) => Err(unknown_format(format, what)),
    }
}

pub(crate) fn put_pace(staged: &mut Staged<'_>, connector: ConnectorIndex, state: &PaceState) {
    staged.put(Space::Documents, keys::of_connector(keys::PACE, connector).bytes(), encode(state));
}
