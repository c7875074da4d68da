//! The limits of a pace. The scheduler has the rules by which a pace is kept.

use crate::error::FieldProblem;
use crate::model::Pace;
use crate::model::connector::{HealthRules, QuietHours, WarmUp};
use crate::{Error, Result};

/// Maximum pause between two messages, in milliseconds.
pub const MAX_DELAY_MS: u64 = 24 * 3_600_000;

/// Maximum length of the period that counts for the health, in hours.
pub const MAX_WINDOW_HOURS: u16 = 30 * 24;

/// Checks a pace as a whole.
pub fn check_pace(pace: &Pace) -> Result<()> {
    let mut problems = Vec::new();
    let mut problem = |field: &str, message: String| {
        problems.push(FieldProblem { field: field.to_owned(), message });
    };
    if pace.delay_max_ms > MAX_DELAY_MS {
        problem("delayMaxMs", format!("must be at most {MAX_DELAY_MS} (a day)"));
    }
    if pace.delay_min_ms > pace.delay_max_ms {
        problem("delayMinMs", "must not be greater than delayMaxMs".to_owned());
    }
    if pace.daily_cap == Some(0) {
        problem(
            "dailyCap",
            "must be at least 1; leave it out for no limit, or pause the connector to send nothing at all".to_owned(),
        );
    }
    if let Some(WarmUp { days, growth_percent, until }) = &pace.warm_up {
        if days.is_empty() || days.len() > 90 || days.contains(&0) {
            problem("warmUp.days", "must have 1 to 90 caps of at least 1".to_owned());
        }
        if !(1..=1000).contains(growth_percent) {
            problem("warmUp.growthPercent", "must be 1 to 1000".to_owned());
        }
        if *until == 0 {
            problem("warmUp.until", "must be at least 1".to_owned());
        }
    }
    if let Some(QuietHours { from_minute, to_minute }) = &pace.quiet_hours {
        if *from_minute >= 1440 || *to_minute >= 1440 {
            problem("quietHours", "must be times of day from 00:00 to 23:59".to_owned());
        } else if from_minute == to_minute {
            problem("quietHours", "from and to must differ; pause the connector to send nothing at all".to_owned());
        }
    }
    if jiff::tz::TimeZone::get(&pace.time_zone).is_err() {
        problem("timeZone", "must be an IANA time zone such as America/Sao_Paulo".to_owned());
    }
    if let Some(HealthRules { window_hours, slow_below, pause_below, min_sent }) = &pace.health {
        if !(1..=MAX_WINDOW_HOURS).contains(window_hours) {
            problem("health.windowHours", format!("must be 1 to {MAX_WINDOW_HOURS} (30 days)"));
        }
        if *slow_below > 100 {
            problem("health.slowBelow", "must be 0 to 100; with 0 the connector is never slowed down".to_owned());
        }
        if *pause_below > 100 {
            problem("health.pauseBelow", "must be 0 to 100; with 0 the connector is never paused".to_owned());
        } else if pause_below > slow_below {
            problem("health.pauseBelow", "must not be greater than slowBelow".to_owned());
        }
        if !(1..=100_000).contains(min_sent) {
            problem("health.minSent", "must be 1 to 100000".to_owned());
        }
    }
    if !(1..=1000).contains(&pace.max_in_flight) {
        problem("maxInFlight", "must be 1 to 1000".to_owned());
    }
    if problems.is_empty() { Ok(()) } else { Err(Error::invalid_fields(problems)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_of_the_pace_names_its_field() {
        type Spoil = fn(&mut Pace);
        fn health(change: impl FnOnce(&mut HealthRules)) -> Option<HealthRules> {
            let mut rules = HealthRules::default();
            change(&mut rules);
            Some(rules)
        }
        let cases: [(&str, Spoil); 14] = [
            ("delayMaxMs", |p| p.delay_max_ms = MAX_DELAY_MS + 1),
            ("delayMinMs", |p| p.delay_min_ms = 5),
            ("dailyCap", |p| p.daily_cap = Some(0)),
            ("warmUp.days", |p| p.warm_up = Some(WarmUp { days: vec![], ..WarmUp::default() })),
            ("warmUp.growthPercent", |p| p.warm_up = Some(WarmUp { growth_percent: 0, ..WarmUp::default() })),
            ("quietHours", |p| p.quiet_hours = Some(QuietHours { from_minute: 60, to_minute: 60 })),
            ("quietHours", |p| p.quiet_hours = Some(QuietHours { from_minute: 1440, to_minute: 60 })),
            ("timeZone", |p| p.time_zone = "Brasilia".to_owned()),
            ("maxInFlight", |p| p.max_in_flight = 0),
            ("health.windowHours", |p| p.health = health(|rules| rules.window_hours = 0)),
            ("health.slowBelow", |p| p.health = health(|rules| rules.slow_below = 101)),
            ("health.pauseBelow", |p| p.health = health(|rules| rules.pause_below = 71)),
            ("health.pauseBelow", |p| p.health = health(|rules| rules.pause_below = 101)),
            ("health.minSent", |p| p.health = health(|rules| rules.min_sent = 0)),
        ];
        assert!(check_pace(&Pace::default()).is_ok());
        assert!(check_pace(&Pace { health: Some(HealthRules::default()), ..Pace::default() }).is_ok());
        for (field, spoil) in cases {
            let mut pace = Pace::default();
            spoil(&mut pace);
            let error = check_pace(&pace).expect_err(field);
            assert_eq!(error.fields.iter().map(|f| f.field.as_str()).collect::<Vec<_>>(), [field]);
        }
    }
}
