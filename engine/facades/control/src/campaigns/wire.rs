//! The bodies of campaigns.

use std::collections::BTreeMap;

use poem_openapi::registry::MetaSchema;
use poem_openapi::types::MaybeUndefined;
use poem_openapi::{Enum, Object};
use pombo_api::declared::ParamKind;
use pombo_api::error::Failure;
use pombo_domain::commands::campaigns::drafts::{AudienceChoice, CampaignPatch, HeaderChoice};
use pombo_domain::commands::campaigns::{CampaignRef, CampaignView};
use pombo_domain::model::{self, Audience, Binding, ContactChoice, ContactPart, Source};
use pombo_domain::{Error, Field};
use serde::Deserialize;
use uuid::Uuid;

use crate::wire::send::HeaderLocation;
use crate::wire::{Instant, WordOf};

/// A campaign in a path: by id or by number.
pub(crate) struct CampaignKey;

impl ParamKind for CampaignKey {
    type Value = Option<CampaignRef>;

    fn schema() -> MetaSchema {
        MetaSchema { pattern: Some("^[0-9A-Za-z-]{1,36}$".to_owned()), ..MetaSchema::new("string") }
    }
    fn parse(text: &str) -> Result<Self::Value, String> {
        if (1..=9).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Ok(text.parse().ok().map(CampaignRef::Number));
        }
        // The hyphenated form only: one id has one spelling.
        Ok(Uuid::try_parse(text).ok().filter(|_| text.len() == 36).map(CampaignRef::Id))
    }
}

/// Who gets a campaign.
#[derive(Enum, Deserialize, Clone, Copy)]
#[oai(rename_all = "lowercase")]
#[serde(rename_all = "lowercase")]
pub(crate) enum CampaignAudienceType {
    /// Nobody of its own: its rows are what is sent in its name, one by one, until somebody stops it.
    Direct,
    /// The contacts that the connector can reach.
    Contacts,
    /// A list that was handed in: a file, or contacts by their ids.
    List,
}

/// Who gets a campaign.
#[derive(Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct CampaignAudience {
    /// Kind of audience.
    #[oai(rename = "type")]
    kind: CampaignAudienceType,
    /// Only contacts that contain every word.
    search: Option<String>,
    /// Only contacts whose conversation on the connector has this tag.
    tag_id: Option<Uuid>,
    /// Only contacts that are known on the connector.
    known_on_connector: Option<bool>,
    /// Number of rows of the list.
    rows: Option<u32>,
    /// Name of the list's file.
    file_name: Option<String>,
}

impl From<Audience> for CampaignAudience {
    fn from(audience: Audience) -> Self {
        let empty =
            |kind| Self { kind, search: None, tag_id: None, known_on_connector: None, rows: None, file_name: None };
        match audience {
            Audience::Direct => empty(CampaignAudienceType::Direct),
            Audience::Contacts(ContactChoice { search, known_there, tag }) => Self {
                search,
                tag_id: tag,
                known_on_connector: Some(known_there),
                ..empty(CampaignAudienceType::Contacts)
            },
            Audience::Listed { rows, file_name, .. } => {
                Self { rows: Some(rows), file_name, ..empty(CampaignAudienceType::List) }
            }
        }
    }
}

/// Who is to get a campaign.
#[derive(Object, Deserialize)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ChooseCampaignAudience {
    /// Kind of audience: `direct` or `contacts`. A list is handed in by operations of its own.
    #[oai(rename = "type")]
    #[serde(rename = "type")]
    kind: CampaignAudienceType,
    /// Only contacts that contain every word in identifier, names, e-mail address or company. With a tag: in name or address of the
    /// conversation.
    #[oai(nullable, validator(max_length = 200))]
    search: Option<String>,
    /// Only contacts whose conversation on the connector has this tag.
    #[oai(nullable)]
    tag_id: Option<Uuid>,
    /// Only contacts that are known on the connector.
    #[oai(nullable)]
    known_on_connector: Option<bool>,
}

impl ChooseCampaignAudience {
    fn choice(self) -> Result<AudienceChoice, Failure> {
        let Self { kind, search, tag_id, known_on_connector } = self;
        match kind {
            CampaignAudienceType::Direct if search.is_some() || tag_id.is_some() || known_on_connector.is_some() => {
                Err(Error::invalid(Field::Audience, "of type direct takes no other fields").into())
            }
            CampaignAudienceType::Direct => Ok(AudienceChoice::Direct),
            CampaignAudienceType::Contacts => Ok(AudienceChoice::Contacts(ContactChoice {
                search,
                known_there: known_on_connector.unwrap_or(false),
                tag: tag_id,
            })),
            CampaignAudienceType::List => {
                let message = "is handed in by the operations for a file or for contacts";
                Err(Error::invalid(Field::Audience.named("type"), message).into())
            }
        }
    }
}

