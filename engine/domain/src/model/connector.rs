//! A connector: a plugin with a tenant's configuration, through which messages leave, and the pace it keeps.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{ConnectorIndex, TenantIndex, Timestamp};

/// What the operator or tenant wants of it. Whether the session stands is the sandbox's word, not stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConnectorStatus {
    /// Sends.
    Active,
    /// Accepts messages and keeps them.
    Paused,
    /// Gone: takes nothing, is not listed. Its messages keep naming it.
    Deleted,
}

/// A configured connector.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connector {
    /// Public id (`connectorId`).
    pub id: Uuid,
    /// Its number in this store.
    pub index: ConnectorIndex,
    /// Owner.
    pub tenant: TenantIndex,
    /// Display name.
    pub name: String,
    /// The plugin's name, e.g. `connector-email`.
    pub plugin: String,
    /// The channel its plugin declared, e.g. `email`, `whatsapp`.
    pub channel: String,
    /// Configuration without the secret fields, a JSON object as text.
    pub config: String,
    /// The secret fields, each sealed by [`crate::ports::SecretBox`].
    pub secrets: BTreeMap<String, Vec<u8>>,
    /// What is wanted of it.
    pub status: ConnectorStatus,
    /// Why it was paused, where somebody said so.
    pub status_reason: Option<String>,
    /// How fast it may send.
    pub pace: Pace,
    /// Creation; the age that the warm-up counts from.
    pub created_at: Timestamp,
    /// Last change.
    pub updated_at: Timestamp,
}

/// How fast a connector may send. All limits are off by default but what the plugin's channel needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pace {
    /// Shortest pause between two messages, ms. 0 with `delay_max_ms` 0 means none.
    pub delay_min_ms: u64,
    /// Longest pause between two messages, ms; drawn uniformly between the two.
    pub delay_max_ms: u64,
    /// Messages a day at most, once warm; `None` for no limit.
    pub daily_cap: Option<u32>,
    /// The warm-up curve, `None` when the number or domain is already warm.
    pub warm_up: Option<WarmUp>,
    /// Hours in which nothing is sent.
    pub quiet_hours: Option<QuietHours>,
    /// Time zone (IANA) of the days and the quiet hours.
    pub time_zone: String,
    /// Messages in flight at once, at most; further bounded by the plugin.
    pub max_in_flight: u16,
    /// How the account's health slows and pauses it; `None` when it does not.
    pub health: Option<HealthRules>,
}

/// What the health score does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthRules {
    /// How far back is counted, in hours.
    pub window_hours: u16,
    /// Below this score (0 to 100) pauses grow and caps shrink in proportion.
    pub slow_below: u8,
    /// Below this score the connector is paused.
    pub pause_below: u8,
    /// With fewer messages in the window the score stays at 100, blocks and restrictions apart.
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
        }
    }
}

/// A warm-up curve: explicit caps for the first days, then growth by a percentage a day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WarmUp {
    /// Caps of day 1, 2, 3 …; the documented guide says 50, 100, 200.
    pub days: Vec<u32>,
    /// Growth a day after the last of `days`, in percent; the guide says 30 to 50.
    pub growth_percent: u32,
    /// The cap at which it is warm and only `daily_cap` counts.
    pub until: u32,
}

impl Default for WarmUp {
    fn default() -> Self {
        Self { days: vec![50, 100, 200], growth_percent: 40, until: 10_000 }
    }
}

/// A daily window without sending, in [`Pace::time_zone`]. `from` after `to` spans midnight.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuietHours {
    /// First quiet minute of the day (0 to 1439).
    pub from_minute: u16,
    /// First minute that is no longer quiet (0 to 1439).
    pub to_minute: u16,
}

/// What the pace has counted. Stored in the batch that claims, so a crash never forgets a message of the day.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PaceState {
    /// The civil day that `sent_today` counts, as days since 1970-01-01 in the pace's time zone.
    pub day: i32,
    /// Attempts begun on that day.
    pub sent_today: u32,
    /// The day of the first message ever: day 1 of the warm-up.
    pub first_day: Option<i32>,
    /// Not before: the random pause after the last message.
    pub next_at: Timestamp,
    /// Not before: what the provider asked for.
    pub throttled_until: Timestamp,
    /// Consecutive failures that are the connection's, not the message's.
    pub failures: u32,
    /// Not before: the breaker.
    pub open_until: Timestamp,
}
