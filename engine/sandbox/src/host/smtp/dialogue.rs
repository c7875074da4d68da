//! The dialogue with a server, from the connection to the answer after the content, and how far it came.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use lettre::Address;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, AsyncTokioStream, Certificate, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt, Rset};
use lettre::transport::smtp::extension::{ClientId, Extension, MailBodyParameter, MailParameter};
use lettre::transport::smtp::response::Response;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::body::{Part, Pieces};
use super::pool::{Key, Pool, Pooled};
use super::progress::Progress;
use super::target::Target;
use crate::bindings::host::smtp::{Reply, Security, Stage};
use crate::host::network;
use crate::host::tcp::Unreachable;
use crate::limits::{REASON_BYTES, cut};

/// Why a submission ended without an acceptance.
#[derive(Debug)]
pub(super) enum Failed {
    /// The server refused the message.
    Rejected(Reply),
    /// The request cannot be carried out as it is.
    Invalid(String),
    /// The connection broke or time ran out; [`Progress`] says where.
    Broke(String),
}

/// Everything that one submission needs.
pub(super) struct Submission {
    pub(super) target: Target,
    pub(super) sender: Option<Address>,
    pub(super) recipients: Vec<Address>,
    pub(super) parts: Vec<Part>,
    pub(super) progress: Arc<Progress>,
}

impl Submission {
    /// Submits the message, by a kept connection if there is one.
    pub(super) async fn run(self, pool: &Pool, total: Duration) -> Result<Reply, Failed> {
        let progress = self.progress.clone();
        let result = tokio::time::timeout(total, self.dialogue(pool)).await;
        result.unwrap_or_else(|_| Err(Failed::Broke(format!("no answer in time ({})", named(progress.stage())))))
    }

    async fn dialogue(mut self, pool: &Pool) -> Result<Reply, Failed> {
        let key = Key::of(&self.target);
        loop {
            let kept = pool.take(&key);
            let reused = kept.is_some();
            let mut pooled = match kept {
                Some(pooled) => pooled,
                None => connect(&self.target, &self.progress).await?,
            };
            match self.send(&mut pooled).await {
                Ok(reply) => {
                    pool.give_back(key, pooled);
                    return Ok(reply);
                }
                // A kept connection may have been ended by the server in the meantime: that is not an answer to this message.
                Err(failed) if reused && self.progress.stage() == Stage::Sender && is_goodbye(&failed) => continue,
                Err(Failed::Rejected(reply)) => {
                    let reset = tokio::time::timeout(self.target.step, pooled.connection.command(Rset)).await;
                    if reply.code != 421 && matches!(reset, Ok(Ok(_))) {
                        pool.give_back(key, pooled);
                    }
                    return Err(Failed::Rejected(reply));
                }
                Err(failed) => return Err(failed),
            }
        }
    }

    async fn send(&mut self, pooled: &mut Pooled) -> Result<Reply, Failed> {
        let Pooled { connection, spoiled, .. } = pooled;
        let (step, progress) = (self.target.step, self.progress.clone());
        let mut parameters = Vec::new();
        let server = connection.server_info();
        let ascii = |a: &Address| a.to_string().is_ascii();
        if !self.recipients.iter().chain(&self.sender).all(ascii) {
            if !server.supports_feature(Extension::SmtpUtfEight) {
                return Err(Failed::Invalid("this server takes addresses in ASCII only".to_owned()));
            }
            parameters.push(MailParameter::SmtpUtfEight);
        }
        if self.parts.iter().any(|p| matches!(p, Part::Bytes(b) if !b.is_ascii())) {
            if !server.supports_feature(Extension::EightBitMime) {
                return Err(Failed::Invalid("this server takes messages in ASCII only".to_owned()));
            }
            parameters.push(MailParameter::Body(MailBodyParameter::EightBitMime));
        }

        progress.enter(Stage::Sender);
        answer(step, &progress, connection.command(Mail::new(self.sender.clone(), parameters))).await?;
        progress.enter(Stage::Recipient);
        for recipient in &self.recipients {
            answer(step, &progress, connection.command(Rcpt::new(recipient.clone(), Vec::new()))).await?;
        }
        progress.enter(Stage::Data);
        answer(step, &progress, connection.command(Data)).await?;
        progress.enter(Stage::Content);
        let pieces = Pieces::new(std::mem::take(&mut self.parts), progress.clone());
        // The stream under this connection looks here before it writes.
        let watched = Spoiling { from: progress.spoiled(), to: spoiled.clone() };
        let content = connection.message_iter(pieces);
        let response = unless_stalled(step, &progress, watched.during(content)).await?;
        Ok(reply(Stage::Content, &response))
    }
}

