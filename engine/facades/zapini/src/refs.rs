//! How a caller names an instance, a conversation, a message or an uploaded file: by its UUID or its number, in a path, a query, a host
//! name or a body; and the addresses of people and groups as WhatsApp's own programs write them. Here is decided whether the caller may
//! see what is named: another tenant's is not found, another instance than the token's own is forbidden.

use std::sync::Arc;

use poem::Request;
use poem::http::StatusCode;
use pombo_api::error::Failure;
use pombo_api::options::ApiState;
use pombo_domain::commands::connectors::overview::ConnectorOverview;
use pombo_domain::commands::conversations::ConversationView;
use pombo_domain::commands::messages::now::{EntryRef, FoundEntry};
use pombo_domain::{Error, ErrorCode, Field, FieldProblem};
use uuid::Uuid;

use crate::credentials::Caller;
use crate::params::bounded;

/// The instance that a request's host name or path names before its operation, as it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NamedInstance(pub(crate) String);

/// Channels whose connectors are instances begin so.
const CHANNEL: &str = "whatsapp";

fn is_instance(view: &ConnectorOverview) -> bool {
    view.connector.channel.starts_with(CHANNEL)
}

/// The instances that the caller may see, oldest first.
pub(crate) fn instances(state: &ApiState, caller: &Caller) -> Result<Vec<ConnectorOverview>, Failure> {
    let mut all = state.commands.overview_connectors(caller.tenant)?;
    all.retain(|view| is_instance(view) && caller.is_for(view.connector.index));
    Ok(all)
}

/// The instance that a text names.
pub(crate) fn instance(state: &ApiState, caller: &Caller, given: &str) -> Result<ConnectorOverview, Failure> {
    let given = given.trim();
    let unknown = || Failure::not_found("Instance");
    bounded("instance_id", given)?;
    let found = match Uuid::try_parse(given) {
        Ok(id) => state.commands.overview_connector(caller.tenant, id).map_err(|error| match error.code {
            ErrorCode::NotFound => unknown(),
            _ => error.into(),
        })?,
        Err(_) => {
            let number: u32 = given.parse().map_err(|_| unknown())?;
            let all = state.commands.overview_connectors(caller.tenant)?;
            all.into_iter().find(|view| view.connector.index.0 == number).ok_or_else(unknown)?
        }
    };
    if !is_instance(&found) {
        return Err(unknown());
    }
    caller.within(found.connector.index)?;
    Ok(found)
}

/// The conversation that a text names: by its UUID or its number. One of another channel, or of an instance that is gone, is not
/// found.
pub(crate) fn conversation(state: &ApiState, caller: &Caller, given: &str) -> Result<ConversationView, Failure> {
    let given = given.trim();
    let unknown = || Failure::not_found("Conversation");
    bounded("conversation_id", given)?;
    let found = match (Uuid::try_parse(given), given.parse::<u64>()) {
        (Ok(id), _) => state.commands.get_conversation(caller.tenant, id),
        (Err(_), Ok(number)) => state.commands.get_conversation_numbered(caller.tenant, number),
        (Err(_), Err(_)) => return Err(unknown()),
    };
    let view = found.map_err(|error| match error.code {
        ErrorCode::NotFound => unknown(),
        _ => error.into(),
    })?;
    match instance(state, caller, &view.connector.to_string()) {
        Ok(_) => Ok(view),
        Err(failure) if failure.status == StatusCode::NOT_FOUND => Err(unknown()),
        Err(failure) => Err(failure),
    }
}

/// The instance that a list is limited to: the one that is named, else the one that the token is for; `None` for all of the tenant's.
pub(crate) fn limited_to(state: &ApiState, caller: &Caller, given: Option<&str>) -> Result<Option<Uuid>, Failure> {
    if let Some(given) = given.filter(|given| !given.trim().is_empty()) {
        return Ok(Some(instance(state, caller, given)?.connector.id));
    }
    if caller.identity().connector.is_none() {
        return Ok(None);
    }
    let own = instances(state, caller)?.pop().ok_or_else(|| Failure::not_found("Instance"))?;
    Ok(Some(own.connector.id))
}

/// The instance that serves a request of the instance API: the one that its host name or path names, else the one in `instance_id`,
/// else the token's own, else the tenant's only one.
pub(crate) fn serving(
    state: &Arc<ApiState>,
    caller: &Caller,
    request: &Request,
    given: Option<&str>,
) -> Result<ConnectorOverview, Failure> {
    if let Some(NamedInstance(named)) = request.data::<NamedInstance>() {
        return instance(state, caller, named);
    }
    if let Some(given) = given {
        return instance(state, caller, given);
    }
    let mut all = instances(state, caller)?;
    match (all.pop(), all.is_empty()) {
        (Some(only), true) => Ok(only),
        (None, _) => Err(Failure::not_found("Instance")),
        (Some(_), false) => {
            let message = "is required, because you have several instances; or use the host name of one";
            Err(Error::invalid_fields(vec![FieldProblem::new(Field::Connector, message)]).into())
        }
    }
}

