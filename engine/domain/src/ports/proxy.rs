//! Proxies of connectors: what the sandbox needs to use one, what it knows of one, and which ones the operator allows.

use std::net::IpAddr;

use crate::Timestamp;
use crate::model::Proxy;

/// A proxy with its password. It stays in the host; it has no `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct ProxySpec {
    /// The proxy.
    pub proxy: Proxy,
    /// Its password in plain text.
    pub password: Option<String>,
}

/// What is known of the proxy of a running connector.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProxyStatus {
    /// Why it does not work, from the last connection that was asked of it; `None` if that one came about, or none was asked for.
    pub problem: Option<String>,
    /// When the exit was last asked for, with whatever result.
    pub checked_at: Option<Timestamp>,
    /// The address that the proxy's connections come from, as the check last told.
    pub exit_address: Option<String>,
    /// The country of that address, if the check told one.
    pub exit_country: Option<String>,
    /// Why the last check told nothing.
    pub check_problem: Option<String>,
}

/// Decides which proxies may be used. Asked when one is chosen, and again at every connection to one.
pub trait ProxyPolicy: Send + Sync + 'static {
    /// Whether a connector may have the proxy at `host` and `port`. `Err` says why not, for the tenant. Resolves no names.
    fn check_proxy(&self, host: &str, port: u16) -> Result<(), String>;
    /// Whether this proxy may be reached at an address that its name has.
    fn check_proxy_address(&self, host: &str, port: u16, address: IpAddr) -> bool;
}
