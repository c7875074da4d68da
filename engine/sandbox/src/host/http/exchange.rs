//! `http.exchange`: a request and a response in pieces, so that a file never stands in a guest's memory as a whole.
//!
//! Each exchange has a task of its own that drives the connection; the guest's calls hand it pieces through a queue of two and
//! take pieces back. Dropping the resource ends the task and with it the connection.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes};
use futures::stream;
use reqwest::{Body, Response};
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::AbortHandle;
use wasmtime::component::{Accessor, HasSelf, Resource};

use super::{broken, headers_of, not_sent, prepared};
use crate::bindings::host::http::{self, Error};
use crate::grants::Capability;
use crate::host::granted;
use crate::limits::{EXCHANGE_BYTES, PIECE_BYTES};
use crate::state::{Context, HostState, Services};

/// Pieces of a body between the guest and the connection.
const PIECES: usize = 2;

/// A guest's exchange.
#[allow(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct Exchange {
    stage: Arc<Mutex<Stage>>,
    limit: Duration,
    task: AbortHandle,
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

/// `Error` as it is told again.
fn again(error: &Error) -> Error {
    match error {
        Error::Refused(why) => Error::Refused(why.clone()),
        Error::Invalid(why) => Error::Invalid(why.clone()),
        Error::NotConnected(why) => Error::NotConnected(why.clone()),
        Error::Interrupted(why) => Error::Interrupted(why.clone()),
        Error::TooLarge(size) => Error::TooLarge(*size),
    }
}

fn late() -> Error {
    Error::Interrupted("the server did not go on in time".to_owned())
}

fn start(context: &Context, services: &Services, head: http::RequestHead) -> Result<Exchange, Error> {
    if head.content_length > EXCHANGE_BYTES {
        return Err(Error::TooLarge(head.content_length));
    }
    let own = head.timeout_millis.map(|ms| Duration::from_millis(u64::from(ms)));
    let limit = own.unwrap_or(services.limits.host_call).min(services.limits.host_call);
    let mut builder = prepared(context, services, &head.method, &head.url, &head.headers)?;
    let (pieces, taken) = mpsc::channel(PIECES);
    if head.content_length > 0 {
        let body = stream::unfold(taken, async |mut taken: mpsc::Receiver<Bytes>| {
            let piece = taken.recv().await?;
            Some((Ok::<_, std::io::Error>(piece), taken))
        });
        builder = builder
            .header(reqwest::header::CONTENT_LENGTH, head.content_length)
            .body(Body::wrap_stream(Box::pin(body)));
    }
    let (answer, answered) = oneshot::channel();
    let request = builder.send();
    let task = tokio::spawn(async move {
        let result = request.await.map_err(|e| not_sent(&e));
        // The guest may have dropped the exchange.
        let _ = answer.send(result);
    });
    let pieces = (head.content_length > 0).then_some(pieces);
    let stage = Stage::Writing { pieces, left: head.content_length, head: answered };
    Ok(Exchange { stage: Arc::new(Mutex::new(stage)), limit, task: task.abort_handle() })
}

/// Runs one step; one that fails or comes late ends the exchange.
async fn step<T>(
    (stage, limit): (Arc<Mutex<Stage>>, Duration),
    work: impl AsyncFnOnce(&mut Stage) -> Result<T, Error>,
) -> Result<T, Error> {
    // A piece that is there already must not keep the guest running: a whole file would count as one go.
    tokio::task::yield_now().await;
    let mut stage = stage.lock().await;
    if let Stage::Over(error) = &*stage {
        return Err(again(error));
    }
    let result = tokio::time::timeout(limit, work(&mut stage)).await.unwrap_or_else(|_| Err(late()));
    if let Err(error) = &result {
        *stage = Stage::Over(again(error));
    }
    result
}

async fn write(stage: &mut Stage, bytes: Vec<u8>) -> Result<(), Error> {
    let Stage::Writing { pieces, left, head } = stage else {
        return Err(Error::Invalid("the request was finished; nothing can be written any more".to_owned()));
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
    // Nobody reads the body any more: the request failed, or the server answered before it had all.
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

async fn finish(stage: &mut Stage) -> Result<http::ResponseHead, Error> {
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
    let said =
        http::ResponseHead { status: response.status().as_u16(), headers: headers_of(&response), content_length };
    *stage = Stage::Reading { response, rest: Bytes::new(), left: EXCHANGE_BYTES };
    Ok(said)
}

async fn read(stage: &mut Stage, len: u32) -> Result<Vec<u8>, Error> {
    let Stage::Reading { response, rest, left } = stage else {
        return Err(Error::Invalid("the request must be finished before its response is read".to_owned()));
    };
    let len = (len as usize).min(PIECE_BYTES);
    while rest.is_empty() {
        match response.chunk().await.map_err(|_| broken())? {
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

fn held<T: Send + 'static>(
    accessor: &Accessor<T, HasSelf<HostState>>,
    exchange: &Resource<Exchange>,
) -> Result<(Arc<Mutex<Stage>>, Duration), Error> {
    accessor.with(|mut access| match access.get().table.get(exchange) {
        Ok(exchange) => Ok((exchange.stage.clone(), exchange.limit)),
        Err(_) => Err(Error::Invalid("this exchange is gone".to_owned())),
    })
}

impl http::HostExchange for HostState {
    fn drop(&mut self, exchange: Resource<Exchange>) -> wasmtime::Result<()> {
        self.table.delete(exchange)?;
        Ok(())
    }
}

impl<T: Send + 'static> http::HostExchangeWithStore<T> for HasSelf<HostState> {
    async fn start(accessor: &Accessor<T, Self>, head: http::RequestHead) -> Result<Resource<Exchange>, Error> {
        let (context, services) = granted(accessor, Capability::Http).map_err(Error::Refused)?;
        let exchange = start(&context, &services, head)?;
        accessor
            .with(|mut access| access.get().table.push(exchange))
            .map_err(|_| Error::Refused("this instance holds too many exchanges".to_owned()))
    }

    async fn write(accessor: &Accessor<T, Self>, exchange: Resource<Exchange>, bytes: Vec<u8>) -> Result<(), Error> {
        step(held(accessor, &exchange)?, async |stage| write(stage, bytes).await).await
    }

    async fn finish(accessor: &Accessor<T, Self>, exchange: Resource<Exchange>) -> Result<http::ResponseHead, Error> {
        step(held(accessor, &exchange)?, async |stage| finish(stage).await).await
    }

    async fn read(accessor: &Accessor<T, Self>, exchange: Resource<Exchange>, len: u32) -> Result<Vec<u8>, Error> {
        step(held(accessor, &exchange)?, async |stage| read(stage, len).await).await
    }
}
