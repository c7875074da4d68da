//! The name and the addresses of a contact, as its channel tells them.

use pombo_domain::model::contact::{Contact, ContactStep, ContactType};
use pombo_domain::model::event::EventBody;
use pombo_domain::ports::{Change, StoreResult};

use super::{BatchBuilder, Known};
use crate::intake::bounds;

impl BatchBuilder<'_> {
    /// Name and other addresses of a contact. Aliases are kept before there is a contact, so that it is found by them once
    /// there is one.
    pub(super) fn contact(&mut self, address: &str, name: Option<&str>, aliases: Vec<String>) -> StoreResult<()> {
        let name = name.and_then(bounds::name);
        let mut aliases: Vec<String> =
            aliases.into_iter().filter(|alias| bounds::id(alias).is_ok() && alias != address).collect();
        aliases.sort();
        aliases.dedup();
        aliases.truncate(bounds::ALIASES);
        self.known_as(address, name.as_deref(), Known::Named)?;
        if let Some(kind) = self.kind {
            let identifier = kind.identifier(address).into_owned();
            for alias in &aliases {
                let alias = kind.identifier(alias).into_owned();
                self.join(kind, &identifier, &alias)?;
            }
        }
        let mut parts = vec![address, name.as_deref().unwrap_or_default()];
        parts.extend(aliases.iter().map(String::as_str));
        let mark = self.mark("contact", &parts);
        self.append(EventBody::Contact { address: address.to_owned(), display_name: name, aliases }, Some(mark));
        Ok(())
    }

    /// Makes `alias` another address of `identifier`. A contact that was known by it becomes the one that is known as
    /// `identifier`; where both exist, an opt-out of the one is an opt-out of the other.
    fn join(&mut self, kind: ContactType, identifier: &str, alias: &str) -> StoreResult<()> {
        let own = self.find(kind, identifier)?;
        let other = self.find(kind, alias)?.filter(|other| other.identifier == alias);
        let mut known_as = identifier.to_owned();
        match (own, other) {
            (own, Some(other)) if own.as_ref().is_none_or(|own| own.id == other.id) => {
                self.put(alias, Contact { identifier: identifier.to_owned(), updated_at: self.now, ..other });
            }
            (Some(own), other) => {
                // The address may itself be an alias of the contact: an alias names an identifier, never another alias.
                known_as.clone_from(&own.identifier);
                if let Some(other) = other {
                    let mut steps: Vec<ContactStep> =
                        other.refused.iter().map(|category| ContactStep::Refuse(category, true)).collect();
                    if own.active && !other.active {
                        steps.push(ContactStep::Active(false, other.reason));
                    }
                    self.step(identifier, own, steps);
                }
            }
            (None, _) => {}
        }
        let (tenant, alias) = (self.tenant, alias.to_owned());
        self.changes.push(Change::ContactAlias { tenant, kind, alias, identifier: known_as });
        Ok(())
    }
}
