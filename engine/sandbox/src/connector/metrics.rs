//! What one life of a connector's instance adds to the figures of its plugin's version: how each send ended, and whether the
//! instance failed outside of them. Written by the task that drives the instance.
//!
//! Invariant: a send that an instance was given is counted once, however the instance ends.

use std::time::{Duration, Instant};

use parking_lot::Mutex;
use pombo_domain::ports::{SendOutcome, SessionState};

use crate::bindings::types::RunError;
use crate::state::Context;
use crate::telemetry::{self, Telemetry};

/// The count of one instance's life.
pub(crate) struct SendMetrics<'l> {
    telemetry: &'l Telemetry,
    context: &'l Context,
    broken: Mutex<Broken>,
}

#[derive(Default)]
struct Broken {
    /// How long the dropped sends had taken until then.
    cut: Vec<Duration>,
    /// A failure of the instance was counted.
    counted: bool,
}

/// A send under way.
pub(crate) struct SendInProgress<'t, 'l> {
    metrics: &'t SendMetrics<'l>,
    begun: Instant,
    ended: bool,
}

impl<'l> SendMetrics<'l> {
    pub(crate) fn new(telemetry: &'l Telemetry, context: &'l Context) -> Self {
        Self { telemetry, context, broken: Mutex::default() }
    }

    /// Begins to count a send.
    pub(crate) fn begin(&self) -> SendInProgress<'_, 'l> {
        SendInProgress { metrics: self, begun: Instant::now(), ended: false }
    }

    fn add(&self, ended: telemetry::Ended, after: Duration) {
        self.telemetry.ended(&self.context.labels, ended, after, Duration::ZERO, 0);
    }

    /// Counts, once, that the instance failed for a reason of its own.
    pub(crate) fn failed(&self, name: &'static str) {
        let cut = {
            let mut broken = self.broken.lock();
            if std::mem::replace(&mut broken.counted, true) && broken.cut.is_empty() {
                return;
            }
            std::mem::take(&mut broken.cut)
        };
        if cut.is_empty() {
            return self.add(telemetry::Ended::Trapped(name), Duration::ZERO);
        }
        cut.into_iter().for_each(|after| self.add(telemetry::Ended::Trapped(name), after));
    }

    /// Counts that `run` returned without being asked to. A plugin that holds a session may lose it through no fault of its own, once
    /// it has reported anything about it; everything else is the version's fault.
    pub(crate) fn run_ended(&self, end: &wasmtime::Result<Result<(), RunError>>, needs_session: bool) {
        match end {
            Err(_) => {}
            Ok(Err(RunError::LoggedOut(_))) => {}
            Ok(Err(RunError::Config(_))) => self.failed("configuration"),
            Ok(_) if !needs_session || self.context.session.state() == SessionState::Connecting => {
                self.failed("not-running");
            }
            Ok(_) => {}
        }
    }
}

impl Drop for SendMetrics<'_> {
    fn drop(&mut self) {
        let cut = std::mem::take(&mut self.broken.lock().cut);
        cut.into_iter().for_each(|after| self.add(telemetry::Ended::Outside("cut-off"), after));
    }
}

impl SendInProgress<'_, '_> {
    /// Counts the outcome that the plugin gave.
    pub(crate) fn ended(self, outcome: &SendOutcome) {
        use telemetry::Ended::{Failed, Outside, Well};
        let ended = match outcome {
            SendOutcome::Accepted { .. } => Well,
            SendOutcome::InvalidRecipient(_) => Outside("invalid-recipient"),
            SendOutcome::Throttled { .. } => Outside("throttled"),
            SendOutcome::Rejected(_) => Failed("rejected"),
            SendOutcome::Temporary(_) => Failed("temporary"),
            SendOutcome::Disconnected(_) => Failed("disconnected"),
            SendOutcome::Unknown(_) => Failed("unknown"),
        };
        self.add(ended);
    }

    /// Counts a trap, or a deadline that passed.
    pub(crate) fn failed(self, name: &'static str) {
        self.metrics.broken.lock().counted = true;
        self.add(telemetry::Ended::Trapped(name));
    }

    fn add(mut self, ended: telemetry::Ended) {
        self.ended = true;
        self.metrics.add(ended, self.begun.elapsed());
    }
}

impl Drop for SendInProgress<'_, '_> {
    fn drop(&mut self) {
        if !self.ended {
            self.metrics.broken.lock().cut.push(self.begun.elapsed());
        }
    }
}
