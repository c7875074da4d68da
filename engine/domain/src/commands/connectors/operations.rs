//! Requests to a connector that are carried out at once, without a queue: looking up addresses, marking as read, showing that
//! somebody is typing, checking whether the session works, and what only a plugin knows.
//!
//! Nothing here knows a channel: the features that the plugin declares say what a connector can do.

use futures::future::{Either, select};
use serde_json::Value;
use uuid::Uuid;

use crate::commands::Commands;
use crate::commands::connectors::offering::{MAX_OWN_BYTES, TargetRef, checked_address, done, unexpected, unindexed};
use crate::model::message::Target;
use crate::ports::{Answer, LookupResult, Operation, OperationError, SessionState, Typing};
use crate::{Error, ErrorCode, Field, Result, TenantIndex};

/// Maximum number of addresses in one look-up.
pub const MAX_LOOKUP: usize = 50;
/// Maximum number of messages that are marked as read at once.
pub const MAX_READ: usize = 100;

/// Operations of a plugin's own that nobody calls by themselves: what they change is kept by the engine too, see
/// [`crate::commands::templates`].
const KEPT_TOO: [&str; 4] = ["list-templates", "create-template", "edit-template", "delete-template"];

/// How long a channel may take to show that a session works, in milliseconds.
const CHECK_MS: i64 = 12_000;

impl Commands {
    /// Asks the channel whether a session that counts as connected works. `None` if it does not count as connected, if the plugin
    /// cannot ask, or if no answer came that tells.
    pub async fn check_session(&self, tenant: TenantIndex, id: Uuid) -> Result<Option<bool>> {
        let offering = self.offering(tenant, id)?;
        let (index, connectors) = (offering.connector.index, &self.ports().connectors);
        if !offering.plugin.offers("check") || connectors.session(index) != SessionState::Connected {
            return Ok(None);
        }
        let alarm = self.ports().clock.sleep_until(self.now().plus_ms(CHECK_MS));
        Ok(match select(connectors.operate(index, Operation::Check), alarm).await {
            Either::Left((Ok(_), _)) => Some(true),
            Either::Left((Err(OperationError::Disconnected(_)), _)) => Some(false),
            Either::Left((Err(_), _)) | Either::Right(_) => None,
        })
    }

    /// Looks up which of these addresses exist on the channel, in order. Fails with [`crate::ErrorCode::RateLimited`] where the connector
    /// looked up so many of late that more would put the account at risk; see [`super::lookups::LookupPace`].
    pub async fn look_up(&self, tenant: TenantIndex, id: Uuid, given: Vec<String>) -> Result<Vec<LookupResult>> {
        let offering = self.offering(tenant, id)?;
        offering.must("lookup")?;
        if given.is_empty() || given.len() > MAX_LOOKUP {
            return Err(Error::invalid(Field::Addresses, format!("must be 1 to {MAX_LOOKUP} addresses")));
        }
        let addresses = self.addresses(&offering, Field::Addresses, given.clone()).await?;
        let (index, count) = (offering.connector.index, addresses.len());
        self.count_lookup(index, count)?;
        let asked = self.operate(&offering, "lookup", Operation::Lookup(addresses)).await;
        if asked.as_ref().is_err_and(|error| error.code == ErrorCode::Disconnected) {
            self.lookup_not_made(index, count);
        }
        match asked? {
            Answer::Lookup(found) if found.len() == given.len() => {
                Ok(found.into_iter().zip(given).map(|(result, asked)| LookupResult { asked, ..result }).collect())
            }
            _ => Err(unexpected()),
        }
    }

    /// Has a connector do what only its plugin knows: one of the operations that it describes, with a value in the form that it says.
    /// Returns the plugin's answer, null where it has nothing to say. Neither the value nor the answer is stored: they may be secret.
    pub async fn operate_own(&self, tenant: TenantIndex, id: Uuid, kind: &str, value: &Value) -> Result<Value> {
        let offering = self.offering(tenant, id)?;
        let (connector, plugin) = (&offering.connector, &offering.plugin);
        if !plugin.takes_operation(kind) || KEPT_TOO.contains(&kind) {
            let shown: String = kind.chars().take(64).filter(|c| !c.is_control()).collect();
            let message =
                format!("this connector does not do {shown:?}: see the operations of the plugin {}", plugin.name);
            return Err(Error::new(ErrorCode::Unsupported, message));
        }
        let json = value.to_string();
        if json.len() > MAX_OWN_BYTES {
            return Err(Error::invalid("value", format!("must be at most {} KB of JSON", MAX_OWN_BYTES / 1024)));
        }
        let connectors = &self.ports().connectors;
        connectors.check_operation(&connector.plugin, kind, value).map_err(Error::invalid_fields)?;
        match connectors.operate(connector.index, Operation::Other(kind.to_owned(), json)).await? {
            Answer::Done => Ok(Value::Null),
            Answer::Other(answer) => serde_json::from_str(&answer).map_err(|_| unexpected()),
            _ => Err(unexpected()),
        }
    }

    /// Marks received messages of one conversation as read. The conversation may be omitted if every message is named by its
    /// event.
    pub async fn mark_read(
        &self,
        tenant: TenantIndex,
        id: Uuid,
        chat: Option<String>,
        messages: Vec<TargetRef>,
    ) -> Result<()> {
        let offering = self.offering(tenant, id)?;
        offering.must("read-receipts")?;
        if messages.is_empty() || messages.len() > MAX_READ {
            return Err(Error::invalid(Field::Messages, format!("must be 1 to {MAX_READ} messages")));
        }
        let mut chat = chat.map(|chat| checked_address(Field::Chat, &chat)).transpose()?;
        let mut targets: Vec<Target> = Vec::with_capacity(messages.len());
        for (i, message) in messages.into_iter().enumerate() {
            let field = Field::Messages.at(i);
            let found = self.target(tenant, &offering.connector, field.clone(), message).await?;
            match (&chat, found.chat) {
                (Some(one), Some(other)) if *one != other => {
                    return Err(Error::invalid(field, "is of another conversation; send one request for each"));
                }
                (None, Some(of)) => chat = Some(of),
                _ => {}
            }
            targets.push(found.target);
        }
        let chat =
            chat.ok_or_else(|| Error::invalid(Field::Chat, "is required unless the messages are named by event"))?;
        done(self.operate(&offering, "read-receipts", Operation::Read { chat, messages: targets }).await?)
    }

    /// Shows the other side that somebody is typing, or has stopped.
    pub async fn show_typing(&self, tenant: TenantIndex, id: Uuid, chat: &str, typing: Typing) -> Result<()> {
        let offering = self.offering(tenant, id)?;
        offering.must("typing")?;
        let chat = checked_address(Field::Chat, chat)?;
        let chat =
            self.addresses(&offering, Field::Chat, vec![chat]).await.map_err(|error| unindexed(error, Field::Chat))?;
        let chat = chat.into_iter().next().unwrap_or_default();
        done(self.operate(&offering, "typing", Operation::Typing { chat, typing }).await?)
    }
}
