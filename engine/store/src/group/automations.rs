//! What a group does to automations, plugins, conversations and timers, change by change. What becomes of events is in `tasks`, what
//! is written on the account's own phone in `phone`, what is held until the group is written in `pending`.

use std::sync::Arc;

use pombo_domain::model::*;
use pombo_domain::ports::*;
use pombo_domain::{ConnectorIndex, TenantIndex};

use super::ENGINE;
use super::pending::Undo;
use super::{Group, check_key};
use crate::automation_catalog::{AutomationCatalogChange, Listed, Numbered, ordered};
use crate::catalog::CatalogChange;
use crate::codec::damaged;
use crate::tables::conversations;
use crate::tables::events::Extent;
use crate::tables::queues::Queue;
use crate::tables::{automations, plugins, recordings, timers};

pub(super) fn gone() -> StoreError {
    StoreError::Conflict(Conflict::Gone)
}

impl Group<'_> {
    /// `row` is an event's, as [`tasks::prepare`] made it.
    pub(super) fn automation(
        &mut self,
        change: AutomationChange,
        row: Option<Vec<u8>>,
        committed: &Committed,
    ) -> StoreResult<()> {
        match change {
            AutomationChange::Put(automation) => self.put_automation(automation),
            AutomationChange::Event(new) => {
                let row = row.ok_or_else(|| damaged("an event that was not prepared"))?;
                return self.event_of_chat(new, row);
            }
            AutomationChange::Reported { message, status, reason } => return self.reported(message, status, reason),
            AutomationChange::Conversation(tenant, id, steps) => return self.step_conversation(tenant, id, &steps),
            AutomationChange::Open { tenant, connector, chat, is_group } => {
                check_key(&chat)?;
                let stored = self.chat_of(tenant, connector, chat, Some(is_group), ENGINE)?;
                if !stored.conversation.engaged {
                    let mut next = (*stored).clone();
                    next.conversation.engaged = true;
                    self.save(next);
                }
            }
            AutomationChange::Own(message) => return self.own_message(message),
            AutomationChange::EndPause { end, event, reason } => return self.end_pause(end, event, reason),
            AutomationChange::Step { key, failures, after, step } => return self.step(key, failures, after, step),
            AutomationChange::State(conversation, automation, state) => {
                self.conversation(conversation)?.ok_or_else(gone)?;
                conversations::put_state(&mut self.staged, conversation, automation, state.as_deref());
            }
            AutomationChange::SetTimer { key, payload } => {
                check_key(&key.name)?;
                self.conversation(key.conversation)?.ok_or_else(gone)?;
                let due = timers::set(&mut self.staged, &key, &payload)?;
                self.outcome.queued.push((Queue::Timers, due));
                self.outcome.effects.push(Effect::Timer(key.due_at));
            }
            AutomationChange::CancelTimer { conversation, automation, name } => {
                check_key(&name)?;
                timers::cancel(&mut self.staged, conversation, automation, &name)?;
            }
            AutomationChange::FireTimer(key, id) => return self.fire(key, id),
            AutomationChange::Origin(origin) => {
                let (message, id, _) = *committed.inserted.last().ok_or_else(gone)?;
                self.conversation(origin.conversation)?.ok_or_else(gone)?;
                conversations::put_origin(&mut self.staged, message, id, &origin);
            }
            AutomationChange::Record { automation, sealed, keep } => {
                let what = Numbered::Recordings(automation);
                let ring = self.numbers(&what);
                let ring = recordings::put(&mut self.staged, automation, ring, sealed, keep);
                self.set_numbers(what, ring);
            }
            AutomationChange::Requeue(tenant, id) => return self.requeue(tenant, id),
            AutomationChange::Discard(tenant, id) => drop(self.take_dead_letter(tenant, id)?),
            AutomationChange::Plugin(plugin) => {
                check_key(&plugin.name)?;
                plugins::put(&mut self.staged, &plugin)?;
                self.outcome.effects.push(Effect::Plugin(plugin.name.clone()));
                self.enrol(AutomationCatalogChange::Plugin(Arc::new(plugin)));
            }
            AutomationChange::DeletePlugin(name, revision) => {
                check_key(&name)?;
                plugins::delete(&mut self.staged, &name, revision)?;
                self.outcome.effects.push(Effect::Plugin(name.clone()));
                self.enrol(AutomationCatalogChange::NoPlugin(name));
            }
            AutomationChange::TrustRoot(root) => {
                plugins::put_trust_root(&mut self.staged, &root);
                self.enrol(AutomationCatalogChange::TrustRoot(root));
            }
            AutomationChange::Audit(entry) => {
                check_key(&entry.plugin)?;
                let what = Numbered::Audit(entry.plugin.clone());
                let Extent { first, next } = self.numbers(&what);
                plugins::put_audit(&mut self.staged, next, &entry);
                self.set_numbers(what, Extent { first, next: next + 1 });
            }
        }
        Ok(())
    }

    fn enrol(&mut self, change: AutomationCatalogChange) {
        self.outcome.catalog.push(CatalogChange::AutomationCatalog(change));
    }

    pub(super) fn numbers(&self, what: &Numbered) -> Extent {
        match self.pending.numbers.get(what) {
            Some(extent) => *extent,
            None => self.shared.catalog.read().automations.numbers(what),
        }
    }

    fn set_numbers(&mut self, what: Numbered, extent: Extent) {
        let old = self.pending.numbers.insert(what.clone(), extent);
        self.pending.undo.push(Undo::Numbers(what.clone(), old));
        self.enrol(AutomationCatalogChange::Numbers(what, extent));
    }

    fn put_automation(&mut self, automation: Automation) {
        let index = automation.index;
        automations::put(&mut self.staged, &automation);
        self.outcome.effects.push(Effect::Automation(automation.tenant, index));
        let automation = Arc::new(automation);
        let old = self.pending.automations.insert(index, automation.clone());
        self.pending.undo.push(Undo::Automation(index, old));
        self.enrol(AutomationCatalogChange::Automation(automation));
    }

    /// A connector's automations, with those that this very group changed.
    pub(super) fn automations_on(&self, connector: ConnectorIndex) -> Listed {
        let catalog = self.shared.catalog.read();
        let listed = catalog.automations.on(connector);
        if self.pending.automations.is_empty() {
            return listed;
        }
        let changed = &self.pending.automations;
        let others = listed.iter().filter(|a| !changed.contains_key(&a.index));
        ordered(others.chain(changed.values().filter(|a| a.connector == connector)))
    }

    /// Whether the origin of a message may name an automation that listens to its status changes.
    pub(super) fn hears_steps(&self, tenant: TenantIndex) -> bool {
        self.shared.catalog.read().automations.hears_steps(tenant)
            || self.pending.automations.values().any(|a| a.tenant == tenant && a.events.has(EventKind::StatusChanged))
    }
}
