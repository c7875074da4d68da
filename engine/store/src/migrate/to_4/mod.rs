//! From schema 3 to 4. Each part rewrites rows of its own in batches, and is safe to run again: a step that was cut short passes over what
//! has the present format, or makes it anew.

mod access;
mod chats;
mod contacts;

use crate::Error;
use crate::backend::Backend;

/// Number of writes in one batch.
const BATCH: usize = 10_000;

/// Runs all parts. Contacts go before conversations, which are found by the addresses of contacts.
pub(super) fn run(backend: &dyn Backend) -> Result<(), Error> {
    access::run(backend)?;
    contacts::run(backend)?;
    chats::run(backend)
}
