//! The HTTP facades over the domain's commands: each parses, calls one command and maps the answer.
//!
//! Layout
//! - [`sendsync`]: the documented queue API, with its own wire types and OpenAPI document.
//! - [`control`]: the engine's own API. [`spreadsheet`]: the template of messages and its reader.
//! - [`auth`]: credentials in a request → whose they are. [`error`]: failures, and the statuses an operation declares.
//!   [`facade`]: the endpoint around each facade (request id, JSON for every error, panics). [`body`]: bodies within limits.
//!   [`json`]: JSON in and out by serde_json. [`fields`]: JSON fields that remember what is wrong with them. [`declared`],
//!   [`document`]: what the OpenAPI documents say. [`media_links`]: signed links to files. [`hook_links`]: automations'
//!   webhooks. [`qr`]: a text as a picture to scan.
//! - [`app`]: puts the facades together, by path and by host. [`docs`]: the documentation page.
//!
//! Facades never import each other: a field renamed in one touches no other. This crate must not know how anything is stored,
//! sent or rendered. Everything here runs on the task of the request.

pub mod app;
pub mod auth;
pub mod body;
pub mod control;
pub mod declared;
pub mod docs;
pub mod document;
pub mod error;
pub mod facade;
pub mod fields;
pub mod hook_links;
pub mod json;
pub mod media_links;
pub mod options;
pub mod qr;
pub mod sendsync;
pub mod spreadsheet;
#[cfg(test)]
mod testing;

pub use app::{Services, application};
pub use options::{ApiOptions, ApiState, Limits};
