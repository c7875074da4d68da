//! Wire types of templates.

use std::collections::BTreeMap;

use poem_openapi::types::MaybeUndefined;
use poem_openapi::{Enum, Object};
use pombo_domain::Error;
use pombo_domain::commands::templates::{Synced, TemplateDraft, TemplatePatch, TemplateView};
use pombo_domain::model;
use pombo_domain::model::template::{Component, Place, TemplateVariable, components_with, read_components};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::wire::Instant;
use pombo_api::error::Failure;
use pombo_api::options::ApiState;

/// What a template is for.
#[derive(Enum, Deserialize, Clone, Copy)]
#[oai(rename_all = "lowercase")]
#[serde(rename_all = "lowercase")]
pub(crate) enum TemplateCategory {
    /// It advertises: the category of its messages is MARKETING.
    Marketing,
    /// It tells of something that the recipient has a part in: the category of its messages is NOTIFICATION.
    Utility,
    /// It brings a code: the category of its messages is TRANSACTIONAL.
    Authentication,
}

impl From<TemplateCategory> for model::TemplateCategory {
    fn from(category: TemplateCategory) -> Self {
        match category {
            TemplateCategory::Marketing => Self::Marketing,
            TemplateCategory::Utility => Self::Utility,
            TemplateCategory::Authentication => Self::Authentication,
        }
    }
}

impl From<model::TemplateCategory> for TemplateCategory {
    fn from(category: model::TemplateCategory) -> Self {
        match category {
            model::TemplateCategory::Marketing => Self::Marketing,
            model::TemplateCategory::Utility => Self::Utility,
            model::TemplateCategory::Authentication => Self::Authentication,
        }
    }
}

/// How a template's variables are named.
#[derive(Enum, Deserialize, Clone, Copy)]
#[oai(rename_all = "lowercase")]
#[serde(rename_all = "lowercase")]
pub(crate) enum TemplateFormat {
    /// By words: `{{nome}}`.
    Named,
    /// By numbers from 1: `{{1}}`.
    Positional,
}

/// Whether a template can be sent: only an approved one can.
#[derive(Enum, Clone, Copy)]
#[oai(rename_all = "kebab-case")]
pub(crate) enum TemplateStatus {
    /// It can be sent.
    Approved,
    /// The channel has not decided yet.
    Pending,
    /// The channel refused it.
    Rejected,
    /// The channel paused it, for its quality.
    Paused,
    /// The channel took it out of use.
    Disabled,
    /// Its refusal is looked at again.
    InAppeal,
    /// It was not used for long.
    Archived,
    /// It is not there any more.
    Deleted,
    /// It is about to be deleted.
    PendingDeletion,
    /// The account has too many templates.
    LimitExceeded,
}

impl From<model::TemplateStatus> for TemplateStatus {
    fn from(status: model::TemplateStatus) -> Self {
        match status {
            model::TemplateStatus::Approved => Self::Approved,
            model::TemplateStatus::Pending => Self::Pending,
            model::TemplateStatus::Rejected => Self::Rejected,
            model::TemplateStatus::Paused => Self::Paused,
            model::TemplateStatus::Disabled => Self::Disabled,
            model::TemplateStatus::InAppeal => Self::InAppeal,
            model::TemplateStatus::Archived => Self::Archived,
            model::TemplateStatus::Deleted => Self::Deleted,
            model::TemplateStatus::PendingDeletion => Self::PendingDeletion,
            model::TemplateStatus::LimitExceeded => Self::LimitExceeded,
        }
    }
}

impl From<TemplateStatus> for model::TemplateStatus {
    fn from(status: TemplateStatus) -> Self {
        match status {
            TemplateStatus::Approved => Self::Approved,
            TemplateStatus::Pending => Self::Pending,
            TemplateStatus::Rejected => Self::Rejected,
            TemplateStatus::Paused => Self::Paused,
            TemplateStatus::Disabled => Self::Disabled,
            TemplateStatus::InAppeal => Self::InAppeal,
            TemplateStatus::Archived => Self::Archived,
            TemplateStatus::Deleted => Self::Deleted,
            TemplateStatus::PendingDeletion => Self::PendingDeletion,
            TemplateStatus::LimitExceeded => Self::LimitExceeded,
        }
    }
}

/// How a channel rates a template.
#[derive(Enum, Clone, Copy)]
#[oai(rename_all = "lowercase")]
pub(crate) enum TemplateQuality {
    /// Good.
    Green,
    /// Something is wrong.
    Yellow,
    /// Much is wrong.
    Red,
    /// Not rated.
    Unknown,
}

/// A variable of a template.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
pub(crate) struct Variable {
    /// The name under which its value is given in `variables`.
    name: String,
    /// An example of a value.
    example: Option<String>,
    /// Where it stands: `header`, `body`, `button`, `card` or `offer`.
    place: String,
    /// Whether it must be given.
    required: bool,
}

