//! From what an automation answered to the changes of one batch. Pure, except for what [`OutcomeReads`] reads.
//!
//! An answer is carried out as a whole or refused as a whole: an `Err` says what is wrong with it, for the plugin's author.

use std::collections::BTreeMap;

use pombo_domain::model::event::{EventBody, NewEvent};
use pombo_domain::model::*;
use pombo_domain::ports::{Action, AppendEvent, AutomationChange, Change, KvWrite, Outcome, StoreResult};
use pombo_domain::{AutomationIndex, Timestamp};
use uuid::Uuid;

/// Actions of one answer, at most.
pub const MAX_ACTIONS: usize = 100;
/// The longest name of a timer, label, assignee or emitted kind, in bytes.
pub const MAX_NAME_BYTES: usize = 255;
/// The longest tag, in bytes.
pub const MAX_TAG_BYTES: usize = 100;
/// The longest payload, emitted JSON, variables or reason, in bytes.
pub const MAX_PAYLOAD_BYTES: usize = 64 * 1024;
/// The longest key of the key/value store, in bytes.
pub const MAX_KEY_BYTES: usize = 512;
/// The longest value of the key/value store, in bytes.
pub const MAX_VALUE_BYTES: usize = 1024 * 1024;
/// The longest state, in bytes.
pub const MAX_STATE_BYTES: usize = 1024 * 1024;
/// The shortest delay of a timer, ms.
pub const MIN_TIMER_MS: u64 = 1_000;
/// The longest delay of a timer, ms.
pub const MAX_TIMER_MS: u64 = 400 * DAY_MS;
/// The longest delay of a message, ms.
pub const MAX_SEND_MS: u64 = 366 * DAY_MS;

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// Why an answer cannot be carried out.
pub type Unfit = String;

/// What building the changes must read.
pub trait OutcomeReads: Sync {
    /// The contact that has this address.
    fn contact(&self, kind: ContactType, identifier: &str) -> StoreResult<Option<Contact>>;
    /// Bytes in the automation's key/value store.
    fn kv_bytes(&self) -> StoreResult<u64>;
    /// Bytes of one of its entries, key and value; 0 when there is none.
    fn kv_entry_bytes(&self, key: &str) -> StoreResult<u64>;
    /// Whether the connector's plugin declares a feature.
    fn offers(&self, feature: &str) -> bool;
    /// A new id.
    fn id(&self) -> Uuid;
}

/// The event that the automation answered, and its circumstances.
pub struct EventContext<'a> {
    /// The connector of the conversation.
    pub connector: &'a Connector,
    /// The conversation, as it was read for the call.
    pub conversation: &'a Conversation,
    /// The automation that answered.
    pub automation: &'a Automation,
    /// What its plugin was granted.
    pub grants: &'a Wants,
    /// The event itself.
    pub body: &'a TaskBody,
    /// The state it was given.
    pub state: Option<&'a str>,
    /// The instant of the call.
    pub now: Timestamp,
    /// Reads what is stored.
    pub reads: &'a dyn OutcomeReads,
}

/// What an answer becomes.
#[derive(Default)]
pub struct Plan {
    /// All changes except the step of the event task.
    pub changes: Vec<Change>,
    /// The conversation is to be marked as read.
    pub mark_read: bool,
}

/// What `outcome` becomes.
pub fn plan(context: &EventContext<'_>, outcome: &Outcome) -> StoreResult<Result<Plan, Unfit>> {
    let mut making = Making { context, plan: Plan::default(), steps: Vec::new(), writes: Vec::new(), contact: None };
    if let Err(stop) = making.all(outcome) {
        return match stop {
            Stop::Unfit(unfit) => Ok(Err(unfit)),
            Stop::Store(error) => Err(error),
        };
    }
    Ok(Ok(making.plan))
}

/// A contact that an answer makes or changes.
struct TouchedContact {
    /// As it was read, or will be made; active or not as this answer leaves it.
    contact: Contact,
    is_new: bool,
    steps: Vec<ContactStep>,
}

pub(super) enum Stop {
    Unfit(Unfit),
    Store(pombo_domain::ports::StoreError),
}

impl From<pombo_domain::ports::StoreError> for Stop {
    fn from(error: pombo_domain::ports::StoreError) -> Self {
        Self::Store(error)
    }
}

pub(super) type Step = Result<(), Stop>;

pub(super) fn unfit<T>(why: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::Unfit(why.into()))
}

pub(super) fn bounded(what: &str, text: &str, bytes: usize) -> Step {
    if text.len() > bytes {
        return unfit(format!("{what} may have at most {bytes} bytes, this one has {}", text.len()));
    }
    Ok(())
}

pub(super) fn named(what: &str, text: &str, bytes: usize) -> Step {
    if text.trim().is_empty() {
        return unfit(format!("{what} must not be empty"));
    }
    if text.chars().any(char::is_control) {
        return unfit(format!("{what} must not contain control characters"));
    }
    bounded(what, text, bytes)
}

