//! Uploading a component: its size is checked first, then its signature, then everything that the engine inspects, then its name.
//! The digest identifies it: the same component again is the same version.

use std::sync::Arc;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::commands::access::actor::Actor;
use crate::commands::plugins::catalog::{Done, automation_change, new_plugin, own_version, trimmed};
use crate::commands::plugins::grants;
use crate::commands::plugins::signatures::signer;
use crate::commands::{Commands, Unsigned};
use crate::model::plugin::Plugin;
use crate::model::{AuditAction, PluginKind, PluginVersion, VersionStatus};
use crate::ports::{AutomationChange, Batch, Conflict, Inspected, StoreError, UploadRefusal};
use crate::{Error, ErrorCode, Field, FieldProblem, Result};

/// Maximum number of attempts to commit when other uploads of the same name are faster.
const TRIES: usize = 6;

/// When to try again while other components are being inspected, in milliseconds.
const BUSY_MS: u64 = 2_000;

/// The result of an upload.
pub struct Uploaded {
    /// The plugin that the version belongs to.
    pub plugin: Arc<Plugin>,
    /// Digest of the version.
    pub digest: String,
    /// Whether it had not been uploaded before.
    pub is_new: bool,
}

impl Commands {
    /// Accepts a component. `signature` is the one that came with it.
    pub async fn upload_plugin(&self, actor: &Actor, component: Bytes, signature: Option<&[u8]>) -> Result<Uploaded> {
        let policy = self.ports().plugin_policy;
        if component.len() as u64 > policy.max_bytes {
            return Err(UploadRefusal::TooLarge(policy.max_bytes).into());
        }
        if component.is_empty() {
            return Err(Error::invalid(Field::Component, "is empty; send the compiled component"));
        }
        let digest = hex(&Sha256::digest(&component));
        let signed_by = self.checked_signature(actor, &digest, signature)?;
        if let Some(known) = self.known_upload(actor, &digest, signed_by).await? {
            // Its bytes may be lost, of a folder that was restored without them: this brings them back.
            if self.ports().plugins.component(&digest).await.is_none() {
                self.ports().plugins.inspect(component).await?;
            }
            return Ok(known);
        }
        let inspected = self.ports().plugins.inspect(component).await?;
        if inspected.digest != digest {
            return Err(Error::internal("the sandbox's digest is not the component's"));
        }
        let stored = self.store_version(actor, &inspected, signed_by).await;
        if stored.is_err() && !self.is_kept(&inspected.digest)? {
            self.ports().plugins.forget(&inspected.digest).await;
        }
        stored
    }

    /// The trust root behind a signature; `None` where an unsigned component is allowed.
    fn checked_signature(&self, actor: &Actor, digest: &str, signature: Option<&[u8]>) -> Result<Option<Uuid>> {
        let Some(signature) = signature else {
            if self.may_be_unsigned(actor) {
                return Ok(None);
            }
            return Err(Error::new(
                ErrorCode::Forbidden,
                "this engine accepts only signed components; sign it with a key whose public key is a trust root",
            ));
        };
        let signature: &[u8; 64] = signature
            .try_into()
            .map_err(|_| Error::invalid(Field::Signature, "must be an Ed25519 signature: 64 bytes in base64"))?;
        let roots = self.list_trust_roots(actor)?;
        let made_by = signer(&roots, digest, signature).ok_or_else(|| {
            Error::invalid(
                Field::Signature,
                "is of none of the trust roots for this component; sign the digest of exactly this file, and add the \
                 public key to the trust roots",
            )
        })?;
        Ok(Some(made_by))
    }

    pub(crate) fn may_be_unsigned(&self, actor: &Actor) -> bool {
        match self.ports().plugin_policy.unsigned {
            Unsigned::All => true,
            Unsigned::Operator => actor.tenant.is_none(),
            Unsigned::Nobody => false,
        }
    }

    /// The version that already has this digest; a signature that it did not have yet is stored with it.
    async fn known_upload(&self, actor: &Actor, digest: &str, signed_by: Option<Uuid>) -> Result<Option<Uploaded>> {
        let plugins = self.ports().store.plugins()?;
        let mine = |plugin: &&Arc<Plugin>| plugin.owner == actor.tenant && plugin.version(digest).is_some();
        let Some(plugin) = plugins.iter().find(mine) else { return Ok(None) };
        let _turn = self.plugin_writes.of(&plugin.name).await;
        let sign = |plugin: &mut Plugin| {
            let Some(version) = plugin.versions.iter_mut().find(|version| version.digest == digest) else {
                return Err(Error::conflict("this version was deleted in the meantime; repeat the upload"));
            };
            if signed_by.is_none() || version.signed_by.is_some() {
                return Ok(None);
            }
            version.signed_by = signed_by;
            Ok(Some((Vec::new(), vec![Done::new(AuditAction::Signed, Some(digest), version.version.clone())])))
        };
        let plugin = self.change_plugin(actor, &plugin.name, sign).await?;
        Ok(Some(Uploaded { plugin, digest: digest.to_owned(), is_new: false }))
    }

