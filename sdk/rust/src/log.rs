//! The engine's log. The engine bounds lines in rate and length and marks them as a plugin's text.
//!
//! Never log message bodies, addresses or secrets.

/// The importance of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Steps of a protocol.
    Trace,
    /// Details for a developer of the plugin.
    Debug,
    /// Information for an operator.
    Info,
    /// Something is wrong, but the plugin continues.
    Warn,
    /// Something failed, and what was asked for is not done.
    Error,
}

/// Writes one line. `target` is a short dotted name of the part that writes it, or empty.
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
        #[cfg(not(feature = "automation"))]
        crate::imports::log::log(level, target, text);
        #[cfg(feature = "automation")]
        crate::imports::log::log(level, &joined(target, text));
    }
    #[cfg(not(target_arch = "wasm32"))]
    {
        let line = joined(target, text);
        #[cfg(feature = "automation")]
        if crate::automation::host::log(level, &line) {
            return;
        }
        eprintln!("[{level:?}] {line}");
    }
}

#[cfg(any(feature = "automation", not(target_arch = "wasm32")))]
fn joined<'t>(target: &str, text: &'t str) -> std::borrow::Cow<'t, str> {
    if target.is_empty() { text.into() } else { [target, ": ", text].concat().into() }
}

/// The least important level that the engine currently keeps. Lines below it need not be built: see [`kept`].
pub fn max_level() -> Level {
    #[cfg(all(target_arch = "wasm32", not(feature = "automation")))]
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
    // Automations do not get the level, because the number of their lines is bounded.
    #[cfg(any(not(target_arch = "wasm32"), feature = "automation"))]
    Level::Trace
}

/// Whether the engine currently keeps lines at `level`. Ask before you build an expensive one.
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
