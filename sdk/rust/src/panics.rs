//! Says where a plugin panicked before the trap ends it.

/// Sends the place of a panic to the engine's log. Its message is left out: it may hold what a log must not.
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
