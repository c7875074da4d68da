//! The part of the store for automations and uploaded plugins: further changes for [`super::Store::commit`], and reads.

use std::collections::BTreeSet;
use std::sync::Arc;

use uuid::Uuid;

use super::{StoreError, StoreResult};
use crate::model::*;
use crate::{AutomationIndex, ConnectorIndex, MessageKey, TenantIndex, Timestamp, Word};

/// An event for all automations that listen to it.
#[derive(Debug, Clone)]
pub struct NewTask {
    /// The tenant that owns it.
    pub tenant: TenantIndex,
    /// The connector.
    pub connector: ConnectorIndex,
    /// Address of the conversation, which is opened if it does not exist yet.
    pub chat: String,
    /// Whether it is a group.
    pub is_group: bool,
    /// Name that the contact goes by, if known.
    pub contact_name: Option<String>,
    /// The event's id.
    pub id: Uuid,
    /// When it happened.
    pub at: Timestamp,
    /// What happened.
    pub body: TaskBody,
    /// Leave it out if the preceding event of the batch ([`super::Change::Event`]) was left out as a repetition.
    pub with_event: bool,
}

/// A message of the connector's own account that was not sent from here: somebody typed it on the account's phone.
#[derive(Debug, Clone)]
pub struct OwnMessage {
    /// The tenant that owns the connector.
    pub tenant: TenantIndex,
    /// The connector.
    pub connector: ConnectorIndex,
    /// Address of the conversation.
    pub chat: String,
    /// Whether it is a group.
    pub is_group: bool,
    /// What it does to the automations of the conversation.
    pub effect: OwnEffect,
    /// Id of the event that is appended if they are paused or resumed by it.
    pub event: Uuid,
    /// Why, for people: part of that event, and of the pause.
    pub reason: String,
}

/// What a message of the account's own does to the automations of its conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnEffect {
    /// A person answers: they are paused until this instant. See [`AutomationChange::Own`].
    PausesUntil(Timestamp),
    /// It ends such a pause.
    Resumes,
}

/// A pause that ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PauseEnd {
    /// When it ends.
    pub at: Timestamp,
    /// The conversation whose automations are paused.
    pub conversation: Uuid,
}

/// What happens to an event task.
#[derive(Debug, Clone)]
pub enum TaskStep {
    /// It has been handled: the lane continues.
    Done,
    /// This automation has handled it without claiming it: it is the next automation's turn.
    After((u32, u32)),
    /// It is tried again.
    Retry {
        /// When it is tried again.
        due_at: Timestamp,
    },
    /// It becomes a dead letter, for a person to decide: the lane continues.
    DeadLetter {
        /// The automation that failed.
        automation: AutomationIndex,
        /// Why it failed, see [`DeadLetter::code`].
        code: Word<FailureCode>,
        /// Why it failed, see [`DeadLetter::reason`].
        reason: String,
    },
    /// It waits until the conversation's automations are resumed (a timer that came due during a pause, any event during a pause that
    /// ends by itself): the lane rests.
    Hold,
}

