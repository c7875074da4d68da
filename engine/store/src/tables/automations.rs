//! Automations: their rows. They are read from the catalog in memory.

use pombo_domain::model::Automation;
use pombo_domain::ports::StoreResult;

use crate::codec::{decode, encode};
use crate::keys;
use crate::space::Space;
use crate::staged::Staged;

pub(crate) fn put(staged: &mut Staged<'_>, automation: &Automation) {
    staged.put(Space::Documents, keys::automation(automation.index).bytes(), encode(automation));
}

pub(crate) fn parse(row: &[u8]) -> StoreResult<Automation> {
    decode(row, "automations")
}
