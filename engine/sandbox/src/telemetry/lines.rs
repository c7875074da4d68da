//! The last lines that a plugin wrote for one tenant: bounded in number, bytes and rate.

use std::collections::VecDeque;
use std::time::Instant;

use pombo_domain::ports::PluginLine;

/// Bytes of text in one ring.
const BYTES: usize = 128 << 10;
/// Lines a second; four times as many at once.
const PER_SECOND: f64 = 50.0;
const BURST: f64 = PER_SECOND * 4.0;

/// The ring. The oldest lines make room for the new ones.
#[derive(Debug)]
pub(super) struct Lines {
    lines: VecDeque<PluginLine>,
    bytes: usize,
    most: usize,
    tokens: f64,
    refilled: Instant,
    /// When a line was added last.
    pub(super) touched: Instant,
}

impl Lines {
    pub(super) fn new(most: usize, now: Instant) -> Self {
        Self { lines: VecDeque::new(), bytes: 0, most: most.max(1), tokens: BURST, refilled: now, touched: now }
    }

    /// Whether there may be a line now.
    pub(super) fn admits(&mut self, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.refilled).as_secs_f64();
        self.refilled = now;
        self.tokens = (self.tokens + passed * PER_SECOND).min(BURST);
        let admitted = self.tokens >= 1.0;
        self.tokens -= f64::from(u8::from(admitted));
        admitted
    }

    pub(super) fn push(&mut self, line: PluginLine, now: Instant) {
        self.touched = now;
        self.bytes += line.text.len();
        self.lines.push_back(line);
        while self.lines.len() > self.most || self.bytes > BYTES && self.lines.len() > 1 {
            self.bytes -= self.lines.pop_front().map_or(0, |line| line.text.len());
        }
    }

    /// After the number, oldest first.
    pub(super) fn after(&self, number: u64) -> impl Iterator<Item = &PluginLine> {
        let from = self.lines.partition_point(|line| line.number <= number);
        self.lines.range(from..)
    }
}
