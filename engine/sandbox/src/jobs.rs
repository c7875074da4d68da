//! What waits for an instance: messages and operations, each with who waits for its result.
//!
//! Invariant: a job that no instance got is answered as not done, whoever drops it.

use pombo_domain::ports::{Answer, OperationError, SendOutcome};
use tokio::sync::{mpsc, oneshot};

use crate::bindings::types;

/// A request for an instance.
pub(crate) struct Job<Q, R: NotDone> {
    request: Option<Q>,
    reply: Option<oneshot::Sender<R>>,
}

/// A message.
pub(crate) type Send = Job<types::Outgoing, SendOutcome>;
/// An operation.
pub(crate) type Operate = Job<types::Operation, Result<Answer, OperationError>>;

/// How to say that nothing was done.
pub(crate) trait NotDone {
    fn because(why: String) -> Self;
}

impl NotDone for SendOutcome {
    fn because(why: String) -> Self {
        Self::Disconnected(why)
    }
}

impl NotDone for Result<Answer, OperationError> {
    fn because(why: String) -> Self {
        Err(OperationError::Disconnected(why))
    }
}

impl<Q, R: NotDone> Job<Q, R> {
    pub(crate) fn new(request: Q) -> (Self, oneshot::Receiver<R>) {
        let (reply, result) = oneshot::channel();
        (Self { request: Some(request), reply: Some(reply) }, result)
    }

    /// Answers without an instance.
    pub(crate) fn refuse(mut self, why: &str) {
        self.answer(why);
    }

    fn answer(&mut self, why: &str) {
        if let Some(reply) = self.reply.take() {
            // Nobody may be waiting any more.
            let _ = reply.send(R::because(why.to_owned()));
        }
    }

    /// From here on, no answer means that the outcome is unknown.
    pub(crate) fn hand_over(mut self) -> Option<(Q, oneshot::Sender<R>)> {
        self.request.take().zip(self.reply.take())
    }
}

impl<Q, R: NotDone> Drop for Job<Q, R> {
    fn drop(&mut self) {
        self.answer("the connector was stopped");
    }
}

/// The instance's ends of the queues.
pub(crate) struct Queues {
    pub(crate) sends: mpsc::Receiver<Send>,
    pub(crate) operations: mpsc::Receiver<Operate>,
}

impl Queues {
    /// Answers what comes; returns when nobody can send any more.
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
        tokio::join!(sends, operations);
    }
}
