//! Log lines and metrics of the process.
//!
//! Invariant: neither contains a message's body, a recipient, a secret or a URL that a tenant gave.

pub(crate) mod log;
pub(crate) mod metrics;
