//! Section Templates: trying out a template before anything is sent.

use std::collections::BTreeMap;
use std::sync::Arc;

use poem::web::Data;
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Object, OpenApi};
use pombo_domain::commands::messages::preview::PreviewOutcome;
use pombo_domain::ports::{Preview, TemplateProblem};
use pombo_domain::{Error, Field};
use serde::Deserialize;
use serde_json::Value;

use crate::Section;
use crate::access::Acting;
use crate::wire::{BODY, READ, Refused, WRITE, body};
use pombo_api::error::Failure;
use pombo_api::json::JsonBytes;
use pombo_api::options::ApiState;

#[derive(Default)]
pub(crate) struct Templates;

impl pombo_api::Section for Templates {
    const FILE: &'static str = file!();
}

/// A template to try out.
#[derive(Object, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub(crate) struct RenderPreview {
    /// Text of at most 64 KB with choices such as `{Olá|Oi}` and variables such as `{{ nome }}`.
    #[oai(validator(min_length = 1, max_length = 65536, pattern = "^[^\\x00]*$"))]
    template: String,
    /// Values of the variables, at most 64 KB of JSON.
    #[oai(default)]
    #[serde(default)]
    variables: BTreeMap<String, Value>,
    /// Number of sample texts, from 1 to 50.
    #[oai(default = "default_samples", validator(minimum(value = "1"), maximum(value = "50")))]
    #[serde(default = "default_samples")]
    samples: u32,
}

fn default_samples() -> u32 {
    5
}

/// What a template produces.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
pub(crate) struct Rendered {
    /// Sample texts, each with different choices.
    samples: Vec<String>,
    /// Number of different texts that the choices can produce; at most 2^53.
    distinct_texts: u64,
    /// Probability that two recipients with the same variables get the same text, from 0 to 1.
    collision_probability: f64,
    /// Names of the variables that the template uses.
    variables: Vec<String>,
}

/// The largest number that every JSON reader keeps exactly.
const MAX_EXACT: u64 = 1 << 53;

impl From<Preview> for Rendered {
    fn from(preview: Preview) -> Self {
        Self {
            samples: preview.samples,
            distinct_texts: preview.distinct_texts.min(MAX_EXACT),
            collision_probability: preview.collision_probability,
            variables: preview.variables,
        }
    }
}

/// The answer to a preview.
#[derive(ApiResponse)]
pub(crate) enum PreviewAnswer {
    /// What the template produces.
    #[oai(status = 200)]
    Shown(Json<Rendered>),
}

fn wrong(problem: TemplateProblem) -> Failure {
    let TemplateProblem { message, line, column } = problem;
    let mut failure = Failure::from(Error::invalid(Field::Template, message));
    failure.position = Some((line, column));
    failure
}

#[OpenApi(tag = "Section::Templates")]
impl Templates {
    /// Show what a template produces
    #[oai(path = "/v1/render/preview", method = "post", operation_id = "preview_template")]
    async fn preview_template(
        &self,
        state: Data<&Arc<ApiState>>,
        _acting: Acting,
        json: JsonBytes<RenderPreview>,
    ) -> Result<PreviewAnswer, Refused<{ READ | BODY | WRITE }>> {
        let RenderPreview { template, variables, samples } = body(&json)?;
        let variables = Value::Object(variables.into_iter().collect());
        match state.commands.preview_template(&template, &variables, samples).await? {
            PreviewOutcome::Shown(preview) => Ok(PreviewAnswer::Shown(Json(preview.into()))),
            PreviewOutcome::Problem(problem) => Err(wrong(problem).into()),
        }
    }
}