/// A part of a contact.
#[derive(Enum, Deserialize, Clone, Copy)]
#[oai(rename_all = "camelCase")]
#[serde(rename_all = "camelCase")]
pub(crate) enum CampaignContactPart {
    /// The name to show.
    Name,
    /// The first word of that name.
    FirstName,
    /// The e-mail address that is noted with it.
    Email,
    /// Its company.
    Company,
    /// The address that it is known by.
    Identifier,
}

impl From<CampaignContactPart> for ContactPart {
    fn from(part: CampaignContactPart) -> Self {
        match part {
            CampaignContactPart::Name => Self::Name,
            CampaignContactPart::FirstName => Self::FirstName,
            CampaignContactPart::Email => Self::Email,
            CampaignContactPart::Company => Self::Company,
            CampaignContactPart::Identifier => Self::Identifier,
        }
    }
}

impl From<ContactPart> for CampaignContactPart {
    fn from(part: ContactPart) -> Self {
        match part {
            ContactPart::Name => Self::Name,
            ContactPart::FirstName => Self::FirstName,
            ContactPart::Email => Self::Email,
            ContactPart::Company => Self::Company,
            ContactPart::Identifier => Self::Identifier,
        }
    }
}

/// What a variable of the template is filled with: exactly one of `text`, `column` and `contact`.
#[derive(Object, Deserialize)]
#[oai(deny_unknown_fields, skip_serializing_if_is_none)]
#[serde(deny_unknown_fields)]
pub(crate) struct CampaignVariable {
    /// The same text for everybody.
    #[oai(nullable, validator(max_length = 1024))]
    text: Option<String>,
    /// A column of the list, by its header.
    #[oai(nullable, validator(max_length = 1024))]
    column: Option<String>,
    /// A part of the contact.
    #[oai(nullable)]
    contact: Option<CampaignContactPart>,
    /// What stands where there is nothing.
    #[oai(nullable, validator(max_length = 1024))]
    default: Option<String>,
}

impl CampaignVariable {
    fn binding(self, name: &str) -> Result<Binding, Failure> {
        let Self { text, column, contact, default } = self;
        let source = match (text, column, contact) {
            (Some(text), None, None) => Source::Text(text),
            (None, Some(column), None) => Source::Column(column),
            (None, None, Some(part)) => Source::Contact(part.into()),
            _ => {
                let message = "must have exactly one of text, column and contact";
                return Err(Error::invalid(Field::Variables.named(name), message).into());
            }
        };
        Ok(Binding { source, default })
    }
}

impl From<Binding> for CampaignVariable {
    fn from(Binding { source, default }: Binding) -> Self {
        let empty = Self { text: None, column: None, contact: None, default };
        match source {
            Source::Text(text) => Self { text: Some(text), ..empty },
            Source::Column(column) => Self { column: Some(column), ..empty },
            Source::Contact(part) => Self { contact: Some(part.into()), ..empty },
        }
    }
}

/// When a running campaign is paused by itself. What happened counts from the start or the last resumption.
#[derive(Object, Deserialize)]
#[oai(rename_all = "camelCase", deny_unknown_fields, skip_serializing_if_is_none)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct CampaignStopRules {
    /// More than this many percent of the messages with an outcome failed, from 0 to 100.
    #[oai(nullable, validator(maximum(value = "100")))]
    failed_percent: Option<u8>,
    /// The percentage counts from this many messages with an outcome on; 50 if omitted.
    #[oai(nullable)]
    min_sent: Option<u32>,
    /// A message failed with one of these codes (the channel's own, or the word of a reason), or the channel refused it for now with one.
    /// Those of the configuration if omitted.
    #[oai(nullable, validator(max_items = 50))]
    codes: Option<Vec<String>>,
    /// Number of failures and refusals with one of these codes after which it is paused; 1 if omitted.
    #[oai(nullable)]
    code_times: Option<u32>,
    /// The connector was paused this often while the campaign ran.
    #[oai(nullable)]
    connector_pauses: Option<u32>,
}

impl From<model::StopRules> for CampaignStopRules {
    fn from(rules: model::StopRules) -> Self {
        Self {
            failed_percent: rules.failed_percent,
            min_sent: Some(rules.min_sent),
            codes: Some(rules.codes),
            code_times: Some(rules.code_times),
            connector_pauses: rules.connector_pauses,
        }
    }
}

