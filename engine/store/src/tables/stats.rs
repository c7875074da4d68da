//! Counts of messages: a small row for each hour or day and what is counted. They are added to where a message reaches a stage.
//! Beside them, which messages had failed before they were tried again, and messages by their channel's ids.

use pombo_domain::model::stats::{StageCounts, StatRow, StatSpan, StatSubject};
use pombo_domain::model::{NewMessage, Stage};
use pombo_domain::ports::{StatFilter, StoreResult};
use pombo_domain::{ConnectorIndex, MessageKey, TenantIndex, Timestamp};

use crate::backend::{Backend, KeyRange, Order};
use crate::codec::{bad_key, decode, encode};
use crate::keys::{self, Parts};
use crate::space::Space;
use crate::staged::Staged;

const WHAT: &str = "stats";

pub(crate) fn parse(row: &[u8]) -> StoreResult<StageCounts> {
    decode(row, WHAT)
}

/// What a message is counted under; `None` for a reaction, an edit or a deletion, which is not one to count.
pub(crate) fn subject_of(content: &NewMessage) -> Option<StatSubject> {
    content.options.action.says().then_some(StatSubject {
        connector: content.connector,
        message_type: content.message_type,
        template: content.options.template,
        campaign: content.options.campaign,
    })
}

/// Counts a message that reached a stage at this time.
pub(crate) fn count(
    staged: &mut Staged<'_>,
    tenant: TenantIndex,
    subject: &StatSubject,
    stage: Stage,
    at: Timestamp,
) -> StoreResult<()> {
    for span in StatSpan::ALL {
        let key = keys::stat(tenant, span, span.of(at), subject).bytes();
        let mut counts = staged.get(Space::Documents, &key)?.map_or(Ok(StageCounts::default()), |row| parse(&row))?;
        counts.count(stage);
        staged.put(Space::Documents, key, encode(&counts));
    }
    Ok(())
}

/// The counts that match; `None` if more than `limit` rows would have to be read.
pub(crate) fn read(
    backend: &dyn Backend,
    tenant: TenantIndex,
    filter: &StatFilter,
    limit: usize,
) -> StoreResult<Option<Vec<StatRow>>> {
    let range = KeyRange::prefix(&keys::stats_of(tenant, filter.span))
        .from(&keys::stats_in(tenant, filter.span, filter.first))
        .through(&keys::stats_in(tenant, filter.span, filter.last));
    let mut found = Vec::new();
    if filter.first > filter.last {
        return Ok(Some(found));
    }
    for (at, row) in backend.scan(Space::Documents, range, Order::Forward).enumerate() {
        if at >= limit {
            return Ok(None);
        }
        let (key, row) = row?;
        let (number, subject) = keys::parse_stat(&key).ok_or_else(|| bad_key(WHAT))?;
        let matches = filter.connector.is_none_or(|wanted| wanted == subject.connector)
            && filter.message_type.is_none_or(|wanted| wanted == subject.message_type)
            && filter.template.is_none_or(|wanted| subject.template == Some(wanted))
            && filter.campaign.is_none_or(|wanted| subject.campaign == Some(wanted));
        if matches {
            found.push(StatRow { number, subject, counts: parse(&row)? });
        }
    }
    Ok(Some(found))
}

/// The keys of the oldest counts before a span.
fn before(backend: &dyn Backend, tenant: TenantIndex, span: StatSpan, before: u32) -> crate::backend::Scan<'_> {
    let Some(last) = before.checked_sub(1) else { return Box::new(std::iter::empty()) };
    let range = KeyRange::prefix(&keys::stats_of(tenant, span)).through(&keys::stats_in(tenant, span, last));
    backend.scan(Space::Documents, range, Order::Forward)
}

/// Whether there are counts before a span.
pub(crate) fn is_before(backend: &dyn Backend, tenant: TenantIndex, span: StatSpan, first: u32) -> StoreResult<bool> {
    Ok(before(backend, tenant, span, first).next().transpose()?.is_some())
}

/// Deletes the oldest counts before a span, at most `limit`.
pub(crate) fn forget(
    backend: &dyn Backend,
    staged: &mut Staged<'_>,
    (tenant, span): (TenantIndex, StatSpan),
    first: u32,
    limit: usize,
) -> StoreResult<()> {
    for row in before(backend, tenant, span, first).take(limit) {
        staged.delete(Space::Documents, row?.0);
    }
    Ok(())
}

/// A message that had failed is tried again: it does not count as failed a second time.
pub(crate) fn note_failed(staged: &mut Staged<'_>, message: MessageKey) {
    staged.put(Space::Documents, keys::of_message(keys::FAILED_BEFORE, message).bytes(), Vec::new());
}

/// Whether a message had failed before it was tried again.
pub(crate) fn failed_before(staged: &Staged<'_>, message: MessageKey) -> StoreResult<bool> {
    Ok(staged.get(Space::Documents, &keys::of_message(keys::FAILED_BEFORE, message))?.is_some())
}

/// Makes a message known by the channel's id of it. Of several with the same id, the last one is.
pub(crate) fn put_provider(staged: &mut Staged<'_>, connector: ConnectorIndex, provider_id: &str, message: MessageKey) {
    let row = keys::message(message).to_vec();
    staged.put(Space::Timeline, keys::provider_message(connector, provider_id), row);
}

/// The message that a channel knows by this id.
pub(crate) fn by_provider(
    backend: &dyn Backend,
    connector: ConnectorIndex,
    provider_id: &str,
) -> StoreResult<Option<MessageKey>> {
    let row = backend.get(Space::Timeline, &keys::provider_message(connector, provider_id))?;
    row.map(|row| parse_provider(&row)).transpose()
}

pub(crate) fn parse_provider(row: &[u8]) -> StoreResult<MessageKey> {
    Parts(row).message().ok_or_else(|| bad_key("provider ids"))
}
