//! What an audience comes to, row by row: who is left out and why, and what each of the others is sent. The dry run and the start go
//! through the same plan, a bounded page at a time.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use uuid::Uuid;

use crate::commands::Commands;
use crate::model::campaign::MAX_ROWS;
use crate::model::template::{Filled, HeaderMedia, TemplateVariable, VariableProblem};
use crate::model::*;
use crate::ports::{ContactFilter, ConversationFilter, ConversationOrder};
use crate::{Error, ErrorCode, Field, Result};

/// Recipients looked at together.
const PAGE: usize = 500;

/// A row, and what it sends or why it is left out.
pub(super) struct PlannedRow {
    pub(super) row: CampaignRow,
    pub(super) fate: Result<Filled, LeftOut>,
}

/// Why a row is left out, with more of it for a person.
pub(super) struct LeftOut {
    pub(super) reason: SkipReason,
    pub(super) detail: Option<String>,
    /// What is wrong with the variables.
    pub(super) problems: Vec<VariableProblem>,
}

impl LeftOut {
    fn for_reason(reason: SkipReason) -> Self {
        Self { reason, detail: None, problems: Vec::new() }
    }
}

/// A recipient before anything was checked.
struct Candidate {
    line: Option<u32>,
    to: String,
    name: Option<String>,
    contact: Option<Contact>,
    values: BTreeMap<String, String>,
}

/// Where the next page of an audience begins.
enum Cursor {
    Contacts(u64),
    Tagged(String, Option<Uuid>),
    Listed(u32, u32),
    End,
}

/// A plan under way.
pub(super) struct Plan<'a> {
    commands: &'a Commands,
    campaign: &'a Campaign,
    pub(super) connector: Arc<Connector>,
    pub(super) template: Arc<Template>,
    variables: Vec<TemplateVariable>,
    /// Whether values are cleaned for the connector.
    cleans: bool,
    /// What each header shows.
    header: Option<HeaderMedia>,
    /// What the channel demands.
    rules: Rules,
    kind: Option<ContactType>,
    cursor: Cursor,
    /// Whom earlier rows are to.
    seen: HashSet<String>,
    /// The number of the next row.
    next: u32,
}

impl Commands {
    /// The plan of a draft. Fails where nothing at all could be sent.
    pub(super) fn campaign_plan<'a>(&'a self, campaign: &'a Campaign) -> Result<Plan<'a>> {
        let store = &self.ports().store;
        let connector = store.connector(campaign.connector)?.filter(|one| one.status != ConnectorStatus::Deleted);
        let connector = connector.ok_or_else(|| Error::conflict("the campaign's connector was deleted"))?;
        let template = self.campaign_template(campaign)?;
        let cursor = match &campaign.audience {
            Audience::Direct => Cursor::End,
            Audience::Contacts(ContactChoice { tag: Some(tag), .. }) => {
                let found = store.tag_by_id(campaign.tenant, *tag)?;
                let tag = found.ok_or_else(|| Error::conflict("the tag of the campaign's audience was deleted"))?;
                Cursor::Tagged(tag.name.clone(), None)
            }
            Audience::Contacts(_) => Cursor::Contacts(0),
            Audience::Listed { generation, .. } => Cursor::Listed(*generation, 0),
        };
        Ok(Plan {
            commands: self,
            campaign,
            variables: template.variables(),
            cleans: self.cleans_values(&connector),
            header: campaign.header.as_ref().map(CampaignHeader::media),
            rules: self.rules_of(&connector).unwrap_or_default(),
            kind: ContactType::of_channel(&connector.channel),
            connector,
            template,
            cursor,
            seen: HashSet::new(),
            next: 1,
        })
    }
}

