//! Drafts of campaigns: create, change, delete.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::{CampaignView, default_rules, trimmed};
use crate::commands::Commands;
use crate::commands::messages::send::DEFAULT_PRIORITY;
use crate::commands::text::{Rule, checked};
use crate::model::campaign::{CampaignStatus, MAX_BINDINGS, MAX_STOP_CODES, WatchedFrom};
use crate::model::campaign_row::MAX_CODE_CHARS;
use crate::model::template::MAX_VALUE_CHARS;
use crate::model::{Audience, Binding, Campaign, CampaignHeader, ContactChoice, Source, StopRules};
use crate::ports::CampaignChange;
use crate::{Error, Field, FieldProblem, Result, TenantIndex};

/// Maximum length of a campaign's name, in characters.
pub const MAX_NAME_CHARS: usize = 200;
/// Maximum length of the words of an audience, in characters.
const MAX_SEARCH_CHARS: usize = 200;
/// Rows of a list or of an unfinished start that one commit deletes.
const CLEARED: usize = 1_000;

/// Who gets a campaign, as a caller says it. A list is handed in by an operation of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AudienceChoice {
    /// Nobody of its own: what is sent in its name, one by one.
    Direct,
    /// The contacts that the connector can reach.
    Contacts(ContactChoice),
}

/// What the header of the template shows to everybody, as a caller says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeaderChoice {
    /// A file of the tenant's.
    File {
        /// Its id.
        id: Uuid,
        /// The name with which it is sent.
        file_name: Option<String>,
    },
    /// An address that the channel fetches, or a place.
    Other(CampaignHeader),
}

/// Fields of a draft. `None` leaves a field as it is, or at its default.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CampaignPatch {
    /// The name.
    pub name: Option<String>,
    /// Number of the template.
    pub template: Option<u32>,
    /// Public id of the connector.
    pub connector: Option<Uuid>,
    /// Who gets it.
    pub audience: Option<AudienceChoice>,
    /// What the variables are filled with: all of them together.
    pub bindings: Option<BTreeMap<String, Binding>>,
    /// What the template's header shows; `Some(None)` for nothing.
    pub header: Option<Option<HeaderChoice>>,
    /// Priority of the messages, 1 to 10.
    pub priority: Option<u8>,
    /// When it is paused by itself.
    pub stop: Option<StopRules>,
}

impl Commands {
    /// Creates a draft. Name, template and connector are required.
    pub async fn create_campaign(&self, tenant: TenantIndex, patch: CampaignPatch) -> Result<CampaignView> {
        let missing = [
            (Field::Name, patch.name.is_none()),
            (Field::Template, patch.template.is_none()),
            (Field::Connector, patch.connector.is_none()),
        ];
        let missing = missing.into_iter().filter(|(_, missing)| *missing);
        let problems: Vec<FieldProblem> = missing.map(|(field, _)| FieldProblem::new(field, "must be given")).collect();
        let (Some(connector), true) = (patch.connector, problems.is_empty()) else {
            return Err(Error::invalid_fields(problems));
        };
        let connector = self.connector_named(tenant, connector)?;
        let now = self.now();
        let empty = Campaign {
            number: 0,
            id: self.new_id(),
            tenant,
            name: String::new(),
            template: 0,
            connector: connector.index,
            status: CampaignStatus::Draft,
            audience: Audience::Direct,
            bindings: BTreeMap::new(),
            header: None,
            priority: DEFAULT_PRIORITY,
            stop: default_rules(&self.campaign_policy),
            scheduled_at: None,
            pausing: None,
            watched_from: WatchedFrom::default(),
            connector_down: false,
            connector_downs: 0,
            created_at: now,
            updated_at: now,
            frozen_at: None,
            started_at: None,
            ended_at: None,
            revision: 0,
            text: None,
        };
        let campaign = self.patched(empty, patch).await?;
        let id = campaign.id;
        self.put_campaign(campaign).await?;
        // The newest ones: the store gave the number.
        let newest = self.ports().store.campaigns(tenant, None, 64)?;
        let made = newest.into_iter().find(|campaign| campaign.id == id);
        self.campaign_view(made.ok_or_else(|| Error::conflict("the campaign was deleted in the meantime"))?)
    }