pub(super) struct Making<'a> {
    pub(super) context: &'a EventContext<'a>,
    pub(super) plan: Plan,
    steps: Vec<ConversationStep>,
    writes: Vec<KvWrite>,
    /// The contact that this answer changes.
    contact: Option<TouchedContact>,
}

impl Making<'_> {
    fn all(&mut self, outcome: &Outcome) -> Step {
        if outcome.actions.len() > MAX_ACTIONS {
            return unfit(format!("at most {MAX_ACTIONS} actions a call, these are {}", outcome.actions.len()));
        }
        if outcome.state.as_deref() != self.context.state {
            if let Some(state) = &outcome.state {
                bounded("the state", state, MAX_STATE_BYTES)?;
            }
            self.change(AutomationChange::State(self.conversation(), self.index(), outcome.state.clone()));
        }
        for action in &outcome.actions {
            self.act(action)?;
        }
        self.finish()
    }

    pub(super) fn conversation(&self) -> Uuid {
        self.context.conversation.id
    }

    pub(super) fn index(&self) -> AutomationIndex {
        self.context.automation.index
    }

    fn by(&self) -> String {
        format!("automation:{}", self.context.automation.id)
    }

    pub(super) fn change(&mut self, change: AutomationChange) {
        self.plan.changes.push(Change::Automation(Box::new(change)));
    }

    fn event(&mut self, body: EventBody) {
        let (tenant, connector, at) = (self.context.automation.tenant, self.context.connector.index, self.context.now);
        let event = NewEvent { id: self.context.reads.id(), connector, at, body };
        self.plan.changes.push(Change::Event(AppendEvent { tenant, event, once: None }));
    }

    fn told(&mut self, step: ConversationAction, detail: &str) {
        let body = EventBody::Conversation {
            conversation: self.conversation(),
            chat: self.context.conversation.chat.clone(),
            step: step.into(),
            by: self.by(),
            detail: detail.to_owned(),
        };
        self.event(body);
    }

    fn answers(&self, what: &str) -> Step {
        if self.context.automation.observer {
            return unfit(format!("it only observes, and may not {what}"));
        }
        Ok(())
    }

    fn act(&mut self, action: &Action) -> Step {
        match action {
            Action::Send(send) => {
                self.answers("send")?;
                self.send(send)
            }
            Action::WriteKv(key, value) => self.write(key, value.as_deref()),
            Action::SetTimer(name, delay_ms, payload) => self.set_timer(name, *delay_ms, payload),
            Action::CancelTimer(name) => {
                let (conversation, automation) = (self.conversation(), self.index());
                self.change(AutomationChange::CancelTimer { conversation, automation, name: name.clone() });
                Ok(())
            }
            Action::AddTag(tag) => {
                named("a tag", tag, MAX_TAG_BYTES)?;
                self.steps.push(ConversationStep::Tag(tag.trim().to_owned()));
                Ok(())
            }
            Action::RemoveTag(tag) => {
                self.steps.push(ConversationStep::Untag(tag.trim().to_owned()));
                Ok(())
            }
            Action::UpdateContact(name, active) => self.update_contact(name.as_deref(), *active),
            Action::HandOver(reason) => {
                self.answers("hand over")?;
                bounded("the reason of a hand-over", reason, MAX_PAYLOAD_BYTES)?;
                let already = self.steps.iter().any(|step| matches!(step, ConversationStep::Pause(_)));
                if !already && self.context.conversation.handover.is_none() {
                    let handover =
                        Handover { by: self.by(), at: self.context.now, reason: reason.clone(), until: None };
                    self.steps.push(ConversationStep::Pause(handover));
                    self.told(ConversationAction::Paused, reason);
                }
                Ok(())
            }
            Action::Assign(who) => {
                self.answers("assign")?;
                if let Some(who) = who {
                    named("an assignee", who, MAX_NAME_BYTES)?;
                }
                let earlier = self.steps.iter().rev().find_map(|step| match step {
                    ConversationStep::Assign(earlier) => Some(earlier),
                    _ => None,
                });
                if earlier.unwrap_or(&self.context.conversation.assignee) != who {
                    self.steps.push(ConversationStep::Assign(who.clone()));
                    self.told(ConversationAction::Assigned, who.as_deref().unwrap_or_default());
                }
                Ok(())
            }
            Action::Emit(kind, json) => {
                named("the kind of an emitted event", kind, MAX_NAME_BYTES)?;
                bounded("an emitted event", json, MAX_PAYLOAD_BYTES)?;
                if let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(json) {
                    return unfit(format!("an emitted event must be JSON: {error}"));
                }
                let (automation, conversation) = (self.context.automation.id, self.conversation());
                self.event(EventBody::Emitted { automation, conversation, kind: kind.clone(), json: json.clone() });
                Ok(())
            }
            Action::MarkRead => {
                self.plan.mark_read = true;
                Ok(())
            }
        }
    }

    fn write(&mut self, key: &str, value: Option<&str>) -> Step {
        if key.is_empty() {
            return unfit("a key must not be empty");
        }
        bounded("a key", key, MAX_KEY_BYTES)?;
        if let Some(value) = value {
            bounded("a value", value, MAX_VALUE_BYTES)?;
            if self.context.grants.kv_bytes == 0 {
                return unfit("no key/value store was granted; ask for `kv-bytes` in `wants`");
            }
        }
        let value = value.map(|value| value.as_bytes().to_vec());
        self.writes.push(KvWrite { key: key.to_owned(), value });
        Ok(())
    }

    fn set_timer(&mut self, name: &str, delay_ms: u64, payload: &str) -> Step {
        named("a timer's name", name, MAX_NAME_BYTES)?;
        bounded("a timer's payload", payload, MAX_PAYLOAD_BYTES)?;
        if !(MIN_TIMER_MS..=MAX_TIMER_MS).contains(&delay_ms) {
            return unfit(format!("a timer runs from a second to 400 days, not {delay_ms} ms"));
        }
        let due_at = self.context.now.plus_ms(i64::try_from(delay_ms).unwrap_or(i64::MAX));
        let (conversation, automation) = (self.conversation(), self.index());
        let key = TimerKey { due_at, conversation, automation, name: name.to_owned() };
        self.change(AutomationChange::SetTimer { key, payload: payload.to_owned() });
        Ok(())
    }

    fn update_contact(&mut self, name: Option<&str>, active: Option<bool>) -> Step {
        let context = self.context;
        if context.conversation.is_group {
            return unfit("a group is not a contact");
        }
        let Some(kind) = ContactType::of_channel(&context.connector.channel) else {
            return unfit("no contacts are kept for the connector's channel");
        };
        if let Some(name) = name {
            named("a contact's name", name, MAX_NAME_BYTES)?;
        }
        let mut touched = match self.contact.take() {
            Some(touched) => touched,
            None => {
                let identifier = kind.identifier(&context.conversation.chat);
                match context.reads.contact(kind, &identifier)? {
                    Some(contact) => TouchedContact { contact, is_new: false, steps: Vec::new() },
                    None => {
                        let (id, tenant) = (context.reads.id(), context.automation.tenant);
                        let contact = Contact::new(id, tenant, kind, identifier, context.now);
                        TouchedContact { contact, is_new: true, steps: Vec::new() }
                    }
                }
            }
        };
        if let Some(name) = name {
            touched.steps.push(ContactStep::Name(Some(name.trim().to_owned())));
        }
        if let Some(active) = active
            && active != touched.contact.active
        {
            touched.contact.active = active;
            let reason = (!active).then(|| format!("opted out, says the automation {}", context.automation.name));
            touched.steps.push(ContactStep::Active(active, reason));
        }
        self.contact = Some(touched);
        Ok(())
    }

    /// The tags that the conversation gets by the steps so far, if they are others than it has.
    fn retagged(&self) -> Option<Vec<String>> {
        let mut before = self.context.conversation.tags.clone();
        before.sort();
        let mut tags = before.clone();
        for step in &self.steps {
            match step {
                ConversationStep::Tag(tag) if !tags.contains(tag) => tags.push(tag.clone()),
                ConversationStep::Untag(tag) => tags.retain(|present| present != tag),
                _ => {}
            }
        }
        tags.sort();
        (tags != before).then_some(tags)
    }

    fn finish(&mut self) -> Step {
        if let Some(tags) = self.retagged() {
            self.told(ConversationAction::Tagged, &tags.join(", "));
        }
        if !self.steps.is_empty() {
            let (tenant, steps) = (self.context.automation.tenant, std::mem::take(&mut self.steps));
            self.change(AutomationChange::Conversation(tenant, self.conversation(), steps));
        }
        if let Some(TouchedContact { mut contact, is_new, steps }) = self.contact.take() {
            let (tenant, id, at) = (contact.tenant, contact.id, self.context.now);
            if is_new {
                contact.apply(&steps, at);
                self.plan.changes.push(Change::Contact(contact));
            } else {
                // Where it was replaced meanwhile, the answer is made again: an opt-out must not get lost.
                self.plan.changes.push(Change::ContactSteps { tenant, id, at, steps, must_exist: true });
            }
        }
        if !self.writes.is_empty() {
            self.within_grant()?;
            let writes = std::mem::take(&mut self.writes);
            self.plan.changes.push(Change::Kv(self.index().kv(), writes));
        }
        Ok(())
    }

    /// Whether the key/value store is within what was granted after these writes. One that only deletes always may.
    fn within_grant(&self) -> Step {
        let mut after: BTreeMap<&str, u64> = BTreeMap::new();
        for write in &self.writes {
            let bytes = write.value.as_ref().map_or(0, |value| (write.key.len() + value.len()) as u64);
            after.insert(&write.key, bytes);
        }
        let mut before = 0;
        for key in after.keys() {
            before += self.context.reads.kv_entry_bytes(key)?;
        }
        let added: u64 = after.values().sum();
        if added <= before {
            return Ok(());
        }
        let whole = self.context.reads.kv_bytes()? + added - before;
        if whole > self.context.grants.kv_bytes {
            let granted = self.context.grants.kv_bytes;
            return unfit(format!("its key/value store would have {whole} bytes; {granted} were granted"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
