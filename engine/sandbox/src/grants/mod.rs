//! What a plugin may ask of the host: the interfaces (`capability.rs`) and the servers (`hosts.rs`). Pure; knows no instance.

mod capability;
mod hosts;

pub use capability::Capability;
pub(crate) use capability::Grants;
pub(crate) use hosts::Hosts;
