//! The listening side of HTTP: connections, their limits in time, size and number, and their graceful end. The API crate answers
//! the requests; this module must not know any path, except to tell facades apart in the metrics.
//!
//! HTTP/1.1 only: the reverse proxy adds TLS and HTTP/2, and so the limits below hold for every connection.

mod client_address;
mod listener;
mod request_body;
mod run_to_end;
mod stall;
#[cfg(test)]
mod tests;

pub(crate) use client_address::TrustedProxies;
pub(crate) use listener::{Limits, Listener};
