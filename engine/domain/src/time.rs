//! Instants as the engine stores and compares them. This module has no clock: the current time comes through
//! [`crate::ports::Clock`].

use serde::{Deserialize, Serialize};

/// Milliseconds since the Unix epoch, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Parses ISO 8601 / RFC 3339: a full date-time with `Z` or an offset, a date-time without one (taken as UTC) or a bare
    /// date (midnight UTC). Years 1970 to 9999.
    pub fn parse(text: &str) -> Option<Self> {
        Self::parse_any_year(text).filter(|at| at.0 >= 0)
    }
    /// The same for years 0 to 9999, for instants that are only compared with.
    pub fn parse_any_year(text: &str) -> Option<Self> {
        let text = text.trim();
        let ms = if let Ok(t) = text.parse::<jiff::Timestamp>() {
            t.as_millisecond()
        } else {
            let civil: jiff::civil::DateTime = text.parse().ok()?;
            civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_millisecond()
        };
        (-62_167_219_200_000..=253_402_300_799_999).contains(&ms).then_some(Self(ms))
    }
    /// `2024-01-22T14:30:00.000Z`, always with milliseconds.
    pub fn to_iso(self) -> String {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(t) => format!("{t:.3}"),
            Err(_) => "1970-01-01T00:00:00.000Z".to_owned(),
        }
    }
    /// This instant plus `ms` milliseconds, saturating.
    pub fn plus_ms(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms))
    }
    /// Milliseconds from `earlier` to this instant; negative if `earlier` is later.
    pub fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// A date and time of day without an offset: an instant only within a time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalTime(jiff::civil::DateTime);

impl LocalTime {
    /// Parses an ISO 8601 date, or a date and time, without an offset; `None` for a text that has one, or is no time.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.parse::<jiff::Timestamp>().is_ok() {
            return None;
        }
        text.parse().ok().filter(|local: &jiff::civil::DateTime| local.year() >= 0).map(Self)
    }
    /// The instant in a zone; of a time that the zone's clocks skip or show twice, as the zone's rules resolve it.
    pub(crate) fn within(self, zone: jiff::tz::TimeZone) -> Timestamp {
        // Only a time at the very ends of the calendar is no instant.
        Timestamp(self.0.to_zoned(zone).map_or(i64::MAX, |zoned| zoned.timestamp().as_millisecond()))
    }
}

#[cfg(test)]
mod tests {
    use super::{LocalTime, Timestamp};

    #[test]
    fn a_date_without_an_offset_is_an_instant_of_its_zone() {
        let zone = || jiff::tz::TimeZone::get("America/Sao_Paulo").expect("bundled");
        let iso = |text| LocalTime::parse(text).map(|local| local.within(zone()).to_iso());
        assert_eq!(iso("2030-01-22T10:00:00").as_deref(), Some("2030-01-22T13:00:00.000Z"));
        assert_eq!(iso("2030-01-22 10:00").as_deref(), Some("2030-01-22T13:00:00.000Z"));
        assert_eq!(iso("2030-01-22").as_deref(), Some("2030-01-22T03:00:00.000Z"));
        assert_eq!(iso("2030-01-22T10:00:00Z"), None, "it has its own");
        assert_eq!(iso("amanhã"), None);
    }

    #[test]
    fn parses_the_documented_forms_and_prints_milliseconds() {
        let t = Timestamp::parse("2024-01-22T10:00:00Z").expect("valid");
        assert_eq!(t.to_iso(), "2024-01-22T10:00:00.000Z");
        assert_eq!(Timestamp::parse("2024-01-22T07:00:00-03:00"), Some(t));
        assert_eq!(Timestamp::parse("2024-01-22T10:00:00"), Some(t));
        assert_eq!(Timestamp::parse("2024-01-22").map(Timestamp::to_iso).as_deref(), Some("2024-01-22T00:00:00.000Z"));
        let old = Timestamp::parse_any_year("0061-03-31T08:28:36Z").expect("a year before 1970");
        assert!(old < Timestamp(0) && Timestamp::parse("0061-03-31T08:28:36Z").is_none());
        for bad in ["", "amanhã", "2024-13-01T00:00:00Z", "1704103200", "99999-01-01"] {
            assert_eq!(Timestamp::parse(bad), None, "{bad}");
        }
    }
}
