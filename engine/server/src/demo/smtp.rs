//! The demo's SMTP server: the `mailin` library's state machine over a socket, which stores into the mailbox. Loopback only, no
//! TLS, accepts every recipient. Never use it in production.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use mailin::{Action, Handler, Response, Session, SessionBuilder, response};
use pombo_domain::ports::Clock;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::mailbox::{Envelope, Mailbox};

/// Maximum size of a message in bytes: the largest attachment in base64, and its texts.
const LARGEST_MESSAGE: usize = 128 * 1024 * 1024;
const LONGEST_LINE: u64 = 1024 * 1024;
const IDLE: Duration = Duration::from_secs(120);
const SESSIONS: usize = 64;

/// Serves until the process ends.
pub(super) async fn serve(listener: TcpListener, mailbox: Arc<Mailbox>, clock: Arc<dyn Clock>) {
    let places = Arc::new(Semaphore::new(SESSIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((socket, peer)) => {
                let receiver = Receiver {
                    mailbox: Arc::clone(&mailbox),
                    clock: Arc::clone(&clock),
                    envelope: Envelope::default(),
                    raw: Vec::new(),
                    too_large: false,
                };
                tokio::spawn(async move {
                    if let Err(error) = session(socket, peer, receiver).await {
                        tracing::debug!(%error, "a mailbox session was interrupted");
                    }
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "the demo's mailbox cannot accept connections");
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    }
}

async fn session(socket: TcpStream, peer: SocketAddr, receiver: Receiver) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let (read, mut write) = socket.into_split();
    let mut read = BufReader::with_capacity(64 * 1024, read);
    let mut session: Session<Receiver> = SessionBuilder::new("pombo-demo").build(peer.ip(), receiver);
    write.write_all(&session.greeting().buffer()?).await?;
    let mut line = Vec::new();
    loop {
        line.clear();
        let mut bounded = (&mut read).take(LONGEST_LINE);
        let length = tokio::time::timeout(IDLE, bounded.read_until(b'\n', &mut line)).await??;
        if length == 0 || !line.ends_with(b"\n") {
            return Ok(());
        }
        let answer = session.process(&line);
        if answer.action != Action::NoReply {
            write.write_all(&answer.buffer()?).await?;
        }
        if answer.action == Action::Close {
            return Ok(());
        }
    }
}

/// Receives one message.
struct Receiver {
    mailbox: Arc<Mailbox>,
    clock: Arc<dyn Clock>,
    envelope: Envelope,
    raw: Vec<u8>,
    too_large: bool,
}

impl Handler for Receiver {
    fn mail(&mut self, _ip: IpAddr, _domain: &str, from: &str) -> Response {
        self.envelope = Envelope { from: from.to_owned(), to: Vec::new() };
        response::OK
    }

    fn data_start(&mut self, _domain: &str, from: &str, _is8bit: bool, to: &[String]) -> Response {
        self.envelope = Envelope { from: from.to_owned(), to: to.to_vec() };
        self.raw.clear();
        self.too_large = false;
        response::OK
    }

    fn data(&mut self, bytes: &[u8]) -> io::Result<()> {
        // The rest is read and dropped: an answer is due at the end of the content only.
        self.too_large |= self.raw.len() + bytes.len() > LARGEST_MESSAGE;
        if !self.too_large {
            self.raw.extend_from_slice(bytes);
        }
        Ok(())
    }

    fn data_end(&mut self) -> Response {
        let raw = std::mem::take(&mut self.raw);
        if self.too_large {
            return response::NO_STORAGE;
        }
        match self.mailbox.keep(self.clock.now(), std::mem::take(&mut self.envelope), &raw) {
            Ok(_) => response::OK,
            Err(error) => {
                tracing::warn!(%error, "the demo's mailbox cannot store a mail");
                response::OUT_OF_SPACE
            }
        }
    }
}
