//! What the tasks of automations share: the queue of lanes, and the tasks under way. State only: [`super::runner`] moves it.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use pombo_domain::TenantIndex;
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::fair_queue::{FairQueue, Limits, QueueCounts};
use super::prepared::Preparations;
use crate::options::AutomationOptions;

/// Conversations that are being marked as read at once, at most; those past it stay unread.
const READING: usize = 32;

/// The shared state; see the module.
pub(crate) struct Dispatcher {
    pub(super) queue: Mutex<FairQueue>,
    /// The tenants of conversations that were looked up recently.
    pub(super) tenants: Mutex<HashMap<Uuid, TenantIndex>>,
    pub(super) preparations: Preparations,
    pub(super) reading: Arc<Semaphore>,
    pub(super) tasks: Mutex<JoinSet<()>>,
    /// Signalled when the last task under way has ended.
    pub(super) idle: Notify,
}

impl Dispatcher {
    pub(crate) fn new(options: &AutomationOptions) -> Self {
        let limits = Limits {
            in_flight: options.in_flight,
            in_flight_per_tenant: options.in_flight_per_tenant,
            queued_per_tenant: options.queued_per_tenant,
        };
        Self {
            queue: Mutex::new(FairQueue::new(limits)),
            tenants: Mutex::default(),
            preparations: Preparations::default(),
            reading: Arc::new(Semaphore::new(READING)),
            tasks: Mutex::default(),
            idle: Notify::new(),
        }
    }

    pub(crate) fn counts(&self) -> QueueCounts {
        self.queue.lock().counts()
    }
}
