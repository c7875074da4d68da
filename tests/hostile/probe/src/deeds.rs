//! What a message can tell the probe to do. Each answers with a short text for the test, or with the error it met.

use pombo_plugin::clock;
use pombo_plugin::connector::*;
use serde_json::Value;

use crate::{Probe, account, number, put};

type Done = Result<String, String>;

fn text(task: &Value, field: &str) -> String {
    task[field].as_str().unwrap_or_default().to_owned()
}

fn whole(task: &Value, field: &str) -> u64 {
    task[field].as_u64().unwrap_or(0)
}

fn shown<E: std::fmt::Debug>(error: E) -> String {
    format!("{error:?}")
}

/// One byte of a body, by its place.
fn byte(place: u64) -> u8 {
    (place.wrapping_mul(2_654_435_761) >> 13) as u8
}

fn piece(from: u64, len: usize) -> Vec<u8> {
    (from..from + len as u64).map(byte).collect()
}

fn memory_pages() -> usize {
    core::arch::wasm32::memory_size(0)
}

/// Does it.
pub(crate) async fn perform(probe: &Probe, message: &Outgoing, task: &Value) -> Done {
    match task["do"].as_str().unwrap_or("echo") {
        "echo" => Ok(format!("{} {}", crate::VERSION, message.client_id)),
        "links" => match &message.content {
            Content::Text(content) => Ok(shown(content.attachments.iter().map(|file| &file.url).collect::<Vec<_>>())),
            _ => Err("not a text".to_owned()),
        },
        "shape" => Ok(shown((&message.reply_to, &message.mentions, message.voice_note))),
        "wait" => {
            clock::sleep(std::time::Duration::from_millis(whole(task, "millis"))).await;
            Ok("waited".to_owned())
        }
        "trap" => {
            let nothing: Vec<String> = Vec::new();
            Ok(nothing[message.attempt as usize].clone())
        }
        "number" => Ok(number(&text(task, "key")).await.to_string()),
        "put" => {
            put(&text(task, "key"), task["value"].as_u64()).await;
            Ok("put".to_owned())
        }
        "state" => {
            let why = text(task, "why");
            let state = match &*text(task, "state") {
                "connecting" => events::State::Connecting,
                "connected" => events::State::Connected(account()),
                "disconnected" => events::State::Disconnected(why),
                "qr" => events::State::Qr(why),
                "logged-out" => events::State::LoggedOut(why),
                _ => events::State::Unpaired(why),
            };
            events::emit(events::Event::State(state)).await.map_err(shown)?;
            Ok("told".to_owned())
        }
        "emit" => {
            events::emit(event(&task["event"])).await.map_err(shown)?;
            Ok("told".to_owned())
        }
        "flood" => {
            for place in 0..whole(task, "count") {
                let said = Value::String(format!("{place}"));
                let event = inbound(&format!("m{place}"), events::InboundContent::Text(said.to_string()));
                events::emit(event).await.map_err(shown)?;
            }
            Ok("told".to_owned())
        }
        "commit" => {
            let events = task["events"].as_array().into_iter().flatten().map(event).collect();
            let size = whole(task, "size") as usize;
            let change = |key: &Value| kv::Change {
                key: key.as_str().unwrap_or_default().to_owned(),
                value: Some(vec![b'7'; size.max(1)]),
            };
            let changes = task["keys"].as_array().into_iter().flatten().map(change).collect();
            events::commit(events, changes).await.map_err(shown)?;
            Ok("committed".to_owned())
        }
        "http" => http_send(task).await,
        "exchange" => exchange(task).await,
        "abandon" => {
            let exchange = http::Exchange::start(head(task)).await.map_err(shown)?;
            exchange.write(piece(0, 1000)).await.map_err(shown)?;
            drop(exchange);
            Ok("dropped".to_owned())
        }
        "open" => {
            let header = |(name, value): (&String, &Value)| http::Header {
                name: name.clone(),
                value: value.as_str().unwrap_or_default().to_owned(),
            };
            let headers = task["headers"].as_object().into_iter().flatten().map(header).collect();
            let socket = websocket::Connection::connect(text(task, "url"), headers).await.map_err(shown)?;
            probe.sockets.borrow_mut().push(std::rc::Rc::new(socket));
            Ok("open".to_owned())
        }
        "ws" => websocket_echo(probe, task).await,
        "ws-recv" => {
            let socket = probe.sockets.borrow().last().cloned().ok_or("no socket")?;
            match socket.recv().await.map_err(shown)? {
                websocket::Frame::Text(text) => Ok(text),
                websocket::Frame::Binary(bytes) => Ok(bytes.len().to_string()),
            }
        }
        "ws-close" => {
            let socket = probe.sockets.borrow().last().cloned().ok_or("no socket")?;
            socket.close().await;
            match socket.send(websocket::Frame::Text("late".to_owned())).await {
                Ok(()) => Ok("sent after the close".to_owned()),
                Err(error) => Err(shown(error)),
            }
        }
        "media" => media_upload(task).await,
        "log" => {
            for _ in 0..whole(task, "count") {
                pombo_plugin::log::debug("flood", "a line that nobody wants");
            }
            pombo_plugin::log::info("probe", "after the flood");
            Ok("logged".to_owned())
        }
        other => Err(format!("no deed is called {other:?}")),
    }
}

/// Reads the file with this id; how many bytes it has.
pub(crate) async fn file_read(id: String) -> Result<Answer, OperationError> {
    let failed = |error: media::Error| OperationError::Failed(shown(error));
    let mut offset = 0;
    loop {
        let piece = media::read(id.clone(), offset, 1 << 20).await.map_err(failed)?;
        if piece.is_empty() {
            return Ok(Answer::Other(offset.to_string()));
        }
        offset += piece.len() as u64;
    }
}

