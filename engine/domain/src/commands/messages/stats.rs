//! How many messages reached which stage, from the counts that the store keeps: messages themselves are not looked at. And the end of
//! counts that are too old.

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::commands::Commands;
use crate::commands::connectors::unknown_connector;
use crate::model::stats::{DAY_MS, DAYS_KEPT, HOURS_KEPT_DAYS, StatRow, StatSpan};
use crate::model::{MessageType, StageCounts};
use crate::ports::{Batch, Change, StatChange, StatFilter};
use crate::words::words;
use crate::{ConnectorIndex, Error, Field, FieldProblem, Result, TenantIndex, Timestamp};

/// For how many days counts are told where nobody says otherwise.
pub const DEFAULT_DAYS: i64 = 7;
/// Maximum number of counts that are read for one answer.
const MAX_READ: usize = 200_000;
/// Maximum number of rows of one answer.
pub const MAX_ROWS: usize = 20_000;
/// Maximum number of counts deleted in one batch.
const FORGET: usize = 1_000;

words! {
    /// What counts can be split by.
    pub enum Dimension {
        /// The hour; kept for 45 days.
        Hour = "hour",
        /// The day, of UTC; kept for 400 days.
        Day = "day",
        /// The connector.
        Connector = "connector",
        /// The category.
        Category = "category",
        /// The template that messages were made from.
        Template = "template",
        /// The campaign that messages are rows of.
        Campaign = "campaign",
    }
}

/// Which counts are asked for. Filters are combined by AND.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StatQuery {
    /// From the hour or day in which this lies; [`DEFAULT_DAYS`] before the end if omitted.
    pub from: Option<Timestamp>,
    /// To the hour or day in which this lies; now if omitted.
    pub to: Option<Timestamp>,
    /// What they are split by; not by hour and day at once.
    pub by: Vec<Dimension>,
    /// Only those of this connector, by its public id.
    pub connector: Option<Uuid>,
    /// Only those of this category.
    pub message_type: Option<MessageType>,
    /// Only those of the template with this number.
    pub template: Option<u32>,
    /// Only those of the campaign with this number.
    pub campaign: Option<u32>,
}

/// The counts of one part. What they are not split by is `None`; so is a template or campaign where there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatPart {
    /// When the hour or day begins.
    pub at: Option<Timestamp>,
    /// The connector.
    pub connector: Option<Uuid>,
    /// The category.
    pub message_type: Option<MessageType>,
    /// Number of the template.
    pub template: Option<u32>,
    /// Number of the campaign.
    pub campaign: Option<u32>,
    /// How many.
    pub counts: StageCounts,
}

/// Counts, split as they were asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stats {
    /// When the first hour or day begins.
    pub from: Timestamp,
    /// When the last hour or day ends.
    pub to: Timestamp,
    /// The parts in which anything was counted, by time, then connector, category, template and campaign.
    pub parts: Vec<StatPart>,
    /// All of them together.
    pub total: StageCounts,
}

/// Where a count belongs: only what it is split by is set.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct PartKey {
    number: Option<u32>,
    connector: Option<u32>,
    category: Option<u8>,
    template: Option<u32>,
    campaign: Option<u32>,
}

impl PartKey {
    fn of(row: &StatRow, span: StatSpan, by: &[Dimension]) -> Self {
        let split = |dimension| by.contains(&dimension);
        let number = match span {
            _ if split(Dimension::Hour) => Some(row.number),
            _ if split(Dimension::Day) => Some(StatSpan::Day.of(span.start(row.number))),
            _ => None,
        };
        let subject = &row.subject;
        Self {
            number,
            connector: split(Dimension::Connector).then_some(subject.connector.0),
            category: split(Dimension::Category).then_some(subject.message_type as u8),
            template: subject.template.filter(|_| split(Dimension::Template)),
            campaign: subject.campaign.filter(|_| split(Dimension::Campaign)),
        }
    }
}

