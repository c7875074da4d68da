//! Templates that the channel of a connector keeps: asked for, created, changed and deleted through the connector. What is stored follows
//! what the channel said.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::exchanges::{other, own};
use super::synchronisation::{Asking, Synced, synchronise};
use super::{TemplatePatch, TemplateView, sound};
use crate::commands::connectors::offering::{Offering, unexpected};
use crate::commands::{Commands, Ports};
use crate::model::template::{Component, FEATURE, channel_json, check_for_channel, samples_of};
use crate::model::{Attachment, Template, TemplateCategory, TemplateStatus};
use crate::ports::{Conflict, OperationError, StoreError};
use crate::{Error, ErrorCode, Field, FieldProblem, Result, TenantIndex};

impl Commands {
    /// Asks the channel of a connector for all its templates, see [`synchronise`].
    pub async fn sync_templates(&self, tenant: TenantIndex, connector: Uuid) -> Result<Synced> {
        let offering = self.offering(tenant, connector)?;
        offering.must(FEATURE)?;
        let Ports { store, connectors, entropy, clock, .. } = self.ports();
        let asking = Asking { store: &**store, connectors: &**connectors, entropy: &**entropy, clock: &**clock };
        synchronise(asking, &offering.connector).await
    }

    pub(super) async fn create_at_channel(
        &self,
        tenant: TenantIndex,
        connector: Uuid,
        template: Template,
    ) -> Result<TemplateView> {
        self.connector_named(tenant, connector)?;
        let offering = self.offering(tenant, connector)?;
        offering.must(FEATURE)?;
        let components = self.with_samples(tenant, template.components).await?;
        let template = Template { components, ..template };
        let Template { name, language, category, format, components, .. } = &template;
        sound(check_for_channel(name, language.as_deref(), *category, *format, components))?;
        sound(template.check_variable_names())?;
        let index = Some(offering.connector.index);
        let store = &self.ports().store;
        let known = store.template_named(tenant, index, name, language.as_deref())?;
        if known.is_some_and(|known| known.status != TemplateStatus::Deleted) {
            return Err(StoreError::Conflict(Conflict::TemplateName).into());
        }
        let asked = json!({
            "name": name,
            "language": language,
            "category": category.as_str(),
            "format": format.as_str(),
            "components": channel_json(components),
        });
        let (asked, files) = (own("create-template", &asked), files_of(components));
        let answer = self.operate_with_files(&offering, FEATURE, asked, files).await?;
        let answer: Value = serde_json::from_str(&other(answer)?).map_err(|_| unexpected())?;
        let template = Template {
            connector: index,
            remote_id: answer.get("id").and_then(Value::as_str).map(str::to_owned),
            status: status_of(&answer).unwrap_or(TemplateStatus::Pending),
            category: category_of(&answer).unwrap_or(template.category),
            ..template
        };
        // One that was deleted, or one that a synchronisation found meanwhile, keeps its number.
        let known = store.template_named(tenant, index, &template.name, template.language.as_deref())?;
        let template = match known {
            Some(known) => Template { number: known.number, id: known.id, created_at: known.created_at, ..template },
            None => template,
        };
        self.put_template(template).await
    }

    pub(super) async fn update_at_channel(
        &self,
        tenant: TenantIndex,
        old: Arc<Template>,
        patch: TemplatePatch,
    ) -> Result<TemplateView> {
        let TemplatePatch { name, language, category, components, variable_names } = patch;
        let mut problems = Vec::new();
        if name.is_some_and(|name| name != old.name) {
            problems.push(FieldProblem::new(Field::Name, "cannot be changed: create another template"));
        }
        if language.is_some_and(|language| language != old.language) {
            problems.push(FieldProblem::new(Field::Language, "cannot be changed: create another template"));
        }
        sound(problems)?;
        let components = match components {
            Some(components) => self.with_samples(tenant, components).await?,
            None => old.components.clone(),
        };
        let renamed =
            Template { variable_names: variable_names.unwrap_or_else(|| old.variable_names.clone()), ..(*old).clone() };
        let next = Template { category: category.unwrap_or(old.category), components, ..renamed.clone() };
        if next == *old {
            return self.template_view(old);
        }
        sound(next.check_variable_names())?;
        if next == renamed {
            // The names are the tenant's alone.
            return self.put_template(Template { updated_at: self.now(), ..next }).await;
        }
        let Template { name, language, category, format, components, .. } = &next;
        sound(check_for_channel(name, language.as_deref(), *category, *format, components))?;
        let offering = self.keeper_of(tenant, &old)?;
        let may_change = [TemplateStatus::Approved, TemplateStatus::Rejected, TemplateStatus::Paused];
        if !may_change.contains(&old.status) {
            let status = old.status;
            return Err(Error::conflict(format!("the template cannot be changed now: its status is {status}")));
        }
        let Some(remote) = &old.remote_id else {
            return Err(Error::conflict(
                "the channel's id of this template is not known; synchronise the templates first",
            ));
        };
        let mut asked = Map::new();
        asked.insert("id".to_owned(), json!(remote));
        if *category != old.category {
            asked.insert("category".to_owned(), json!(category.as_str()));
        }
        asked.insert("components".to_owned(), channel_json(components));
        let (asked, files) = (own("edit-template", &Value::Object(asked)), files_of(components));
        let answer = self.operate_with_files(&offering, FEATURE, asked, files).await?;
        let answer: Value = serde_json::from_str(&other(answer)?).map_err(|_| unexpected())?;
        let status = status_of(&answer).unwrap_or(TemplateStatus::Pending);
        let category = category_of(&answer).unwrap_or(next.category);
        self.put_template(Template { status, category, reason: None, updated_at: self.now(), ..next }).await
    }

    /// Deletes a template, in its language alone, at the channel. One that is not there, or whose connector is not, counts as deleted.
    pub(super) async fn delete_at_channel(&self, tenant: TenantIndex, template: &Template) -> Result<()> {
        let is_gone = template.status == TemplateStatus::Deleted;
        let offering = match self.keeper_of(tenant, template) {
            Ok(offering) => offering,
            Err(error) if error.code == ErrorCode::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        let Some(remote) = template.remote_id.as_ref().filter(|_| !is_gone) else {
            if is_gone {
                return Ok(());
            }
            return Err(Error::conflict(
                "the channel's id of this template is not known; synchronise the templates first",
            ));
        };
        offering.must(FEATURE)?;
        let asked = own("delete-template", &json!({"id": remote, "name": template.name}));
        match self.ports().connectors.operate(offering.connector.index, asked).await {
            Ok(_) | Err(OperationError::NotFound(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// The connector whose channel keeps a template.
    fn keeper_of(&self, tenant: TenantIndex, template: &Template) -> Result<Offering> {
        let Some(index) = template.connector else { return Err(Error::not_found("Connector")) };
        let id = self.connector_id(index)?;
        self.offering(tenant, id)
    }
}

/// The files that an operation with these components names.
fn files_of(components: &[Component]) -> Vec<Attachment> {
    samples_of(components).into_iter().cloned().collect()
}

fn status_of(answer: &Value) -> Option<TemplateStatus> {
    TemplateStatus::parse(answer.get("status")?.as_str()?)
}

fn category_of(answer: &Value) -> Option<TemplateCategory> {
    TemplateCategory::parse(answer.get("category")?.as_str()?)
}
