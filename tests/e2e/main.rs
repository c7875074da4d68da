//! End-to-end tests of the built binary, one module per subject.
//!
//! Most tests share one server and one scripted mail server, each test with its own tenants; tests that kill, stop or configure the
//! engine start their own.

mod aidesk;
mod campaigns;
mod compile;
mod config;
mod contacts;
mod crash;
mod demo;
mod documents;
mod equal_texts;
mod gateway;
mod gateway_zapini;
mod hostile;
mod idempotency;
mod imports;
mod inputs;
mod isolation;
mod list;
mod media;
mod own_kinds;
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
mod stream;
mod templates;
mod webhooks;
mod zapini_door;
