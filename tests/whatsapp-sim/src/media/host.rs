//! The HTTP of the media host.
//!
//! - `POST /mms/{kind}/{token}?auth=…[&resume=1][&file_offset=n]`: an upload, what is there of it, or the rest of it. The
//!   token is the SHA-256 of the ciphertext, and is checked.
//! - `GET {direct path}[&hash=…]`: a download. It takes no `auth`: the signature in the query of the direct path is what allows it,
//!   and one without it is refused with 403. `hash`, and `token` as other clients call it, is the SHA-256 of the ciphertext, and is
//!   checked. Expired media answer 410, unknown ones 404.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::{Method, Request};
use serde_json::json;
use tokio::net::TcpListener;

use super::{Purpose, token};
use crate::Shutdown;
use crate::listener::{self, Answer, answer};
use crate::world::World;

/// The largest media a client may send.
const LARGEST: usize = 256 << 20;
/// How much of a broken upload is kept, over all of them.
const LARGEST_PARTIAL: usize = 256 << 20;

pub(super) async fn serve(listener: TcpListener, world: Arc<World>, shutdown: Shutdown) {
    listener::serve(listener, shutdown, move |request| {
        let world = world.clone();
        async move { handle(&world, request).await }
    })
    .await;
}

async fn handle(world: &World, request: Request<Incoming>) -> Answer {
    let path = request.uri().path().to_owned();
    let query = query(request.uri().query().unwrap_or_default());
    match (request.method(), path.strip_prefix("/mms/")) {
        (&Method::POST, Some(_)) if !is_granted(world, &query) => {
            refuse(401, "unknown auth: ask for a media_conn first")
        }
        (&Method::POST, Some(rest)) => match rest.split_once('/') {
            Some((_, token)) if query.contains_key("resume") => resume(world, token),
            Some((_, token)) => upload(world, token, &query, request.into_body()).await,
            None => refuse(404, "an upload goes to /mms/{kind}/{token}"),
        },
        (&Method::GET, None) => download(world, &path, &query),
        _ => refuse(405, "POST uploads, GET downloads"),
    }
}

fn is_granted(world: &World, query: &HashMap<String, String>) -> bool {
    let now = world.now();
    let state = world.media.state.lock();
    query.get("auth").and_then(|auth| state.grants.get(auth)).is_some_and(|ends| now < *ends)
}

/// What is already there of an upload.
fn resume(world: &World, token: &str) -> Answer {
    let now = world.now();
    let state = world.media.state.lock();
    if let Some((path, blob)) = state.by_path.iter().find(|(_, b)| b.token == token && !b.is_expired(now)) {
        let direct_path = super::direct_path(path, &blob.signature, blob.ends);
        drop(state);
        return listener::json(200, &place(world, &direct_path, "complete"));
    }
    let got = state.partial.get(token).map_or(0, BytesMut::len);
    drop(state);
    listener::json(200, &json!({ "resume": got.to_string() }))
}

async fn upload(world: &World, token_asked: &str, query: &HashMap<String, String>, mut body: Incoming) -> Answer {
    if let Some(status) = failing(world, true) {
        return refuse(status, "told to fail");
    }
    let offset: usize = query.get("file_offset").and_then(|o| o.parse().ok()).unwrap_or(0);
    let mut bytes = match offset {
        0 => BytesMut::new(),
        _ => world.media.state.lock().partial.remove(token_asked).unwrap_or_default(),
    };
    if bytes.len() < offset {
        return refuse(400, "file_offset is beyond what was received");
    }
    bytes.truncate(offset);
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => {
                let Ok(data) = frame.into_data() else { continue };
                if bytes.len() + data.len() > LARGEST {
                    return refuse(413, "too large");
                }
                bytes.extend_from_slice(&data);
            }
            Err(e) => {
                tracing::debug!(error = %e, "an upload broke off");
                keep_partial(world, token_asked, bytes);
                return refuse(400, "the upload broke off");
            }
        }
    }
    let bytes: Bytes = bytes.freeze();
    if token(&bytes) != token_asked {
        return refuse(400, "the token is not the SHA-256 of the body");
    }
    world.media.state.lock().partial.remove(token_asked);
    let path = world.media.put(world, bytes, Purpose::Message);
    listener::json(200, &place(world, &path, "complete"))
}

fn keep_partial(world: &World, token: &str, bytes: BytesMut) {
    let mut state = world.media.state.lock();
    let kept: usize = state.partial.values().map(BytesMut::len).sum();
    if kept + bytes.len() > LARGEST_PARTIAL {
        state.partial.clear();
    }
    state.partial.insert(token.to_owned(), bytes);
}

fn download(world: &World, path: &str, query: &HashMap<String, String>) -> Answer {
    let purpose = world.media.state.lock().by_path.get(path).map(|blob| blob.purpose);
    if purpose != Some(Purpose::Sync)
        && let Some(status) = failing(world, false)
    {
        return refuse(status, "told to fail");
    }
    let names_other =
        |token: &String| ["hash", "token"].iter().filter_map(|name| query.get(*name)).any(|hash| hash != token);
    let now = world.now();
    let mut state = world.media.state.lock();
    match state.by_path.get(path) {
        None => refuse(404, "no such media"),
        Some(blob) if blob.is_expired(now) => refuse(410, "expired"),
        Some(blob) if query.get("oh") != Some(&blob.signature) => refuse(403, "the direct path lacks its signature"),
        Some(blob) if names_other(&blob.token) => refuse(403, "the hash is of other media"),
        Some(blob) => {
            let bytes = blob.bytes.clone();
            state.downloads += 1;
            answer(200, "application/octet-stream", bytes)
        }
    }
}

/// The status a request was told to fail with.
fn failing(world: &World, upload: bool) -> Option<u16> {
    let failing = &mut world.media.state.lock().failing;
    let (left, status) = if upload { &mut failing.uploads } else { &mut failing.downloads };
    *left = left.checked_sub(1)?;
    Some(*status)
}

fn place(world: &World, direct_path: &str, resume: &str) -> serde_json::Value {
    json!({ "url": super::url(world, direct_path), "direct_path": direct_path, "resume": resume })
}

fn refuse(status: u16, why: &str) -> Answer {
    listener::json(status, &json!({ "error": why }))
}

/// The pairs of a query. The clients' values (base64url, digits, hex) need no decoding, but for the padding of a hash, which none
/// of them escapes the same way: it is left out. A client that begins a second query with `?` gets what comes after `&`.
fn query(query: &str) -> HashMap<String, String> {
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.replace("%3D", "").trim_end_matches('=').to_owned()))
        .collect()
}
