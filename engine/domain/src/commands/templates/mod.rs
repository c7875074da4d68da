//! Templates: a tenant's own texts, and those that the channel of a connector keeps. What concerns the latter goes through the connector,
//! and is stored only after the channel took it: see [`channel`]. What is sent of a template: [`sending`]. What a channel lists is taken over
//! by [`synchronisation`].

mod channel;
mod exchanges;
mod samples;
mod sending;
mod synchronisation;

use std::sync::Arc;

use uuid::Uuid;

pub use self::sending::{TemplateSend, filled};
pub use self::synchronisation::{Asking, Synced, synchronise};
use crate::commands::Commands;
use crate::model::template::{Component, check_own};
use crate::model::{Quality, Template, TemplateCategory, TemplateFormat, TemplateStatus};
use crate::ports::{Batch, Change, TemplateChange, TemplateFilter};
use crate::{Error, Field, FieldProblem, Result, TenantIndex};

/// Maximum length of a search, in characters.
pub const MAX_SEARCH_CHARS: usize = 200;

/// A template with the public id of its connector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateView {
    /// The template.
    pub template: Arc<Template>,
    /// The public id of the connector whose channel keeps it.
    pub connector: Option<Uuid>,
}

/// Filters of a list of templates.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TemplateQuery {
    /// Only templates of this connector.
    pub connector: Option<Uuid>,
    /// All other filters; the connector of this one is not used.
    pub filter: TemplateFilter,
}

/// A page of templates.
pub struct TemplateViews {
    /// The templates, ordered by number.
    pub items: Vec<TemplateView>,
    /// Number of all matches.
    pub total: u64,
    /// The `after` of the next page, if there are more.
    pub next: Option<u32>,
}

/// A template to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateDraft {
    /// The connector whose channel shall keep it; `None`: a text of the tenant's own.
    pub connector: Option<Uuid>,
    /// Its name.
    pub name: String,
    /// Its language; required for a channel.
    pub language: Option<String>,
    /// What it is for.
    pub category: TemplateCategory,
    /// How its variables are named; by words if nobody says otherwise.
    pub format: TemplateFormat,
    /// What it consists of.
    pub components: Vec<Component>,
    /// What the tenant calls its numbered variables, see [`Template::variable_names`].
    pub variable_names: Vec<String>,
}

/// A change of a template. `None` leaves a field as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TemplatePatch {
    /// The new name; only of a text of the tenant's own.
    pub name: Option<String>,
    /// The new language, `Some(None)` for none; only of a text of the tenant's own.
    pub language: Option<Option<String>>,
    /// What it is for from now on.
    pub category: Option<TemplateCategory>,
    /// What it consists of from now on.
    pub components: Option<Vec<Component>>,
    /// What the tenant calls its numbered variables from now on; the channel is not asked about that.
    pub variable_names: Option<Vec<String>>,
}

impl Commands {
    /// A page of a tenant's templates.
    pub fn list_templates(
        &self,
        tenant: TenantIndex,
        query: &TemplateQuery,
        after: u32,
        limit: usize,
    ) -> Result<TemplateViews> {
        let connector = match query.connector {
            None => None,
            Some(id) => {
                let found = self.ports().store.connector_by_id(tenant, id)?;
                Some(found.ok_or_else(|| Error::not_found("Connector"))?.index)
            }
        };
        if query.filter.search.as_ref().is_some_and(|search| search.chars().count() > MAX_SEARCH_CHARS) {
            return Err(Error::invalid(Field::Search, format!("must have at most {MAX_SEARCH_CHARS} characters")));
        }
        let filter = TemplateFilter { connector, ..query.filter.clone() };
        let page = self.ports().store.templates(tenant, &filter, after, limit)?;
        let items = page.rows.into_iter().map(|template| self.template_view(template)).collect::<Result<_>>()?;
        Ok(TemplateViews { items, total: page.total, next: page.next })
    }

    /// A template by the tenant's number for it.
    pub fn template_by_number(&self, tenant: TenantIndex, number: u32) -> Result<Arc<Template>> {
        self.ports().store.template_by_number(tenant, number)?.ok_or_else(|| Error::not_found("Template"))
    }

