//! Writes the library's log to the engine's. The library logs jids, ids and stanzas at every level, so each of its lines becomes a
//! debug line here, shortened and without any run of digits long enough to be a phone number.

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

/// Makes this the program's logger. Lines that would be dropped are never formatted.
pub(super) fn install() {
    // Fails only when there is a logger already; then that one stays.
    if log::set_logger(&Journal).is_ok() {
        log::set_max_level(LevelFilter::Warn);
    }
}