fn inbound(id: &str, content: events::InboundContent) -> events::Event {
    events::Event::Message(events::Inbound {
        provider_id: id.to_owned(),
        chat: "chat".to_owned(),
        sender: "ana".to_owned(),
        sender_name: None,
        from_me: false,
        is_group: false,
        reply_to: None,
        mentions: Vec::new(),
        at_millis: 1_700_000_000_000,
        content,
    })
}

pub(crate) fn event(said: &Value) -> events::Event {
    let id = text(said, "id");
    match said["kind"].as_str().unwrap_or_default() {
        "text" => inbound(&id, events::InboundContent::Text("x".repeat(whole(said, "size") as usize))),
        "receipt" => events::Event::Receipt(events::Receipt {
            client_id: said["client"].as_str().map(str::to_owned),
            provider_id: id,
            recipient: None,
            kind: events::ReceiptKind::Delivered,
            at_millis: 1_700_000_000_000,
            reason: None,
        }),
        "presence" => events::Event::Presence(events::Presence {
            chat: "chat".to_owned(),
            sender: "ana".to_owned(),
            kind: events::PresenceKind::Typing,
        }),
        "media" => events::Event::Media(events::MediaUpdate {
            chat: "chat".to_owned(),
            provider_id: id,
            media: events::MediaState::Ready(events::StoredMedia {
                id: text(said, "file"),
                filename: "f".to_owned(),
                content_type: "image/png".to_owned(),
                size: whole(said, "size"),
            }),
        }),
        "state" => events::Event::State(events::State::Connecting),
        "blocked" => events::Event::Warning(events::Warning::Blocked(id)),
        kind => events::Event::Other((kind.to_owned(), text(said, "json"))),
    }
}

fn headers(task: &Value) -> Vec<http::Header> {
    let header = |(name, value): (&String, &Value)| http::Header {
        name: name.clone(),
        value: value.as_str().unwrap_or_default().to_owned(),
    };
    task["headers"].as_object().into_iter().flatten().map(header).collect()
}

async fn http_send(task: &Value) -> Done {
    let request = http::Request {
        method: task["method"].as_str().unwrap_or("GET").to_owned(),
        url: text(task, "url"),
        headers: headers(task),
        body: task["body"].as_str().map(|body| body.as_bytes().to_vec()),
        timeout_millis: task["timeout"].as_u64().map(|ms| ms as u32),
    };
    let response = http::send(request).await.map_err(shown)?;
    Ok(format!("{} {}", response.status, String::from_utf8_lossy(&response.body)))
}

fn head(task: &Value) -> http::RequestHead {
    http::RequestHead {
        method: task["method"].as_str().unwrap_or("POST").to_owned(),
        url: text(task, "url"),
        headers: headers(task),
        content_length: whole(task, "size"),
        timeout_millis: task["timeout"].as_u64().map(|ms| ms as u32),
    }
}

/// Writes `size` bytes, reads what comes back and compares it: the status, the bytes, whether they are the same, and by how
/// many pages the memory grew.
async fn exchange(task: &Value) -> Done {
    const PIECE: usize = 256 << 10;
    let size = whole(task, "size");
    let exchange = http::Exchange::start(head(task)).await.map_err(shown)?;
    let before = memory_pages();
    let mut written = 0;
    let short = whole(task, "short");
    while written < size - short {
        let len = PIECE.min((size - short - written) as usize);
        exchange.write(piece(written, len)).await.map_err(shown)?;
        written += len as u64;
    }
    let head = exchange.finish().await.map_err(shown)?;
    let (mut read, mut same) = (0u64, true);
    loop {
        let bytes = exchange.read(PIECE as u32).await.map_err(shown)?;
        if bytes.is_empty() {
            break;
        }
        same &= bytes.iter().enumerate().all(|(place, b)| *b == byte(read + place as u64));
        read += bytes.len() as u64;
    }
    Ok(format!("{} {read} {same} {}", head.status, memory_pages() - before))
}

async fn websocket_echo(probe: &Probe, task: &Value) -> Done {
    let socket = probe.sockets.borrow().last().cloned().ok_or("no socket")?;
    let size = whole(task, "size") as usize;
    for turn in 0..whole(task, "count").max(1) {
        let sent = piece(turn, size);
        socket.send(websocket::Frame::Binary(sent.clone())).await.map_err(shown)?;
        match socket.recv().await.map_err(shown)? {
            websocket::Frame::Binary(bytes) if bytes == sent => {}
            other => {
                return Err(format!(
                    "not what was sent: {} bytes",
                    match other {
                        websocket::Frame::Binary(bytes) => bytes.len(),
                        websocket::Frame::Text(text) => text.len(),
                    }
                ));
            }
        }
    }
    Ok("echoed".to_owned())
}

async fn media_upload(task: &Value) -> Done {
    let upload = media::Upload::start(text(task, "name"), text(task, "type")).await.map_err(shown)?;
    let size = whole(task, "size");
    let mut written = 0;
    while written < size {
        let len = (64 << 10).min((size - written) as usize);
        upload.write(piece(written, len)).await.map_err(shown)?;
        written += len as u64;
    }
    if task["drop"].as_bool().unwrap_or(false) {
        return Ok("dropped".to_owned());
    }
    let info = upload.finish().await.map_err(shown)?;
    Ok(info.id)
}
