//! Who does something to plugins, and for whom: a tenant by a person or a key, the operator for a tenant, or the operator for the
//! engine itself.

use crate::{Error, Result, TenantIndex};

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// For whom; `None`: for the engine, as its operator.
    pub tenant: Option<TenantIndex>,
    /// `user:…`, `key:…`, `operator` or `engine`.
    pub by: String,
}

impl Actor {
    /// What the engine does by itself.
    pub(crate) fn engine() -> Self {
        Self { tenant: None, by: "engine".to_owned() }
    }

    /// The tenant, for what only a tenant has.
    pub(crate) fn tenant(&self) -> Result<TenantIndex> {
        self.tenant.ok_or_else(|| Error::invalid("X-Pombo-Tenant", "name the tenant that you act for"))
    }
}
