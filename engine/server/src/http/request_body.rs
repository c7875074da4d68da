//! The limits of a request's body: its size, and the longest silence while it arrives. (The listener limits the time of the whole
//! request.)

use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt};
use poem::Body;

/// `body`, which fails once it is silent for `idle` or larger than `max_bytes`.
pub(super) fn limited(body: Body, idle: Duration, max_bytes: u64) -> Body {
    Body::from_bytes_stream(limited_stream(body.into_bytes_stream(), idle, max_bytes))
}

fn limited_stream(
    stream: impl Stream<Item = Result<Bytes, io::Error>> + Send + Unpin + 'static,
    idle: Duration,
    max_bytes: u64,
) -> impl Stream<Item = Result<Bytes, io::Error>> + Send {
    futures::stream::unfold(Some((stream, 0_u64)), move |state| async move {
        let (mut stream, seen) = state?;
        match tokio::time::timeout(idle, stream.next()).await {
            Err(_) => {
                let error = io::Error::new(io::ErrorKind::TimedOut, "the request's body did not arrive in time");
                Some((Err(error), None))
            }
            Ok(None) => None,
            Ok(Some(Err(error))) => Some((Err(error), None)),
            Ok(Some(Ok(chunk))) => {
                let seen = seen + chunk.len() as u64;
                if seen > max_bytes {
                    let error = io::Error::new(io::ErrorKind::FileTooLarge, "the request's body is too large");
                    return Some((Err(error), None));
                }
                Some((Ok(chunk), Some((stream, seen))))
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn outcome(chunks: Vec<&'static [u8]>, then_silent: bool, max: u64) -> Result<usize, io::ErrorKind> {
        let sent = futures::stream::iter(chunks.into_iter().map(|c| Ok(Bytes::from_static(c))));
        let silence = futures::stream::pending().take(usize::from(then_silent));
        let mut limited = std::pin::pin!(limited_stream(sent.chain(silence).boxed(), Duration::from_millis(20), max));
        let mut read = 0;
        while let Some(chunk) = limited.next().await {
            read += chunk.map_err(|e| e.kind())?.len();
        }
        Ok(read)
    }

    #[tokio::test]
    async fn a_body_is_bounded_in_size_and_silence() {
        assert_eq!(outcome(vec![b"abc", b"de"], false, 5).await, Ok(5));
        assert_eq!(outcome(vec![b"abc", b"def"], false, 5).await, Err(io::ErrorKind::FileTooLarge));
        assert_eq!(outcome(vec![b"abc"], true, 5).await, Err(io::ErrorKind::TimedOut));
    }
}
