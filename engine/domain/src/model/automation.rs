//! An automation: a plugin of that kind with a configuration, put on a connector. Several automations on one connector are asked
//! in their order, until one claims the event; observers are always asked.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{AutomationIndex, ConnectorIndex, TenantIndex, Timestamp};

/// Whether an automation is to be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum AutomationStatus {
    /// It is called.
    Active,
    /// It is not called; events that happen in the meantime are not handled later.
    Paused,
    /// It was deleted.
    Deleted,
}

/// A configured automation.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Automation {
    /// Public id.
    pub id: Uuid,
    /// Its number in this store.
    pub index: AutomationIndex,
    /// The tenant that owns it.
    pub tenant: TenantIndex,
    /// The connector in whose conversations it answers.
    pub connector: ConnectorIndex,
    /// Display name.
    pub name: String,
    /// Name of its plugin.
    pub plugin: String,
    /// Configuration without the secret fields, a JSON object as text.
    pub config: String,
    /// The secret fields, each sealed by [`crate::ports::SecretBox`] with the context `automation:{id}:{field}`.
    pub secrets: BTreeMap<String, Vec<u8>>,
    /// Its position among the connector's automations; equal ones are ordered by index.
    pub position: u32,
    /// Copied from its plugin, see [`crate::ports::AutomationDescription::observer`].
    pub observer: bool,
    /// Copied from its plugin: the events that it is called for.
    pub events: EventKinds,
    /// Whether it is to be called.
    pub status: AutomationStatus,
    /// Whether it is called in groups too.
    pub groups: bool,
    /// Whether its inputs and answers are recorded, for replays.
    pub record: bool,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

impl std::fmt::Debug for Automation {
    /// Without its configuration, which may contain what nobody else must read.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Automation").field("id", &self.id).field("plugin", &self.plugin).finish_non_exhaustive()
    }
}

impl Automation {
    /// Whether it is called for an event of this kind, in a group or not.
    pub fn listens_to(&self, kind: EventKind, in_group: bool) -> bool {
        self.status == AutomationStatus::Active && self.events.has(kind) && (self.groups || !in_group)
    }
    /// The key by which automations are ordered.
    pub fn order(&self) -> (u32, u32) {
        (self.position, self.index.0)
    }
}

/// The kinds of event that an automation can be called for. The numbers are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum EventKind {
    /// Somebody wrote a message.
    MessageReceived = 0,
    /// A message that it sent changed its status.
    StatusChanged = 1,
    /// Somebody reacted to a message.
    Reaction = 2,
    /// A conversation opened; its first event follows.
    ConversationOpened = 3,
    /// A timer of the conversation fired.
    TimerFired = 4,
    /// Somebody started the automation by hand.
    Started = 5,
    /// Somebody called the automation's webhook.
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

/// A set of [`EventKind`]s, as a bit mask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventKinds(pub u16);

impl EventKinds {
    /// Whether the set contains the kind.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kinds_are_those_of_the_world_in_its_order() {
        let world = include_str!("../../../../wit/automation/automation.wit");
        let (_, rest) = world.split_once("enum event-kind {").expect("the world declares them");
        let (body, _) = rest.split_once('}').expect("it ends");
        let declared: Vec<&str> = body.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
        assert_eq!(EventKind::ALL.map(EventKind::as_str).to_vec(), declared);
        assert!(EventKind::ALL.iter().enumerate().all(|(number, kind)| *kind as usize == number));
    }
}
