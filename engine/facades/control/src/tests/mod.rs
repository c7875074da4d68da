//! The control API over the real commands and ports in memory, asked as a caller would.

mod automations;
mod chats;
mod conversations;
mod events;
mod fakes;
mod imports;
mod operations;
mod plugin_versions;
mod plugins;
mod qr;
mod replays;
mod sending;
mod sessions;
mod support;
mod telemetry;
mod trust;
