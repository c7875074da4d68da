//! Servers on loopback for the interfaces that reach out: HTTP with every way to fail, and WebSockets.

use std::sync::Arc;
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, frame::coding::CloseCode};

/// An HTTP server; its paths say what it does.
pub(crate) struct Web {
    pub(crate) port: u16,
    /// Connections that ended before their request was whole.
    broken: watch::Receiver<usize>,
}

impl Web {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let (tell, broken) = watch::channel(0);
        let tell = Arc::new(tell);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let tell = tell.clone();
                tokio::spawn(async move {
                    if serve(stream).await.is_none() {
                        tell.send_modify(|n| *n += 1);
                    }
                });
            }
        });
        Self { port, broken }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Waits until a connection ended before its request was whole.
    pub(crate) async fn until_broken(&mut self) {
        let broken = self.broken.wait_for(|n| *n > 0);
        let broken = tokio::time::timeout(Duration::from_secs(10), broken).await;
        broken.expect("in time").expect("the server lives");
    }
}

/// One request. `None` when it was not whole.
async fn serve(stream: TcpStream) -> Option<()> {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    stream.read_line(&mut line).await.ok().filter(|n| *n > 0)?;
    let mut words = line.split_whitespace();
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let (mut length, mut note) = (0u64, String::new());
    loop {
        let mut header = String::new();
        stream.read_line(&mut header).await.ok().filter(|n| *n > 0)?;
        let header = header.trim().to_ascii_lowercase();
        if header.is_empty() {
            break;
        }
        if let Some(value) = header.strip_prefix("content-length: ") {
            length = value.parse().ok()?;
        }
        if let Some(value) = header.strip_prefix("x-note: ") {
            value.clone_into(&mut note);
        }
    }
    let said = async |stream: &mut BufReader<TcpStream>, said: String| stream.write_all(said.as_bytes()).await.ok();
    match &*path {
        // What stands in the query.
        query if query.starts_with("/query?") => {
            let query = query.trim_start_matches("/query?");
            let head = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", query.len());
            said(&mut stream, head + query).await;
        }
        "/hello" => {
            let mut body = vec![0; length as usize];
            stream.read_exact(&mut body).await.ok()?;
            let answer = format!("{method} {note} {}", String::from_utf8_lossy(&body));
            let head = format!("HTTP/1.1 201 Created\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", answer.len());
            said(&mut stream, head + &answer).await;
        }
        // What comes goes back in chunks, as it comes.
        "/echo" => {
            let head = "HTTP/1.1 200 OK\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n".to_owned();
            let mut body = Vec::new();
            while (body.len() as u64) < length {
                let mut part = vec![0; 64 << 10];
                let n = stream.read(&mut part).await.ok().filter(|n| *n > 0)?;
                body.extend_from_slice(&part[..n]);
            }
            said(&mut stream, head).await;
            for part in body.chunks(100_000) {
                said(&mut stream, format!("{:x}\r\n", part.len())).await?;
                stream.write_all(part).await.ok()?;
                said(&mut stream, "\r\n".to_owned()).await?;
            }
            said(&mut stream, "0\r\n\r\n".to_owned()).await;
        }
        "/early" => {
            let head = "HTTP/1.1 413 Too Large\r\nconnection: close\r\ncontent-length: 3\r\n\r\nno!";
            said(&mut stream, head.to_owned()).await;
            // Read on, so that the answer is not lost to a reset.
            let mut rest = Vec::new();
            stream.read_to_end(&mut rest).await.ok()?;
        }
        "/address" => {
            let answer = r#"{"ip":"198.51.100.7","country":"Brazil"}"#;
            let head = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", answer.len());
            said(&mut stream, head + answer).await;
        }
        "/redirect" => {
            let head = "HTTP/1.1 302 Found\r\nlocation: /hello\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
            said(&mut stream, head.to_owned()).await;
        }
        "/break-body" => {
            let head = "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nshort";
            said(&mut stream, head.to_owned()).await;
        }
        "/huge" => {
            let head = "HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n";
            said(&mut stream, head.to_owned()).await;
        }
        "/hang" => std::future::pending().await,
        // "/break" and what has no name: the connection ends.
        _ => {}
    }
    let _ = stream.shutdown().await;
    Some(())
}

/// What a WebSocket server does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Says what it hears.
    Echo,
    /// Ends with a reason.
    Goodbye,
    /// Breaks off without a word.
    Break,
    /// Accepts the connection and says nothing, not even the handshake.
    Mute,
}

/// A WebSocket server; its URL.
pub(crate) async fn websocket(manner: Manner) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("bound").port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(talk(stream, manner));
        }
    });
    format!("ws://127.0.0.1:{port}/chat")
}

async fn talk(stream: TcpStream, manner: Manner) -> Option<()> {
    if manner == Manner::Mute {
        std::future::pending::<()>().await;
    }
    let mut socket = tokio_tungstenite::accept_async(stream).await.ok()?;
    match manner {
        Manner::Goodbye => {
            let frame = CloseFrame { code: CloseCode::Away, reason: "maintenance".into() };
            socket.close(Some(frame)).await.ok()
        }
        Manner::Break => None,
        Manner::Echo | Manner::Mute => {
            while let Some(Ok(message)) = socket.next().await {
                if matches!(message, Message::Text(_) | Message::Binary(_)) {
                    socket.send(message).await.ok()?;
                }
            }
            Some(())
        }
    }
}
