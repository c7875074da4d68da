//! A renderer with one rule.

use std::collections::BTreeMap;

use async_trait::async_trait;
use parking_lot::Mutex;
use pombo_domain::ports::{Preview, RenderError, RenderJob, Renderer, TemplateProblem};
use serde_json::Value;

/// Replaces `{{ name }}` with that variable, and `{{ * }}` with all variables as JSON. A name that is not among the
/// variables, and a tag that is not closed, are template errors at their place.
#[derive(Default)]
pub struct BraceRenderer {
    /// How many of the next renderings fail as a whole.
    pub unavailable: Mutex<usize>,
    /// The seeds of what was rendered, in order.
    pub seeds: Mutex<Vec<u64>>,
}

#[async_trait]
impl Renderer for BraceRenderer {
    async fn render(&self, jobs: Vec<RenderJob>) -> Vec<Result<String, RenderError>> {
        tokio::task::yield_now().await;
        let mut unavailable = self.unavailable.lock();
        if *unavailable > 0 {
            *unavailable -= 1;
            return jobs.iter().map(|_| Err(RenderError::Unavailable("restarting".to_owned()))).collect();
        }
        self.seeds.lock().extend(jobs.iter().map(|job| job.seed));
        jobs.iter().map(|job| filled(&job.template, &job.variables)).collect()
    }
    async fn preview(&self, template: &str, variables: &str, samples: u32) -> Result<Preview, RenderError> {
        let text = filled(template, variables)?;
        let samples = vec![text; samples as usize];
        Ok(Preview { samples, distinct_texts: 1, collision_probability: 1.0, variables: Vec::new() })
    }
}

fn problem(template: &str, at: usize, message: String) -> RenderError {
    let before = &template[..at];
    let line = before.matches('\n').count() as u32 + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() as u32 + 1;
    RenderError::Template(TemplateProblem { message, line, column })
}

fn filled(template: &str, variables: &str) -> Result<String, RenderError> {
    let by_name: BTreeMap<String, Value> = serde_json::from_str(variables).unwrap_or_default();
    let mut out = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        let at = template.len() - rest.len() + before.len();
        out.push_str(before);
        let Some((name, after)) = after.split_once("}}") else {
            return Err(problem(template, at, "the tag is not closed".to_owned()));
        };
        match name.trim() {
            "*" => out.push_str(variables),
            name => match by_name.get(name) {
                Some(Value::String(text)) => out.push_str(text),
                Some(other) => out.push_str(&other.to_string()),
                None => return Err(problem(template, at, format!("the variable {name:?} is not defined"))),
            },
        }
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}
