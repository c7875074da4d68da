//! Business hours and dates, in the flow's time zone. The present instant is always given.

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use crate::model::Flow;

const WEEKDAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

fn zoned(flow: &Flow, now_ms: u64) -> Option<Zoned> {
    let zone = TimeZone::get(&flow.time_zone).ok()?;
    Some(Timestamp::from_millisecond(i64::try_from(now_ms).ok()?).ok()?.to_zoned(zone))
}

fn time(text: &str) -> Option<Time> {
    let (hours, minutes) = text.split_once(':')?;
    match (hours.parse().ok()?, minutes.parse().ok()?) {
        (24, 0) => Some(Time::MAX),
        (hours, minutes) => Time::new(hours, minutes, 0, 0).ok(),
    }
}

/// What is wrong with the flow's hours.
pub fn problems(flow: &Flow) -> Vec<String> {
    let mut problems = Vec::new();
    if TimeZone::get(&flow.time_zone).is_err() {
        problems.push(format!("timeZone: {:?} is not an IANA time zone such as America/Sao_Paulo", flow.time_zone));
    }
    for (day, intervals) in &flow.business_hours.week {
        if !WEEKDAYS.contains(&day.as_str()) {
            problems.push(format!("businessHours.week: {day:?} is not one of {}", WEEKDAYS.join(", ")));
        }
        for (from, to) in intervals {
            if !matches!((time(from), time(to)), (Some(from), Some(to)) if from < to) {
                problems.push(format!(
                    "businessHours.week.{day}: [{from:?}, {to:?}] is not an interval like [\"09:00\", \"18:00\"]"
                ));
            }
        }
    }
    for date in &flow.business_hours.closed_on {
        if date.parse::<Date>().is_err() {
            problems.push(format!("businessHours.closedOn: {date:?} is not a date like 2026-12-25"));
        }
    }
    problems
}

/// Whether people are available. Without any weekday, they always are.
pub fn open(flow: &Flow, now_ms: u64) -> bool {
    let hours = &flow.business_hours;
    let Some(now) = zoned(flow, now_ms) else { return false };
    if hours.closed_on.iter().any(|date| date.parse::<Date>().is_ok_and(|date| date == now.date())) {
        return false;
    }
    if hours.week.is_empty() {
        return true;
    }
    let day = WEEKDAYS[(now.weekday().to_monday_zero_offset()) as usize];
    let within = |(from, to): &(String, String)| matches!((time(from), time(to)), (Some(from), Some(to)) if from <= now.time() && now.time() < to);
    hours.week.get(day).is_some_and(|intervals| intervals.iter().any(within))
}

/// The civil date in the flow's zone.
pub fn today(flow: &Flow, now_ms: u64) -> Option<Date> {
    Some(zoned(flow, now_ms)?.date())
}
