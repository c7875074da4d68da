//! The renderer plugin: [minijinja](https://docs.rs/minijinja) and spintax in one template.
//!
//! ```text
//! {Olá|Oi|Tudo bem}, {{ nome }}! {% if vip %}Você tem {10|15} dias.{% endif %}
//! ```
//!
//! # Grammar
//! Read from left to right; the first rule that fits at a position is taken.
//!
//! | written | means |
//! |---|---|
//! | `\{` `\|` `\}` `\\` | that character itself; a backslash before anything else is a backslash |
//! | `{% … %}` `{# … #}` | minijinja's statements and comments, passed through; also all of `{% raw %} … {% endraw %}` |
//! | `{{ … }}` | minijinja's expression, when a `}}` follows before any lone `}` (outside of strings and brackets) |
//! | `{a\|b\|c}` | a choice; alternatives hold anything, choices included, and may be empty |
//! | `{text}` | no `\|` at its own level: literal, braces included; choices inside still count |
//! | anything else | itself; `\|` and `}` outside of a choice too |
//!
//! Where braces meet: of three or more `{` in a row the last two may open an expression and those before open choices, so
//! `{{{ nome }}|amigo}` is a choice between a name and a word; `{{a|b}|c}` is a choice in a choice, because a lone `}` comes
//! first; `{{a|b}}` is an expression with a filter. `{{` with neither a `}}` nor a `|` is an error, and so is a choice that is
//! never closed.
//!
//! A choice is drawn when it is reached: in a loop, once each time round. What a variable inserts is never read as a template.
//!
//! # Draws
//! SplitMix64 started with the job's seed; a choice among `n` takes the next 64-bit number `x` and picks
//! `floor(x · n / 2^64)`. So a retry with the same seed gives the same text, in this version and the next.
//!
//! # Files
//! `parse` reads the grammar into a tree; `count` says what a tree can give; `direct` renders trees of plain text, choices and
//! simple variables; `jinja` turns any tree into a minijinja template and maps its errors back; `cache` keeps them compiled.

mod cache;
mod choose;
mod count;
mod direct;
mod jinja;
mod parse;
mod variables;

use pombo_plugin::renderer::{Job, Preview, Problem, Renderer, TemplateInfo};

/// Templates allocate much and in small pieces: this allocator is faster at it than the target's own.
#[cfg(target_arch = "wasm32")]
#[global_allocator]
static ALLOCATOR: talc::wasm::WasmDynamicTalc = talc::wasm::new_wasm_dynamic_allocator();

/// The renderer of templates and spintax.
#[derive(Debug)]
pub struct Templates;

/// At most as many samples as an author reads.
const MAX_SAMPLES: u32 = 100;

impl Renderer for Templates {
    fn compile(template: &str) -> Result<TemplateInfo, Problem> {
        let compiled = cache::get(template)?;
        Ok(TemplateInfo { distinct_texts: compiled.figures().distinct, variables: compiled.variables()? })
    }

    fn render_batch(templates: &[String], jobs: &[Job]) -> Vec<Result<String, Problem>> {
        let compiled: Vec<_> = templates.iter().map(|t| cache::get(t)).collect();
        jobs.iter()
            .map(|job| match compiled.get(job.template as usize) {
                Some(Ok(template)) => {
                    template.render(job.seed, &job.variables, job.extra.iter().map(|v| (&*v.name, &*v.value)))
                }
                Some(Err(problem)) => Err(problem.clone()),
                None => Err(problem_at("", 0, format!("the batch has no template {}", job.template))),
            })
            .collect()
    }

    fn preview(template: &str, variables: &str, seed: u64, samples: u32) -> Result<Preview, Problem> {
        let compiled = cache::get(template)?;
        let mut seeds = choose::Draws::new(seed);
        let samples = (0..samples.min(MAX_SAMPLES))
            .map(|_| compiled.render(seeds.next(), variables, std::iter::empty()))
            .collect::<Result<_, _>>()?;
        let figures = compiled.figures();
        Ok(Preview { samples, distinct_texts: figures.distinct, collision: figures.collision })
    }
}

pombo_plugin::export_renderer!(Templates);

/// A problem at a byte offset of `source`, with the line and column (in characters) that belong to it.
fn problem_at(source: &str, offset: usize, message: impl Into<String>) -> Problem {
    let before = source.get(..offset).unwrap_or(source);
    let line_start = before.rfind('\n').map_or(0, |i| i + 1);
    Problem {
        message: message.into(),
        line: before.matches('\n').count() as u32 + 1,
        column: before[line_start..].chars().count() as u32 + 1,
        offset: before.len() as u32,
    }
}

#[cfg(test)]
mod tests;