impl From<TemplateVariable> for Variable {
    fn from(variable: TemplateVariable) -> Self {
        let TemplateVariable { name, example, place, required } = variable;
        let place = match place {
            Place::Header => "header",
            Place::Body => "body",
            Place::Button(_) => "button",
            Place::Card(_) => "card",
            Place::Offer => "offer",
        };
        Self { name, example, place: place.to_owned(), required }
    }
}

/// A text with variables that is sent again and again.
#[derive(Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct Template {
    /// Id of the template.
    id: Uuid,
    /// The tenant's number for the template: from 1, never given twice.
    number: u32,
    /// Id of the connector whose channel keeps it; absent for a text of your own, which goes through any connector.
    connector_id: Option<Uuid>,
    /// Name of the template. No two of a connector have the same name and language.
    name: String,
    /// Its language, such as `pt_BR`.
    language: Option<String>,
    /// What it is for.
    category: TemplateCategory,
    /// How its variables are named.
    format: TemplateFormat,
    /// Whether it can be sent.
    status: TemplateStatus,
    /// How the channel rates it.
    quality: TemplateQuality,
    /// Why it has its status, as the channel says.
    reason: Option<String>,
    /// The channel's id of it.
    remote_id: Option<String>,
    /// What it consists of; see the documentation of templates.
    components: Vec<Value>,
    /// Its variables, in the order of its parts.
    variables: Vec<Variable>,
    /// Further names of the body's variables, where these are numbered: their values may also be given by these names.
    variable_names: Option<Vec<String>>,
    /// When it was created here.
    created_at: Instant,
    /// When it was last changed here, or its channel last told of it.
    updated_at: Instant,
}

impl Template {
    /// The template with links that open its samples.
    pub(crate) fn of(TemplateView { template, connector }: TemplateView, state: &ApiState) -> Self {
        let sample = |file: &model::Attachment| {
            let SampleFile { id, file_name, content_type, size, url } = SampleFile::of(&template, file, state);
            json!({"id": id, "fileName": file_name, "contentType": content_type, "size": size, "url": url})
        };
        let components = match components_with(&template.components, &sample) {
            Value::Array(components) => components,
            _ => Vec::new(),
        };
        Self {
            id: template.id,
            number: template.number,
            connector_id: connector,
            name: template.name.clone(),
            language: template.language.clone(),
            category: template.category.into(),
            format: match template.format {
                model::TemplateFormat::Named => TemplateFormat::Named,
                model::TemplateFormat::Positional => TemplateFormat::Positional,
            },
            status: template.status.into(),
            quality: match template.quality {
                model::Quality::Green => TemplateQuality::Green,
                model::Quality::Yellow => TemplateQuality::Yellow,
                model::Quality::Red => TemplateQuality::Red,
                model::Quality::Unknown => TemplateQuality::Unknown,
            },
            reason: template.reason.clone(),
            remote_id: template.remote_id.clone(),
            components,
            variables: template.variables().into_iter().map(Variable::from).collect(),
            variable_names: (!template.variable_names.is_empty()).then(|| template.variable_names.clone()),
            created_at: Instant(template.created_at),
            updated_at: Instant(template.updated_at),
        }
    }
}

/// An uploaded file that shows what a template's header will be.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
pub(crate) struct SampleFile {
    /// Id of the file.
    id: Uuid,
    /// Name of the file.
    file_name: String,
    /// MIME type of the file, by its content.
    content_type: String,
    /// Size in bytes.
    size: u64,
    /// URL that opens the file without a credential, for a limited time.
    url: String,
}

impl SampleFile {
    /// A sample of this template.
    pub(crate) fn of(template: &model::Template, file: &model::Attachment, state: &ApiState) -> Self {
        Self {
            url: state.media_links.url(template.tenant, file, state.commands.now()),
            id: file.id,
            file_name: file.file_name.clone(),
            content_type: file.content_type.clone(),
            size: file.size,
        }
    }
}

/// A page of templates.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
pub(crate) struct TemplateList {
    /// The templates, ordered by number.
    pub(crate) data: Vec<Template>,
    /// The `after` for the next page; absent on the last one.
    pub(crate) next: Option<u32>,
    /// Number of all templates that match, on all pages.
    pub(crate) total: u64,
}