impl Commands {
    /// How many messages reached which stage in a time.
    pub fn message_stats(&self, tenant: TenantIndex, query: &StatQuery) -> Result<Stats> {
        let store = &self.ports().store;
        let now = self.ports().clock.now();
        let to = query.to.unwrap_or(now);
        let from = query.from.unwrap_or_else(|| to.plus_ms(-DEFAULT_DAYS * DAY_MS));
        let span = checked_span(query, from, to, now)?;
        let connector = match query.connector {
            None => None,
            Some(id) => Some(store.connector_by_id(tenant, id)?.ok_or_else(unknown_connector)?.index),
        };
        let (first, last) = (span.of(from), span.of(to));
        let filter = StatFilter {
            span,
            first,
            last,
            connector,
            message_type: query.message_type,
            template: query.template,
            campaign: query.campaign,
        };
        let rows = store.stats(tenant, &filter, MAX_READ)?.ok_or_else(too_many)?;
        let mut total = StageCounts::default();
        let mut parts: BTreeMap<PartKey, StageCounts> = BTreeMap::new();
        for row in &rows {
            total.add(row.counts);
            parts.entry(PartKey::of(row, span, &query.by)).or_default().add(row.counts);
        }
        if parts.len() > MAX_ROWS {
            return Err(too_many());
        }
        let shown = if query.by.contains(&Dimension::Hour) { StatSpan::Hour } else { StatSpan::Day };
        let mut ids: BTreeMap<u32, Option<Uuid>> = BTreeMap::new();
        let mut shaped = Vec::with_capacity(parts.len());
        for (key, counts) in parts {
            let connector = match key.connector {
                None => None,
                Some(index) => match ids.get(&index) {
                    Some(known) => *known,
                    None => {
                        let id = store.connector(ConnectorIndex(index))?.map(|connector| connector.id);
                        ids.insert(index, id);
                        id
                    }
                },
            };
            let category = key.category.and_then(|number| MessageType::ALL.get(usize::from(number)).copied());
            shaped.push(StatPart {
                at: key.number.map(|number| shown.start(number)),
                connector,
                message_type: category,
                template: key.template,
                campaign: key.campaign,
                counts,
            });
        }
        let end = span.start(last).plus_ms(span.ms());
        Ok(Stats { from: span.start(first), to: end, parts: shaped, total })
    }

    /// Deletes counts that are older than they are kept; returns how many batches that took.
    pub async fn forget_stats(&self) -> Result<usize> {
        let (store, now) = (&self.ports().store, self.ports().clock.now());
        let mut batches = 0;
        for tenant in store.tenants()? {
            for span in StatSpan::ALL {
                let before = span.of(now.plus_ms(-span.kept_days() * DAY_MS));
                while store.has_stats_before(tenant.index, span, before)? {
                    let forget = StatChange::Forget { tenant: tenant.index, span, before, limit: FORGET };
                    store.commit(Batch::of(vec![Change::Stat(forget)])).await?;
                    batches += 1;
                }
            }
        }
        Ok(batches)
    }
}

/// Which counts answer the query: those of hours as long as they are kept, else those of days.
fn checked_span(query: &StatQuery, from: Timestamp, to: Timestamp, now: Timestamp) -> Result<StatSpan> {
    let hours_from = now.plus_ms(-HOURS_KEPT_DAYS * DAY_MS);
    let by_hour = query.by.contains(&Dimension::Hour);
    let mut problems = Vec::new();
    if from > to {
        problems.push(FieldProblem::against(Field::Since, "must not be after", Field::UpTo));
    } else if to.since(from) > DAYS_KEPT * DAY_MS {
        problems.push(FieldProblem::new(Field::UpTo, format!("must be at most {DAYS_KEPT} days after the beginning")));
    } else if by_hour && from < hours_from {
        let message = format!("is too long ago to be split by hour, which is kept for {HOURS_KEPT_DAYS} days");
        problems.push(FieldProblem::new(Field::Since, message));
    }
    if by_hour && query.by.contains(&Dimension::Day) {
        problems.push(FieldProblem::new(Field::SplitBy, "can have hour or day, not both"));
    }
    if !problems.is_empty() {
        return Err(Error::invalid_fields(problems));
    }
    Ok(if from >= hours_from { StatSpan::Hour } else { StatSpan::Day })
}

fn too_many() -> Error {
    Error::invalid(
        Field::Since,
        "is too long ago for so many counts; ask for a shorter time, or for one connector or campaign",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_736_937_000_000);

    fn spanned(query: &StatQuery, days: i64) -> std::result::Result<StatSpan, Vec<Option<Field>>> {
        let checked = checked_span(query, NOW.plus_ms(-days * DAY_MS), NOW, NOW);
        checked.map_err(|error| error.fields.iter().map(|problem| problem.field.only()).collect())
    }

    #[test]
    fn hours_answer_as_long_as_they_are_kept_and_days_after_that() {
        let by = |by: &[Dimension]| StatQuery { by: by.to_vec(), ..StatQuery::default() };
        assert_eq!(spanned(&by(&[]), 45), Ok(StatSpan::Hour));
        assert_eq!(spanned(&by(&[Dimension::Day]), 46), Ok(StatSpan::Day));
        assert_eq!(spanned(&by(&[Dimension::Hour]), 46), Err(vec![Some(Field::Since)]));
        assert_eq!(spanned(&by(&[]), 401), Err(vec![Some(Field::UpTo)]));
        assert_eq!(spanned(&by(&[]), -1), Err(vec![Some(Field::Since)]));
        assert_eq!(spanned(&by(&[Dimension::Hour, Dimension::Day]), 1), Err(vec![Some(Field::SplitBy)]));
    }
}
