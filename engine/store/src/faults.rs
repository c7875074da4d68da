//! A backend that fails on purpose, for tests of what happens then: a decorator, so that the committer does not know of it.

use std::sync::Arc;

use parking_lot::Mutex;
use pombo_domain::ports::{StoreError, StoreResult};

use crate::backend::{Backend, Bytes, KeyRange, Order, Scan, Write};
use crate::space::Space;

/// How a write fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The disk is full: nothing of the batch is on disk.
    DiskFull,
    /// The sync fails although the batch did reach the disk.
    SyncFailed,
}

/// Decides which group commit fails. Cheap to clone; the copies are one.
#[derive(Clone, Default)]
pub struct FaultPlan(Arc<Mutex<Plan>>);

#[derive(Default)]
struct Plan {
    writes: u64,
    fail_at: Option<(u64, Fault)>,
}

impl FaultPlan {
    /// From now on the `nth` write (counted from 1) fails, and all after it.
    pub fn fail(&self, nth: u64, fault: Fault) {
        let mut plan = self.0.lock();
        plan.fail_at = Some((plan.writes + nth.max(1), fault));
    }

    fn next(&self) -> Option<Fault> {
        let mut plan = self.0.lock();
        plan.writes += 1;
        plan.fail_at.filter(|(at, _)| plan.writes >= *at).map(|(_, fault)| fault)
    }
}

/// A backend whose writes fail as planned.
pub(crate) struct Faulty<B> {
    pub(crate) inner: B,
    pub(crate) plan: FaultPlan,
}

impl<B: Backend> Backend for Faulty<B> {
    fn get(&self, space: Space, key: &[u8]) -> StoreResult<Option<Bytes>> {
        self.inner.get(space, key)
    }
    fn scan(&self, space: Space, range: KeyRange, order: Order) -> Scan<'_> {
        self.inner.scan(space, range, order)
    }
    fn write(&self, writes: Vec<Write>) -> StoreResult<()> {
        match self.plan.next() {
            None => self.inner.write(writes),
            Some(Fault::DiskFull) => Err(StoreError::Unavailable("no space left on device".to_owned())),
            Some(Fault::SyncFailed) => {
                self.inner.write(writes)?;
                Err(StoreError::Unavailable("sync failed".to_owned()))
            }
        }
    }
    fn sync(&self) -> StoreResult<()> {
        self.inner.sync()
    }
}
