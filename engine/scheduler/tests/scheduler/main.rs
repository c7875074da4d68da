//! The scheduler over fakes, on a manual clock: what a user would see of it.

mod automations;
mod bounds;
mod campaigns;
mod conversations;
mod demands;
mod faults;
mod health;
mod hearing;
mod intake;
mod late;
mod limits;
mod message_actions;
mod outcomes;
mod outreach;
mod pacing;
mod queue;
mod receipts;
mod rules;
mod sends;
mod sessions;
mod support;
mod templates;
mod told;
mod webhooks;
