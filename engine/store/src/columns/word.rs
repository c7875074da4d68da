//! A message's attributes in one packed word.
//!
//! ```text
//! bit  31     30       29 ........... 6   5 .. 3   2 .. 0
//!      alive  changed  connector          type     status
//! ```

use pombo_domain::ConnectorIndex;
use pombo_domain::model::{MessageType, Status};

const STATUS: u32 = 0b111;
const TYPE_SHIFT: u32 = 3;
const TYPE: u32 = 0b111 << TYPE_SHIFT;
const CONNECTOR_SHIFT: u32 = 6;
const CONNECTOR: u32 = 0x00ff_ffff << CONNECTOR_SHIFT;
const CHANGED: u32 = 1 << 30;
const ALIVE: u32 = 1 << 31;

/// Packs a message's status, type and connector.
pub(crate) fn pack(status: Status, kind: MessageType, connector: ConnectorIndex) -> u32 {
    ALIVE | (status as u32) | ((kind as u32) << TYPE_SHIFT) | ((connector.0 & 0x00ff_ffff) << CONNECTOR_SHIFT)
}

/// The word of the same message after its status became `status`.
pub(crate) fn stepped(word: u32, status: Status) -> u32 {
    (word & !STATUS) | CHANGED | status as u32
}

/// Whether its state ever changed; if not, it has no row among the states.
pub(crate) fn is_changed(word: u32) -> bool {
    word & CHANGED != 0
}

/// The stored number of the status in a word.
pub(crate) fn status(word: u32) -> usize {
    (word & STATUS) as usize
}

/// The connector in a word.
pub(crate) fn connector(word: u32) -> ConnectorIndex {
    ConnectorIndex((word & CONNECTOR) >> CONNECTOR_SHIFT)
}

/// What a word must be, under a mask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pattern {
    mask: u32,
    value: u32,
}

impl Pattern {
    /// Attributes that are `None` match all.
    pub(crate) fn of(status: Option<Status>, kind: Option<MessageType>, connector: Option<ConnectorIndex>) -> Self {
        let mut pattern = Self { mask: ALIVE, value: ALIVE };
        if let Some(status) = status {
            pattern.add(STATUS, status as u32);
        }
        if let Some(kind) = kind {
            pattern.add(TYPE, (kind as u32) << TYPE_SHIFT);
        }
        if let Some(connector) = connector {
            pattern.add(CONNECTOR, connector.0 << CONNECTOR_SHIFT);
        }
        pattern
    }
    fn add(&mut self, mask: u32, value: u32) {
        self.mask |= mask;
        self.value |= value & mask;
    }
    /// Whether it matches every message.
    pub(crate) fn is_any(self) -> bool {
        self.mask == ALIVE
    }
    #[inline]
    pub(crate) fn matches(self, word: u32) -> bool {
        word & self.mask == self.value
    }
}
