//! `log`: needs no grant.

use super::log_gate::kept;
use crate::bindings::host::log;
use crate::state::HostState;

/// The name of a level whose lines are kept for the plugin's owner; the levels of the engine's own log are its operator's choice.
fn shown(level: log::Level) -> Option<&'static str> {
    match level {
        log::Level::Trace | log::Level::Debug => None,
        log::Level::Info => Some("info"),
        log::Level::Warn => Some("warn"),
        log::Level::Error => Some("error"),
    }
}

impl log::Host for HostState {
    fn log(&mut self, level: log::Level, target: String, text: String) {
        if let (Some(context), Some(name)) = (&self.context, shown(level)) {
            self.services.telemetry.line(&context.labels, name, &text);
        }
        self.log.write(level, &target, &text);
    }

    fn max_level(&mut self) -> log::Level {
        use log::Level::{Debug, Error, Info, Trace, Warn};
        let kept = |level: &log::Level| kept(*level) || shown(*level).is_some();
        [Trace, Debug, Info, Warn].into_iter().find(kept).unwrap_or(Error)
    }
}
