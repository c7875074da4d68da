//! How a caller names an instance: by its UUID or its number, in a path, a query, a host name or a body; and the addresses of people
//! and groups as WhatsApp's own programs write them. Here is decided whether the caller may see what is named: another tenant's is
//! not found, another instance than the token's own is forbidden.

use std::sync::Arc;

use poem::Request;
use pombo_api::error::Failure;
use pombo_api::options::ApiState;
use pombo_domain::commands::connectors::overview::ConnectorOverview;
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

const PERSON: &str = "@s.whatsapp.net";
const GROUP: &str = "@g.us";

/// An address as WhatsApp's own programs write it: `5511999999999@s.whatsapp.net`.
pub(crate) fn jid(address: &str) -> String {
    if address.contains('@') { address.to_owned() } else { format!("{address}{PERSON}") }
}

/// The phone number in an address, digits with country code; of a group, its whole JID.
pub(crate) fn number(address: &str) -> &str {
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
    }
}
