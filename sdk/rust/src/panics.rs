//! Logs where a plugin panicked, before the trap ends it.

/// Writes the place of a panic to the engine's log. The message is left out, because it may contain what must not be logged.
pub fn install() {
    #[cfg(target_arch = "wasm32")]
    {
        static ONCE: std::sync::Once = std::sync::Once::new();
        ONCE.call_once(|| {
            std::panic::set_hook(Box::new(|info| {
                let place = info.location().map(ToString::to_string).unwrap_or_default();
                crate::log::error("panic", &place);
            }));
        });
    }
}
