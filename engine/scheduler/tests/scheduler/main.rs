//! The scheduler over fakes, on a manual clock: what a user would see of it.

mod automations;
mod bounds;
mod campaigns;
mod conversations;
mod faults;
mod health;
mod intake;
mod message_actions;
mod outcomes;
mod pacing;
mod queue;
mod receipts;
mod rules;
mod sends;
mod sessions;
mod templates;
mod support;
mod told;
mod webhooks;