    /// Changes a draft.
    pub async fn update_campaign(
        &self,
        tenant: TenantIndex,
        number: u32,
        patch: CampaignPatch,
    ) -> Result<CampaignView> {
        let _turn = self.campaign_turn(tenant, number).await;
        let campaign = self.campaign_by_number(tenant, number)?;
        campaign.editable("changed")?;
        let replaced = listed(&campaign.audience).filter(|_| patch.audience.is_some());
        let campaign = self.patched(campaign.changed(self.now()), patch).await?;
        self.put_campaign(campaign).await?;
        if let Some(generation) = replaced {
            self.clear_list(tenant, number, generation).await?;
        }
        self.get_campaign(tenant, number)
    }

    /// Deletes a draft.
    pub async fn delete_campaign(&self, tenant: TenantIndex, number: u32) -> Result<()> {
        let _turn = self.campaign_turn(tenant, number).await;
        let campaign = self.campaign_by_number(tenant, number)?;
        campaign.editable("deleted")?;
        if let Some(generation) = listed(&campaign.audience) {
            self.clear_list(tenant, number, generation).await?;
        }
        self.clear_rows(tenant, number).await?;
        self.commit_campaign(CampaignChange::Delete(tenant, number)).await
    }

    /// Deletes a list, a part with each commit.
    pub(super) async fn clear_list(&self, tenant: TenantIndex, campaign: u32, generation: u32) -> Result<()> {
        while !self.ports().store.listed_rows(tenant, campaign, generation, 0, 1)?.is_empty() {
            self.commit_campaign(CampaignChange::ClearListed { tenant, campaign, generation, limit: CLEARED }).await?;
        }
        Ok(())
    }

    /// Deletes the rows that a start left which did not come to its end.
    pub(super) async fn clear_rows(&self, tenant: TenantIndex, campaign: u32) -> Result<()> {
        while !self.ports().store.campaign_rows(tenant, campaign, None, 0, 1)?.rows.is_empty() {
            self.commit_campaign(CampaignChange::ClearRows { tenant, campaign, limit: CLEARED }).await?;
        }
        Ok(())
    }

    async fn patched(&self, mut campaign: Campaign, patch: CampaignPatch) -> Result<Campaign> {
        let CampaignPatch { name, template, connector, audience, bindings, header, priority, stop } = patch;
        let mut problems = Vec::new();
        let mut keep = |error: Error| -> Result<()> {
            if error.fields.is_empty() {
                return Err(error);
            }
            problems.extend(error.fields);
            Ok(())
        };
        if let Some(name) = name {
            match checked(Rule { field: Field::Name, max_chars: MAX_NAME_CHARS, lines: false }, &name) {
                Ok(name) => campaign.name = name,
                Err(error) => keep(error)?,
            }
        }
        if let Some(connector) = connector {
            campaign.connector = self.connector_named(campaign.tenant, connector)?.index;
        }
        if let Some(template) = template {
            campaign.template = template;
        }
        if let Some(header) = header {
            campaign.header = None;
            match self.chosen_header(campaign.tenant, header).await {
                Ok(header) => campaign.header = header,
                Err(error) => keep(error)?,
            }
        }
        match self.campaign_template(&campaign) {
            Ok(template) => {
                // It must fit the template also where only that was changed.
                let header = campaign.header.as_ref();
                let problem = header.and_then(|header| template.header_problem(&header.media(), header.file()));
                if let Some(problem) = problem {
                    keep(Error::invalid(Field::Header, problem))?;
                }
            }
            Err(error) => keep(error)?,
        }
        match audience {
            None => {}
            Some(AudienceChoice::Direct) => campaign.audience = Audience::Direct,
            Some(AudienceChoice::Contacts(choice)) => {
                let choice = trimmed(choice);
                if choice.search.as_ref().is_some_and(|words| words.chars().count() > MAX_SEARCH_CHARS) {
                    let message = format!("must have at most {MAX_SEARCH_CHARS} characters");
                    keep(Error::invalid(Field::Audience.field(Field::Search), message))?;
                }
                if let Some(tag) = choice.tag
                    && self.ports().store.tag_by_id(campaign.tenant, tag)?.is_none()
                {
                    keep(Error::invalid(Field::Audience.field(Field::Tag), "is not the id of a tag"))?;
                }
                campaign.audience = Audience::Contacts(choice);
            }
        }
        if let Some(bindings) = bindings {
            for error in binding_problems(&bindings) {
                keep(error)?;
            }
            campaign.bindings = bindings;
        }
        if let Some(priority) = priority {
            if !(1..=10).contains(&priority) {
                keep(Error::invalid(Field::Priority, "must be from 1 to 10"))?;
            }
            campaign.priority = priority;
        }
        if let Some(stop) = stop {
            for error in rule_problems(&stop) {
                keep(error)?;
            }
            campaign.stop = stop;
        }
        if problems.is_empty() { Ok(campaign) } else { Err(Error::invalid_fields(problems)) }
    }

