//! The configuration: its types, one struct per section, with units in the names. [`layers`] reads it, [`check`] checks its
//! values. The defaults and the documentation are in `config.default.toml`.
//!
//! Invariant: every field is in `config.default.toml`, so that no default is hidden in code.

mod check;
mod layers;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;

pub(crate) use layers::{DEFAULTS, Overrides, load};

/// The whole configuration, checked.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) data: Data,
    pub(crate) http: Http,
    pub(crate) log: Log,
    pub(crate) runtime: Runtime,
    pub(crate) security: Security,
    pub(crate) outbound: Outbound,
    pub(crate) webhooks: Webhooks,
    pub(crate) limits: Limits,
    pub(crate) zapini: Zapini,
    pub(crate) aidesk: Aidesk,
    pub(crate) store: Store,
    pub(crate) events: Events,
    pub(crate) scheduler: Scheduler,
    pub(crate) campaigns: Campaigns,
    pub(crate) sandbox: Sandbox,
    pub(crate) plugins: Plugins,
    pub(crate) automations: Automations,
    pub(crate) demo: Demo,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Data {
    pub(crate) dir: PathBuf,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Http {
    pub(crate) listen: SocketAddr,
    pub(crate) public_url: String,
    pub(crate) max_connections: usize,
    pub(crate) header_timeout_seconds: u64,
    pub(crate) max_header_kb: usize,
    pub(crate) body_idle_timeout_seconds: u64,
    pub(crate) request_timeout_seconds: u64,
    pub(crate) max_body_mb: u64,
    pub(crate) trusted_proxies: Vec<String>,
    pub(crate) hosts: BTreeMap<String, String>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Log {
    pub(crate) level: String,
    pub(crate) format: LogFormat,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    Text,
    Json,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Runtime {
    pub(crate) worker_threads: usize,
    pub(crate) drain_seconds: u64,
}

/// Contains secrets, so it has no `Debug`.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Security {
    pub(crate) secret_key: String,
    pub(crate) secret_key_file: String,
    pub(crate) operator_token: String,
    pub(crate) jwt_expiry_minutes: u64,
    pub(crate) login_failures_per_account: u32,
    pub(crate) login_failures_per_address: u32,
    pub(crate) login_window_minutes: u32,
    pub(crate) media_link_hours: u64,
    pub(crate) password_hash_parallel: usize,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Outbound {
    pub(crate) allow: Vec<String>,
    pub(crate) connect_timeout_seconds: u64,
    pub(crate) attachment_timeout_seconds: u64,
    pub(crate) attachment_max_redirects: u32,
    pub(crate) extra_ca_file: String,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Webhooks {
    pub(crate) timeout_seconds: u64,
    pub(crate) max_in_flight: usize,
    pub(crate) max_in_flight_per_host: usize,
    pub(crate) retry_seconds: Vec<u64>,
    pub(crate) plain_http: bool,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Limits {
    pub(crate) json_mb: usize,
    pub(crate) bulk_mb: usize,
    pub(crate) multipart_mb: u64,
    pub(crate) files: usize,
    pub(crate) waiting_files: u64,
    pub(crate) waiting_files_mb: u64,
    pub(crate) lookups_at_once: u32,
    pub(crate) lookups_per_hour: u32,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Zapini {
    pub(crate) rate_limit: u32,
    pub(crate) rate_window_minutes: u32,
    pub(crate) cors_origins: Vec<String>,
    pub(crate) send_wait_seconds: u64,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Aidesk {
    pub(crate) send_wait_seconds: u64,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Store {
    pub(crate) cache_mb: u64,
    pub(crate) write_buffer_mb: u64,
    pub(crate) search_mb: u64,
    pub(crate) directory_mb: u64,
    pub(crate) journal_mb: u64,
    pub(crate) workers: usize,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Events {
    pub(crate) retention_days: u32,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scheduler {
    pub(crate) max_attempts: u16,
    pub(crate) backoff_first_ms: u64,
    pub(crate) backoff_max_ms: u64,
    pub(crate) breaker_first_ms: u64,
    pub(crate) breaker_max_ms: u64,
    pub(crate) throttle_rest_ms: u64,
    pub(crate) retry_later: bool,
    pub(crate) restart_deaf: bool,
    pub(crate) heartbeat_hours: u32,
    pub(crate) window: usize,
    pub(crate) batch: usize,
    pub(crate) fetches: usize,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Campaigns {
    pub(crate) window: usize,
    pub(crate) batch: usize,
    pub(crate) stop_codes: Vec<String>,
    pub(crate) currency: String,
    pub(crate) prices: BTreeMap<String, String>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sandbox {
    pub(crate) plugin_dir: String,
    pub(crate) cache_dir: String,
    pub(crate) memory_mb: u64,
    pub(crate) cpu_deadline_ms: u64,
    pub(crate) host_call_timeout_seconds: u64,
    pub(crate) send_timeout_seconds: u64,
    pub(crate) max_instances: u32,
    pub(crate) renderers: usize,
    pub(crate) restart_first_ms: u64,
    pub(crate) restart_max_ms: u64,
    pub(crate) kv_max_mb: u64,
    pub(crate) events_per_second: u32,
    pub(crate) event_kb_per_second: u64,
    pub(crate) starts_at_once: usize,
    pub(crate) session_wait_seconds: u64,
    pub(crate) log_lines_per_second: u32,
    pub(crate) allow_private: Vec<String>,
    pub(crate) extra_ca: String,
    pub(crate) connect_to: Vec<String>,
    pub(crate) smtp_plain_hosts: Vec<String>,
    pub(crate) http_plain_hosts: Vec<String>,
    pub(crate) proxies: Proxies,
    pub(crate) proxy_hosts: Vec<String>,
    pub(crate) grants: BTreeMap<String, Vec<String>>,
}

/// Which proxies connectors may have.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Proxies {
    /// Those with a public address, and those that are listed.
    Any,
    /// Those that are listed.
    Listed,
    /// None.
    None,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Plugins {
    pub(crate) unsigned: Unsigned,
    pub(crate) component_max_mb: u64,
    pub(crate) compiles_at_once: usize,
    pub(crate) compile_timeout_seconds: u64,
    pub(crate) compile_cpu_seconds: u64,
    pub(crate) compile_memory_mb: u64,
    pub(crate) versions_kept: usize,
    pub(crate) per_tenant: usize,
    pub(crate) canary_calls: u64,
    pub(crate) canary_seconds: u32,
    pub(crate) watch_seconds: u32,
    pub(crate) log_lines: usize,
}

/// Whose plugins may run without a signature.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Unsigned {
    All,
    Operator,
    None,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Automations {
    pub(crate) in_flight: usize,
    pub(crate) in_flight_per_tenant: usize,
    pub(crate) retry_seconds: Vec<u64>,
    pub(crate) events_per_minute: u32,
    pub(crate) record: bool,
    pub(crate) record_keep: u32,
    pub(crate) cpu_ms: u64,
    pub(crate) cpu_max_ms: u64,
    pub(crate) memory_mb: u64,
    pub(crate) memory_max_mb: u64,
    pub(crate) call_timeout_seconds: u64,
    pub(crate) http_timeout_seconds: u64,
    pub(crate) http_per_tenant: usize,
    pub(crate) tenant_cpu_percent: u32,
    pub(crate) tenant_cpu_burst_ms: u64,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Demo {
    pub(crate) smtp_listen: SocketAddr,
    pub(crate) page_listen: SocketAddr,
    pub(crate) max_mails: usize,
}

impl Config {
    /// The file or folder called `name` in the data folder.
    pub(crate) fn in_data(&self, name: impl AsRef<Path>) -> PathBuf {
        self.data.dir.join(name)
    }

    /// The URL that clients use, without a trailing slash.
    pub(crate) fn public_url(&self) -> String {
        match self.http.public_url.trim_end_matches('/') {
            "" => format!("http://{}", self.http.listen),
            url => url.to_owned(),
        }
    }
}

/// The environment variables that are text; others cannot be configuration.
pub(crate) fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

/// A network (`10.0.0.0/8`) or a single address.
pub(crate) fn parse_network(text: &str) -> Option<ipnet::IpNet> {
    text.parse().ok().or_else(|| text.parse().ok().map(|ip: std::net::IpAddr| ipnet::IpNet::from(ip)))
}

/// An entry of `sandbox.proxy_hosts` that is not a network: a host, and a port if it has one. An IPv6 address with a port has brackets.
pub(crate) fn parse_proxy_host(entry: &str) -> Option<(&str, Option<u16>)> {
    if let Some(rest) = entry.strip_prefix('[') {
        let (address, port) = rest.split_once("]:")?;
        let is_address = address.parse::<std::net::Ipv6Addr>().is_ok();
        return Some((address, Some(port.parse().ok()?))).filter(|_| is_address);
    }
    let (host, port) = match entry.split_once(':') {
        Some((host, port)) => (host, Some(port.parse().ok()?)),
        None => (entry, None),
    };
    let fits = !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
    fits.then_some((host, port))
}

/// An entry of `campaigns.prices`: category, beginning of the address, price in millionths.
pub(crate) fn parse_price<'a>(key: &'a str, price: &str) -> Option<(&'a str, &'a str, u64)> {
    let (category, beginning) = key.split_once('/').unwrap_or((key, ""));
    if !matches!(category, "marketing" | "utility" | "authentication") {
        return None;
    }
    let (whole, decimals) = price.split_once('.').unwrap_or((price, "0"));
    let digits = |text: &str, most: usize| (1..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole, 9) || !digits(decimals, 6) {
        return None;
    }
    let micros = format!("{decimals:0<6}").parse::<u64>().ok()?;
    Some((category, beginning, whole.parse::<u64>().ok()? * 1_000_000 + micros))
}
