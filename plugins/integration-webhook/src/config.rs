//! The configuration, as `config.schema.json` describes it; the engine has checked it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

/// Its JSON Schema.
pub const SCHEMA: &str = include_str!("config.schema.json");

/// What is posted when nothing is said of it: what people do, and what earlier answers asked for.
const DEFAULT_EVENTS: [&str; 4] = ["message-received", "timer-fired", "started", "webhook-called"];

/// The configuration without its secrets.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Config {
    /// Where events are posted.
    pub url: String,
    events: Option<Vec<String>>,
    timeout_seconds: Option<u64>,
    /// Headers in addition to the plugin's own.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
}

impl Config {
    /// Whether this kind of event is posted.
    pub fn wants(&self, kind: &str) -> bool {
        match &self.events {
            Some(events) => events.iter().any(|e| e == kind),
            None => DEFAULT_EVENTS.contains(&kind),
        }
    }
    /// How long an answer is awaited.
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_seconds.unwrap_or(10))
    }
}
