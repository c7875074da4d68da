//! Keeps a connector running: starts its instance again after a failure with a growing pause, puts the next assignment in the
//! place of the one before, and answers what arrives while none runs.

use std::sync::Arc;
use std::time::Duration;

use pombo_domain::ports::SessionState;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::connector::actor::{Ended, serve};
use crate::connector::assignment::{Assignment, Control};
use crate::connector::jobs::{Operate, Queues, Receive, Send};
use crate::connector::restarts::Restarts;
use crate::connector::session::SessionHandle;
use crate::limits::{FAREWELL, OPERATIONS_WAITING, RECEIVES_WAITING, TURN};
use crate::registry::ConnectorPlugin;

/// A connector that runs, or will again after its pause.
pub(crate) struct Running {
    pub(crate) sends: mpsc::Sender<Send>,
    pub(crate) operations: mpsc::Sender<Operate>,
    pub(crate) requests: mpsc::Sender<Receive>,
    pub(crate) assignment: Arc<Assignment>,
    control: watch::Sender<Control>,
    task: JoinHandle<()>,
}

impl Running {
    pub(crate) fn start(assignment: Assignment) -> Self {
        let assignment = Arc::new(assignment);
        // As many as may run: a caller beyond that waits, so that a slow connector is slow for its own callers only.
        let (sends, send_queue) = mpsc::channel(usize::from(assignment.plugin.description.max_in_flight));
        let (operations, operation_queue) = mpsc::channel(OPERATIONS_WAITING);
        let (requests, request_queue) = mpsc::channel(RECEIVES_WAITING);
        let (control, orders) = watch::channel(Control { assignment: assignment.clone(), stop: false, halt: false });
        let queues = Queues { sends: send_queue, operations: operation_queue, requests: request_queue };
        let task = tokio::spawn(Supervisor { queues, control: orders }.run());
        Self { sends, operations, requests, assignment, control, task }
    }

    /// Puts another assignment in the place of this one, whose instance is gone before the other's is made. The queues wait
    /// until then.
    pub(crate) fn replace(&mut self, assignment: Assignment) {
        self.assignment = Arc::new(assignment);
        self.control.send_replace(Control { assignment: self.assignment.clone(), stop: false, halt: false });
    }

    /// Its plugin's version.
    pub(crate) fn plugin(&self) -> &Arc<ConnectorPlugin> {
        &self.assignment.plugin
    }

    /// The session of its own instance.
    pub(crate) fn session(&self) -> &SessionHandle {
        &self.assignment.context.session
    }

    /// No more jobs; ends it when its sends are done, or after `drain`. The returned task is that wait.
    pub(crate) fn retire(self, drain: Duration) -> JoinHandle<()> {
        self.finish(drain, false)
    }

    /// Like [`Self::retire`], but what it has not begun goes back to its caller.
    pub(crate) fn halt(self, drain: Duration) -> JoinHandle<()> {
        self.finish(drain, true)
    }

    fn finish(self, drain: Duration, halt: bool) -> JoinHandle<()> {
        let Self { sends, operations, requests, assignment, control, task } = self;
        drop((sends, operations, requests));
        control.send_replace(Control { assignment, stop: true, halt });
        tokio::spawn(async move {
            let abort = task.abort_handle();
            if tokio::time::timeout(drain, task).await.is_err() {
                abort.abort();
            }
            drop(control);
        })
    }
}

struct Supervisor {
    queues: Queues,
    control: watch::Receiver<Control>,
}

/// Why an assignment's time is over.
enum Over {
    Replaced,
    Stopped,
}

impl Supervisor {
    async fn run(mut self) {
        loop {
            let assignment = self.control.borrow_and_update().assignment.clone();
            // Dropping it tells the task that waits for this moment.
            drop(assignment.before.lock().take());
            let _checks = assignment.context.proxy.as_ref().and_then(|proxy| proxy.checks());
            match self.keep(&assignment).await {
                Over::Replaced if !self.control.borrow().halt => {}
                Over::Replaced | Over::Stopped => {
                    return assignment.context.session.set(SessionState::Stopped, None);
                }
            }
        }
    }

