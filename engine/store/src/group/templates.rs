//! What a group does to templates and labels.

use pombo_domain::TenantIndex;
use pombo_domain::model::label::MAX_LABELS_OF_TENANT;
use pombo_domain::model::template::{MAX_TEMPLATES_OF_TENANT, with_known_samples};
use pombo_domain::model::{Label, LabelKind, Template, TemplateStatus};
use pombo_domain::ports::{
    Conflict, LabelChange, StoreError, StoreResult, TemplateChange, TemplateListed, TemplateNews,
};
use uuid::Uuid;

use super::Group;
use super::automations::gone;
use crate::keys;
use crate::space::Space;
use crate::tables::numbers::{self, Series};
use crate::tables::tags::folded;
use crate::tables::{labels, templates};

impl Group<'_> {
    pub(super) fn template(&mut self, change: TemplateChange) -> StoreResult<()> {
        match change {
            TemplateChange::Put(template) => self.put_template(template),
            TemplateChange::Told(news) => self.told_of_template(news),
            TemplateChange::Found(template) => {
                let named = self.staged.get(Space::Documents, &templates::name_of(&template))?;
                if named.is_some() { Ok(()) } else { self.put_template(template) }
            }
            TemplateChange::Listed(listed) => self.template_listed(listed),
            TemplateChange::Delete(tenant, id) => {
                let template = self.template_by_id(tenant, id)?.ok_or_else(gone)?;
                templates::delete(&mut self.staged, &template);
                let count = templates::count(&self.staged, tenant)?;
                templates::set_count(&mut self.staged, tenant, count.saturating_sub(1));
                Ok(())
            }
        }
    }

    fn put_template(&mut self, mut template: Template) -> StoreResult<()> {
        let tenant = template.tenant;
        let old = match template.number {
            0 => None,
            number => {
                Some(self.template_numbered(tenant, number)?.filter(|old| old.id == template.id).ok_or_else(gone)?)
            }
        };
        let named = self.staged.get(Space::Documents, &templates::name_of(&template))?;
        if let Some(row) = named
            && templates::parse_number(&row)? != template.number
        {
            return Err(StoreError::Conflict(Conflict::TemplateName));
        }
        if old.is_none() {
            let count = templates::count(&self.staged, tenant)?;
            if count as usize >= MAX_TEMPLATES_OF_TENANT {
                return Err(StoreError::Conflict(Conflict::TooManyTemplates));
            }
            templates::set_count(&mut self.staged, tenant, count + 1);
            // The series ends where the type does.
            template.number = numbers::next(&mut self.staged, tenant, Series::Templates)? as u32;
        }
        templates::put(&mut self.staged, &template, old.as_ref());
        Ok(())
    }

    fn told_of_template(&mut self, news: TemplateNews) -> StoreResult<()> {
        let TemplateNews { connector, tenant, name, language, remote_id, status, quality, category, reason } = news;
        let key = keys::template_name(tenant, Some(connector), &name, Some(&language));
        let Some(row) = self.staged.get(Space::Documents, &key)? else { return Ok(()) };
        let Some(old) = self.template_numbered(tenant, templates::parse_number(&row)?)? else { return Ok(()) };
        let next = Template {
            remote_id: remote_id.or_else(|| old.remote_id.clone()),
            status: status.unwrap_or(old.status),
            quality: quality.unwrap_or(old.quality),
            category: category.unwrap_or(old.category),
            reason: if status.is_some() { reason } else { reason.or_else(|| old.reason.clone()) },
            ..old.clone()
        };
        // A list that is being read must not undo what was told meanwhile, even if it told nothing new.
        let confirms = status.is_some() || quality.is_some() || category.is_some();
        if next != old || confirms {
            templates::put(&mut self.staged, &Template { updated_at: self.now, ..next }, Some(&old));
        }
        Ok(())
    }

    fn template_listed(&mut self, listed: TemplateListed) -> StoreResult<()> {
        let TemplateListed { before, remote } = listed;
        let old = self.template_numbered(before.tenant, before.number)?.filter(|old| old.id == before.id);
        let Some(old) = old else { return Ok(()) };
        let next = match remote {
            Some(remote) if old == *before => old.with_listed(remote),
            None if old == *before => Template { status: TemplateStatus::Deleted, ..old.clone() },
            // It was changed while the list was read, but not what it consists of.
            Some(remote) if old.components == before.components => Template {
                format: remote.format,
                remote_id: old.remote_id.clone().or(remote.id),
                components: with_known_samples(remote.components, &old.components),
                ..old.clone()
            },
            Some(_) | None => return Ok(()),
        };
        if next != old {
            templates::put(&mut self.staged, &Template { updated_at: self.now, ..next }, Some(&old));
        }
        Ok(())
    }

    fn template_numbered(&self, tenant: TenantIndex, number: u32) -> StoreResult<Option<Template>> {
        let row = self.staged.get(Space::Documents, &keys::template(tenant, number))?;
        row.map(|row| templates::parse(&row)).transpose()
    }

    fn template_by_id(&self, tenant: TenantIndex, id: Uuid) -> StoreResult<Option<Template>> {
        match self.staged.get(Space::Documents, &keys::template_id(tenant, id))? {
            Some(row) => self.template_numbered(tenant, templates::parse_number(&row)?),
            None => Ok(None),
        }
    }

    pub(super) fn label(&mut self, change: LabelChange) -> StoreResult<()> {
        match change {
            LabelChange::Put(mut label) => {
                let all = self.labels_of(label.tenant, label.kind)?;
                let name = folded(&label.name);
                if all.iter().any(|other| other.number != label.number && folded(&other.name) == name) {
                    return Err(StoreError::Conflict(Conflict::LabelName));
                }
                if label.number == 0 {
                    if all.len() >= MAX_LABELS_OF_TENANT {
                        return Err(StoreError::Conflict(Conflict::TooManyLabels));
                    }
                    // The series ends where the type does.
                    label.number = numbers::next(&mut self.staged, label.tenant, series(label.kind))? as u32;
                } else if !all.iter().any(|old| old.number == label.number && old.id == label.id) {
                    return Err(gone());
                }
                labels::put(&mut self.staged, &label);
                Ok(())
            }
            LabelChange::Delete(tenant, kind, id) => {
                let all = self.labels_of(tenant, kind)?;
                let label = all.iter().find(|label| label.id == id).ok_or_else(gone)?;
                labels::delete(&mut self.staged, label);
                Ok(())
            }
        }
    }

    fn labels_of(&self, tenant: TenantIndex, kind: LabelKind) -> StoreResult<Vec<Label>> {
        let rows = self.staged.prefix(Space::Documents, &keys::labels_of(tenant, kind))?;
        rows.iter().map(|(_, row)| labels::parse(row)).collect()
    }
}

/// The series of a kind's numbers.
fn series(kind: LabelKind) -> Series {
    match kind {
        LabelKind::Queue => Series::Queues,
        LabelKind::Status => Series::Statuses,
    }
}
