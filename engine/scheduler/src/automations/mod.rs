//! Automations: events of conversations, each given to its automations in its turn, and what they answer made durable.
//!
//! - [`turns`]: which lane is next; [`rules`]: who is asked, by which version, what follows from a failure; [`allowance`]: events a
//!   minute; [`outcome`] (and `sends`): what an answer becomes. Pure.
//! - `runner`: the task that hands lanes to tasks of their own; `item`: one of those, from reading an item to its commit;
//!   `prepared`: what is kept in memory of each automation. `timers`: the task that makes timers that ran out into events.
//! - `bell`: what commits tell these tasks.
//!
//! Invariant: an answer and the step of its item are one batch, on the condition that the item is as it was read. So an event has
//! one effect, however often its automation was called.

pub mod allowance;
pub(crate) mod bell;
mod item;
pub mod outcome;
mod prepared;
pub mod rules;
pub(crate) mod runner;
mod sends;
pub(crate) mod timers;
pub mod turns;