impl CampaignStopRules {
    /// The rules; `codes` are those of the configuration.
    fn rules(self, codes: Vec<String>) -> model::StopRules {
        model::StopRules {
            failed_percent: self.failed_percent,
            min_sent: self.min_sent.unwrap_or(50),
            codes: self.codes.unwrap_or(codes),
            code_times: self.code_times.unwrap_or(1),
            connector_pauses: self.connector_pauses,
        }
    }
}

/// An uploaded file that a header shows.
#[derive(Object, Deserialize)]
#[oai(rename_all = "camelCase", deny_unknown_fields, skip_serializing_if_is_none)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct CampaignHeaderFile {
    /// The `id` that the upload returned.
    id: Uuid,
    /// Name that recipients see, from 1 to 255 characters.
    #[oai(nullable, validator(min_length = 1, max_length = 255, pattern = "^[^\\x00-\\x1f\\x7f-\\x9f/\\\\]+$"))]
    file_name: Option<String>,
}

/// What the template's header shows to everybody, where that is not a text: exactly one of a link, an uploaded file and a place.
#[derive(Object, Deserialize)]
#[oai(deny_unknown_fields, skip_serializing_if_is_none)]
#[serde(deny_unknown_fields)]
pub(crate) struct CampaignHeader {
    /// Address of a file that the channel fetches for each message; at most 2048 characters. A wrong address shows only when messages
    /// fail: an uploaded file is safer.
    #[oai(nullable, validator(max_length = 2048))]
    link: Option<String>,
    /// An uploaded file. Its content decides whether it is a picture, a video or a document.
    #[oai(nullable)]
    file: Option<CampaignHeaderFile>,
    /// A place on a map.
    #[oai(nullable)]
    location: Option<HeaderLocation>,
}

impl CampaignHeader {
    fn choice(self) -> Result<HeaderChoice, Failure> {
        match self {
            Self { link: Some(link), file: None, location: None } => {
                Ok(HeaderChoice::Other(model::CampaignHeader::Link(link)))
            }
            Self { link: None, file: Some(CampaignHeaderFile { id, file_name }), location: None } => {
                let bad = |c: char| c.is_control() || matches!(c, '/' | '\\');
                let is_name = |name: &String| (1..=255).contains(&name.chars().count()) && !name.contains(bad);
                if file_name.as_ref().is_some_and(|name| !is_name(name)) {
                    let message = "must have 1 to 255 characters, without control characters and slashes";
                    return Err(Error::invalid(Field::Header.named("file.fileName"), message).into());
                }
                Ok(HeaderChoice::File { id, file_name })
            }
            Self { link: None, file: None, location: Some(place) } => {
                let HeaderLocation { latitude, longitude, title, address } = place.checked()?;
                let (latitude, longitude) = (latitude.into(), longitude.into());
                Ok(HeaderChoice::Other(model::CampaignHeader::Location { latitude, longitude, title, address }))
            }
            _ => Err(Error::invalid(Field::Header, "must have exactly one of link, file and location").into()),
        }
    }
}

impl From<model::CampaignHeader> for CampaignHeader {
    fn from(header: model::CampaignHeader) -> Self {
        let empty = Self { link: None, file: None, location: None };
        match header {
            model::CampaignHeader::File(file) => {
                let file = CampaignHeaderFile { id: file.id, file_name: Some(file.file_name) };
                Self { file: Some(file), ..empty }
            }
            model::CampaignHeader::Link(link) => Self { link: Some(link), ..empty },
            model::CampaignHeader::Location { latitude, longitude, title, address } => {
                let (latitude, longitude) = (latitude.get(), longitude.get());
                Self { location: Some(HeaderLocation { latitude, longitude, title, address }), ..empty }
            }
        }
    }
}

/// A campaign to create.
#[derive(Object, Deserialize)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct CreateCampaign {
    /// Name of the campaign, at most 200 characters.
    #[oai(validator(min_length = 1, max_length = 200))]
    name: String,
    /// Number of the template that it sends: a text of your own, or one of the connector.
    template: u32,
    /// Id of the connector that sends it.
    connector_id: Uuid,
    /// Who gets it; `direct` if omitted.
    #[oai(nullable)]
    audience: Option<ChooseCampaignAudience>,
    /// What the template's variables are filled with. One that is omitted is filled from the list's column of its name.
    #[oai(nullable)]
    variables: Option<BTreeMap<String, CampaignVariable>>,
    /// What the template's header shows, if it is a picture, a video, a document or a place. Needed then, unless the variable `header` (or
    /// `header.latitude` and `header.longitude`) is filled.
    #[oai(nullable)]
    header: Option<CampaignHeader>,
    /// Priority of its messages, from 1 to 10; 5 if omitted.
    #[oai(nullable, validator(minimum(value = "1"), maximum(value = "10")))]
    priority: Option<u8>,
    /// When it is paused by itself.
    #[oai(nullable)]
    stop: Option<CampaignStopRules>,
}

