//! The load generator: threads that each send prepared requests over their own connection, one after the other. It costs a few
//! microseconds per request, whichever server is measured.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// A connection that is kept open.
#[derive(Debug)]
pub struct Connection {
    reader: BufReader<TcpStream>,
    line: Vec<u8>,
    body: Vec<u8>,
}

impl Connection {
    /// Opens a connection.
    pub fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(120)))?;
        Ok(Self { reader: BufReader::with_capacity(256 * 1024, stream), line: Vec::new(), body: Vec::new() })
    }

    /// Sends a whole request and reads the answer's status and body.
    pub fn exchange(&mut self, request: &[u8]) -> Result<(u16, &[u8])> {
        self.reader.get_mut().write_all(request)?;
        let status = {
            let line = self.read_line()?;
            let text = std::str::from_utf8(line)?;
            text.split(' ')
                .nth(1)
                .and_then(|s| s.parse::<u16>().ok())
                .with_context(|| format!("no status in {text:?}"))?
        };
        let mut length = None;
        let mut chunked = false;
        loop {
            let line = self.read_line()?;
            if line.is_empty() {
                break;
            }
            let lower = line.to_ascii_lowercase();
            if let Some(value) = lower.strip_prefix(b"content-length:") {
                length = Some(std::str::from_utf8(value)?.trim().parse::<usize>()?);
            } else if lower.starts_with(b"transfer-encoding:") {
                chunked = true;
            }
        }
        self.body.clear();
        if chunked {
            loop {
                let size = usize::from_str_radix(std::str::from_utf8(self.read_line()?)?.trim(), 16)?;
                let start = self.body.len();
                self.body.resize(start + size, 0);
                self.reader.read_exact(&mut self.body[start..])?;
                self.read_line()?;
                if size == 0 {
                    break;
                }
            }
        } else {
            self.body.resize(length.context("an answer without a length")?, 0);
            self.reader.read_exact(&mut self.body)?;
        }
        Ok((status, &self.body))
    }

    fn read_line(&mut self) -> Result<&[u8]> {
        self.line.clear();
        if self.reader.read_until(b'\n', &mut self.line)? == 0 {
            bail!("the connection closed");
        }
        while self.line.last().is_some_and(|b| *b == b'\n' || *b == b'\r') {
            self.line.pop();
        }
        Ok(&self.line)
    }
}

/// A request with its length, ready to be sent over a kept connection.
pub fn prepare(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {}\r\n", body.len());
    if !body.is_empty() {
        head += "Content-Type: application/json\r\n";
    }
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    let mut request = (head + "\r\n").into_bytes();
    request.extend_from_slice(body);
    request
}

/// The result of a run.
#[derive(Debug, Clone, Copy)]
pub struct Rate {
    /// How many requests got the wanted status.
    pub requests: u64,
    /// Time from the start until the last answer.
    pub elapsed: Duration,
}

impl Rate {
    /// Requests per second, times `each`.
    pub fn per_second(&self, each: u64) -> f64 {
        (self.requests * each) as f64 / self.elapsed.as_secs_f64()
    }
}

/// Sends `request(n)` for n = 0, 1, 2 … over `connections` connections until `limit` says it is enough (given the number and the
/// time since the start). Every answer must have the status `wanted`.
pub fn run(
    address: SocketAddr,
    connections: usize,
    wanted: u16,
    limit: impl Fn(u64, Duration) -> bool + Sync,
    request: impl Fn(u64) -> Vec<u8> + Sync,
) -> Result<Rate> {
    let next = AtomicU64::new(0);
    let done = AtomicU64::new(0);
    let failed = AtomicBool::new(false);
    let start = Instant::now();
    let worker = || -> Result<()> {
        let mut connection = Connection::open(address)?;
        while !failed.load(Ordering::Relaxed) {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if limit(number, start.elapsed()) {
                break;
            }
            let (status, body) = connection.exchange(&request(number))?;
            if status != wanted {
                let shown = String::from_utf8_lossy(&body[..body.len().min(500)]).into_owned();
                bail!("expected {wanted}, got {status}: {shown}");
            }
            done.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..connections)
            .map(|_| {
                scope.spawn(|| {
                    let result = worker();
                    if result.is_err() {
                        failed.store(true, Ordering::Relaxed);
                    }
                    result
                })
            })
            .collect();
        running.into_iter().try_for_each(|thread| match thread.join() {
            Ok(result) => result,
            Err(_) => bail!("a generator's thread panicked"),
        })
    })?;
    Ok(Rate { requests: done.load(Ordering::Relaxed), elapsed: start.elapsed() })
}

/// The times of `count` single exchanges, one after the other, sorted.
pub fn latencies(
    address: SocketAddr,
    count: usize,
    wanted: u16,
    request: impl Fn(usize) -> Vec<u8>,
) -> Result<Vec<Duration>> {
    let mut connection = Connection::open(address)?;
    let mut times = Vec::with_capacity(count);
    for number in 0..count {
        let request = request(number);
        let start = Instant::now();
        let (status, body) = connection.exchange(&request)?;
        times.push(start.elapsed());
        if status != wanted {
            bail!("expected {wanted}, got {status}: {}", String::from_utf8_lossy(&body[..body.len().min(500)]));
        }
    }
    times.sort();
    Ok(times)
}

/// A quantile of sorted times, in milliseconds: 0.5 is the median.
pub fn quantile_ms(sorted: &[Duration], quantile: f64) -> f64 {
    if sorted.is_empty() {
        return f64::NAN;
    }
    let place = ((sorted.len() as f64 * quantile).ceil() as usize).clamp(1, sorted.len());
    sorted[place - 1].as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_the_nearest_rank() {
        let times: Vec<Duration> = (1..=100).map(Duration::from_millis).collect();
        assert_eq!(
            (quantile_ms(&times, 0.5), quantile_ms(&times, 0.99), quantile_ms(&times, 1.0)),
            (50.0, 99.0, 100.0)
        );
    }
}
