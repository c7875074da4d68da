//! The engine's log. Lines are bounded in rate and length by the engine and marked as a plugin's text.
//!
//! Never log message bodies, addresses or secrets.

/// How much a line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Steps of a protocol.
    Trace,
    /// What a developer of the plugin wants to know.
    Debug,
    /// What an operator may want to know.
    Info,
    /// Something is off; the plugin goes on.
    Warn,
    /// Something failed.
    Error,
}

/// Writes one line. `target` is a short dotted name of the part that speaks.
pub fn log(level: Level, target: &str, text: &str) {
    #[cfg(target_arch = "wasm32")]
    {
        use crate::imports::log::Level as Host;
        let level = match level {
            Level::Trace => Host::Trace,
            Level::Debug => Host::Debug,
            Level::Info => Host::Info,
            Level::Warn => Host::Warn,
            Level::Error => Host::Error,
        };
        crate::imports::log::log(level, target, text);
    }
    #[cfg(not(target_arch = "wasm32"))]
    eprintln!("[{level:?}] {target}: {text}");
}

/// The least important level that the engine keeps now. Lines below it need not be made: see [`kept`].
pub fn max_level() -> Level {
    #[cfg(target_arch = "wasm32")]
    {
        use crate::imports::log::Level as Host;
        match crate::imports::log::max_level() {
            Host::Trace => Level::Trace,
            Host::Debug => Level::Debug,
            Host::Info => Level::Info,
            Host::Warn => Level::Warn,
            Host::Error => Level::Error,
        }
    }
    #[cfg(not(target_arch = "wasm32"))]
    Level::Trace
}

/// Whether a line at `level` is kept now. Ask before making an expensive one.
pub fn kept(level: Level) -> bool {
    level >= max_level()
}

/// [`log`] at [`Level::Debug`].
pub fn debug(target: &str, text: &str) {
    log(Level::Debug, target, text);
}
/// [`log`] at [`Level::Info`].
pub fn info(target: &str, text: &str) {
    log(Level::Info, target, text);
}
/// [`log`] at [`Level::Warn`].
pub fn warn(target: &str, text: &str) {
    log(Level::Warn, target, text);
}
/// [`log`] at [`Level::Error`].
pub fn error(target: &str, text: &str) {
    log(Level::Error, target, text);
}
