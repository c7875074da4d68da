//! What the store holds of automations, conversations and packages. Lanes are kept as far as this facade shows them.

use std::collections::BTreeMap;
use std::sync::Arc;

use pombo_domain::model::work::ANSWERING;
use pombo_domain::model::*;
use pombo_domain::ports::*;
use pombo_domain::{AutomationIndex, ConnectorIndex, TenantIndex, Timestamp};
use uuid::Uuid;

use super::FakeStore;

#[derive(Default)]
pub(super) struct Automations {
    automations: BTreeMap<AutomationIndex, Arc<Automation>>,
    conversations: BTreeMap<Uuid, Conversation>,
    work: Vec<Work>,
    timers: Vec<TimerKey>,
    parked: BTreeMap<Uuid, Parked>,
    recordings: Vec<(AutomationIndex, Vec<u8>)>,
    packages: BTreeMap<String, Arc<Package>>,
    roots: BTreeMap<Uuid, TrustRoot>,
    audit: Vec<AuditEntry>,
}

impl Automations {
    pub(super) fn check(&self, change: &AutomationChange) -> StoreResult<()> {
        let conflict = match change {
            AutomationChange::Conversation(tenant, id, _) => {
                let there = self.conversations.get(id).is_some_and(|known| known.tenant == *tenant);
                (!there).then_some(Conflict::Gone)
            }
            AutomationChange::Unpark(tenant, id) | AutomationChange::Discard(tenant, id) => {
                let there = self.parked.get(id).is_some_and(|known| known.work.tenant == *tenant);
                (!there).then_some(Conflict::Gone)
            }
            AutomationChange::Package(package) => {
                let stored = self.packages.get(&package.name).map_or(0, |known| known.revision);
                (package.revision != stored + 1).then(|| Conflict::Package(package.name.clone()))
            }
            AutomationChange::DeletePackage(name, revision) => {
                let there = self.packages.get(name).is_some_and(|known| known.revision == *revision);
                (!there).then(|| Conflict::Package(name.clone()))
            }
            _ => None,
        };
        conflict.map_or(Ok(()), |conflict| Err(StoreError::Conflict(conflict)))
    }

    pub(super) fn apply(&mut self, change: AutomationChange, now: Timestamp) {
        match change {
            AutomationChange::Put(automation) => {
                self.automations.insert(automation.index, Arc::new(automation));
            }
            AutomationChange::Event(new) => self.event(new),
            AutomationChange::Open { tenant, connector, chat, is_group } => {
                self.opened(tenant, connector, chat, is_group, now);
            }
            AutomationChange::Conversation(_, id, steps) => {
                if let Some(conversation) = self.conversations.get_mut(&id) {
                    for step in &steps {
                        conversation.apply(step);
                    }
                }
            }
            AutomationChange::SetTimer { key, .. } => self.timers.push(key),
            AutomationChange::Record { automation, sealed, .. } => self.recordings.insert(0, (automation, sealed)),
            AutomationChange::Unpark(_, id) => {
                let parked = self.parked.remove(&id).expect("checked");
                self.work.push(Work { failures: 0, after: None, ..parked.work });
            }
            AutomationChange::Discard(_, id) => drop(self.parked.remove(&id)),
            AutomationChange::Package(package) => {
                self.packages.insert(package.name.clone(), Arc::new(package));
            }
            AutomationChange::DeletePackage(name, _) => drop(self.packages.remove(&name)),
            AutomationChange::TrustRoot(root) => drop(self.roots.insert(root.id, root)),
            AutomationChange::Audit(entry) => self.audit.insert(0, entry),
            other => unreachable!("no facade asks for {other:?}"),
        }
    }

    fn event(&mut self, new: NewWork) {
        let kind = new.body.kind();
        let addressee = new.body.addressee();
        let asked = |automation: &&Arc<Automation>| {
            automation.connector == new.connector
                && automation.listens_to(kind, new.is_group)
                && addressee.is_none_or(|one| one == automation.index)
        };
        let Some(first) = self.automations.values().find(asked) else { return };
        let lane = if first.observer { first.index.0 } else { ANSWERING };
        let conversation = self.opened(new.tenant, new.connector, new.chat, new.is_group, new.at);
        let number = self.work.len() as u64;
        self.work.push(Work {
            key: WorkKey { conversation, lane, number },
            tenant: new.tenant,
            id: new.id,
            at: new.at,
            body: new.body,
            failures: 0,
            due_at: new.at,
            after: None,
        });
    }

    fn opened(
        &mut self,
        tenant: TenantIndex,
        connector: ConnectorIndex,
        chat: String,
        is_group: bool,
        at: Timestamp,
    ) -> Uuid {
        let known = self.conversations.values().find(|known| known.connector == connector && known.chat == chat);
        if let Some(known) = known {
            return known.id;
        }
        let id = Uuid::from_u128((0x0c0c << 64) | (self.conversations.len() as u128 + 1));
        let conversation = Conversation {
            id,
            tenant,
            connector,
            chat,
            is_group,
            contact_name: None,
            opened_at: at,
            last_event_at: at,
            tags: Vec::new(),
            assignee: None,
            handover: None,
            next_work: 0,
        };
        self.conversations.insert(id, conversation);
        id
    }
}

