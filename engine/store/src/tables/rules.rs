//! What channels demand of senders: what a channel told of a connector's limits, of starting conversations and of an audience's limit, and
//! which people of an audience were written to when.
//!
//! The row of a person is the instant, and until when the person counts. Invariant: the instant never goes back. Earlier engines wrote the
//! instant alone; such a person is kept for the longest window that a plugin may declare.

use pombo_domain::model::outreach::{MAX_RELEASES, OutreachRecord};
use pombo_domain::model::rules::ChannelLimits;
use pombo_domain::ports::{AudienceKey, PeoplePage, PersonKey, RuleChange, StoreResult};
use pombo_domain::{ConnectorIndex, Timestamp};

use crate::backend::{Backend, KeyRange, Order};
use crate::codec::{bad_key, damaged, decode, encode};
use crate::keys;
use crate::space::Space;
use crate::staged::Staged;

const AUDIENCES: &str = "audiences";

/// The longest window that a plugin may declare, ms: 366 days.
const LONGEST_WINDOW_MS: i64 = 366 * 24 * 3_600_000;

pub(crate) fn apply(staged: &mut Staged<'_>, change: &RuleChange) -> StoreResult<()> {
    match change {
        RuleChange::Limits(connector, limits) => {
            let key = keys::of_connector(keys::CHANNEL_LIMITS, *connector).bytes();
            staged.put(Space::Documents, key, encode(limits));
        }
        RuleChange::Outreach { connector, told, release } => change_outreach(staged, *connector, |record| {
            (record.told, record.started) = (*told, 0);
            record.release.extend(release);
            record.release.sort_unstable();
            record.release.dedup();
            record.release.truncate(MAX_RELEASES);
        })?,
        RuleChange::OutreachStarted { connector, started } => {
            change_outreach(staged, *connector, |record| record.started = *started)?;
        }
        RuleChange::OutreachReleased { connector, at } => {
            change_outreach(staged, *connector, |record| record.release.retain(|one| one != at))?;
        }
        RuleChange::AudienceLimit { audience, limit } => {
            staged.put(Space::Documents, keys::audience_limit(audience).bytes(), encode(limit));
        }
        RuleChange::Reached { audience, person, at, until } => {
            let key = keys::audience_person(audience, person);
            let known = staged.get(Space::Documents, &key)?.map(|row| parse_person(&row)).transpose()?;
            if known.is_none_or(|(known, _)| known < *at) {
                staged.put(Space::Documents, key.bytes(), person_row(*at, *until));
            }
        }
        RuleChange::Forgotten { audience, person, upto } => {
            let key = keys::audience_person(audience, person);
            let known = staged.get(Space::Documents, &key)?.map(|row| parse_person(&row)).transpose()?;
            if known.is_some_and(|(known, _)| known <= *upto) {
                staged.delete(Space::Documents, key.bytes());
            }
        }
    }
    Ok(())
}

fn change_outreach(
    staged: &mut Staged<'_>,
    connector: ConnectorIndex,
    change: impl FnOnce(&mut OutreachRecord),
) -> StoreResult<()> {
    let key = keys::of_connector(keys::OUTREACH, connector);
    let known = staged.get(Space::Documents, &key)?.map(|row| parse_outreach(&row)).transpose()?;
    let before = known.unwrap_or_default();
    let mut record = before.clone();
    change(&mut record);
    if record != before {
        staged.put(Space::Documents, key.bytes(), encode(&record));
    }
    Ok(())
}

pub(crate) fn parse_outreach(row: &[u8]) -> StoreResult<OutreachRecord> {
    decode(row, "outreach")
}

pub(crate) fn outreach(backend: &dyn Backend, connector: ConnectorIndex) -> StoreResult<OutreachRecord> {
    let row = backend.get(Space::Documents, &keys::of_connector(keys::OUTREACH, connector))?;
    Ok(row.map(|row| parse_outreach(&row)).transpose()?.unwrap_or_default())
}

fn person_row(at: Timestamp, until: Timestamp) -> Vec<u8> {
    [at.0.to_be_bytes(), until.0.to_be_bytes()].concat()
}

/// When a person was written to, and until when the person counts.
pub(crate) fn parse_person(row: &[u8]) -> StoreResult<(Timestamp, Timestamp)> {
    let instant = |bytes: &[u8]| <[u8; 8]>::try_from(bytes).ok().map(|bytes| Timestamp(i64::from_be_bytes(bytes)));
    let (at, until) = row.split_at(row.len().min(8));
    let parsed = match (instant(at), until.is_empty()) {
        (Some(at), true) => Some((at, at.plus_ms(LONGEST_WINDOW_MS))),
        (Some(at), false) => instant(until).map(|until| (at, until)),
        (None, _) => None,
    };
    parsed.ok_or_else(|| damaged("audiences: a malformed person"))
}

pub(crate) fn parse_audience_limit(row: &[u8]) -> StoreResult<Option<u32>> {
    decode(row, "limits of audiences")
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
        let (_, person) = keys::parse_audience_person(&key).ok_or_else(|| bad_key(AUDIENCES))?;
        people.push((person, parse_person(&value)?.0));
    }
    Ok(people)
}

/// What the channel last told of an audience's limit.
pub(crate) fn audience_limit(backend: &dyn Backend, audience: &AudienceKey) -> StoreResult<Option<Option<u32>>> {
    let row = backend.get(Space::Documents, &keys::audience_limit(audience))?;
    row.map(|row| parse_audience_limit(&row)).transpose()
}

/// Looks at `limit` people of all audiences, after `after`, for those who no longer count at `now`.
pub(crate) fn expired_people(
    backend: &dyn Backend,
    now: Timestamp,
    after: Option<(AudienceKey, PersonKey)>,
    limit: usize,
) -> StoreResult<PeoplePage> {
    let all = KeyRange::prefix(&[keys::AUDIENCE]);
    let range = match after {
        Some((audience, person)) => all.after(&keys::audience_person(&audience, &person)),
        None => all,
    };
    let (mut page, mut looked) = (PeoplePage::default(), 0);
    for row in backend.scan(Space::Documents, range, Order::Forward).take(limit) {
        let (key, value) = row?;
        let (audience, person) = keys::parse_audience_person(&key).ok_or_else(|| bad_key(AUDIENCES))?;
        let (at, until) = parse_person(&value)?;
        if until <= now {
            page.expired.push((audience, person, at));
        }
        looked += 1;
        page.next = Some((audience, person));
    }
    if looked < limit {
        page.next = None;
    }
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_of_an_earlier_engine_is_kept_for_the_longest_window() {
        let at = Timestamp(1_700_000_000_000);
        assert_eq!(parse_person(&at.0.to_be_bytes()), Ok((at, at.plus_ms(LONGEST_WINDOW_MS))));
        assert_eq!(parse_person(&person_row(at, at.plus_ms(5))), Ok((at, at.plus_ms(5))));
        for length in [0, 7, 9, 15, 17] {
            assert!(parse_person(&[0; 17][..length]).is_err(), "{length} bytes");
        }
    }
}
