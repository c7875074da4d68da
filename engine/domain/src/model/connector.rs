//! A connector: a plugin with a tenant's configuration, through which messages are sent, and its pace.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::model::Proxy;
use crate::{ConnectorIndex, TenantIndex, Timestamp};

/// What the operator or tenant wants of the connector. Whether its session is connected is known to the sandbox and not stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConnectorStatus {
    /// It sends.
    Active,
    /// It accepts messages and keeps them.
    Paused,
    /// It was deleted: it accepts nothing and is not listed. Its messages still refer to it.
    Deleted,
}

/// A configured connector.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connector {
    /// Public id.
    pub id: Uuid,
    /// Its number in this store.
    pub index: ConnectorIndex,
    /// The tenant that owns it.
    pub tenant: TenantIndex,
    /// Display name.
    pub name: String,
    /// Name of its plugin, e.g. `connector-email`.
    pub plugin: String,
    /// The channel that its plugin declared, e.g. `email`, `whatsapp`.
    pub channel: String,
    /// Configuration without the secret fields, a JSON object as text.
    pub config: String,
    /// The secret fields, each sealed by [`crate::ports::SecretBox`].
    pub secrets: BTreeMap<String, Vec<u8>>,
    /// What the operator or tenant wants of it.
    pub status: ConnectorStatus,
    /// Why it was paused, if a reason was given.
    pub status_reason: Option<String>,
    /// How fast it may send.
    pub pace: Pace,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Number of changes of the secret with which its channel calls it: the secret is derived from it. Stored beside the other fields.
    #[serde(skip)]
    pub receive_epoch: u32,
    /// The proxy by which all connections of its plugin leave; `None`: they leave directly. Stored beside the other fields.
    #[serde(skip)]
    pub proxy: Option<Proxy>,
}

/// How fast a connector may send. By default there are no limits other than those that the plugin's channel needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pace {
    /// Shortest pause between two messages, in milliseconds. 0 together with `delay_max_ms` 0 means none.
    pub delay_min_ms: u64,
    /// Longest pause between two messages, in milliseconds; each pause is drawn uniformly between the two.
    pub delay_max_ms: u64,
    /// Maximum number of messages per day after the warm-up; `None` for no limit.
    pub daily_cap: Option<u32>,
    /// The warm-up curve; `None` if the number or domain is already warm.
    pub warm_up: Option<WarmUp>,
    /// Hours in which nothing is sent.
    pub quiet_hours: Option<QuietHours>,
    /// Time zone (IANA) of the days and the quiet hours.
    pub time_zone: String,
    /// Maximum number of messages in flight at the same time; the plugin may allow fewer.
    pub max_in_flight: u16,
    /// How the account's health slows down and pauses the connector; `None` if it does neither.
    pub health: Option<HealthRules>,
    /// Whether the category orders messages of the same priority. It counts for messages that are accepted from then on. Stored beside
    /// the connector's other fields.
    #[serde(skip, default = "by_category")]
    pub category_order: bool,
    /// Since when the account behind the connector has been in use, here or elsewhere: day 1 of the warm-up lies no later. Stored beside
    /// the connector's other fields.
    #[serde(skip)]
    pub in_use_since: Option<Timestamp>,
}

fn by_category() -> bool {
    true
}

/// How the health score slows down and pauses a connector.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthRules {
    /// Length of the period that counts, in hours.
    pub window_hours: u16,
    /// Below this score (0 to 100) pauses grow and caps shrink in proportion.
    pub slow_below: u8,
    /// Below this score the connector is paused.
    pub pause_below: u8,
    /// With fewer messages than this in the period, the score stays at 100, except for blocks and restrictions.
    pub min_sent: u32,
}

impl Default for HealthRules {
    fn default() -> Self {
        Self { window_hours: 7 * 24, slow_below: 70, pause_below: 35, min_sent: 30 }
    }
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            delay_min_ms: 0,
            delay_max_ms: 0,
            daily_cap: None,
            warm_up: None,
            quiet_hours: None,
            time_zone: "America/Sao_Paulo".to_owned(),
            max_in_flight: 50,
            health: None,
            category_order: true,
            in_use_since: None,
        }
    }
}

/// A warm-up curve: explicit caps for the first days, then growth by a percentage per day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WarmUp {
    /// Caps of day 1, 2, 3 …; the documented guide recommends 50, 100, 200.
    pub days: Vec<u32>,
    /// Growth per day after the last of `days`, in percent; the guide recommends 30 to 50.
    pub growth_percent: u32,
    /// The cap at which the warm-up ends and only `daily_cap` counts.
    pub until: u32,
}

impl Default for WarmUp {
    fn default() -> Self {
        Self { days: vec![50, 100, 200], growth_percent: 40, until: 10_000 }
    }
}

/// A daily period without sending, in [`Pace::time_zone`]. If `from` is after `to`, it spans midnight.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuietHours {
    /// First quiet minute of the day (0 to 1439).
    pub from_minute: u16,
    /// First minute that is no longer quiet (0 to 1439).
    pub to_minute: u16,
}

/// What the pace has counted. Stored in the batch that claims, so that a crash never forgets a message of the day.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PaceState {
    /// The civil day that `sent_today` counts, as days since 1970-01-01 in the pace's time zone.
    pub day: i32,
    /// Attempts begun on that day.
    pub sent_today: u32,
    /// The day of the first message ever: day 1 of the warm-up.
    pub first_day: Option<i32>,
    /// Nothing is sent before this instant: the end of the random pause after the last message.
    pub next_at: Timestamp,
    /// Nothing is sent before this instant: the provider asked for a pause.
    pub throttled_until: Timestamp,
    /// Number of consecutive failures of the connection (not of a message).
    pub failures: u32,
    /// Nothing is sent before this instant: the circuit breaker is open.
    pub open_until: Timestamp,
}
