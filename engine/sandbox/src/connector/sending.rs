//! How a message gets to an instance: to the one that has the work, and on to another one when the first did not take it. Runs on
//! the caller's task.
//!
//! Invariant: a message is with one instance at a time; it goes on only when the one before gave it back unread.

use std::sync::Arc;

use pombo_domain::ConnectorIndex;
use pombo_domain::ports::{Outgoing, SendOutcome};
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::bindings::types;
use crate::connector::assignment::Assignment;
use crate::connector::jobs;
use crate::connector::supervisor::Running;
use crate::fleet::Fleet;
use crate::worlds;

/// How many instances may give a message back before its caller must try again.
const WAYS: usize = 8;

/// An instance that may send a message.
type Way = (mpsc::Sender<jobs::Send>, Arc<Assignment>);

impl Fleet {
    /// See [`pombo_domain::ports::Connectors::send`].
    pub(crate) async fn send(&self, connector: ConnectorIndex, message: Outgoing) -> SendOutcome {
        let (id, files) = (message.client_id, message.attachments.clone());
        let Some((mut sends, mut to)) = self.way(connector, id, None) else {
            return SendOutcome::Disconnected("the connector is not running".to_owned());
        };
        let _granted = to.context.session.slot.media.grant(files);
        let mut request = worlds::connector::outgoing(message, |file| to.link(file));
        for _ in 0..WAYS {
            let given_back = match one_try(sends, &to, request).await {
                Ok(outcome) => return outcome,
                Err(given_back) => given_back,
            };
            // No instance had it: if another one has the work now, that one gets it.
            match self.way(connector, id, Some(&to)) {
                Some(other) => (sends, to) = other,
                None => return SendOutcome::Disconnected(given_back.why),
            }
            request = given_back.request;
        }
        SendOutcome::Disconnected("the connector's plugin is being replaced".to_owned())
    }

    /// The instance that a message goes to; with `tried`, another one, after that one did not take it.
    fn way(&self, connector: ConnectorIndex, message: Uuid, tried: Option<&Arc<Assignment>>) -> Option<Way> {
        let running = self.running.read();
        let versions = running.get(&connector)?;
        let other = |running: &&Running| tried.is_none_or(|tried| !Arc::ptr_eq(tried, &running.assignment));
        let chosen = Some(versions.choose(message)).filter(other).or_else(|| Some(&versions.stable).filter(other))?;
        Some((chosen.sends.clone(), chosen.assignment.clone()))
    }
}

/// One try of a message with one instance. `Err`: the instance did not take it.
async fn one_try(
    sends: mpsc::Sender<jobs::Send>,
    to: &Assignment,
    request: types::Outgoing,
) -> jobs::Ended<types::Outgoing, SendOutcome> {
    let slot = &to.context.session.slot;
    let waiting = to.plugin.description.needs_session && !slot.is_connected();
    if waiting && slot.waits_until().is_none() {
        return Ok(SendOutcome::Disconnected("no session".to_owned()));
    }
    let (job, outcome) = jobs::Send::new(request);
    match if waiting { slot.queue(sends.send(job)).await } else { Some(sends.send(job).await) } {
        Some(Ok(())) => {}
        Some(Err(refused)) => refused.0.refuse("the connector was stopped"),
        None => return Ok(SendOutcome::Disconnected("too many messages wait for the session".to_owned())),
    }
    // Held any longer, it would keep a connector that is being stopped from ending.
    drop(sends);
    outcome.await.unwrap_or_else(|_| Ok(SendOutcome::Unknown("the plugin failed while it was sending".to_owned())))
}
