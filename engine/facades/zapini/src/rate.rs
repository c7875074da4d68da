//! How many requests a token may make: a fixed window that begins with its first request. Kept in memory and bounded; a restart
//! forgets it, which gives a token at most one more window.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use poem::http::{HeaderMap, HeaderName, HeaderValue};
use pombo_domain::Timestamp;

use crate::credentials::TokenId;

/// Number of tokens that are counted. Beyond it the oldest windows are dropped.
const MAX_WINDOWS: usize = 100_000;

const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// Counts the requests of each token.
pub(crate) struct RateLimit {
    most: u32,
    window_ms: i64,
    windows: Mutex<HashMap<TokenId, Window>>,
}

#[derive(Clone, Copy)]
struct Window {
    since: Timestamp,
    requests: u32,
}

/// What is left to a token after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Allowance {
    /// Requests in a window.
    pub(crate) limit: u32,
    /// Requests that are left in this window.
    pub(crate) remaining: u32,
    /// When the window ends.
    pub(crate) until: Timestamp,
    /// Whether the request itself is over the limit.
    pub(crate) exceeded: bool,
}

impl Allowance {
    /// The headers that say so.
    pub(crate) fn headers(self) -> [(HeaderName, HeaderValue); 3] {
        let reset = self.until.0.max(0).unsigned_abs().div_ceil(1000);
        [(LIMIT, self.limit.into()), (REMAINING, self.remaining.into()), (RESET, reset.into())]
    }

    /// Writes the headers.
    pub(crate) fn write(self, headers: &mut HeaderMap) {
        headers.extend(self.headers().map(|(name, value)| (Some(name), value)));
    }
}

impl RateLimit {
    /// At most `most` requests in each window of each token; 0 for no limit.
    pub(crate) fn new(most: u32, window: Duration) -> Self {
        let window_ms = i64::try_from(window.as_millis()).unwrap_or(i64::MAX);
        Self { most, window_ms, windows: Mutex::default() }
    }

    /// Counts a request; `None` where there is no limit.
    pub(crate) fn count(&self, token: TokenId, now: Timestamp) -> Option<Allowance> {
        if self.most == 0 {
            return None;
        }
        let mut windows = self.windows.lock();
        if windows.len() >= MAX_WINDOWS && !windows.contains_key(&token) {
            make_room(&mut windows, now, self.window_ms);
        }
        let window = windows.entry(token).or_insert(Window { since: now, requests: 0 });
        // Also when the clock was set back: a window never lasts longer than it should.
        if !(0..self.window_ms).contains(&now.since(window.since)) {
            *window = Window { since: now, requests: 0 };
        }
        let exceeded = window.requests >= self.most;
        if !exceeded {
            window.requests += 1;
        }
        Some(Allowance {
            limit: self.most,
            remaining: self.most - window.requests,
            until: window.since.plus_ms(self.window_ms),
            exceeded,
        })
    }
}

fn make_room(windows: &mut HashMap<TokenId, Window>, now: Timestamp, window_ms: i64) {
    windows.retain(|_, window| now.since(window.since) < window_ms);
    if windows.len() >= MAX_WINDOWS {
        // Half goes at once, so that not every request walks over all of them.
        let mut since: Vec<Timestamp> = windows.values().map(|window| window.since).collect();
        since.sort_unstable();
        let middle = since[since.len() / 2];
        windows.retain(|_, window| window.since > middle);
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn token(number: u128) -> TokenId {
        TokenId::Key(Uuid::from_u128(number))
    }

    #[test]
    fn a_window_begins_with_the_first_request_and_is_each_tokens_own() {
        let limit = RateLimit::new(2, Duration::from_secs(60));
        let count = |number, at| limit.count(token(number), Timestamp(at)).expect("a limit");
        let seen = |left: Allowance| (left.remaining, left.exceeded);
        assert_eq!(seen(count(1, 1_000)), (1, false));
        assert_eq!(seen(count(1, 2_000)), (0, false));
        let over = count(1, 60_999);
        assert_eq!((seen(over), over.until), ((0, true), Timestamp(61_000)));
        assert_eq!(seen(count(2, 60_999)), (1, false));
        assert_eq!(seen(count(1, 61_000)), (1, false), "a new window");
        assert_eq!(seen(count(1, 500)), (1, false), "the clock was set back");
        assert_eq!(RateLimit::new(0, Duration::from_secs(60)).count(token(1), Timestamp(0)), None);
    }

    #[test]
    fn the_headers_are_seconds() {
        let left = Allowance { limit: 100, remaining: 99, until: Timestamp(1_500), exceeded: false };
        let mut headers = HeaderMap::new();
        left.write(&mut headers);
        assert_eq!((&headers["x-ratelimit-limit"], &headers["x-ratelimit-remaining"]), (&100.into(), &99.into()));
        assert_eq!(headers["x-ratelimit-reset"], "2");
    }

    #[test]
    fn the_table_is_bounded() {
        let limit = RateLimit::new(5, Duration::from_secs(60));
        for number in 0..(MAX_WINDOWS as u128 + 10) {
            limit.count(token(number), Timestamp(number as i64 / 10_000));
        }
        assert!(limit.windows.lock().len() <= MAX_WINDOWS);
    }
}
