//! A connector and what its plugin declares, calls to it, the conversion of a plugin's refusals into errors of a use case, and
//! how a caller names an address or a message of its channel.
//!
//! Nothing here knows a channel: the features that the plugin declares say what a connector can do.

use std::sync::Arc;

use serde_json::Value;
use uuid::Uuid;

use crate::commands::Commands;
use crate::model::message::{MessageAction, OwnContent};
use crate::model::{Attachment, Connector, MessageOptions};
use crate::ports::{Answer, ConnectorError, Operation, OperationError, PluginDescription};
use crate::{ConnectorIndex, Error, ErrorCode, Field, FieldPath, FieldProblem, Result, TenantIndex};

/// Maximum length of an address, in bytes.
pub const MAX_ADDRESS_BYTES: usize = 320;

/// A connector that is not deleted, with the description of its plugin.
pub(crate) struct Offering {
    pub(crate) connector: Arc<Connector>,
    pub(crate) plugin: PluginDescription,
}

impl Offering {
    /// Refuses a feature that the plugin does not declare.
    pub(crate) fn must(&self, feature: &str) -> Result<()> {
        offers(&self.plugin, feature)
    }
}

/// Refuses a feature that a plugin does not declare.
pub(crate) fn offers(plugin: &PluginDescription, feature: &str) -> Result<()> {
    if plugin.offers(feature) {
        return Ok(());
    }
    let message = format!("this connector does not support {feature}: the plugin {} does not offer it", plugin.name);
    Err(Error::new(ErrorCode::Unsupported, message))
}

/// The error of an operation that the connector did not do.
impl From<OperationError> for Error {
    fn from(error: OperationError) -> Self {
        let (code, retry_after_ms) = match &error {
            OperationError::Unsupported(_) => (ErrorCode::Unsupported, None),
            OperationError::Invalid(_) => (ErrorCode::Invalid, None),
            OperationError::NotFound(_) => (ErrorCode::NotFound, None),
            OperationError::Refused(_) => (ErrorCode::Refused, None),
            OperationError::Throttled { retry_after_ms, .. } => {
                (ErrorCode::RateLimited, Some(retry_after_ms.unwrap_or(60_000)))
            }
            OperationError::Disconnected(_) => (ErrorCode::Disconnected, None),
            OperationError::Unknown(_) => (ErrorCode::OutcomeUnknown, None),
            OperationError::Failed(_) => (ErrorCode::ChannelFailed, None),
        };
        let message = match &error {
            OperationError::Refused(reason) => format!("the channel refused it: {reason}"),
            OperationError::Throttled { reason, .. } => format!("the channel asks to slow down: {reason}"),
            OperationError::Disconnected(reason) => {
                format!("the connector has no session now; nothing was done: {reason}")
            }
            OperationError::Unknown(reason) => {
                format!(
                    "the outcome is unknown: it may or may not have been done; check before you repeat it: {reason}"
                )
            }
            OperationError::Failed(reason) => format!("the channel or the connector failed: {reason}"),
            other => other.to_string(),
        };
        Self { retry_after_ms, ..Self::new(code, message) }
    }
}

/// Maximum size of the value of content of a plugin's own, in bytes of JSON.
pub const MAX_OWN_BYTES: usize = 64 * 1024;

/// Refuses content of a kind that a plugin does not know. What form it must have: [`Commands::check_form`].
fn check_own(plugin: &PluginDescription, own: &OwnContent) -> Result<()> {
    if !plugin.contents.iter().any(|kind| kind.name == own.kind) {
        let shown: String = own.kind.chars().take(64).filter(|c| !c.is_control()).collect();
        let message =
            format!("the connector does not send the kind {shown:?}: the plugin {} does not know it", plugin.name);
        return Err(Error::invalid(Field::Content, message));
    }
    if own.value.len() > MAX_OWN_BYTES {
        return Err(Error::invalid(Field::Content, format!("must be at most {} KB of JSON", MAX_OWN_BYTES / 1024)));
    }
    Ok(())
}

/// Refuses options that a plugin does not support.
pub(crate) fn check_offered(plugin: &PluginDescription, options: &MessageOptions) -> Result<()> {
    match &options.action {
        MessageAction::Say => {}
        MessageAction::React(_) => offers(plugin, "reactions")?,
        MessageAction::Edit(_) => offers(plugin, "edit")?,
        MessageAction::Revoke(_) => offers(plugin, "revoke")?,
        MessageAction::Other(own) => check_own(plugin, own)?,
    }
    if options.reply_to.is_some() {
        offers(plugin, "reply")?;
    }
    if !options.mentions.is_empty() {
        offers(plugin, "mentions")?;
    }
    if options.voice_note {
        offers(plugin, "voice-notes")?;
    }
    Ok(())
}

/// How a caller names a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetRef {
    /// A message that was sent with the engine, by its id.
    Message(Uuid),
    /// A received message, by the cursor of its event.
    Event(u64),
    /// Any message, by the channel's id.
    Provider {
        /// The channel's id of the message.
        id: String,
        /// Address of its author; `None` for the connector's own account.
        sender: Option<String>,
    },
}

impl Commands {
    /// Public id of a tenant's connector, by its number.
    pub fn own_connector_id(&self, tenant: TenantIndex, index: ConnectorIndex) -> Result<Uuid> {
        let found = self.ports().store.connector(index)?.filter(|connector| connector.tenant == tenant);
        found.map(|connector| connector.id).ok_or_else(|| Error::not_found("Connector"))
    }

