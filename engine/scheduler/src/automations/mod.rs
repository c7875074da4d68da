//! Automations: hands the events of conversations to their automations, each in its turn, and stores what they answer.
//!
//! - [`fair_queue`]: which lane is next; [`rules`]: which automations are called, in which version, what follows from a failure;
//!   [`allowance`]: events a minute; [`outcome`] (and `sends`): what an answer becomes. Pure.
//! - `dispatcher`: what these tasks share. `runner`: the task that hands lanes to tasks of their own; `item`: one of those, from
//!   reading an item to its commit; `prepared`: what is kept in memory of each automation. `timers`: the task that makes timers that
//!   ran out into events, and ends pauses.
//! - `signals`: what commits tell these tasks.
//!
//! Invariant: an answer and the step of its item are one batch, on the condition that the item is as it was read. So an event has
//! one effect, however often its automation was called.

pub mod allowance;
pub(crate) mod dispatcher;
pub mod fair_queue;
pub mod outcome;
mod prepared;
pub mod rules;
pub(crate) mod runner;
mod sends;
pub(crate) mod signals;
pub(crate) mod timers;
