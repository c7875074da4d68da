//! What waits for an instance: messages, operations and requests of the channel, each with the channel for its result.
//!
//! Invariant: a job that no instance took goes back to its caller, even when it is dropped.

use std::time::Duration;

use pombo_domain::ports::{Answer, OperationError, ReceiveError, ReceivedResponse, SendOutcome};
use tokio::sync::{mpsc, oneshot};

use crate::bindings::types;

/// A request that no instance took, and why.
pub(crate) struct Untaken<Q> {
    pub(crate) request: Q,
    pub(crate) why: String,
}

/// The result of a request.
pub(crate) type Ended<Q, R> = Result<R, Untaken<Q>>;

/// A request for an instance.
pub(crate) struct Job<Q, R> {
    request: Option<Q>,
    reply: Option<oneshot::Sender<Ended<Q, R>>>,
}

/// A message to send.
pub(crate) type Send = Job<types::Outgoing, SendOutcome>;
/// An operation to do.
pub(crate) type Operate = Job<TimedOperation, Result<Answer, OperationError>>;
/// A request of the channel to answer.
pub(crate) type Receive = Job<types::ReceivedRequest, Result<ReceivedResponse, ReceiveError>>;

/// An operation, and how long it may take from the moment the instance has it.
pub(crate) struct TimedOperation {
    pub(crate) operation: types::Operation,
    pub(crate) limit: Duration,
}

impl<Q, R> Job<Q, R> {
    pub(crate) fn new(request: Q) -> (Self, oneshot::Receiver<Ended<Q, R>>) {
        let (reply, result) = oneshot::channel();
        (Self { request: Some(request), reply: Some(reply) }, result)
    }

    /// Gives it back without an instance.
    pub(crate) fn refuse(mut self, why: &str) {
        self.give_back(why);
    }

    fn give_back(&mut self, why: &str) {
        if let Some((request, reply)) = self.request.take().zip(self.reply.take()) {
            // The caller may be gone.
            let _ = reply.send(Err(Untaken { request, why: why.to_owned() }));
        }
    }

    /// Whether nobody waits for its result any longer.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.reply.as_ref().is_none_or(oneshot::Sender::is_closed)
    }

    /// Takes it out for an instance. From here on, no answer means that the outcome is unknown.
    pub(crate) fn hand_over(mut self) -> Option<(Q, oneshot::Sender<Ended<Q, R>>)> {
        self.request.take().zip(self.reply.take())
    }
}

impl<Q, R> Drop for Job<Q, R> {
    fn drop(&mut self) {
        self.give_back("the connector was stopped");
    }
}

/// The instance's ends of the queues.
pub(crate) struct Queues {
    pub(crate) sends: mpsc::Receiver<Send>,
    pub(crate) operations: mpsc::Receiver<Operate>,
    pub(crate) requests: mpsc::Receiver<Receive>,
}

impl Queues {
    /// Refuses what arrives; returns when all senders are gone.
    pub(crate) async fn refuse(&mut self, why: &str) {
        let sends = async {
            while let Some(job) = self.sends.recv().await {
                job.refuse(why);
            }
        };
        let operations = async {
            while let Some(job) = self.operations.recv().await {
                job.refuse(why);
            }
        };
        let requests = async {
            while let Some(job) = self.requests.recv().await {
                job.refuse(why);
            }
        };
        tokio::join!(sends, operations, requests);
    }
}