impl Plan<'_> {
    /// The next rows, which may be none; `None` behind the last ones.
    pub(super) async fn page(&mut self) -> Result<Option<Vec<PlannedRow>>> {
        if matches!(self.cursor, Cursor::End) {
            return Ok(None);
        }
        let candidates = self.candidates().await?;
        let most = (MAX_ROWS - (self.next - 1)) as usize;
        if candidates.len() > most {
            let message = format!("are more than {MAX_ROWS}, which is what one campaign takes; choose fewer");
            return Err(Error::invalid(Field::Audience, message));
        }
        let addresses = candidates.iter().map(|candidate| candidate.to.clone()).collect();
        let checked = self.commands.ports().connectors.check_recipients(&self.connector.plugin, addresses).await;
        let checked = checked.map_err(|error| Error {
            retry_after_ms: Some(1_000),
            ..Error::new(ErrorCode::Unavailable, error.to_string())
        })?;
        if checked.len() != candidates.len() {
            return Err(Error::internal("a plugin answered for a different number of recipients"));
        }
        let mut planned = Vec::with_capacity(candidates.len());
        for (candidate, address) in candidates.into_iter().zip(checked) {
            planned.push(self.row(candidate, address)?);
        }
        Ok(Some(planned))
    }

    async fn candidates(&mut self) -> Result<Vec<Candidate>> {
        let store = &self.commands.ports().store;
        let tenant = self.campaign.tenant;
        let of_contact = |contact: Contact| Candidate {
            line: None,
            to: contact.identifier.clone(),
            name: contact.display_name().map(str::to_owned),
            contact: Some(contact),
            values: BTreeMap::new(),
        };
        match &mut self.cursor {
            Cursor::End => Ok(Vec::new()),
            Cursor::Contacts(after) => {
                let choice = match &self.campaign.audience {
                    Audience::Contacts(choice) => choice.clone(),
                    Audience::Direct | Audience::Listed { .. } => ContactChoice::default(),
                };
                // A channel without contacts reaches none of them.
                let Some(kind) = self.kind else {
                    self.cursor = Cursor::End;
                    return Ok(Vec::new());
                };
                let connector = choice.known_there.then_some(self.campaign.connector);
                let filter =
                    ContactFilter { kind: Some(kind), connector, search: choice.search, ..ContactFilter::default() };
                let page = store.list_contacts(tenant, filter, *after, 0, PAGE).await?;
                self.cursor = page.next.map_or(Cursor::End, Cursor::Contacts);
                Ok(page.rows.into_iter().map(of_contact).collect())
            }
            Cursor::Tagged(tag, after) => {
                let filter = ConversationFilter {
                    connector: Some(self.campaign.connector),
                    tag: Some(tag.clone()),
                    is_group: Some(false),
                    search_who: match &self.campaign.audience {
                        Audience::Contacts(choice) => choice.search.clone(),
                        Audience::Direct | Audience::Listed { .. } => None,
                    },
                    ..ConversationFilter::default()
                };
                let order = ConversationOrder::Id { after: *after };
                let page = store.find_conversations(tenant, filter, order, PAGE).await?;
                let last = page.rows.last().map(|conversation| conversation.id).filter(|_| page.more);
                self.cursor = match last {
                    Some(last) => Cursor::Tagged(tag.clone(), Some(last)),
                    None => Cursor::End,
                };
                let candidate = |conversation: Conversation| Candidate {
                    line: None,
                    to: conversation.chat,
                    name: conversation.contact_name,
                    contact: None,
                    values: BTreeMap::new(),
                };
                Ok(page.rows.into_iter().map(candidate).collect())
            }
            Cursor::Listed(generation, after) => {
                let rows = store.listed_rows(tenant, self.campaign.number, *generation, *after, PAGE)?;
                self.cursor = match rows.last() {
                    Some(last) if rows.len() == PAGE => Cursor::Listed(*generation, last.number),
                    _ => Cursor::End,
                };
                let mut candidates = Vec::with_capacity(rows.len());
                for row in rows {
                    let contact = match row.contact {
                        Some(id) => store.contact_by_id(tenant, id)?,
                        None => None,
                    };
                    let address = row.to.or_else(|| contact.as_ref().map(|contact| contact.identifier.clone()));
                    candidates.push(Candidate {
                        line: row.line,
                        to: address.unwrap_or_default(),
                        name: row.name,
                        contact,
                        values: row.values,
                    });
                }
                Ok(candidates)
            }
        }
    }

    fn row(&mut self, candidate: Candidate, address: Result<String, String>) -> Result<PlannedRow> {
        let Candidate { line, to, name, contact, values } = candidate;
        let number = self.next;
        self.next += 1;
        let to = match address {
            Ok(to) => to,
            Err(problem) => {
                let contact = contact.map(|contact| contact.id);
                let row = CampaignRow { number, line, to, name, contact, variables: BTreeMap::new() };
                let left_out = LeftOut { detail: Some(problem), ..LeftOut::for_reason(SkipReason::BadAddress) };
                return Ok(PlannedRow { row, fate: Err(left_out) });
            }
        };
        let (contact, wish) = self.addressee(&to)?;
        let identity = match (&contact, self.kind) {
            (Some(contact), _) => contact.identifier.clone(),
            (None, Some(kind)) => {
                let store = &self.commands.ports().store;
                store.contact_identifier(self.campaign.tenant, kind, &kind.identifier(&to))?
            }
            (None, None) => to.clone(),
        };
        let name = name.or_else(|| contact.as_ref().and_then(|contact| contact.display_name()).map(str::to_owned));
        let variables = self.values(name.as_deref(), &to, contact.as_ref(), &values);
        let is_repeated = !self.seen.insert(identity);
        let fate = match wish {
            _ if is_repeated => Err(LeftOut::for_reason(SkipReason::Duplicate)),
            Some(reason) => Err(LeftOut::for_reason(reason)),
            None => self.template.fill(&variables, self.header.as_ref()).map_err(|problems| LeftOut {
                reason: SkipReason::MissingVariable,
                detail: problems.first().map(|first| format!("{}: {}", first.name, first.problem)),
                problems,
            }),
        };
        let fate = fate.and_then(|filled| match self.undelivered(&filled, &to) {
            Some(rule) => {
                let detail = Some(rule.detail.clone());
                Err(LeftOut { detail, ..LeftOut::for_reason(SkipReason::Undeliverable) })
            }
            None => Ok(filled),
        });
        let row = CampaignRow { number, line, to, name, contact: contact.map(|contact| contact.id), variables };
        Ok(PlannedRow { row, fate })
    }

    /// The rule by which the channel would take this message to an address and not deliver it.
    fn undelivered(&self, filled: &Filled, to: &str) -> Option<&Undelivered> {
        self.rules.undelivered(filled.action.own_kind(), filled.message_type, to)
    }

    /// The contact behind an address, and why nothing may be sent to it, if so.
    fn addressee(&self, to: &str) -> Result<(Option<Contact>, Option<SkipReason>)> {
        let Some(kind) = self.kind else { return Ok((None, None)) };
        let tenant = self.campaign.tenant;
        let category = self.template.message_type();
        match self.commands.addressee(tenant, kind, to)? {
            Some((contact, false)) => Ok((Some(contact), Some(SkipReason::OptedOut))),
            Some((contact, true)) => {
                let refused = contact.refused.has(category).then_some(SkipReason::Refused);
                Ok((Some(contact), refused))
            }
            None => {
                let wish = self.commands.ports().store.opt_out(tenant, kind, &kind.identifier(to))?;
                let reason = match wish {
                    Some(wish) if wish.only.is_none() => Some(SkipReason::OptedOut),
                    Some(wish) if wish.refuses(category) => Some(SkipReason::Refused),
                    _ => None,
                };
                Ok((None, reason))
            }
        }
    }

    /// The values of the template's variables for one recipient, as they are sent; without those that nothing was found for.
    fn values(
        &self,
        name: Option<&str>,
        to: &str,
        contact: Option<&Contact>,
        cells: &BTreeMap<String, String>,
    ) -> BTreeMap<String, String> {
        let part = |part: ContactPart| -> Option<String> {
            match part {
                ContactPart::Name => name.map(str::to_owned),
                ContactPart::FirstName => name?.split_whitespace().next().map(str::to_owned),
                ContactPart::Email => contact?.email.clone(),
                ContactPart::Company => contact?.company.clone(),
                ContactPart::Identifier => {
                    Some(contact.map_or_else(|| to.to_owned(), |contact| contact.identifier.clone()))
                }
            }
        };
        let filled = |text: String| Some(text).filter(|text| !text.trim().is_empty());
        let mut values = BTreeMap::new();
        for variable in &self.variables {
            // By its own name, or by what the tenant calls it besides.
            let besides = self.template.name_besides(&variable.name);
            let bindings = &self.campaign.bindings;
            let binding = bindings.get(&variable.name).or_else(|| bindings.get(besides?));
            let found = match binding.map(|binding| &binding.source) {
                Some(Source::Text(text)) => Some(text.clone()),
                Some(Source::Column(column)) => cells.get(column).cloned(),
                Some(Source::Contact(wanted)) => part(*wanted),
                None => cells.get(&variable.name).or_else(|| cells.get(besides?)).cloned(),
            };
            let value = found.and_then(filled).or_else(|| binding.and_then(|binding| binding.default.clone()));
            if let Some(value) = value {
                values.insert(variable.name.clone(), value);
            }
        }
        self.template.own_values(&values, self.cleans).unwrap_or(values)
    }
}
