//! One websocket that carries frames: first in the clear for the handshake, then encrypted nodes.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::{WebSocketStream, tungstenite::Message};
use wacore_binary::{Node, OwnedNodeRef, consts::WA_CONN_HEADER};
use wacore_noise::{
    NoiseCipher,
    framing::{FrameDecoder, append_frame_into, encode_frame},
};

/// How long a client has to close its end after the server's goodbye.
const FAREWELL: Duration = Duration::from_secs(2);

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The other side left.
    #[error("the client left")]
    Closed,
    /// The socket broke.
    #[error("websocket: {0}")]
    Socket(#[from] tokio_tungstenite::tungstenite::Error),
    /// What came is not the protocol.
    #[error("not the protocol: {0}")]
    Protocol(String),
}

/// A connection before its handshake is done.
pub struct Link {
    socket: WebSocketStream<TcpStream>,
    decoder: FrameDecoder,
    /// The bytes before the first frame: routing information and the header.
    intro: Option<BytesMut>,
    /// What the client said about its route.
    routing: Option<Bytes>,
}

impl Link {
    /// A fresh connection.
    pub fn new(socket: WebSocketStream<TcpStream>) -> Self {
        Self { socket, decoder: FrameDecoder::new(), intro: Some(BytesMut::new()), routing: None }
    }

    /// What the client said about its route before its first frame: what a server told it earlier.
    pub fn routing(&self) -> Option<&Bytes> {
        self.routing.as_ref()
    }

    /// The next frame in the clear.
    pub async fn frame(&mut self) -> Result<BytesMut, LinkError> {
        loop {
            if self.intro.is_none()
                && let Some(frame) = self.decoder.decode_frame()
            {
                return Ok(frame);
            }
            let bytes = receive(&mut self.socket).await?;
            match &mut self.intro {
                None => self.decoder.feed(&bytes),
                Some(intro) => {
                    intro.extend_from_slice(&bytes);
                    if let Some(skip) = intro_length(intro)? {
                        let rest = intro.split_off(skip);
                        let routing = intro.get(ROUTING_HEADER..skip - WA_CONN_HEADER.len());
                        self.routing = routing.filter(|bytes| !bytes.is_empty()).map(Bytes::copy_from_slice);
                        self.decoder.feed(&rest);
                        self.intro = None;
                    }
                }
            }
        }
    }

    /// Sends a frame in the clear.
    pub async fn send(&mut self, payload: &[u8]) -> Result<(), LinkError> {
        let frame = encode_frame(payload, None).map_err(|e| LinkError::Protocol(e.to_string()))?;
        Ok(self.socket.send(Message::Binary(frame.into())).await?)
    }

    /// The handshake is done: from here on everything is encrypted.
    pub fn seal(self, write: NoiseCipher, read: NoiseCipher) -> SealedLink {
        SealedLink {
            socket: self.socket,
            decoder: self.decoder,
            write,
            read,
            written: 0,
            read_count: 0,
            plain: Vec::new(),
            out: Vec::new(),
        }
    }
}

/// A connection after its handshake.
pub struct SealedLink {
    socket: WebSocketStream<TcpStream>,
    decoder: FrameDecoder,
    write: NoiseCipher,
    read: NoiseCipher,
    written: u32,
    read_count: u32,
    plain: Vec<u8>,
    out: Vec<u8>,
}

impl SealedLink {
    /// The next node. Safe to drop: nothing received is lost.
    pub async fn node(&mut self) -> Result<Node, LinkError> {
        loop {
            if let Some(mut frame) = self.decoder.decode_frame() {
                self.read
                    .decrypt_in_place_with_counter(self.read_count, &mut frame)
                    .map_err(|e| LinkError::Protocol(format!("a frame cannot be decrypted: {e}")))?;
                self.read_count += 1;
                let plain = wacore_binary::util::unpack_bytes(frame).map_err(|e| LinkError::Protocol(e.to_string()))?;
                let node = OwnedNodeRef::new(plain).map_err(|e| LinkError::Protocol(e.to_string()))?;
                return Ok(node.to_owned_node());
            }
            let bytes = receive(&mut self.socket).await?;
            self.decoder.feed(&bytes);
        }
    }

