//! What channels demand of senders: what a channel told of a connector's limits, and which people of an audience were written to when.
//!
//! The row of a person is the instant alone. Invariant: it never goes back.

use pombo_domain::model::rules::ChannelLimits;
use pombo_domain::ports::{AudienceKey, PersonKey, RuleChange, StoreResult};
use pombo_domain::{ConnectorIndex, Timestamp};

use crate::backend::{Backend, KeyRange, Order};
use crate::codec::{bad_key, damaged, decode, encode};
use crate::keys;
use crate::space::Space;
use crate::staged::Staged;

const AUDIENCES: &str = "audiences";

pub(crate) fn apply(staged: &mut Staged<'_>, change: &RuleChange) -> StoreResult<()> {
    match change {
        RuleChange::Limits(connector, limits) => {
            let key = keys::of_connector(keys::CHANNEL_LIMITS, *connector).bytes();
            staged.put(Space::Documents, key, encode(limits));
        }
        RuleChange::Reached { audience, person, at } => {
            let key = keys::audience_person(audience, person);
            let known = staged.get(Space::Documents, &key)?.map(|row| parse_instant(&row)).transpose()?;
            if known.is_none_or(|known| known < *at) {
                staged.put(Space::Documents, key.bytes(), instant(*at));
            }
        }
        RuleChange::Forgotten { audience, person, upto } => {
            let key = keys::audience_person(audience, person);
            let known = staged.get(Space::Documents, &key)?.map(|row| parse_instant(&row)).transpose()?;
            if known.is_some_and(|known| known <= *upto) {
                staged.delete(Space::Documents, key.bytes());
            }
        }
    }
    Ok(())
}

fn instant(at: Timestamp) -> Vec<u8> {
    at.0.to_be_bytes().to_vec()
}

pub(crate) fn parse_instant(row: &[u8]) -> StoreResult<Timestamp> {
    let bytes: [u8; 8] = row.try_into().map_err(|_| damaged("audiences: a malformed instant"))?;
    Ok(Timestamp(i64::from_be_bytes(bytes)))
}

pub(crate) fn parse_limits(row: &[u8]) -> StoreResult<ChannelLimits> {
    decode(row, "channel limits")
}

pub(crate) fn limits(backend: &dyn Backend, connector: ConnectorIndex) -> StoreResult<ChannelLimits> {
    let row = backend.get(Space::Documents, &keys::of_connector(keys::CHANNEL_LIMITS, connector))?;
    Ok(row.map(|row| parse_limits(&row)).transpose()?.unwrap_or_default())
}

/// The people of an audience, at most `limit`.
pub(crate) fn audience(
    backend: &dyn Backend,
    audience: &AudienceKey,
    limit: usize,
) -> StoreResult<Vec<(PersonKey, Timestamp)>> {
    let range = KeyRange::prefix(&keys::audience(audience));
    let mut people = Vec::new();
    for row in backend.scan(Space::Documents, range, Order::Forward).take(limit) {
        let (key, value) = row?;
        let person: Option<PersonKey> = key.get(1 + 16..).and_then(|person| person.try_into().ok());
        people.push((person.ok_or_else(|| bad_key(AUDIENCES))?, parse_instant(&value)?));
    }
    Ok(people)
}
