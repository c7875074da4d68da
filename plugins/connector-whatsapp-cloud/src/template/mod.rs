//! Templates: the content that sends one, and the forms of a template at Meta and in the engine (`wit/connector/templates.md`).

pub(crate) mod form;
mod send;

pub(crate) use send::{body, files};

/// The kind of content.
pub(crate) const KIND: &str = "template";

/// The JSON Schema of its value.
pub(crate) const SCHEMA: &str = include_str!("content.schema.json");
