//! The control API over the real commands, the real store and the test kit, asked as a caller would.

mod access;
mod automations;
mod campaigns;
mod chats;
mod contacts;
mod conversations;
mod demands;
mod event_stream;
mod events;
mod history;
mod imports;
mod operations;
mod plugin_versions;
mod plugins;
mod receiving;
mod replays;
mod search;
mod sending;
mod sessions;
mod stats;
mod support;
mod tags;
mod telemetry;
mod templates;
mod trust;
mod webhooks;
