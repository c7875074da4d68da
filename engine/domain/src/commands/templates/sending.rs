//! What a message is made of when it is sent by a template, and how that looks.

use std::collections::BTreeMap;
use std::sync::Arc;

use uuid::Uuid;

use crate::commands::Commands;
use crate::model::Template;
use crate::model::template::{Filled, HeaderMedia, VariableProblem};
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

/// What a template becomes with these values; an error names each wrong variable.
pub fn filled(template: &Template, values: &BTreeMap<String, String>, header: Option<&HeaderMedia>) -> Result<Filled> {
    let problem = |VariableProblem { name, problem }: VariableProblem| match name.as_str() {
        "header" => FieldProblem::new(Field::Header, problem),
        _ => FieldProblem::new(Field::Variables.named(name), problem),
    };
    template.fill(values, header).map_err(|problems| Error::invalid_fields(problems.into_iter().map(problem).collect()))
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
        let filled = filled(&template, &send.values, send.header.as_ref())?;
        Ok((template, filled))
    }
}
