//! Shows what a template produces before anything is sent.

use serde_json::Value;

use crate::commands::Commands;
use crate::model::message::MAX_TEXT_BYTES;
use crate::ports::{Preview, RenderError, TemplateProblem};
use crate::{Error, ErrorCode, Field, FieldProblem, Result};

/// Maximum number of samples of one preview.
pub const MAX_SAMPLES: u32 = 50;
/// Maximum size of the variables, in bytes of JSON.
pub const MAX_VARIABLES_BYTES: usize = 64 * 1024;

/// The result of a preview.
#[derive(Debug, Clone, PartialEq)]
pub enum PreviewOutcome {
    /// What the template produces.
    Shown(Preview),
    /// The template cannot be rendered, and why.
    Problem(TemplateProblem),
}

impl Commands {
    /// Renders `samples` texts of a template, each with a different seed.
    pub async fn preview_template(&self, template: &str, variables: &Value, samples: u32) -> Result<PreviewOutcome> {
        let mut problems = Vec::new();
        if template.is_empty() {
            problems.push(FieldProblem::new(Field::Template, "must not be empty"));
        }
        if template.len() > MAX_TEXT_BYTES {
            problems.push(FieldProblem::new(Field::Template, format!("must be at most {} KB", MAX_TEXT_BYTES / 1024)));
        }
        if template.contains('\0') {
            problems.push(FieldProblem::new(Field::Template, "must not contain the NUL character"));
        }
        let variables_text = variables.to_string();
        if !variables.is_object() {
            problems.push(FieldProblem::new(Field::Variables, "must be a JSON object"));
        }
        if variables_text.len() > MAX_VARIABLES_BYTES {
            problems.push(FieldProblem::new(
                Field::Variables,
                format!("must be at most {} KB of JSON", MAX_VARIABLES_BYTES / 1024),
            ));
        }
        if !(1..=MAX_SAMPLES).contains(&samples) {
            problems.push(FieldProblem::new(Field::Samples, format!("must be 1 to {MAX_SAMPLES}")));
        }
        if !problems.is_empty() {
            return Err(Error::invalid_fields(problems));
        }
        match self.ports().renderer.preview(template, &variables_text, samples).await {
            Ok(preview) => Ok(PreviewOutcome::Shown(preview)),
            Err(RenderError::Template(problem)) => Ok(PreviewOutcome::Problem(problem)),
            Err(RenderError::Unavailable(_)) => Err(Error {
                retry_after_ms: Some(1_000),
                ..Error::new(ErrorCode::Unavailable, "the renderer is not available at the moment; try again")
            }),
        }
    }
}