    /// Puts a node into the next write.
    pub fn queue(&mut self, node: &Node) -> Result<(), LinkError> {
        self.plain.clear();
        wacore_binary::marshal_to_vec(node, &mut self.plain).map_err(|e| LinkError::Protocol(e.to_string()))?;
        self.write
            .encrypt_in_place_with_counter(self.written, &mut self.plain)
            .map_err(|e| LinkError::Protocol(e.to_string()))?;
        self.written += 1;
        append_frame_into(&self.plain, None, &mut self.out).map_err(|e| LinkError::Protocol(e.to_string()))
    }

    /// Writes what was queued, as one message.
    pub async fn flush(&mut self) -> Result<(), LinkError> {
        if self.out.is_empty() {
            return Ok(());
        }
        let out = std::mem::take(&mut self.out);
        // A large burst must not keep its buffer for the rest of an idle connection's life.
        self.plain.shrink_to(4096);
        Ok(self.socket.send(Message::Binary(out.into())).await?)
    }

    /// Says goodbye to the socket, and reads on until the client does: a client that is writing when the socket is gone never
    /// reads the last stanza. The client may be gone already, and has [`FAREWELL`] to leave.
    pub async fn close(mut self) {
        if let Err(e) = self.socket.close(None).await {
            tracing::trace!(error = %e, "the client closed first");
            return;
        }
        let left = async { while let Some(Ok(_)) = self.socket.next().await {} };
        if tokio::time::timeout(FAREWELL, left).await.is_err() {
            tracing::debug!("a client did not close its end");
        }
    }
}

async fn receive(socket: &mut WebSocketStream<TcpStream>) -> Result<Bytes, LinkError> {
    loop {
        match socket.next().await {
            None | Some(Ok(Message::Close(_))) => return Err(LinkError::Closed),
            Some(Ok(Message::Binary(bytes))) => return Ok(bytes),
            Some(Ok(_)) => {}
            Some(Err(e)) => return Err(e.into()),
        }
    }
}

/// How long the header of routing information is.
const ROUTING_HEADER: usize = 7;

/// How many bytes come before the first frame; `None` while they are not all there.
fn intro_length(bytes: &[u8]) -> Result<Option<usize>, LinkError> {
    const ROUTING: &[u8] = b"ED\x00\x01";
    let mut start = 0;
    if bytes.starts_with(ROUTING) {
        let Some(length) = bytes.get(4..7) else { return Ok(None) };
        start =
            ROUTING_HEADER + ((usize::from(length[0]) << 16) | (usize::from(length[1]) << 8) | usize::from(length[2]));
    } else if ROUTING.starts_with(bytes) {
        return Ok(None);
    }
    let Some(header) = bytes.get(start..start + WA_CONN_HEADER.len()) else { return Ok(None) };
    if header[..2] == WA_CONN_HEADER[..2] {
        Ok(Some(start + WA_CONN_HEADER.len()))
    } else {
        Err(LinkError::Protocol("the connection does not begin with WA".into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_intro_is_skipped_with_and_without_routing() {
        assert_eq!(intro_length(b"").ok(), Some(None));
        assert_eq!(intro_length(&WA_CONN_HEADER[..3]).ok(), Some(None));
        assert_eq!(intro_length(&WA_CONN_HEADER).ok(), Some(Some(4)));
        let routed = [b"ED\x00\x01\x00\x00\x02xy".as_slice(), &WA_CONN_HEADER].concat();
        assert_eq!(intro_length(&routed).ok(), Some(Some(13)));
        assert_eq!(intro_length(&routed[..10]).ok(), Some(None));
        assert!(intro_length(b"GET / HTTP/1.1").is_err());
    }
}
