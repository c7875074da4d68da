//! What is spoken with a proxy until the connection is the server's: SOCKS 5, or the method CONNECT.
//!
//! Nothing is read beyond the proxy's answer: a mail server speaks first, and its greeting may arrive with that answer.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_socks::Error as SocksError;
use tokio_socks::tcp::Socks5Stream;

/// The longest head of an answer to CONNECT.
const HEAD_BYTES: usize = 8 << 10;

/// Why there is no connection. The texts are for people, and hold nothing of the proxy's address or credentials.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Failed {
    /// The proxy does not work, or not with these credentials.
    Proxy(String),
    /// The proxy works and did not reach the server.
    Server(String),
}

fn proxy(why: &str) -> Failed {
    Failed::Proxy(why.to_owned())
}

fn server(why: &str) -> Failed {
    Failed::Server(why.to_owned())
}

const REFUSED: &str = "the proxy refuses the user name or the password";
const ASKS: &str = "the proxy asks for a user name and a password";
const FOREIGN: &str = "what answers at the proxy's address does not speak the proxy's protocol";

fn broke(error: &std::io::Error) -> Failed {
    Failed::Proxy(format!("the proxy ended the connection: {}", error.kind()))
}

/// A connection by SOCKS 5. A host that is not an address is given by its name.
pub(super) async fn socks(
    tcp: TcpStream,
    login: Option<(&str, &str)>,
    host: &str,
    port: u16,
) -> Result<TcpStream, Failed> {
    let target = (host, port);
    let made = match login {
        None => Socks5Stream::connect_with_socket(tcp, target).await,
        Some((user, password)) => Socks5Stream::connect_with_password_and_socket(tcp, target, user, password).await,
    };
    made.map(Socks5Stream::into_inner).map_err(|error| socks_failed(&error, login.is_some()))
}

fn socks_failed(error: &SocksError, with_login: bool) -> Failed {
    match error {
        SocksError::Io(error) => broke(error),
        SocksError::PasswordAuthFailure(_) => proxy(REFUSED),
        SocksError::NoAcceptableAuthMethods | SocksError::AuthorizationRequired if with_login => {
            proxy("the proxy does not take a user name and a password")
        }
        SocksError::NoAcceptableAuthMethods | SocksError::AuthorizationRequired => proxy(ASKS),
        SocksError::AddressTypeNotSupported => proxy("the proxy does not resolve names"),
        SocksError::CommandNotSupported => proxy("the proxy does not make connections"),
        SocksError::ConnectionNotAllowedByRuleset => server("the proxy does not allow a connection to this server"),
        SocksError::ConnectionRefused => server("the proxy does not reach the server: connection refused"),
        SocksError::HostUnreachable => server("the proxy does not reach the server: no such host"),
        SocksError::NetworkUnreachable => server("the proxy does not reach the server: its network is not reachable"),
        SocksError::TtlExpired | SocksError::GeneralSocksServerFailure | SocksError::UnknownAuthMethod => {
            server("the proxy does not reach the server")
        }
        SocksError::InvalidTargetAddress(_) => server("the server's name is too long for the proxy"),
        _ => proxy(FOREIGN),
    }
}

/// A connection by CONNECT.
pub(super) async fn connect(
    mut tcp: TcpStream,
    login: Option<(&str, &str)>,
    host: &str,
    port: u16,
) -> Result<TcpStream, Failed> {
    let authority = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    let credentials = login.map(|(user, password)| STANDARD.encode(format!("{user}:{password}")));
    let credentials = credentials.map(|text| format!("Proxy-Authorization: Basic {text}\r\n")).unwrap_or_default();
    let request = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n{credentials}\r\n");
    tcp.write_all(request.as_bytes()).await.map_err(|e| broke(&e))?;
    loop {
        match answer(&mut tcp).await? {
            // An interim answer: the real one follows.
            100..=199 => {}
            200..=299 => return Ok(tcp),
            407 if login.is_some() => return Err(proxy(REFUSED)),
            407 => return Err(proxy(ASKS)),
            403 => return Err(server("the proxy does not allow a connection to this server")),
            405 | 501 => return Err(proxy("the proxy does not make connections (CONNECT)")),
            status => {
                return Err(Failed::Server(format!("the proxy does not reach the server (it answered {status})")));
            }
        }
    }
}

/// The status of an answer. Its head is read byte by byte, because what follows is the server's.
async fn answer(tcp: &mut TcpStream) -> Result<u16, Failed> {
    let mut head = Vec::with_capacity(256);
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() == HEAD_BYTES {
            return Err(proxy(FOREIGN));
        }
        head.push(tcp.read_u8().await.map_err(|e| broke(&e))?);
    }
    status(&head).ok_or_else(|| proxy(FOREIGN))
}

fn status(head: &[u8]) -> Option<u16> {
    let line = head.split(|b| *b == b'\r').next()?;
    let line = std::str::from_utf8(line).ok()?;
    let rest = line.strip_prefix("HTTP/1.1 ").or_else(|| line.strip_prefix("HTTP/1.0 "))?;
    let digits = rest.split(' ').next().filter(|digits| digits.len() == 3)?;
    digits.parse().ok().filter(|status| (100..=599).contains(status))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_read_from_the_first_line_only() {
        for (head, expected) in [
            ("HTTP/1.1 200 Connection established\r\n\r\n", Some(200)),
            ("HTTP/1.0 407\r\nx: HTTP/1.1 200 OK\r\n\r\n", Some(407)),
            ("HTTP/1.1 2000 OK\r\n\r\n", None),
            ("HTTP/1.1 099 x\r\n\r\n", None),
            ("HTTP/2 200\r\n\r\n", None),
            ("SSH-2.0-x\r\n\r\n", None),
            ("", None),
        ] {
            assert_eq!(status(head.as_bytes()), expected, "{head}");
        }
    }

    #[test]
    fn a_proxy_that_fails_is_told_from_a_server_that_does() {
        assert_eq!(socks_failed(&SocksError::PasswordAuthFailure(1), true), proxy(REFUSED));
        assert_eq!(socks_failed(&SocksError::NoAcceptableAuthMethods, false), proxy(ASKS));
        assert!(matches!(socks_failed(&SocksError::NoAcceptableAuthMethods, true), Failed::Proxy(_)));
        assert!(matches!(socks_failed(&SocksError::HostUnreachable, false), Failed::Server(_)));
        assert!(matches!(socks_failed(&SocksError::ConnectionNotAllowedByRuleset, false), Failed::Server(_)));
        assert_eq!(socks_failed(&SocksError::InvalidResponseVersion, false), proxy(FOREIGN));
    }
}
