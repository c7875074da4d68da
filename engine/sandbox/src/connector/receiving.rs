//! How a request of the channel gets to the connector's stable instance, and its answer back. Runs on the caller's task.
//!
//! Invariant: a connector holds at most [`RECEIVES_AT_ONCE`](crate::limits::RECEIVES_AT_ONCE) requests in its instance and
//! [`RECEIVES_WAITING`](crate::limits::RECEIVES_WAITING) in its queue, each with a bounded body; and no further request joins
//! [`RECEIVED_BYTES_AT_ONCE`](crate::limits::RECEIVED_BYTES_AT_ONCE) in the instance.

use pombo_domain::ConnectorIndex;
use pombo_domain::ports::{ReceiveError, ReceivedRequest, ReceivedResponse};
use tokio::sync::mpsc::error::TrySendError;

use crate::connector::jobs;
use crate::fleet::Fleet;
use crate::limits::RECEIVED_BODY_BYTES;
use crate::worlds;
use crate::worlds::receiving::RECEIVE;

impl Fleet {
    /// See [`pombo_domain::ports::Connectors::receive`].
    pub(crate) async fn receive(
        &self,
        connector: ConnectorIndex,
        request: ReceivedRequest,
    ) -> Result<ReceivedResponse, ReceiveError> {
        let busy = |why: &str| ReceiveError::Busy(why.to_owned());
        let requests = {
            let running = self.running.read();
            let stable = running.get(&connector).map(|versions| &versions.stable);
            let stable = stable.ok_or_else(|| busy("the connector is not running"))?;
            if !stable.plugin().description.offers(RECEIVE) {
                return Err(ReceiveError::Unsupported);
            }
            stable.requests.clone()
        };
        if request.body.len() > RECEIVED_BODY_BYTES {
            return Err(ReceiveError::Failed(format!("the request has more than {RECEIVED_BODY_BYTES} bytes")));
        }
        let (job, answer) = jobs::Receive::new(worlds::receiving::request(request));
        match requests.try_send(job) {
            Ok(()) => {}
            Err(TrySendError::Closed(job)) => job.refuse("the connector was stopped"),
            Err(TrySendError::Full(_)) => return Err(busy("too many requests wait for this connector")),
        }
        // Held any longer, it would keep a connector that is being stopped from ending.
        drop(requests);
        // Its wait for an instance is bounded too; one that has begun by then has its own deadline.
        match tokio::time::timeout(self.services.limits.receive.saturating_mul(2), answer).await {
            Ok(Ok(Ok(answer))) => answer,
            Ok(Ok(Err(untaken))) => Err(busy(&untaken.why)),
            Ok(Err(_)) => Err(ReceiveError::Failed("the plugin failed while it answered".to_owned())),
            Err(_) => Err(busy("the connector did not answer in time")),
        }
    }
}
