//! The engine's clock, which replaces `SystemTime::now` and `Instant::now`.

use std::time::{Duration, SystemTime};

/// The current time.
pub fn now() -> SystemTime {
    #[cfg(feature = "automation")]
    return SystemTime::UNIX_EPOCH + Duration::from_millis(crate::automation::host::now_millis());
    #[cfg(all(target_arch = "wasm32", feature = "connector", not(feature = "automation")))]
    return SystemTime::UNIX_EPOCH + Duration::from_millis(crate::imports::clock::now_millis());
    // A world without a clock is deterministic by contract, so time stands still in it.
    #[cfg(all(target_arch = "wasm32", not(any(feature = "connector", feature = "automation"))))]
    return SystemTime::UNIX_EPOCH;
    #[cfg(not(any(target_arch = "wasm32", feature = "automation")))]
    return SystemTime::now();
}

/// Milliseconds since the Unix epoch.
pub fn now_millis() -> u64 {
    now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_millis() as u64
}

/// Time since some instant before the plugin started; never decreases.
#[cfg(all(target_arch = "wasm32", feature = "connector"))]
pub fn monotonic() -> Duration {
    Duration::from_nanos(crate::imports::clock::monotonic_nanos())
}

/// Suspends the calling task; other tasks of the instance continue.
#[cfg(all(target_arch = "wasm32", feature = "connector"))]
pub async fn sleep(time: Duration) {
    crate::imports::clock::sleep_millis(time.as_millis().min(u128::from(u64::MAX)) as u64).await;
}

/// Formats an instant, in milliseconds since the Unix epoch, as JSON has it: `2026-01-05T12:00:00.000Z`.
pub fn rfc3339(millis: u64) -> String {
    let (year, month, day) = date_of(millis / 86_400_000);
    let in_day = millis % 86_400_000;
    let (hour, minute) = (in_day / 3_600_000, in_day / 60_000 % 60);
    let (second, rest) = (in_day / 1000 % 60, in_day % 1000);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{rest:03}Z")
}

/// Year, month and day of a number of days since the Unix epoch (Hinnant's algorithm, for days that are not negative).
fn date_of(days: u64) -> (u64, u64, u64) {
    let z = days + 719_468;
    let (era, day_of_era) = (z / 146_097, z % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day_of_year - (153 * shifted + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    #[test]
    fn instants_are_written_as_the_calendar_has_them() {
        for (millis, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_767_614_400_000, "2026-01-05T12:00:00.000Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(super::rfc3339(millis), text);
        }
    }
}
