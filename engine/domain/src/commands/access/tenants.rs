//! Tenants: created and listed by the operator.

use uuid::Uuid;

use crate::commands::Commands;
use crate::commands::text::{self, Rule};
use crate::model::Tenant;
use crate::ports::{Batch, Change};
use crate::{Error, ErrorCode, Field, Result};

impl Commands {
    /// Creates a tenant.
    pub async fn create_tenant(&self, name: &str) -> Result<Tenant> {
        let name = text::checked(Rule { field: Field::Name, max_chars: 120, lines: false }, name)?;
        let index = self.ports().store.next_tenant_index().await?;
        let tenant = Tenant { id: self.ports().entropy.uuid(), index, name, created_at: self.ports().clock.now() };
        self.ports().store.commit(Batch::of(vec![Change::Tenant(tenant.clone())])).await?;
        Ok(tenant)
    }

    /// All tenants, oldest first.
    pub fn list_tenants(&self) -> Result<Vec<Tenant>> {
        let mut tenants = self.ports().store.tenants()?;
        tenants.sort_by_key(|t| t.index);
        Ok(tenants)
    }

    /// A tenant by its public id.
    pub fn get_tenant(&self, id: Uuid) -> Result<Tenant> {
        self.ports().store.tenant_by_id(id)?.ok_or_else(|| Error::not_found("Tenant"))
    }
}

/// The error for a caller who is not the operator.
pub fn operator_only() -> Error {
    Error::new(ErrorCode::Forbidden, "this operation needs the operator token")
}
