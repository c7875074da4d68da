//! Ports in memory for the handlers' tests: a store that keeps the port's promises as far as the facades can see them, two
//! plugins, a renderer that knows `{{ name }}`, files in a temporary folder, a clock that stands.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use pombo_domain::commands::Commands;
use pombo_domain::commands::access::tenants::{UserRequest, hash_api_key};
use pombo_domain::commands::{PluginPolicy, Ports};
use pombo_domain::model::message::{ReadyOrder, Reason};
use pombo_domain::model::*;
use pombo_domain::ports::*;
use pombo_domain::{ConnectorIndex, MessageKey, TenantIndex, Timestamp};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::watch;
use uuid::Uuid;

use pombo_api::options::{ApiOptions, ApiState, Limits};

/// 2026-01-02T03:04:05.678Z.
pub(crate) const NOW: i64 = 1_767_323_045_678;
pub(crate) const PASSWORD: &str = "correct horse";
pub(crate) const OPERATOR_TOKEN: &str = "op_test_token_of_the_operator";

#[derive(Default)]
struct Data {
    tenants: Vec<Tenant>,
    users: Vec<User>,
    keys: Vec<ApiKey>,
    connectors: Vec<Arc<Connector>>,
    contacts: Vec<Contact>,
    messages: Vec<StoredMessage>,
    imports: Vec<Import>,
    idempotency: HashMap<(TenantIndex, [u8; 32]), IdempotencyRecord>,
    events: Vec<Event>,
    receipts: HashMap<MessageKey, Receipts>,
    health: HashMap<ConnectorIndex, HealthState>,
    /// What an address is another one of.
    aliases: HashMap<(TenantIndex, ContactType, String), String>,
}

/// The store.
#[derive(Default)]
pub(crate) struct MemoryStore {
    data: Mutex<Data>,
    /// Refuses the next commits with this.
    fault: Mutex<Vec<StoreError>>,
}

impl MemoryStore {
    fn data(&self) -> MutexGuard<'_, Data> {
        self.data.lock().expect("no test panics while it holds the lock")
    }
    /// The next commit fails so.
    pub(crate) fn fail_next(&self, error: StoreError) {
        self.fault.lock().expect("not poisoned").push(error);
    }
    pub(crate) fn message_count(&self) -> usize {
        self.data().messages.len()
    }
    /// Fails a message, as the scheduler would.
    pub(crate) fn set_failed(&self, id: Uuid, reason: Reason) {
        let mut data = self.data();
        let stored = data.messages.iter_mut().find(|stored| stored.message.id == id).expect("stored");
        stored.state = stored.state.failed(reason, Timestamp(NOW)).expect("may fail");
    }
}

fn put<T, K: PartialEq>(list: &mut Vec<T>, item: T, key: impl Fn(&T) -> K) {
    match list.iter().position(|known| key(known) == key(&item)) {
        Some(at) => list[at] = item,
        None => list.push(item),
    }
}

/// Holds none: this facade knows no automations.
impl AutomationStore for MemoryStore {}