    /// Keeps an assignment's instance running until another takes its place.
    async fn keep(&mut self, assignment: &Assignment) -> Over {
        let limits = &assignment.services.limits;
        let context = &assignment.context;
        let mut restarts = Restarts::new(limits.restart_first, limits.restart_max);
        loop {
            context.session.set(SessionState::Connecting, None);
            let born = Instant::now();
            let pause = match self.live(assignment).await {
                Ended::Drained => return Over::Stopped,
                Ended::Replaced => return Over::Replaced,
                Ended::Config(why) => {
                    context.session.end(SessionState::Failing(format!("configuration: {why}")));
                    None
                }
                Ended::LoggedOut(why) => {
                    context.session.end(SessionState::LoggedOut(why));
                    None
                }
                Ended::Failed(why) => {
                    let pause = restarts.next(born.elapsed(), assignment.services.entropy.u64());
                    tracing::warn!(
                        plugin = &*assignment.plugin.name,
                        connector = %context.id,
                        reason = why,
                        pause_ms = pause.as_millis() as u64,
                        "a connector's plugin failed and is started again"
                    );
                    context.session.set(SessionState::Failing(why), None);
                    Some(pause)
                }
            };
            if let Some(over) = self.rest(assignment, pause).await {
                return over;
            }
        }
    }

    /// One life of the instance, begun in its turn and cut short when it does not give way.
    async fn live(&mut self, assignment: &Assignment) -> Ended {
        let mut control = self.control.clone();
        let turn = assignment.services.starts.clone().acquire_owned();
        let turn = tokio::select! {
            biased;
            _ = given_way(&mut control, assignment) => return Ended::Replaced,
            turn = turn => turn,
        };
        let hold = async {
            // Whatever comes of it, the others must not wait for long.
            let _ = tokio::time::timeout(TURN, assignment.context.session.opened()).await;
            drop(turn);
            std::future::pending().await
        };
        let overdue = async {
            given_way(&mut control, assignment).await;
            tokio::time::sleep(assignment.services.limits.drain + FAREWELL).await;
        };
        tokio::select! {
            end = serve(assignment, &mut self.queues, self.control.clone()) => end,
            () = overdue => Ended::Replaced,
            end = hold => end,
        }
    }

    /// Waits for the pause (forever without one), and answers what arrives unless that may wait too. `Some` when the assignment's
    /// time is over.
    async fn rest(&mut self, assignment: &Assignment, pause: Option<Duration>) -> Option<Over> {
        let mut control = self.control.clone();
        let slot = &assignment.context.session.slot;
        let over = async {
            match pause {
                Some(pause) => tokio::time::sleep(pause).await,
                None => std::future::pending().await,
            }
        };
        let refusing = async {
            if let Some(until) = slot.waits_until().filter(|_| assignment.plugin.description.needs_session) {
                tokio::select! {
                    () = tokio::time::sleep_until(until) => {}
                    () = stopped(&mut self.control) => {}
                }
            }
            self.queues.refuse("the connector is not running").await;
        };
        tokio::select! {
            biased;
            () = given_way(&mut control, assignment) => Some(Over::Replaced),
            () = over => None,
            () = refusing => Some(Over::Stopped),
        }
    }
}

/// Returns when another assignment is to take the place of this one.
async fn given_way(control: &mut watch::Receiver<Control>, assignment: &Assignment) {
    if control.wait_for(|now| now.orders(assignment).give_way).await.is_err() {
        // The sender is gone: no more orders will come.
        std::future::pending().await
    }
}

/// Returns when the connector is stopped.
async fn stopped(control: &mut watch::Receiver<Control>) {
    // Without a sender it is stopped too.
    let _ = control.wait_for(|now| now.stop).await;
}
