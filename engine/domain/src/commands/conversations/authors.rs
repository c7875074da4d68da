//! Who wrote what is in a timeline, with the names that people know them by.

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::commands::Commands;
use crate::commands::contacts::KnownContact;
use crate::model::{StoredMessage, TimelineItem};
use crate::words::words;
use crate::{MessageKey, Result, TenantIndex};

words! {
    /// What wrote a message.
    pub enum AuthorKind {
        /// Somebody on the other side.
        Contact = "contact",
        /// A user of the tenant.
        User = "user",
        /// A program, with an API key.
        Key = "key",
        /// An automation.
        Automation = "automation",
        /// A campaign.
        Campaign = "campaign",
        /// The operator of the engine.
        Operator = "operator",
        /// The account itself: from another of its devices, or with the engine where it is not known by whom.
        Account = "account",
    }
}

/// Who wrote a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Author {
    /// What wrote it.
    pub kind: AuthorKind,
    /// The public id of the contact, user, key, automation or campaign, if there is one.
    pub id: Option<Uuid>,
    /// Its name, if it has one.
    pub name: Option<String>,
}

/// The authors of a page, each looked up once.
#[derive(Default)]
pub(super) struct Authors {
    senders: BTreeMap<String, Author>,
    campaigns: BTreeMap<u32, Author>,
}

impl Commands {
    /// Who sent a message: `user:…`, `key:…`, `operator` or `automation:…`; `None` where that is not known.
    pub(super) fn message_by(&self, key: MessageKey) -> Result<Option<String>> {
        let store = &self.ports().store;
        if let Some(by) = store.message_author(key)? {
            return Ok(Some(by));
        }
        let Some(origin) = store.message_origin(key)? else { return Ok(None) };
        Ok(store.automation(origin.automation)?.map(|found| format!("automation:{}", found.id)))
    }

    /// Who wrote an entry. `by` sent `message`; `contacts` has the known senders by their addresses.
    pub(super) fn author(
        &self,
        tenant: TenantIndex,
        authors: &mut Authors,
        item: &TimelineItem,
        (message, by): (Option<&StoredMessage>, Option<&str>),
        contacts: &BTreeMap<String, KnownContact>,
    ) -> Result<Author> {
        if !item.entry.from_me {
            let contact = item.entry.sender.as_ref().and_then(|sender| contacts.get(sender));
            let name = contact.and_then(|contact| contact.name.clone()).or_else(|| item.entry.sender_name.clone());
            return Ok(Author { kind: AuthorKind::Contact, id: contact.map(|contact| contact.id), name });
        }
        let campaign = message.and_then(|stored| stored.message.content.options.campaign);
        match (by, campaign) {
            (Some(by), _) => self.sender(tenant, authors, by),
            (None, Some(number)) => self.campaign_author(tenant, authors, number),
            (None, None) => Ok(Author { kind: AuthorKind::Account, id: None, name: None }),
        }
    }

    fn sender(&self, tenant: TenantIndex, authors: &mut Authors, by: &str) -> Result<Author> {
        if let Some(known) = authors.senders.get(by) {
            return Ok(known.clone());
        }
        let (word, id) = by.split_once(':').unwrap_or((by, ""));
        let kind = match word {
            "user" => AuthorKind::User,
            "key" => AuthorKind::Key,
            "automation" => AuthorKind::Automation,
            "operator" => AuthorKind::Operator,
            _ => AuthorKind::Account,
        };
        // Where there is no name, the look-up answers the kind.
        let name = Some(self.actor_name(tenant, by)?).filter(|name| name != word);
        let author = Author { kind, id: Uuid::try_parse(id).ok(), name };
        authors.senders.insert(by.to_owned(), author.clone());
        Ok(author)
    }

    fn campaign_author(&self, tenant: TenantIndex, authors: &mut Authors, number: u32) -> Result<Author> {
        if let Some(known) = authors.campaigns.get(&number) {
            return Ok(known.clone());
        }
        let found = self.ports().store.campaign(tenant, number)?;
        let (id, name) = found.map(|campaign| (campaign.id, campaign.name)).unzip();
        let author = Author { kind: AuthorKind::Campaign, id, name };
        authors.campaigns.insert(number, author.clone());
        Ok(author)
    }
}