#[async_trait]
impl Store for MemoryStore {
    async fn commit(&self, batch: Batch) -> StoreResult<Committed> {
        if let Some(error) = self.fault.lock().expect("not poisoned").pop() {
            return Err(error);
        }
        let mut data = self.data();
        let mut committed = Committed::default();
        for change in &batch.changes {
            if let Change::Contact(new) = change
                && data.contacts.iter().any(|known| {
                    known.id != new.id
                        && (known.tenant, known.kind, &known.identifier) == (new.tenant, new.kind, &new.identifier)
                })
            {
                return Err(StoreError::Conflict(Conflict::Contact));
            }
            if let Change::Insert(Insert { tenant, idempotency: Some(new), .. }) = change
                && data.idempotency.contains_key(&(*tenant, new.key))
            {
                return Err(StoreError::Conflict(Conflict::IdempotencyKey));
            }
        }
        for change in batch.changes {
            match change {
                Change::Insert(Insert { tenant, messages, idempotency }) => {
                    let first = data.messages.len() as u64;
                    let count = messages.len() as u32;
                    for content in messages {
                        let key = MessageKey { tenant, serial: data.messages.len() as u64 };
                        let created_at = Timestamp(NOW);
                        let id = pombo_domain::ids::message_id(created_at, key.serial, u64::from(tenant.0));
                        let message = Message { id, key, created_at, content };
                        let state = message.initial_state();
                        data.messages.push(StoredMessage { message, state });
                        committed.inserted.push((key, id, created_at));
                    }
                    if let Some(NewIdempotency { key, request, extra }) = idempotency {
                        let record = IdempotencyRecord { request, at: Timestamp(NOW), messages: (first, count), extra };
                        data.idempotency.insert((tenant, key), record);
                    }
                }
                Change::Update(Update { key, state, .. }) => {
                    let stored = data.messages.iter_mut().find(|stored| stored.message.key == key);
                    stored.ok_or(StoreError::Conflict(Conflict::Message(key)))?.state = state;
                }
                Change::Tenant(tenant) => put(&mut data.tenants, tenant, |t| t.index),
                Change::User(user) => put(&mut data.users, user, |u| u.id),
                Change::ApiKey(key) => put(&mut data.keys, key, |k| k.id),
                Change::Connector(connector) => put(&mut data.connectors, Arc::new(connector), |c| c.index),
                Change::Contact(contact) => put(&mut data.contacts, contact, |c| c.id),
                Change::DeleteContact(tenant, id) => data.contacts.retain(|c| (c.tenant, c.id) != (tenant, id)),
                Change::Import(import) => put(&mut data.imports, import, |i| i.id),
                Change::Event(AppendEvent { tenant, event, .. }) => {
                    let serial = data.events.iter().filter(|known| known.key.tenant == tenant).count() as u64 + 1;
                    data.events.push(Event { key: EventKey { tenant, serial }, event });
                }
                Change::Receipts(key, receipts) => drop(data.receipts.insert(key, receipts)),
                Change::Health(connector, health) => drop(data.health.insert(connector, health)),
                Change::ContactAlias { tenant, kind, alias, identifier } => {
                    data.aliases.insert((tenant, kind, alias), identifier);
                }
                Change::Delivery(_) | Change::Pace(..) | Change::Kv(..) | Change::Automation(_) => {}
            }
        }
        Ok(committed)
    }
    fn observe(&self, _: Arc<dyn CommitObserver>) {}
    fn health(&self) -> StoreHealth {
        StoreHealth::Good
    }
    fn message(&self, key: MessageKey) -> StoreResult<Option<StoredMessage>> {
        Ok(self.data().messages.iter().find(|stored| stored.message.key == key).cloned())
    }
    fn messages(&self, keys: &[MessageKey]) -> StoreResult<Vec<Option<StoredMessage>>> {
        keys.iter().map(|key| self.message(*key)).collect()
    }
    fn message_by_id(&self, tenant: TenantIndex, id: Uuid) -> StoreResult<Option<StoredMessage>> {
        let fits = |stored: &&StoredMessage| stored.message.key.tenant == tenant && stored.message.id == id;
        Ok(self.data().messages.iter().find(fits).cloned())
    }
    async fn list_messages(
        &self,
        tenant: TenantIndex,
        filter: MessageFilter,
        offset: u64,
        limit: u32,
    ) -> StoreResult<MessagePage> {
        let words: Vec<String> =
            filter.search.iter().flat_map(|search| search.split_whitespace()).map(str::to_lowercase).collect();
        let fits = |stored: &&StoredMessage| {
            let content = &stored.message.content;
            let text = format!("{} {} {}", content.to, content.text, content.contact_name.as_deref().unwrap_or(""));
            let text = text.to_lowercase();
            stored.message.key.tenant == tenant
                && filter.status.is_none_or(|status| status == stored.state.status)
                && filter.connector.is_none_or(|connector| connector == content.connector)
                && filter.message_type.is_none_or(|kind| kind == content.message_type)
                && (filter.external_id.is_none() || filter.external_id == content.external_id)
                && filter.from.is_none_or(|from| stored.message.created_at >= from)
                && filter.to.is_none_or(|to| stored.message.created_at <= to)
                && words.iter().all(|word| text.contains(word))
        };
        let data = self.data();
        let matches: Vec<&StoredMessage> = data.messages.iter().rev().filter(fits).collect();
        let total = matches.len() as u64;
        let rows = matches.into_iter().skip(offset as usize).take(limit as usize).cloned().collect();
        Ok(MessagePage { rows, total })
    }
    fn status_counts(&self, tenant: TenantIndex) -> [u64; 8] {
        let mut counts = [0; 8];
        for stored in self.data().messages.iter().filter(|stored| stored.message.key.tenant == tenant) {
            counts[stored.state.status as usize] += 1;
        }
        counts
    }
    fn idempotency(&self, tenant: TenantIndex, key: &[u8; 32]) -> StoreResult<Option<IdempotencyRecord>> {
        Ok(self.data().idempotency.get(&(tenant, *key)).cloned())
    }
    fn ready(&self, _: ConnectorIndex, _: Option<ReadyOrder>, _: usize) -> StoreResult<Vec<ReadyEntry>> {
        Ok(Vec::new())
    }
    fn scheduled(&self, _: Timestamp, _: Option<ScheduledEntry>, _: usize) -> StoreResult<Vec<ScheduledEntry>> {
        Ok(Vec::new())
    }
    fn next_scheduled(&self) -> StoreResult<Option<Timestamp>> {
        Ok(None)
    }
    fn in_flight(&self, _: Option<MessageKey>, _: usize) -> StoreResult<Vec<MessageKey>> {
        Ok(Vec::new())
    }
    fn due_deliveries(&self, _: Timestamp, _: usize) -> StoreResult<Vec<DeliveryKey>> {
        Ok(Vec::new())
    }
    fn next_delivery(&self) -> StoreResult<Option<Timestamp>> {
        Ok(None)
    }
    fn delivery(&self, _: DeliveryKey) -> StoreResult<Option<Delivery>> {
        Ok(None)
    }
    fn delivery_by_id(&self, _: TenantIndex, _: Uuid) -> StoreResult<Option<Delivery>> {
        Ok(None)
    }
    fn deliveries(&self, _: TenantIndex, _: &DeliveryFilter, _: u64, _: u32) -> StoreResult<Vec<Delivery>> {
        Ok(Vec::new())
    }
    fn tenants(&self) -> StoreResult<Vec<Tenant>> {
        Ok(self.data().tenants.clone())
    }
    fn tenant_by_id(&self, id: Uuid) -> StoreResult<Option<Tenant>> {
        Ok(self.data().tenants.iter().find(|tenant| tenant.id == id).cloned())
    }
    fn tenant(&self, index: TenantIndex) -> StoreResult<Option<Tenant>> {
        Ok(self.data().tenants.iter().find(|tenant| tenant.index == index).cloned())
    }
    async fn next_tenant_index(&self) -> StoreResult<TenantIndex> {
        Ok(TenantIndex(self.data().tenants.len() as u32 + 1))
    }
    fn user_by_email(&self, email: &str) -> StoreResult<Option<User>> {
        Ok(self.data().users.iter().find(|user| user.email == email).cloned())
    }
    fn users(&self, tenant: TenantIndex) -> StoreResult<Vec<User>> {
        Ok(self.data().users.iter().filter(|user| user.tenant == tenant).cloned().collect())
    }
    fn api_key_by_hash(&self, hash: &[u8; 32]) -> StoreResult<Option<ApiKey>> {
        Ok(self.data().keys.iter().find(|key| key.hash == *hash).cloned())
    }
    fn api_keys(&self, tenant: TenantIndex) -> StoreResult<Vec<ApiKey>> {
        Ok(self.data().keys.iter().filter(|key| key.tenant == tenant).cloned().collect())
    }
    async fn next_connector_index(&self) -> StoreResult<ConnectorIndex> {
        Ok(ConnectorIndex(self.data().connectors.len() as u32 + 1))
    }
    fn connector(&self, index: ConnectorIndex) -> StoreResult<Option<Arc<Connector>>> {
        Ok(self.data().connectors.iter().find(|connector| connector.index == index).cloned())
    }
    fn connector_by_id(&self, tenant: TenantIndex, id: Uuid) -> StoreResult<Option<Arc<Connector>>> {
        Ok(self.data().connectors.iter().find(|c| (c.tenant, c.id) == (tenant, id)).cloned())
    }
    fn connectors(&self, tenant: Option<TenantIndex>) -> StoreResult<Vec<Arc<Connector>>> {
        let fits = |c: &&Arc<Connector>| {
            tenant.is_none_or(|tenant| c.tenant == tenant) && c.status != ConnectorStatus::Deleted
        };
        Ok(self.data().connectors.iter().filter(fits).cloned().collect())
    }
    fn pace_state(&self, _: ConnectorIndex) -> StoreResult<PaceState> {
        Ok(PaceState::default())
    }
    fn contact(&self, tenant: TenantIndex, kind: ContactType, identifier: &str) -> StoreResult<Option<Contact>> {
        let data = self.data();
        let known = data.aliases.get(&(tenant, kind, identifier.to_owned())).map_or(identifier, String::as_str);
        let fits = |c: &&Contact| (c.tenant, c.kind, c.identifier.as_str()) == (tenant, kind, known);
        Ok(data.contacts.iter().find(fits).cloned())
    }
    fn contact_by_id(&self, tenant: TenantIndex, id: Uuid) -> StoreResult<Option<Contact>> {
        Ok(self.data().contacts.iter().find(|c| (c.tenant, c.id) == (tenant, id)).cloned())
    }
    fn contacts(&self, tenant: TenantIndex, after: Option<Uuid>, limit: usize) -> StoreResult<Vec<Contact>> {
        let mut contacts: Vec<Contact> = self.data().contacts.iter().filter(|c| c.tenant == tenant).cloned().collect();
        contacts.sort_by_key(|contact| contact.id);
        Ok(contacts.into_iter().filter(|c| after.is_none_or(|after| c.id > after)).take(limit).collect())
    }
    fn contact_aliases(&self, tenant: TenantIndex, kind: ContactType, identifier: &str) -> StoreResult<Vec<String>> {
        let data = self.data();
        let mine =
            data.aliases.iter().filter(|(key, to)| (key.0, key.1) == (tenant, kind) && to.as_str() == identifier);
        Ok(mine.map(|(key, _)| key.2.clone()).collect())
    }
    fn events(
        &self,
        tenant: TenantIndex,
        filter: &EventFilter,
        after: u64,
        limit: usize,
    ) -> StoreResult<(Vec<Event>, u64)> {
        let data = self.data();
        let mut looked = after;
        let mut found = Vec::new();
        for event in data.events.iter().filter(|event| event.key.tenant == tenant && event.key.serial > after) {
            if found.len() == limit {
                break;
            }
            looked = event.key.serial;
            let wanted = filter.connector.is_none_or(|connector| connector == event.event.connector)
                && (filter.kinds.is_empty() || filter.kinds.iter().any(|kind| kind == event.event.body.kind()));
            if wanted {
                found.push(event.clone());
            }
        }
        Ok((found, looked))
    }
    fn last_event(&self, tenant: TenantIndex) -> StoreResult<u64> {
        Ok(self.data().events.iter().filter(|event| event.key.tenant == tenant).count() as u64)
    }
    async fn forget_events(&self, _: Timestamp, _: usize) -> StoreResult<usize> {
        Ok(0)
    }
    fn receipts(&self, key: MessageKey) -> StoreResult<Receipts> {
        Ok(self.data().receipts.get(&key).cloned().unwrap_or_default())
    }
    fn health_state(&self, connector: ConnectorIndex) -> StoreResult<HealthState> {
        Ok(self.data().health.get(&connector).cloned().unwrap_or_default())
    }
    fn import(&self, tenant: TenantIndex, id: Uuid) -> StoreResult<Option<Import>> {
        Ok(self.data().imports.iter().find(|i| (i.tenant, i.id) == (tenant, id)).cloned())
    }
    fn imports(&self, tenant: TenantIndex, limit: usize) -> StoreResult<Vec<Import>> {
        Ok(self.data().imports.iter().filter(|i| i.tenant == tenant).take(limit).cloned().collect())
    }
    fn kv_get(&self, _: ConnectorIndex, _: &str) -> StoreResult<Option<Vec<u8>>> {
        Ok(None)
    }
    fn kv_list(&self, _: ConnectorIndex, _: &str, _: Option<&str>, _: usize) -> StoreResult<Vec<(String, Vec<u8>)>> {
        Ok(Vec::new())
    }
    fn kv_bytes(&self, _: ConnectorIndex) -> StoreResult<u64> {
        Ok(0)
    }
}

