//! The webhook of a connector: set, shown, removed; and its deliveries, listed and posted again. The store makes them, and the scheduler
//! posts them.
//!
//! The secret is sealed before it is stored. It is returned only once: by the command that made it.

use std::sync::Arc;

use uuid::Uuid;

use crate::commands::Commands;
use crate::commands::access::secret;
use crate::commands::messages::send::MAX_URL_BYTES;
use crate::commands::text::{Rule, checked};
use crate::model::{ConnectorWebhook, DeliveryStatus, EventDelivery, HookKinds};
use crate::ports::{Batch, Change, EventDeliveryFilter, EventDeliveryPage, WebhookChange};
use crate::{Error, ErrorCode, Field, FieldProblem, Result, TenantIndex, Timestamp};

/// Maximum length of a secret, in characters.
pub const MAX_SECRET_CHARS: usize = 256;

/// What a connector's webhook is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookRequest {
    /// URL that is posted to, at most [`MAX_URL_BYTES`]; https, unless the operator allows http.
    pub url: String,
    /// The secret that posts are signed with, at most [`MAX_SECRET_CHARS`]. `None` keeps the stored one, or makes one.
    pub secret: Option<String>,
    /// What it is told.
    pub kinds: HookKinds,
    /// Whether it is told anything.
    pub active: bool,
}

/// A change of a connector's webhook. Omitted fields stay as they are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WebhookPatch {
    /// URL that is posted to, as in [`WebhookRequest`].
    pub url: Option<String>,
    /// The secret that posts are signed with, at most [`MAX_SECRET_CHARS`].
    pub secret: Option<String>,
    /// What it is told.
    pub kinds: Option<HookKinds>,
    /// Whether it is told anything.
    pub active: Option<bool>,
}

/// A webhook that was set.
pub struct WebhookSet {
    /// The stored webhook.
    pub webhook: ConnectorWebhook,
    /// The secret, if it was made now. It is not shown again.
    pub made_secret: Option<String>,
}

impl Commands {
    /// These commands, with connectors' webhooks over plain HTTP allowed or not; by default they are not.
    pub fn with_plain_webhooks(mut self, allowed: bool) -> Self {
        self.plain_webhooks = allowed;
        self
    }

    /// What is wrong with the URL and the secret of a webhook, for a caller who has found other mistakes and names all of them at once.
    pub fn check_connector_webhook(&self, url: Option<&str>, secret: Option<&str>) -> Vec<FieldProblem> {
        let url = url.and_then(|url| self.webhook_url(url).err());
        let secret = secret.and_then(|secret| webhook_secret(secret).err());
        url.into_iter().chain(secret).flat_map(|error| error.fields).collect()
    }

    /// The webhook of a connector.
    pub fn get_connector_webhook(&self, tenant: TenantIndex, id: Uuid) -> Result<Arc<ConnectorWebhook>> {
        let index = self.live_connector(tenant, id)?.index;
        self.ports().store.connector_webhook(index)?.ok_or_else(|| Error::not_found("Webhook"))
    }

    /// The webhooks of a tenant's connectors, in the order in which the connectors were created, each with the public id of its connector.
    pub fn list_connector_webhooks(&self, tenant: TenantIndex) -> Result<Vec<(Uuid, Arc<ConnectorWebhook>)>> {
        let store = &self.ports().store;
        let mut connectors = store.connectors(Some(tenant))?;
        connectors.sort_by_key(|connector| connector.index);
        let mut found = Vec::new();
        for connector in connectors {
            found.extend(store.connector_webhook(connector.index)?.map(|webhook| (connector.id, webhook)));
        }
        Ok(found)
    }

    /// Creates or replaces the webhook of a connector. One that its receiver ended with 410 is told again from now on.
    pub async fn set_connector_webhook(
        &self,
        tenant: TenantIndex,
        id: Uuid,
        request: WebhookRequest,
    ) -> Result<WebhookSet> {
        self.live_connector(tenant, id)?;
        let request = self.checked_request(request)?;
        self.write_webhook(tenant, id, |_| Ok((request, None))).await
    }

    /// Creates the webhook of the connector that a field of a request names. [`ErrorCode::Conflict`] where it has one.
    pub async fn create_connector_webhook(
        &self,
        tenant: TenantIndex,
        id: Uuid,
        request: WebhookRequest,
    ) -> Result<WebhookSet> {
        let unknown =
            || Error::invalid(Field::Connectors.at(0), "must be the id of a connector; see the list of connectors");
        self.live_connector(tenant, id).map_err(|error| match error.code {
            ErrorCode::NotFound => unknown(),
            _ => error,
        })?;
        let request = self.checked_request(request)?;
        self.write_webhook(tenant, id, |stored| match stored {
            Some(_) => Err(Error::conflict("the connector has a webhook already; change it, or delete it first")),
            None => Ok((request, None)),
        })
        .await
    }

    /// Changes the webhook of a connector. One that its receiver ended with 410 is told again once it is switched on.
    pub async fn update_connector_webhook(
        &self,
        tenant: TenantIndex,
        id: Uuid,
        patch: WebhookPatch,
    ) -> Result<WebhookSet> {
        self.live_connector(tenant, id)?;
        let WebhookPatch { url, secret, kinds, active } = patch;
        let (url, secret) = self.checked_webhook(url.as_deref(), secret.as_deref())?;
        self.write_webhook(tenant, id, |stored| {
            let stored = stored.ok_or_else(|| Error::not_found("Webhook"))?;
            let request = WebhookRequest {
                url: url.unwrap_or_else(|| stored.url.clone()),
                secret,
                kinds: kinds.unwrap_or(stored.kinds),
                active: active.unwrap_or(stored.active),
            };
            let gone_at = stored.gone_at.filter(|_| !request.active);
            Ok((request, gone_at))
        })
        .await
    }

