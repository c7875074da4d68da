//! One life of a connector's instance: the supervisor's task drives its store here. It runs `run`, hands messages, operations and
//! requests of the channel to the instance at the same time, and ends when it is told to give way, when the queues close and the last
//! call is done, when `run` returns, or when the guest fails.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use pombo_domain::ports::{Answer, OperationError, ReceiveError, ReceivedResponse, SendOutcome, SessionState};
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use crate::bindings::types::{self, RunError};
use crate::connector::assignment::{Assignment, Control};
use crate::connector::jobs::{self, Queues};
use crate::connector::metrics::{SendInProgress, SendMetrics};
use crate::instances::{CallError, made, root};
use crate::limits::{FAREWELL, OPERATIONS_AT_ONCE, REASON_BYTES, RECEIVED_BYTES_AT_ONCE, RECEIVES_AT_ONCE, cut};
use crate::state::store;
use crate::watchdog::CpuExceeded;
use crate::worlds;

/// So many times its deadline an operation, or the answer to a request, may go on inside the instance before the instance is given
/// up.
const PATIENCE: u32 = 4;
/// For an answer it is at least so many times what one call into the host may take: a slow host is not the plugin's fault.
const HOST_CALLS: u32 = 2;

/// How an instance's life ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The queues closed and all calls are done.
    Drained,
    /// It gave way to the next assignment.
    Replaced,
    /// The configuration cannot work.
    Config(String),
    /// The account is refused for good.
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

/// What ended inside the instance, and whether that was within its time.
type Call<'c> = Pin<Box<dyn Future<Output = bool> + Send + 'c>>;

/// One life of an instance. The queues outlive it: what it did not take, its successor gets.
pub(crate) async fn serve(
    assignment: &Assignment,
    queues: &mut Queues,
    mut control: watch::Receiver<Control>,
) -> Ended {
    let Assignment { engine, plugin, services, context, .. } = assignment;
    let (mut store, watchdog) = store(engine, plugin.name.clone(), services, Some(context.clone()));
    let metrics = SendMetrics::new(&services.telemetry, context);
    let making = plugin.pre.instantiate_async(&mut store);
    let instance = match made(&watchdog, services.limits.host_call, making).await {
        Ok(instance) => instance,
        Err(error) => {
            if !matches!(error, CallError::NoInstance(_)) {
                metrics.failed("not-running");
            }
            return Ended::Failed(error.to_string());
        }
    };
    let most = usize::from(plugin.description.max_in_flight);
    let needs_session = plugin.description.needs_session;
    let limits = &services.limits;
    let slot = &context.session.slot;
    let inside = watchdog.clone();

    let life = store.run_concurrent(async |accessor| {
        let host = async {
            let mut run = pin!(instance.run(accessor, assignment.config.clone()));
            // The guest gets to read its configuration before it is reported as able to send.
            for _ in 0..3 {
                tokio::select! {
                    biased;
                    end = &mut run => {
                        metrics.run_ended(&end, needs_session);
                        return Ended::from(end);
                    }
                    () = tokio::task::yield_now() => {}
                }
            }
            if !needs_session {
                context.session.set(SessionState::Connected, None);
            }
            let mut status = slot.subscribe();
            let mut sends: FuturesUnordered<Call<'_>> = FuturesUnordered::new();
            let mut operations: FuturesUnordered<Call<'_>> = FuturesUnordered::new();
            // Bytes of the bodies that the requests hold.
            let held = &AtomicUsize::new(0);
            let mut requests: FuturesUnordered<Call<'_>> = FuturesUnordered::new();
            let patience = patience(limits.receive, limits.host_call);
            let (mut sends_open, mut operations_open, mut requests_open, mut overdue) = (true, true, true, None);
            loop {
                let room = requests.len() < RECEIVES_AT_ONCE && held.load(Ordering::Relaxed) < RECEIVED_BYTES_AT_ONCE;
                let orders = control.borrow_and_update().orders(assignment);
                let taking = overdue.is_none() && !orders.give_way;
                let idle = sends.is_empty() && operations.is_empty() && requests.is_empty();
                if idle && !(taking && (sends_open || operations_open || requests_open)) {
                    break;
                }
                status.borrow_and_update();
                // A message for a session that broke a moment ago stays in the queue, unless it will not be opened again.
                let waiting = slot.waits_until().filter(|_| needs_session && !orders.stop);
                tokio::select! {
                    end = &mut run => {
                        metrics.run_ended(&end, needs_session);
                        return Ended::from(end);
                    }
                    Some(in_time) = sends.next(), if !sends.is_empty() => {
                        if !in_time {
                            overdue = Some("a send passed its deadline");
                        }
                    }
                    Some(in_time) = operations.next(), if !operations.is_empty() => {
                        if !in_time {
                            metrics.failed("timeout");
                            overdue = Some("an operation did not end");
                        }
                    }
                    Some(in_time) = requests.next(), if !requests.is_empty() => {
                        if !in_time {
                            metrics.failed("timeout");
                            overdue = Some("the answer to a request of the channel did not end");
                        }
                    }
                    changed = control.changed(), if !orders.give_way => if changed.is_err() {
                        // The sender is gone: the queues will close.
                        return Ended::Drained;
                    },
                    () = moved(&mut status, waiting), if waiting.is_some() => {}
                    job = queues.sends.recv(), if taking && sends_open && waiting.is_none() && sends.len() < most => match job {
                        None => sends_open = false,
                        Some(job) if needs_session && !slot.is_connected() => job.refuse("no session"),
                        Some(job) => if let Some((message, reply)) = job.hand_over() {
                            let call = instance.send(accessor, message);
                            sends.push(Box::pin(send(limits.send, call, metrics.begin(), reply)));
                        },
                    },
                    job = queues.operations.recv(), if taking && operations_open && operations.len() < OPERATIONS_AT_ONCE => match job {
                        None => operations_open = false,
                        Some(job) => if let Some((jobs::TimedOperation { operation, limit }, reply)) = job.hand_over() {
                            let call = instance.operate(accessor, operation);
                            operations.push(Box::pin(operate(limit, call, reply)));
                        },
                    },
                    job = queues.requests.recv(), if taking && requests_open && room => match job {
                        None => requests_open = false,
                        // The channel was told to repeat it: it must not be answered twice without need.
                        Some(job) if job.is_abandoned() => job.refuse("nobody waits for the answer"),
                        Some(job) => if let Some((request, reply)) = job.hand_over() {
                            let bytes = request.body.len();
                            held.fetch_add(bytes, Ordering::Relaxed);
                            let answer = receive(limits.receive, patience, instance.receive(accessor, request), reply);
                            requests.push(Box::pin(async move {
                                let in_time = answer.await;
                                held.fetch_sub(bytes, Ordering::Relaxed);
                                in_time
                            }));
                        },
                    },
                }
            }
            if let Some(why) = overdue {
                return Ended::Failed(why.to_owned());
            }
            let farewell = async {
                if instance.stop(accessor).await.is_ok() {
                    // Nothing depends on how it ends.
                    let _ = run.await;
                }
            };
            if tokio::time::timeout(FAREWELL, farewell).await.is_err() {
                tracing::debug!(connector = %context.id, "the plugin did not end when it was asked to");
            }
            if control.borrow().orders(assignment).give_way { Ended::Replaced } else { Ended::Drained }
        };
        inside.inside(host).await
    });
    match watchdog.outside(life).await {
        Ok(Ok(ended)) => ended,
        Ok(Err(trap)) => {
            metrics.failed("trap");
            Ended::Failed(root(&trap))
        }
        Err(CpuExceeded) => {
            metrics.failed("processor");
            Ended::Failed("used more processor time in one go than it may".to_owned())
        }
    }
}

