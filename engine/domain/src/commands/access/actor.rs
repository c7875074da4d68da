//! Who does something to plugins, and for whom: a person or a key of a tenant, the operator for a tenant, or the operator for the
//! engine itself.

use uuid::Uuid;

use crate::commands::Commands;
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

impl Commands {
    /// The name of who acted, for people: of the tenant's user, key or automation. Where it is gone, or has no name, the kind of who
    /// acted: `user`, `key`, `automation`, `operator`.
    pub fn actor_name(&self, tenant: TenantIndex, by: &str) -> Result<String> {
        let (kind, id) = by.split_once(':').unwrap_or((by, ""));
        let store = &self.ports().store;
        let name = match (kind, Uuid::try_parse(id)) {
            ("user", Ok(id)) => store.users(tenant)?.into_iter().find(|user| user.id == id).map(|user| user.name),
            ("key", Ok(id)) => store.api_keys(tenant)?.into_iter().find(|key| key.id == id).map(|key| key.name),
            ("automation", Ok(id)) => store.automation_by_id(tenant, id)?.map(|automation| automation.name.clone()),
            _ => None,
        };
        Ok(name.unwrap_or_else(|| kind.to_owned()))
    }
}
