//! A token bucket for questions to the server about numbers. Pure: the caller passes in the time.

/// Holds at most `burst` tokens and gains `per_minute` of them each minute.
#[derive(Debug)]
pub struct Bucket {
    burst: f64,
    per_milli: f64,
    tokens: f64,
    at_millis: u64,
}

impl Bucket {
    /// A full bucket. Both bounds are at least one.
    pub fn new(burst: u32, per_minute: u32, now_millis: u64) -> Self {
        let burst = f64::from(burst.max(1));
        Self { burst, per_milli: f64::from(per_minute.max(1)) / 60_000.0, tokens: burst, at_millis: now_millis }
    }

    /// Takes a token, or says in how many milliseconds there will be one.
    pub fn take(&mut self, now_millis: u64) -> Result<(), u64> {
        // A clock that goes back gives nothing.
        let passed = now_millis.saturating_sub(self.at_millis);
        self.at_millis = self.at_millis.max(now_millis);
        self.tokens = (self.tokens + passed as f64 * self.per_milli).min(self.burst);
        if self.tokens >= 1.0 {
            self.tokens -= 1.0;
            return Ok(());
        }
        Err((((1.0 - self.tokens) / self.per_milli).ceil() as u64).max(1))
    }

    /// Takes every token, because the server asked for fewer questions.
    pub fn drain(&mut self) {
        self.tokens = 0.0;
    }
}

#[cfg(test)]
mod tests {
    use super::Bucket;

    #[test]
    fn a_burst_then_a_steady_pace() {
        let mut bucket = Bucket::new(3, 60, 1_000);
        for _ in 0..3 {
            assert_eq!(bucket.take(1_000), Ok(()));
        }
        let wait = bucket.take(1_000).expect_err("empty");
        assert_eq!(wait, 1_000);
        assert!(bucket.take(1_000 + wait - 1).is_err());
        assert_eq!(bucket.take(1_000 + wait), Ok(()));
    }

    #[test]
    fn it_never_holds_more_than_its_burst_and_a_clock_may_go_back() {
        let mut bucket = Bucket::new(2, 60, 0);
        assert_eq!(bucket.take(1_000_000), Ok(()));
        assert_eq!(bucket.take(1_000_000), Ok(()));
        assert!(bucket.take(1_000_000).is_err());
        assert!(bucket.take(0).is_err());
    }

    #[test]
    fn draining_empties_it() {
        let mut bucket = Bucket::new(5, 60, 0);
        bucket.drain();
        assert!(bucket.take(0).is_err());
    }
}