    fn checked_request(&self, request: WebhookRequest) -> Result<WebhookRequest> {
        let (url, secret) = self.checked_webhook(Some(&request.url), request.secret.as_deref())?;
        Ok(WebhookRequest { url: url.unwrap_or_default(), secret, ..request })
    }

    /// The URL and the secret as they are stored; what is wrong with either is in one error.
    fn checked_webhook(&self, url: Option<&str>, secret: Option<&str>) -> Result<(Option<String>, Option<String>)> {
        let url = url.map(|url| self.webhook_url(url)).transpose();
        match (url, secret.map(webhook_secret).transpose()) {
            (Ok(url), Ok(secret)) => Ok((url, secret)),
            (url, secret) => {
                let errors = url.err().into_iter().chain(secret.err());
                Err(Error::invalid_fields(errors.flat_map(|error| error.fields).collect()))
            }
        }
    }

    /// Stores what `make` makes of the stored webhook: what it is to be, checked, and since when its receiver is gone.
    async fn write_webhook(
        &self,
        tenant: TenantIndex,
        id: Uuid,
        make: impl FnOnce(Option<&ConnectorWebhook>) -> Result<(WebhookRequest, Option<Timestamp>)> + Send,
    ) -> Result<WebhookSet> {
        let index = self.live_connector(tenant, id)?.index;
        let _turn = self.connector_writes.of(index).await;
        // It may have been deleted meanwhile.
        self.live_connector(tenant, id)?;
        let ports = self.ports();
        let stored = ports.store.connector_webhook(index)?;
        let (WebhookRequest { url, secret, kinds, active }, gone_at) = make(stored.as_deref())?;
        let seal = |plain: &str| ports.secrets.seal(&ConnectorWebhook::secret_context(id), plain.as_bytes());
        let (secret, made_secret) = match (secret, stored) {
            (Some(given), _) => (seal(&given), None),
            (None, Some(stored)) => (stored.secret.clone(), None),
            (None, None) => {
                let made = secret::random(ports.entropy.as_ref());
                (seal(&made), Some(made))
            }
        };
        let updated_at = ports.clock.now();
        let webhook = ConnectorWebhook { tenant, connector: index, url, secret, kinds, active, gone_at, updated_at };
        self.commit_webhook(WebhookChange::Put(webhook.clone())).await?;
        Ok(WebhookSet { webhook, made_secret })
    }

    /// Removes the webhook of a connector. What was still to be posted to it is given up.
    pub async fn remove_connector_webhook(&self, tenant: TenantIndex, id: Uuid) -> Result<()> {
        let index = self.live_connector(tenant, id)?.index;
        let _turn = self.connector_writes.of(index).await;
        self.get_connector_webhook(tenant, id)?;
        self.commit_webhook(WebhookChange::Remove(index)).await
    }

    /// A page of the deliveries to a connector's webhook, newest event first; see [`EventDeliveryPage`].
    pub fn list_event_deliveries(
        &self,
        tenant: TenantIndex,
        connector: Uuid,
        status: Option<DeliveryStatus>,
        before: Option<u64>,
        limit: usize,
    ) -> Result<EventDeliveryPage> {
        let connector = Some(self.live_connector(tenant, connector)?.index);
        let filter = EventDeliveryFilter { connector, status };
        Ok(self.ports().store.event_deliveries(tenant, &filter, before, limit.max(1))?)
    }

    /// Posts a delivery again, starting with the first attempt, under the same id: to the webhook as it is set now, also when that is
    /// switched off.
    pub async fn replay_event_delivery(&self, tenant: TenantIndex, connector: Uuid, id: Uuid) -> Result<EventDelivery> {
        let connector = self.live_connector(tenant, connector)?.index;
        let found = self.ports().store.event_delivery_by_id(tenant, id)?;
        let found = found.filter(|found| found.connector == connector).ok_or_else(|| Error::not_found("Delivery"))?;
        if self.ports().store.connector_webhook(connector)?.is_none() {
            return Err(Error::conflict("the connector has no webhook now; set one, then repeat the request"));
        }
        let state = found.state.replayed(self.ports().clock.now());
        let replayed = EventDelivery { state, ..found };
        self.commit_webhook(WebhookChange::Delivery(replayed.clone())).await?;
        Ok(replayed)
    }

    async fn commit_webhook(&self, change: WebhookChange) -> Result<()> {
        self.ports().store.commit(Batch::of(vec![Change::Webhook(Box::new(change))])).await?;
        Ok(())
    }

    fn webhook_url(&self, given: &str) -> Result<String> {
        let url = given.trim();
        let wrong = |message: String| Err(Error::invalid(Field::WebhookUrl, message));
        if url.is_empty() {
            return wrong("must not be empty".to_owned());
        }
        if url.len() > MAX_URL_BYTES {
            return wrong(format!("must have at most {MAX_URL_BYTES} characters"));
        }
        let is_plain = url.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("http://"));
        if is_plain && !self.plain_webhooks {
            return wrong("must be https; the operator can allow http with plain_http in [webhooks]".to_owned());
        }
        if let Err(error) = self.ports().guard.check_url(url) {
            return wrong(error.to_string());
        }
        Ok(url.to_owned())
    }
}

fn webhook_secret(given: &str) -> Result<String> {
    checked(Rule { field: Field::Secret, max_chars: MAX_SECRET_CHARS, lines: false }, given)
}