/// Carries the mark of a spoiled message to the connection's stream while the content is written.
struct Spoiling {
    from: Arc<AtomicBool>,
    to: Arc<parking_lot::Mutex<Option<Arc<AtomicBool>>>>,
}

impl Spoiling {
    async fn during<F: Future>(self, content: F) -> F::Output {
        *self.to.lock() = Some(self.from.clone());
        let output = content.await;
        // A connection that was spoiled is never given back, so a mark left behind by a drop does no harm.
        *self.to.lock() = None;
        output
    }
}

fn is_goodbye(failed: &Failed) -> bool {
    match failed {
        Failed::Rejected(reply) => reply.code == 421,
        Failed::Broke(_) => true,
        Failed::Invalid(_) => false,
    }
}

fn named(stage: Stage) -> &'static str {
    match stage {
        Stage::Connect => "connecting",
        Stage::Tls => "TLS",
        Stage::Login => "login",
        Stage::Sender => "MAIL FROM",
        Stage::Recipient => "RCPT TO",
        Stage::Data => "DATA",
        Stage::Content => "the message",
    }
}

/// The enhanced status code (RFC 3463) at the beginning of a reply's text, and the rest.
fn enhanced(text: &str) -> (Option<String>, &str) {
    let (first, rest) = text.split_once(' ').unwrap_or((text, ""));
    let parts: Vec<&str> = first.split('.').collect();
    let number = |p: &&str| !p.is_empty() && p.len() <= 3 && p.bytes().all(|b| b.is_ascii_digit());
    if parts.len() == 3 && matches!(parts[0], "2" | "4" | "5") && parts.iter().all(number) {
        (Some(first.to_owned()), rest)
    } else {
        (None, text)
    }
}

fn reply_of(stage: Stage, code: u16, text: &str) -> Reply {
    let text = cut(text.trim(), REASON_BYTES);
    let (enhanced, rest) = enhanced(&text);
    Reply { stage, code, enhanced, text: rest.trim().to_owned() }
}

fn reply(stage: Stage, response: &Response) -> Reply {
    let text: Vec<&str> = response.message().collect();
    reply_of(stage, response.code().into(), &text.join(" "))
}

fn failed(stage: Stage, error: &lettre::transport::smtp::Error) -> Failed {
    let words = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    match error.status() {
        Some(code) => Failed::Rejected(reply_of(stage, code.into(), &words)),
        None if error.is_client() => Failed::Broke(format!("{} ({})", cut(&words, 200), named(stage))),
        None => Failed::Broke(format!("the connection broke: {} ({})", cut(&words, 200), named(stage))),
    }
}

async fn answer<R>(
    step: Duration,
    progress: &Progress,
    command: impl Future<Output = Result<R, lettre::transport::smtp::Error>>,
) -> Result<R, Failed> {
    match tokio::time::timeout(step, command).await {
        Ok(result) => result.map_err(|e| failed(progress.stage(), &e)),
        Err(_) => Err(Failed::Broke(format!("no answer in time ({})", named(progress.stage())))),
    }
}

/// Like [`answer`], but as long as pieces go out, the time begins again.
async fn unless_stalled(
    step: Duration,
    progress: &Progress,
    content: impl Future<Output = Result<Response, lettre::transport::smtp::Error>>,
) -> Result<Response, Failed> {
    let mut content = pin!(content);
    let mut seen = progress.pieces();
    loop {
        match tokio::time::timeout(step, &mut content).await {
            Ok(result) => return result.map_err(|e| failed(Stage::Content, &e)),
            Err(_) => {
                let now = progress.pieces();
                if now == seen {
                    return Err(Failed::Broke("no answer in time (the message)".to_owned()));
                }
                seen = now;
            }
        }
    }
}

