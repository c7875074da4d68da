//! What is uncertain about Meta, or wanted otherwise by a test, as settings. Owned by the world; read and changed under its lock.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::errors::known;

/// When a fault is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// In the answer.
    Sync,
    /// In a status webhook after a 200.
    Async,
}

/// Unknown keys at the top level of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unknown {
    /// Refused.
    Strict,
    /// Not looked at.
    Ignore,
}

/// How far the statuses of a message go by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Receipts {
    /// No status.
    #[serde(rename = "none")]
    None,
    /// `sent`.
    #[serde(rename = "sent")]
    Sent,
    /// `sent`, `delivered`.
    #[serde(rename = "sent+delivered")]
    Delivered,
    /// `sent`, `delivered`, `read`.
    #[serde(rename = "sent+delivered+read")]
    Read,
}

/// Whether something is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Taken {
    /// It is.
    Accept,
    /// It is not.
    Refuse,
}

/// How a digest is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Digest {
    /// Lower-case hex.
    Hex,
    /// Base64.
    Base64,
}

/// Every setting. `POST /admin/knobs` takes any of them and leaves the others.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Knobs {
    /// Unknown keys at the top level.
    pub unknown_top_level: Unknown,
    /// Longest body of a list message.
    pub list_body_limit: usize,
    /// HTTP status of the rate codes: 400 or 429.
    pub rate_http: u16,
    /// When a code is told, by code, against the table.
    pub split: BTreeMap<String, Split>,
    /// The statuses are posted before the send is answered.
    pub status_before_answer: bool,
    /// How far statuses go.
    pub receipts: Receipts,
    /// Whether webhooks are made at all.
    pub webhooks: bool,
    /// Most updates of one POST, up to 1000.
    pub batch: usize,
    /// How many times more each POST is sent, at once.
    pub duplicates: usize,
    /// Updates that are due together go out in any order.
    pub shuffle: bool,
    /// Seconds of the driven clock before an update is due.
    pub delay_seconds: i64,
    /// So many POSTs count as failed without being sent, and are retried.
    pub drop_first: u32,
    /// Gaps between the attempts of a POST; the last one repeats until seven days are over.
    pub retry_gaps_seconds: Vec<i64>,
    /// POSTs at a time.
    pub parallel: usize,
    /// Recipients nobody set up: made on the way, or without WhatsApp.
    pub unknown_users: Taken,
    /// Whether a leading `+` in `to` is taken.
    pub plus: Taken,
    /// Unknown message ids in `context`, `reaction` and read marks.
    pub unknown_message_ids: Taken,
    /// Handles in the headers of new templates that no upload gave out.
    pub unknown_handles: Taken,
    /// Whether the app demands `appsecret_proof`; one that is given is always checked.
    pub require_proof: bool,
    /// Products, orders and catalogs: accepted as they are, or 131051.
    pub products: Taken,
    /// The code for a quick reply with `type: "text"`; 0 accepts it.
    pub quick_reply_text: i64,
    /// Links that hold one of these texts cannot be fetched: 131053.
    pub bad_links: Vec<String>,
    /// Countries (two letters) that the business may not message: 130497.
    pub blocked_countries: Vec<String>,
    /// Marketing templates a user gets in 24 h outside the window before 131049.
    pub marketing_per_user: Option<usize>,
    /// The code when the tier is exceeded; 0 only counts the violation.
    pub tier_code: i64,
    /// Management calls an hour, per app and WABA; unset follows Meta (200, or 5000 with a registered number).
    pub management_per_hour: Option<usize>,
    /// New templates are approved after so many seconds; unset waits for the admin.
    pub approve_after_seconds: Option<i64>,
    /// Statuses carry `conversation`, as up to v23.
    pub conversation: bool,
    /// The digest of a media look-up.
    pub sha256: Digest,
    /// Throughput, pair, tier and management limits answer; off, they are only counted.
    pub limits: bool,
}

impl Default for Knobs {
    fn default() -> Self {
        Self {
            unknown_top_level: Unknown::Strict,
            list_body_limit: 4096,
            rate_http: 400,
            split: BTreeMap::new(),
            status_before_answer: false,
            receipts: Receipts::Delivered,
            webhooks: true,
            batch: 1,
            duplicates: 0,
            shuffle: false,
            delay_seconds: 0,
            drop_first: 0,
            retry_gaps_seconds: vec![0, 60, 300, 900, 3600, 14_400, 43_200, 86_400],
            parallel: 1,
            unknown_users: Taken::Accept,
            plus: Taken::Accept,
            unknown_message_ids: Taken::Accept,
            unknown_handles: Taken::Refuse,
            require_proof: false,
            products: Taken::Accept,
            quick_reply_text: 0,
            bad_links: Vec::new(),
            blocked_countries: Vec::new(),
            marketing_per_user: None,
            tier_code: 131_048,
            management_per_hour: None,
            approve_after_seconds: None,
            conversation: false,
            sha256: Digest::Hex,
            limits: true,
        }
    }
}

impl Knobs {
    /// When a code is told.
    pub fn split_of(&self, code: i64) -> Split {
        match self.split.get(&code.to_string()) {
            Some(split) => *split,
            None if known(code).later => Split::Async,
            None => Split::Sync,
        }
    }

    /// The settings with these changed. The error names the key.
    pub fn changed(&self, patch: &Value) -> anyhow::Result<Self> {
        let mut all = serde_json::to_value(self)?;
        let Some(changes) = patch.as_object() else { anyhow::bail!("knobs are an object") };
        for (key, value) in changes {
            all[key.as_str()] = value.clone();
        }
        let knobs: Self = serde_json::from_value(all)?;
        anyhow::ensure!((1..=1000).contains(&knobs.batch), "batch is between 1 and 1000");
        anyhow::ensure!((1..=64).contains(&knobs.parallel), "parallel is between 1 and 64");
        anyhow::ensure!(knobs.duplicates <= 16, "duplicates is at most 16");
        anyhow::ensure!(matches!(knobs.rate_http, 400 | 429), "rate_http is 400 or 429");
        anyhow::ensure!(!knobs.retry_gaps_seconds.is_empty(), "retry_gaps_seconds has at least one gap");
        Ok(knobs)
    }
}
