//! What one group commit changes in the columns, as absolute values: replaying it again, or over an image that has it
//! already, changes nothing.

use pombo_domain::ports::StoreResult;
use pombo_domain::{MessageKey, TenantIndex, Timestamp};

use super::block::Row;
use crate::codec::damaged;
use crate::keys::Parts;

const FORMAT: u8 = 1;
const ROW: u8 = 1;
const ROW_WITH_PRINT: u8 = 2;
const WORD: u8 = 3;

/// A step of a delta.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A new message.
    Row(MessageKey, Row),
    /// A message's new word.
    Word(MessageKey, u32),
}

/// The steps in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Delta(pub(crate) Vec<Step>);

impl Delta {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(1 + self.0.len() * 34);
        out.push(FORMAT);
        let place = |out: &mut Vec<u8>, tag: u8, key: &MessageKey| {
            out.push(tag);
            out.extend_from_slice(&key.tenant.0.to_be_bytes());
            out.extend_from_slice(&key.serial.to_be_bytes()[3..]);
        };
        for step in &self.0 {
            match step {
                Step::Row(key, row) => {
                    place(&mut out, if row.print.is_some() { ROW_WITH_PRINT } else { ROW }, key);
                    out.extend_from_slice(&row.word.to_be_bytes());
                    out.extend_from_slice(&(row.at.0 as u64).to_be_bytes());
                    if let Some(print) = row.print {
                        out.extend_from_slice(&print.to_be_bytes());
                    }
                }
                Step::Word(key, word) => {
                    place(&mut out, WORD, key);
                    out.extend_from_slice(&word.to_be_bytes());
                }
            }
        }
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> StoreResult<Self> {
        Self::parse(bytes).ok_or_else(|| damaged("columns: a malformed delta"))
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let mut parts = Parts(bytes);
        if parts.u8()? != FORMAT {
            return None;
        }
        let mut steps = Vec::with_capacity(bytes.len() / 14);
        while !parts.0.is_empty() {
            let tag = parts.u8()?;
            let key = MessageKey { tenant: TenantIndex(parts.u32()?), serial: parts.serial()? };
            let word = parts.u32()?;
            steps.push(match tag {
                WORD => Step::Word(key, word),
                ROW | ROW_WITH_PRINT => {
                    let at = Timestamp(parts.u64()? as i64);
                    let print = if tag == ROW_WITH_PRINT { Some(parts.u64()?) } else { None };
                    Step::Row(key, Row { word, at, print })
                }
                _ => return None,
            });
        }
        Some(Self(steps))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delta_reads_back() {
        let key = |serial| MessageKey { tenant: TenantIndex(9), serial };
        let delta = Delta(vec![
            Step::Row(key(5), Row { word: 7, at: Timestamp(-4), print: None }),
            Step::Word(key(1 << 39), 0x8000_0001),
            Step::Row(key(6), Row { word: 8, at: Timestamp(99), print: Some(u64::MAX) }),
        ]);
        let bytes = delta.encode();
        assert_eq!(Delta::decode(&bytes).expect("good").0, delta.0);
        assert!(Delta::decode(&bytes[..bytes.len() - 1]).is_err());
    }
}
