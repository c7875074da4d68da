//! The few things that are read all the time, in memory: tenants, users, API keys, access tokens, connectors with their webhooks, pace
//! states and how much each connector keeps; with [`crate::automation_catalog`] and [`crate::tag_catalog`], also automations, plugins and tags. Their rows on disk are the truth; the committer
//! changes this after a commit. It knows no messages.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use pombo_domain::model::{AccessToken, ApiKey, Connector, ConnectorWebhook, PaceState, Tenant, TenantSettings, User};
use pombo_domain::ports::StoreResult;
use pombo_domain::{ConnectorIndex, TenantIndex};
use uuid::Uuid;

use crate::automation_catalog::{AutomationCatalog, AutomationCatalogChange};
use crate::backend::{Backend, KeyRange, Order};
use crate::campaign_catalog::CampaignCatalog;
use crate::codec::{bad_key, decode};
use crate::keys::{self, Parts};
use crate::space::Space;
use crate::tables::{access_tokens, people, webhooks};
use crate::tag_catalog::{TagCatalog, TagCatalogChange};

/// A change of the catalog that a commit made.
#[derive(Clone)]
pub(crate) enum CatalogChange {
    Tenant(Tenant),
    Settings(TenantIndex, TenantSettings),
    User(User),
    NoUser(TenantIndex, Uuid),
    ApiKey(ApiKey),
    AccessToken(AccessToken),
    NoAccessToken(u64),
    Connector(Arc<Connector>),
    Pace(ConnectorIndex, PaceState),
    KvBytes(ConnectorIndex, u64),
    AutomationCatalog(AutomationCatalogChange),
    Tag(TagCatalogChange),
    /// A campaign, and whether it is open.
    Campaign(TenantIndex, u32, bool),
    /// `None`: it was removed.
    Webhook(ConnectorIndex, Option<Arc<ConnectorWebhook>>),
}

/// The catalog; see the module.
#[derive(Default)]
pub(crate) struct Catalog {
    pub(crate) tenants: BTreeMap<TenantIndex, Tenant>,
    tenant_ids: HashMap<Uuid, TenantIndex>,
    pub(crate) settings: HashMap<TenantIndex, TenantSettings>,
    pub(crate) users: BTreeMap<(TenantIndex, Uuid), User>,
    emails: HashMap<String, (TenantIndex, Uuid)>,
    pub(crate) api_keys: BTreeMap<(TenantIndex, Uuid), ApiKey>,
    hashes: HashMap<[u8; 32], (TenantIndex, Uuid)>,
    pub(crate) access_tokens: BTreeMap<u64, AccessToken>,
    /// The numbers of each user's access tokens.
    tokens_of: HashMap<Uuid, BTreeSet<u64>>,
    pub(crate) connectors: BTreeMap<ConnectorIndex, Arc<Connector>>,
    connector_ids: HashMap<Uuid, ConnectorIndex>,
    pub(crate) pace: HashMap<ConnectorIndex, PaceState>,
    pub(crate) kv_bytes: HashMap<ConnectorIndex, u64>,
    pub(crate) webhooks: HashMap<ConnectorIndex, Arc<ConnectorWebhook>>,
    pub(crate) automations: AutomationCatalog,
    pub(crate) tags: TagCatalog,
    pub(crate) campaigns: CampaignCatalog,
}

impl Catalog {
    /// Reads it from the store.
    pub(crate) fn open(backend: &dyn Backend) -> StoreResult<Self> {
        let (automations, tags) = (AutomationCatalog::open(backend)?, TagCatalog::open(backend)?);
        let campaigns = CampaignCatalog::open_from(backend)?;
        let mut catalog = Self { automations, tags, campaigns, ..Self::default() };
        let rows = |tag: u8| backend.scan(Space::Documents, KeyRange::prefix(&[tag]), Order::Forward);
        for row in rows(keys::TENANT) {
            catalog.apply(CatalogChange::Tenant(decode(&row?.1, "tenants")?));
        }
        for row in rows(keys::SETTINGS) {
            let (key, value) = row?;
            let tenant = keys::parse_tenant(&key).ok_or_else(|| bad_key("settings"))?;
            catalog.apply(CatalogChange::Settings(tenant, decode(&value, "settings")?));
        }
        for row in rows(keys::USER) {
            catalog.apply(CatalogChange::User(people::parse_user(&row?.1)?));
        }
        for row in rows(keys::API_KEY) {
            catalog.apply(CatalogChange::ApiKey(people::parse_api_key(&row?.1)?));
        }
        for row in rows(keys::ACCESS_TOKEN) {
            catalog.apply(CatalogChange::AccessToken(access_tokens::parse(&row?.1)?));
        }
        for row in rows(keys::CONNECTOR) {
            catalog.apply(CatalogChange::Connector(Arc::new(people::parse_connector(&row?.1)?)));
        }
        for row in rows(keys::WEBHOOK) {
            let webhook = webhooks::parse_webhook(&row?.1)?;
            catalog.apply(CatalogChange::Webhook(webhook.connector, Some(Arc::new(webhook))));
        }
        for row in rows(keys::PACE) {
            let (key, value) = row?;
            let connector = Parts(&key[1..]).u32().ok_or_else(|| bad_key("pace"))?;
            catalog.apply(CatalogChange::Pace(ConnectorIndex(connector), decode(&value, "pace")?));
        }
        for row in rows(keys::KV_BYTES) {
            let (key, value) = row?;
            let connector = Parts(&key[1..]).u32().ok_or_else(|| bad_key("kv"))?;
            let bytes = Parts(&value).u64().ok_or_else(|| bad_key("kv"))?;
            catalog.apply(CatalogChange::KvBytes(ConnectorIndex(connector), bytes));
        }
        Ok(catalog)
    }

