//! A receiver of webhooks: it records every request and answers as the path says.
//!
//! A path is `/ANYTHING` (200), or begins with a script: `/fail/N/…` answers 500 to the first N requests of that path, `/gone/…`
//! answers 410, `/hang/N/…` does not answer the first N, `/redirect/…` answers 302 to the URL in the query (`?to=`),
//! `/file/BYTES/…` answers with a PDF of so many bytes, `/image/BYTES/…` with a JPEG, `/video/BYTES/…` with an MP4, `/audio/BYTES/…` with
//! an Ogg file of Opus, `/sticker/BYTES/…` with a WebP, `/endless/…` never stops sending.

use std::collections::HashMap;
use std::io::{BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::Value;

use crate::http::{read_body, read_head};
use crate::wait::until;

/// A received request.
#[derive(Clone, Debug)]
pub struct Received {
    /// When it arrived.
    pub at: Instant,
    /// GET, POST …
    pub method: String,
    /// Path with query.
    pub path: String,
    /// Headers, with names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// The status of the answer; 0 when there was none.
    pub answered: u16,
}

impl Received {
    /// A header; empty when the request does not have it.
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value.as_str())
    }

    /// The body as JSON; null when it is not JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}

#[derive(Default, Debug)]
struct State {
    received: Vec<Received>,
    by_path: HashMap<String, usize>,
}

/// The receiver. Its threads end with the test's process.
#[derive(Debug, Clone)]
pub struct Receiver {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Receiver {
    /// Starts a receiver on a free port of 127.0.0.1.
    pub fn start() -> Result<Self> {
        Self::start_at("127.0.0.1")
    }

    /// Starts a receiver on another address of this machine.
    pub fn start_at(address: &str) -> Result<Self> {
        let listener = TcpListener::bind((address, 0))?;
        let receiver = Self { address: listener.local_addr()?, state: Arc::default() };
        let serving = receiver.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let serving = serving.clone();
                std::thread::spawn(move || serving.serve(&stream));
            }
        });
        Ok(receiver)
    }

    /// The address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The receiver's URL for a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The requests to one path, in order.
    pub fn received(&self, path: &str) -> Vec<Received> {
        self.lock().received.iter().filter(|r| r.path == path).cloned().collect()
    }

    /// The same without the first ones.
    pub fn received_after(&self, path: &str, count: usize) -> Vec<Received> {
        self.lock().received.iter().filter(|r| r.path == path).skip(count).cloned().collect()
    }

    /// How many requests arrived in total.
    pub fn count(&self) -> usize {
        self.lock().received.len()
    }

    /// Waits until `count` requests to a path have arrived.
    pub fn wait_for(&self, path: &str, count: usize) -> Result<Vec<Received>> {
        let what = format!("{count} requests to {path}");
        until(&what, Duration::from_secs(60), || Ok(Some(self.received(path)).filter(|r| r.len() >= count)))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, stream: &TcpStream) {
        let mut reader = BufReader::new(stream);
        while let Ok(Some((first, headers))) = read_head(&mut reader) {
            let Ok(body) = read_body(&mut reader, &headers, false) else { return };
            let mut words = first.split(' ').map(str::to_owned);
            let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
            if !self.answer(stream, method, path, headers, body) {
                return;
            }
        }
    }

    /// Answers one request; false when the connection is to be closed.
    fn answer(
        &self,
        mut stream: &TcpStream,
        method: String,
        path: String,
        headers: Vec<(String, String)>,
        body: Vec<u8>,
    ) -> bool {
        let pieces: Vec<&str> = path.trim_start_matches('/').split(['/', '?']).collect();
        let number = pieces.get(1).and_then(|n| n.parse::<usize>().ok()).unwrap_or(0);
        let (status, hangs) = {
            let mut state = self.lock();
            let seen = state.by_path.entry(path.clone()).or_default();
            *seen += 1;
            let (status, hangs) = match pieces[0] {
                "fail" if *seen <= number => (500, false),
                "gone" => (410, false),
                "redirect" => (302, false),
                "hang" if *seen <= number => (0, true),
                _ => (200, false),
            };
            let at = Instant::now();
            state.received.push(Received { at, method, path: path.clone(), headers, body, answered: status });
            (status, hangs)
        };
        if hangs {
            // As long as the caller is willing to wait: reading ends when it hangs up.
            let mut sink = std::io::sink();
            let _ = std::io::copy(&mut { stream }, &mut sink);
            return false;
        }
        let reply = match pieces[0] {
            "redirect" => {
                let to = path.split_once("to=").map(|(_, to)| to).unwrap_or_default();
                format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n").into_bytes()
            }
            "file" => file("application/pdf", &pdf(number)),
            "image" => file("image/jpeg", &jpeg(number)),
            "video" => file("video/mp4", &mp4(number)),
            "audio" => file("audio/ogg", &opus(number)),
            "sticker" => file("image/webp", &webp(number)),
            "endless" => {
                b"HTTP/1.1 200 OK\r\nContent-Type: application/pdf\r\nConnection: close\r\n\r\n%PDF-1.7\n".to_vec()
            }
            _ => format!("HTTP/1.1 {status} Scripted\r\nContent-Length: 2\r\n\r\nok").into_bytes(),
        };
        if stream.write_all(&reply).is_err() {
            return false;
        }
        if pieces[0] == "endless" {
            let block = [b' '; 65536];
            while stream.write_all(&block).is_ok() {}
            return false;
        }
        true
    }
}

/// The answer with a file.
fn file(content_type: &str, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let mut reply =
        format!("HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n\r\n").into_bytes();
    reply.extend(content);
    reply
}

/// Bytes that begin like a PDF; the same for the same size.
pub fn pdf(size: usize) -> Vec<u8> {
    beginning(b"%PDF-1.7\n", size)
}

/// Bytes that begin like a JPEG; the same for the same size.
pub fn jpeg(size: usize) -> Vec<u8> {
    beginning(b"\xff\xd8\xff\xe0\0\x10JFIF\0", size)
}

/// Bytes that begin like an MP4; the same for the same size.
pub fn mp4(size: usize) -> Vec<u8> {
    beginning(b"\0\0\0\x20ftypisom\0\0\x02\0isomiso2avc1mp41", size)
}

/// Bytes that begin like a WebP; the same for the same size.
pub fn webp(size: usize) -> Vec<u8> {
    beginning(b"RIFF\x24\0\0\0WEBPVP8 ", size)
}

/// Bytes that begin like an Ogg file with one channel of Opus; the same for the same size.
pub fn opus(size: usize) -> Vec<u8> {
    beginning(
        b"OggS\0\x02\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\x01\x13OpusHead\x01\x01\0\0\x80\xbb\0\0\0\0\0",
        size,
    )
}

fn beginning(head: &[u8], size: usize) -> Vec<u8> {
    let mut bytes = head.to_vec();
    bytes.extend((0..size).map(|i| (i.wrapping_mul(2_654_435_761) >> 16) as u8));
    bytes.truncate(size);
    bytes
}
