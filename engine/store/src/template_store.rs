//! The [`TemplateStore`] port: templates and labels from their tables.

use std::sync::Arc;

use pombo_domain::model::{Label, LabelKind, Template};
use pombo_domain::ports::{StoreResult, TemplateFilter, TemplatePage, TemplateStore};
use pombo_domain::{ConnectorIndex, TenantIndex};
use uuid::Uuid;

use crate::DiskStore;
use crate::tables::tags::folded;
use crate::tables::{labels, templates};

impl TemplateStore for DiskStore {
    fn template_by_number(&self, tenant: TenantIndex, number: u32) -> StoreResult<Option<Arc<Template>>> {
        Ok(templates::by_number(&*self.shared.backend, tenant, number)?.map(Arc::new))
    }

    fn template_by_id(&self, tenant: TenantIndex, id: Uuid) -> StoreResult<Option<Arc<Template>>> {
        Ok(templates::by_id(&*self.shared.backend, tenant, id)?.map(Arc::new))
    }

    fn template_named(
        &self,
        tenant: TenantIndex,
        connector: Option<ConnectorIndex>,
        name: &str,
        language: Option<&str>,
    ) -> StoreResult<Option<Arc<Template>>> {
        Ok(templates::by_name(&*self.shared.backend, tenant, connector, name, language)?.map(Arc::new))
    }

    fn templates(
        &self,
        tenant: TenantIndex,
        filter: &TemplateFilter,
        after: u32,
        limit: usize,
    ) -> StoreResult<TemplatePage> {
        let wanted = Wanted::of(filter);
        let mut page = TemplatePage::default();
        let mut more = false;
        templates::all(&*self.shared.backend, tenant, |template| {
            if !wanted.matches(&template) {
                return;
            }
            page.total += 1;
            if template.number <= after {
                return;
            }
            if page.rows.len() < limit { page.rows.push(Arc::new(template)) } else { more = true }
        })?;
        page.next = page.rows.last().map(|last| last.number).filter(|_| more);
        Ok(page)
    }

    fn labels(&self, tenant: TenantIndex, kind: LabelKind) -> StoreResult<Vec<Arc<Label>>> {
        let labels = labels::all(&*self.shared.backend, tenant, kind)?;
        Ok(labels.into_iter().map(Arc::new).collect())
    }

    fn label_by_number(&self, tenant: TenantIndex, kind: LabelKind, number: u32) -> StoreResult<Option<Arc<Label>>> {
        Ok(labels::by_number(&*self.shared.backend, tenant, kind, number)?.map(Arc::new))
    }

    fn label_by_id(&self, tenant: TenantIndex, kind: LabelKind, id: Uuid) -> StoreResult<Option<Arc<Label>>> {
        let labels = labels::all(&*self.shared.backend, tenant, kind)?;
        Ok(labels.into_iter().find(|label| label.id == id).map(Arc::new))
    }
}

/// A filter, prepared to be asked of many templates.
struct Wanted<'f> {
    filter: &'f TemplateFilter,
    words: Vec<String>,
}

impl<'f> Wanted<'f> {
    fn of(filter: &'f TemplateFilter) -> Self {
        let words = folded(filter.search.as_deref().unwrap_or_default());
        Self { filter, words: words.split_whitespace().map(str::to_owned).collect() }
    }

    fn matches(&self, template: &Template) -> bool {
        let filter = self.filter;
        filter.connector.is_none_or(|connector| template.connector == Some(connector))
            && !(filter.own && template.connector.is_some())
            && filter.status.is_none_or(|status| template.status == status)
            && filter.category.is_none_or(|category| template.category == category)
            && filter.language.as_ref().is_none_or(|language| template.language.as_ref() == Some(language))
            && filter.name.as_ref().is_none_or(|name| template.name == *name)
            && (self.words.is_empty() || {
                let text = folded(&format!("{} {}", template.name, template.body().unwrap_or_default()));
                self.words.iter().all(|word| text.contains(word.as_str()))
            })
    }
}
