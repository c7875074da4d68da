//! Access tokens: their rows. They are read from the catalog in memory.

use pombo_domain::model::AccessToken;
use pombo_domain::ports::{Conflict, StoreError, StoreResult};

use crate::codec::{decode, encode};
use crate::keys;
use crate::space::Space;
use crate::staged::Staged;

/// Stores a token; its user must be there.
pub(crate) fn put(staged: &mut Staged<'_>, token: &AccessToken) -> StoreResult<()> {
    if staged.get(Space::Documents, &keys::owned(keys::USER, token.tenant, token.user))?.is_none() {
        return Err(StoreError::Conflict(Conflict::Gone));
    }
    staged.put(Space::Documents, keys::access_token(token.number).bytes(), encode(token));
    Ok(())
}

/// A token with its new day of use; `None`, and nothing stored, if it is gone.
pub(crate) fn used(staged: &mut Staged<'_>, number: u64, day: i32) -> StoreResult<Option<AccessToken>> {
    let key = keys::access_token(number);
    let Some(row) = staged.get(Space::Documents, &key)? else { return Ok(None) };
    let token = AccessToken { last_used_day: day, ..parse(&row)? };
    staged.put(Space::Documents, key.bytes(), encode(&token));
    Ok(Some(token))
}

/// Deletes a token; that there is none is no failure.
pub(crate) fn delete(staged: &mut Staged<'_>, number: u64) {
    staged.delete(Space::Documents, keys::access_token(number).bytes());
}

/// A token's row.
pub(crate) fn parse(row: &[u8]) -> StoreResult<AccessToken> {
    decode(row, "access tokens")
}
