//! States: the part of a message that changes. A message without a row here is in its initial state.
//!
//! A row is `format:1 rank:1` and the state as postcard; in format 2, the channel's code of the state's reason follows. Only a state with
//! such a code is written in format 2. The rank is repeated from the record so that a step, which must know
//! the old and the new queue entry, need not read the record; the connector is in the columns.

use pombo_domain::MessageKey;
use pombo_domain::model::MessageState;
use pombo_domain::model::message::Position;
use pombo_domain::ports::StoreResult;

use crate::codec::{FORMAT, append, body_of, damaged};

/// With the channel's code of the reason.
const CODED_FORMAT: u8 = 2;

pub(crate) fn encode(rank: u8, state: &MessageState) -> Vec<u8> {
    let mut row = Vec::with_capacity(64);
    let code = state.reason.as_ref().and_then(|reason| reason.channel_code.as_ref());
    row.push(if code.is_some() { CODED_FORMAT } else { FORMAT });
    row.push(rank);
    match code {
        Some(code) => append(row, &(state, code)),
        None => append(row, state),
    }
}

/// Rank and state.
pub(crate) fn decode(row: &[u8]) -> StoreResult<(u8, MessageState)> {
    match row {
        [FORMAT, rank, body @ ..] => Ok((*rank, body_of(body, "states")?)),
        [CODED_FORMAT, rank, body @ ..] => {
            let (mut state, code) = body_of::<(MessageState, String)>(body, "states")?;
            if let Some(reason) = &mut state.reason {
                reason.channel_code = Some(code);
            }
            Ok((*rank, state))
        }
        _ => Err(damaged("states: an unknown row format")),
    }
}

/// What [`MessageState::position`] needs of a message, and nothing else of it.
pub(crate) struct Place {
    serial: u64,
    rank: u8,
}

impl Place {
    pub(crate) fn new(key: MessageKey, rank: u8) -> Self {
        Self { serial: key.serial, rank }
    }

    /// The place that a state gives the message in the queues.
    pub(crate) fn of(&self, state: &MessageState) -> Position {
        state.position_at(self.rank, self.serial)
    }
}
