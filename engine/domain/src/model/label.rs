//! A label: the queue or the status of a conversation, as the tenant names them. A conversation names it by its number, so renaming it
//! changes one record.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Color;
use crate::{TenantIndex, Timestamp};

/// Maximum number of labels of one kind of one tenant; a further one is refused.
pub const MAX_LABELS_OF_TENANT: usize = 1_000;

/// What a label is. The numbers are in the store's keys: never reuse one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum LabelKind {
    /// Who looks after a conversation: a department, a team.
    Queue = 0,
    /// How far a conversation has come.
    Status = 1,
}

impl LabelKind {
    /// All, in the order of their numbers.
    pub const ALL: [Self; 2] = [Self::Queue, Self::Status];

    /// What it is called in messages to callers.
    pub const fn noun(self) -> &'static str {
        match self {
            Self::Queue => "Queue",
            Self::Status => "Conversation status",
        }
    }
}

/// A queue or a status of conversations. Invariant: no other label of its tenant and kind has the same name, however its letters are
/// written (case and accents do not count).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    /// What it is.
    pub kind: LabelKind,
    /// The tenant that owns it.
    pub tenant: TenantIndex,
    /// The tenant's number for it: from 1 for each kind, never given twice. 0 for a new one: the store gives the number.
    pub number: u32,
    /// Public id.
    pub id: Uuid,
    /// The name, as it is shown.
    pub name: String,
    /// The colour that it is shown in.
    pub color: Option<Color>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}
