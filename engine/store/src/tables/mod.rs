//! One file per table: how its rows are encoded, read and staged. A table knows its keys and the backend, not the committer.

pub(crate) mod access_tokens;
pub(crate) mod automations;
pub(crate) mod contacts;
pub(crate) mod conversations;
pub(crate) mod deliveries;
pub(crate) mod earlier;
pub(crate) mod events;
pub(crate) mod health;
pub(crate) mod idempotency;
pub(crate) mod imports;
pub(crate) mod kv;
pub(crate) mod messages;
pub(crate) mod meta;
pub(crate) mod numbers;
pub(crate) mod opt_outs;
pub(crate) mod people;
pub(crate) mod plugins;
pub(crate) mod queues;
pub(crate) mod receipts;
pub(crate) mod recordings;
pub(crate) mod states;
pub(crate) mod tags;
pub(crate) mod tasks;
pub(crate) mod timeline;
pub(crate) mod timers;
pub(crate) mod webhooks;
