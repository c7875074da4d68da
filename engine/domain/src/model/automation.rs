//! An automation: a plugin of that kind with a configuration, put on a connector. Several on one connector are asked in their
//! order, until one claims the event; observers are asked always.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{AutomationIndex, ConnectorIndex, TenantIndex, Timestamp};

/// What is wanted of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum AutomationStatus {
    /// It is asked.
    Active,
    /// It is not asked; what would have been for it passes by.
    Paused,
    /// Gone.
    Deleted,
}

/// A configured automation.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Automation {
    /// Public id.
    pub id: Uuid,
    /// Its number in this store.
    pub index: AutomationIndex,
    /// Owner.
    pub tenant: TenantIndex,
    /// The connector whose conversations it answers.
    pub connector: ConnectorIndex,
    /// Display name.
    pub name: String,
    /// Its plugin's name.
    pub plugin: String,
    /// Configuration without the secret fields, a JSON object as text.
    pub config: String,
    /// The secret fields, each sealed by [`crate::ports::SecretBox`] with the context `automation:{id}:{field}`.
    pub secrets: BTreeMap<String, Vec<u8>>,
    /// Its place among the connector's automations; equal ones go by index.
    pub position: u32,
    /// Copied from its plugin: see [`crate::ports::AutomationDescription::observer`].
    pub observer: bool,
    /// Copied from its plugin: what it is asked for.
    pub events: EventKinds,
    /// What is wanted of it.
    pub status: AutomationStatus,
    /// Whether it is asked in groups too.
    pub groups: bool,
    /// Whether what it was given and what it answered is kept, for replays.
    pub record: bool,
    /// Creation.
    pub created_at: Timestamp,
    /// Last change.
    pub updated_at: Timestamp,
}

impl std::fmt::Debug for Automation {
    /// Without its configuration: it may hold what nobody else shall read.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Automation").field("id", &self.id).field("plugin", &self.plugin).finish_non_exhaustive()
    }
}

impl Automation {
    /// Whether an event of this kind, in a group or not, is for it.
    pub fn listens_to(&self, kind: EventKind, in_group: bool) -> bool {
        self.status == AutomationStatus::Active && self.events.has(kind) && (self.groups || !in_group)
    }
    /// Its place in the order.
    pub fn order(&self) -> (u32, u32) {
        (self.position, self.index.0)
    }
}

/// What an automation can be asked for. The numbers are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum EventKind {
    /// Somebody wrote.
    MessageReceived = 0,
    /// A message it sent made a step.
    StatusChanged = 1,
    /// Somebody reacted to a message.
    Reaction = 2,
    /// The first event of a conversation follows.
    ConversationOpened = 3,
    /// A timer it set has run out.
    TimerFired = 4,
    /// Somebody started it by hand.
    Started = 5,
    /// Its webhook was called.
    WebhookCalled = 6,
}

impl EventKind {
    /// All, in the order of their numbers.
    pub const ALL: [Self; 7] = [
        Self::MessageReceived,
        Self::StatusChanged,
        Self::Reaction,
        Self::ConversationOpened,
        Self::TimerFired,
        Self::Started,
        Self::WebhookCalled,
    ];
    /// Its name in the APIs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MessageReceived => "message-received",
            Self::StatusChanged => "status-changed",
            Self::Reaction => "reaction",
            Self::ConversationOpened => "conversation-opened",
            Self::TimerFired => "timer-fired",
            Self::Started => "started",
            Self::WebhookCalled => "webhook-called",
        }
    }
}

/// A set of [`EventKind`]s.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventKinds(pub u16);

impl EventKinds {
    /// Whether the kind is among them.
    pub fn has(self, kind: EventKind) -> bool {
        self.0 & 1 << kind as u8 != 0
    }
    /// In the order of their numbers.
    pub fn iter(self) -> impl Iterator<Item = EventKind> {
        EventKind::ALL.into_iter().filter(move |kind| self.has(*kind))
    }
}

impl FromIterator<EventKind> for EventKinds {
    fn from_iter<I: IntoIterator<Item = EventKind>>(kinds: I) -> Self {
        Self(kinds.into_iter().fold(0, |bits, kind| bits | 1 << kind as u8))
    }
}
