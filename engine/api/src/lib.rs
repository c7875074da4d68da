//! What the HTTP facades are made of. Each facade is a separate crate in `engine/facades`: it parses, calls one command and maps the
//! answer. This one holds what they share, and no path or wire type of any of them.
//!
//! Layout
//! - [`facade`]: a facade as a value. [`sections`]: the handlers of its document. [`endpoint`]: what surrounds a facade's handlers (request id, state, unknown
//!   query parameters, failures, panics). [`gate`]: what a facade does before that. [`mount`]: which facade a request is for, by host and by path. [`docs`]: the page with
//!   the documents.
//! - [`auth`]: credentials in a request → whose they are. [`tokens`]: login tokens. [`error`]: failures, and the statuses that an
//!   operation declares.
//! - [`body`], [`multipart`]: bodies within limits. [`json`]: JSON in and out by serde_json. [`fields`]: JSON fields that remember
//!   what is wrong with them. [`declared`], [`document`]: what the OpenAPI documents say.
//! - [`download`]: a file as an answer. [`media_links`]: signed links to files. [`hook_links`]: automations' webhooks. [`receiving`], [`receive_links`]: requests of channels to connectors. [`session_links`]: links by which somebody without a login links an account. [`signals`]: wakes
//!   requests that wait for events, and tells those who follow live. [`sse`]: server-sent events. [`export`], [`csv`]: lists as files. [`qr`]: a text as a picture to
//!   scan. [`options`]: settings, and the state that every handler stands on.
//!
//! This crate must not know how anything is stored, sent or rendered. Everything here runs on the task of the request.

pub mod auth;
pub mod body;
pub mod csv;
pub mod declared;
pub mod docs;
pub mod document;
pub mod download;
pub mod endpoint;
pub mod error;
pub mod export;
pub mod facade;
pub mod fields;
pub mod gate;
pub mod hook_links;
pub mod json;
pub mod media_links;
pub mod mount;
pub mod multipart;
pub mod names;
pub mod options;
pub mod qr;
pub mod reasons;
pub mod receive_links;
pub mod receiving;
pub mod sections;
pub mod session_links;
pub mod signals;
pub mod sse;
pub mod tokens;

pub use endpoint::Served;
pub use facade::{Facade, Security, UnknownParameters, WrongParameter, WrongQuery};
pub use gate::{Entry, Gate, HostPart};
pub use mount::application;
pub use options::{ApiOptions, ApiState, Limits};
pub use sections::{Operations, Section, Sections};
