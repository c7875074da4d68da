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

/// One life's count.
pub(crate) struct Tally<'l> {
    telemetry: &'l Telemetry,
    context: &'l Context,
    broken: Mutex<Broken>,
}

#[derive(Default)]
struct Broken {
    /// How long the sends had taken that were dropped.
    cut: Vec<Duration>,
    /// A failure of the instance was counted.
    counted: bool,
}

/// A send under way.
pub(crate) struct Sending<'t, 'l> {
    tally: &'t Tally<'l>,
    begun: Instant,
    ended: bool,
}

impl<'l> Tally<'l> {
    pub(crate) fn new(telemetry: &'l Telemetry, context: &'l Context) -> Self {
        Self { telemetry, context, broken: Mutex::default() }
    }

    /// A send begins.
    pub(crate) fn begin(&self) -> Sending<'_, 'l> {
        Sending { tally: self, begun: Instant::now(), ended: false }
    }

    fn add(&self, ended: telemetry::Ended, after: Duration) {
        self.telemetry.ended(&self.context.whose, ended, after, Duration::ZERO, 0);
    }

    /// The instance failed for a reason of its own, which is counted once.
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

    /// `run` returned though nobody asked it to. A plugin that holds a session may lose that without a fault of its own, once it
    /// has got as far as to have said anything of it; everything else is the version's.
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

impl Drop for Tally<'_> {
    fn drop(&mut self) {
        let cut = std::mem::take(&mut self.broken.lock().cut);
        cut.into_iter().for_each(|after| self.add(telemetry::Ended::Outside("cut-off"), after));
    }
}

impl Sending<'_, '_> {
    /// It has an outcome of the plugin's.
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

    /// It trapped, or passed its deadline.
    pub(crate) fn failed(self, name: &'static str) {
        self.tally.broken.lock().counted = true;
        self.add(telemetry::Ended::Trapped(name));
    }

    fn add(mut self, ended: telemetry::Ended) {
        self.ended = true;
        self.tally.add(ended, self.begun.elapsed());
    }
}

impl Drop for Sending<'_, '_> {
    fn drop(&mut self) {
        if !self.ended {
            self.tally.broken.lock().cut.push(self.begun.elapsed());
        }
    }
}
