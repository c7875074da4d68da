//! Conversations: who answers them. A person tags, assigns, pauses the automations and resumes them, one by one or many at once; each
//! pause records who paused, when and why.
//!
//! - `keeping`: opening, archiving, restoring, deleting. `lists`: finding and counting. `views`: what there is to say about one. `reading`:
//!   marking as read, and telling the channel. `strangers`: who is known to a connector. `timelines`: what was said, `authors`: by whom.
//!   `windows`: until when anything may be written.

mod authors;
mod keeping;
mod lists;
mod reading;
mod strangers;
mod timelines;
mod views;
mod windows;

pub use authors::{Author, AuthorKind};
pub use lists::{
    ConversationOverview, ConversationPage, ConversationPlace, ConversationQuery, MAX_SEARCH_CHARS, MAX_TAGS_ASKED,
};
pub use reading::tell_read;
pub use strangers::Acquaintances;
pub use timelines::{EntryView, MAX_ENTRIES, Quoted, TimelineView};
pub use views::{AnsweredBy, ConversationView, LastSent};
pub use windows::ReplyWindow;

use std::collections::BTreeSet;
use std::sync::Arc;

use uuid::Uuid;

use crate::commands::Commands;
use crate::commands::access::actor::Actor;
use crate::commands::plugins::catalog::automation_change;
use crate::commands::tags;
use crate::commands::text::{self, Rule};
use crate::error::ErrorCode;
use crate::model::conversation::MAX_TAGS;
use crate::model::event_task::ANSWERING;
use crate::model::tag::MAX_TAGS_OF_TENANT;
use crate::model::{
    Automation, Connector, ContactType, Conversation, ConversationAction, ConversationStep, EventBody, EventTask,
    Handover, LabelKind, TimerKey,
};
use crate::ports::{AutomationChange, Batch, Change, Conflict, ConversationFilter, ConversationOrder, StoreError};
use crate::{AutomationIndex, ConnectorIndex, Error, Field, Result, TenantIndex};

/// Maximum number of conversations in one request.
pub const MAX_NAMED: usize = 1000;
/// Maximum length of a tag that is put on a conversation, in characters. New ones are shorter, see [`tags::MAX_NAME_CHARS`].
pub const MAX_TAG_CHARS: usize = 64;
/// Maximum length of an assignee's name, in characters.
pub const MAX_ASSIGNEE_CHARS: usize = 120;
/// Number of conversations in one batch.
const BATCH: usize = 200;
/// How often a batch is made again because one of its conversations was deleted since it was read.
const ROUNDS: usize = 10;
/// Number of waiting items that are shown for each lane.
const SHOWN_TASKS: usize = 50;
/// Maximum number of other addresses of a contact under which a conversation is looked for.
const ALIASES: usize = 64;

/// A conversation with its timers and waiting events.
pub struct ConversationDetail {
    /// The conversation.
    pub view: ConversationView,
    /// Its timers, each with the public id of its automation.
    pub timers: Vec<(TimerKey, Uuid)>,
    /// Events that wait for its automations; those in an observer's lane with the observer's public id.
    pub waiting: Vec<(EventTask, Option<Uuid>)>,
}

/// A change of a conversation. Omitted fields stay as they are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConversationPatch {
    /// The new tags, which replace all old ones.
    pub tags: Option<Vec<String>>,
    /// The new assignee; `Some(None)` for nobody.
    pub assignee: Option<Option<String>>,
    /// The user that it is assigned to; `Some(None)` for none.
    pub assigned_user: Option<Option<Uuid>>,
    /// The public id of the queue that it is put into; `Some(None)` for none.
    pub queue: Option<Option<Uuid>>,
    /// The public id of the status that it gets; `Some(None)` for none.
    pub status: Option<Option<Uuid>>,
}

/// The conversations of a bulk change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// The conversations with these ids.
    Ids(Vec<Uuid>),
    /// All present conversations of this connector.
    Connector(Uuid),
}

/// A change of many conversations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bulk {
    /// Pauses their automations, for this reason.
    Pause(String),
    /// Resumes their automations.
    Resume,
}

