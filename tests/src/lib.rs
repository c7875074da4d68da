//! What the end-to-end tests and the benchmarks stand on: starting the built binary, talking HTTP to it, and the servers
//! that it talks to itself (mail, webhooks).
//!
//! Knows of the engine only what a user knows: the command line, the configuration file, and the documented APIs. Nothing here is
//! asynchronous but the WhatsApp simulator, which is hidden behind blocking calls. Whatever runs alongside a test is a thread or
//! a process, and a process ends with the test at the latest.

pub mod automation;
pub mod files;
pub mod http;
pub mod load;
pub mod mail;
pub mod operations;
pub mod pipe;
pub mod process;
pub mod server;
pub mod tenant;
pub mod wait;
pub mod webhook;
pub mod whatsapp;
