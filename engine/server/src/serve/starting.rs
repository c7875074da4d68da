//! Answers requests while the engine starts: requests of the health section at once, all others when the engine has started.
//!
//! It runs on the tasks of the requests. This module must not know what the engine waits for: a function tells it.

use std::sync::{Arc, OnceLock};

use poem::endpoint::BoxEndpoint;
use poem::{Endpoint, Request, Response};
use pombo_control::NotReady;
use tokio::sync::watch;

/// Gives the reasons why the engine is not started yet.
type WaitsFor = dyn Fn() -> Vec<NotReady> + Send + Sync;

/// The endpoint that the listener has from the first moment. Clones share it.
#[derive(Clone)]
pub(super) struct Starting(Arc<Inner>);

struct Inner {
    started: OnceLock<BoxEndpoint<'static, Response>>,
    opened: watch::Sender<bool>,
    waits_for: Box<WaitsFor>,
}

impl Starting {
    pub(super) fn new(waits_for: impl Fn() -> Vec<NotReady> + Send + Sync + 'static) -> Self {
        let (opened, _) = watch::channel(false);
        Self(Arc::new(Inner { started: OnceLock::new(), opened, waits_for: Box::new(waits_for) }))
    }

    /// To be called when the engine has started: from now on `endpoint` answers, also the requests that waited.
    pub(super) fn open(&self, endpoint: BoxEndpoint<'static, Response>) {
        if self.0.started.set(endpoint).is_ok() {
            self.0.opened.send_replace(true);
        }
    }
}

impl Endpoint for Starting {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let inner = &self.0;
        if inner.started.get().is_none() {
            let early =
                pombo_control::answer_while_starting(request.method(), request.uri().path(), || (inner.waits_for)());
            if let Some(answer) = early {
                return Ok(answer);
            }
            // Fails only when the sender is gone, and it is held here.
            let _ = inner.opened.subscribe().wait_for(|opened| *opened).await;
        }
        match inner.started.get() {
            Some(endpoint) => endpoint.call(request).await,
            None => Ok(http::StatusCode::SERVICE_UNAVAILABLE.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use poem::{EndpointExt, endpoint::make_sync};

    use super::*;

    fn starting() -> Starting {
        Starting::new(|| vec![NotReady { part: "plugins".to_owned(), reason: "flow is being compiled".to_owned() }])
    }

    async fn body(response: Response) -> serde_json::Value {
        serde_json::from_slice(&response.into_body().into_vec().await.expect("a body")).expect("JSON")
    }

    #[tokio::test]
    async fn while_it_starts_the_engine_says_that_it_lives_and_what_it_waits_for() {
        let starting = starting();
        let get = |path: &str| Request::builder().uri(path.parse().expect("a path")).finish();
        let alive = starting.call(get("/health")).await.expect("an answer");
        assert_eq!(alive.status(), 200);
        assert_eq!(body(alive).await["status"], "ok");
        let ready = starting.call(get("/ready")).await.expect("an answer");
        assert_eq!(ready.status(), 503);
        let said = body(ready).await;
        assert_eq!(said["status"], "not_ready");
        assert_eq!(said["problems"][0]["part"], "plugins");
        assert_eq!(said["problems"][0]["reason"], "flow is being compiled");
    }

    #[tokio::test]
    async fn other_requests_wait_and_are_answered_once_it_has_started() {
        let starting = starting();
        let early = tokio::spawn({
            let starting = starting.clone();
            async move { starting.call(Request::builder().uri("/v1/events".parse().expect("a path")).finish()).await }
        });
        while starting.0.opened.receiver_count() == 0 {
            tokio::task::yield_now().await;
        }
        assert!(!early.is_finished());
        starting.open(make_sync(|request| request.uri().path().to_owned()).map_to_response().boxed());
        let answer = early.await.expect("it ends").expect("an answer");
        assert_eq!(answer.into_body().into_string().await.expect("text"), "/v1/events");
    }
}
