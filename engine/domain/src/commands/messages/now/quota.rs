//! Who may send at once now: the connector's session, its health and the cap of the day decide before anything is stored.
//!
//! The pace counts an attempt when it begins. Until then a send holds a place among those of the day, so that many requests at once do
//! not exceed the cap together.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::tz::TimeZone;

use super::{SentNow, Waiting};
use crate::commands::Commands;
use crate::model::{Connector, ConnectorStatus, HealthLevel};
use crate::ports::SessionState;
use crate::{ConnectorIndex, Error, ErrorCode, Result, Timestamp};

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// Sends that may begin and that the pace does not count yet, of each connector.
#[derive(Clone, Default)]
pub(crate) struct Reservations(Arc<Mutex<HashMap<ConnectorIndex, u32>>>);

impl Reservations {
    fn counts(&self) -> MutexGuard<'_, HashMap<ConnectorIndex, u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place among the day's sends, given back when it is dropped.
pub(super) struct Reserved {
    reservations: Reservations,
    connector: ConnectorIndex,
}

impl Drop for Reserved {
    fn drop(&mut self) {
        let mut counts = self.reservations.counts();
        let left = counts.get(&self.connector).copied().unwrap_or(0).saturating_sub(1);
        if left == 0 {
            counts.remove(&self.connector);
        } else {
            counts.insert(self.connector, left);
        }
    }
}

impl Commands {
    /// A place for one send of a connector; the inner error is the answer where its limits do not allow one now.
    pub(super) fn reserve(&self, connector: &Connector, waiting: Waiting<'_>) -> Result<Result<Reserved, SentNow>> {
        if connector.status != ConnectorStatus::Active {
            return Err(Error::conflict("the connector is paused; resume it, then send"));
        }
        let needs_session = self.plugin_of(connector)?.needs_session;
        if needs_session && self.ports().connectors.session(connector.index) != SessionState::Connected {
            let message = "the connector has no session now; nothing was sent or stored";
            return Err(Error::new(ErrorCode::Disconnected, message));
        }
        let now = self.ports().clock.now();
        let mut counts = self.reserved_sends.counts();
        // Read while no other send can take the last place.
        let view = waiting.paces.pace(connector.index)?.ok_or_else(|| Error::not_found("Connector"))?;
        if view.health.is_some_and(|health| health.level == HealthLevel::Paused) {
            return Err(Error::conflict("the connector is paused by its health; see to the cause, then resume it"));
        }
        if let Some(until) = view.throttled_until.filter(|until| until.since(now) > waiting.wait_ms) {
            return Ok(Err(SentNow::Throttled { retry_after_ms: ms_until(until, now) }));
        }
        let reserved = counts.get(&connector.index).copied().unwrap_or(0);
        if view.cap_today.is_some_and(|cap| view.sent_today.saturating_add(reserved) >= cap) {
            let retry_after_ms = next_day(&view.limits.time_zone, now).map_or(DAY_MS, |day| ms_until(day, now));
            return Ok(Err(SentNow::CapReached { retry_after_ms }));
        }
        counts.insert(connector.index, reserved.saturating_add(1));
        Ok(Ok(Reserved { reservations: self.reserved_sends.clone(), connector: connector.index }))
    }
}

fn ms_until(at: Timestamp, now: Timestamp) -> u64 {
    u64::try_from(at.since(now)).unwrap_or(0)
}

/// The first instant of the next day; `None` where the calendar ends. An unknown time zone counts as UTC, as in the pace itself.
fn next_day(zone: &str, now: Timestamp) -> Option<Timestamp> {
    let zone = TimeZone::get(zone).unwrap_or(TimeZone::UTC);
    let today = jiff::Timestamp::from_millisecond(now.0).ok()?.to_zoned(zone);
    let next = today.tomorrow().ok()?.start_of_day().ok()?;
    Some(Timestamp(next.timestamp().as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_given_back() {
        let reservations = Reservations::default();
        let place = || {
            *reservations.counts().entry(ConnectorIndex(1)).or_default() += 1;
            Reserved { reservations: reservations.clone(), connector: ConnectorIndex(1) }
        };
        let (first, second) = (place(), place());
        drop(first);
        assert_eq!(reservations.counts().get(&ConnectorIndex(1)), Some(&1));
        drop(second);
        assert!(reservations.counts().is_empty());
    }

    #[test]
    fn the_next_day_begins_at_midnight_of_the_zone() {
        let at = |text: &str| Timestamp::parse(text).expect("an instant");
        let now = at("2025-01-15T10:30:00Z");
        assert_eq!(next_day("America/Sao_Paulo", now), Some(at("2025-01-16T03:00:00Z")));
        assert_eq!(next_day("UTC", now), Some(at("2025-01-16T00:00:00Z")));
        assert_eq!(next_day("nowhere", now), next_day("UTC", now));
    }
}
