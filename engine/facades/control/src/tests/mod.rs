//! The control API over the real commands, the real store and the test kit, asked as a caller would.

mod automations;
mod chats;
mod conversations;
mod events;
mod imports;
mod operations;
mod plugin_versions;
mod plugins;
mod replays;
mod sending;
mod sessions;
mod support;
mod telemetry;
mod trust;