/// Returns at a change of the session, or when the wait for it is over.
async fn moved<S>(status: &mut watch::Receiver<S>, until: Option<Instant>) {
    if let Some(until) = until {
        // The line holds the sender.
        let _ = tokio::time::timeout_at(until, status.changed()).await;
    }
}

/// One send; whether it ended in time. Dropped before, it leaves its caller without an answer, which means unknown.
async fn send(
    limit: Duration,
    call: impl Future<Output = wasmtime::Result<types::Outcome>>,
    sending: SendInProgress<'_, '_>,
    reply: oneshot::Sender<jobs::Ended<types::Outgoing, SendOutcome>>,
) -> bool {
    let (outcome, in_time) = match tokio::time::timeout(limit, call).await {
        Ok(Ok(outcome)) => {
            let outcome = worlds::connector::outcome(outcome);
            sending.ended(&outcome);
            (outcome, true)
        }
        Ok(Err(trap)) => {
            sending.failed("trap");
            (SendOutcome::Unknown(format!("the plugin failed: {}", root(&trap))), true)
        }
        Err(_) => {
            sending.failed("timeout");
            (SendOutcome::Unknown("the plugin did not answer in time".to_owned()), false)
        }
    };
    // The caller may be gone.
    let _ = reply.send(Ok(outcome));
    in_time
}

/// One operation; whether it ended at all. A slow one is answered at its deadline and goes on: a session must not be lost
/// for it.
async fn operate(
    limit: Duration,
    call: impl Future<Output = wasmtime::Result<Result<types::Answer, types::OperationError>>>,
    reply: oneshot::Sender<jobs::Ended<jobs::TimedOperation, Result<Answer, OperationError>>>,
) -> bool {
    let mut call = pin!(call);
    match tokio::time::timeout(limit, &mut call).await {
        Ok(ended) => {
            let answer = match ended {
                Ok(said) => worlds::operation::answer(said),
                Err(trap) => Err(OperationError::Unknown(format!("the plugin failed: {}", root(&trap)))),
            };
            // The caller may be gone.
            let _ = reply.send(Ok(answer));
            true
        }
        Err(_) => {
            let unknown = OperationError::Unknown("the plugin did not answer in time".to_owned());
            let _ = reply.send(Ok(Err(unknown)));
            tokio::time::timeout(limit.saturating_mul(PATIENCE), call).await.is_ok()
        }
    }
}