/// A clock that stands until it is moved.
pub(crate) struct StandingClock(pub(crate) AtomicI64);

#[async_trait]
impl Clock for StandingClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::Relaxed))
    }
    async fn sleep_until(&self, at: Timestamp) {
        if self.now() < at {
            std::future::pending().await
        }
    }
}

struct Counting(AtomicU64);

impl Entropy for Counting {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let n = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed).to_le_bytes();
            chunk.copy_from_slice(&n[..chunk.len()]);
        }
    }
}

struct PlainPasswords;

#[async_trait]
impl PasswordHasher for PlainPasswords {
    async fn hash(&self, password: String) -> Result<String, pombo_domain::Error> {
        Ok(format!("plain:{password}"))
    }
    async fn verify(&self, password: String, phc: Option<String>) -> Result<bool, pombo_domain::Error> {
        Ok(phc == Some(format!("plain:{password}")))
    }
}

struct OpenBox;

impl SecretBox for OpenBox {
    fn seal(&self, _: &str, plain: &[u8]) -> Vec<u8> {
        plain.to_vec()
    }
    fn open(&self, _: &str, sealed: &[u8]) -> Result<Vec<u8>, SecretError> {
        Ok(sealed.to_vec())
    }
}

/// Fills in `{{ name }}`; an undefined one is an error.
struct Braces;

