//! Keeps a connector running: starts its actor again after a failure with a growing pause, and answers what comes meanwhile.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pombo_domain::ports::SessionState;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use wasmtime::Engine;

use crate::actor::{Ended, Job, serve};
use crate::backoff::Backoff;
use crate::registry::ConnectorPlugin;
use crate::state::{Context, Services};

/// A connector that runs, or is about to again.
pub(crate) struct Running {
    pub(crate) jobs: mpsc::Sender<Job>,
    pub(crate) context: Arc<Context>,
    pub(crate) needs_session: bool,
    task: JoinHandle<()>,
}

impl Running {
    /// Starts it; after `before` has ended, where there is one whose session must be gone first.
    pub(crate) fn start(
        engine: Engine,
        plugin: Arc<ConnectorPlugin>,
        services: Arc<Services>,
        context: Arc<Context>,
        config: String,
        before: Option<JoinHandle<()>>,
    ) -> Self {
        // As many as may run: a caller beyond that waits, and whoever is slow is so to its own callers only.
        let (jobs, queue) = mpsc::channel(usize::from(plugin.description.max_in_flight));
        let needs_session = plugin.description.needs_session;
        let supervised = Supervised { engine, plugin, services, context: context.clone(), config, jobs: queue };
        let task = tokio::spawn(async move {
            if let Some(before) = before {
                // Ended, by itself or by abortion.
                let _ = before.await;
            }
            supervised.run().await;
        });
        Self { jobs, context, needs_session, task }
    }

    /// No more jobs; ends it when its sends are done, or after `drain`. The returned task is that wait.
    pub(crate) fn retire(self, drain: Duration) -> JoinHandle<()> {
        let Self { jobs, context, task, .. } = self;
        context.session.mute();
        drop(jobs);
        tokio::spawn(async move {
            let abort = task.abort_handle();
            if tokio::time::timeout(drain, task).await.is_err() {
                abort.abort();
            }
        })
    }
}

struct Supervised {
    engine: Engine,
    plugin: Arc<ConnectorPlugin>,
    services: Arc<Services>,
    context: Arc<Context>,
    config: String,
    jobs: mpsc::Receiver<Job>,
}

impl Supervised {
    async fn run(mut self) {
        let limits = &self.services.limits;
        let mut backoff = Backoff::new(limits.restart_first, limits.restart_max);
        loop {
            self.context.session.set(SessionState::Connecting);
            let born = Instant::now();
            let end =
                serve(&self.engine, &self.plugin, &self.services, &self.context, &self.config, &mut self.jobs).await;
            let (state, pause) = match end {
                Ended::Drained => break,
                Ended::Config(why) => (SessionState::Failing(format!("configuration: {why}")), None),
                Ended::LoggedOut(why) => (SessionState::Disconnected(format!("logged out: {why}")), None),
                Ended::Failed(why) => {
                    let pause = backoff.next(born.elapsed(), self.services.entropy.u64());
                    tracing::warn!(
                        plugin = &*self.plugin.name,
                        connector = %self.context.id,
                        reason = why,
                        pause_ms = pause.as_millis() as u64,
                        "a connector's plugin failed and is started again"
                    );
                    (SessionState::Failing(why), Some(pause))
                }
            };
            self.context.session.set(state);
            if !self.refuse_for(pause).await {
                break;
            }
        }
        self.context.session.set(SessionState::Stopped);
    }

    /// Answers jobs for the pause's time (for ever without one); whether the connector is still wanted.
    async fn refuse_for(&mut self, pause: Option<Duration>) -> bool {
        let over = async {
            match pause {
                Some(pause) => tokio::time::sleep(pause).await,
                None => std::future::pending().await,
            }
        };
        let mut over = std::pin::pin!(over);
        loop {
            tokio::select! {
                () = &mut over => return true,
                job = self.jobs.recv() => match job {
                    Some(job) => job.refuse("the connector is not running"),
                    None => return false,
                },
            }
        }
    }
}