/// One change of automations, conversations, event tasks or plugins.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "boxed as a whole in a batch")]
pub enum AutomationChange {
    /// Creates or replaces an automation.
    Put(Automation),
    /// An event: one item in the answering lane if an active automation that is not an observer listens to it, and one for each
    /// observer that does. If nobody listens, nothing happens and no conversation is opened. With [`TaskBody::addressee`], only
    /// that automation is asked. The conversation is engaged from then on, see [`Conversation::engaged`].
    Event(NewTask),
    /// A report about a sent message: an event for the automation that sent it, if an automation did. See [`Origin`].
    Reported {
        /// The message.
        message: MessageKey,
        /// The new status.
        status: ReportedStatus,
        /// Why it has this status.
        reason: Option<String>,
    },
    /// Steps of a conversation, applied in order to its newest version. [`super::Conflict::Gone`] if the tenant has no such
    /// conversation.
    Conversation(TenantIndex, Uuid, Vec<ConversationStep>),
    /// Opens the conversation with this chat, unless it exists, for an automation: it is engaged from then on.
    Open {
        /// The tenant that owns it.
        tenant: TenantIndex,
        /// The connector.
        connector: ConnectorIndex,
        /// Address of the conversation.
        chat: String,
        /// Whether it is a group.
        is_group: bool,
    },
    /// Somebody wrote on the account's own phone. Left out if the preceding event of the batch ([`super::Change::Event`]) was left out as a
    /// repetition, where no active automation answers in such conversations, and where a person or an automation has paused them.
    ///
    /// [`OwnEffect::PausesUntil`] pauses the automations by [`conversation::PHONE`], or moves the end of such a pause on, never back. What
    /// the other side said before is answered: its events leave the answering lane, and whatever an automation is about to answer to one
    /// is refused. [`OwnEffect::Resumes`] ends such a pause, and what waits is handled.
    Own(OwnMessage),
    /// A pause ends by itself, as if somebody had resumed the automations; nothing happens unless it still ends then.
    EndPause {
        /// Which pause.
        end: PauseEnd,
        /// Id of the event that tells of it.
        event: Uuid,
        /// Why, for people.
        reason: String,
    },
    /// Ends an attempt to handle an event task. [`super::Conflict::Task`] unless the stored item has this number of `failures` and
    /// this `after`.
    Step {
        /// The item.
        key: TaskKey,
        /// The value that was read.
        failures: u32,
        /// The value that was read.
        after: Option<(u32, u32)>,
        /// What happens to it.
        step: TaskStep,
    },
    /// The automation's new state in a conversation; `None` deletes it.
    State(Uuid, AutomationIndex, Option<String>),
    /// Sets a timer, replacing one with the same name.
    SetTimer {
        /// The timer.
        key: TimerKey,
        /// Returned when it fires.
        payload: String,
    },
    /// Cancels a timer; it is not an error if there is none.
    CancelTimer {
        /// The conversation.
        conversation: Uuid,
        /// The automation that set it.
        automation: AutomationIndex,
        /// Name of the timer.
        name: String,
    },
    /// A timer came due: removes it and turns it into an event with this id. Does nothing if the timer no longer exists.
    FireTimer(TimerKey, Uuid),
    /// Names the automation that sent the message inserted last in this batch.
    Origin(Origin),
    /// Stores the inputs and the answer of an automation's call, sealed; older ones beyond `keep` are deleted.
    Record {
        /// The automation.
        automation: AutomationIndex,
        /// The sealed recording.
        sealed: Vec<u8>,
        /// Number of recordings to keep.
        keep: u32,
    },
    /// Puts a dead letter back at the end of its lane, as if it were new. [`super::Conflict::Gone`] if there is none.
    Requeue(TenantIndex, Uuid),
    /// Deletes a dead letter. [`super::Conflict::Gone`] if there is none.
    Discard(TenantIndex, Uuid),
    /// Creates or replaces a plugin; [`super::Conflict::Plugin`] unless its revision is the stored one plus one (or 1 if there
    /// is none).
    Plugin(Plugin),
    /// Deletes a plugin; [`super::Conflict::Plugin`] unless it has this revision.
    DeletePlugin(String, u64),
    /// Creates or replaces a trust root.
    TrustRoot(TrustRoot),
    /// Appends an entry to an audit trail.
    Audit(AuditEntry),
}

/// A lane that has work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DueLane {
    /// When its first item may be handled.
    pub due_at: Timestamp,
    /// The conversation.
    pub conversation: Uuid,
    /// The lane, see [`event_task::ANSWERING`].
    pub lane: u32,
}

/// Filters of a list of conversations, combined by AND.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConversationFilter {
    /// Only conversations on this connector.
    pub connector: Option<ConnectorIndex>,
    /// Only conversations on one of these connectors; none for an empty list.
    pub connectors: Option<Vec<ConnectorIndex>>,
    /// Only conversations whose automations are (or are not) paused.
    pub paused: Option<bool>,
    /// Only conversations with this tag.
    pub tag: Option<String>,
    /// Only conversations assigned to this person.
    pub assignee: Option<String>,
    /// Only conversations assigned to this user.
    pub assigned_user: Option<Uuid>,
    /// Only conversations in the queue with this number.
    pub queue: Option<u32>,
    /// Only conversations that have the status with this number.
    pub status_label: Option<u32>,
    /// Only conversations that are (or are not) assigned to anybody.
    pub assigned: Option<bool>,
    /// Only conversations that are (or are not) archived.
    pub archived: Option<bool>,
    /// Only conversations with (or without) unread messages.
    pub unread: Option<bool>,
    /// Only groups, or only conversations with one person.
    pub is_group: Option<bool>,
    /// Only conversations with one of these tags; empty for all.
    pub tags: Vec<String>,
    /// Only conversations with (or without) any tag.
    pub tagged: Option<bool>,
    /// Only conversations of which name, address and the beginning of the newest message together contain every word; case and accents
    /// are ignored.
    pub search: Option<String>,
    /// The same, of name and address alone.
    pub search_who: Option<String>,
    /// Addresses that `search_who` finds too, whatever the conversations with them are called.
    pub search_chats: BTreeSet<String>,
    /// Only conversations that an automation answers now (or those that none does): one took part in it, its automations are not paused,
    /// and `answered` has it.
    pub automated: Option<bool>,
    /// Where an automation answers, for `automated`: a connector, and whether in groups.
    pub answered: BTreeSet<(ConnectorIndex, bool)>,
}

