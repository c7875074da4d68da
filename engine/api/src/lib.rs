//! What the HTTP facades are made of. Each facade is a separate crate in `engine/facades`: it parses, calls one command and maps the
//! answer. This one holds what they share, and no path or wire type of any of them.
//!
//! Layout
//! - [`auth`]: credentials in a request → whose they are. [`error`]: failures, and the statuses an operation declares.
//!   [`facade`]: the endpoint around each facade (request id, JSON for every error, panics). [`body`]: bodies within limits.
//!   [`json`]: JSON in and out by serde_json. [`fields`]: JSON fields that remember what is wrong with them. [`declared`],
//!   [`document`]: what the OpenAPI documents say. [`media_links`]: signed links to files. [`hook_links`]: automations'
//!   webhooks. [`signals`]: wakes requests that wait for events. [`qr`]: a text as a picture to scan.
//! - [`app`]: puts the facades together, by path and by host. [`docs`]: the documentation page.
//!
//! This crate must not know how anything is stored, sent or rendered. Everything here runs on the task of the request.

pub mod app;
pub mod auth;
pub mod body;
pub mod declared;
pub mod docs;
pub mod document;
pub mod error;
pub mod facade;
pub mod fields;
pub mod hook_links;
pub mod json;
pub mod media_links;
pub mod names;
pub mod options;
pub mod qr;
pub mod signals;

pub use app::{Services, application};
pub use options::{ApiOptions, ApiState, Limits};
