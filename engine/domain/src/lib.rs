//! The nouns, state machines, use cases and ports of Pombo.
//!
//! Layout
//! - [`model`]: one file per noun, with its state machine where it has one.
//! - [`commands`]: one file per use case, the only door for the facades.
//! - [`ports`]: what the domain asks of the outside (store, renderer, connectors, clock …).
//! - [`backoff`]: the pause before another try, the same for the whole engine.
//! - [`error`]: the one closed set of error codes that every facade maps to its own body.
//! - [`field`]: the keys by which problems name the fields of an input; every facade has its own names for them.
//! - [`words`]: what a stable word is, and how records keep it.
//!
//! This crate must not know HTTP, WebAssembly, a database or an async runtime: it only says what is true and what follows.

pub mod backoff;
pub mod commands;
pub mod error;
pub mod field;
pub mod ids;
pub mod model;
pub mod ports;
pub mod time;
pub mod words;

pub use error::{Error, ErrorCode, FieldProblem, Result};
pub use field::{Field, FieldPath};
pub use ids::{AutomationIndex, ConnectorIndex, MessageKey, TenantIndex};
pub use time::Timestamp;
pub use words::{StableWord, Word};
