//! The listening side of HTTP: connections, their limits in time, size and number, and their graceful end. What is answered
//! is the API crate's; this module must not know a path beyond telling facades apart in the metrics.
//!
//! HTTP/1.1 only: TLS and HTTP/2 are the reverse proxy's, and the limits below then hold for every connection.

mod client_address;
mod listener;
mod request_body;
mod run_to_end;
mod stall;
#[cfg(test)]
mod tests;

pub(crate) use client_address::TrustedProxies;
pub(crate) use listener::{Limits, Listener};
