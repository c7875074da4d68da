//! What happened: the event log for callers, and the deliveries to webhooks.

pub mod deliveries;
pub mod log;