/// A change of a draft. Omitted fields stay as they are.
#[derive(Object, Deserialize)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct UpdateCampaign {
    /// The new name, at most 200 characters.
    #[oai(nullable, validator(min_length = 1, max_length = 200))]
    name: Option<String>,
    /// Number of the template that it sends.
    #[oai(nullable)]
    template: Option<u32>,
    /// Id of the connector that sends it.
    #[oai(nullable)]
    connector_id: Option<Uuid>,
    /// Who gets it. It takes the place of a list.
    #[oai(nullable)]
    audience: Option<ChooseCampaignAudience>,
    /// What the template's variables are filled with: all of them together.
    #[oai(nullable)]
    variables: Option<BTreeMap<String, CampaignVariable>>,
    /// What the template's header shows; `null` for nothing.
    #[oai(default, nullable)]
    #[serde(default)]
    header: MaybeUndefined<CampaignHeader>,
    /// Priority of its messages, from 1 to 10.
    #[oai(nullable, validator(minimum(value = "1"), maximum(value = "10")))]
    priority: Option<u8>,
    /// When it is paused by itself: all rules together.
    #[oai(nullable)]
    stop: Option<CampaignStopRules>,
}

impl UpdateCampaign {
    /// The change; `codes` are those at which campaigns stop by the configuration.
    pub(super) fn patch(self, codes: &[String]) -> Result<CampaignPatch, Failure> {
        let Self { name, template, connector_id, audience, variables, header, priority, stop } = self;
        let header = match header {
            MaybeUndefined::Undefined => None,
            MaybeUndefined::Null => Some(None),
            MaybeUndefined::Value(header) => Some(Some(header.choice()?)),
        };
        let bindings = match variables {
            None => None,
            Some(variables) => {
                let binding = |(name, variable): (String, CampaignVariable)| {
                    let binding = variable.binding(&name)?;
                    Ok::<_, Failure>((name, binding))
                };
                Some(variables.into_iter().map(binding).collect::<Result<BTreeMap<_, _>, _>>()?)
            }
        };
        Ok(CampaignPatch {
            name,
            template,
            connector: connector_id,
            audience: audience.map(ChooseCampaignAudience::choice).transpose()?,
            bindings,
            header,
            priority,
            stop: stop.map(|stop| stop.rules(codes.to_vec())),
        })
    }
}

impl From<CreateCampaign> for UpdateCampaign {
    fn from(campaign: CreateCampaign) -> Self {
        let CreateCampaign { name, template, connector_id, audience, variables, header, priority, stop } = campaign;
        let (name, template, connector_id) = (Some(name), Some(template), Some(connector_id));
        let header = header.map_or(MaybeUndefined::Undefined, MaybeUndefined::Value);
        Self { name, template, connector_id, audience, variables, header, priority, stop }
    }
}

/// Contacts that are to get a campaign.
#[derive(Object, Deserialize)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct CampaignContacts {
    /// Ids of contacts, from 1 to 10,000.
    #[oai(validator(min_items = 1, max_items = 10000))]
    pub(super) contacts: Vec<Uuid>,
}

/// When a campaign starts.
#[derive(Object, Deserialize, Default)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct StartCampaign {
    /// Not before this instant; at once if omitted or past. At most 366 days ahead.
    #[oai(nullable)]
    pub(super) scheduled_at: Option<Instant>,
}

/// Why a campaign is paused or stopped.
#[derive(Object, Deserialize, Default)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub(crate) struct CampaignWhy {
    /// Reason for people, at most 500 characters.
    #[oai(nullable, validator(max_length = 500, pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]*$"))]
    pub(super) reason: Option<String>,
}

/// Why a campaign was paused or stopped.
#[derive(Object)]
pub(crate) struct CampaignPausing {
    reason: WordOf<model::CampaignReason>,
    /// The same for a person.
    detail: String,
    /// When it was paused or stopped.
    at: Instant,
}

