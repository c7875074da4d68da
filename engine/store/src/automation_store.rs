//! The [`AutomationStore`] port: reads of automations, conversations, work and packages. What happens for each event is answered
//! from memory where it can be.

use std::sync::Arc;

use pombo_domain::model::*;
use pombo_domain::ports::*;
use pombo_domain::{AutomationIndex, ConnectorIndex, TenantIndex, Timestamp};
use uuid::Uuid;

use crate::DiskStore;
use crate::codec::damaged;
use crate::keys;
use crate::roster::Numbered;
use crate::tables::conversations::{self, Stored};
use crate::tables::{packages, recordings, timers, work};

impl DiskStore {
    fn stored(&self, id: Uuid) -> StoreResult<Option<Arc<Stored>>> {
        match self.memory.hot.get(id) {
            Some(stored) => Ok(Some(stored)),
            None => Ok(conversations::read(&*self.memory.backend, id)?.map(Arc::new)),
        }
    }
}

impl AutomationStore for DiskStore {
    fn automation(&self, index: AutomationIndex) -> StoreResult<Option<Arc<Automation>>> {
        Ok(self.memory.catalog.read().roster.automations.get(&index).cloned())
    }

    fn automation_by_id(&self, tenant: TenantIndex, id: Uuid) -> StoreResult<Option<Arc<Automation>>> {
        Ok(self.memory.catalog.read().roster.by_id(tenant, id).cloned())
    }

    fn automations_on(&self, connector: ConnectorIndex) -> StoreResult<Arc<[Arc<Automation>]>> {
        Ok(self.memory.catalog.read().roster.on(connector))
    }

    fn automations(&self, tenant: Option<TenantIndex>) -> StoreResult<Vec<Arc<Automation>>> {
        let catalog = self.memory.catalog.read();
        let listed = |a: &&Arc<Automation>| {
            a.status != AutomationStatus::Deleted && tenant.is_none_or(|tenant| a.tenant == tenant)
        };
        Ok(catalog.roster.automations.values().filter(listed).cloned().collect())
    }

    fn conversation(&self, id: Uuid) -> StoreResult<Option<Conversation>> {
        Ok(self.stored(id)?.map(|stored| stored.conversation.clone()))
    }

    fn conversation_with(&self, connector: ConnectorIndex, chat: &str) -> StoreResult<Option<Conversation>> {
        let id = match self.memory.hot.with(&keys::chat(connector, chat)) {
            Some(id) => Some(id),
            None => conversations::id_of(&*self.memory.backend, connector, chat)?,
        };
        id.map_or(Ok(None), |id| self.conversation(id))
    }

    fn conversations(
        &self,
        tenant: TenantIndex,
        filter: &ConversationFilter,
        after: Option<Uuid>,
        limit: usize,
    ) -> StoreResult<(Vec<Conversation>, Option<Uuid>)> {
        conversations::list(&*self.memory.backend, tenant, filter, after, limit)
    }

    fn due_lanes(&self, until: Timestamp, after: Option<DueLane>, limit: usize) -> StoreResult<Vec<DueLane>> {
        Ok(self.memory.lanes.due(until, after, limit))
    }

    fn next_due_lane(&self) -> StoreResult<Option<Timestamp>> {
        Ok(self.memory.lanes.next())
    }

    fn work(&self, conversation: Uuid, lane: u32, limit: usize) -> StoreResult<Vec<Work>> {
        let stored = self.stored(conversation)?;
        let Some(lane) = stored.as_ref().and_then(|stored| stored.lane(lane)) else { return Ok(Vec::new()) };
        if limit == 1 {
            let first = WorkKey { conversation, lane: lane.lane, number: lane.first };
            if let Some(row) = self.memory.rows.get(&keys::work(first)) {
                return Ok(vec![work::parse(first, &row)?]);
            }
        }
        work::list(&*self.memory.backend, conversation, lane, limit)
    }

    fn automation_state(&self, conversation: Uuid, automation: AutomationIndex) -> StoreResult<Option<String>> {
        match self.memory.rows.get(&keys::automation_state(conversation, automation)) {
            Some(row) => conversations::parse_state(&row).map(Some),
            None => conversations::state(&*self.memory.backend, conversation, automation),
        }
    }

    fn timers_due(&self, until: Timestamp, limit: usize) -> StoreResult<Vec<TimerKey>> {
        timers::due(&*self.memory.backend, &self.memory.frontiers, until, limit)
    }

    fn next_timer(&self) -> StoreResult<Option<Timestamp>> {
        Ok(self.timers_due(Timestamp(i64::MAX), 1)?.first().map(|timer| timer.due_at))
    }

    fn timers_of(&self, conversation: Uuid) -> StoreResult<Vec<TimerKey>> {
        timers::of_conversation(&*self.memory.backend, conversation)
    }

    fn parked(&self, tenant: TenantIndex, after: Option<Uuid>, limit: usize) -> StoreResult<Vec<Parked>> {
        work::list_parked(&*self.memory.backend, tenant, after, limit)
    }

    fn parked_by_id(&self, tenant: TenantIndex, id: Uuid) -> StoreResult<Option<Parked>> {
        work::parked(&*self.memory.backend, tenant, id)
    }

    fn recordings(&self, automation: AutomationIndex, limit: usize) -> StoreResult<Vec<Vec<u8>>> {
        let ring = self.memory.catalog.read().roster.numbers(&Numbered::Recordings(automation));
        recordings::list(&*self.memory.backend, automation, ring, limit)
    }

    fn package(&self, name: &str) -> StoreResult<Option<Arc<Package>>> {
        Ok(self.memory.catalog.read().roster.packages.get(name).cloned())
    }

    fn packages(&self) -> StoreResult<Vec<Arc<Package>>> {
        Ok(self.memory.catalog.read().roster.packages.values().cloned().collect())
    }

    fn trust_roots(&self) -> StoreResult<Vec<TrustRoot>> {
        Ok(self.memory.catalog.read().roster.trust_roots.values().cloned().collect())
    }

    fn audit(&self, plugin: &str, limit: usize) -> StoreResult<Vec<AuditEntry>> {
        packages::audit(&*self.memory.backend, plugin, limit)
    }

    fn check_automations(&self) -> StoreResult<()> {
        let problems = self.verify_automations_alone()?;
        if problems.is_empty() { Ok(()) } else { Err(damaged(problems.join("; "))) }
    }
}
