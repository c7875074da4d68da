//! A small HTTP/1 server for this crate's two: the admin and the media host. One task accepts, one serves each connection;
//! all of them end with the shutdown, whatever they were in the middle of, as a process that is killed.

use std::convert::Infallible;
use std::future::Future;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::Shutdown;

/// A whole answer.
pub(crate) type Answer = Response<Full<Bytes>>;

/// Serves until the shutdown.
pub(crate) async fn serve<H, F>(listener: TcpListener, mut shutdown: Shutdown, handler: H)
where
    H: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
    F: Future<Output = Answer> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        let stream = tokio::select! {
            () = shutdown.requested() => return,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(e) => {
                    // Out of file descriptors, most likely: connections that end give them back.
                    tracing::warn!(error = %e, "cannot accept an HTTP connection");
                    connections.join_next().await;
                    continue;
                }
            },
        };
        while connections.try_join_next().is_some() {}
        let handler = handler.clone();
        connections.spawn(async move {
            if let Err(e) = stream.set_nodelay(true) {
                tracing::debug!(error = %e, "an HTTP client left at once");
                return;
            }
            let service = service_fn(move |request| {
                let answer = handler(request);
                async move { Ok::<_, Infallible>(answer.await) }
            });
            if let Err(e) =
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await
            {
                tracing::debug!(error = %e, "an HTTP connection broke");
            }
        });
    }
}

/// An answer with a body of this type.
pub(crate) fn answer(status: u16, content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = hyper::StatusCode::from_u16(status).unwrap_or(hyper::StatusCode::INTERNAL_SERVER_ERROR);
    answer.headers_mut().insert("content-type", hyper::header::HeaderValue::from_static(content_type));
    answer
}

/// An answer in JSON.
pub(crate) fn json(status: u16, body: &serde_json::Value) -> Answer {
    answer(status, "application/json", body.to_string())
}
