//! A client of server-sent events, which reads a stream line by line as it comes.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::operations;
use crate::server::Server;
use crate::wait::PATIENCE;

/// Somebody who follows a stream.
pub struct Follower {
    lines: BufReader<TcpStream>,
}

impl Follower {
    /// Asks for the stream at `path`, with the id of the last event if it is taken up again. Returns once the stream has begun.
    pub fn start(server: &Server, key: &str, path: &str, last: Option<u64>) -> Result<Self> {
        let mut stream = TcpStream::connect(server.address())?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let last = last.map(|id| format!("Last-Event-ID: {id}\r\n")).unwrap_or_default();
        let address = server.address();
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nX-API-Key: {key}\r\nConnection: close\r\nAccept: text/event-stream\r\n{last}\r\n"
        )?;
        let mut follower = Self { lines: BufReader::new(stream) };
        let status = follower.line()?;
        ensure!(status.contains(" 200 "), "{status}");
        operations::answered("GET", path, 200)?;
        // The first thing that is said, with an event `hello` in some streams: from here on it follows.
        while !follower.line()?.starts_with("retry:") {}
        while !follower.line()?.is_empty() {}
        Ok(follower)
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        ensure!(self.lines.read_line(&mut line)? > 0, "the stream ended");
        Ok(line.trim_end().to_owned())
    }

    /// The next event: its id and its data.
    pub fn next(&mut self) -> Result<(u64, Value)> {
        let Told { id, data, .. } = self.told()?;
        Ok((id.context("no id before the data")?, data))
    }

    /// The next event, stored or not.
    pub fn told(&mut self) -> Result<Told> {
        let (mut id, mut name) = (None, String::new());
        loop {
            let line = self.line()?;
            if line.is_empty() {
                // The end of a comment: its id is that of no event.
                (id, name) = (None, String::new());
            } else if let Some(number) = line.strip_prefix("id: ") {
                id = Some(number.parse()?);
            } else if let Some(text) = line.strip_prefix("event: ") {
                name = text.to_owned();
            } else if let Some(data) = line.strip_prefix("data: ") {
                return Ok(Told { id, name, data: serde_json::from_str(data)? });
            }
        }
    }
}

/// An event of a stream.
#[derive(Debug)]
pub struct Told {
    /// Its id; `None` if it is stored nowhere.
    pub id: Option<u64>,
    /// Its name; empty if it has none.
    pub name: String,
    /// Its data.
    pub data: Value,
}
