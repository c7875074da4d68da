//! The control API over the real commands, the real store and the test kit, asked as a caller would.

mod access;
mod automations;
mod chats;
mod conversations;
mod event_stream;
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
