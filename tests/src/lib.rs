//! The base of the end-to-end tests and the benchmarks: starting the built binary, talking HTTP to it, and the servers
//! that the binary itself talks to (mail, webhooks).
//!
//! It knows only what a user knows about the engine: the command line, the configuration file, and the documented APIs. Nothing
//! here is asynchronous except the simulators of WhatsApp and of Meta's Graph API, which are hidden behind blocking calls. What runs in
//! parallel with a test is a thread or a process, and a process ends with the test at the latest.

pub mod automation;
pub mod campaigns;
pub mod files;
pub mod gateway;
pub mod graph;
pub mod http;
pub mod kills;
pub mod load;
pub mod mail;
pub mod meta;
pub mod network;
pub mod operations;
pub mod pipe;
pub mod process;
pub mod proxy;
pub mod server;
pub mod sse;
pub mod tenant;
pub mod wait;
pub mod webhook;
pub mod whatsapp;
