//! The renderer port: batches rendered by pooled instances, one a core, which keep templates compiled between batches.

use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use pombo_domain::ports::{Preview, RenderError, RenderJob, Renderer as RendererPort, TemplateProblem};
use tokio::sync::Semaphore;
use wasmtime::Engine;

use crate::bindings::renderer::{Renderer, RendererPre};
use crate::instances::{CallError, Slot, bounded, made};
use crate::state::{HostState, Services, store};
use crate::worlds;

/// Texts in one call.
const CHUNK: usize = 128;
/// Calls after which an instance is replaced, so that nothing it keeps grows for ever.
const USES: u32 = 20_000;
/// Samples that a preview shows at most.
const MAX_SAMPLES: u32 = 50;

/// The instances of the renderer plugin.
pub struct Renderers {
    engine: Engine,
    plugin: Arc<str>,
    pre: RendererPre<HostState>,
    services: Arc<Services>,
    idle: Mutex<Vec<Slot<Renderer>>>,
    permits: Semaphore,
}

impl Renderers {
    pub(crate) fn new(
        engine: &Engine,
        plugin: Arc<str>,
        pre: RendererPre<HostState>,
        services: Arc<Services>,
        instances: usize,
    ) -> Self {
        let (idle, permits) = (Mutex::new(Vec::new()), Semaphore::new(instances));
        Self { engine: engine.clone(), plugin, pre, services, idle, permits }
    }

    async fn slot(&self) -> Result<Slot<Renderer>, CallError> {
        if let Some(slot) = self.idle.lock().pop() {
            return Ok(slot);
        }
        let (mut store, pulse) = store(&self.engine, self.plugin.clone(), &self.services, None);
        let limit = self.services.limits.host_call;
        let instance = made(&pulse, limit, self.pre.instantiate_async(&mut store)).await?;
        Ok(Slot { store, instance, pulse, uses: 0 })
    }

    fn put_back(&self, mut slot: Slot<Renderer>) {
        slot.uses += 1;
        if slot.uses < USES {
            self.idle.lock().push(slot);
        }
    }

    /// One call. An instance that fails is dropped.
    async fn call(&self, jobs: &[RenderJob]) -> Result<Vec<Result<String, RenderError>>, CallError> {
        // Never closed.
        let Ok(_permit) = self.permits.acquire().await else { return Err(CallError::TimedOut) };
        let (templates, wit) = worlds::renderer::batch(jobs);
        let mut slot = self.slot().await?;
        let call = slot.instance.call_render_batch(&mut slot.store, &templates, &wit);
        let results = bounded(&slot.pulse, self.services.limits.host_call, call).await?;
        self.put_back(slot);
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
                Err(CallError::Trap(_) | CallError::Starved) if part.len() > 1 => {
                    let (first, second) = part.split_at(part.len() / 2);
                    parts.extend([second, first]);
                }
                Err(error @ (CallError::Trap(_) | CallError::Starved)) => {
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
        // Never closed.
        let Ok(_permit) = self.permits.acquire().await else { return Err(unavailable(CallError::TimedOut)) };
        let mut slot = self.slot().await.map_err(unavailable)?;
        let (limit, seed) = (self.services.limits.host_call, self.services.entropy.u64());
        let call = slot.instance.call_compile(&mut slot.store, template);
        let info = bounded(&slot.pulse, limit, call).await.map_err(unavailable)?;
        let call =
            slot.instance.call_preview(&mut slot.store, template, variables, seed, samples.clamp(1, MAX_SAMPLES));
        let shown = bounded(&slot.pulse, limit, call).await.map_err(unavailable)?;
        self.put_back(slot);
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
