//! Requests that a channel makes to a connector, e.g. webhooks of a gateway. What they mean is the plugin's business alone.

/// A request of a channel, with everything removed that proved the caller's right to make it.
#[derive(Clone, PartialEq, Eq)]
pub struct ReceivedRequest {
    /// In upper case.
    pub method: String,
    /// What follows the connector's address, without the first slash and without the query.
    pub path: String,
    /// Decoded, in the order of the request.
    pub query: Vec<(String, String)>,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The raw bytes.
    pub body: Vec<u8>,
    /// Whether a proof of the plugin's description proved it, see [`super::Proof`]. False: the connector's own secret did.
    pub proven: bool,
}

/// The plugin's answer to a [`ReceivedRequest`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedResponse {
    /// The HTTP status, between 200 and 599.
    pub status: u16,
    /// The type of the body.
    pub content_type: String,
    /// The body.
    pub body: Vec<u8>,
}

/// Why a plugin did not answer a [`ReceivedRequest`]. In each case the caller may repeat the request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReceiveError {
    /// The connector's plugin does not take requests of its channel.
    #[error("this connector does not take requests of its channel")]
    Unsupported,
    /// The connector does not run, or it answers as many requests as it may at once.
    #[error("{0}")]
    Busy(String),
    /// The plugin failed or did not answer in time; what it reported before is stored.
    #[error("{0}")]
    Failed(String),
}
