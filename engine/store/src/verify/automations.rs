//! The invariants of automations, conversations and event tasks.

use std::collections::{BTreeMap, BTreeSet};

use pombo_domain::model::TimerKey;
use pombo_domain::ports::{DueLane, StoreResult};
use uuid::Uuid;

use super::Problems;
use crate::DiskStore;
use crate::automation_catalog::Numbered;
use crate::backend::{Backend, Bytes, KeyRange, Order};
use crate::codec::bad_key;
use crate::keys;
use crate::pauses;
use crate::space::Space;
use crate::tables::conversations::{self, Stored};
use crate::tables::{automations, plugins, recordings, tasks, timers};

/// The rows under a tag.
pub(super) fn rows(backend: &dyn Backend, space: Space, tag: u8) -> impl Iterator<Item = StoreResult<(Bytes, Bytes)>> {
    backend.scan(space, KeyRange::prefix(&[tag]), Order::Forward)
}

impl DiskStore {
    /// Checks the invariants of automations only.
    pub(crate) fn verify_automations_alone(&self) -> StoreResult<Vec<String>> {
        let _whole = self.shared.whole.lock();
        let mut problems = Problems::default();
        self.verify_automations(&mut problems)?;
        Ok(problems.found)
    }

    pub(super) fn verify_automations(&self, problems: &mut Problems) -> StoreResult<()> {
        let conversations = self.verify_conversations(problems)?;
        self.verify_chats(&conversations, problems)?;
        // What a deleted conversation left is there until it is purged.
        let deleted = self.deleted_conversations()?;
        self.verify_tasks(&conversations, &deleted, problems)?;
        self.verify_timers(&conversations, &deleted, problems)?;
        self.verify_pauses(&conversations, problems)?;
        self.verify_what_names_conversations(&conversations, &deleted, problems)?;
        self.verify_roster(problems)
    }

    /// All conversations, by id.
    fn verify_conversations(&self, problems: &mut Problems) -> StoreResult<BTreeMap<Uuid, Stored>> {
        let backend = &*self.shared.backend;
        let mut all = BTreeMap::new();
        for row in rows(backend, Space::Conversations, keys::CONVERSATION) {
            let (key, row) = row?;
            let id = keys::parse_conversation(&key).ok_or_else(|| bad_key("conversations"))?;
            let stored = conversations::parse(&row)?;
            let conversation = &stored.conversation;
            if conversation.id != id {
                problems.add(|| format!("conversation {id}: under another's key"));
            }
            if conversations::id_of(backend, conversation.connector, &conversation.chat)? != Some(id) {
                problems.add(|| format!("conversation {id}: its chat names another"));
            }
            let listed = keys::of_tenant(keys::CONVERSATION_OF, conversation.tenant).uuid(id);
            if backend.get(Space::Conversations, &listed)?.is_none() {
                problems.add(|| format!("conversation {id}: not among its tenant's"));
            }
            if self.shared.conversations.get(id).is_some_and(|cached| *cached != stored) {
                problems.add(|| format!("conversation {id}: memory has another version"));
            }
            all.insert(id, stored);
        }
        // Each conversation has one key of each sort: as many keys means that each key has its conversation.
        for (tag, name) in [(keys::CHAT, "chats"), (keys::CONVERSATION_OF, "listed ids")] {
            let count = rows(backend, Space::Conversations, tag).count();
            if count != all.len() {
                problems.add(|| format!("{count} {name} of {} conversations", all.len()));
            }
        }
        Ok(all)
    }

