//! The one task that owns a connector's store: it runs `run`, hands jobs to `send` beside it, and ends when the channel of jobs
//! closes and the last send is done, when `run` returns, or when the guest fails.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use pombo_domain::ports::{SendOutcome, SessionState};
use tokio::sync::{mpsc, oneshot};
use wasmtime::Engine;

use crate::bindings::types::{Outgoing, RunError};
use crate::limits::{REASON_BYTES, cut};
use crate::pulse::Starved;
use crate::registry::ConnectorPlugin;
use crate::state::{Context, Services, store};
use crate::stateless::{made, root};
use crate::worlds;

/// How long `stop` and the end of `run` may take after the last send.
const FAREWELL: Duration = Duration::from_secs(3);

/// A message for an instance, and who waits for its outcome.
pub(crate) struct Job {
    message: Option<Outgoing>,
    reply: Option<oneshot::Sender<SendOutcome>>,
}

impl Job {
    pub(crate) fn new(message: Outgoing) -> (Self, oneshot::Receiver<SendOutcome>) {
        let (reply, outcome) = oneshot::channel();
        (Self { message: Some(message), reply: Some(reply) }, outcome)
    }

    /// Answers without an instance.
    pub(crate) fn refuse(mut self, reason: &str) {
        self.answer(SendOutcome::Disconnected(reason.to_owned()));
    }

    fn answer(&mut self, outcome: SendOutcome) {
        if let Some(reply) = self.reply.take() {
            // Nobody may be waiting any more.
            let _ = reply.send(outcome);
        }
    }

    /// From here on, no answer means that the outcome is unknown.
    fn hand_over(mut self) -> Option<(Outgoing, oneshot::Sender<SendOutcome>)> {
        self.message.take().zip(self.reply.take())
    }
}

impl Drop for Job {
    /// A job that no instance got was not sent.
    fn drop(&mut self) {
        self.answer(SendOutcome::Disconnected("the connector was stopped".to_owned()));
    }
}

/// How an instance's life ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The channel closed and all sends are done.
    Drained,
    /// The configuration cannot work.
    Config(String),
    /// The session is over for good.
    LoggedOut(String),
    /// It failed, and may work when it is started again.
    Failed(String),
}

impl From<wasmtime::Result<Result<(), RunError>>> for Ended {
    fn from(end: wasmtime::Result<Result<(), RunError>>) -> Self {
        let reason = |text: String| cut(&text, REASON_BYTES);
        match end {
            Ok(Ok(())) => Self::Failed("the plugin ended by itself".to_owned()),
            Ok(Err(RunError::Config(why))) => Self::Config(reason(why)),
            Ok(Err(RunError::LoggedOut(why))) => Self::LoggedOut(reason(why)),
            Ok(Err(RunError::Failed(why))) => Self::Failed(reason(why)),
            Err(trap) => Self::Failed(root(&trap)),
        }
    }
}

/// One life of an instance. `jobs` outlives it: what it did not take, its successor gets.
pub(crate) async fn serve(
    engine: &Engine,
    plugin: &ConnectorPlugin,
    services: &Arc<Services>,
    context: &Arc<Context>,
    config: &str,
    jobs: &mut mpsc::Receiver<Job>,
) -> Ended {
    let (mut store, pulse) = store(engine, plugin.name.clone(), services, Some(context.clone()));
    let making = plugin.pre.instantiate_async(&mut store);
    let instance = match made(&pulse, services.limits.host_call, making).await {
        Ok(instance) => instance,
        Err(error) => return Ended::Failed(error.to_string()),
    };
    let most = usize::from(plugin.description.max_in_flight);
    let needs_session = plugin.description.needs_session;
    let send_limit = services.limits.send;
    let inside = pulse.clone();

    let life = store.run_concurrent(async |accessor| {
        let host = async {
            let mut run = pin!(instance.call_run(accessor, config.to_owned()));
            // The guest gets to read its configuration before anybody is told that it can send.
            for _ in 0..3 {
                tokio::select! {
                    biased;
                    end = &mut run => return Ended::from(end),
                    () = tokio::task::yield_now() => {}
                }
            }
            if !needs_session {
                context.session.set(SessionState::Connected);
            }
            let mut sends = FuturesUnordered::new();
            let (mut open, mut overdue) = (true, false);
            while (open && !overdue) || !sends.is_empty() {
                tokio::select! {
                    end = &mut run => return Ended::from(end),
                    Some(in_time) = sends.next(), if !sends.is_empty() => {
                        let in_time: bool = in_time;
                        overdue |= !in_time;
                    }
                    job = jobs.recv(), if open && !overdue && sends.len() < most => match job {
                        None => open = false,
                        Some(job) if needs_session && !context.session.is_connected() => job.refuse("no session"),
                        Some(job) => if let Some((message, reply)) = job.hand_over() {
                            sends.push(one(send_limit, instance.call_send(accessor, message), reply));
                        },
                    },
                }
            }
            if overdue {
                return Ended::Failed("a send passed its deadline".to_owned());
            }
            let farewell = async {
                if instance.call_stop(accessor).await.is_ok() {
                    // However it ends: nothing depends on it any more.
                    let _ = run.await;
                }
            };
            if tokio::time::timeout(FAREWELL, farewell).await.is_err() {
                tracing::debug!(connector = %context.id, "the plugin did not end when it was asked to");
            }
            Ended::Drained
        };
        inside.inside(host).await
    });
    match pulse.outside(life).await {
        Ok(Ok(ended)) => ended,
        Ok(Err(trap)) => Ended::Failed(root(&trap)),
        Err(Starved) => Ended::Failed("used more processor time in one go than it may".to_owned()),
    }
}

/// One send; whether it ended in time. Dropped before, it leaves its caller without an answer, which means unknown.
async fn one(
    limit: Duration,
    call: impl Future<Output = wasmtime::Result<crate::bindings::types::Outcome>>,
    reply: oneshot::Sender<SendOutcome>,
) -> bool {
    let (outcome, in_time) = match tokio::time::timeout(limit, call).await {
        Ok(Ok(outcome)) => (worlds::connector::outcome(outcome), true),
        Ok(Err(trap)) => (SendOutcome::Unknown(format!("the plugin failed: {}", root(&trap))), true),
        Err(_) => (SendOutcome::Unknown("the plugin did not answer in time".to_owned()), false),
    };
    // Nobody may be waiting any more.
    let _ = reply.send(outcome);
    in_time
}