    async fn store_version(&self, actor: &Actor, inspected: &Inspected, signed_by: Option<Uuid>) -> Result<Uploaded> {
        if inspected.kind == PluginKind::Connector && actor.tenant.is_some() {
            return Err(Error::new(
                ErrorCode::Forbidden,
                "this component is a connector, which only the operator may upload; a tenant may upload automations",
            ));
        }
        if let Err(error) = grants::check(&inspected.wants) {
            let message = "asks for more than this engine grants to any plugin:";
            return Err(Error::invalid_fields(vec![FieldProblem::because(Field::Component, message, error.fields)]));
        }
        let policy = self.ports().plugin_policy;
        let _turn = self.plugin_writes.of(&inspected.name).await;
        for _ in 0..TRIES {
            let stored = self.ports().store.plugin(&inspected.name)?;
            let running = self.ports().connectors.plugin(&inspected.name).filter(|_| stored.is_none());
            let another = running.is_some() && inspected.kind != PluginKind::Connector;
            if self.is_embedded(&inspected.name) || another {
                return Err(taken(&inspected.name, "a built-in plugin has it"));
            }
            let mut plugin = match &stored {
                None => {
                    let all = self.ports().store.plugins()?;
                    if actor.tenant.is_some()
                        && all.iter().filter(|plugin| plugin.owner == actor.tenant).count() >= policy.per_tenant
                    {
                        let message = format!("there are already {} plugins; delete one first", policy.per_tenant);
                        return Err(Error::conflict(message));
                    }
                    let now = self.ports().clock.now();
                    let mut plugin = new_plugin(inspected, actor.tenant, now);
                    if let Some(running) = running.filter(|running| running.digest != inspected.digest) {
                        // The engine's own: to go on from, and back to.
                        plugin.active = Some(running.digest.clone());
                        plugin.versions.push(own_version(&running, now));
                    }
                    plugin
                }
                Some(known) if known.owner != actor.tenant => {
                    return Err(taken(&inspected.name, "somebody else's plugin has it"));
                }
                Some(known) if known.kind != inspected.kind => {
                    return Err(taken(&inspected.name, "a plugin of another kind has it"));
                }
                Some(known) if known.version(&inspected.digest).is_some() => {
                    let (plugin, digest) = (known.clone(), inspected.digest.clone());
                    return Ok(Uploaded { plugin, digest, is_new: false });
                }
                Some(known) => Plugin::clone(known),
            };
            let granted = plugin.grants.as_ref().is_some_and(|grants| inspected.wants.within(&grants.what));
            let status = if granted { VersionStatus::Ready } else { VersionStatus::NeedsConsent };
            plugin.versions.push(self.version_of(inspected, &actor.by, signed_by, status)?);
            let forgotten = trimmed(&mut plugin, policy.versions);
            plugin.revision += 1;
            plugin.updated_at = self.ports().clock.now();
            let mut changes = vec![automation_change(AutomationChange::Plugin(plugin.clone()))];
            let done = Done::new(AuditAction::Uploaded, Some(&inspected.digest), inspected.version.clone());
            self.account(actor, &plugin, vec![done], &mut changes);
            match self.ports().store.commit(Batch::of(changes)).await {
                Ok(_) => {}
                Err(StoreError::Conflict(Conflict::Plugin(_))) => continue,
                Err(error) => return Err(error.into()),
            }
            for digest in forgotten {
                self.ports().plugins.forget(&digest).await;
            }
            let digest = inspected.digest.clone();
            return Ok(Uploaded { plugin: Arc::new(plugin), digest, is_new: true });
        }
        Err(StoreError::Conflict(Conflict::Plugin(inspected.name.clone())).into())
    }

    /// A version as it is stored.
    pub(crate) fn version_of(
        &self,
        inspected: &Inspected,
        by: &str,
        signed_by: Option<Uuid>,
        status: VersionStatus,
    ) -> Result<PluginVersion> {
        // Of an automation, in the form that the commands read back.
        let description = match &inspected.automation {
            Some(automation) => serde_json::to_string(automation)
                .map_err(|error| Error::internal(format!("a description cannot be written: {error}")))?,
            None => inspected.description.to_string(),
        };
        Ok(PluginVersion {
            digest: inspected.digest.clone(),
            version: inspected.version.clone(),
            display_name: inspected.display_name.clone(),
            size: inspected.size,
            status,
            wants: inspected.wants.clone(),
            description,
            signed_by,
            uploaded_by: by.to_owned(),
            uploaded_at: self.ports().clock.now(),
        })
    }

    /// Whether some plugin has this component.
    fn is_kept(&self, digest: &str) -> Result<bool> {
        let carried = self.ports().plugins.embedded().iter().any(|carried| carried.digest == digest);
        Ok(carried || self.ports().store.plugins()?.iter().any(|plugin| plugin.version(digest).is_some()))
    }
}

impl From<UploadRefusal> for Error {
    fn from(refusal: UploadRefusal) -> Self {
        match &refusal {
            UploadRefusal::TooLarge(_) => Self::new(ErrorCode::TooLarge, refusal.to_string()),
            UploadRefusal::Unfit(message) => Self::invalid("component", message.clone()),
            UploadRefusal::Busy => {
                Self { retry_after_ms: Some(BUSY_MS), ..Self::new(ErrorCode::Unavailable, refusal.to_string()) }
            }
            UploadRefusal::Storage(_) => Self::internal(refusal.to_string()),
        }
    }
}

fn taken(name: &str, who: &str) -> Error {
    Error::conflict(format!("the name {name} is taken: {who}; choose another name in your plugin's description"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
