//! Wire types of a pace, as a connector is given it and as a plugin proposes it.

use poem_openapi::Object;
use pombo_domain::model::connector;
use pombo_domain::{Error, Field, FieldProblem, model};
use serde::Deserialize;

use super::Instant;

/// The fields of a pace, so that a problem of one can be told from others.
pub(crate) const FIELDS: [Field; 9] = [
    Field::DelayMinMs,
    Field::DelayMaxMs,
    Field::DailyCap,
    Field::WarmUp,
    Field::QuietHours,
    Field::TimeZone,
    Field::MaxInFlight,
    Field::Health,
    Field::InUseSince,
];

/// How fast a connector may send. An omitted field sets no limit.
#[derive(Object, Deserialize, Clone)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Pace {
    /// Shortest pause between two messages, in milliseconds, at most one day.
    #[oai(default, validator(maximum(value = "86400000")))]
    #[serde(default)]
    delay_min_ms: u64,
    /// Longest pause between two messages, in milliseconds, at most one day; each pause is drawn at random between the two.
    #[oai(default, validator(maximum(value = "86400000")))]
    #[serde(default)]
    delay_max_ms: u64,
    /// Maximum number of messages per day.
    #[oai(nullable, validator(minimum(value = "1")))]
    daily_cap: Option<u32>,
    /// A growing daily cap for the first days.
    #[oai(nullable)]
    warm_up: Option<WarmUp>,
    /// Hours of the day in which nothing is sent.
    #[oai(nullable)]
    quiet_hours: Option<QuietHours>,
    /// IANA time zone of the days and the quiet hours; America/Sao_Paulo if omitted.
    #[oai(default = "default_time_zone")]
    #[serde(default = "default_time_zone")]
    time_zone: String,
    /// Maximum number of messages in flight at the same time, from 1 to 1000; the plugin may allow fewer.
    #[oai(default = "default_max_in_flight", validator(minimum(value = "1"), maximum(value = "1000")))]
    #[serde(default = "default_max_in_flight")]
    max_in_flight: u16,
    /// How the account's health slows down and pauses the connector; if omitted, it does neither.
    #[oai(nullable)]
    health: Option<HealthRules>,
    /// Whether the category orders messages of the same priority: TRANSACTIONAL, NOTIFICATION, SUPPORT, REMINDER, GERAL, MARKETING. It
    /// counts for messages that are accepted from then on.
    #[oai(default = "default_category_order")]
    #[serde(default = "default_category_order")]
    category_order: bool,
    /// Since when the account has been in use, here or elsewhere: a number that has been in use for long is not warmed up like a new one.
    /// Omit it for a new number. It belongs to the account that is paired: when another one is paired, it is removed, and has to be given
    /// again for that one.
    #[oai(nullable)]
    in_use_since: Option<Instant>,
}

/// How the health score slows down and pauses a connector. Omitted fields have the documented defaults.
#[derive(Object, Deserialize, Clone)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct HealthRules {
    /// Length of the period that counts for the score, in hours, from 1 to 720.
    #[oai(default = "default_window", validator(minimum(value = "1"), maximum(value = "720")))]
    #[serde(default = "default_window")]
    window_hours: u16,
    /// Below this score (0 to 100) pauses grow and caps shrink in proportion; 0 turns this off.
    #[oai(default = "default_slow", validator(maximum(value = "100")))]
    #[serde(default = "default_slow")]
    slow_below: u8,
    /// Below this score (0 to 100) the connector is paused, and an event reports it. Not greater than `slowBelow`; 0 turns this
    /// off.
    #[oai(default = "default_pause", validator(maximum(value = "100")))]
    #[serde(default = "default_pause")]
    pause_below: u8,
    /// With fewer messages than this in the period, the score stays at 100, except for blocks and restrictions.
    #[oai(default = "default_min_sent")]
    #[serde(default = "default_min_sent")]
    min_sent: u32,
}

fn default_window() -> u16 {
    connector::HealthRules::default().window_hours
}

fn default_slow() -> u8 {
    connector::HealthRules::default().slow_below
}

fn default_pause() -> u8 {
    connector::HealthRules::default().pause_below
}

fn default_min_sent() -> u32 {
    connector::HealthRules::default().min_sent
}

fn default_category_order() -> bool {
    model::Pace::default().category_order
}

fn default_time_zone() -> String {
    model::Pace::default().time_zone
}

fn default_max_in_flight() -> u16 {
    model::Pace::default().max_in_flight
}

/// A warm-up curve: daily caps for the first days, then growth by a percentage per day. Omitted fields have the documented
/// defaults.
#[derive(Object, Deserialize, Clone)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct WarmUp {
    /// Caps of day 1, 2, 3 …, in messages per day.
    #[oai(default = "default_days", validator(min_items = 1, max_items = 90))]
    #[serde(default = "default_days")]
    days: Vec<u32>,
    /// Growth of the cap per day after those days, in percent.
    #[oai(default = "default_growth", validator(minimum(value = "1"), maximum(value = "1000")))]
    #[serde(default = "default_growth")]
    growth_percent: u32,
    /// The cap at which the warm-up ends; from then on only `dailyCap` counts.
    #[oai(default = "default_until", validator(minimum(value = "1")))]
    #[serde(default = "default_until")]
    until: u32,
}

