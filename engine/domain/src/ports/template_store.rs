//! What the store keeps of templates and labels (queues and statuses of conversations), and how they may change.

use std::sync::Arc;

use uuid::Uuid;

use super::StoreResult;
use crate::model::template::{RemoteTemplate, TemplateCategory, TemplateStatus};
use crate::model::{Label, LabelKind, Quality, Template};
use crate::{ConnectorIndex, TenantIndex};

/// Filters of a list of templates, all optional, combined by AND.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TemplateFilter {
    /// Only templates of this connector.
    pub connector: Option<ConnectorIndex>,
    /// Only the tenant's own texts, which belong to no connector.
    pub own: bool,
    /// Only templates with this status.
    pub status: Option<TemplateStatus>,
    /// Only templates of this category.
    pub category: Option<TemplateCategory>,
    /// Only templates in exactly this language.
    pub language: Option<String>,
    /// Only templates with exactly this name.
    pub name: Option<String>,
    /// Only templates that contain every word in name or body; case and accents are ignored.
    pub search: Option<String>,
}

/// A page of templates, ordered by number.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TemplatePage {
    /// The rows of the page.
    pub rows: Vec<Arc<Template>>,
    /// Number of all matches, on every page.
    pub total: u64,
    /// The number of the last row, if there are more behind it.
    pub next: Option<u32>,
}

/// What a channel told of a template. Absent things are as before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateNews {
    /// The connector whose channel keeps it.
    pub connector: ConnectorIndex,
    /// The tenant that owns the connector.
    pub tenant: TenantIndex,
    /// The template's name.
    pub name: String,
    /// Its language.
    pub language: String,
    /// The channel's id of it.
    pub remote_id: Option<String>,
    /// Whether it can be sent.
    pub status: Option<TemplateStatus>,
    /// How the channel rates it.
    pub quality: Option<Quality>,
    /// What it is for.
    pub category: Option<TemplateCategory>,
    /// Why. With a status and without a reason, the earlier reason goes.
    pub reason: Option<String>,
}

/// What the channel of a connector lists of a template that was known before the channel was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateListed {
    /// The template as it was before the channel was asked.
    pub before: Arc<Template>,
    /// What the channel lists; `None`: it does not have the template any more.
    pub remote: Option<RemoteTemplate>,
}

/// A change of a tenant's templates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TemplateChange {
    /// Creates a template (number 0: it gets the next one) or replaces one. [`super::Conflict::TemplateName`] if another has its connector,
    /// name and language, [`super::Conflict::TooManyTemplates`] if there are too many, [`super::Conflict::Gone`] if the one to replace does
    /// not exist.
    Put(Template),
    /// The channel told of a template; of one that is not there it does nothing. A status, quality or category that is as before counts as a
    /// change, too: it is newer than a list that is being read.
    Told(TemplateNews),
    /// The channel lists a template that was not known. Creates it (its number is 0), unless its connector, name and language were taken
    /// while the list was read. [`super::Conflict::TooManyTemplates`] if there are too many.
    Found(Template),
    /// The channel lists a known template, or does not list it any more. What was told or changed while the list was read is newer than the
    /// list and stays; a template that was deleted meanwhile stays deleted.
    Listed(TemplateListed),
    /// Deletes a template by its id. [`super::Conflict::Gone`] if it does not exist.
    Delete(TenantIndex, Uuid),
}

/// A change of a tenant's labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LabelChange {
    /// Creates a label (number 0: it gets the next one) or replaces one. [`super::Conflict::LabelName`] if another of its kind has the
    /// name, [`super::Conflict::TooManyLabels`] if there are too many, [`super::Conflict::Gone`] if the one to replace does not exist.
    Put(Label),
    /// Deletes a label by its id; its conversations lose it. [`super::Conflict::Gone`] if it does not exist.
    Delete(TenantIndex, LabelKind, Uuid),
}

/// Reads of templates and labels; part of [`super::Store`].
pub trait TemplateStore: Send + Sync + 'static {
    /// A template by the tenant's number for it.
    fn template_by_number(&self, tenant: TenantIndex, number: u32) -> StoreResult<Option<Arc<Template>>> {
        let _ = (tenant, number);
        Ok(None)
    }
    /// A template by its public id.
    fn template_by_id(&self, tenant: TenantIndex, id: Uuid) -> StoreResult<Option<Arc<Template>>> {
        let _ = (tenant, id);
        Ok(None)
    }
    /// The template with this connector, name and language.
    fn template_named(
        &self,
        tenant: TenantIndex,
        connector: Option<ConnectorIndex>,
        name: &str,
        language: Option<&str>,
    ) -> StoreResult<Option<Arc<Template>>> {
        let _ = (tenant, connector, name, language);
        Ok(None)
    }
    /// A page of a tenant's templates behind the number `after`.
    fn templates(
        &self,
        tenant: TenantIndex,
        filter: &TemplateFilter,
        after: u32,
        limit: usize,
    ) -> StoreResult<TemplatePage> {
        let _ = (tenant, filter, after, limit);
        Ok(TemplatePage::default())
    }

    /// A tenant's labels of this kind, ordered by number.
    fn labels(&self, tenant: TenantIndex, kind: LabelKind) -> StoreResult<Vec<Arc<Label>>> {
        let _ = (tenant, kind);
        Ok(Vec::new())
    }
    /// A label by the tenant's number for it.
    fn label_by_number(&self, tenant: TenantIndex, kind: LabelKind, number: u32) -> StoreResult<Option<Arc<Label>>> {
        let _ = (tenant, kind, number);
        Ok(None)
    }
    /// A label by its public id.
    fn label_by_id(&self, tenant: TenantIndex, kind: LabelKind, id: Uuid) -> StoreResult<Option<Arc<Label>>> {
        let _ = (tenant, kind, id);
        Ok(None)
    }
}
