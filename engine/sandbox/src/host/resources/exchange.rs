//! A request and a response in pieces, so that a file never stands in a guest's memory as a whole.
//!
//! Each exchange has a task of its own that drives the connection; the guest's calls hand it pieces through a queue of two and
//! take pieces back. Dropping the resource ends the task and with it the connection.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes};
use futures::stream;
use reqwest::header::{CONTENT_LENGTH, HeaderMap};
use reqwest::{Body, RequestBuilder, Response};
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::AbortHandle;

use crate::limits::{EXCHANGE_BYTES, PIECE_BYTES};

/// Pieces of a body between the guest and the connection.
const PIECES: usize = 2;
/// What is said of a response that ended too early.
pub(crate) const BROKEN: &str = "the connection broke in the answer";

/// Why an exchange does not go on. Told again to every call after it.
#[derive(Debug, Clone)]
pub(crate) enum Error {
    /// A call was used out of its order, or with what it does not take.
    Invalid(String),
    /// There is no connection: the server has nothing of the request.
    NotConnected(String),
    /// The connection broke or the server did not go on.
    Interrupted(String),
    /// A body of this many bytes is longer than it may be.
    TooLarge(u64),
}

/// The beginning of a response.
pub(crate) struct Head {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) content_length: Option<u64>,
}

/// A guest's exchange.
#[allow(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct Exchange {
    shared: Shared,
    task: AbortHandle,
}

/// What the calls on an exchange work with.
#[derive(Clone)]
pub(crate) struct Shared {
    stage: Arc<Mutex<Stage>>,
    /// How long one step may take.
    limit: Duration,
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.task.abort();
    }
}

enum Stage {
    /// The request is being written.
    Writing { pieces: Option<mpsc::Sender<Bytes>>, left: u64, head: oneshot::Receiver<Result<Response, Error>> },
    /// The response is being read; what is left of its last piece, and how much it may still bring.
    Reading { response: Response, rest: Bytes, left: u64 },
    /// It failed, or a call was used out of its order.
    Over(Error),
}

fn late() -> Error {
    Error::Interrupted("the server did not go on in time".to_owned())
}

impl Exchange {
    /// Begins a request whose body will have `content_length` bytes, none of which are there yet; `send` sends it.
    pub(crate) fn start<F>(
        mut builder: RequestBuilder,
        content_length: u64,
        limit: Duration,
        send: impl FnOnce(RequestBuilder) -> F,
    ) -> Self
    where
        F: Future<Output = Result<Response, Error>> + Send + 'static,
    {
        let (pieces, taken) = mpsc::channel(PIECES);
        if content_length > 0 {
            let body = stream::unfold(taken, async |mut taken: mpsc::Receiver<Bytes>| {
                let piece = taken.recv().await?;
                Some((Ok::<_, std::io::Error>(piece), taken))
            });
            builder = builder.header(CONTENT_LENGTH, content_length).body(Body::wrap_stream(Box::pin(body)));
        }
        let (answer, answered) = oneshot::channel();
        let request = send(builder);
        let task = tokio::spawn(async move {
            let result = request.await;
            // The guest may have dropped the exchange.
            let _ = answer.send(result);
        });
        let pieces = (content_length > 0).then_some(pieces);
        let stage = Stage::Writing { pieces, left: content_length, head: answered };
        Self { shared: Shared { stage: Arc::new(Mutex::new(stage)), limit }, task: task.abort_handle() }
    }

    pub(crate) fn shared(&self) -> Shared {
        self.shared.clone()
    }
}

impl Shared {
    /// Hands on the next piece of the request's body.
    pub(crate) async fn write(self, bytes: Vec<u8>) -> Result<(), Error> {
        step(self, async |stage| take_piece(stage, bytes).await).await
    }

    /// Ends the request's body and waits for the beginning of the response.
    pub(crate) async fn finish(self) -> Result<Head, Error> {
        step(self, async |stage| end_request(stage).await).await
    }

