//! Request bodies within limits. A body over a limit is read and discarded for a while before the connection is closed: otherwise
//! most clients report a broken pipe and never see the answer that says what to change.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt};
use poem::http::header;
use poem::web::{Field, Multipart};
use poem::{Body, FromRequest, Request, RequestBody};

use crate::error::Failure;

const DISCARD_BYTES: u64 = 512 * 1024 * 1024;
const DISCARD_TIME: Duration = Duration::from_secs(20);

fn announced(request: &Request) -> Option<u64> {
    request.header(header::CONTENT_LENGTH)?.parse().ok()
}

fn broken(error: io::Error) -> Failure {
    match error.kind() {
        // The listener's own limits, see there.
        io::ErrorKind::FileTooLarge => {
            Failure::too_large("the body is larger than this server accepts; split the request")
        }
        io::ErrorKind::TimedOut => Failure::bad_request("the body did not arrive in time; send it without pauses"),
        _ => Failure::bad_request("the body ended before it was complete"),
    }
}

fn over(limit: u64) -> Failure {
    let size =
        if limit >= 1024 * 1024 { format!("{} MB", limit / (1024 * 1024)) } else { format!("{} KB", limit / 1024) };
    Failure::too_large(format!("the body is larger than {size}; split the request"))
}

/// Reads the whole body into memory, at most `limit` bytes.
pub async fn read(request: &Request, body: &mut RequestBody, limit: usize) -> Result<Bytes, Failure> {
    let stream = body.take().map_err(|error| Failure::internal(error.to_string()))?.into_bytes_stream();
    let mut stream = std::pin::pin!(stream);
    if announced(request).is_some_and(|bytes| bytes > limit as u64) {
        discard(stream).await;
        return Err(over(limit as u64));
    }
    let Some(first) = stream.next().await else { return Ok(Bytes::new()) };
    let first = first.map_err(broken)?;
    let Some(second) = stream.next().await else {
        return if first.len() > limit { Err(over(limit as u64)) } else { Ok(first) };
    };
    let expected = announced(request).map_or(first.len() * 2, |bytes| bytes as usize);
    let mut whole = BytesMut::with_capacity(expected.min(limit));
    whole.extend_from_slice(&first);
    let mut next = Some(second);
    while let Some(chunk) = next {
        let chunk = chunk.map_err(broken)?;
        if whole.len() + chunk.len() > limit {
            drop(whole);
            discard(stream).await;
            return Err(over(limit as u64));
        }
        whole.extend_from_slice(&chunk);
        next = stream.next().await;
    }
    Ok(whole.freeze())
}

async fn discard(mut stream: Pin<&mut (impl Stream<Item = io::Result<Bytes>> + ?Sized)>) {
    let reading = async {
        let mut left = DISCARD_BYTES;
        while let Some(Ok(chunk)) = stream.next().await {
            left = left.saturating_sub(chunk.len() as u64);
            if left == 0 {
                break;
            }
        }
    };
    // Past the time the connection is cut after the answer.
    let _ = tokio::time::timeout(DISCARD_TIME, reading).await;
}

/// A multipart body that is read piece by piece, with a limit on its total size.
pub struct LimitedMultipart {
    inner: Multipart,
    limit: u64,
    exceeded: Arc<AtomicBool>,
}

impl LimitedMultipart {
    /// Starts reading; the Content-Type must be `multipart/form-data` with a boundary.
    pub async fn open(request: &Request, body: &mut RequestBody, limit: u64) -> Result<Self, Failure> {
        let stream = body.take().map_err(|error| Failure::internal(error.to_string()))?.into_bytes_stream();
        if announced(request).is_some_and(|bytes| bytes > limit) {
            discard(std::pin::pin!(stream)).await;
            return Err(over(limit));
        }
        let exceeded = Arc::new(AtomicBool::new(false));
        let counted = Counted { inner: Box::pin(stream), left: limit, exceeded: exceeded.clone() };
        let mut counted = RequestBody::new(Body::from_bytes_stream(counted));
        let inner = Multipart::from_request(request, &mut counted).await.map_err(|error| {
            let failure = Failure::of(error);
            Failure::bad_request(format!("the multipart body cannot be read: {}", failure.message))
        })?;
        Ok(Self { inner, limit, exceeded })
    }

    /// The next part.
    pub async fn next(&mut self) -> Result<Option<Field>, Failure> {
        match self.inner.next_field().await {
            Ok(field) => Ok(field),
            Err(_) => Err(self.broken()),
        }
    }

    /// Why reading a part failed: the whole is too large, or the body is damaged.
    pub fn broken(&self) -> Failure {
        if self.exceeded.load(Ordering::Relaxed) {
            over(self.limit)
        } else {
            Failure::bad_request("the multipart body is damaged or ended before its last boundary")
        }
    }

    /// Reads on to the end and throws it away, so that the caller sees the answer. For a refused request.
    pub async fn discard(mut self) {
        let reading = async {
            while let Ok(Some(field)) = self.inner.next_field().await {
                let mut reader = std::pin::pin!(field.into_async_read());
                if tokio::io::copy(&mut reader, &mut tokio::io::sink()).await.is_err() {
                    break;
                }
            }
        };
        let _ = tokio::time::timeout(DISCARD_TIME, reading).await;
    }
}

/// Ends a stream with an error after more than `left` bytes, and records that.
struct Counted {
    inner: Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>,
    left: u64,
    exceeded: Arc<AtomicBool>,
}

impl Stream for Counted {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let polled = self.inner.as_mut().poll_next(context);
        if let Poll::Ready(Some(Ok(chunk))) = &polled {
            match self.left.checked_sub(chunk.len() as u64) {
                Some(left) => self.left = left,
                None => {
                    self.exceeded.store(true, Ordering::Relaxed);
                    return Poll::Ready(Some(Err(io::Error::other("the body is over its limit"))));
                }
            }
        }
        polled
    }
}