    pub(crate) fn apply(&mut self, change: CatalogChange) {
        match change {
            CatalogChange::Tenant(tenant) => {
                self.tenant_ids.insert(tenant.id, tenant.index);
                self.tenants.insert(tenant.index, tenant);
            }
            CatalogChange::Settings(tenant, settings) => {
                self.settings.insert(tenant, settings);
            }
            CatalogChange::User(user) => {
                let key = (user.tenant, user.id);
                self.emails.insert(user.email.clone(), key);
                if let Some(old) = self.users.insert(key, user.clone())
                    && old.email != user.email
                {
                    self.emails.remove(&old.email);
                }
            }
            CatalogChange::NoUser(tenant, id) => {
                if let Some(old) = self.users.remove(&(tenant, id)) {
                    self.emails.remove(&old.email);
                }
            }
            CatalogChange::AccessToken(token) => {
                self.tokens_of.entry(token.user).or_default().insert(token.number);
                self.access_tokens.insert(token.number, token);
            }
            CatalogChange::NoAccessToken(number) => {
                if let Some(old) = self.access_tokens.remove(&number)
                    && let Some(numbers) = self.tokens_of.get_mut(&old.user)
                {
                    numbers.remove(&number);
                    if numbers.is_empty() {
                        self.tokens_of.remove(&old.user);
                    }
                }
            }
            CatalogChange::ApiKey(api_key) => {
                let key = (api_key.tenant, api_key.id);
                self.hashes.insert(api_key.hash, key);
                let hash = api_key.hash;
                if let Some(old) = self.api_keys.insert(key, api_key)
                    && old.hash != hash
                {
                    self.hashes.remove(&old.hash);
                }
            }
            CatalogChange::Connector(connector) => {
                self.connector_ids.insert(connector.id, connector.index);
                self.connectors.insert(connector.index, connector);
            }
            CatalogChange::Pace(connector, state) => {
                self.pace.insert(connector, state);
            }
            CatalogChange::KvBytes(connector, bytes) => {
                self.kv_bytes.insert(connector, bytes);
            }
            CatalogChange::AutomationCatalog(change) => self.automations.apply(change),
            CatalogChange::Tag(change) => self.tags.apply(change),
            CatalogChange::Campaign(tenant, number, is_open) => self.campaigns.apply(tenant, number, is_open),
            CatalogChange::Webhook(connector, Some(webhook)) => {
                self.webhooks.insert(connector, webhook);
            }
            CatalogChange::Webhook(connector, None) => {
                self.webhooks.remove(&connector);
            }
        }
    }

    pub(crate) fn tenant_by_id(&self, id: Uuid) -> Option<&Tenant> {
        self.tenants.get(self.tenant_ids.get(&id)?)
    }

    pub(crate) fn user_by_email(&self, email: &str) -> Option<&User> {
        self.users.get(self.emails.get(email)?)
    }

    /// A user's access tokens, oldest first.
    pub(crate) fn access_tokens_of(&self, user: Uuid) -> Vec<AccessToken> {
        let numbers = self.tokens_of.get(&user).into_iter().flatten();
        numbers.filter_map(|number| self.access_tokens.get(number).cloned()).collect()
    }

    pub(crate) fn api_key_by_hash(&self, hash: &[u8; 32]) -> Option<&ApiKey> {
        self.api_keys.get(self.hashes.get(hash)?)
    }

    pub(crate) fn connector_by_id(&self, tenant: TenantIndex, id: Uuid) -> Option<&Arc<Connector>> {
        self.connector_of_any_tenant(id).filter(|c| c.tenant == tenant)
    }

    pub(crate) fn connector_of_any_tenant(&self, id: Uuid) -> Option<&Arc<Connector>> {
        self.connectors.get(self.connector_ids.get(&id)?)
    }

    /// The rows of one tenant in a map whose keys begin with the tenant.
    pub(crate) fn owned<T: Clone>(map: &BTreeMap<(TenantIndex, Uuid), T>, tenant: TenantIndex) -> Vec<T> {
        map.range((tenant, Uuid::nil())..=(tenant, Uuid::max())).map(|(_, row)| row.clone()).collect()
    }
}