    fn verify_tasks(
        &self,
        conversations: &BTreeMap<Uuid, Stored>,
        deleted: &BTreeSet<Uuid>,
        problems: &mut Problems,
    ) -> StoreResult<()> {
        // First and last item of each lane, and the state of the first one.
        let mut found: BTreeMap<(Uuid, u32), (u64, u64, tasks::Head)> = BTreeMap::new();
        for row in rows(&*self.shared.backend, Space::Work, keys::TASK) {
            let (key, row) = row?;
            let key = keys::parse_task(&key).ok_or_else(|| bad_key("work"))?;
            let item = tasks::parse(key, &row)?;
            if deleted.contains(&key.conversation) {
                continue;
            }
            match conversations.get(&key.conversation) {
                None => problems.add(|| format!("{key:?}: work of no conversation")),
                Some(stored) => {
                    if key.number >= stored.conversation.next_task {
                        problems.add(|| format!("{key:?}: a number that was not given yet"));
                    }
                    if item.tenant != stored.conversation.tenant {
                        problems.add(|| format!("{key:?}: work of another tenant"));
                    }
                }
            }
            let head = tasks::head(&row)?;
            found
                .entry((key.conversation, key.lane))
                .and_modify(|(_, last, _)| *last = key.number)
                .or_insert((key.number, key.number, head));
        }
        let mut due = BTreeSet::new();
        for stored in conversations.values() {
            let conversation = stored.conversation.id;
            if !stored.lanes.is_sorted_by(|a, b| a.lane < b.lane) {
                problems.add(|| format!("conversation {conversation}: its lanes are not in order"));
            }
            for lane in &stored.lanes {
                let stands = (lane.first, lane.last, lane.due_at, lane.held);
                let items = found.remove(&(conversation, lane.lane));
                let items = items.map(|(first, last, head)| (first, last, head.due_at, head.held));
                if items != Some(stands) {
                    problems.add(|| format!("conversation {conversation}: lane {} is not as its items", lane.lane));
                }
                if lane.held && stored.conversation.handover.is_none() {
                    problems.add(|| format!("conversation {conversation}: lane {} rests for nobody", lane.lane));
                }
                due.extend((!lane.held).then_some(DueLane { due_at: lane.due_at, conversation, lane: lane.lane }));
            }
        }
        for (conversation, lane) in found.keys() {
            problems.add(|| format!("conversation {conversation}: lane {lane} has items and is not there"));
        }
        let held = self.shared.lanes.all();
        for lane in held.symmetric_difference(&due) {
            problems.add(|| format!("{lane:?}: memory and items do not agree on it"));
        }
        Ok(())
    }

    fn verify_timers(
        &self,
        conversations: &BTreeMap<Uuid, Stored>,
        deleted: &BTreeSet<Uuid>,
        problems: &mut Problems,
    ) -> StoreResult<()> {
        let backend = &*self.shared.backend;
        let mut expected = BTreeSet::new();
        for row in rows(backend, Space::Conversations, keys::TIMER) {
            let (key, row) = row?;
            let (conversation, automation, name) = keys::parse_timer(&key).ok_or_else(|| bad_key("timers"))?;
            if !conversations.contains_key(&conversation) && !deleted.contains(&conversation) {
                problems.add(|| format!("conversation {conversation}: a timer of none"));
            }
            let (due_at, _) = timers::parse(&row)?;
            let key = TimerKey { due_at, conversation, automation, name: name.to_owned() };
            expected.insert(keys::timer_due(&key));
        }
        for row in rows(backend, Space::Work, keys::TIMER_DUE) {
            let (key, _) = row?;
            let timer = keys::parse_timer_due(&key).ok_or_else(|| bad_key("timers"))?;
            if !expected.remove(&key) {
                problems.add(|| format!("conversation {}: a timer is due that is not set", timer.conversation));
            }
        }
        if !expected.is_empty() {
            problems.add(|| format!("{} timers never become due", expected.len()));
        }
        Ok(())
    }

    /// Each pause that ends by itself is listed, on disk and in memory, and no other.
    fn verify_pauses(&self, conversations: &BTreeMap<Uuid, Stored>, problems: &mut Problems) -> StoreResult<()> {
        let ends: BTreeSet<_> =
            conversations.values().filter_map(|stored| pauses::end_of(&stored.conversation)).collect();
        let mut listed = BTreeSet::new();
        for row in rows(&*self.shared.backend, Space::Work, keys::PAUSE_END) {
            listed.insert(keys::parse_pause_end(&row?.0).ok_or_else(|| bad_key("pauses"))?);
        }
        for end in ends.symmetric_difference(&listed) {
            problems.add(|| format!("{end:?}: the conversation and the list do not agree on it"));
        }
        if self.shared.pauses.all() != ends {
            problems.add(|| "memory has other pauses than the conversations".to_owned());
        }
        Ok(())
    }

