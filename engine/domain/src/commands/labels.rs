//! Labels: the queues and statuses that a tenant gives to conversations, and how a conversation gets them.

use std::sync::Arc;

use uuid::Uuid;

use crate::commands::Commands;
use crate::commands::tags::{MAX_NAME_CHARS, both, checked_color};
use crate::commands::text::{Rule, checked};
use crate::model::{Color, Label, LabelKind};
use crate::ports::{Batch, Change, ChatChange, LabelChange};
use crate::{ConnectorIndex, Error, Field, Result, TenantIndex};

/// A change of a label. `None` leaves a field as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LabelPatch {
    /// The new name, at most [`MAX_NAME_CHARS`].
    pub name: Option<String>,
    /// The new colour: `#` and six hexadecimal digits; `Some(None)` for none.
    pub color: Option<Option<String>>,
}

impl Commands {
    /// A tenant's labels of this kind, ordered by number.
    pub fn list_labels(&self, tenant: TenantIndex, kind: LabelKind) -> Result<Vec<Arc<Label>>> {
        Ok(self.ports().store.labels(tenant, kind)?)
    }

    /// A label by the tenant's number for it.
    pub fn label_by_number(&self, tenant: TenantIndex, kind: LabelKind, number: u32) -> Result<Arc<Label>> {
        self.ports().store.label_by_number(tenant, kind, number)?.ok_or_else(|| Error::not_found(kind.noun()))
    }

    /// A label by its public id.
    pub fn get_label(&self, tenant: TenantIndex, kind: LabelKind, id: Uuid) -> Result<Arc<Label>> {
        self.ports().store.label_by_id(tenant, kind, id)?.ok_or_else(|| Error::not_found(kind.noun()))
    }

    /// Creates a label.
    pub async fn create_label(
        &self,
        tenant: TenantIndex,
        kind: LabelKind,
        name: &str,
        color: Option<&str>,
    ) -> Result<Arc<Label>> {
        let (name, color) = both(checked_name(name), color.map(checked_color).transpose())?;
        let (id, now) = (self.ports().entropy.uuid(), self.now());
        let label = Label { kind, tenant, number: 0, id, name, color, created_at: now, updated_at: now };
        self.put_label(label).await
    }

    /// Changes a label's name or colour; its conversations keep it.
    pub async fn update_label(
        &self,
        tenant: TenantIndex,
        kind: LabelKind,
        id: Uuid,
        patch: LabelPatch,
    ) -> Result<Arc<Label>> {
        let name = patch.name.as_deref().map(checked_name).transpose();
        let color = match patch.color {
            None => Ok(None),
            Some(None) => Ok(Some(None)),
            Some(Some(color)) => checked_color(&color).map(|color: Color| Some(Some(color))),
        };
        let (name, color) = both(name, color)?;
        let old = self.get_label(tenant, kind, id)?;
        let next = Label {
            name: name.unwrap_or_else(|| old.name.clone()),
            color: color.unwrap_or(old.color),
            ..(*old).clone()
        };
        if next == *old {
            return Ok(old);
        }
        self.put_label(Label { updated_at: self.now(), ..next }).await
    }

    /// Deletes a label; its conversations lose it.
    pub async fn delete_label(&self, tenant: TenantIndex, kind: LabelKind, id: Uuid) -> Result<()> {
        self.get_label(tenant, kind, id)?;
        let change = Change::Label(LabelChange::Delete(tenant, kind, id));
        self.ports().store.commit(Batch::of(vec![change])).await?;
        Ok(())
    }

    async fn put_label(&self, label: Label) -> Result<Arc<Label>> {
        let (tenant, kind, id) = (label.tenant, label.kind, label.id);
        self.ports().store.commit(Batch::of(vec![Change::Label(LabelChange::Put(label))])).await?;
        self.get_label(tenant, kind, id)
    }

    /// Puts the conversation with an address into a queue, and gives it a status, by their numbers; `None` leaves it as it is. It is opened
    /// if there is none.
    pub async fn sort_conversation(
        &self,
        tenant: TenantIndex,
        connector: ConnectorIndex,
        address: &str,
        queue: Option<u32>,
        status: Option<u32>,
    ) -> Result<()> {
        for (kind, number) in [(LabelKind::Queue, queue), (LabelKind::Status, status)] {
            if let Some(number) = number {
                self.label_by_number(tenant, kind, number)?;
            }
        }
        let found = self.ports().store.connector(connector)?.filter(|found| found.tenant == tenant);
        let found = found.ok_or_else(|| Error::not_found("Connector"))?;
        let chat = match self.conversation_of(&found, address)? {
            Some(conversation) => conversation.chat,
            None => self.chat_of(&found, address)?,
        };
        let sort = ChatChange::Sort { tenant, connector, chat, queue, status };
        self.ports().store.commit(Batch::of(vec![Change::Chat(Box::new(sort))])).await?;
        Ok(())
    }

    /// The number of the label that a field names by its public id.
    pub(crate) fn label_named(&self, tenant: TenantIndex, kind: LabelKind, field: Field, id: Uuid) -> Result<u32> {
        match self.ports().store.label_by_id(tenant, kind, id)? {
            Some(label) => Ok(label.number),
            None => Err(Error::invalid(field, "is not the id of one of yours")),
        }
    }

    /// The public id of the label with a number, unless it was deleted.
    pub(crate) fn label_id(&self, tenant: TenantIndex, kind: LabelKind, number: Option<u32>) -> Result<Option<Uuid>> {
        let Some(number) = number else { return Ok(None) };
        Ok(self.ports().store.label_by_number(tenant, kind, number)?.map(|label| label.id))
    }
}

fn checked_name(name: &str) -> Result<String> {
    checked(Rule { field: Field::Name, max_chars: MAX_NAME_CHARS, lines: false }, name)
}
