//! The engine's control API about plugins, as far as this program reads it. Unknown fields are ignored: the engine may be newer
//! than this program.

use pombo_domain::model;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

/// What a plugin asks for, or was granted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Wants {
    pub(super) hosts: Vec<String>,
    pub(super) capabilities: Vec<String>,
    pub(super) kv_bytes: u64,
    pub(super) cpu_ms: u32,
    pub(super) memory_bytes: u64,
    pub(super) events_per_minute: u32,
}

impl From<model::Wants> for Wants {
    fn from(wants: model::Wants) -> Self {
        let model::Wants { hosts, capabilities, kv_bytes, cpu_ms, memory_bytes, events_per_minute } = wants;
        Self { hosts, capabilities, kv_bytes, cpu_ms, memory_bytes, events_per_minute }
    }
}

impl From<&Wants> for model::Wants {
    fn from(wants: &Wants) -> Self {
        let Wants { hosts, capabilities, kv_bytes, cpu_ms, memory_bytes, events_per_minute } = wants.clone();
        Self { hosts, capabilities, kv_bytes, cpu_ms, memory_bytes, events_per_minute }
    }
}

/// The answer to an upload.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Uploaded {
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) version: String,
    pub(super) digest: String,
    pub(super) status: String,
    #[serde(default)]
    pub(super) wants: Wants,
    #[serde(default)]
    pub(super) granted: Option<Wants>,
    #[serde(default)]
    pub(super) signed_by: Option<Value>,
    #[serde(default)]
    pub(super) is_new: bool,
}

/// A plugin, as far as the commands show it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Plugin {
    pub(super) name: String,
    #[serde(default)]
    pub(super) kind: Option<String>,
    #[serde(default)]
    pub(super) display_name: Option<String>,
    #[serde(default)]
    pub(super) version: Option<String>,
    #[serde(default)]
    pub(super) active: Option<String>,
    #[serde(default)]
    pub(super) previous: Option<String>,
    #[serde(default)]
    pub(super) versions: Vec<Version>,
    #[serde(default)]
    pub(super) rollout: Option<Rollout>,
}

/// One of its versions.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Version {
    pub(super) digest: String,
    pub(super) version: String,
    #[serde(default)]
    pub(super) status: String,
    #[serde(default)]
    pub(super) reason: Option<String>,
    #[serde(default)]
    pub(super) size: u64,
    #[serde(default)]
    pub(super) uploaded_at: Option<String>,
    #[serde(default)]
    pub(super) uploaded_by: Option<String>,
    #[serde(default)]
    pub(super) signed_by: Option<Value>,
}

/// A change of versions that is in progress.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Rollout {
    pub(super) to: String,
    pub(super) share: u8,
    pub(super) automatic: bool,
}

/// A line of a plugin's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Line {
    pub(super) number: u64,
    pub(super) at: String,
    #[serde(default)]
    pub(super) digest: String,
    pub(super) level: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) instance_id: Option<Uuid>,
    pub(super) text: String,
}

/// A page of a plugin's log.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct LogPage {
    pub(super) data: Vec<Line>,
    /// The `after` for the next page.
    pub(super) next: u64,
}

/// A page of a list.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Page<T> {
    pub(super) data: Vec<T>,
}

/// How a candidate answered recorded calls.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Replayed {
    pub(super) calls: u64,
    pub(super) same: u64,
    /// Number of calls that were answered differently, even if not all are listed.
    pub(super) different: u64,
    /// Number of calls in which the candidate failed, whatever was recorded.
    pub(super) failed: u64,
    #[serde(default)]
    pub(super) unreadable: u64,
    /// Whether all recordings were tried.
    pub(super) complete: bool,
    #[serde(default)]
    pub(super) differ: Vec<Difference>,
}

/// One call that the candidate answered differently.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Difference {
    pub(super) at: String,
    pub(super) kind: String,
    pub(super) event_id: Uuid,
    pub(super) automation_id: Uuid,
    pub(super) conversation_id: Uuid,
    pub(super) was: Value,
    pub(super) is: Value,
}

/// The body of an error.
#[derive(Debug, Default, Deserialize)]
pub(super) struct ErrorBody {
    pub(super) error: ErrorDetail,
}

/// Why the engine refused a request.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ErrorDetail {
    pub(super) code: String,
    pub(super) message: String,
    pub(super) fields: Vec<FieldProblem>,
}

/// A wrong field.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct FieldProblem {
    pub(super) field: String,
    pub(super) message: String,
}
