//! The part of the store that automations and uploaded plugins live in: more changes for [`super::Store::commit`], and what can be
//! read.

use std::sync::Arc;

use uuid::Uuid;

use super::{StoreError, StoreResult};
use crate::model::*;
use crate::{AutomationIndex, ConnectorIndex, MessageKey, TenantIndex, Timestamp};

/// An event for whichever automations listen.
#[derive(Debug, Clone)]
pub struct NewWork {
    /// Owner.
    pub tenant: TenantIndex,
    /// The connector.
    pub connector: ConnectorIndex,
    /// The conversation's address; the conversation is opened when there is none yet.
    pub chat: String,
    /// Whether it is a group.
    pub is_group: bool,
    /// The other side's name, where it is known.
    pub contact_name: Option<String>,
    /// The event's id.
    pub id: Uuid,
    /// When it happened.
    pub at: Timestamp,
    /// What happened.
    pub body: WorkBody,
    /// Left out when the event of the batch before it ([`super::Change::Event`]) was left out as repeated.
    pub with_event: bool,
}

/// What becomes of a work item.
#[derive(Debug, Clone)]
pub enum WorkStep {
    /// It is handled: the lane goes on.
    Done,
    /// This automation has handled it and did not claim it: the next one's turn.
    After((u32, u32)),
    /// To be tried again.
    Retry {
        /// When.
        due_at: Timestamp,
    },
    /// Put aside for a person: the lane goes on.
    Park {
        /// The automation that failed.
        automation: AutomationIndex,
        /// See [`Parked::code`].
        code: String,
        /// See [`Parked::reason`].
        reason: String,
    },
    /// Kept until the conversation's automations are resumed (a timer that ran out meanwhile): the lane rests.
    Hold,
}

/// One change of automations, conversations, work or packages.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "boxed as a whole in a batch")]
pub enum AutomationChange {
    /// Creates or replaces an automation.
    Put(Automation),
    /// An event: one item in the answering lane if an active automation that is no observer listens to it, and one for each
    /// observer that does. Without a listener nothing happens, and no conversation is opened. With [`WorkBody::addressee`], only that
    /// one is asked.
    Event(NewWork),
    /// A receipt of a sent message: an event for the automation that sent it, if it was one. See [`Origin`].
    Reported {
        /// The message.
        message: MessageKey,
        /// The step.
        status: WorkStatus,
        /// Why.
        reason: Option<String>,
    },
    /// Steps of a conversation, applied in order to what is stored then. [`super::Conflict::Gone`] when there is no such
    /// conversation of the tenant.
    Conversation(TenantIndex, Uuid, Vec<ConversationStep>),
    /// Opens the conversation with this chat, if there is none.
    Open {
        /// Owner.
        tenant: TenantIndex,
        /// The connector.
        connector: ConnectorIndex,
        /// Its address.
        chat: String,
        /// Whether it is a group.
        is_group: bool,
    },
    /// Ends a try of a work item. [`super::Conflict::Work`] unless the item is there with so many `failures` and this `after`.
    Step {
        /// The item.
        key: WorkKey,
        /// As it was read.
        failures: u32,
        /// As it was read.
        after: Option<(u32, u32)>,
        /// What becomes of it.
        step: WorkStep,
    },
    /// What an automation wants to find next time; `None` forgets it.
    State(Uuid, AutomationIndex, Option<String>),
    /// Sets a timer, in place of one of the same name.
    SetTimer {
        /// The timer.
        key: TimerKey,
        /// Given back.
        payload: String,
    },
    /// Takes a timer back; no such timer is no error.
    CancelTimer {
        /// The conversation.
        conversation: Uuid,
        /// Who set it.
        automation: AutomationIndex,
        /// Its name.
        name: String,
    },
    /// A timer ran out: takes it away and makes it an event with this id. Nothing when it is not there any more.
    FireTimer(TimerKey, Uuid),
    /// Says which automation sent the message that was inserted last in this batch.
    Origin(Origin),
    /// Keeps what an automation was given and answered, sealed; older ones beyond `keep` are forgotten.
    Record {
        /// The automation.
        automation: AutomationIndex,
        /// Opaque.
        sealed: Vec<u8>,
        /// How many are kept.
        keep: u32,
    },
    /// Puts a parked item back at the end of its lane, as if new, and forgets that it was parked. [`super::Conflict::Gone`] when it
    /// is not parked.
    Unpark(TenantIndex, Uuid),
    /// Forgets a parked item. [`super::Conflict::Gone`] when it is not parked.
    Discard(TenantIndex, Uuid),
    /// Creates or replaces a package; [`super::Conflict::Package`] unless its revision is the stored one plus one (0 plus one when
    /// there is none).
    Package(Package),
    /// Deletes a package; [`super::Conflict::Package`] unless this is its revision.
    DeletePackage(String, u64),
    /// Creates or replaces.
    TrustRoot(TrustRoot),
    /// Appends.
    Audit(AuditEntry),
}