async fn connect(target: &Target, progress: &Progress) -> Result<Pooled, Failed> {
    progress.enter(Stage::Connect);
    let tcp = target.route.connect(target.step).await.map_err(|e| match e {
        Unreachable::Forbidden => Failed::Broke("the server's address is not allowed".to_owned()),
        Unreachable::Failed(why) => Failed::Broke(why),
    })?;
    let spoiled = Arc::new(parking_lot::Mutex::new(None));
    let peer = tcp.peer_addr().map_err(|e| Failed::Broke(format!("the connection broke: {e}")))?;
    let wire = |stream| Box::new(Wire { stream, peer, spoiled: spoiled.clone() });
    let hello = ClientId::default();
    let step = target.step;
    let mut connection = match target.security {
        Security::Tls => {
            progress.enter(Stage::Tls);
            let extra = authorities(target)?;
            let config = network::tls(extra).map_err(|e| Failed::Invalid(format!("tlsCa: {e}")))?;
            let name = ServerName::try_from(target.host.clone())
                .map_err(|_| Failed::Invalid("the server's name cannot be used with TLS".to_owned()))?;
            let handshake = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, tcp);
            let tls = match tokio::time::timeout(step, handshake).await {
                Ok(Ok(tls)) => tls,
                Ok(Err(e)) => return Err(Failed::Broke(format!("TLS: {}", cut(&e.to_string(), 200)))),
                Err(_) => return Err(Failed::Broke("no answer in time (TLS)".to_owned())),
            };
            let greeting = AsyncSmtpConnection::connect_with_transport(wire(AnyStream::Tls(Box::new(tls))), &hello);
            progress.enter(Stage::Connect);
            answer(step, progress, greeting).await?
        }
        Security::Starttls | Security::None => {
            let greeting = AsyncSmtpConnection::connect_with_transport(wire(AnyStream::Plain(tcp)), &hello);
            let mut connection = answer(step, progress, greeting).await?;
            if target.security == Security::Starttls {
                progress.enter(Stage::Tls);
                let mut parameters = TlsParameters::builder(target.host.clone());
                if let Some(pem) = &target.extra_ca {
                    let authority = Certificate::from_pem(pem.as_bytes())
                        .map_err(|_| Failed::Invalid("tlsCa: is not a PEM certificate".to_owned()))?;
                    parameters = parameters.add_root_certificate(authority);
                }
                let parameters = parameters.build().map_err(|e| Failed::Invalid(format!("tlsCa: {e}")))?;
                answer(step, progress, connection.starttls(parameters, &hello)).await?;
            }
            connection
        }
    };
    if let Some(login) = &target.login {
        progress.enter(Stage::Login);
        let credentials = Credentials::new(login.username.clone(), login.password.clone());
        answer(step, progress, connection.auth(&[Mechanism::Plain, Mechanism::Login], &credentials)).await?;
    }
    Ok(Pooled::new(connection, spoiled))
}

fn authorities(target: &Target) -> Result<Vec<CertificateDer<'static>>, Failed> {
    let Some(pem) = &target.extra_ca else { return Ok(Vec::new()) };
    CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|_| Failed::Invalid("tlsCa: is not a PEM certificate".to_owned()))
}

enum AnyStream {
    Plain(tokio::net::TcpStream),
    Tls(Box<tokio_rustls::client::TlsStream<tokio::net::TcpStream>>),
}

/// The stream under a connection: refuses to write once the message being written is spoiled.
struct Wire {
    stream: AnyStream,
    peer: SocketAddr,
    spoiled: Arc<parking_lot::Mutex<Option<Arc<AtomicBool>>>>,
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wire")
    }
}

impl AsyncTokioStream for Wire {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.peer)
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            AnyStream::Plain(s) => Pin::new(s).poll_read(cx, buf),
            AnyStream::Tls(s) => Pin::new(s).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.spoiled.lock().as_ref().is_some_and(|s| s.load(SeqCst)) {
            return Poll::Ready(Err(io::Error::other("an attachment cannot be read")));
        }
        match &mut self.stream {
            AnyStream::Plain(s) => Pin::new(s).poll_write(cx, buf),
            AnyStream::Tls(s) => Pin::new(s).poll_write(cx, buf),
        }
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            AnyStream::Plain(s) => Pin::new(s).poll_flush(cx),
            AnyStream::Tls(s) => Pin::new(s).poll_flush(cx),
        }
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            AnyStream::Plain(s) => Pin::new(s).poll_shutdown(cx),
            AnyStream::Tls(s) => Pin::new(s).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn enhanced_codes_are_told_from_words() {
        for (text, code, rest) in [
            ("5.1.1 no such user", Some("5.1.1"), "no such user"),
            ("2.0.0", Some("2.0.0"), ""),
            ("Ok: queued as 1.2.3", None, "Ok: queued as 1.2.3"),
            ("5.1 no", None, "5.1 no"),
            ("9.1.1 no", None, "9.1.1 no"),
            ("5.1.1234 no", None, "5.1.1234 no"),
            ("", None, ""),
        ] {
            assert_eq!(enhanced(text), (code.map(str::to_owned), rest), "{text}");
        }
    }
}
