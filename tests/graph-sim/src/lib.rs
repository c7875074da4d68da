//! Meta's Graph API for WhatsApp, simulated on one machine: what it takes, what it refuses and with which words, its webhooks, its limits
//! and its people. For tests, and for trying the product without an account at Meta.
//!
//! # Layout
//! - [`sim`](Sim): starts and stops; `server`: HTTP, faults, journal; `admin`: what tests do, over HTTP; `page.html`: the phones.
//! - `world`: the state, behind one lock; `setup`: its document; `knobs`: what is uncertain; `limits`: buckets and sets.
//! - `graph`: routes and rights; `messages`, `files`, `samples`, `templates`: the parts of the API.
//! - `form`: faults of form; `message_form`, `template_form`, `template_send`: what is checked; `shape`: what a template asks.
//! - `people`: what users do; `webhooks`: queue, envelope, signature, delivery.
//! - `errors`: codes and texts; [`examples`]: Meta's own examples, filled in; `demo`: a small business.
//!
//! # Tasks
//! One accepts connections and owns their tasks, one posts webhooks. `Invariant:` nobody holds the world's lock across an `.await`.

// Documents in JSON are written with a macro that recurses per key.
#![recursion_limit = "512"]

mod admin;
mod call;
mod demo;
pub mod errors;
pub mod examples;
mod faults;
mod files;
mod form;
mod graph;
mod journal;
mod knobs;
mod limits;
mod message_form;
mod messages;
mod people;
mod samples;
mod server;
mod setup;
mod shape;
mod sim;
mod template_form;
mod template_send;
mod templates;
mod webhooks;
mod world;

pub use demo::demo;
pub use examples::examples;
pub use faults::{BodyShape, Fault, Match};
pub use journal::Entry;
pub use knobs::{Digest, Knobs, Receipts, Split, Taken, Unknown};
pub use sim::{Options, Sim};
pub use webhooks::{escaped, signature};
pub use world::{App, Number, Portfolio, Token, User, Violations, Waba};
