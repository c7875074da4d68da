//! A small HTTP/1.1 client: one connection per request, everything in memory. It can also send what a correct
//! client refuses to send.

use std::fmt;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::operations;

/// Talks to one server, with the same headers each time.
#[derive(Clone, Debug)]
pub struct Client {
    address: SocketAddr,
    headers: Vec<(String, String)>,
}

/// A request that is being built.
#[derive(Debug)]
pub struct Request {
    address: SocketAddr,
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    timeout: Duration,
}

/// An answer.
#[derive(Clone)]
pub struct Reply {
    /// Status code.
    pub status: u16,
    /// Headers in the order of arrival, with names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, with its chunks joined.
    pub body: Vec<u8>,
    request: String,
}

impl Client {
    /// A client without credentials.
    pub fn new(address: SocketAddr) -> Self {
        Self { address, headers: Vec::new() }
    }

    /// The server's address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// This client with one more header.
    pub fn with(&self, name: &str, value: &str) -> Self {
        let mut headers = self.headers.clone();
        headers.push((name.to_owned(), value.to_owned()));
        Self { address: self.address, headers }
    }

    /// This client with `Authorization: Bearer`.
    pub fn bearer(&self, token: &str) -> Self {
        self.with("Authorization", &format!("Bearer {token}"))
    }

    /// This client with `X-API-Key`.
    pub fn key(&self, key: &str) -> Self {
        self.with("X-API-Key", key)
    }

    /// A request to build.
    pub fn request(&self, method: &str, path: &str) -> Request {
        Request {
            address: self.address,
            method: method.to_owned(),
            path: path.to_owned(),
            headers: self.headers.clone(),
            body: Vec::new(),
            timeout: Duration::from_secs(120),
        }
    }

    /// Sends a GET request.
    pub fn get(&self, path: &str) -> Result<Reply> {
        self.request("GET", path).send()
    }

    /// Sends a POST request with a JSON body.
    pub fn post(&self, path: &str, body: &Value) -> Result<Reply> {
        self.request("POST", path).json(body).send()
    }

    /// Sends a PATCH request with a JSON body.
    pub fn patch(&self, path: &str, body: &Value) -> Result<Reply> {
        self.request("PATCH", path).json(body).send()
    }

    /// Sends a PUT request with a JSON body.
    pub fn put(&self, path: &str, body: &Value) -> Result<Reply> {
        self.request("PUT", path).json(body).send()
    }

    /// Sends a DELETE request.
    pub fn delete(&self, path: &str) -> Result<Reply> {
        self.request("DELETE", path).send()
    }
}

impl Request {
    /// Adds a header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets a JSON body.
    pub fn json(self, body: &Value) -> Self {
        self.body("application/json", body.to_string().into_bytes())
    }

    /// Sets a body of any type.
    pub fn body(mut self, content_type: &str, body: Vec<u8>) -> Self {
        self.body = body;
        self.header("Content-Type", content_type)
    }

    /// Limits the wait for each part of the answer.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sends the request and reads the whole answer.
    pub fn send(self) -> Result<Reply> {
        let described = format!("{} {}", self.method, self.path);
        self.exchange().with_context(|| described)
    }

    fn exchange(self) -> Result<Reply> {
        let stream = TcpStream::connect(self.address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(self.timeout))?;
        stream.set_write_timeout(Some(self.timeout))?;
        let mut head = format!("{} {} HTTP/1.1\r\nConnection: close\r\n", self.method, self.path);
        if !self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            head += &format!("Host: {}\r\n", self.address);
        }
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        if !self.body.is_empty() || self.method != "GET" {
            head += &format!("Content-Length: {}\r\n", self.body.len());
        }
        head += "\r\n";
        let mut writer = &stream;
        // A server may refuse a body before it has all come: then the answer is there although writing fails.
        let written = writer.write_all(head.as_bytes()).and_then(|()| writer.write_all(&self.body));
        let mut reader = BufReader::new(&stream);
        let reply = read_reply(&mut reader, format!("{} {}", self.method, self.path));
        match (reply, written) {
            (Ok(reply), _) => {
                operations::answered(&self.method, &self.path, reply.status)?;
                Ok(reply)
            }
            (Err(error), Ok(())) => Err(error),
            (Err(_), Err(error)) => Err(error).context("the body was not taken and no answer came"),
        }
    }
}

impl Reply {
    /// The body as JSON.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_slice(&self.body).with_context(|| format!("not JSON: {self:?}"))
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The first header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The reply itself if it has this status; otherwise an error that shows the reply.
    pub fn expect(self, status: u16) -> Result<Self> {
        if self.status != status {
            bail!("expected {status}: {self:?}");
        }
        Ok(self)
    }

    /// The body as JSON, if the reply has this status.
    pub fn expect_json(self, status: u16) -> Result<Value> {
        self.expect(status)?.json()
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.text();
        let shown: String = text.chars().take(2000).collect();
        write!(f, "{} answered {}: {shown}", self.request, self.status)
    }
}

