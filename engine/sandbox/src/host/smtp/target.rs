//! The server that a submission is for.

use std::time::Duration;

use crate::bindings::host::smtp::Security;
use crate::host::route::Route;

/// A login, held by the host alone: has no `Debug`.
pub(super) struct Login {
    pub(super) username: String,
    pub(super) password: String,
}

/// A server to speak with.
pub(super) struct Target {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) route: Route,
    pub(super) security: Security,
    pub(super) login: Option<Login>,
    pub(super) extra_ca: Option<String>,
    /// How long the connection, each command, and each piece of the content may take.
    pub(super) step: Duration,
}
