//! Trust roots: the public keys whose signatures on components are trusted, a tenant's own and the operator's.

use uuid::Uuid;

use crate::commands::Commands;
use crate::commands::access::actor::Actor;
use crate::commands::access::tenants::operator_only;
use crate::commands::plugins::signatures::is_key;
use crate::commands::text::{self, Rule};
use crate::model::TrustRoot;
use crate::ports::{AutomationChange, Batch, Change};
use crate::{Error, Field, Result};

/// Maximum number of roots of one owner that are not revoked.
pub const MAX_ROOTS: usize = 50;

impl Commands {
    /// Trusts a key from now on.
    pub async fn create_trust_root(&self, actor: &Actor, name: &str, key: [u8; 32]) -> Result<TrustRoot> {
        let name = text::checked(Rule { field: Field::Name, max_chars: 120, lines: false }, name)?;
        if !is_key(&key) {
            return Err(Error::invalid(Field::Key, "must be an Ed25519 public key: 32 bytes in base64"));
        }
        let roots = self.ports().store.trust_roots()?;
        let mine = || roots.iter().filter(|root| root.owner == actor.tenant && root.revoked_at.is_none());
        if mine().any(|root| root.key == key) {
            return Err(Error::conflict("this key is already trusted"));
        }
        if mine().count() >= MAX_ROOTS {
            return Err(Error::conflict(format!("there are already {MAX_ROOTS} trusted keys; revoke one first")));
        }
        let root = TrustRoot {
            id: self.ports().entropy.uuid(),
            owner: actor.tenant,
            name,
            key,
            created_at: self.ports().clock.now(),
            revoked_at: None,
        };
        self.store_root(root.clone()).await?;
        Ok(root)
    }

    /// The keys whose signatures count for the actor, including revoked ones, oldest first.
    pub fn list_trust_roots(&self, actor: &Actor) -> Result<Vec<TrustRoot>> {
        let mut roots = self.ports().store.trust_roots()?;
        roots.retain(|root| root.owner.is_none() || root.owner == actor.tenant);
        roots.sort_by_key(|root| (root.created_at, root.id));
        Ok(roots)
    }

    /// Revokes a key: its signatures on further uploads are refused. Versions that it signed before continue, but cannot be
    /// activated again if the policy requires a signature.
    pub async fn revoke_trust_root(&self, actor: &Actor, id: Uuid) -> Result<()> {
        let found = self.list_trust_roots(actor)?.into_iter().find(|root| root.id == id);
        let mut root = found.ok_or_else(|| Error::not_found("Trust root"))?;
        if root.owner != actor.tenant {
            return Err(operator_only());
        }
        if root.revoked_at.is_none() {
            root.revoked_at = Some(self.ports().clock.now());
            self.store_root(root).await?;
        }
        Ok(())
    }

    async fn store_root(&self, root: TrustRoot) -> Result<()> {
        let change = Change::Automation(Box::new(AutomationChange::TrustRoot(root)));
        self.ports().store.commit(Batch::of(vec![change])).await?;
        Ok(())
    }
}