    /// The next piece of the response's body, at most `len` bytes; empty at its end.
    pub(crate) async fn read(self, len: u32) -> Result<Vec<u8>, Error> {
        step(self, async |stage| next_piece(stage, len).await).await
    }
}

/// Runs one step; one that fails or comes late ends the exchange.
async fn step<T>(
    Shared { stage, limit }: Shared,
    work: impl AsyncFnOnce(&mut Stage) -> Result<T, Error>,
) -> Result<T, Error> {
    // A piece that is there already must not keep the guest running: a whole file would count as one go.
    tokio::task::yield_now().await;
    let mut stage = stage.lock().await;
    if let Stage::Over(error) = &*stage {
        return Err(error.clone());
    }
    let result = tokio::time::timeout(limit, work(&mut stage)).await.unwrap_or_else(|_| Err(late()));
    if let Err(error) = &result {
        *stage = Stage::Over(error.clone());
    }
    result
}

async fn take_piece(stage: &mut Stage, bytes: Vec<u8>) -> Result<(), Error> {
    let Stage::Writing { pieces, left, head } = stage else {
        return Err(Error::Invalid("the request was finished; nothing more can be written".to_owned()));
    };
    if bytes.len() > PIECE_BYTES {
        return Err(Error::Invalid(format!("a piece must have at most {PIECE_BYTES} bytes")));
    }
    let Some(after) = left.checked_sub(bytes.len() as u64) else {
        return Err(Error::Invalid("more was written than the content length says".to_owned()));
    };
    *left = after;
    let Some(sender) = pieces.as_ref().filter(|_| !bytes.is_empty()) else { return Ok(()) };
    if sender.send(Bytes::from(bytes)).await.is_ok() {
        return Ok(());
    }
    // The body is no longer read: the request failed, or the server answered before it had all.
    match (&mut *head).await {
        Ok(Ok(response)) => {
            let (answer, answered) = oneshot::channel();
            // Just made.
            let _ = answer.send(Ok(response));
            *head = answered;
            *pieces = None;
            Ok(())
        }
        Ok(Err(error)) => Err(error),
        Err(_) => Err(Error::Interrupted("the connection broke".to_owned())),
    }
}

async fn end_request(stage: &mut Stage) -> Result<Head, Error> {
    let Stage::Writing { pieces, left, head } = stage else {
        return Err(Error::Invalid("the request was finished before".to_owned()));
    };
    if *left > 0 {
        return Err(Error::Invalid(format!("{left} bytes of the request's body were not written")));
    }
    *pieces = None;
    let response = match head.await {
        Ok(result) => result?,
        Err(_) => return Err(Error::Interrupted("the connection broke".to_owned())),
    };
    let content_length = response.content_length();
    if let Some(size) = content_length.filter(|size| *size > EXCHANGE_BYTES) {
        return Err(Error::TooLarge(size));
    }
    let said = Head { status: response.status().as_u16(), headers: response.headers().clone(), content_length };
    *stage = Stage::Reading { response, rest: Bytes::new(), left: EXCHANGE_BYTES };
    Ok(said)
}

async fn next_piece(stage: &mut Stage, len: u32) -> Result<Vec<u8>, Error> {
    let Stage::Reading { response, rest, left } = stage else {
        return Err(Error::Invalid("the request must be finished before its response is read".to_owned()));
    };
    let len = (len as usize).min(PIECE_BYTES);
    while rest.is_empty() {
        match response.chunk().await.map_err(|_| Error::Interrupted(BROKEN.to_owned()))? {
            Some(chunk) => {
                *left = left.checked_sub(chunk.len() as u64).ok_or(Error::TooLarge(EXCHANGE_BYTES + 1))?;
                *rest = chunk;
            }
            None => return Ok(Vec::new()),
        }
    }
    let now = rest.len().min(len);
    let piece = rest[..now].to_vec();
    rest.advance(now);
    Ok(piece)
}
