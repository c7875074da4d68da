//! An instance's way into the engine's log: bounded in rate and length. Every line says that a guest wrote it.

use std::sync::Arc;
use std::time::Instant;

use uuid::Uuid;

use crate::bindings::host::log;
use crate::limits::{LOG_LINE_BYTES, cut};

/// One instance's bound.
#[derive(Debug)]
pub(crate) struct LogGate {
    plugin: Arc<str>,
    connector: Option<Uuid>,
    per_second: f64,
    burst: f64,
    /// Lines that may go now.
    tokens: f64,
    refilled: Instant,
    dropped: u64,
}

impl LogGate {
    pub(crate) fn new(plugin: Arc<str>, connector: Option<Uuid>, per_second: u32) -> Self {
        let burst = f64::from(per_second) * 4.0;
        Self {
            plugin,
            connector,
            per_second: f64::from(per_second),
            burst,
            tokens: burst,
            refilled: Instant::now(),
            dropped: 0,
        }
    }

    /// Whether a line may go at `now`, and how many were dropped before it.
    fn admit(&mut self, now: Instant) -> Option<u64> {
        let passed = now.saturating_duration_since(self.refilled).as_secs_f64();
        self.refilled = now;
        self.tokens = (self.tokens + passed * self.per_second).min(self.burst);
        if self.tokens < 1.0 {
            self.dropped += 1;
            return None;
        }
        self.tokens -= 1.0;
        Some(std::mem::take(&mut self.dropped))
    }

    pub(crate) fn write(&mut self, level: log::Level, target: &str, text: &str) {
        // First, so that lines that are not written take no place from lines that are.
        if !kept(level) {
            return;
        }
        let Some(dropped) = self.admit(Instant::now()) else { return };
        let (plugin, connector) = (&*self.plugin, self.connector.map(tracing::field::display));
        let (part, text) = (cut(target, 100), cut(text, LOG_LINE_BYTES));
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(target: "pombo::guest", guest = true, plugin, connector, part, dropped, "{text}")
            };
        }
        match level {
            log::Level::Trace => line!(trace),
            log::Level::Debug => line!(debug),
            log::Level::Info => line!(info),
            // A guest's error is not the engine's: it stays below what an operator is woken for.
            log::Level::Warn | log::Level::Error => line!(warn),
        }
    }
}

/// Whether a guest's line at this level is written anywhere.
pub(crate) fn kept(level: log::Level) -> bool {
    match level {
        log::Level::Trace => tracing::enabled!(target: "pombo::guest", tracing::Level::TRACE),
        log::Level::Debug => tracing::enabled!(target: "pombo::guest", tracing::Level::DEBUG),
        log::Level::Info => tracing::enabled!(target: "pombo::guest", tracing::Level::INFO),
        log::Level::Warn | log::Level::Error => tracing::enabled!(target: "pombo::guest", tracing::Level::WARN),
    }
}

impl Drop for LogGate {
    fn drop(&mut self) {
        if self.dropped > 0 {
            let connector = self.connector.map(tracing::field::display);
            tracing::warn!(target: "pombo::guest", plugin = &*self.plugin, connector, dropped = self.dropped, "lines of a plugin were dropped");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn lines_beyond_the_rate_are_counted_and_the_count_is_told_once() {
        let mut gate = LogGate::new("p".into(), None, 10);
        let start = Instant::now();
        let passed = (0..1000).filter(|_| gate.admit(start).is_some()).count();
        assert_eq!(passed, 40);
        assert_eq!(gate.admit(start + Duration::from_millis(100)), Some(960));
        assert_eq!(gate.admit(start + Duration::from_millis(100)), None);
        assert_eq!(gate.admit(start + Duration::from_secs(60)), Some(1));
        gate.dropped = 0;
    }
}
