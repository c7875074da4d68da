//! The admin interface: HTTP with JSON for tests, and one page for people. It owns nothing: every route calls one function of the
//! [`World`] or of a neighbouring module, in the task of its connection.
//!
//! # Layout
//! - this file: reading requests and writing answers; `action`: what a POST asks for, which scripts ask for, too; `accounts`: accounts and
//!   phones; `sending`: what a phone sends; `announcing`: what the server tells; `groups`: groups; `policy`: what the server insists on;
//!   `clock`: what it takes for the time; `state`: devices, messages, faults, counts.
//!
//! | | |
//! |---|---|
//! | `GET /` | the page |
//! | `GET /accounts`, `POST /accounts {phone, name?, withoutNinthDigit?, lidAddressed?, withoutHistory?, demandsPasskey?}` | accounts |
//! | `POST /phones/{phone}/scan {qr}` | the phone scans a QR: the device is linked |
//! | `POST /phones/{phone}/link {code}` | the phone enters a pairing code |
//! | `POST /phones/{phone}/passkey {options}`, `GET /phones/{phone}/passkey` | the account's passkey answers; the code that the phone shows |
//! | `POST /phones/{phone}/send {to, …}` | the phone sends, see `sending::Sending` |
//! | `GET /phones/{phone}/inbox` | what the phone received, decrypted |
//! | `GET /phones/{phone}/seen` | receipts, typing, and what the phone could not decrypt |
//! | `POST /phones/{phone}/read {id, played?}` | the phone reads a message |
//! | `POST /phones/{phone}/typing {to, state}` | `composing`, `recording`, `paused` |
//! | `POST /phones/{phone}/switch {on}` | the phone is switched off: what arrives waits |
//! | `POST /phones/{phone}/name {name}` | the account's push name |
//! | `GET /groups`, `POST /groups {by, subject, members, addressing?}` | groups |
//! | `POST /groups/{id}/members {by, action, who}` | `add`, `remove`, `promote`, `demote`, `leave` |
//! | `GET /devices`, `GET /messages`, `GET /stats` | what the server knows |
//! | `GET /web-version`, `POST /web-version {served?, floor?}` | the version that the web's page tells (0: 503), the least that gets in |
//! | `GET /policy`, `POST /policy {deduplicates?, demandsTokens?, strictAcks?}` | what the server insists on |
//! | `GET /clock`, `POST /clock {advanceSeconds?, held?}` | the server's time; held, it passes only by `advanceSeconds` |
//! | `POST /announce {…}` | what the server tells of its own accord, see `announcing::Announcement` |
//! | `POST /faults {…}` | what goes wrong, see `state::Fault` |

mod accounts;
mod action;
mod announcing;
mod clock;
mod groups;
mod policy;
mod sending;
mod state;

use std::sync::Arc;

use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::{Method, Request};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use wacore_binary::Jid;

pub(crate) use accounts::message;
pub(crate) use action::action;

use crate::listener::{self, Answer};
use crate::{Error, Shutdown, world::World};

/// The largest request: a picture in base64.
const LARGEST: usize = 96 << 20;

/// Serves the admin until the shutdown.
pub async fn serve(listener: TcpListener, world: Arc<World>, shutdown: Shutdown) {
    listener::serve(listener, shutdown, move |request| {
        let world = world.clone();
        async move {
            match handle(&world, request).await {
                Ok(answer) => answer,
                Err(refused) => listener::json(refused.status, &json!({ "error": refused.reason })),
            }
        }
    })
    .await;
}

/// A request that is not served, and what to change.
#[derive(Debug)]
pub(crate) struct Refused {
    /// The HTTP status.
    pub(crate) status: u16,
    /// What is wrong, for people.
    pub(crate) reason: String,
}

impl Refused {
    fn bad(reason: impl Into<String>) -> Self {
        Self { status: 400, reason: reason.into() }
    }
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        let status = match &error {
            Error::UnknownAccount(_) | Error::UnknownChat(_) | Error::NotWaiting(_) => 404,
            Error::AccountExists(_) | Error::TooManyCompanions(_) => 409,
            Error::InvalidNumber(_) | Error::InvalidQr(_) | Error::InvalidKeys(_) => 400,
            Error::Signal(_) | Error::Listen { .. } => 500,
        };
        Self { status, reason: error.to_string() }
    }
}

impl From<crate::groups::Refusal> for Refused {
    fn from(refusal: crate::groups::Refusal) -> Self {
        Self { status: refusal.code(), reason: refusal.to_string() }
    }
}

async fn handle(world: &Arc<World>, request: Request<Incoming>) -> Result<Answer, Refused> {
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let body = match method {
        Method::POST => Limited::new(request.into_body(), LARGEST)
            .collect()
            .await
            .map_err(|e| Refused::bad(format!("the body was not read: {e}")))?
            .to_bytes(),
        _ => Default::default(),
    };
    let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
    if method == Method::GET && segments == [""] {
        return Ok(listener::answer(200, "text/html; charset=utf-8", include_str!("page.html")));
    }
    let get = method == Method::GET;
    if !get && method != Method::POST {
        return Err(Refused { status: 405, reason: "GET or POST".into() });
    }
    let value = match (get, segments.as_slice()) {
        (false, path) => {
            let body = serde_json::from_slice(&body).map_err(not_taken)?;
            action(path, body)?(world.clone()).await?
        }
        (true, ["accounts"]) => accounts::list(world),
        (true, ["phones", phone, "passkey"]) => accounts::passkey_code(world, phone)?,
        (true, ["phones", phone, "seen"]) => accounts::seen(world, phone)?,
        (true, ["phones", phone, "inbox"]) => accounts::inbox(world, phone)?,
        (true, ["groups"]) => groups::list(world),
        (true, ["devices"]) => state::devices(world),
        (true, ["messages"]) => state::messages(world),
        (true, ["stats"]) => state::stats(world),
        (true, ["web-version"]) => world.web_version.show(),
        (true, ["policy"]) => policy::show(world),
        (true, ["clock"]) => clock::show(world),
        (true, _) => return Err(unknown("GET", &path)),
    };
    Ok(listener::json(200, &value))
}

fn read<T: DeserializeOwned>(body: Value) -> Result<T, Refused> {
    serde_json::from_value(body).map_err(not_taken)
}

fn not_taken(error: serde_json::Error) -> Refused {
    Refused::bad(format!("the body is not what this takes: {error}"))
}

fn unknown(method: &str, path: &str) -> Refused {
    Refused { status: 404, reason: format!("there is no {method} {path}: see GET /") }
}

/// A chat as people write it: a JID, or a number.
fn chat(text: &str) -> Result<Jid, Refused> {
    let text = text.trim();
    if text.contains('@') {
        return text.parse().map_err(|e| Refused::bad(format!("{text:?} is not a JID: {e}")));
    }
    let digits: String = text.chars().filter(|c| !matches!(c, '+' | ' ' | '-' | '(' | ')')).collect();
    match !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) {
        true => Ok(Jid::pn(digits.as_str())),
        false => Err(Refused::bad(format!("{text:?} is neither a number nor a JID"))),
    }
}

/// An answer that says only that it is done.
fn done() -> Value {
    json!({ "ok": true })
}
