//! What a message is made of when it is sent by a template, and how that looks.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use uuid::Uuid;

use crate::commands::Commands;
use crate::model::template::{Filled, HeaderMedia, VariableProblem};
use crate::model::{Connector, Setting, Template};
use crate::{Error, Field, FieldProblem, Result, TenantIndex};

/// A template with values for its variables.
#[derive(Debug, Clone, PartialEq)]
pub struct TemplateSend {
    /// The template's public id.
    pub template: Uuid,
    /// Values of its variables, by their names.
    pub values: BTreeMap<String, String>,
    /// What its header shows, where that is not a text.
    pub header: Option<HeaderMedia>,
}

/// What a template becomes with these values, see [`Template::fill_for_send`]; an error names each wrong variable.
pub fn filled(
    template: &Template,
    values: &BTreeMap<String, String>,
    header: Option<&HeaderMedia>,
    cleans: bool,
) -> Result<Filled> {
    let problem = |VariableProblem { name, problem }: VariableProblem| match name.as_str() {
        "header" => FieldProblem::new(Field::Header, problem),
        _ => FieldProblem::new(Field::Variables.named(name), problem),
    };
    let filled = template.fill_for_send(values, header, cleans);
    filled.map_err(|problems| Error::invalid_fields(problems.into_iter().map(problem).collect()))
}

impl Commands {
    /// A template that can be sent through this connector now. [`crate::ErrorCode::Conflict`] where its status does not allow it.
    pub fn sendable_template(&self, tenant: TenantIndex, connector: Uuid, id: Uuid) -> Result<Arc<Template>> {
        let connector = self.live_connector(tenant, connector)?;
        let template = self.ports().store.template_by_id(tenant, id)?;
        let template = template.ok_or_else(|| {
            Error::unknown(Field::TemplateId, "no such template; use the id of one of your templates")
        })?;
        if template.connector.is_some_and(|of| of != connector.index) {
            let message =
                "this template belongs to another connector; use one of this connector, or a text of your own";
            return Err(Error::invalid(Field::TemplateId, message));
        }
        if !template.is_sendable() {
            let reason = template.reason.as_deref().map(|reason| format!(" ({reason})")).unwrap_or_default();
            let status = template.status;
            return Err(Error::conflict(format!("the template cannot be sent now: its status is {status}{reason}")));
        }
        Ok(template)
    }

    /// A template that can be sent through this connector now, with what it becomes with these values.
    pub fn fill_template(
        &self,
        tenant: TenantIndex,
        connector: Uuid,
        send: &TemplateSend,
    ) -> Result<(Arc<Template>, Filled)> {
        let template = self.sendable_template(tenant, connector, send.template)?;
        let live = self.live_connector(tenant, connector)?;
        let cleans = self.cleans_values(&live);
        let filled = filled(&template, &send.values, send.header.as_ref(), cleans)?;
        Ok((template, filled))
    }

    /// Whether values of templates' variables are cleaned for this connector, by what its plugin declares and its configuration says;
    /// otherwise those that need it are refused.
    pub fn cleans_values(&self, connector: &Connector) -> bool {
        let Some(plugin) = self.ports().connectors.plugin(&connector.plugin) else { return false };
        let Some(Setting { field, value }) = plugin.rules.and_then(|rules| rules.cleaned_values) else { return false };
        let config: Value = serde_json::from_str(&connector.config).unwrap_or_default();
        let default = || plugin.config_schema.get("properties")?.get(&field)?.get("default");
        let set = config.get(&field).filter(|set| !set.is_null()).or_else(default);
        set.and_then(Value::as_str) == Some(value.as_str())
    }

    /// What a template shows to a recipient with these values, and what is still wrong with them.
    pub fn shown_template(
        &self,
        template: &Template,
        values: &BTreeMap<String, String>,
    ) -> Result<(String, Vec<VariableProblem>)> {
        let connector = match template.connector {
            Some(index) => self.ports().store.connector(index)?,
            None => None,
        };
        let cleans = connector.is_some_and(|connector| self.cleans_values(&connector));
        let problems = template.fill_for_send(values, None, cleans).err().unwrap_or_default();
        let own = template.own_values(values, cleans).unwrap_or_else(|_| values.clone());
        Ok((template.preview(&own), problems))
    }
}
