//! A template: a text with variables that a tenant sends again and again. One without a connector is the tenant's own text and goes
//! through any connector. One of a connector is kept and approved by its channel, which the engine asks for it and tells of changes; what
//! is sent then is its name with the values, as content of the kind [`CONTENT_KIND`].
//!
//! `components`: what it consists of. `scan`: variables inside a text. `fill`: values for its variables; `values`: how callers give them;
//! `lengths`: texts that become too long with them. `check`: what a channel's template must be. `samples`: files that show what a header will be. `exchange`: the JSON in
//! which templates travel to and from connectors.

mod check;
mod components;
mod exchange;
mod fill;
mod lengths;
mod samples;
mod scan;
#[cfg(test)]
mod tests;
mod values;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use self::check::{MAX_NAME_CHARS, check_for_channel, check_own};
pub use self::components::{Button, ButtonKind, Card, Component, Examples, HeaderFormat};
pub use self::exchange::{
    RemoteTemplate, channel_json, components_json, components_with, read_components, read_page, read_template,
};
pub use self::fill::{Filled, HeaderMedia, MAX_VALUE_CHARS, Place, TemplateVariable, VariableProblem};
pub use self::samples::{samples_mut, samples_of, with_known_samples};
pub use self::scan::{Piece, pieces};
use super::rules::Quality;
use super::{Attachment, MessageType, OwnContent};
use crate::words::words;
use crate::{ConnectorIndex, TenantIndex, Timestamp};

/// Maximum number of templates of one tenant; a further one is refused, and a connector's list is taken up to it.
pub const MAX_TEMPLATES_OF_TENANT: usize = 10_000;

/// The kind of content as which a connector's template is sent.
pub const CONTENT_KIND: &str = "template";

/// The feature of connectors whose channel keeps templates.
pub const FEATURE: &str = "templates";

/// A template. Invariant: no other template of its tenant has the same connector, name and language.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Template {
    /// The tenant's number for it: from 1, never given twice. 0 for a new one: the store gives the number.
    pub number: u32,
    /// Public id.
    pub id: Uuid,
    /// The tenant that owns it.
    pub tenant: TenantIndex,
    /// The connector whose channel keeps it; `None`: a text of the tenant's own, for any connector.
    pub connector: Option<ConnectorIndex>,
    /// Its name.
    pub name: String,
    /// Its language, e.g. `pt_BR`.
    pub language: Option<String>,
    /// What it is for.
    pub category: TemplateCategory,
    /// How its variables are named.
    pub format: TemplateFormat,
    /// Whether it can be sent.
    pub status: TemplateStatus,
    /// How the channel rates it.
    pub quality: Quality,
    /// Why it has its status, as the channel says.
    pub reason: Option<String>,
    /// The channel's id of it.
    pub remote_id: Option<String>,
    /// What it consists of, in order.
    pub components: Vec<Component>,
    /// What the tenant calls the variables of the body besides, where they are numbered: one name for each, in the order of their numbers.
    /// Empty: nothing. The channel does not know these names. Stored beside the other fields.
    #[serde(skip)]
    pub variable_names: Vec<String>,
    /// When it was created here.
    pub created_at: Timestamp,
    /// When it was last changed here, or its channel last told of it.
    pub updated_at: Timestamp,
}

words! {
    /// What a template is for.
    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "lowercase")]
    pub enum TemplateCategory {
        /// It advertises.
        Marketing = "marketing",
        /// It tells of something that the recipient has a part in.
        Utility = "utility",
        /// It brings a code by which the recipient proves who it is.
        Authentication = "authentication",
    }
}

impl TemplateCategory {
    /// The category of messages that are made from it.
    pub fn message_type(self) -> MessageType {
        match self {
            Self::Marketing => MessageType::Marketing,
            Self::Utility => MessageType::Notification,
            Self::Authentication => MessageType::Transactional,
        }
    }
}

words! {
    /// How a template's variables are named.
    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "lowercase")]
    pub enum TemplateFormat {
        /// By words.
        Named = "named",
        /// By numbers from 1, in each part of their own.
        Positional = "positional",
    }
}

words! {
    /// Whether a template can be sent.
    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    pub enum TemplateStatus {
        /// It can be sent.
        Approved = "approved",
        /// The channel has not decided yet.
        Pending = "pending",
        /// The channel refused it.
        Rejected = "rejected",
        /// The channel paused it, for its quality.
        Paused = "paused",
        /// The channel took it out of use.
        Disabled = "disabled",
        /// Its refusal is looked at again.
        InAppeal = "in-appeal",
        /// It was not used for long.
        Archived = "archived",
        /// It is not there any more.
        Deleted = "deleted",
        /// It is about to be deleted.
        PendingDeletion = "pending-deletion",
        /// The account has too many templates.
        LimitExceeded = "limit-exceeded",
    }
}

impl Template {
    /// The sample of its header, where it is a file that the tenant named.
    pub fn sample(&self) -> Option<&Attachment> {
        self.components.iter().find_map(|component| match component {
            Component::SampledHeader { sample, .. } => Some(sample),
            _ => None,
        })
    }

    /// The category of messages that are made from it.
    pub fn message_type(&self) -> MessageType {
        self.category.message_type()
    }

    /// This template with what its channel lists of it. What the tenant alone knows stays: number, names of variables, samples.
    pub fn with_listed(&self, remote: RemoteTemplate) -> Self {
        Self {
            category: remote.category,
            format: remote.format,
            status: remote.status,
            quality: remote.quality,
            reason: remote.reason,
            remote_id: remote.id,
            components: with_known_samples(remote.components, &self.components),
            ..self.clone()
        }
    }

    /// Whether it can be sent now.
    pub fn is_sendable(&self) -> bool {
        self.status == TemplateStatus::Approved
    }

    /// The text of its body.
    pub fn body(&self) -> Option<&str> {
        self.components.iter().find_map(|component| match component {
            Component::Body { text, .. } => Some(text.as_str()),
            _ => None,
        })
    }

    /// Its content for a connector, from the JSON that [`Self::fill`] made.
    fn content(value: &serde_json::Value) -> OwnContent {
        OwnContent { kind: CONTENT_KIND.to_owned(), value: value.to_string() }
    }
}