    async fn chosen_header(&self, tenant: TenantIndex, choice: Option<HeaderChoice>) -> Result<Option<CampaignHeader>> {
        Ok(match choice {
            None => None,
            Some(HeaderChoice::Other(header)) => Some(header),
            Some(HeaderChoice::File { id, file_name }) => {
                let file = self.header_file(tenant, id, file_name).await?;
                let unknown =
                    || Error::invalid(Field::Header.named("file.id"), "is not a file of this tenant; upload it first");
                Some(CampaignHeader::File(file.ok_or_else(unknown)?))
            }
        })
    }
}

/// Which list a campaign has.
pub(super) fn listed(audience: &Audience) -> Option<u32> {
    match audience {
        Audience::Listed { generation, .. } => Some(*generation),
        Audience::Direct | Audience::Contacts(_) => None,
    }
}

fn binding_problems(bindings: &BTreeMap<String, Binding>) -> Vec<Error> {
    if bindings.len() > MAX_BINDINGS {
        return vec![Error::invalid(Field::Variables, format!("must be at most {MAX_BINDINGS}"))];
    }
    let mut problems = Vec::new();
    for (name, binding) in bindings {
        let texts = [
            match &binding.source {
                Source::Text(text) | Source::Column(text) => Some(text),
                Source::Contact(_) => None,
            },
            binding.default.as_ref(),
        ];
        if texts.into_iter().flatten().any(|text| text.chars().count() > MAX_VALUE_CHARS || text.contains('\0')) {
            let message = format!("must have at most {MAX_VALUE_CHARS} characters, without the NUL character");
            problems.push(Error::invalid(Field::Variables.named(name.chars().take(64).collect::<String>()), message));
        }
    }
    problems
}

fn rule_problems(stop: &StopRules) -> Vec<Error> {
    let mut problems = Vec::new();
    if stop.failed_percent.is_some_and(|percent| percent > 100) {
        problems.push(Error::invalid(Field::StopRules.field(Field::FailedPercent), "must be from 0 to 100"));
    }
    let fit = |code: &String| !code.trim().is_empty() && code.chars().count() <= MAX_CODE_CHARS;
    if stop.codes.len() > MAX_STOP_CODES || !stop.codes.iter().all(fit) {
        let message = format!("must be at most {MAX_STOP_CODES} codes of 1 to {MAX_CODE_CHARS} characters");
        problems.push(Error::invalid(Field::StopRules.field(Field::Codes), message));
    }
    problems
}