/// How long the answer to a request may go on inside the instance after its deadline.
fn patience(limit: Duration, host_call: Duration) -> Duration {
    limit.saturating_mul(PATIENCE).max(host_call.saturating_mul(HOST_CALLS))
}

/// One request of the channel; whether its answer ended at all. A slow one has failed for its caller at its deadline `limit` and goes
/// on for `patience`, as an operation does.
async fn receive(
    limit: Duration,
    patience: Duration,
    call: impl Future<Output = wasmtime::Result<Option<types::ReceivedResponse>>>,
    reply: oneshot::Sender<jobs::Ended<types::ReceivedRequest, Result<ReceivedResponse, ReceiveError>>>,
) -> bool {
    let mut call = pin!(call);
    match tokio::time::timeout(limit, &mut call).await {
        Ok(ended) => {
            let answer = match ended {
                Ok(Some(said)) => worlds::receiving::response(said).map_err(ReceiveError::Failed),
                Ok(None) => Err(ReceiveError::Unsupported),
                Err(trap) => Err(ReceiveError::Failed(format!("the plugin failed: {}", root(&trap)))),
            };
            // The caller may be gone.
            let _ = reply.send(Ok(answer));
            true
        }
        Err(_) => {
            let late = ReceiveError::Failed("the plugin did not answer in time".to_owned());
            let _ = reply.send(Ok(Err(late)));
            tokio::time::timeout(patience, call).await.is_ok()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_millis(50);

    fn request() -> types::ReceivedRequest {
        types::ReceivedRequest {
            method: "POST".to_owned(),
            path: "incoming".to_owned(),
            query: Vec::new(),
            headers: Vec::new(),
            body: Vec::new(),
            proven: false,
        }
    }

    /// What the caller gets from a plugin that answers so, and whether the instance may live on.
    async fn answered(
        call: impl Future<Output = wasmtime::Result<Option<types::ReceivedResponse>>>,
    ) -> (Result<ReceivedResponse, ReceiveError>, bool) {
        let (job, answer) = jobs::Receive::new(request());
        let (_, reply) = job.hand_over().expect("nobody has it yet");
        let lives = receive(LIMIT, patience(LIMIT, LIMIT), call, reply).await;
        let Ok(Ok(answer)) = answer.await else { panic!("an instance had it") };
        (answer, lives)
    }

    fn said(status: u16) -> types::ReceivedResponse {
        types::ReceivedResponse { status, content_type: "text/plain".to_owned(), body: b"ok".to_vec() }
    }

    #[tokio::test]
    async fn a_request_is_answered_within_its_deadline_or_has_failed() {
        let (answer, lives) = answered(async { Ok(Some(said(201))) }).await;
        assert_eq!(answer.map(|answer| answer.status), Ok(201));
        assert!(lives);
        let (answer, lives) = answered(async {
            tokio::time::sleep(LIMIT * 2).await;
            Ok(Some(said(200)))
        })
        .await;
        assert!(matches!(answer, Err(ReceiveError::Failed(_))), "{answer:?}");
        assert!(lives, "it ended after all");
        let (answer, lives) = answered(std::future::pending()).await;
        assert!(matches!(answer, Err(ReceiveError::Failed(_))), "{answer:?}");
        assert!(!lives);
    }

    #[test]
    fn a_slow_call_into_the_host_is_waited_for() {
        let seconds = Duration::from_secs;
        assert_eq!(patience(seconds(10), seconds(60)), seconds(120));
        assert_eq!(patience(seconds(10), seconds(1)), seconds(40));
    }

    #[tokio::test]
    async fn an_answer_that_is_none_and_a_trap_are_told_apart() {
        let (answer, lives) = answered(async { Ok(Some(said(600))) }).await;
        assert!(matches!(&answer, Err(ReceiveError::Failed(why)) if why.contains("600")), "{answer:?}");
        assert!(lives);
        assert_eq!(answered(async { Ok(None) }).await.0, Err(ReceiveError::Unsupported));
        let (answer, _) = answered(async { Err(wasmtime::Error::msg("unreachable")) }).await;
        assert!(matches!(&answer, Err(ReceiveError::Failed(why)) if why.contains("unreachable")), "{answer:?}");
    }

    #[tokio::test]
    async fn a_request_nobody_waits_for_is_known_as_such() {
        let (job, answer) = jobs::Receive::new(request());
        assert!(!job.is_abandoned());
        drop(answer);
        assert!(job.is_abandoned());
    }
}
