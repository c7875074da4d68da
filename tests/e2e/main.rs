//! End-to-end tests: the built binary as its users meet it, one module a subject.
//!
//! Most tests share one server and one scripted mail server, each with tenants of its own; those that kill, stop or configure the
//! engine start one for themselves.

mod config;
mod contacts;
mod crash;
mod demo;
mod documents;
mod hostile;
mod idempotency;
mod imports;
mod inputs;
mod isolation;
mod list;
mod media;
mod postfix;
mod queue;
mod rendering;
mod samples;
mod schemathesis;
mod security;
mod shared;
mod smtp;
mod ssrf;
mod stop;
mod webhooks;
