//! TCP connections to addresses that were found and allowed elsewhere. It knows no connector and no proxy.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unreachable {
    /// The guard does not allow any of its addresses.
    #[error("the server's address is not allowed")]
    Forbidden,
    /// No address, no answer, or no time; or the proxy does not work.
    #[error("{0}")]
    Failed(String),
}

/// A connection to the first of `addresses` that answers.
pub(crate) async fn connect(addresses: &[SocketAddr], limit: Duration) -> Result<TcpStream, Unreachable> {
    first_of(addresses, limit).await.map_err(|why| Unreachable::Failed(format!("cannot connect: {why}")))
}

/// The same; the error is why the last of them did not answer.
pub(crate) async fn first_of(addresses: &[SocketAddr], limit: Duration) -> Result<TcpStream, String> {
    let mut last = "no address".to_owned();
    for address in addresses {
        match tokio::time::timeout(limit, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // Dialogues are short lines and answers; waiting to fill a packet only adds delay.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "TCP_NODELAY");
                }
                return Ok(stream);
            }
            Ok(Err(error)) => last = error.kind().to_string(),
            Err(_) => last = "no answer in time".to_owned(),
        }
    }
    Err(last)
}