/// Reads of automations, conversations, event tasks and plugins. The defaults are those of a store without automations.
#[expect(unused_variables, reason = "the defaults read nothing")]
pub trait AutomationStore: Send + Sync + 'static {
    /// An automation, including deleted ones. Cheap: from memory.
    fn automation(&self, index: AutomationIndex) -> StoreResult<Option<Arc<Automation>>> {
        Ok(None)
    }
    /// An automation by its public id, including deleted ones. Cheap: from memory.
    fn automation_by_id(&self, tenant: TenantIndex, id: Uuid) -> StoreResult<Option<Arc<Automation>>> {
        Ok(None)
    }
    /// A connector's automations in their order, without deleted ones. Cheap: from memory.
    fn automations_on(&self, connector: ConnectorIndex) -> StoreResult<Arc<[Arc<Automation>]>> {
        Ok(Arc::default())
    }
    /// A tenant's automations, without deleted ones; with `None`, those of all tenants.
    fn automations(&self, tenant: Option<TenantIndex>) -> StoreResult<Vec<Arc<Automation>>> {
        Ok(Vec::new())
    }

    /// A conversation of any tenant.
    fn conversation(&self, id: Uuid) -> StoreResult<Option<Conversation>> {
        Ok(None)
    }
    /// The conversation with a chat.
    fn conversation_with(&self, connector: ConnectorIndex, chat: &str) -> StoreResult<Option<Conversation>> {
        Ok(None)
    }
    /// A tenant's conversations after the id `after`, ordered by id, and the id up to which the store looked, `None` at the end.
    /// Looks at a bounded number.
    fn conversations(
        &self,
        tenant: TenantIndex,
        filter: &ConversationFilter,
        after: Option<Uuid>,
        limit: usize,
    ) -> StoreResult<(Vec<Conversation>, Option<Uuid>)> {
        Ok((Vec::new(), None))
    }

    /// Lanes whose first item is due up to and including `until`, after `after`, in order.
    fn due_lanes(&self, until: Timestamp, after: Option<DueLane>, limit: usize) -> StoreResult<Vec<DueLane>> {
        Ok(Vec::new())
    }
    /// When the next lane is due.
    fn next_due_lane(&self) -> StoreResult<Option<Timestamp>> {
        Ok(None)
    }
    /// A lane's items in order.
    fn tasks(&self, conversation: Uuid, lane: u32, limit: usize) -> StoreResult<Vec<EventTask>> {
        Ok(Vec::new())
    }
    /// The automation's state in a conversation.
    fn automation_state(&self, conversation: Uuid, automation: AutomationIndex) -> StoreResult<Option<String>> {
        Ok(None)
    }
    /// Timers that are due up to and including `until`, oldest first.
    fn timers_due(&self, until: Timestamp, limit: usize) -> StoreResult<Vec<TimerKey>> {
        Ok(Vec::new())
    }
    /// When the next timer is due.
    fn next_timer(&self) -> StoreResult<Option<Timestamp>> {
        Ok(None)
    }
    /// Pauses that end by themselves up to and including `until`, behind `after`, the first to end first. Cheap: from memory.
    fn pauses_ending(&self, until: Timestamp, after: Option<PauseEnd>, limit: usize) -> StoreResult<Vec<PauseEnd>> {
        Ok(Vec::new())
    }
    /// When the next pause behind `after` ends by itself. Cheap: from memory.
    fn next_pause_end(&self, after: Option<PauseEnd>) -> StoreResult<Option<Timestamp>> {
        Ok(None)
    }
    /// A conversation's timers.
    fn timers_of(&self, conversation: Uuid) -> StoreResult<Vec<TimerKey>> {
        Ok(Vec::new())
    }
    /// A tenant's dead letters after the id `after`, ordered by id.
    fn dead_letters(&self, tenant: TenantIndex, after: Option<Uuid>, limit: usize) -> StoreResult<Vec<DeadLetter>> {
        Ok(Vec::new())
    }
    /// A dead letter.
    fn dead_letter(&self, tenant: TenantIndex, id: Uuid) -> StoreResult<Option<DeadLetter>> {
        Ok(None)
    }
    /// The recordings of an automation's calls, newest first, at most `limit`.
    fn recordings(&self, automation: AutomationIndex, limit: usize) -> StoreResult<Vec<Vec<u8>>> {
        Ok(Vec::new())
    }

    /// A plugin by its name. Cheap: from memory.
    fn plugin(&self, name: &str) -> StoreResult<Option<Arc<Plugin>>> {
        Ok(None)
    }
    /// All plugins, by name. Cheap: from memory.
    fn plugins(&self) -> StoreResult<Vec<Arc<Plugin>>> {
        Ok(Vec::new())
    }
    /// All trust roots, including revoked ones.
    fn trust_roots(&self) -> StoreResult<Vec<TrustRoot>> {
        Ok(Vec::new())
    }
    /// A plugin's audit trail, newest first.
    fn audit(&self, plugin: &str, limit: usize) -> StoreResult<Vec<AuditEntry>> {
        Ok(Vec::new())
    }
    /// Checks that everything is consistent, for tests and `pombo inspect`; `Err` names what does not fit together.
    fn check_automations(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