/// The instance that a body names; where it names none, as for [`serving`].
pub(crate) fn named_or_serving(
    state: &Arc<ApiState>,
    caller: &Caller,
    request: &Request,
    given: Option<&str>,
) -> Result<ConnectorOverview, Failure> {
    match given {
        Some(given) => instance(state, caller, given),
        None => serving(state, caller, request, None),
    }
}

/// The instance of a thing that was found. A thing of another channel, or of an instance that is gone, is not shown: `what` is not
/// found.
pub(crate) fn instance_of(
    state: &ApiState,
    caller: &Caller,
    connector: Uuid,
    what: &str,
) -> Result<ConnectorOverview, Failure> {
    instance(state, caller, &connector.to_string()).map_err(|failure| match failure.status {
        StatusCode::NOT_FOUND => Failure::not_found(what),
        _ => failure,
    })
}

/// The entry of a timeline that a text names: by its UUID, by its number, or by WhatsApp's id of its message, in this order. By
/// WhatsApp's id only the messages of the instances that the caller may see are found.
pub(crate) async fn entry(state: &ApiState, caller: &Caller, given: &str) -> Result<FoundEntry, Failure> {
    bounded("uuid", given)?;
    let given = given.trim();
    let named = match (Uuid::try_parse(given), given.parse()) {
        (Ok(id), _) => Some(EntryRef::Id(id)),
        (Err(_), Ok(number)) => Some(EntryRef::Number(number)),
        (Err(_), Err(_)) => None,
    };
    if let Some(named) = named {
        match state.commands.find_entry(caller.tenant, named) {
            // WhatsApp's ids may look like ours: those of some phones are 32 hexadecimal digits.
            Err(error) if error.code == ErrorCode::NotFound => {}
            Err(error) => return Err(error.into()),
            Ok(found) => {
                instance_of(state, caller, found.connector, "Message")?;
                return Ok(found);
            }
        }
    }
    let seen: Vec<_> = instances(state, caller)?.iter().map(|view| view.connector.index).collect();
    Ok(state.commands.find_entry_known_by(caller.tenant, &seen, given).await?)
}

/// What the id of an uploaded file begins with.
const MEDIA: &str = "media_";

/// An uploaded file's id as callers see it.
pub(crate) fn media_text(id: Uuid) -> String {
    format!("{MEDIA}{}", id.simple())
}

/// The uploaded file that a text names, as [`media_text`] writes it or by its plain UUID; `None` for a text that can name none.
pub(crate) fn media(given: &str) -> Option<Uuid> {
    let given = given.trim();
    Uuid::try_parse(given.strip_prefix(MEDIA).unwrap_or(given)).ok()
}

const PERSON: &str = "@s.whatsapp.net";
const GROUP: &str = "@g.us";

/// An address as WhatsApp's own programs write it: `5511999999999@s.whatsapp.net`.
pub(crate) fn jid(address: &str) -> String {
    if address.contains('@') { address.to_owned() } else { format!("{address}{PERSON}") }
}

/// The phone number of an address, digits; `None` for an address that does not tell it.
pub(crate) fn number(address: &str) -> Option<&str> {
    Some(address).filter(|address| !address.contains('@'))
}

/// The phone number in an address, digits with country code; of a group, its whole JID.
pub(crate) fn number_or_jid(address: &str) -> &str {
    if address.ends_with(GROUP) {
        return address;
    }
    address.split('@').next().unwrap_or_default().trim_start_matches('+')
}

/// The address of a person, who may be given as a number or as a JID.
pub(crate) fn person(given: &str) -> String {
    let given = given.trim();
    let known = [PERSON, "@c.us"].iter().find_map(|end| given.strip_suffix(end));
    known.unwrap_or(given).to_owned()
}

/// Whether an address is a group's.
pub(crate) fn is_group(address: &str) -> bool {
    address.to_ascii_lowercase().ends_with(GROUP)
}

/// The address of a group, whose JID may be given without its end.
pub(crate) fn group(given: &str) -> String {
    let given = given.trim();
    let bare = !given.is_empty() && given.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    if bare { format!("{given}{GROUP}") } else { given.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_files_id_is_read_as_it_is_written_and_as_a_uuid() {
        let id = Uuid::from_u128(0x1234);
        assert_eq!(media_text(id), "media_00000000000000000000000000001234");
        for given in [media_text(id), id.to_string(), format!(" {} ", media_text(id))] {
            assert_eq!(media(&given), Some(id), "{given}");
        }
        assert_eq!((media("media_abc123xyz"), media("")), (None, None));
    }

    #[test]
    fn addresses_are_read_and_written_as_jids() {
        assert_eq!(jid("5511987654321"), "5511987654321@s.whatsapp.net");
        assert_eq!(jid("123@lid"), "123@lid");
        for given in ["5511987654321", " 5511987654321@s.whatsapp.net ", "5511987654321@c.us"] {
            assert_eq!(person(given), "5511987654321");
        }
        assert_eq!(person("123@lid"), "123@lid");
        assert_eq!(group("120363001234567890"), "120363001234567890@g.us");
        assert_eq!(group("5511987654321-1400000000@g.us"), "5511987654321-1400000000@g.us");
        assert_eq!(group("x"), "x");
        assert!(is_group("120363001234567890@G.us") && !is_group("5511987654321") && !is_group("123@lid"));
    }
}
