//! The [`AutomationStore`] port: reads of automations, conversations, event tasks and plugins. Reads that
//! are made for each event are answered from memory where possible.

use std::sync::Arc;

use pombo_domain::model::*;
use pombo_domain::ports::*;
use pombo_domain::{AutomationIndex, ConnectorIndex, TenantIndex, Timestamp};
use uuid::Uuid;

use crate::DiskStore;
use crate::automation_catalog::Numbered;
use crate::codec::damaged;
use crate::keys;
use crate::tables::conversations::{self, Stored};
use crate::tables::{plugins, recordings, tags, tasks, timers};

impl DiskStore {
    fn stored(&self, id: Uuid) -> StoreResult<Option<Arc<Stored>>> {
        match self.shared.conversations.get(id) {
            Some(stored) => Ok(Some(stored)),
            None => Ok(conversations::read(&*self.shared.backend, id)?.map(Arc::new)),
        }
    }

    /// A conversation with the names of its tags; its row has references.
    fn named(&self, mut conversation: Conversation) -> Conversation {
        self.shared.catalog.read().tags.name(&mut conversation);
        conversation
    }
}

impl AutomationStore for DiskStore {
    fn automation(&self, index: AutomationIndex) -> StoreResult<Option<Arc<Automation>>> {
        Ok(self.shared.catalog.read().automations.automations.get(&index).cloned())
    }

    fn automation_by_id(&self, tenant: TenantIndex, id: Uuid) -> StoreResult<Option<Arc<Automation>>> {
        Ok(self.shared.catalog.read().automations.by_id(tenant, id).cloned())
    }

    fn automations_on(&self, connector: ConnectorIndex) -> StoreResult<Arc<[Arc<Automation>]>> {
        Ok(self.shared.catalog.read().automations.on(connector))
    }

    fn automations(&self, tenant: Option<TenantIndex>) -> StoreResult<Vec<Arc<Automation>>> {
        let catalog = self.shared.catalog.read();
        let listed = |a: &&Arc<Automation>| {
            a.status != AutomationStatus::Deleted && tenant.is_none_or(|tenant| a.tenant == tenant)
        };
        Ok(catalog.automations.automations.values().filter(listed).cloned().collect())
    }

    fn conversation(&self, id: Uuid) -> StoreResult<Option<Conversation>> {
        Ok(self.stored(id)?.map(|stored| self.named(stored.conversation.clone())))
    }

    fn conversation_with(&self, connector: ConnectorIndex, chat: &str) -> StoreResult<Option<Conversation>> {
        let id = match self.shared.conversations.with(&keys::chat(connector, chat)) {
            Some(id) => Some(id),
            None => conversations::id_of(&*self.shared.backend, connector, chat)?,
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
        // The tags of a filter as they are written: case and accents do not count.
        let mut filter = filter.clone();
        {
            let catalog = self.shared.catalog.read();
            for name in filter.tag.iter_mut().chain(&mut filter.tags) {
                if let Some(tag) = catalog.tags.named(tenant, &tags::folded(name)) {
                    name.clone_from(&tag.name);
                }
            }
        }
        let named = |conversation| self.named(conversation);
        conversations::list(&*self.shared.backend, tenant, &filter, named, (after, limit))
    }

    fn due_lanes(&self, until: Timestamp, after: Option<DueLane>, limit: usize) -> StoreResult<Vec<DueLane>> {
        Ok(self.shared.lanes.due(until, after, limit))
    }

    fn next_due_lane(&self) -> StoreResult<Option<Timestamp>> {
        Ok(self.shared.lanes.next())
    }

    fn tasks(&self, conversation: Uuid, lane: u32, limit: usize) -> StoreResult<Vec<EventTask>> {
        let stored = self.stored(conversation)?;
        let Some(lane) = stored.as_ref().and_then(|stored| stored.lane(lane)) else { return Ok(Vec::new()) };
        if limit == 1 {
            let first = TaskKey { conversation, lane: lane.lane, number: lane.first };
            if let Some(row) = self.shared.rows.get(&keys::task(first)) {
                return Ok(vec![tasks::parse(first, &row)?]);
            }
        }
        tasks::list(&*self.shared.backend, conversation, lane, limit)
    }

    fn automation_state(&self, conversation: Uuid, automation: AutomationIndex) -> StoreResult<Option<String>> {
        match self.shared.rows.get(&keys::automation_state(conversation, automation)) {
            Some(row) => conversations::parse_state(&row).map(Some),
            None => conversations::state(&*self.shared.backend, conversation, automation),
        }
    }

    fn timers_due(&self, until: Timestamp, limit: usize) -> StoreResult<Vec<TimerKey>> {
        timers::due(&*self.shared.backend, &self.shared.frontiers, until, limit)
    }

    fn next_timer(&self) -> StoreResult<Option<Timestamp>> {
        Ok(self.timers_due(Timestamp(i64::MAX), 1)?.first().map(|timer| timer.due_at))
    }

    fn timers_of(&self, conversation: Uuid) -> StoreResult<Vec<TimerKey>> {
        timers::of_conversation(&*self.shared.backend, conversation)
    }

    fn pauses_ending(&self, until: Timestamp, after: Option<PauseEnd>, limit: usize) -> StoreResult<Vec<PauseEnd>> {
        Ok(self.shared.pauses.ending(until, after, limit))
    }

    fn next_pause_end(&self, after: Option<PauseEnd>) -> StoreResult<Option<Timestamp>> {
        Ok(self.shared.pauses.next(after))
    }

    fn dead_letters(&self, tenant: TenantIndex, after: Option<Uuid>, limit: usize) -> StoreResult<Vec<DeadLetter>> {
        tasks::list_dead_letters(&*self.shared.backend, tenant, after, limit)
    }

    fn dead_letter(&self, tenant: TenantIndex, id: Uuid) -> StoreResult<Option<DeadLetter>> {
        tasks::dead_letter(&*self.shared.backend, tenant, id)
    }

    fn recordings(&self, automation: AutomationIndex, limit: usize) -> StoreResult<Vec<Vec<u8>>> {
        let ring = self.shared.catalog.read().automations.numbers(&Numbered::Recordings(automation));
        recordings::list(&*self.shared.backend, automation, ring, limit)
    }

    fn plugin(&self, name: &str) -> StoreResult<Option<Arc<Plugin>>> {
        Ok(self.shared.catalog.read().automations.plugins.get(name).cloned())
    }

    fn plugins(&self) -> StoreResult<Vec<Arc<Plugin>>> {
        Ok(self.shared.catalog.read().automations.plugins.values().cloned().collect())
    }

    fn trust_roots(&self) -> StoreResult<Vec<TrustRoot>> {
        Ok(self.shared.catalog.read().automations.trust_roots.values().cloned().collect())
    }

    fn audit(&self, plugin: &str, limit: usize) -> StoreResult<Vec<AuditEntry>> {
        plugins::audit(&*self.shared.backend, plugin, limit)
    }

    fn check_automations(&self) -> StoreResult<()> {
        let problems = self.verify_automations_alone()?;
        if problems.is_empty() { Ok(()) } else { Err(damaged(problems.join("; "))) }
    }
}
