//! The renderer: turns a template and variables into a text. Behind it runs a sandboxed plugin.

use std::sync::Arc;

use async_trait::async_trait;

/// One text to render.
#[derive(Clone)]
pub struct RenderJob {
    /// minijinja and spintax together; see docs/templates.md.
    pub template: Arc<str>,
    /// Draws the spintax choices, see [`crate::ids::render_seed`].
    pub seed: u64,
    /// A JSON object as text.
    pub variables: Arc<str>,
}

/// What is wrong with a template or its variables, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateProblem {
    /// What is wrong; names an undefined variable.
    pub message: String,
    /// 1-based.
    pub line: u32,
    /// 1-based, in characters.
    pub column: u32,
}

/// Why a text was not rendered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// The template or its variables are wrong: trying again will not help.
    #[error("{} (line {}, column {})", .0.message, .0.line, .0.column)]
    Template(TemplateProblem),
    /// The plugin failed (trap, deadline, memory): may work again.
    #[error("the renderer is not available: {0}")]
    Unavailable(String),
}

/// What a preview shows.
#[derive(Debug, Clone, PartialEq)]
pub struct Preview {
    /// Rendered with different seeds.
    pub samples: Vec<String>,
    /// How many distinct texts the spintax can make for these variables; saturates.
    pub distinct_texts: u64,
    /// The probability that two recipients with the same variables get the same text, 0 to 1.
    pub collision_probability: f64,
    /// The variables that the template names.
    pub variables: Vec<String>,
}

/// The renderer port.
#[async_trait]
pub trait Renderer: Send + Sync + 'static {
    /// Renders a batch; the answers are in the order of the jobs.
    async fn render(&self, jobs: Vec<RenderJob>) -> Vec<Result<String, RenderError>>;
    /// Shows `samples` texts (at most 50) of a template.
    async fn preview(&self, template: &str, variables: &str, samples: u32) -> Result<Preview, RenderError>;
}
