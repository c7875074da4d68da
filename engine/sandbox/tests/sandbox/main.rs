//! The sandbox with real plugins (`target/plugins`, `target/hostile`, made by `plugins/build.sh`) and faked ports.

mod connectors;
mod email;
mod hostile;
mod loading;
mod rendering;
mod support;