/// A template to create.
#[derive(Object, Deserialize)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct CreateTemplate {
    /// Id of the connector whose channel shall keep it; a text of your own if omitted.
    #[oai(nullable)]
    connector_id: Option<Uuid>,
    /// Name, at most 512 characters. For a connector: lower-case letters, digits and underscores.
    #[oai(validator(min_length = 1, max_length = 512))]
    name: String,
    /// Language, such as `pt_BR`. Required for a connector.
    #[oai(nullable, validator(min_length = 2, max_length = 15, pattern = "^[A-Za-z0-9_]+$"))]
    language: Option<String>,
    /// What it is for.
    category: TemplateCategory,
    /// How its variables are named; `named` if omitted, and always in a text of your own.
    #[oai(nullable)]
    format: Option<TemplateFormat>,
    /// What it consists of; see the documentation of templates. A text of your own is one `body`.
    #[oai(validator(min_items = 1, max_items = 100))]
    components: Vec<Value>,
    /// Only where variables are numbered: further names of the body's variables, one for each in the order of their numbers, made of
    /// letters, digits and underscores. The channel does not know them.
    #[oai(default, validator(max_items = 100))]
    #[serde(default)]
    variable_names: Vec<String>,
}

impl CreateTemplate {
    pub(crate) fn draft(self) -> Result<TemplateDraft, Failure> {
        let Self { connector_id, name, language, category, format, components, variable_names } = self;
        Ok(TemplateDraft {
            connector: connector_id,
            name,
            language,
            category: category.into(),
            format: match format {
                Some(TemplateFormat::Positional) => model::TemplateFormat::Positional,
                Some(TemplateFormat::Named) | None => model::TemplateFormat::Named,
            },
            components: read(components)?,
            variable_names,
        })
    }
}

/// A change of a template. Omitted fields stay as they are.
#[derive(Object, Deserialize)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct UpdateTemplate {
    /// The new name, at most 512 characters; only of a text of your own.
    #[oai(nullable, validator(min_length = 1, max_length = 512))]
    name: Option<String>,
    /// The new language, `null` for none; only of a text of your own.
    #[oai(default, nullable, validator(min_length = 2, max_length = 15, pattern = "^[A-Za-z0-9_]+$"))]
    #[serde(default)]
    language: MaybeUndefined<String>,
    /// What it is for from now on.
    #[oai(nullable)]
    category: Option<TemplateCategory>,
    /// What it consists of from now on: replaces all of it.
    #[oai(nullable, validator(min_items = 1, max_items = 100))]
    components: Option<Vec<Value>>,
    /// New further names of the body's numbered variables: all of them together; an empty list removes them.
    #[oai(nullable, validator(max_items = 100))]
    variable_names: Option<Vec<String>>,
}

impl UpdateTemplate {
    pub(crate) fn patch(self) -> Result<TemplatePatch, Failure> {
        let Self { name, language, category, components, variable_names } = self;
        let language = match language {
            MaybeUndefined::Undefined => None,
            MaybeUndefined::Null => Some(None),
            MaybeUndefined::Value(language) => Some(Some(language)),
        };
        let components = components.map(read).transpose()?;
        let category = category.map(model::TemplateCategory::from);
        Ok(TemplatePatch { name, language, category, components, variable_names })
    }
}

/// Components as the caller wrote them; a problem is named by its path.
fn read(components: Vec<Value>) -> Result<Vec<Component>, Failure> {
    read_components(&Value::Array(components)).map_err(|problem| {
        let (path, message) = problem.split_once(": ").unwrap_or(("components", problem.as_str()));
        Error::invalid(path, message).into()
    })
}

/// Values to show a template with.
#[derive(Object, Deserialize, Default)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub(crate) struct PreviewTemplate {
    /// Values of the variables: texts, numbers, true and false. Examples stand for what is not given.
    #[oai(default)]
    #[serde(default)]
    pub(crate) variables: BTreeMap<String, Value>,
}

/// A template as the recipient sees it.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
pub(crate) struct TemplatePreview {
    /// The texts of header, body, footer and buttons, each on a line of its own.
    pub(crate) text: String,
    /// The sample of the header, where that is a file and one was uploaded for it.
    pub(crate) sample: Option<SampleFile>,
    /// What is still wrong with the values: with these, the template is not sent.
    pub(crate) problems: Vec<ValueProblem>,
}

/// What is wrong with a value.
#[derive(Object)]
pub(crate) struct ValueProblem {
    /// Name of the variable.
    pub(crate) name: String,
    /// What is wrong and what to change.
    pub(crate) message: String,
}

/// What a synchronisation found.
#[derive(Object)]
pub(crate) struct SyncedTemplates {
    /// Number of templates that the channel has.
    total: u64,
    /// Number of those that were not known.
    added: u64,
    /// Number of those that were known otherwise.
    changed: u64,
    /// Number of known ones that the channel does not have any more: their status is `deleted` now.
    removed: u64,
}

impl From<Synced> for SyncedTemplates {
    fn from(synced: Synced) -> Self {
        let Synced { total, added, changed, removed } = synced;
        Self { total, added, changed, removed }
    }
}
