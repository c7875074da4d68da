//! SIGTERM and SIGINT: the first starts the drain, the second ends the process at once.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// The signal's name, and the exit code of a process that it ends.
    async fn next(&mut self) -> (&'static str, i32) {
        tokio::select! {
            _ = self.terminate.recv() => ("SIGTERM", 143),
            _ = self.interrupt.recv() => ("SIGINT", 130),
        }
    }
}

/// Cancels `draining` at the first signal and ends the process at the second. Must be called inside the runtime, early, because a
/// signal during the start counts too.
pub(super) fn watch(draining: CancellationToken) -> std::io::Result<()> {
    let mut signals =
        Signals { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? };
    tokio::spawn(async move {
        let (name, _) = signals.next().await;
        tracing::info!(signal = name, "draining; a second signal ends the server at once");
        draining.cancel();
        let (name, code) = signals.next().await;
        tracing::warn!(signal = name, "ending at once");
        std::process::exit(code);
    });
    Ok(())
}
