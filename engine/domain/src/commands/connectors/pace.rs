//! The limits of a pace. The scheduler has the rules by which a pace is kept.

use crate::model::Pace;
use crate::model::connector::{HealthRules, QuietHours, WarmUp};
use crate::{Error, Field, FieldProblem, Result, Timestamp};

/// Maximum pause between two messages, in milliseconds.
pub const MAX_DELAY_MS: u64 = 24 * 3_600_000;

/// Maximum length of the period that counts for the health, in hours.
pub const MAX_WINDOW_HOURS: u16 = 30 * 24;

/// Checks a pace as a whole.
pub fn check_pace(pace: &Pace, now: Timestamp) -> Result<()> {
    let mut problems = Vec::new();
    if pace.in_use_since.is_some_and(|since| since > now) {
        problems
            .push(FieldProblem::new(Field::InUseSince, "must not be in the future; leave it out for a new account"));
    }
    if pace.delay_max_ms > MAX_DELAY_MS {
        problems.push(FieldProblem::new(Field::DelayMaxMs, format!("must be at most {MAX_DELAY_MS} (a day)")));
    }
    if pace.delay_min_ms > pace.delay_max_ms {
        problems.push(FieldProblem::against(Field::DelayMinMs, "must not be greater than", Field::DelayMaxMs));
    }
    if pace.daily_cap == Some(0) {
        problems.push(FieldProblem::new(
            Field::DailyCap,
            "must be at least 1; leave it out for no limit, or pause the connector to send nothing at all",
        ));
    }
    if let Some(WarmUp { days, growth_percent, until }) = &pace.warm_up {
        if days.is_empty() || days.len() > 90 || days.contains(&0) {
            problems.push(FieldProblem::new(Field::WarmUp.field(Field::Days), "must have 1 to 90 caps of at least 1"));
        }
        if !(1..=1000).contains(growth_percent) {
            problems.push(FieldProblem::new(Field::WarmUp.field(Field::GrowthPercent), "must be 1 to 1000"));
        }
        if *until == 0 {
            problems.push(FieldProblem::new(Field::WarmUp.field(Field::Until), "must be at least 1"));
        }
    }
    if let Some(QuietHours { from_minute, to_minute }) = &pace.quiet_hours {
        if *from_minute >= 1440 || *to_minute >= 1440 {
            problems.push(FieldProblem::new(Field::QuietHours, "must be times of day from 00:00 to 23:59"));
        } else if from_minute == to_minute {
            problems.push(FieldProblem::new(
                Field::QuietHours,
                "from and to must differ; pause the connector to send nothing at all",
            ));
        }
    }
    if jiff::tz::TimeZone::get(&pace.time_zone).is_err() {
        problems.push(FieldProblem::new(Field::TimeZone, "must be an IANA time zone such as America/Sao_Paulo"));
    }
    if let Some(HealthRules { window_hours, slow_below, pause_below, min_sent }) = &pace.health {
        if !(1..=MAX_WINDOW_HOURS).contains(window_hours) {
            problems.push(FieldProblem::new(
                Field::Health.field(Field::WindowHours),
                format!("must be 1 to {MAX_WINDOW_HOURS} (30 days)"),
            ));
        }
        if *slow_below > 100 {
            problems.push(FieldProblem::new(
                Field::Health.field(Field::SlowBelow),
                "must be 0 to 100; with 0 the connector is never slowed down",
            ));
        }
        if *pause_below > 100 {
            problems.push(FieldProblem::new(
                Field::Health.field(Field::PauseBelow),
                "must be 0 to 100; with 0 the connector is never paused",
            ));
        } else if pause_below > slow_below {
            problems.push(FieldProblem::against(
                Field::Health.field(Field::PauseBelow),
                "must not be greater than",
                Field::SlowBelow,
            ));
        }
        if !(1..=100_000).contains(min_sent) {
            problems.push(FieldProblem::new(Field::Health.field(Field::MinSent), "must be 1 to 100000"));
        }
    }
    if !(1..=1000).contains(&pace.max_in_flight) {
        problems.push(FieldProblem::new(Field::MaxInFlight, "must be 1 to 1000"));
    }
    if problems.is_empty() { Ok(()) } else { Err(Error::invalid_fields(problems)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FieldPath;

    const NOW: Timestamp = Timestamp(1_700_000_000_000);

    #[test]
    fn each_rule_of_the_pace_names_its_field() {
        type Spoil = fn(&mut Pace);
        fn health(change: impl FnOnce(&mut HealthRules)) -> Option<HealthRules> {
            let mut rules = HealthRules::default();
            change(&mut rules);
            Some(rules)
        }
        let cases: [(FieldPath, Spoil); 15] = [
            (Field::InUseSince.into(), |p| p.in_use_since = Some(NOW.plus_ms(1))),
            (Field::DelayMaxMs.into(), |p| p.delay_max_ms = MAX_DELAY_MS + 1),
            (Field::DelayMinMs.into(), |p| p.delay_min_ms = 5),
            (Field::DailyCap.into(), |p| p.daily_cap = Some(0)),
            (Field::WarmUp.field(Field::Days), |p| p.warm_up = Some(WarmUp { days: vec![], ..WarmUp::default() })),
            (Field::WarmUp.field(Field::GrowthPercent), |p| {
                p.warm_up = Some(WarmUp { growth_percent: 0, ..WarmUp::default() })
            }),
            (Field::QuietHours.into(), |p| p.quiet_hours = Some(QuietHours { from_minute: 60, to_minute: 60 })),
            (Field::QuietHours.into(), |p| p.quiet_hours = Some(QuietHours { from_minute: 1440, to_minute: 60 })),
            (Field::TimeZone.into(), |p| p.time_zone = "Brasilia".to_owned()),
            (Field::MaxInFlight.into(), |p| p.max_in_flight = 0),
            (Field::Health.field(Field::WindowHours), |p| p.health = health(|rules| rules.window_hours = 0)),
            (Field::Health.field(Field::SlowBelow), |p| p.health = health(|rules| rules.slow_below = 101)),
            (Field::Health.field(Field::PauseBelow), |p| p.health = health(|rules| rules.pause_below = 71)),
            (Field::Health.field(Field::PauseBelow), |p| p.health = health(|rules| rules.pause_below = 101)),
            (Field::Health.field(Field::MinSent), |p| p.health = health(|rules| rules.min_sent = 0)),
        ];
        assert!(check_pace(&Pace::default(), NOW).is_ok());
        assert!(check_pace(&Pace { health: Some(HealthRules::default()), ..Pace::default() }, NOW).is_ok());
        assert!(check_pace(&Pace { in_use_since: Some(NOW), ..Pace::default() }, NOW).is_ok());
        for (field, spoil) in cases {
            let mut pace = Pace::default();
            spoil(&mut pace);
            let error = check_pace(&pace, NOW).expect_err(&field.to_string());
            assert_eq!(error.fields.into_iter().map(|f| f.field).collect::<Vec<_>>(), [field]);
        }
    }
}