fn default_days() -> Vec<u32> {
    connector::WarmUp::default().days
}

fn default_growth() -> u32 {
    connector::WarmUp::default().growth_percent
}

fn default_until() -> u32 {
    connector::WarmUp::default().until
}

/// A daily period without sending. If `from` is later than `to`, it spans midnight.
#[derive(Object, Deserialize, Clone)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub(crate) struct QuietHours {
    /// Time of day at which the period begins, such as `22:00`.
    #[oai(validator(pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$"))]
    from: String,
    /// Time of day at which the period ends, such as `08:00`.
    #[oai(validator(pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$"))]
    to: String,
}

impl Pace {
    pub(crate) fn into_domain(self) -> Result<model::Pace, Error> {
        let quiet_hours = self.quiet_hours.map(|quiet| {
            let minute = |field: &str, text: &str| {
                minute_of_day(text).ok_or_else(|| {
                    let message = "must be a time of day from 00:00 to 23:59, such as 22:00";
                    FieldProblem::new(Field::QuietHours.named(field), message)
                })
            };
            match (minute("from", &quiet.from), minute("to", &quiet.to)) {
                (Ok(from_minute), Ok(to_minute)) => Ok(connector::QuietHours { from_minute, to_minute }),
                (from, to) => Err(Error::invalid_fields(from.err().into_iter().chain(to.err()).collect())),
            }
        });
        Ok(model::Pace {
            delay_min_ms: self.delay_min_ms,
            delay_max_ms: self.delay_max_ms,
            daily_cap: self.daily_cap,
            warm_up: self.warm_up.map(|curve| connector::WarmUp {
                days: curve.days,
                growth_percent: curve.growth_percent,
                until: curve.until,
            }),
            quiet_hours: quiet_hours.transpose()?,
            time_zone: self.time_zone,
            max_in_flight: self.max_in_flight,
            health: self.health.map(|rules| connector::HealthRules {
                window_hours: rules.window_hours,
                slow_below: rules.slow_below,
                pause_below: rules.pause_below,
                min_sent: rules.min_sent,
            }),
            category_order: self.category_order,
            in_use_since: self.in_use_since.map(|since| since.0),
        })
    }
}

impl From<&model::Pace> for Pace {
    fn from(pace: &model::Pace) -> Self {
        Self {
            delay_min_ms: pace.delay_min_ms,
            delay_max_ms: pace.delay_max_ms,
            daily_cap: pace.daily_cap,
            warm_up: pace.warm_up.as_ref().map(|curve| WarmUp {
                days: curve.days.clone(),
                growth_percent: curve.growth_percent,
                until: curve.until,
            }),
            quiet_hours: pace
                .quiet_hours
                .as_ref()
                .map(|quiet| QuietHours { from: time_of_day(quiet.from_minute), to: time_of_day(quiet.to_minute) }),
            time_zone: pace.time_zone.clone(),
            max_in_flight: pace.max_in_flight,
            health: pace.health.as_ref().map(|rules| HealthRules {
                window_hours: rules.window_hours,
                slow_below: rules.slow_below,
                pause_below: rules.pause_below,
                min_sent: rules.min_sent,
            }),
            category_order: pace.category_order,
            in_use_since: pace.in_use_since.map(Instant),
        }
    }
}

/// `22:00` as a minute of the day.
fn minute_of_day(text: &str) -> Option<u16> {
    let digits = |text: &str, below: u16| {
        let plain = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u16>().ok().filter(|number| plain && *number < below)
    };
    let (hours, minutes) = text.split_once(':')?;
    Some(digits(hours, 24)? * 60 + digits(minutes, 60)?)
}

fn time_of_day(minute: u16) -> String {
    format!("{:02}:{:02}", minute / 60, minute % 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::field_name;

    #[test]
    fn a_time_of_day_is_two_digits_each_and_in_range() {
        for (text, minute) in [("00:00", 0), ("08:30", 510), ("22:00", 1320), ("23:59", 1439)] {
            assert_eq!(minute_of_day(text), Some(minute));
            assert_eq!(time_of_day(minute), text);
        }
        for bad in ["", "24:00", "22:60", "8:00", "22", "22:0", "22:00:00", "+2:00", "aa:bb", "２２:00"] {
            assert_eq!(minute_of_day(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn both_ends_of_the_quiet_hours_are_reported_and_the_defaults_are_the_domains() {
        let parse = |json: &str| serde_json::from_str::<Pace>(json).expect("fits").into_domain();
        assert_eq!(parse("{}").expect("defaults"), model::Pace::default());
        let error = parse(r#"{"quietHours":{"from":"25:00","to":"x"}}"#).expect_err("two bad times");
        let fields: Vec<_> = error.fields.iter().map(|problem| problem.field.written(field_name)).collect();
        assert_eq!(fields, ["quietHours.from", "quietHours.to"]);
        let night = parse(r#"{"quietHours":{"from":"22:00","to":"08:00"},"warmUp":{}}"#).expect("fits");
        assert_eq!(night.quiet_hours, Some(connector::QuietHours { from_minute: 1320, to_minute: 480 }));
        assert_eq!(night.warm_up, Some(connector::WarmUp::default()));
    }
}