impl FakeStore {
    /// Puts an item aside, as a runner would after the last try.
    pub(in crate::tests) fn park(&self, id: Uuid, automation: AutomationIndex, work: Work) {
        let (code, reason) = ("trap".to_owned(), "it failed".to_owned());
        let parked = Parked { id, work, automation, tries: 5, code, reason, at: Timestamp(7) };
        self.held().parked.insert(id, parked);
    }
}

impl AutomationStore for FakeStore {
    fn automation(&self, index: AutomationIndex) -> StoreResult<Option<Arc<Automation>>> {
        Ok(self.held().automations.get(&index).cloned())
    }
    fn automation_by_id(&self, tenant: TenantIndex, id: Uuid) -> StoreResult<Option<Arc<Automation>>> {
        let all = self.held();
        Ok(all.automations.values().find(|known| (known.tenant, known.id) == (tenant, id)).cloned())
    }
    fn automations_on(&self, connector: ConnectorIndex) -> StoreResult<Arc<[Arc<Automation>]>> {
        let mut on = self.automations(None)?;
        on.retain(|automation| automation.connector == connector);
        on.sort_by_key(|automation| automation.order());
        Ok(on.into())
    }
    fn automations(&self, tenant: Option<TenantIndex>) -> StoreResult<Vec<Arc<Automation>>> {
        let all = self.held();
        let live = all.automations.values().filter(|known| {
            known.status != AutomationStatus::Deleted && tenant.is_none_or(|tenant| known.tenant == tenant)
        });
        Ok(live.cloned().collect())
    }
    fn conversation(&self, id: Uuid) -> StoreResult<Option<Conversation>> {
        Ok(self.held().conversations.get(&id).cloned())
    }
    fn conversation_with(&self, connector: ConnectorIndex, chat: &str) -> StoreResult<Option<Conversation>> {
        let all = self.held();
        Ok(all.conversations.values().find(|known| known.connector == connector && known.chat == chat).cloned())
    }
    /// Looks at three at a time: a reader must continue after a short page.
    fn conversations(
        &self,
        tenant: TenantIndex,
        filter: &ConversationFilter,
        after: Option<Uuid>,
        limit: usize,
    ) -> StoreResult<(Vec<Conversation>, Option<Uuid>)> {
        let all = self.held();
        let mine = all.conversations.values().filter(|c| c.tenant == tenant && after.is_none_or(|after| c.id > after));
        let mut found = Vec::new();
        for (looked, conversation) in mine.enumerate() {
            let wanted = filter.connector.is_none_or(|connector| connector == conversation.connector)
                && filter.paused.is_none_or(|paused| paused == conversation.handover.is_some())
                && filter.tag.as_ref().is_none_or(|tag| conversation.tags.contains(tag))
                && (filter.assignee.is_none() || filter.assignee == conversation.assignee);
            if wanted {
                found.push(conversation.clone());
            }
            if found.len() == limit || looked == 2 {
                return Ok((found, Some(conversation.id)));
            }
        }
        Ok((found, None))
    }
    fn work(&self, conversation: Uuid, lane: u32, limit: usize) -> StoreResult<Vec<Work>> {
        let all = self.held();
        let lane = all.work.iter().filter(|work| (work.key.conversation, work.key.lane) == (conversation, lane));
        Ok(lane.take(limit).cloned().collect())
    }
    fn timers_of(&self, conversation: Uuid) -> StoreResult<Vec<TimerKey>> {
        Ok(self.held().timers.iter().filter(|timer| timer.conversation == conversation).cloned().collect())
    }
    fn parked(&self, tenant: TenantIndex, after: Option<Uuid>, limit: usize) -> StoreResult<Vec<Parked>> {
        let all = self.held();
        let later = all.parked.values().filter(|p| p.work.tenant == tenant && after.is_none_or(|after| p.id > after));
        Ok(later.take(limit).cloned().collect())
    }
    fn parked_by_id(&self, tenant: TenantIndex, id: Uuid) -> StoreResult<Option<Parked>> {
        Ok(self.held().parked.get(&id).filter(|parked| parked.work.tenant == tenant).cloned())
    }
    fn recordings(&self, automation: AutomationIndex, limit: usize) -> StoreResult<Vec<Vec<u8>>> {
        let all = self.held();
        let kept = all.recordings.iter().filter(|(of, _)| *of == automation);
        Ok(kept.take(limit).map(|(_, sealed)| sealed.clone()).collect())
    }
    fn package(&self, name: &str) -> StoreResult<Option<Arc<Package>>> {
        Ok(self.held().packages.get(name).cloned())
    }
    fn packages(&self) -> StoreResult<Vec<Arc<Package>>> {
        Ok(self.held().packages.values().cloned().collect())
    }
    fn trust_roots(&self) -> StoreResult<Vec<TrustRoot>> {
        Ok(self.held().roots.values().cloned().collect())
    }
    fn audit(&self, plugin: &str, limit: usize) -> StoreResult<Vec<AuditEntry>> {
        Ok(self.held().audit.iter().filter(|entry| entry.plugin == plugin).take(limit).cloned().collect())
    }
}