#[async_trait]
impl Renderer for Braces {
    async fn render(&self, jobs: Vec<RenderJob>) -> Vec<Result<String, RenderError>> {
        jobs.into_iter().map(|job| fill_in(&job.template, &job.variables)).collect()
    }
    async fn preview(&self, template: &str, variables: &str, samples: u32) -> Result<Preview, RenderError> {
        let text = fill_in(template, variables)?;
        let samples = vec![text; samples as usize];
        Ok(Preview { samples, distinct_texts: 1, collision_probability: 1.0, variables: Vec::new() })
    }
}

fn fill_in(template: &str, variables: &str) -> Result<String, RenderError> {
    let variables: Value = serde_json::from_str(variables).expect("variables are JSON");
    let problem =
        |message: String, at: usize| RenderError::Template(TemplateProblem { message, line: 1, column: at as u32 + 1 });
    let mut out = String::new();
    let mut rest = template;
    while let Some(at) = rest.find("{{") {
        let done = template.len() - rest.len();
        let at_char = template[..done + at].chars().count();
        let end = rest.find("}}").ok_or_else(|| problem("the tag is not closed".to_owned(), at_char))?;
        let name = rest[at + 2..end].trim();
        let value = match &variables[name] {
            Value::Null => return Err(problem(format!("the variable {name:?} is not defined"), at_char)),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        out.push_str(&rest[..at]);
        out.push_str(&value);
        rest = &rest[end + 2..];
    }
    out.push_str(rest);
    Ok(out)
}

/// Two plugins: `connector-email` wants an `@` and lowers the domain; `connector-whatsapp` takes digits, and its sessions do what a
/// test prepares.
#[derive(Default)]
pub(crate) struct FakePlugins {
    sessions: watch::Sender<HashMap<ConnectorIndex, SessionState>>,
    /// What was asked of connectors besides sending.
    asked: Mutex<Vec<Operation>>,
    /// What the session becomes when one is opened.
    opens: Mutex<Vec<SessionState>>,
    fault: Mutex<Option<OperationError>>,
}

impl FakePlugins {
    /// The session stands so from now on.
    pub(crate) fn set_session(&self, connector: ConnectorIndex, state: SessionState) {
        self.sessions.send_modify(|sessions| drop(sessions.insert(connector, state)));
    }
    /// Opening takes the session through these states.
    pub(crate) fn opens_with(&self, states: Vec<SessionState>) {
        *self.opens.lock().expect("not poisoned") = states;
    }
    /// The next operation fails so.
    pub(crate) fn fail_next(&self, error: OperationError) {
        *self.fault.lock().expect("not poisoned") = Some(error);
    }
    /// What was asked since this was last called.
    pub(crate) fn asked(&self) -> Vec<Operation> {
        std::mem::take(&mut *self.asked.lock().expect("not poisoned"))
    }
}

#[async_trait]
impl Connectors for FakePlugins {
    fn plugins(&self) -> Vec<PluginDescription> {
        let email = PluginDescription {
            name: "connector-email".to_owned(),
            version: "0.1.0".to_owned(),
            digest: "00".repeat(32),
            channel: "email".to_owned(),
            display_name: "E-mail".to_owned(),
            config_schema: json!({"type": "object", "properties": {"host": {"type": "string"}}, "required": ["host"]}),
            secret_fields: vec!["password".to_owned()],
            capabilities: vec!["smtp".to_owned()],
            features: Vec::new(),
            idempotent_resend: true,
            max_in_flight: 8,
            needs_session: false,
            pace: None,
        };
        let whatsapp = PluginDescription {
            name: "connector-whatsapp".to_owned(),
            channel: "whatsapp".to_owned(),
            config_schema: json!({"type": "object"}),
            secret_fields: Vec::new(),
            capabilities: vec!["websocket".to_owned()],
            features: vec!["attachments".to_owned(), "sessions".to_owned()],
            needs_session: true,
            ..email.clone()
        };
        vec![email, whatsapp]
    }
    fn check_config(&self, plugin: &str, config: &Value) -> Result<(), Vec<pombo_domain::FieldProblem>> {
        if config["host"].is_string() || plugin == "connector-whatsapp" {
            return Ok(());
        }
        Err(vec![pombo_domain::FieldProblem { field: "host".to_owned(), message: "is required".to_owned() }])
    }
    async fn check_recipients(
        &self,
        plugin: &str,
        recipients: Vec<String>,
    ) -> Result<Vec<Result<String, String>>, ConnectorError> {
        let email = |to: String| match to.split_once('@') {
            Some((local, domain)) => Ok(format!("{local}@{}", domain.to_lowercase())),
            None => Err("must be an e-mail address such as name@example.com".to_owned()),
        };
        let phone = |to: String| match to.bytes().all(|b| b.is_ascii_digit()) && (8..=15).contains(&to.len()) {
            true => Ok(to),
            false => Err("must be digits with country and area code, for example 5511999998888".to_owned()),
        };
        match plugin {
            "connector-email" => Ok(recipients.into_iter().map(email).collect()),
            "connector-whatsapp" => Ok(recipients.into_iter().map(phone).collect()),
            other => Err(ConnectorError::UnknownPlugin(other.to_owned())),
        }
    }
    async fn start(&self, _: ConnectorSpec) -> Result<(), ConnectorError> {
        Ok(())
    }
    async fn stop(&self, _: ConnectorIndex) {}
    async fn send(&self, _: ConnectorIndex, _: Outgoing) -> SendOutcome {
        SendOutcome::Accepted { provider_id: None }
    }
    async fn operate(&self, connector: ConnectorIndex, operation: Operation) -> Result<Answer, OperationError> {
        self.asked.lock().expect("not poisoned").push(operation.clone());
        if let Some(error) = self.fault.lock().expect("not poisoned").take() {
            return Err(error);
        }
        match operation {
            Operation::OpenSession(None) => {
                let states = std::mem::take(&mut *self.opens.lock().expect("not poisoned"));
                let sessions = self.sessions.clone();
                tokio::spawn(async move {
                    for state in states {
                        tokio::task::yield_now().await;
                        sessions.send_modify(|sessions| drop(sessions.insert(connector, state)));
                    }
                });
            }
            Operation::CloseSession => {
                self.set_session(connector, SessionState::Unpaired("closed by a person".to_owned()));
            }
            _ => return Err(OperationError::Unsupported("this".to_owned())),
        }
        Ok(Answer::Done)
    }
    fn session(&self, connector: ConnectorIndex) -> SessionState {
        self.sessions.borrow().get(&connector).cloned().unwrap_or(SessionState::Connected)
    }
    fn account(&self, connector: ConnectorIndex) -> Option<Account> {
        let address = "5511900000001".to_owned();
        let connected = self.session(connector) == SessionState::Connected;
        connected.then(|| Account { address, display_name: None, aliases: Vec::new() })
    }
    async fn session_after(&self, connector: ConnectorIndex, seen: &SessionState) -> SessionState {
        let mut sessions = self.sessions.subscribe();
        let _ = sessions.wait_for(|_| self.session(connector) != *seen).await;
        self.session(connector)
    }
    async fn reload(&self, plugin: &str) -> Result<PluginDescription, ConnectorError> {
        self.plugin(plugin).ok_or_else(|| ConnectorError::UnknownPlugin(plugin.to_owned()))
    }
}

/// No uploaded plugins.
struct NoPlugins;

#[async_trait]
impl PluginEngine for NoPlugins {
    async fn inspect(&self, _: Bytes) -> Result<Inspected, Refusal> {
        Err(Refusal::Busy)
    }
    async fn component(&self, _: &str) -> Option<Bytes> {
        None
    }
    async fn forget(&self, _: &str) {}
    async fn check_config(&self, _: &str, _: &Value) -> Result<(), Vec<pombo_domain::FieldProblem>> {
        Ok(())
    }
    async fn call(&self, _: AutomationCall) -> CallResult {
        let outcome = Err(CallFailure::NotCalled("there are no plugins".to_owned()));
        CallResult { outcome, inputs: Vec::new(), cpu: Duration::ZERO, memory: 0 }
    }
    fn embedded(&self) -> Vec<Inspected> {
        Vec::new()
    }
}

impl PluginTelemetry for NoPlugins {
    fn lines(&self, _: &str, _: Option<TenantIndex>, _: u64, _: usize) -> Vec<PluginLine> {
        Vec::new()
    }
    fn follow(&self) -> Box<dyn LineWatch> {
        Box::new(NoPlugins)
    }
    fn usage(&self, _: &str) -> BTreeMap<String, PluginUse> {
        BTreeMap::new()
    }
    fn since(&self, _: &str, _: &str, _: &UseMark) -> rollout::VersionStats {
        rollout::VersionStats::default()
    }
    fn mark(&self, _: &str, _: &str) -> UseMark {
        UseMark::default()
    }
}

#[async_trait]
impl LineWatch for NoPlugins {
    async fn written(&mut self, _: &str) -> bool {
        false
    }
}

struct PublicOnly;

impl OutboundGuard for PublicOnly {
    fn check_url(&self, url: &str) -> Result<(), OutboundError> {
        let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
        match rest {
            None => Err(OutboundError::BadUrl("must be an http or https URL".to_owned())),
            Some(rest) if rest.starts_with("127.") || rest.starts_with("localhost") => Err(OutboundError::Forbidden),
            Some(_) => Ok(()),
        }
    }
    fn check_address(&self, address: IpAddr) -> bool {
        !address.is_loopback()
    }
}

struct Folder(PathBuf, AtomicU64);

struct FolderWriter {
    path: PathBuf,
    bytes: Vec<u8>,
    attachment: Attachment,
}

#[async_trait]
impl MediaWriter for FolderWriter {
    async fn write(&mut self, chunk: &[u8]) -> Result<(), MediaError> {
        if self.bytes.len() + chunk.len() > attachment::MAX_FILE_BYTES as usize {
            return Err(MediaError::TooLarge);
        }
        self.bytes.extend_from_slice(chunk);
        Ok(())
    }
    async fn finish(mut self: Box<Self>) -> Result<Attachment, MediaError> {
        std::fs::write(&self.path, &self.bytes)?;
        self.attachment.size = self.bytes.len() as u64;
        Ok(self.attachment)
    }
}

#[async_trait]
impl MediaStore for Folder {
    async fn create(
        &self,
        tenant: TenantIndex,
        file_name: &str,
        content_type: Option<&str>,
    ) -> Result<Box<dyn MediaWriter>, MediaError> {
        let id = Uuid::from_u128(u128::from(self.1.fetch_add(1, Ordering::Relaxed)));
        let attachment = Attachment {
            id,
            file_name: file_name.to_owned(),
            content_type: content_type.unwrap_or("application/octet-stream").to_owned(),
            size: 0,
        };
        Ok(Box::new(FolderWriter { path: self.path(tenant, id), bytes: Vec::new(), attachment }))
    }
    fn path(&self, tenant: TenantIndex, id: Uuid) -> PathBuf {
        self.0.join(format!("{}-{id}", tenant.0))
    }
    async fn delete(&self, tenant: TenantIndex, id: Uuid) -> Result<(), MediaError> {
        match std::fs::remove_file(self.path(tenant, id)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }
}

/// A tenant with what it needs to call.
pub(crate) struct TestTenant {
    pub(crate) tenant: Tenant,
    pub(crate) api_key: String,
    pub(crate) connector: Arc<Connector>,
}

/// The whole outside of the facades.
pub(crate) struct World {
    pub(crate) state: Arc<ApiState>,
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) clock: Arc<StandingClock>,
    pub(crate) plugins: Arc<FakePlugins>,
    pub(crate) media: TempDir,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with_limits(Limits::default())
    }

    pub(crate) fn with_limits(limits: Limits) -> Self {
        let store = Arc::new(MemoryStore::default());
        let clock = Arc::new(StandingClock(AtomicI64::new(NOW)));
        let plugins = Arc::new(FakePlugins::default());
        let media = TempDir::new().expect("a temporary folder");
        let commands = Commands::new(Ports {
            store: store.clone(),
            clock: clock.clone(),
            entropy: Arc::new(Counting(AtomicU64::new(1))),
            passwords: Arc::new(PlainPasswords),
            secrets: Arc::new(OpenBox),
            renderer: Arc::new(Braces),
            connectors: plugins.clone(),
            guard: Arc::new(PublicOnly),
            media: Arc::new(Folder(media.path().to_owned(), AtomicU64::new(1))),
            plugins: Arc::new(NoPlugins),
            telemetry: Arc::new(NoPlugins),
            plugin_policy: PluginPolicy::default(),
        });
        let options = ApiOptions {
            public_url: "http://127.0.0.1:8080".to_owned(),
            secret: b"a secret of at least 32 bytes, for tests".to_vec(),
            token_lifetime: Duration::from_secs(3600),
            media_link_lifetime: Duration::from_secs(3600),
            operator_token_hash: Some(hash_api_key(OPERATOR_TOKEN)),
            sendsync_hosts: vec!["sendsync.example.com".to_owned()],
            limits,
        };
        Self { state: ApiState::new(commands, options), store, clock, plugins, media }
    }

    /// A tenant named `name` with a user, a key and an e-mail connector.
    pub(crate) async fn tenant(&self, name: &str) -> TestTenant {
        let commands = &self.state.commands;
        let tenant = commands.create_tenant(name).await.expect("creates");
        let user =
            UserRequest { email: format!("{name}@example.com"), name: name.to_owned(), password: PASSWORD.to_owned() };
        commands.create_user(tenant.index, user).await.expect("creates");
        let api_key = commands.create_api_key(tenant.index, "test").await.expect("creates").key;
        let request = pombo_domain::commands::connectors::ConnectorRequest {
            name: "E-mail".to_owned(),
            plugin: "connector-email".to_owned(),
            config: json!({"host": "mail.example.com"}),
            pace: None,
        };
        let connector = commands.create_connector(tenant.index, request).await.expect("creates").connector;
        TestTenant { tenant, api_key, connector }
    }

    /// A WhatsApp connector of a tenant, whose session stands so.
    pub(crate) async fn whatsapp(&self, tenant: TenantIndex, session: SessionState) -> Arc<Connector> {
        let request = pombo_domain::commands::connectors::ConnectorRequest {
            name: "WhatsApp".to_owned(),
            plugin: "connector-whatsapp".to_owned(),
            config: json!({}),
            pace: None,
        };
        let made = self.state.commands.create_connector(tenant, request).await.expect("creates").connector;
        self.plugins.set_session(made.index, session);
        made
    }

    /// Files in the media folder.
    pub(crate) fn files(&self) -> usize {
        std::fs::read_dir(self.media.path()).expect("the folder").count()
    }
}
