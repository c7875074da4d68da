//! The HTTP server: one task accepts, one serves each connection. It reads requests, lets faults strike, asks the handlers under the
//! world's lock, writes the journal, and answers with Graph's headers.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::HeaderValue;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::call::{Call, Reply, Target, Then, pairs};
use crate::errors::GraphError;
use crate::faults::{BodyShape, Fault};
use crate::journal::Entry;
use crate::sim::Shared;
use crate::world::World;
use crate::{admin, graph, webhooks};

/// The largest body: the largest document and some room.
const LARGEST: usize = 120 << 20;

/// How much of the limits is used: clients may read it, and must not need it.
const USAGE: &str = "{\"0\":[{\"type\":\"whatsapp\",\"call_count\":1,\"total_cputime\":1,\"total_time\":1,\
                     \"estimated_time_to_regain_access\":0}]}";

/// A whole answer.
pub(crate) type Answer = Response<Full<Bytes>>;

/// The connection is cut instead of answered.
#[derive(Debug)]
struct Cut;

impl std::fmt::Display for Cut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the connection is cut on purpose")
    }
}

impl std::error::Error for Cut {}

/// Serves until the task is ended.
pub(crate) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(_) => {
                // Out of file descriptors, most likely: connections that end give them back.
                connections.join_next().await;
                continue;
            }
        };
        while connections.try_join_next().is_some() {}
        let shared = shared.clone();
        connections.spawn(async move {
            if stream.set_nodelay(true).is_err() {
                return;
            }
            let service = service_fn(move |request| {
                let shared = shared.clone();
                async move { handle(&shared, request).await }
            });
            // A connection that breaks is the client's affair, or a fault's.
            let _ended =
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn handle(shared: &Arc<Shared>, request: Request<Incoming>) -> Result<Answer, Cut> {
    let (head, body) = request.into_parts();
    let Ok(body) = Limited::new(body, LARGEST).collect().await else {
        return Ok(answer(413, "text/plain", "the body is too large, or broke off"));
    };
    let body = body.to_bytes();
    let path = head.uri.path().to_owned();
    if path == "/" && head.method == Method::GET {
        return Ok(answer(200, "text/html; charset=utf-8", include_str!("page.html")));
    }
    let query = head.uri.query().unwrap_or_default().to_owned();
    if path == "/admin" || path.starts_with("/admin/") {
        let given = match (body.is_empty(), head.method == Method::GET) {
            (_, true) => json!(pairs(&query)),
            (true, _) => json!({}),
            _ => match serde_json::from_slice(&body) {
                Ok(given) => given,
                Err(e) => return Ok(json_answer(400, &json!({ "error": format!("the body is not JSON: {e}") }))),
            },
        };
        return Ok(match admin::call(shared, head.method.as_str(), &path, &given).await {
            Ok(value) => json_answer(200, &value),
            Err(e) => json_answer(400, &json!({ "error": e.to_string() })),
        });
    }
    let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let content_type = header("content-type").to_owned();
    let file_offset = header("file_offset").trim().parse().ok();
    let query_pairs = pairs(&query);
    let json = read(&content_type, &body);
    let token = bearer(header("authorization"), &query_pairs, &json);
    let mut segments: Vec<String> = path.trim_matches('/').split('/').map(str::to_owned).collect();
    let version = segments.first().filter(|first| is_version(first)).cloned();
    if version.is_some() {
        segments.remove(0);
    }
    let call = Call {
        method: head.method,
        segments,
        path,
        raw_query: query,
        query: query_pairs,
        token,
        content_type,
        file_offset,
        body,
        json,
    };
    graph_answer(shared, &call, version.as_deref().unwrap_or("v25.0")).await
}

fn is_version(segment: &str) -> bool {
    segment.strip_prefix('v').is_some_and(|rest| rest.parse::<f32>().is_ok())
}

fn bearer(header: &str, query: &HashMap<String, String>, json: &Value) -> Option<String> {
    let given = header.strip_prefix("Bearer ").or_else(|| header.strip_prefix("OAuth "));
    given
        .map(|token| token.trim().to_owned())
        .or_else(|| query.get("access_token").cloned())
        .or_else(|| json["access_token"].as_str().map(str::to_owned))
        .filter(|token| !token.is_empty())
}

fn read(content_type: &str, body: &Bytes) -> Value {
    if content_type.starts_with("application/x-www-form-urlencoded") {
        let mut form = json!(pairs(&String::from_utf8_lossy(body)));
        // Objects come as JSON in a form.
        for value in form.as_object_mut().into_iter().flat_map(|map| map.values_mut()) {
            if let Some(text) = value.as_str().filter(|text| text.starts_with(['{', '[']))
                && let Ok(parsed) = serde_json::from_str::<Value>(text)
            {
                *value = parsed;
            }
        }
        return form;
    }
    if content_type.starts_with("multipart/") {
        Value::Null
    } else {
        serde_json::from_slice(body).unwrap_or(Value::Null)
    }
}

/// What a request came to.
struct Outcome {
    answer: Answer,
    then: Then,
    trace: String,
    fault: Fault,
}

async fn graph_answer(shared: &Arc<Shared>, call: &Call, version: &str) -> Result<Answer, Cut> {
    let Outcome { answer, then, trace, fault } = outcome(&mut shared.world.lock(), call);
    shared.wake.notify_one();
    if fault.hang || fault.hang_after_accept {
        // The client goes away, and this with it.
        std::future::pending::<()>().await;
    }
    if fault.reset_after_accept {
        return Err(Cut);
    }
    let mut answer = answer;
    match then {
        Then::Answer => {}
        Then::Flush => shared.flush().await,
        Then::Verify { url, token, target } => {
            if let Err(error) = set_callback(shared, &url, &token, &target).await {
                answer = error_answer(&error, &trace, BodyShape::Json);
            }
        }
    }
    let headers = answer.headers_mut();
    for (name, value) in [
        ("x-fb-request-id", trace.as_str()),
        ("x-fb-trace-id", trace.as_str()),
        ("x-fb-rev", "1020000000"),
        ("facebook-api-version", version),
        ("x-business-use-case-usage", USAGE),
    ] {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    }
    Ok(answer)
}

fn outcome(world: &mut World, call: &Call) -> Outcome {
    let trace = world.trace();
    let fault = if world.faults.is_empty() { None } else { world.faults.strike(&call.path, call.to()) };
    let fault = fault.unwrap_or_default();
    let after = fault.reset_after_accept || fault.hang_after_accept;
    let (answer, then, seen) = if fault.hang {
        (answer(200, "text/plain", ""), Then::Answer, (0, Value::Null, "hang".to_owned()))
    } else if !after && !fault.later && (fault.code.is_some() || fault.http.is_some()) {
        let code = fault.code.unwrap_or(1);
        let mut error = match &fault.details {
            Some(details) => GraphError::coded(code, details.clone()),
            None => GraphError::plain(code),
        };
        error = crate::messages::rated(world, error);
        error.subcode = fault.subcode;
        error.http = fault.http.unwrap_or(error.http);
        let seen = (error.http, error.body(&trace), format!("fault {code}"));
        (error_answer(&error, &trace, fault.body), Then::Answer, seen)
    } else {
        let later = fault.code.filter(|_| fault.later).map(|code| (code, fault.details.clone()));
        match graph::handle(world, call, later) {
            Ok(Reply { status, json, file, then }) => {
                let accepted = !json["messages"].is_null();
                let outcome = match (fault.hang_after_accept, fault.reset_after_accept, accepted) {
                    (true, ..) => "hang",
                    (_, true, _) => "reset",
                    (.., true) => "accepted",
                    _ => "ok",
                };
                let answer = match &file {
                    Some((mime, bytes)) => file_answer(mime, bytes.clone()),
                    None => json_answer(status, &json),
                };
                (answer, then, (status, json, outcome.to_owned()))
            }
            Err(error) => {
                let seen = (error.http, error.body(&trace), format!("error {}", error.code));
                (error_answer(&error, &trace, BodyShape::Json), Then::Answer, seen)
            }
        }
    };
    if !world.fast {
        let body = match &call.json {
            Value::Null => json!(format!("{} bytes", call.body.len())),
            body => body.clone(),
        };
        let (status, given, outcome) = seen;
        let time = world.now();
        world.journal.add(Entry {
            seq: 0,
            time,
            method: call.method.to_string(),
            path: call.path.clone(),
            query: call.raw_query.clone(),
            token: call.token.clone(),
            body,
            status,
            answer: given,
            outcome,
        });
    }
    Outcome { answer, then, trace, fault }
}

/// Verifies a callback and sets it.
pub(crate) async fn set_callback(shared: &Shared, url: &str, token: &str, target: &Target) -> Result<(), GraphError> {
    let challenge = shared.world.lock().next().to_string();
    webhooks::verify(url, token, &challenge).await.map_err(|reason| {
        let mut error = GraphError::plain(2200);
        error.message = format!("(#2200) Callback verification failed with the following errors: {reason}");
        error.details = None;
        error
    })?;
    let mut world = shared.world.lock();
    match target {
        Target::App(app) => {
            if let Some(app) = world.apps.get_mut(app) {
                app.callback = Some(url.to_owned());
                app.verify_token = token.to_owned();
            }
        }
        Target::Waba(waba) => {
            if let Some(waba) = world.wabas.get_mut(waba) {
                waba.override_callback = Some(url.to_owned());
            }
        }
    }
    Ok(())
}

fn error_answer(error: &GraphError, trace: &str, shape: BodyShape) -> Answer {
    let mut answer = match shape {
        BodyShape::Json => json_answer(error.http, &error.body(trace)),
        BodyShape::StringErrorData => json_answer(error.http, &error.body_with_text(trace)),
        BodyShape::Html => answer(
            error.http,
            "text/html; charset=utf-8",
            "<!DOCTYPE html><html><head><title>Error</title></head><body>Sorry, something went wrong.</body></html>",
        ),
        BodyShape::Empty => answer(error.http, "text/plain", ""),
    };
    let text = format!("OAuth \"Facebook Platform\" \"invalid_request\" \"{}\"", error.message);
    if let Ok(value) = HeaderValue::from_str(&text) {
        answer.headers_mut().insert("www-authenticate", value);
    }
    answer
}

fn file_answer(mime: &str, bytes: Bytes) -> Answer {
    let mut answer = answer(200, "application/octet-stream", bytes);
    if let Ok(value) = HeaderValue::from_str(mime) {
        answer.headers_mut().insert("content-type", value);
    }
    answer
}

/// An answer with a body of this type.
fn answer(status: u16, content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    answer.headers_mut().insert("content-type", HeaderValue::from_static(content_type));
    answer
}

fn json_answer(status: u16, body: &Value) -> Answer {
    answer(status, "application/json; charset=UTF-8", body.to_string())
}