/// The result of a change of many conversations.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BulkDone {
    /// Number of conversations that were changed; the others were already in that state.
    pub changed: u64,
    /// Ids that do not belong to any conversation of the tenant.
    pub missing: Vec<Uuid>,
}

impl Commands {
    /// A conversation.
    pub fn get_conversation(&self, tenant: TenantIndex, id: Uuid) -> Result<ConversationView> {
        self.conversation_view(self.own_conversation(tenant, id)?)
    }

    /// A conversation by the tenant's number for it.
    pub fn get_conversation_numbered(&self, tenant: TenantIndex, number: u64) -> Result<ConversationView> {
        let found = self.ports().store.conversation_by_number(tenant, number)?;
        self.conversation_view(found.ok_or_else(|| Error::not_found("Conversation"))?)
    }

    /// A conversation with its timers and waiting events.
    pub fn look_into_conversation(&self, tenant: TenantIndex, id: Uuid) -> Result<ConversationDetail> {
        let view = self.get_conversation(tenant, id)?;
        let store = &self.ports().store;
        let public = |index: AutomationIndex| -> Result<Uuid> {
            let found = store.automation(index)?;
            Ok(found.ok_or_else(|| Error::internal("a conversation names no stored automation"))?.id)
        };
        let mut timers = Vec::new();
        for timer in store.timers_of(id)? {
            let automation = public(timer.automation)?;
            timers.push((timer, automation));
        }
        timers.sort();
        let mut waiting = Vec::new();
        waiting.extend(store.tasks(id, ANSWERING, SHOWN_TASKS)?.into_iter().map(|task| (task, None)));
        for automation in store.automations_on(view.conversation.connector)?.iter().filter(|one| one.observer) {
            let lane = store.tasks(id, automation.index.0, SHOWN_TASKS)?;
            waiting.extend(lane.into_iter().map(|task| (task, Some(automation.id))));
        }
        Ok(ConversationDetail { view, timers, waiting })
    }

    /// Replaces tags, or changes the assignee, the queue or the status.
    pub async fn update_conversation(
        &self,
        actor: &Actor,
        id: Uuid,
        patch: ConversationPatch,
    ) -> Result<ConversationView> {
        let tenant = actor.tenant()?;
        // The user must not be deleted meanwhile.
        let _turn = match patch.assigned_user {
            Some(_) => Some(self.user_writes.of(tenant).await),
            None => None,
        };
        let conversation = self.own_conversation(tenant, id)?;
        let (mut steps, mut changes) = (Vec::new(), Vec::new());
        if let Some(tags) = patch.tags {
            let wanted = checked_tags(tags)?;
            let gone = conversation.tags.iter().filter(|tag| !wanted.contains(*tag));
            // Taken away first: there is a bound to how many there may be.
            steps.extend(gone.cloned().map(ConversationStep::Untag));
            let new: Vec<&String> = wanted.iter().filter(|tag| !conversation.tags.contains(tag)).collect();
            self.may_be_made(tenant, &new)?;
            steps.extend(new.into_iter().cloned().map(ConversationStep::Tag));
            if !steps.is_empty() {
                let detail = wanted.join(", ");
                changes.push(self.conversation_event(actor, &conversation, ConversationAction::Tagged, detail));
            }
        }
        if let Some(assignee) = patch.assignee {
            let rule = Rule { field: Field::Assignee, max_chars: MAX_ASSIGNEE_CHARS, lines: false };
            let assignee = text::checked_optional(rule, assignee.as_deref())?;
            if assignee != conversation.assignee {
                let detail = assignee.clone().unwrap_or_default();
                changes.push(self.conversation_event(actor, &conversation, ConversationAction::Assigned, detail));
                steps.push(ConversationStep::Assign(assignee));
            }
        }
        if let Some(user) = patch.assigned_user.filter(|user| *user != conversation.assigned_user) {
            let name = match user {
                Some(id) => self.assignee_name(tenant, id)?,
                None => String::new(),
            };
            changes.push(self.conversation_event(actor, &conversation, ConversationAction::Assigned, name));
            steps.push(ConversationStep::AssignUser(user));
        }
        if let Some(queue) = patch.queue {
            let named = |id| self.label_named(tenant, LabelKind::Queue, Field::Queue, id);
            let queue = queue.map(named).transpose()?;
            if queue != conversation.queue {
                steps.push(ConversationStep::Queue(queue));
            }
        }
        if let Some(status) = patch.status {
            let named = |id| self.label_named(tenant, LabelKind::Status, Field::ConversationStatus, id);
            let status = status.map(named).transpose()?;
            if status != conversation.status_label {
                steps.push(ConversationStep::Status(status));
            }
        }
        if !steps.is_empty() {
            changes.push(automation_change(AutomationChange::Conversation(tenant, id, steps)));
            self.ports().store.commit(Batch::of(changes)).await?;
        }
        self.get_conversation(tenant, id)
    }

