//! The page from which clients of the web learn the current version, and the versions that the server accepts. The page is served on
//! the websocket's port, because the real service has both on one host.
//!
//! It owns two numbers that tests change; no task of its own. A connection's task asks it before anything else.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use waproto::whatsapp as wa;

/// The last part of the version that the page tells until a test changes it.
pub const CURRENT: u32 = 1_045_649_367;

/// The reason of the `<failure>` that a client gets whose version is not accepted.
pub(crate) const OUTDATED: u16 = 405;

/// The first bytes of a request for the page.
const ASKED: &[u8] = b"GET /sw.js ";

/// Bytes of a request's head; a longer one is not read to its end.
const HEAD: usize = 16 * 1024;

/// The page and the floor. Both are the last part of a version `2.3000.x`.
pub struct WebVersion {
    /// What the page tells; 0 while the page fails.
    served: AtomicU32,
    /// The least version that is accepted; 0 accepts each.
    floor: AtomicU32,
    reads: AtomicU64,
    refused: watch::Sender<u64>,
}

impl Default for WebVersion {
    fn default() -> Self {
        Self {
            served: AtomicU32::new(CURRENT),
            floor: AtomicU32::new(0),
            reads: AtomicU64::new(0),
            refused: watch::channel(0).0,
        }
    }
}

/// What a test changes. What is absent stays as it is.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wish {
    /// What the page tells; 0: the page answers 503.
    served: Option<u32>,
    /// The least version that is accepted.
    floor: Option<u32>,
}

impl WebVersion {
    /// Changes what the page tells; 0: it answers 503.
    pub fn serve(&self, version: u32) {
        self.served.store(version, Relaxed);
    }

    /// Changes the least version that is accepted; clients that are logged in stay.
    pub fn accept_from(&self, version: u32) {
        self.floor.store(version, Relaxed);
    }

    /// How often the page was read.
    pub fn reads(&self) -> u64 {
        self.reads.load(Relaxed)
    }

    /// How many connections were refused for their version.
    pub fn refused(&self) -> u64 {
        *self.refused.borrow()
    }

    /// Waits until at least so many connections were refused for their version.
    pub async fn has_refused(&self, times: u64) {
        let mut refused = self.refused.subscribe();
        // The sender is this value's own.
        let _ = refused.wait_for(|refused| *refused >= times).await;
    }

    /// What a test changes by HTTP; the answer is [`show`](Self::show).
    pub(crate) fn change(&self, wish: &Wish) -> Value {
        if let Some(served) = wish.served {
            self.serve(served);
        }
        if let Some(floor) = wish.floor {
            self.accept_from(floor);
        }
        self.show()
    }

    /// The numbers, for tests and people.
    pub(crate) fn show(&self) -> Value {
        json!({
            "served": self.served.load(Relaxed),
            "floor": self.floor.load(Relaxed),
            "reads": self.reads(),
            "refused": self.refused(),
        })
    }

    /// Whether a client of this version is refused; counts it if so.
    pub(crate) fn refuses(&self, payload: &wa::ClientPayload) -> bool {
        let old = payload.user_agent.app_version.tertiary.unwrap_or(0) < self.floor.load(Relaxed);
        if old {
            self.refused.send_modify(|refused| *refused += 1);
        }
        old
    }

    /// Answers a request for the page; `false` if the connection asks for something else, of which nothing is read.
    pub(crate) async fn answers(&self, stream: &mut TcpStream) -> std::io::Result<bool> {
        let mut first = [0; ASKED.len()];
        if stream.peek(&mut first).await? < ASKED.len() || first != ASKED {
            return Ok(false);
        }
        let mut head = Vec::new();
        let mut piece = [0; 1024];
        while !head.windows(4).any(|window| window == b"\r\n\r\n") && head.len() < HEAD {
            match stream.read(&mut piece).await? {
                0 => break,
                read => head.extend_from_slice(&piece[..read]),
            }
        }
        self.reads.fetch_add(1, Relaxed);
        let (status, body) = match self.served.load(Relaxed) {
            0 => ("503 Service Unavailable", "unavailable".to_owned()),
            version => ("200 OK", page(version)),
        };
        let answer = format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/javascript\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(answer.as_bytes()).await?;
        stream.shutdown().await?;
        Ok(true)
    }
}

/// The part of the real page that tells the version, in the form in which it is written there.
fn page(version: u32) -> String {
    format!(
        r#"/*FB_PKG_DELIM*/self.__swData=JSON.parse("{{\"dynamic_data\":{{\"SiteData\":{{\"server_revision\":{version},\"client_revision\":{version},\"push_phase\":\"C3\"}}}}}}");"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(version: u32) -> wa::ClientPayload {
        let app_version = wa::client_payload::user_agent::AppVersion { tertiary: Some(version), ..Default::default() };
        let user_agent =
            wa::client_payload::UserAgent { app_version: buffa::MessageField::some(app_version), ..Default::default() };
        wa::ClientPayload { user_agent: buffa::MessageField::some(user_agent), ..Default::default() }
    }

    #[test]
    fn the_page_tells_the_version_where_clients_look_for_it() {
        assert_eq!(wacore::version::parse_sw_js(&page(CURRENT)), Some((2, 3000, CURRENT)));
    }

    #[test]
    fn a_version_below_the_floor_is_refused_and_counted() {
        let web = WebVersion::default();
        assert!(!web.refuses(&payload(1)) && !web.refuses(&wa::ClientPayload::default()));
        web.accept_from(10);
        assert!(web.refuses(&payload(9)) && web.refuses(&wa::ClientPayload::default()));
        assert!(!web.refuses(&payload(10)));
        assert_eq!(web.refused(), 2);
    }
}
