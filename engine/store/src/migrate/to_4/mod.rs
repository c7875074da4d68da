//! From schema 3 to 4. Each part rewrites rows of its own, and passes over those that it has rewritten already: so the step can run
//! again after a crash.

mod access;

use crate::Error;
use crate::backend::Backend;

pub(super) fn run(backend: &dyn Backend) -> Result<(), Error> {
    access::run(backend)
}