    /// A tenant's connectors whose plugins declare this feature, oldest first, without deleted ones.
    pub fn connectors_that_offer(&self, tenant: TenantIndex, feature: &str) -> Result<Vec<Arc<Connector>>> {
        let mut connectors = self.ports().store.connectors(Some(tenant))?;
        // Of one whose plugin is not loaded nothing is known.
        connectors.retain(|connector| self.plugin_of(connector).is_ok_and(|plugin| plugin.offers(feature)));
        connectors.sort_by_key(|connector| connector.index);
        Ok(connectors)
    }

    pub(crate) fn offering(&self, tenant: TenantIndex, id: Uuid) -> Result<Offering> {
        let connector = self.live_connector(tenant, id)?;
        let plugin = self.plugin_of(&connector)?;
        Ok(Offering { connector, plugin })
    }

    /// Refuses content of the plugin's own that has another form than the plugin says.
    pub(crate) fn check_form(&self, connector: &Connector, options: &MessageOptions) -> Result<()> {
        let MessageAction::Other(own) = &options.action else { return Ok(()) };
        let Ok(value) = serde_json::from_str::<Value>(&own.value) else {
            return Err(Error::invalid(Field::Content, "must be JSON"));
        };
        let checked = self.ports().connectors.check_content(&connector.plugin, &own.kind, &value);
        checked.map_err(Error::invalid_fields)
    }

    /// Calls the connector, if its plugin supports `feature`.
    pub(crate) async fn operate(&self, offering: &Offering, feature: &str, operation: Operation) -> Result<Answer> {
        self.operate_with_files(offering, feature, operation, Vec::new()).await
    }

    /// The same, with the files that the operation names.
    pub(crate) async fn operate_with_files(
        &self,
        offering: &Offering,
        feature: &str,
        operation: Operation,
        files: Vec<Attachment>,
    ) -> Result<Answer> {
        offering.must(feature)?;
        Ok(self.ports().connectors.operate_with_files(offering.connector.index, operation, files).await?)
    }

    /// The addresses as the plugin normalises them, in order; `field` names them in a refusal.
    pub(crate) async fn addresses(&self, offering: &Offering, field: Field, given: Vec<String>) -> Result<Vec<String>> {
        let mut problems = Vec::new();
        for (i, address) in given.iter().enumerate() {
            if let Some(message) = bad_address(address) {
                problems.push(FieldProblem::new(field.at(i), message));
            }
        }
        if !problems.is_empty() {
            return Err(Error::invalid_fields(problems));
        }
        let count = given.len();
        let checked = self.ports().connectors.check_recipients(&offering.plugin.name, given).await;
        let checked = checked.map_err(|error| match error {
            ConnectorError::UnknownPlugin(_) => Error::internal("a plugin went while it was asked"),
            ConnectorError::Plugin(reason) => Error {
                retry_after_ms: Some(1_000),
                ..Error::new(ErrorCode::Unavailable, format!("the connector's plugin failed: {reason}"))
            },
        })?;
        if checked.len() != count {
            return Err(Error::internal("a plugin answered for a different number of recipients"));
        }
        let mut addresses = Vec::with_capacity(count);
        for (i, checked) in checked.into_iter().enumerate() {
            match checked {
                Ok(address) => addresses.push(address),
                Err(message) => problems.push(FieldProblem::new(field.at(i), message)),
            }
        }
        if problems.is_empty() { Ok(addresses) } else { Err(Error::invalid_fields(problems)) }
    }
}

/// Removes the index from the field of an error, for a single address.
pub(crate) fn unindexed(mut error: Error, field: Field) -> Error {
    for problem in &mut error.fields {
        problem.field = field.into();
    }
    if error.code == ErrorCode::Invalid { Error::invalid_fields(error.fields) } else { error }
}

fn bad_address(address: &str) -> Option<&'static str> {
    if address.trim().is_empty() {
        Some("must not be empty")
    } else if address.len() > MAX_ADDRESS_BYTES {
        Some("must have at most 320 characters")
    } else if address.chars().any(char::is_control) {
        Some("must not contain control characters")
    } else {
        None
    }
}

/// Checks an address that only the channel can judge.
pub(crate) fn checked_address(field: impl Into<FieldPath>, address: &str) -> Result<String> {
    match bad_address(address) {
        None => Ok(address.trim().to_owned()),
        Some(message) => Err(Error::invalid(field, message)),
    }
}

/// Requires the answer that the operation was carried out.
pub(crate) fn done(answer: Answer) -> Result<()> {
    match answer {
        Answer::Done => Ok(()),
        _ => Err(unexpected()),
    }
}

/// The error for a plugin that violates its interface.
pub(crate) fn unexpected() -> Error {
    Error::new(ErrorCode::ChannelFailed, "the connector's plugin answered something else than was asked")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_of_a_plugin_has_its_own_code_and_says_what_is_known() {
        let cases = [
            (OperationError::Unsupported("x".into()), ErrorCode::Unsupported, "not offered"),
            (OperationError::Invalid("x".into()), ErrorCode::Invalid, "x"),
            (OperationError::NotFound("x".into()), ErrorCode::NotFound, "x"),
            (OperationError::Refused("x".into()), ErrorCode::Refused, "refused"),
            (OperationError::Disconnected("x".into()), ErrorCode::Disconnected, "nothing was done"),
            (OperationError::Unknown("x".into()), ErrorCode::OutcomeUnknown, "may or may not"),
            (OperationError::Failed("x".into()), ErrorCode::ChannelFailed, "failed"),
        ];
        for (given, code, words) in cases {
            let error = Error::from(given);
            assert_eq!(error.code, code);
            assert!(error.message.contains(words), "{}", error.message);
        }
        let throttled = Error::from(OperationError::Throttled { retry_after_ms: Some(7), reason: String::new() });
        assert_eq!((throttled.code, throttled.retry_after_ms), (ErrorCode::RateLimited, Some(7)));
    }
}
