//! From the address that a caller wrote to the identifier of a contact.

use crate::commands::Commands;
use crate::commands::messages::send::MAX_TO_BYTES;
use crate::commands::text::{Rule, checked};
use crate::model::ContactType;
use crate::ports::PluginDescription;
use crate::{Error, ErrorCode, Field, Result, TenantIndex};

impl Commands {
    /// The identifier of the contact that has this address, or would get it: in the form that a message to it would have, and of
    /// several addresses of one person the one that the contact is known by. `plugin` serves the connector that the caller named.
    pub(super) async fn contact_address(
        &self,
        tenant: TenantIndex,
        plugin: Option<&str>,
        kind: ContactType,
        given: &str,
    ) -> Result<String> {
        let found = self.contact_addresses(tenant, plugin, kind, vec![given.to_owned()]).await?;
        found.into_iter().next().unwrap_or_else(|| Err(Error::internal("a plugin answered for no recipient")))
    }

    /// The same for several addresses of one kind: the plugin is asked once.
    pub(super) async fn contact_addresses(
        &self,
        tenant: TenantIndex,
        plugin: Option<&str>,
        kind: ContactType,
        given: Vec<String>,
    ) -> Result<Vec<Result<String>>> {
        let rule = || Rule { field: Field::Identifier, max_chars: MAX_TO_BYTES, lines: false };
        let given: Vec<Result<String>> = given.iter().map(|address| checked(rule(), address)).collect();
        let serves = |one: &PluginDescription| ContactType::of_channel(&one.channel) == Some(kind);
        let plugins = self.ports().connectors.plugins();
        let named = plugins.iter().find(|one| plugin == Some(one.name.as_str()) && serves(one));
        let Some(plugin) = named.or_else(|| plugins.iter().find(|one| serves(one))) else {
            let plain = |address: String| plain_identifier(kind, address);
            let known = |address| self.known_address(tenant, kind, address);
            return Ok(given.into_iter().map(|address| address.and_then(plain).and_then(known)).collect());
        };
        let good = given.iter().flatten().cloned().collect();
        let answers = self.ports().connectors.check_recipients(&plugin.name, good).await;
        let mut answers = answers.map_err(|error| Error::new(ErrorCode::Unavailable, error.to_string()))?.into_iter();
        let answer = |address: Result<String>| {
            address?;
            match answers.next() {
                Some(Ok(address)) => self.known_address(tenant, kind, address),
                Some(Err(reason)) => Err(Error::invalid(Field::Identifier, reason)),
                None => Err(Error::internal("a plugin answered for no recipient")),
            }
        };
        Ok(given.into_iter().map(answer).collect())
    }

    fn known_address(&self, tenant: TenantIndex, kind: ContactType, address: String) -> Result<String> {
        Ok(self.ports().store.contact_identifier(tenant, kind, &kind.identifier(&address))?)
    }
}

/// The rule for a channel that no installed plugin serves.
fn plain_identifier(kind: ContactType, given: String) -> Result<String> {
    match kind {
        ContactType::WhatsApp if (8..=15).contains(&given.len()) && given.bytes().all(|b| b.is_ascii_digit()) => {
            Ok(given)
        }
        ContactType::WhatsApp => Err(Error::invalid(
            Field::Identifier,
            "must be a phone number of 8 to 15 digits with country and area code, for example 5511999998888",
        )),
        ContactType::Email => match given.split_once('@') {
            Some((local, domain)) if !local.is_empty() && domain.contains('.') && !domain.contains('@') => {
                Ok(format!("{local}@{}", domain.to_lowercase()))
            }
            _ => Err(Error::invalid(Field::Identifier, "must be an e-mail address such as name@example.com")),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_plugin_a_phone_is_digits_and_an_address_has_an_at() {
        let plain = |kind, text: &str| plain_identifier(kind, text.to_owned());
        assert_eq!(plain(ContactType::WhatsApp, "5511999998888").as_deref(), Ok("5511999998888"));
        assert_eq!(plain(ContactType::Email, "Ana@Example.COM").as_deref(), Ok("Ana@example.com"));
        for bad in ["", "+5511999998888", "123", "5511 99999"] {
            assert!(plain(ContactType::WhatsApp, bad).is_err(), "{bad:?}");
        }
        for bad in ["ana", "@example.com", "a@b", "a@b@c.d"] {
            assert!(plain(ContactType::Email, bad).is_err(), "{bad:?}");
        }
    }
}