/// How many rows stand where. Each row is in exactly one of them: their sum, without `held`, is the number of rows.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
pub(crate) struct CampaignCounts {
    /// All rows.
    rows: u64,
    /// Not messages yet.
    pending: u64,
    /// Messages without an outcome.
    queued: u64,
    /// Accepted by the channel, and no more is known. That is not a delivery.
    accepted: u64,
    /// Those of the accepted ones that the channel keeps back for now.
    held: u64,
    /// Delivered, and not read as far as is known.
    delivered: u64,
    /// Read.
    read: u64,
    /// Failed, also after they had been accepted.
    failed: u64,
    /// Not sent, with the reason.
    skipped: u64,
    /// Canceled by a person.
    canceled: u64,
    /// Nobody knows whether they were sent.
    unknown: u64,
    /// Those that failed, by code: the channel's own, otherwise the word of the reason.
    failed_by: BTreeMap<String, u64>,
    /// Those that were not sent, by reason.
    skipped_by: BTreeMap<String, u64>,
}

impl From<model::CampaignCounts> for CampaignCounts {
    fn from(counts: model::CampaignCounts) -> Self {
        let used = |(code, rows): (String, u64)| (rows > 0).then_some((code, rows));
        Self {
            rows: counts.rows(),
            pending: counts.pending,
            queued: counts.queued,
            accepted: counts.accepted,
            held: counts.held,
            delivered: counts.delivered,
            read: counts.read,
            failed: counts.failed,
            skipped: counts.skipped,
            canceled: counts.canceled,
            unknown: counts.unknown,
            failed_by: counts.failed_by.into_iter().filter_map(used).collect(),
            skipped_by: counts
                .skipped_by
                .into_iter()
                .filter_map(|(reason, rows)| used((reason.as_str().to_owned(), rows)))
                .collect(),
        }
    }
}

/// A campaign.
#[derive(Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct Campaign {
    /// Id of the campaign.
    id: Uuid,
    /// The tenant's number for the campaign: from 1, never given twice.
    number: u32,
    /// Name of the campaign.
    name: String,
    status: WordOf<model::CampaignStatus>,
    /// Number of the template that it sends.
    template: u32,
    /// Id of the connector that sends it.
    connector_id: Uuid,
    /// Who gets it.
    audience: CampaignAudience,
    /// What the template's variables are filled with.
    variables: BTreeMap<String, CampaignVariable>,
    /// What the template's header shows.
    header: Option<CampaignHeader>,
    /// Priority of its messages.
    priority: u8,
    /// When it is paused by itself.
    stop: CampaignStopRules,
    /// When it starts, if it does not start at once.
    scheduled_at: Option<Instant>,
    /// Why it was paused or stopped.
    pausing: Option<CampaignPausing>,
    /// How many rows stand where.
    counts: CampaignCounts,
    /// When it was created.
    created_at: Instant,
    /// When it was last changed.
    updated_at: Instant,
    /// When its rows were fixed.
    frozen_at: Option<Instant>,
    /// When it began to send.
    started_at: Option<Instant>,
    /// When it had nothing more to do.
    ended_at: Option<Instant>,
    /// What to think of: in the answer to its start alone, and only if there is something.
    warnings: Option<Vec<String>>,
}

impl From<CampaignView> for Campaign {
    fn from(CampaignView { campaign, connector, counts, warnings }: CampaignView) -> Self {
        let pausing = campaign.pausing.map(|pausing| CampaignPausing {
            reason: WordOf::known(pausing.reason),
            detail: pausing.detail,
            at: Instant(pausing.at),
        });
        Self {
            id: campaign.id,
            number: campaign.number,
            name: campaign.name,
            status: WordOf::known(campaign.status),
            template: campaign.template,
            connector_id: connector.id,
            audience: campaign.audience.into(),
            variables: campaign.bindings.into_iter().map(|(name, binding)| (name, binding.into())).collect(),
            header: campaign.header.map(CampaignHeader::from),
            priority: campaign.priority,
            stop: campaign.stop.into(),
            scheduled_at: campaign.scheduled_at.map(Instant),
            pausing,
            counts: counts.into(),
            created_at: Instant(campaign.created_at),
            updated_at: Instant(campaign.updated_at),
            frozen_at: campaign.frozen_at.map(Instant),
            started_at: campaign.started_at.map(Instant),
            ended_at: campaign.ended_at.map(Instant),
            warnings: Some(warnings).filter(|warnings| !warnings.is_empty()),
        }
    }
}

/// A page of campaigns, newest first.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
pub(crate) struct CampaignPage {
    /// The campaigns of the page.
    pub(super) data: Vec<Campaign>,
    /// The `after` for the next page; absent on the last one.
    pub(super) next: Option<u32>,
}
