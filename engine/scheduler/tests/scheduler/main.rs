//! The scheduler over fakes, on a manual clock: what a user would see of it.

mod bounds;
mod faults;
mod outcomes;
mod pacing;
mod queue;
mod rules;
mod support;
mod webhooks;
