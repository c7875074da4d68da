//! Counting: each message once for each stage, in the batch in which it reaches it; and the channel's ids of messages.

use pombo_domain::model::{MessageState, Receipts, Stage, Status};
use pombo_domain::ports::{StatChange, StoreResult};
use pombo_domain::{ConnectorIndex, MessageKey};

use super::Group;
use crate::codec::damaged;
use crate::columns::word;
use crate::keys;
use crate::space::Space;
use crate::tables::{messages, receipts, stats};

/// The longest id by which a message is found, in bytes.
const LONGEST_ID: usize = 1_024;

impl Group<'_> {
    pub(super) fn stat(&mut self, change: StatChange) -> StoreResult<()> {
        let StatChange::Forget { tenant, span, before, limit } = change;
        stats::forget(&*self.shared.backend, &mut self.staged, (tenant, span), before, limit)
    }

    /// A message's state changes from `old`. Sent for the first time it counts as accepted: a message that was sent once keeps its
    /// [`MessageState::sent_at`]. A failure counts unless a report of it did already, or it had failed before it was tried again.
    pub(super) fn count_step(
        &mut self,
        key: MessageKey,
        connector: ConnectorIndex,
        old: &MessageState,
        state: &MessageState,
    ) -> StoreResult<()> {
        if let Some(id) = state.provider_id.as_deref().filter(|id| old.provider_id.as_deref() != Some(*id)) {
            self.known_by(connector, id, key);
        }
        if old.status == Status::Failed && state.status != Status::Failed {
            stats::note_failed(&mut self.staged, key);
        }
        match state.status {
            Status::Sent if old.status != Status::Sent && old.sent_at.is_none() => self.count(key, &[Stage::Accepted]),
            Status::Failed if old.status != Status::Failed => {
                let reported = self.reports_of(key)?.failed.is_some();
                if reported || stats::failed_before(&self.staged, key)? {
                    return Ok(());
                }
                self.count(key, &[Stage::Failed])
            }
            _ => Ok(()),
        }
    }

    /// The reports about a message change.
    pub(super) fn count_reports(&mut self, key: MessageKey, now: &Receipts) -> StoreResult<()> {
        let Some(word) = self.shared.columns.word(key) else { return Ok(()) };
        let before = self.reports_of(key)?;
        if let Some(id) = now.provider_id.as_deref().filter(|id| before.provider_id.as_deref() != Some(*id)) {
            self.known_by(word::connector(word), id, key);
        }
        let mut stages = Vec::new();
        if before.first.delivered_at.is_none() && now.first.delivered_at.is_some() {
            stages.push(Stage::Delivered);
        }
        if before.first.read_at.is_none() && now.first.read_at.is_some() {
            stages.push(Stage::Read);
        }
        if before.failed.is_none() && now.failed.is_some() {
            let (_, state) = self.state_of(key, &keys::message(key), word)?;
            if state.status != Status::Failed && !stats::failed_before(&self.staged, key)? {
                stages.push(Stage::Failed);
            }
        }
        if stages.is_empty() { Ok(()) } else { self.count(key, &stages) }
    }

    fn reports_of(&self, key: MessageKey) -> StoreResult<Receipts> {
        let row = self.staged.get(Space::Events, &keys::receipts(key))?;
        Ok(row.map(|row| receipts::parse(&row)).transpose()?.unwrap_or_default())
    }

    fn known_by(&mut self, connector: ConnectorIndex, provider_id: &str, key: MessageKey) {
        if provider_id.len() <= LONGEST_ID {
            stats::put_provider(&mut self.staged, connector, provider_id, key);
        }
    }

    /// Counts a message. Its record is read only where it was not claimed of late.
    fn count(&mut self, key: MessageKey, stages: &[Stage]) -> StoreResult<()> {
        let subject = match self.shared.births.subject(key) {
            Some(subject) => subject,
            None => {
                let message = messages::read(&*self.shared.backend, key)?;
                stats::subject_of(&message.ok_or_else(|| damaged("messages: a record is missing"))?.content)
            }
        };
        let Some(subject) = subject else { return Ok(()) };
        for stage in stages {
            stats::count(&mut self.staged, key.tenant, &subject, *stage, self.now)?;
        }
        Ok(())
    }
}
