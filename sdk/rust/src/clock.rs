//! The engine's clock, in the place of `SystemTime::now` and `Instant::now`.

use std::time::{Duration, SystemTime};

/// The current time.
pub fn now() -> SystemTime {
    #[cfg(all(target_arch = "wasm32", feature = "connector"))]
    return SystemTime::UNIX_EPOCH + Duration::from_millis(crate::imports::clock::now_millis());
    // A world without a clock is deterministic by contract: there is no time in it.
    #[cfg(all(target_arch = "wasm32", not(feature = "connector")))]
    return SystemTime::UNIX_EPOCH;
    #[cfg(not(target_arch = "wasm32"))]
    return SystemTime::now();
}

/// Milliseconds since the Unix epoch.
pub fn now_millis() -> u64 {
    now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_millis() as u64
}

/// Time since some instant before the plugin started; never goes back.
#[cfg(all(target_arch = "wasm32", feature = "connector"))]
pub fn monotonic() -> Duration {
    Duration::from_nanos(crate::imports::clock::monotonic_nanos())
}

/// Parks the calling task; other tasks of the instance go on.
#[cfg(all(target_arch = "wasm32", feature = "connector"))]
pub async fn sleep(time: Duration) {
    crate::imports::clock::sleep_millis(time.as_millis().min(u128::from(u64::MAX)) as u64).await;
}
