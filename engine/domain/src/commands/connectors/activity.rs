//! How much a connector does: what it sent and received lately, and with how many people. Counted from what is stored when it is asked
//! for; nothing is kept for it.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use uuid::Uuid;

use crate::commands::Commands;
use crate::model::{ContactType, Status};
use crate::ports::{ContactFilter, ConversationFilter, ConversationOrder, MessageFilter, TimelineRange};
use crate::{ConnectorIndex, Result, TenantIndex, Timestamp};

/// Number of conversations that are read at once.
const BATCH: usize = 1_000;

/// What a connector did lately, and with how many people. Days, weeks (from Monday) and months are those of its time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ConnectorActivity {
    /// Messages that were created this week and that the channel accepted.
    pub sent_this_week: u64,
    /// Messages that were created this month and that the channel accepted.
    pub sent_this_month: u64,
    /// Messages that others wrote today, in conversations that still exist.
    pub received_today: u64,
    /// Conversations, archived ones included.
    pub conversations: u64,
    /// Contacts that are known on it; 0 for a channel of which no contacts are kept.
    pub contacts: u64,
}

impl Commands {
    /// What a connector did lately.
    pub async fn connector_activity(&self, tenant: TenantIndex, id: Uuid) -> Result<ConnectorActivity> {
        let connector = self.live_connector(tenant, id)?;
        let store = &self.ports().store;
        let zone = TimeZone::get(&connector.pace.time_zone).unwrap_or(TimeZone::UTC);
        let since = Beginnings::at(self.ports().clock.now(), &zone);
        let kind = ContactType::of_channel(&connector.channel);
        let contacts = match kind {
            Some(_) => {
                let filter = ContactFilter { kind, connector: Some(connector.index), ..ContactFilter::default() };
                store.list_contacts(tenant, filter, 0, 0, 1).await?.total
            }
            None => 0,
        };
        let (conversations, received_today) = self.received_since(tenant, connector.index, since.day).await?;
        Ok(ConnectorActivity {
            sent_this_week: self.sent_of(tenant, connector.index, since.week).await?,
            sent_this_month: self.sent_of(tenant, connector.index, since.month).await?,
            received_today,
            conversations,
            contacts,
        })
    }

    /// Number of sent messages that were created at `from` or later.
    async fn sent_of(&self, tenant: TenantIndex, connector: ConnectorIndex, from: Timestamp) -> Result<u64> {
        let filter = MessageFilter {
            status: Some(Status::Sent),
            connector: Some(connector),
            message_type: None,
            external_id: None,
            search: None,
            from: Some(from),
            to: None,
        };
        Ok(self.ports().store.list_messages(tenant, filter, 0, 1).await?.total)
    }

    /// Number of all conversations, and of the messages that others wrote in them at `from` or later. The ordinals of the entries say
    /// how many they are: one look-up for each conversation in which something was said since.
    async fn received_since(
        &self,
        tenant: TenantIndex,
        connector: ConnectorIndex,
        from: Timestamp,
    ) -> Result<(u64, u64)> {
        let store = &self.ports().store;
        let first = TimelineRange { after: Some(0), from: Some(from), ..TimelineRange::default() };
        let (mut offset, mut received) = (0, 0);
        loop {
            let filter = ConversationFilter { connector: Some(connector), ..ConversationFilter::default() };
            let order = ConversationOrder::Activity { offset };
            let found = store.find_conversations(tenant, filter, order, BATCH).await?;
            for conversation in &found.rows {
                if conversation.active_at() < from {
                    return Ok((found.total, received));
                }
                if conversation.last_received_at.is_none_or(|at| at < from) {
                    continue;
                }
                let page = store.timeline(tenant, conversation.number, &first, 1)?;
                received += page.items.first().map_or(0, |item| {
                    let before = item.ordinal.saturating_sub(u64::from(item.entry.is_received()));
                    conversation.received.saturating_sub(before)
                });
            }
            if !found.more {
                return Ok((found.total, received));
            }
            offset += BATCH as u64;
        }
    }
}

/// When the present day, week and month began.
#[derive(Debug, PartialEq, Eq)]
struct Beginnings {
    day: Timestamp,
    week: Timestamp,
    month: Timestamp,
}

impl Beginnings {
    fn at(now: Timestamp, zone: &TimeZone) -> Self {
        let instant = jiff::Timestamp::from_millisecond(now.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        let today = zone.to_datetime(instant).date();
        let monday = i64::from(today.weekday().to_monday_zero_offset());
        let week = today.checked_sub(jiff::SignedDuration::from_hours(24 * monday)).unwrap_or(today);
        let begins =
            |date: Date| date.to_zoned(zone.clone()).map_or(now, |zoned| Timestamp(zoned.timestamp().as_millisecond()));
        Self { day: begins(today), week: begins(week), month: begins(today.first_of_month()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_a_week_and_a_month_begin_where_the_connector_is() {
        let zone = TimeZone::get("America/Sao_Paulo").expect("bundled");
        let at = |text: &str| Timestamp::parse(text).expect("an instant");
        // A Wednesday there, although it is Thursday already in UTC.
        let found = Beginnings::at(at("2025-01-16T01:00:00Z"), &zone);
        let expected = ["2025-01-15T03:00:00Z", "2025-01-13T03:00:00Z", "2025-01-01T03:00:00Z"].map(at);
        assert_eq!([found.day, found.week, found.month], expected);
        let monday = Beginnings::at(at("2025-01-13T00:00:00Z"), &TimeZone::UTC);
        assert_eq!(monday.week, monday.day);
    }
}
