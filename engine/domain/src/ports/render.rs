//! The renderer: renders a template with variables into a text. The implementation is a sandboxed plugin.

use std::sync::Arc;

use async_trait::async_trait;

/// One text to render.
#[derive(Clone)]
pub struct RenderJob {
    /// The template, with minijinja and spintax; see docs/templates.md.
    pub template: Arc<str>,
    /// The seed of the spintax choices, see [`crate::ids::render_seed`].
    pub seed: u64,
    /// The variables, a JSON object as text.
    pub variables: Arc<str>,
}

/// A mistake in a template or its variables, and its position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateProblem {
    /// What is wrong; names an undefined variable.
    pub message: String,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
}

/// Why a text was not rendered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// The template or its variables are wrong: trying again does not help.
    #[error("{} (line {}, column {})", .0.message, .0.line, .0.column)]
    Template(TemplateProblem),
    /// The plugin failed (trap, deadline, memory): it may work again.
    #[error("the renderer is not available: {0}")]
    Unavailable(String),
}

/// What a template produces.
#[derive(Debug, Clone, PartialEq)]
pub struct Preview {
    /// Texts rendered with different seeds.
    pub samples: Vec<String>,
    /// Number of different texts that the spintax can produce with these variables; saturates.
    pub distinct_texts: u64,
    /// Probability that two recipients with the same variables get the same text, from 0 to 1.
    pub collision_probability: f64,
    /// Names of the variables that the template uses.
    pub variables: Vec<String>,
}

/// Renders templates.
#[async_trait]
pub trait Renderer: Send + Sync + 'static {
    /// Renders a batch; the results are in the order of the jobs.
    async fn render(&self, jobs: Vec<RenderJob>) -> Vec<Result<String, RenderError>>;
    /// Renders `samples` texts (at most 50) of a template.
    async fn preview(&self, template: &str, variables: &str, samples: u32) -> Result<Preview, RenderError>;
}
