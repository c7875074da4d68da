//! The server's side of the wire: Noise handshake, frames, nodes. Knows no world; used by a session's task.

mod handshake;
mod link;

pub use handshake::{ClientHello, HandshakeError, ServerIdentity};
pub use link::{Link, LinkError, SealedLink};
