//! The engine under measurement: a tenant with connectors of the no-op plugin.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use pombo_tests::http::encode;
use pombo_tests::load::{latencies, prepare, quantile_ms};
use pombo_tests::process::target;
use pombo_tests::server::{Options, Server};
use pombo_tests::tenant::{SENDSYNC, Tenant};
use serde_json::{Value, json};

use crate::messages::{TYPES, word};

pub(crate) struct Ours {
    pub(crate) server: Server,
    pub(crate) tenant: Tenant,
    pub(crate) connectors: Vec<String>,
}

impl Ours {
    pub(crate) fn start() -> Result<Self> {
        // The no-op plugin alone: those that the engine embeds must not come twice.
        let built = target().join("plugins/noop.wasm");
        ensure!(built.is_file(), "{} is not built: run `make build`", built.display());
        let mut server = Server::prepare(Options { demo: false, ..Options::only("") })?;
        let plugins = server.folder().join("plugins");
        std::fs::create_dir(&plugins)?;
        std::fs::copy(&built, plugins.join("noop.wasm"))?;
        let config = format!("[sandbox]\nplugin_dir = {:?}\n[log]\nlevel = \"warn\"\n", plugins);
        std::fs::write(server.folder().join("config.toml"), config)?;
        server.launch()?;
        let tenant = Tenant::create(&server)?;
        let mut connectors = Vec::new();
        for _ in 0..4 {
            let id = tenant.connector("noop", &json!({}))?;
            tenant.set_paused(&id, true)?;
            connectors.push(id);
        }
        Ok(Self { server, tenant, connectors })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.server.address()
    }

    pub(crate) fn headers(&self) -> [(&'static str, String); 1] {
        [("X-API-Key", self.tenant.key.clone())]
    }

    pub(crate) fn sent(&self) -> Result<u64> {
        self.tenant.total(&[("status", "SENT")])
    }

    /// p50 and p99 in ms of every kind of list, at the length that the queue has.
    pub(crate) fn lists(&self, messages: u64, queries: usize) -> Result<Vec<(&'static str, Value)>> {
        let (first, last) = self.span()?;
        let at = |n: usize| -> u64 { (n as u64).wrapping_mul(2_654_435_761) % messages };
        let connector = |n: usize| format!("connectorId={}", self.connectors[n % 4]);
        let kind = |n: usize| format!("messageType={}", TYPES[n % 6]);
        let status = |n: usize| format!("status={}", ["PENDING", "PENDING_APPROVAL", "WAITING", "SENT"][n % 4]);
        let dates = |n: usize| {
            let length = (last - first).max(10);
            let from = first + (at(n) * 1000 % (length as u64)) as i64;
            format!("dateFrom={}&dateTo={}", encode(&iso(from)), encode(&iso(from + length / 10)))
        };
        type Filter<'a> = Box<dyn Fn(usize) -> String + 'a>;
        let cases: Vec<(&'static str, Filter<'_>)> = vec![
            ("list_none", Box::new(|_| String::new())),
            ("list_status", Box::new(status)),
            ("list_connector", Box::new(connector)),
            ("list_type", Box::new(kind)),
            ("list_date", Box::new(dates)),
            ("list_external_id", Box::new(|n| format!("externalId=REF-{}", at(n)))),
            ("list_combined", Box::new(|n| format!("status=PENDING&{}&{}", kind(n), connector(n)))),
            ("search", Box::new(|n| format!("search={}", encode(&format!("{} {}", word(at(n)), at(n)))))),
        ];
        let headers = self.headers();
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let mut results = Vec::new();
        for (name, filter) in cases {
            // Pages of 50: what a screen shows. The total is exact whatever the page.
            let request = |n: usize| {
                let path = format!("{SENDSYNC}/queue/list?limit=50&{}", filter(n));
                prepare("GET", path.trim_end_matches('&'), &headers, &[])
            };
            latencies(self.address(), queries / 10 + 1, 200, request)?;
            let times = latencies(self.address(), queries, 200, request)?;
            results
                .push((name, json!({"p50": quantile_ms(&times, 0.5), "p99": quantile_ms(&times, 0.99), "unit": "ms"})));
        }
        Ok(results)
    }

    /// When the first and the last message were taken, in ms since 1970.
    fn span(&self) -> Result<(i64, i64)> {
        let newest = self.tenant.list(&[("limit", "1")])?;
        let total = newest["meta"]["total"].as_u64().context("no total")?;
        let oldest = self.tenant.list(&[("limit", "1"), ("page", &total.to_string())])?;
        let at = |list: &Value| -> Result<i64> {
            let text = list["data"][0]["createdAt"].as_str().context("no createdAt")?;
            millis(text).with_context(|| format!("not an instant: {text}"))
        };
        Ok((at(&oldest)?, at(&newest)?))
    }
}

/// `2024-01-22T14:30:00.000Z` as ms since 1970 (the civil-day formula of H. Hinnant).
fn millis(text: &str) -> Option<i64> {
    let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<i64>().ok();
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let shifted = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (shifted.div_euclid(400), shifted.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    let seconds = days * 86_400 + number(11..13)? * 3600 + number(14..16)? * 60 + number(17..19)?;
    Some(seconds * 1000 + number(20..23).unwrap_or(0))
}

/// The reverse.
fn iso(millis: i64) -> String {
    let (days, rest) = (millis.div_euclid(86_400_000), millis.rem_euclid(86_400_000));
    let shifted = days + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (h, m, s, ms) = (rest / 3_600_000, rest / 60_000 % 60, rest / 1000 % 60, rest % 1000);
    format!("{year:04}-{month:02}-{day:02}T{h:02}:{m:02}:{s:02}.{ms:03}Z")
}

#[cfg(test)]
mod tests {
    use super::{iso, millis};

    #[test]
    fn instants_read_back() {
        for text in ["1970-01-01T00:00:00.000Z", "2024-02-29T23:59:59.999Z", "2026-11-20T20:00:00.001Z"] {
            assert_eq!(millis(text).map(iso).as_deref(), Some(text));
        }
        assert_eq!(millis("2024-01-22T14:30:00.000Z"), Some(1_705_933_800_000));
    }
}
