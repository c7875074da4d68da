//! States: the part of a message that changes. A message without a row here is in its initial state.
//!
//! A row is `format:1 rank:1` and the state as postcard. The rank is repeated from the record so that a step, which must know
//! the old and the new queue entry, need not read the record; the connector is in the columns.

use pombo_domain::MessageKey;
use pombo_domain::model::message::Position;
use pombo_domain::model::{Message, MessageOptions, MessageState, MessageType, NewMessage};
use pombo_domain::ports::StoreResult;
use pombo_domain::{ConnectorIndex, Timestamp};
use uuid::Uuid;

use crate::codec::{FORMAT, append, body_of, damaged};

pub(crate) fn encode(rank: u8, state: &MessageState) -> Vec<u8> {
    let mut row = Vec::with_capacity(64);
    row.push(FORMAT);
    row.push(rank);
    append(row, state)
}

/// Rank and state.
pub(crate) fn decode(row: &[u8]) -> StoreResult<(u8, MessageState)> {
    match row {
        [FORMAT, rank, body @ ..] => Ok((*rank, body_of(body, "states")?)),
        _ => Err(damaged("states: an unknown row format")),
    }
}

/// What [`MessageState::position`] needs of a message, and nothing else of it.
pub(crate) struct Place(Message);

impl Place {
    pub(crate) fn new(key: MessageKey, rank: u8) -> Self {
        let content = NewMessage {
            connector: ConnectorIndex(0),
            to: String::new(),
            text: String::new(),
            subject: None,
            contact_name: None,
            message_type: MessageType::General,
            priority: 11_u8.saturating_sub(rank).clamp(1, 10),
            scheduled_at: None,
            requires_approval: false,
            force_direct: rank == 0,
            notes: None,
            webhook_url: None,
            external_id: None,
            attachments: Vec::new(),
            attachment_url: None,
            variables: None,
            options: MessageOptions::default(),
        };
        Self(Message { id: Uuid::nil(), key, created_at: Timestamp(0), content })
    }

    /// The place that a state gives the message in the queues.
    pub(crate) fn of(&self, state: &MessageState) -> Position {
        state.position(&self.0)
    }
}
