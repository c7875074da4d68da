//! The sandbox with real plugins (`target/plugins`, `target/hostile`, made by `plugins/build.sh`) and faked ports.

mod automation;
mod connectors;
mod email;
mod events;
mod hostile;
mod loading;
mod old_version;
mod outside;
mod proxy;
mod receiving;
mod reload;
mod rendering;
mod rollout;
mod sessions;
mod support;
mod web;
