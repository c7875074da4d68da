//! What the process says of itself: log lines and metrics.
//!
//! Invariant: neither carries a message's body, a recipient, a secret or a URL that a tenant gave.

pub(crate) mod log;
pub(crate) mod metrics;
