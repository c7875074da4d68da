//! Timelines as text.

use pombo_domain::ports::StoreResult;

use super::veiled;
use crate::backend::Bytes;
use crate::codec::bad_key;
use crate::keys;
use crate::tables::conversations;
use crate::tables::timeline::{self, OfMessage};

/// A line of the timelines; `None` for second keys, which follow from their rows.
pub(super) fn row(key: &Bytes, value: &Bytes) -> StoreResult<Option<String>> {
    let bad = || bad_key("timelines");
    Ok(Some(match key[0] {
        keys::ENTRY => {
            let (tenant, conversation, number) = keys::parse_entry(key).ok_or_else(bad)?;
            let item = timeline::parse(key, value)?;
            format!(
                "entry {}/{conversation}/{number} id={} at={} ordinal={} {} from-me={} reactions={} edited={} row={}",
                tenant.0,
                item.id,
                item.at.to_iso(),
                item.ordinal,
                item.entry.kind().as_str(),
                item.entry.from_me,
                item.entry.reactions.len(),
                item.entry.edited_at.is_some(),
                veiled(value)
            )
        }
        keys::ENTRY_PROVIDER => {
            let (tenant, conversation) = keys::parse_numbered(key).ok_or_else(bad)?;
            let id = veiled(key.get(10..).unwrap_or_default());
            format!("entry-provider {}/{conversation} {id} item={}", tenant.0, timeline::parse_number(value)?)
        }
        keys::ENTRY_MESSAGE => {
            let (tenant, serial) = keys::parse_numbered(key).ok_or_else(bad)?;
            let what = match timeline::parse_of_message(value)? {
                OfMessage::Entry(conversation, item) => format!("is {conversation}/{item}"),
                OfMessage::Changes(conversation, _) => format!("changes an entry of {conversation}"),
            };
            format!("entry-message {}/{serial} {what} row={}", tenant.0, veiled(value))
        }
        keys::DELETED => {
            let (tenant, number) = keys::parse_numbered(key).ok_or_else(bad)?;
            format!("conversation-deleted {}/{number} id={}", tenant.0, conversations::parse_id(value)?)
        }
        keys::CHAT_NUMBERS => {
            let tenant = keys::parse_tenant(key).ok_or_else(bad)?;
            let numbers = timeline::parse_numbers(value)?;
            format!(
                "chat-numbers {} conversation={} item={} looked={}",
                tenant.0, numbers.conversation, numbers.item, numbers.looked
            )
        }
        keys::AUTHOR => {
            let (tenant, serial) = keys::parse_numbered(key).ok_or_else(bad)?;
            format!("author {}/{serial} {}", tenant.0, timeline::parse_author(value)?)
        }
        keys::UNTOLD => {
            let (connector, conversation) = keys::parse_untold(key).ok_or_else(bad)?;
            format!("untold connector={} {conversation}", connector.0)
        }
        keys::PROVIDER_MESSAGE => {
            let connector = keys::parse_provider_message(key).ok_or_else(bad)?;
            let message = crate::tables::stats::parse_provider(value)?;
            let id = veiled(key.get(5..).unwrap_or_default());
            format!("provider connector={} {id} message={}/{}", connector.0, message.tenant.0, message.serial)
        }
        _ => return Ok(None),
    }))
}
