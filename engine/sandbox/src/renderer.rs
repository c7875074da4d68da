//! The renderer port: batches rendered by pooled instances, one a core, which keep templates compiled between batches.

use std::sync::Arc;

use async_trait::async_trait;
use pombo_domain::ports::{Preview, RenderError, RenderJob, Renderer as RendererPort, TemplateProblem};
use wasmtime::Engine;

use crate::bindings::renderer::RendererPre;
use crate::instances::{CallError, Pool, bounded};
use crate::state::{HostState, Services};
use crate::worlds;

/// Texts in one call.
const CHUNK: usize = 128;
/// Calls after which an instance is replaced.
const USES: u32 = 20_000;
/// Samples that a preview shows at most.
const MAX_SAMPLES: u32 = 50;

/// The instances of the renderer plugin.
pub struct Renderers {
    pool: Pool<RendererPre<HostState>>,
    services: Arc<Services>,
}

impl Renderers {
    pub(crate) fn new(
        engine: &Engine,
        plugin: Arc<str>,
        pre: RendererPre<HostState>,
        services: Arc<Services>,
        instances: usize,
    ) -> Self {
        Self { pool: Pool::new(engine, plugin, pre, services.clone(), instances, USES), services }
    }

    /// One call. An instance that fails is dropped.
    async fn call(&self, jobs: &[RenderJob]) -> Result<Vec<Result<String, RenderError>>, CallError> {
        let mut lent = self.pool.take().await?;
        let (templates, wit) = worlds::renderer::batch(jobs);
        let call = lent.instance.call_render_batch(&mut lent.store, &templates, &wit);
        let results = bounded(&lent.watchdog, self.pool.limit(), call).await?;
        self.pool.put_back(lent);
        if results.len() != jobs.len() {
            return Err(CallError::Trap("it did not answer for each text".to_owned()));
        }
        Ok(results.into_iter().map(|r| r.map_err(|p| RenderError::Template(worlds::renderer::problem(p)))).collect())
    }
}

#[async_trait]
impl RendererPort for Renderers {
    async fn render(&self, jobs: Vec<RenderJob>) -> Vec<Result<String, RenderError>> {
        let mut results = Vec::with_capacity(jobs.len());
        // Parts still to be done, the next one last.
        let mut parts: Vec<&[RenderJob]> = jobs.chunks(CHUNK).rev().collect();
        while let Some(part) = parts.pop() {
            match self.call(part).await {
                Ok(texts) => results.extend(texts),
                // One template that fells the instance must not fail the others: halves, down to the one.
                Err(CallError::Trap(_) | CallError::CpuExceeded) if part.len() > 1 => {
                    let (first, second) = part.split_at(part.len() / 2);
                    parts.extend([second, first]);
                }
                Err(error @ (CallError::Trap(_) | CallError::CpuExceeded)) => {
                    let message = format!("this template cannot be rendered within the limits: {error}");
                    results.push(Err(RenderError::Template(TemplateProblem { message, line: 1, column: 1 })));
                }
                Err(error) => {
                    results.extend(part.iter().map(|_| Err(RenderError::Unavailable(error.to_string()))));
                }
            }
        }
        results
    }

    async fn preview(&self, template: &str, variables: &str, samples: u32) -> Result<Preview, RenderError> {
        let unavailable = |e: CallError| RenderError::Unavailable(e.to_string());
        let mut lent = self.pool.take().await.map_err(unavailable)?;
        let (limit, seed) = (self.pool.limit(), self.services.entropy.u64());
        let call = lent.instance.call_compile(&mut lent.store, template);
        let info = bounded(&lent.watchdog, limit, call).await.map_err(unavailable)?;
        let call =
            lent.instance.call_preview(&mut lent.store, template, variables, seed, samples.clamp(1, MAX_SAMPLES));
        let shown = bounded(&lent.watchdog, limit, call).await.map_err(unavailable)?;
        self.pool.put_back(lent);
        let problem = |p| RenderError::Template(worlds::renderer::problem(p));
        let (info, shown) = (info.map_err(problem)?, shown.map_err(problem)?);
        Ok(Preview {
            samples: shown.samples,
            distinct_texts: shown.distinct_texts,
            collision_probability: shown.collision.clamp(0.0, 1.0),
            variables: info.variables,
        })
    }
}
