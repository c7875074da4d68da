//! Batches of texts.

use std::collections::HashMap;
use std::sync::Arc;

use pombo_domain::ports::{RenderJob, TemplateProblem};

use crate::bindings::rendering as wit;

/// Jobs as the plugin gets them: each template once.
pub(crate) fn batch(jobs: &[RenderJob]) -> (Vec<String>, Vec<wit::Job>) {
    let mut templates: Vec<String> = Vec::new();
    let mut known: HashMap<&str, u32> = HashMap::with_capacity(8);
    // Messages of one campaign share their template's allocation: one comparison of pointers saves hashing the text.
    let mut last: Option<(&Arc<str>, u32)> = None;
    let jobs = jobs
        .iter()
        .map(|job| {
            let template = match last {
                Some((text, index)) if Arc::ptr_eq(text, &job.template) => index,
                _ => *known.entry(&job.template).or_insert_with(|| {
                    templates.push(job.template.to_string());
                    templates.len() as u32 - 1
                }),
            };
            last = Some((&job.template, template));
            wit::Job { template, seed: job.seed, variables: job.variables.to_string(), extra: Vec::new() }
        })
        .collect();
    (templates, jobs)
}

/// A template's problem in the domain's terms, with its message cut to its bound.
pub(crate) fn problem(problem: wit::Problem) -> TemplateProblem {
    TemplateProblem { message: crate::limits::cut(&problem.message, 500), line: problem.line, column: problem.column }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_template_goes_over_once() {
        let shared: Arc<str> = "a".into();
        let job = |template: &Arc<str>| RenderJob { template: template.clone(), seed: 1, variables: "{}".into() };
        let jobs = [job(&shared), job(&shared), job(&"b".into()), job(&"a".into()), job(&shared)];
        let (templates, jobs) = batch(&jobs);
        assert_eq!(templates, ["a", "b"]);
        assert_eq!(jobs.iter().map(|j| j.template).collect::<Vec<_>>(), [0, 0, 1, 0, 0]);
    }
}
