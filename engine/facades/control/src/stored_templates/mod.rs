//! Section Templates, stored ones: texts with variables that are sent again and again, one's own and those that a channel keeps.

mod wire;

use std::collections::BTreeMap;
use std::sync::Arc;

use poem::web::Data;
use poem_openapi::OpenApi;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use pombo_domain::commands::templates::{TemplateQuery, TemplateViews};
use pombo_domain::model::template::VariableProblem;
use pombo_domain::ports::TemplateFilter;
use serde_json::Value;
use uuid::Uuid;

use self::wire::{
    CreateTemplate, PreviewTemplate, SampleFile, SyncedTemplates, Template, TemplateCategory, TemplateList,
    TemplatePreview, TemplateStatus, UpdateTemplate, ValueProblem,
};
use crate::Section;
use crate::access::Acting;
use crate::wire::{
    BODY, CHANNEL, CONFLICT, Created, DEFAULT_LIMIT, Deleted, PathId, READ, Refused, WRITE, body, optional,
};
use pombo_api::json::{JsonBytes, OptionalJsonBytes};
use pombo_api::options::ApiState;

#[derive(Default)]
pub(crate) struct StoredTemplates;

impl pombo_api::Section for StoredTemplates {
    const FILE: &'static str = file!();
}

#[OpenApi(tag = "Section::Templates")]
impl StoredTemplates {
    /// List the templates
    #[expect(clippy::too_many_arguments, reason = "each filter is a parameter of the document")]
    #[oai(path = "/v1/templates", method = "get", operation_id = "list_templates")]
    async fn list_templates(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        /// Only templates of this connector.
        #[oai(name = "connectorId")]
        connector_id: Query<Option<Uuid>>,
        /// True: only texts of your own, which belong to no connector.
        own: Query<Option<bool>>,
        /// Only templates with this status.
        status: Query<Option<TemplateStatus>>,
        /// Only templates of this category.
        category: Query<Option<TemplateCategory>>,
        /// Only templates in this language.
        #[oai(validator(min_length = 1, max_length = 15))]
        language: Query<Option<String>>,
        /// Only templates with this name.
        #[oai(validator(min_length = 1, max_length = 512))]
        name: Query<Option<String>>,
        /// Only templates of which name and body together contain every word of this text; case and accents are ignored. At most 200
        /// characters.
        #[oai(validator(min_length = 1, max_length = 200))]
        search: Query<Option<String>>,
        /// Maximum number of rows, from 1 to 250; 50 if omitted.
        #[oai(validator(minimum(value = "1"), maximum(value = "250")))]
        limit: Query<Option<u32>>,
        /// The `next` of the previous page; the first page if omitted.
        after: Query<Option<u32>>,
    ) -> Result<Json<TemplateList>, Refused<READ>> {
        let filter = TemplateFilter {
            connector: None,
            own: own.0.unwrap_or(false),
            status: status.0.map(Into::into),
            category: category.0.map(Into::into),
            language: language.0,
            name: name.0,
            search: search.0,
        };
        let query = TemplateQuery { connector: connector_id.0, filter };
        let limit = limit.0.unwrap_or(DEFAULT_LIMIT) as usize;
        let page = state.commands.list_templates(acting.tenant, &query, after.0.unwrap_or(0), limit)?;
        let TemplateViews { items, total, next } = page;
        let data = items.into_iter().map(|view| Template::of(view, &state)).collect();
        Ok(Json(TemplateList { data, next, total }))
    }

    /// Create a template
    ///
    /// A text of your own is there at once. One of a connector is created at its channel first, if the plugin has the feature
    /// `templates`, and waits for the channel's approval. A header that is an image, video or document needs a sample: `exampleFile` with
    /// the `id` of an uploaded file, which the connector gives to the channel. After `unknown_outcome`, synchronise the connector's templates: the
    /// channel may have it.
    #[oai(path = "/v1/templates", method = "post", operation_id = "create_template")]
    async fn create_template(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        json: JsonBytes<CreateTemplate>,
    ) -> Result<Created<Template>, Refused<{ READ | BODY | CONFLICT | WRITE | CHANNEL }>> {
        let create: CreateTemplate = body(&json)?;
        let view = state.commands.create_template(acting.tenant, create.draft()?).await?;
        Ok(Created::Made(Json(Template::of(view, &state))))
    }

    /// Get a template
    #[oai(path = "/v1/templates/:id", method = "get", operation_id = "get_template")]
    async fn get_template(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        id: Path<PathId>,
    ) -> Result<Json<Template>, Refused<READ>> {
        let view = state.commands.get_template(acting.tenant, id.of("Template")?)?;
        Ok(Json(Template::of(view, &state)))
    }

    /// Change a template
    ///
    /// One of a connector is changed at its channel first, and waits for the channel's approval again. `variableNames` are not the channel's:
    /// to change them alone, it is not asked.
    #[oai(path = "/v1/templates/:id", method = "patch", operation_id = "update_template")]
    async fn update_template(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        id: Path<PathId>,
        json: JsonBytes<UpdateTemplate>,
    ) -> Result<Json<Template>, Refused<{ READ | BODY | CONFLICT | WRITE | CHANNEL }>> {
        let update: UpdateTemplate = body(&json)?;
        let view = state.commands.update_template(acting.tenant, id.of("Template")?, update.patch()?).await?;
        Ok(Json(Template::of(view, &state)))
    }

    /// Delete a template
    ///
    /// One of a connector is deleted at its channel first, in its language alone.
    #[oai(path = "/v1/templates/:id", method = "delete", operation_id = "delete_template")]
    async fn delete_template(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        id: Path<PathId>,
    ) -> Result<Deleted, Refused<{ READ | WRITE | CHANNEL }>> {
        state.commands.delete_template(acting.tenant, id.of("Template")?).await?;
        Ok(Deleted::Done)
    }

    /// Show a template as the recipient sees it
    #[oai(path = "/v1/templates/:id/preview", method = "post", operation_id = "preview_stored_template")]
    async fn preview_stored_template(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        id: Path<PathId>,
        json: OptionalJsonBytes<PreviewTemplate>,
    ) -> Result<Json<TemplatePreview>, Refused<{ READ | BODY }>> {
        let template = state.commands.template_by_id(acting.tenant, id.of("Template")?)?;
        let PreviewTemplate { variables } = optional(&json)?;
        let as_text = |value: Value| match value {
            Value::String(text) => text,
            other => other.to_string(),
        };
        let values: BTreeMap<String, String> =
            variables.into_iter().map(|(name, value)| (name, as_text(value))).collect();
        let problem = |VariableProblem { name, problem }: VariableProblem| ValueProblem { name, message: problem };
        let (text, problems) = state.commands.shown_template(&template, &values)?;
        let problems = problems.into_iter().map(problem).collect();
        let sample = template.sample().map(|file| SampleFile::of(&template, file, &state));
        Ok(Json(TemplatePreview { text, sample, problems }))
    }

    /// Synchronise the templates of a connector
    ///
    /// Asks the channel for all of them. Those that it does not have any more get the status `deleted`; each keeps its number. Only for
    /// connectors whose plugin has the feature `templates`.
    #[oai(path = "/v1/connectors/:id/templates/sync", method = "post", operation_id = "sync_templates")]
    async fn sync_templates(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        id: Path<PathId>,
    ) -> Result<Json<SyncedTemplates>, Refused<{ READ | WRITE | CHANNEL }>> {
        Ok(Json(state.commands.sync_templates(acting.tenant, id.of("Connector")?).await?.into()))
    }
}
