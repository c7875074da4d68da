//! The library's log, in the engine's. It writes jids, ids and stanzas at every level, so whatever its level was, a line of it is a
//! debug line here, without any run of digits long enough to be a number, and cut short.

use log::{LevelFilter, Log, Metadata, Record};

struct Journal;

impl Log for Journal {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= LevelFilter::Warn
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            pombo_plugin::log::debug("library", &crate::redact::line(&record.args().to_string()));
        }
    }

    fn flush(&self) {}
}

/// Makes it the program's. What would be dropped is never formatted.
pub(super) fn install() {
    // Fails only when there is a logger already; then that one stays.
    if log::set_logger(&Journal).is_ok() {
        log::set_max_level(LevelFilter::Warn);
    }
}