/// Percent-encodes a value for a query string.
pub fn encode(text: &str) -> String {
    text.bytes()
        .map(|b| {
            if b.is_ascii_alphanumeric() || b"-._~".contains(&b) {
                (b as char).to_string()
            } else {
                format!("%{b:02X}")
            }
        })
        .collect()
}

/// A path with a query string.
pub fn query(path: &str, pairs: &[(&str, &str)]) -> String {
    let pairs: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
    format!("{path}?{}", pairs.join("&"))
}

/// A multipart/form-data body: its content type and its bytes.
#[derive(Debug)]
pub struct Form {
    body: Vec<u8>,
}

const BOUNDARY: &str = "pombo-test-5f0d2c7a91e3";

impl Form {
    /// An empty form.
    pub fn new() -> Self {
        Self { body: Vec::new() }
    }

    /// Adds a field.
    pub fn field(mut self, name: &str, value: &str) -> Self {
        self.start(&format!("form-data; name=\"{name}\""), None);
        self.body.extend_from_slice(value.as_bytes());
        self.body.extend_from_slice(b"\r\n");
        self
    }

    /// Adds a file.
    pub fn file(mut self, name: &str, file_name: &str, content_type: &str, content: &[u8]) -> Self {
        self.start(&format!("form-data; name=\"{name}\"; filename=\"{file_name}\""), Some(content_type));
        self.body.extend_from_slice(content);
        self.body.extend_from_slice(b"\r\n");
        self
    }

    /// Sets the form as the body of a request.
    pub fn into_request(mut self, request: Request) -> Request {
        self.body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
        request.body(&format!("multipart/form-data; boundary={BOUNDARY}"), self.body)
    }

    fn start(&mut self, disposition: &str, content_type: Option<&str>) {
        self.body.extend_from_slice(format!("--{BOUNDARY}\r\nContent-Disposition: {disposition}\r\n").as_bytes());
        if let Some(content_type) = content_type {
            self.body.extend_from_slice(format!("Content-Type: {content_type}\r\n").as_bytes());
        }
        self.body.extend_from_slice(b"\r\n");
    }
}

impl Default for Form {
    fn default() -> Self {
        Self::new()
    }
}

/// Headers: names in lower case, with their values.
pub(crate) type Headers = Vec<(String, String)>;

/// The first line and the headers of a message; `None` at the end of the stream.
pub(crate) fn read_head(reader: &mut impl BufRead) -> Result<Option<(String, Headers)>> {
    let Some(first) = read_line(reader)? else { return Ok(None) };
    let mut headers = Vec::new();
    loop {
        let line = read_line(reader)?.context("the headers end too early")?;
        if line.is_empty() {
            return Ok(Some((first, headers)));
        }
        let (name, value) = line.split_once(':').with_context(|| format!("not a header: {line}"))?;
        headers.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
    }
}

/// The body that belongs to these headers. `to_end`: a body without a length lasts until the connection closes.
pub(crate) fn read_body(reader: &mut impl BufRead, headers: &[(String, String)], to_end: bool) -> Result<Vec<u8>> {
    let header = |name: &str| headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
    let mut body = Vec::new();
    if header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
        loop {
            let line = read_line(reader)?.context("a chunk is missing")?;
            let size = usize::from_str_radix(line.split(';').next().unwrap_or_default().trim(), 16)?;
            let start = body.len();
            body.resize(start + size, 0);
            reader.read_exact(&mut body[start..])?;
            read_line(reader)?;
            if size == 0 {
                return Ok(body);
            }
        }
    }
    match header("content-length") {
        Some(length) => {
            body.resize(length.parse()?, 0);
            reader.read_exact(&mut body)?;
        }
        None if to_end => {
            reader.read_to_end(&mut body)?;
        }
        None => {}
    }
    Ok(body)
}

fn read_reply(reader: &mut impl BufRead, request: String) -> Result<Reply> {
    let head = request.starts_with("HEAD ");
    loop {
        let (first, headers) = read_head(reader)?.context("the connection closed without an answer")?;
        let status: u16 =
            first.split(' ').nth(1).and_then(|s| s.parse().ok()).with_context(|| format!("no status: {first}"))?;
        if status < 200 {
            continue;
        }
        let bodiless = head || status == 204 || status == 304;
        let body = if bodiless { Vec::new() } else { read_body(reader, &headers, true)? };
        return Ok(Reply { status, headers, body, request });
    }
}

fn read_line(reader: &mut impl BufRead) -> Result<Option<String>> {
    let mut line = Vec::new();
    if reader.read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    while line.last().is_some_and(|b| *b == b'\n' || *b == b'\r') {
        line.pop();
    }
    Ok(Some(String::from_utf8_lossy(&line).into_owned()))
}
