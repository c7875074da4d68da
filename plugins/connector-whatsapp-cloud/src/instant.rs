//! Instants: those of the configuration, as JSON has them, and Meta's, in seconds.

use serde_json::Value;

/// The last millisecond that the engine takes.
const LAST_MILLIS: u64 = 253_402_300_799_999;

/// Milliseconds since the Unix epoch of `2027-01-31T00:00:00Z`, with or without a fraction, with `Z` or an offset.
pub(crate) fn of_rfc3339(text: &str) -> Option<u64> {
    let text = text.trim();
    let number = |from: usize, to: usize| {
        let digits = text.get(from..to)?;
        if digits.bytes().all(|b| b.is_ascii_digit()) { digits.parse::<i64>().ok() } else { None }
    };
    let bytes = text.as_bytes();
    let marks = [(4, b'-'), (7, b'-'), (13, b':'), (16, b':')];
    if bytes.len() < 20 || !marks.iter().all(|(at, mark)| bytes[*at] == *mark) || !b"Tt ".contains(&bytes[10]) {
        return None;
    }
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let mut rest = text.get(19..)?;
    if let Some(fraction) = rest.strip_prefix('.') {
        let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 {
            return None;
        }
        rest = fraction.get(digits..)?;
    }
    let offset = match rest {
        "Z" | "z" => 0,
        _ => {
            let sign = if rest.starts_with('+') { 1 } else { -1 };
            let (hours, minutes) = rest.strip_prefix(['+', '-'])?.split_once(':')?;
            if hours.len() != 2 || minutes.len() != 2 {
                return None;
            }
            sign * (hours.parse::<i64>().ok()? * 60 + minutes.parse::<i64>().ok()?)
        }
    };
    let seconds = ((days(year, month, day) * 24 + hour) * 60 + minute - offset) * 60 + second;
    u64::try_from(seconds).ok()?.checked_mul(1_000).filter(|millis| *millis <= LAST_MILLIS)
}

/// Days since the Unix epoch (Hinnant's algorithm).
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// Milliseconds of an instant that Meta tells: a text or a number of seconds.
pub(crate) fn of_seconds(value: &Value) -> Option<u64> {
    let number = match value {
        Value::Number(number) => number.as_u64()?,
        Value::String(text) => text.trim().parse().ok()?,
        _ => return None,
    };
    // As seconds that would be after the year 5000.
    let millis = if number > 100_000_000_000 { number } else { number * 1_000 };
    (millis <= LAST_MILLIS).then_some(millis)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn instants_are_read_as_the_calendar_has_them() {
        for (text, millis) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2000-02-29T00:00:00.5Z", Some(951_782_400_000)),
            ("2026-01-05T12:00:00Z", Some(1_767_614_400_000)),
            ("2026-01-05T09:00:00-03:00", Some(1_767_614_400_000)),
            ("2026-01-05T12:00:00", None),
            ("2026-13-05T12:00:00Z", None),
            ("yesterday", None),
            ("2026-01-05T12:00:00.Z", None),
        ] {
            assert_eq!(of_rfc3339(text), millis, "{text}");
        }
    }

    #[test]
    fn seconds_are_a_text_or_a_number() {
        assert_eq!(of_seconds(&json!("1749854575")), Some(1_749_854_575_000));
        assert_eq!(of_seconds(&json!(1749854575)), Some(1_749_854_575_000));
        assert_eq!(of_seconds(&json!("soon")), None);
        assert_eq!(of_seconds(&json!(u64::MAX)), None);
    }
}
