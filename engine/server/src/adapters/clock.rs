//! The system's clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use pombo_domain::Timestamp;
use pombo_domain::ports::Clock;

/// Wall-clock time. Long waits check the clock again from time to time, so that a clock that was set forward is noticed.
pub(crate) struct SystemClock;

const LONGEST_NAP: Duration = Duration::from_secs(30);

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let millis = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis());
        Timestamp(i64::try_from(millis).unwrap_or(i64::MAX))
    }

    async fn sleep_until(&self, at: Timestamp) {
        loop {
            let left = at.since(self.now());
            if left <= 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(left.unsigned_abs()).min(LONGEST_NAP)).await;
        }
    }
}