    /// Assigns all conversations of a user to nobody, in several batches, each of which is complete. Whoever calls it sees to it that no
    /// other is assigned to the user meanwhile.
    pub(super) async fn take_conversations_from(&self, actor: &Actor, user: Uuid) -> Result<()> {
        let (tenant, store) = (actor.tenant()?, &self.ports().store);
        let filter = ConversationFilter { assigned_user: Some(user), ..ConversationFilter::default() };
        let (mut after, mut gone) = (None, 0);
        loop {
            let order = ConversationOrder::Id { after };
            let found = store.find_conversations(tenant, filter.clone(), order, BATCH).await?;
            let mut changes = Vec::new();
            for conversation in &found.rows {
                let steps = vec![ConversationStep::AssignUser(None)];
                changes.push(automation_change(AutomationChange::Conversation(tenant, conversation.id, steps)));
                changes.push(self.conversation_event(actor, conversation, ConversationAction::Assigned, String::new()));
            }
            if !changes.is_empty() {
                match store.commit(Batch::of(changes)).await {
                    Ok(_) => {}
                    // One of them was deleted since: the others are found again.
                    Err(StoreError::Conflict(Conflict::Gone)) if gone < ROUNDS => {
                        gone += 1;
                        continue;
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            match found.rows.last() {
                Some(last) if found.more => after = Some(last.id),
                // All that the page had were deleted since.
                None if found.more && gone < ROUNDS => gone += 1,
                _ => return Ok(()),
            }
        }
    }

    /// Whether those of the names that are not tags of the tenant yet may become tags.
    fn may_be_made(&self, tenant: TenantIndex, names: &[&String]) -> Result<()> {
        let store = &self.ports().store;
        let mut made = 0;
        for name in names {
            if store.tag_by_name(tenant, name)?.is_none() {
                made += 1;
                if name.chars().count() > tags::MAX_NAME_CHARS {
                    let message = format!("a new tag must have at most {} characters", tags::MAX_NAME_CHARS);
                    return Err(Error::invalid(Field::Tags, message));
                }
            }
        }
        if made > 0 && store.tags(tenant)?.len() + made > MAX_TAGS_OF_TENANT {
            let message =
                format!("there can be at most {MAX_TAGS_OF_TENANT} different tags; delete one that is not used");
            return Err(Error::invalid(Field::Tags, message));
        }
        Ok(())
    }

    /// Pauses a conversation's automations. If they are already paused, nothing changes, except that a pause that ends by itself gives way
    /// to this one.
    pub async fn pause_conversation(&self, actor: &Actor, id: Uuid, reason: &str) -> Result<ConversationView> {
        self.step_conversation(actor, id, &Bulk::Pause(checked_reason(reason)?)).await
    }

    /// Resumes a conversation's automations.
    pub async fn resume_conversation(&self, actor: &Actor, id: Uuid) -> Result<ConversationView> {
        self.step_conversation(actor, id, &Bulk::Resume).await
    }

    async fn step_conversation(&self, actor: &Actor, id: Uuid, step: &Bulk) -> Result<ConversationView> {
        let tenant = actor.tenant()?;
        let conversation = self.own_conversation(tenant, id)?;
        let changes = self.conversation_changes(actor, &conversation, step);
        if !changes.is_empty() {
            self.ports().store.commit(Batch::of(changes)).await?;
        }
        self.get_conversation(tenant, id)
    }

    /// Pauses or resumes many conversations, in several batches, each of which is complete.
    pub async fn step_conversations(&self, actor: &Actor, selection: Selection, step: Bulk) -> Result<BulkDone> {
        let tenant = actor.tenant()?;
        let step = match step {
            Bulk::Pause(reason) => Bulk::Pause(checked_reason(&reason)?),
            Bulk::Resume => Bulk::Resume,
        };
        let mut done = BulkDone::default();
        match selection {
            Selection::Ids(ids) => {
                if ids.is_empty() || ids.len() > MAX_NAMED {
                    return Err(Error::invalid(Field::Ids, format!("must be 1 to {MAX_NAMED} ids of conversations")));
                }
                let ids: BTreeSet<Uuid> = ids.into_iter().collect();
                let mut found = Vec::new();
                for id in ids {
                    match self.ports().store.conversation(id)?.filter(|known| known.tenant == tenant) {
                        Some(conversation) => found.push(conversation),
                        None => done.missing.push(id),
                    }
                }
                for some in found.chunks(BATCH) {
                    done.changed += self.step_some(actor, some, &step).await?;
                }
            }
            Selection::Connector(id) => {
                let connector = Some(self.live_connector(tenant, id)?.index);
                // One whose pause ends by itself is paused for good.
                let paused = (step == Bulk::Resume).then_some(true);
                let filter = ConversationFilter { connector, paused, ..ConversationFilter::default() };
                let mut after = None;
                loop {
                    let (some, next) = self.ports().store.conversations(tenant, &filter, after, BATCH)?;
                    done.changed += self.step_some(actor, &some, &step).await?;
                    match next {
                        Some(next) => after = Some(next),
                        None => break,
                    }
                }
            }
        }
        Ok(done)
    }

    async fn step_some(&self, actor: &Actor, some: &[Conversation], step: &Bulk) -> Result<u64> {
        let mut changes = Vec::new();
        let mut changed = 0;
        for conversation in some {
            let more = self.conversation_changes(actor, conversation, step);
            changed += u64::from(!more.is_empty());
            changes.extend(more);
        }
        if !changes.is_empty() {
            self.ports().store.commit(Batch::of(changes)).await?;
        }
        Ok(changed)
    }

    /// The changes of a step; none if the conversation is already in that state.
    fn conversation_changes(&self, actor: &Actor, conversation: &Conversation, step: &Bulk) -> Vec<Change> {
        let (done, word, detail) = match step {
            Bulk::Pause(reason) if conversation.handover.as_ref().is_none_or(|there| there.until.is_some()) => {
                let at = self.ports().clock.now();
                let handover = Handover { by: actor.by.clone(), at, reason: reason.clone(), until: None };
                (ConversationStep::Pause(handover), ConversationAction::Paused, reason.clone())
            }
            Bulk::Resume if conversation.handover.is_some() => {
                (ConversationStep::Resume, ConversationAction::Resumed, String::new())
            }
            _ => return Vec::new(),
        };
        let change = AutomationChange::Conversation(conversation.tenant, conversation.id, vec![done]);
        vec![automation_change(change), self.conversation_event(actor, conversation, word, detail)]
    }

    fn conversation_event(
        &self,
        actor: &Actor,
        conversation: &Conversation,
        step: ConversationAction,
        detail: String,
    ) -> Change {
        let body = EventBody::Conversation {
            conversation: conversation.id,
            chat: conversation.chat.clone(),
            step: step.into(),
            by: actor.by.clone(),
            detail,
        };
        self.event(conversation.tenant, conversation.connector, body)
    }

    fn own_conversation(&self, tenant: TenantIndex, id: Uuid) -> Result<Conversation> {
        let found = self.ports().store.conversation(id)?.filter(|conversation| conversation.tenant == tenant);
        found.ok_or_else(|| Error::not_found("Conversation"))
    }

    /// The automation that answers a conversation now; of several, the one that is asked first. One in which none ever took part is
    /// nobody's but the people's, whatever listens on its connector: see [`Conversation::engaged`].
    fn answering(&self, conversation: &Conversation) -> Result<Option<Arc<Automation>>> {
        if conversation.handover.is_some() || !conversation.engaged {
            return Ok(None);
        }
        self.first_answering(conversation.connector, conversation.is_group)
    }

    /// Whether an active automation of a connector answers in groups, or in conversations with one person.
    fn is_answered(&self, connector: ConnectorIndex, is_group: bool) -> Result<bool> {
        Ok(self.first_answering(connector, is_group)?.is_some())
    }

    fn first_answering(&self, connector: ConnectorIndex, is_group: bool) -> Result<Option<Arc<Automation>>> {
        let automations = self.ports().store.automations_on(connector)?;
        Ok(automations.iter().find(|automation| answers(automation, is_group)).cloned())
    }

    /// Where automations of a tenant answer: connectors, and whether in groups.
    fn answered(&self, tenant: TenantIndex) -> Result<BTreeSet<(ConnectorIndex, bool)>> {
        let mut answered = BTreeSet::new();
        for automation in self.ports().store.automations(Some(tenant))? {
            let places = [false, true].into_iter().filter(|is_group| answers(&automation, *is_group));
            answered.extend(places.map(|is_group| (automation.connector, is_group)));
        }
        Ok(answered)
    }

    /// Refuses a message by hand into a conversation in which an automation is active.
    pub(crate) fn must_not_be_automated(&self, connector: &Connector, to: &str) -> Result<()> {
        let Some(conversation) = self.conversation_of(connector, to)? else { return Ok(()) };
        if self.answering(&conversation)?.is_none() {
            return Ok(());
        }
        let message = "an automation answers this conversation; pause it first";
        Err(Error {
            conversation: Some(conversation.id),
            conversation_number: Some(conversation.number),
            ..Error::new(ErrorCode::AutomationActive, message)
        })
    }

    /// The address of the conversation with an address: of a person, the one that the contact is known by, or would be.
    pub(crate) fn chat_of(&self, connector: &Connector, address: &str) -> Result<String> {
        let Some(kind) = ContactType::of_channel(&connector.channel) else { return Ok(address.to_owned()) };
        let identifier = kind.identifier(address);
        Ok(self.ports().store.contact_identifier(connector.tenant, kind, &identifier)?)
    }

    /// The conversation with a person or group, whichever of their addresses is given.
    pub(crate) fn conversation_of(&self, connector: &Connector, address: &str) -> Result<Option<Conversation>> {
        let chat = self.chat_of(connector, address)?;
        Ok(strangers::conversation_with(&*self.ports().store, Acquaintances::of(connector), &chat)?)
    }

    /// Whether an address is that of a stranger to the connector; see [`Acquaintances`]. Where the channel has no conversations, nobody is.
    pub(crate) fn is_stranger(&self, connector: &Connector, address: &str) -> Result<bool> {
        let plugin = self.ports().connectors.plugin(&connector.plugin);
        if !plugin.is_some_and(|plugin| plugin.offers("inbound")) {
            return Ok(false);
        }
        let chat = self.chat_of(connector, address)?;
        Ok(Acquaintances::of(connector).lack(&*self.ports().store, address, &chat)?)
    }
}

/// Whether an automation answers in groups, or in conversations with one person.
fn answers(automation: &Automation, is_group: bool) -> bool {
    !automation.observer && automation.events.iter().any(|kind| automation.listens_to(kind, is_group))
}

fn checked_reason(reason: &str) -> Result<String> {
    let rule = Rule { field: Field::Reason, max_chars: 500, lines: true };
    Ok(text::checked_optional(rule, Some(reason))?.unwrap_or_default())
}

fn checked_tags(tags: Vec<String>) -> Result<Vec<String>> {
    let mut checked = Vec::with_capacity(tags.len());
    for (i, tag) in tags.iter().enumerate() {
        let rule = Rule { field: Field::Tags, max_chars: MAX_TAG_CHARS, lines: false };
        checked.push(text::checked(rule, tag).map_err(|error| {
            let why = error.fields.into_iter().next().map(|problem| problem.message).unwrap_or_default();
            Error::invalid(Field::Tags.at(i), why)
        })?);
    }
    checked.sort();
    checked.dedup();
    if checked.len() > MAX_TAGS {
        return Err(Error::invalid(Field::Tags, format!("must be at most {MAX_TAGS}")));
    }
    Ok(checked)
}
