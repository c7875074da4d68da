//! Who does something to plugins, and for whom: a person or a key of a tenant, the operator for a tenant, or the operator for the
//! engine itself.

use crate::{Error, Field, Result, TenantIndex};

/// Who acts, and for whom; see the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// The tenant for whom it is done; `None` for the engine, as its operator.
    pub tenant: Option<TenantIndex>,
    /// Who does it: `user:…`, `key:…`, `operator` or `engine`.
    pub by: String,
}

impl Actor {
    /// The engine itself.
    pub(crate) fn engine() -> Self {
        Self { tenant: None, by: "engine".to_owned() }
    }

    /// The tenant, for things that only a tenant has.
    pub(crate) fn tenant(&self) -> Result<TenantIndex> {
        self.tenant.ok_or_else(|| Error::invalid(Field::Tenant, "name the tenant that you act for"))
    }
}
