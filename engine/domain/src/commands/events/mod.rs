//! What happened: the event log that callers read, and the deliveries to webhooks.

pub mod deliveries;
pub mod log;