    /// A template by its public id.
    pub fn template_by_id(&self, tenant: TenantIndex, id: Uuid) -> Result<Arc<Template>> {
        self.ports().store.template_by_id(tenant, id)?.ok_or_else(|| Error::not_found("Template"))
    }

    /// A template with the public id of its connector.
    pub fn get_template(&self, tenant: TenantIndex, id: Uuid) -> Result<TemplateView> {
        self.template_view(self.template_by_id(tenant, id)?)
    }

    /// Creates a template: at once if it is a text of the tenant's own, otherwise after the connector's channel took it. Where the channel
    /// may have taken it without saying so, it is found by the next [`Self::sync_templates`].
    pub async fn create_template(&self, tenant: TenantIndex, draft: TemplateDraft) -> Result<TemplateView> {
        let TemplateDraft { connector, name, language, category, format, components, variable_names } = draft;
        let now = self.now();
        let template = Template {
            number: 0,
            id: self.ports().entropy.uuid(),
            tenant,
            connector: None,
            name,
            language,
            category,
            format,
            status: TemplateStatus::Approved,
            quality: Quality::Unknown,
            reason: None,
            remote_id: None,
            components,
            variable_names,
            created_at: now,
            updated_at: now,
        };
        match connector {
            Some(connector) => self.create_at_channel(tenant, connector, template).await,
            None => {
                let name = template.name.trim().to_owned();
                let template = Template { name, format: TemplateFormat::Named, ..template };
                sound(check_own(&template.name, template.language.as_deref(), &template.components))?;
                sound(template.check_variable_names())?;
                self.put_template(template).await
            }
        }
    }

    /// Changes a template: at once if it is a text of the tenant's own, otherwise after the connector's channel took the change.
    pub async fn update_template(&self, tenant: TenantIndex, id: Uuid, patch: TemplatePatch) -> Result<TemplateView> {
        let old = self.template_by_id(tenant, id)?;
        if old.connector.is_some() {
            return self.update_at_channel(tenant, old, patch).await;
        }
        let TemplatePatch { name, language, category, components, variable_names } = patch;
        let next = Template {
            name: name.map_or_else(|| old.name.clone(), |name| name.trim().to_owned()),
            language: language.unwrap_or_else(|| old.language.clone()),
            category: category.unwrap_or(old.category),
            components: components.unwrap_or_else(|| old.components.clone()),
            variable_names: variable_names.unwrap_or_else(|| old.variable_names.clone()),
            ..(*old).clone()
        };
        sound(check_own(&next.name, next.language.as_deref(), &next.components))?;
        sound(next.check_variable_names())?;
        if next == *old {
            return self.template_view(old);
        }
        self.put_template(Template { updated_at: self.now(), ..next }).await
    }

    /// Deletes a template: at once if it is a text of the tenant's own, otherwise after the connector's channel deleted it.
    pub async fn delete_template(&self, tenant: TenantIndex, id: Uuid) -> Result<()> {
        let template = self.template_by_id(tenant, id)?;
        if template.connector.is_some() {
            self.delete_at_channel(tenant, &template).await?;
        }
        let change = TemplateChange::Delete(tenant, id);
        self.ports().store.commit(Batch::of(vec![Change::Template(Box::new(change))])).await?;
        Ok(())
    }

    async fn put_template(&self, template: Template) -> Result<TemplateView> {
        let (tenant, id) = (template.tenant, template.id);
        let change = Change::Template(Box::new(TemplateChange::Put(template)));
        self.ports().store.commit(Batch::of(vec![change])).await?;
        self.get_template(tenant, id)
    }

    fn template_view(&self, template: Arc<Template>) -> Result<TemplateView> {
        let connector = template.connector.map(|connector| self.connector_id(connector)).transpose()?;
        Ok(TemplateView { template, connector })
    }
}

/// Refuses what has problems.
fn sound(problems: Vec<FieldProblem>) -> Result<()> {
    if problems.is_empty() { Ok(()) } else { Err(Error::invalid_fields(problems)) }
}
