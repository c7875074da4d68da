//! The domain's ports that need the operating system: time, random numbers, passwords, secrets, files and guarded outbound calls; and
//! the plugins' key/value store over the engine's. Each file implements one port; none knows a plugin or a facade.

pub(crate) mod clock;
pub(crate) mod entropy;
pub(crate) mod fetcher;
pub(crate) mod guard;
pub(crate) mod keys;
pub(crate) mod kv;
pub(crate) mod media;
pub(crate) mod media_types;
pub(crate) mod operator;
pub(crate) mod outbound;
#[cfg(test)]
mod outbound_tests;
pub(crate) mod passwords;
pub(crate) mod proxies;
pub(crate) mod secrets;
pub(crate) mod webhooks;