    fn verify_what_names_conversations(
        &self,
        conversations: &BTreeMap<Uuid, Stored>,
        deleted: &BTreeSet<Uuid>,
        problems: &mut Problems,
    ) -> StoreResult<()> {
        let backend = &*self.shared.backend;
        for row in rows(backend, Space::Conversations, keys::AUTOMATION_STATE) {
            let (key, row) = row?;
            let (id, _) = keys::parse_automation_state(&key).ok_or_else(|| bad_key("automation states"))?;
            conversations::parse_state(&row)?;
            if !conversations.contains_key(&id) && !deleted.contains(&id) {
                problems.add(|| format!("conversation {id}: an automation's state in none"));
            }
        }
        for row in rows(backend, Space::Conversations, keys::ORIGIN) {
            let (key, row) = row?;
            let key = keys::parse_origin(&key).ok_or_else(|| bad_key("origins"))?;
            // Messages and dead letters outlive the conversation that they name: it may have been deleted.
            let (id, _) = conversations::parse_origin(&row)?;
            if self.shared.columns.word(key).is_none() || pombo_domain::ids::message_serial(id) != Some(key.serial) {
                problems.add(|| format!("{key:?}: the origin of another message, or of none"));
            }
        }
        for row in rows(backend, Space::Conversations, keys::DEAD_LETTER) {
            let (key, row) = row?;
            let named = keys::parse_of_tenant(&key).ok_or_else(|| bad_key("dead letters"))?;
            let dead_letter = tasks::parse_dead_letter(&row)?;
            if named != (dead_letter.task.tenant, dead_letter.id) {
                problems.add(|| format!("dead letter {}: under another's key", dead_letter.id));
            }
        }
        Ok(())
    }

    fn verify_roster(&self, problems: &mut Problems) -> StoreResult<()> {
        let backend = &*self.shared.backend;
        let catalog = self.shared.catalog.read();
        let automations = &catalog.automations;
        let mut counted = [0; 3];
        for row in rows(backend, Space::Documents, keys::AUTOMATION) {
            let automation = automations::parse(&row?.1)?;
            counted[0] += 1;
            if automations.automations.get(&automation.index).is_none_or(|known| **known != automation) {
                problems.add(|| format!("automation {}: memory has another version", automation.index.0));
            }
        }
        for row in rows(backend, Space::Documents, keys::PLUGIN) {
            let plugin = plugins::parse(&row?.1)?;
            counted[1] += 1;
            if automations.plugins.get(&plugin.name).is_none_or(|known| **known != plugin) {
                problems.add(|| format!("plugin {}: memory has another version", plugin.name));
            }
            for digest in [&plugin.active, &plugin.previous].into_iter().flatten() {
                if plugin.version(digest).is_none() {
                    problems.add(|| format!("plugin {}: it names a version that it has not", plugin.name));
                }
            }
        }
        for row in rows(backend, Space::Documents, keys::TRUST_ROOT) {
            let root = plugins::parse_trust_root(&row?.1)?;
            counted[2] += 1;
            if automations.trust_roots.get(&root.id) != Some(&root) {
                problems.add(|| format!("trust root {}: memory has another version", root.id));
            }
        }
        if counted != [automations.automations.len(), automations.plugins.len(), automations.trust_roots.len()] {
            problems.add(|| "memory has automations, plugins or trust roots that are not stored".to_owned());
        }
        let mut next: BTreeMap<String, u64> = BTreeMap::new();
        for row in rows(backend, Space::Documents, keys::AUDIT) {
            let (key, row) = row?;
            let (name, number) = keys::parse_audit(&key).ok_or_else(|| bad_key("audit trails"))?;
            plugins::parse_audit(&row)?;
            let expected = next.entry(name.to_owned()).or_insert(1);
            if number != *expected {
                problems.add(|| format!("plugin {name}: audit entry {number} follows {}", *expected - 1));
            }
            *expected = number + 1;
        }
        for (name, next) in next {
            if automations.numbers(&Numbered::Audit(name.clone())).next != next {
                problems.add(|| format!("plugin {name}: its audit trail does not end at {next}"));
            }
        }
        let mut next = BTreeMap::new();
        for row in rows(backend, Space::Work, keys::RECORDING) {
            let (key, row) = row?;
            let (automation, number) = keys::parse_recording(&key).ok_or_else(|| bad_key("recordings"))?;
            recordings::parse(&row)?;
            let ring = || automations.numbers(&Numbered::Recordings(automation));
            let expected = next.entry(automation).or_insert_with(|| ring().first);
            if number != *expected {
                problems.add(|| format!("automation {}: recording {number} is out of its ring", automation.0));
            }
            *expected = number + 1;
        }
        for (automation, next) in next {
            if automations.numbers(&Numbered::Recordings(automation)).next != next {
                problems.add(|| format!("automation {}: its recordings do not end at {next}", automation.0));
            }
        }
        Ok(())
    }
}