/// A lane that has work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DueLane {
    /// When its first item may be tried.
    pub due_at: Timestamp,
    /// The conversation.
    pub conversation: Uuid,
    /// See [`work::ANSWERING`].
    pub lane: u32,
}

/// Filters of a conversation list, combined by AND.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConversationFilter {
    /// On this connector.
    pub connector: Option<ConnectorIndex>,
    /// With automations paused, or not.
    pub paused: Option<bool>,
    /// With this tag.
    pub tag: Option<String>,
    /// In this one's charge.
    pub assignee: Option<String>,
}

/// What can be read. The defaults are those of a store that holds no automations.
#[expect(unused_variables, reason = "the defaults read nothing")]
pub trait AutomationStore: Send + Sync + 'static {
    /// An automation, deleted ones included. Cheap: from memory.
    fn automation(&self, index: AutomationIndex) -> StoreResult<Option<Arc<Automation>>> {
        Ok(None)
    }
    /// An automation by its public id, deleted ones included. Cheap: from memory.
    fn automation_by_id(&self, tenant: TenantIndex, id: Uuid) -> StoreResult<Option<Arc<Automation>>> {
        Ok(None)
    }
    /// A connector's automations in their order, deleted ones left out. Cheap: from memory.
    fn automations_on(&self, connector: ConnectorIndex) -> StoreResult<Arc<[Arc<Automation>]>> {
        Ok(Arc::default())
    }
    /// A tenant's automations, deleted ones left out; all tenants' with `None`.
    fn automations(&self, tenant: Option<TenantIndex>) -> StoreResult<Vec<Arc<Automation>>> {
        Ok(Vec::new())
    }

    /// A conversation, whoever owns it.
    fn conversation(&self, id: Uuid) -> StoreResult<Option<Conversation>> {
        Ok(None)
    }
    /// The conversation with a chat.
    fn conversation_with(&self, connector: ConnectorIndex, chat: &str) -> StoreResult<Option<Conversation>> {
        Ok(None)
    }
    /// A tenant's conversations after the id `after`, ordered by id, and the id up to which was looked, `None` at the end. Looks at
    /// a bounded number.
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
    fn work(&self, conversation: Uuid, lane: u32, limit: usize) -> StoreResult<Vec<Work>> {
        Ok(Vec::new())
    }
    /// What an automation left in a conversation.
    fn automation_state(&self, conversation: Uuid, automation: AutomationIndex) -> StoreResult<Option<String>> {
        Ok(None)
    }
    /// Timers that ran out up to and including `until`, oldest first.
    fn timers_due(&self, until: Timestamp, limit: usize) -> StoreResult<Vec<TimerKey>> {
        Ok(Vec::new())
    }
    /// When the next timer runs out.
    fn next_timer(&self) -> StoreResult<Option<Timestamp>> {
        Ok(None)
    }
    /// A conversation's timers.
    fn timers_of(&self, conversation: Uuid) -> StoreResult<Vec<TimerKey>> {
        Ok(Vec::new())
    }
    /// A tenant's parked items after the id `after`, ordered by id.
    fn parked(&self, tenant: TenantIndex, after: Option<Uuid>, limit: usize) -> StoreResult<Vec<Parked>> {
        Ok(Vec::new())
    }
    /// A parked item.
    fn parked_by_id(&self, tenant: TenantIndex, id: Uuid) -> StoreResult<Option<Parked>> {
        Ok(None)
    }
    /// What was kept of an automation's calls, newest first, at most `limit`.
    fn recordings(&self, automation: AutomationIndex, limit: usize) -> StoreResult<Vec<Vec<u8>>> {
        Ok(Vec::new())
    }

    /// A package by its name. Cheap: from memory.
    fn package(&self, name: &str) -> StoreResult<Option<Arc<Package>>> {
        Ok(None)
    }
    /// All packages, by name. Cheap: from memory.
    fn packages(&self) -> StoreResult<Vec<Arc<Package>>> {
        Ok(Vec::new())
    }
    /// All trust roots, revoked ones included.
    fn trust_roots(&self) -> StoreResult<Vec<TrustRoot>> {
        Ok(Vec::new())
    }
    /// A package's audit trail, newest first.
    fn audit(&self, plugin: &str, limit: usize) -> StoreResult<Vec<AuditEntry>> {
        Ok(Vec::new())
    }
    /// Writes a consistent summary, for tests and `pombo inspect`; `Err` names what does not fit together.
    fn check_automations(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
