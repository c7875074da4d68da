//! What happened: the event log for callers, what is told live, and the deliveries to webhooks.

pub mod deliveries;
pub mod live;
pub mod log;
