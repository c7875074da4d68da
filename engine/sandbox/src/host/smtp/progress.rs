//! How far a submission came: on that hangs whether a retry is safe.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::SeqCst};

use crate::bindings::host::smtp::Stage;

/// How far a submission came. Shared with the task that must judge after the dialogue was dropped.
#[derive(Debug, Default)]
pub(super) struct Progress {
    stage: AtomicU8,
    pieces: AtomicU64,
    ended: AtomicBool,
    spoiled: Arc<AtomicBool>,
}

const STAGES: [Stage; 7] =
    [Stage::Connect, Stage::Tls, Stage::Login, Stage::Sender, Stage::Recipient, Stage::Data, Stage::Content];

impl Progress {
    pub(super) fn enter(&self, stage: Stage) {
        self.stage.store(STAGES.iter().position(|s| *s == stage).unwrap_or_default() as u8, SeqCst);
    }
    pub(super) fn stage(&self) -> Stage {
        STAGES.get(usize::from(self.stage.load(SeqCst))).copied().unwrap_or(Stage::Content)
    }
    /// Notes that a piece of the content was given.
    pub(super) fn advanced(&self) {
        self.pieces.fetch_add(1, SeqCst);
    }
    /// How many pieces were given.
    pub(super) fn pieces(&self) -> u64 {
        self.pieces.load(SeqCst)
    }
    /// Notes that all of the content was given: what is written next is its end.
    pub(super) fn ending(&self) {
        self.ended.store(true, SeqCst);
    }
    /// Forbids to write anything more.
    pub(super) fn spoil(&self) {
        self.spoiled.store(true, SeqCst);
    }
    /// The mark that nothing more may be written.
    pub(super) fn spoiled(&self) -> Arc<AtomicBool> {
        self.spoiled.clone()
    }
    #[cfg(test)]
    pub(super) fn is_spoiled(&self) -> bool {
        self.spoiled.load(SeqCst)
    }
    /// Whether the server may have the whole message.
    pub(super) fn may_be_accepted(&self) -> bool {
        self.ended.load(SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_remembers_the_stage_and_the_end() {
        let progress = Progress::default();
        assert_eq!(progress.stage(), Stage::Connect);
        for stage in STAGES {
            progress.enter(stage);
            assert_eq!(progress.stage(), stage);
        }
        assert!(!progress.may_be_accepted());
        progress.ending();
        assert!(progress.may_be_accepted());
    }
}
