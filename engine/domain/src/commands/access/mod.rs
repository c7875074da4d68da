//! Access: tenants with their users and keys, how a credential is checked, and for whom something is done.

pub mod actor;
pub mod authenticate;
pub mod tenants;
