//! Access: tenants with their users, keys and access tokens, how a credential is checked, and for whom something is done.

pub mod actor;
pub mod authenticate;
pub mod keys;
pub(crate) mod secret;
pub mod settings;
pub mod tenants;
pub mod tokens;
pub mod users;
