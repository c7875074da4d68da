//! One call: a fresh instance, the event in, the answer out, within what was granted.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pombo_domain::ports::{Action, AutomationCall, AutomationDescription, CallFailure, CallResult, Outcome};
use wasmtime::{Engine, PoolConcurrencyLimitError};

use super::fairness::Fairness;
use super::slices::{Exhausted, Meter, Slices};
use super::state::{CallState, Caller, Making, store};
use crate::bindings::automation::AutomationPre;
use crate::bindings::automation::pombo::automation::types as wit;
use crate::limits::cut;
use crate::state::Services;
use crate::telemetry::{Ended, MetricLabels};
use crate::worlds::automation as world;

/// Bytes of the error message that a guest gives.
const SAID_BYTES: usize = 2000;

/// Processor time and time that an automation has to describe itself.
const DESCRIBE_CPU: Duration = Duration::from_secs(2);
const DESCRIBE_TIME: Duration = Duration::from_secs(10);

/// An automation plugin, ready to be instantiated.
pub(crate) struct Callable {
    pub(crate) pre: AutomationPre<CallState>,
    pub(crate) description: AutomationDescription,
}

/// What calls need of the engine.
pub(crate) struct Calls {
    pub(crate) engine: Engine,
    pub(crate) services: Arc<Services>,
    pub(crate) fairness: Fairness,
    pub(crate) slices: Slices,
}

fn not_called(why: impl Into<String>) -> CallResult {
    let failure = CallFailure::NotCalled(why.into());
    CallResult { outcome: Err(failure), inputs: Vec::new(), cpu: Duration::ZERO, memory: 0 }
}

/// Why a guest ended, from the error of its call.
fn failure(state: &mut CallState, error: &wasmtime::Error) -> CallFailure {
    if let Some(failure) = state.failure.take() {
        return failure;
    }
    if error.is::<PoolConcurrencyLimitError>() {
        return CallFailure::NotCalled("the engine has no room for an instance".to_owned());
    }
    if state.out_of_memory() {
        return CallFailure::Memory;
    }
    let mut why = cut(&error.root_cause().to_string(), 300);
    if let Some(words) = state.last_words() {
        // Where an interpreter says what went wrong; its last line is the error itself.
        for line in words.lines().rev().take(20).collect::<Vec<_>>().into_iter().rev() {
            state.line("error", line);
        }
        if let Some(last) = words.lines().rev().find(|line| !line.trim().is_empty()) {
            why = cut(last.trim(), 300);
        }
    }
    CallFailure::Trap(why)
}

impl Calls {
    /// Asks a plugin to describe itself.
    pub(crate) async fn describe(
        &self,
        pre: &AutomationPre<CallState>,
        digest: &str,
    ) -> Result<wit::Description, CallFailure> {
        let meter = Arc::new(Meter::default());
        let labels = MetricLabels { plugin: "".into(), digest: digest.into(), tenant: None, instance: None };
        let mut store = store(Making {
            engine: &self.engine,
            services: &self.services,
            labels: Arc::new(labels),
            caller: Caller::Describing,
            memory: self.services.limits.automations.memory_bytes,
            meter: meter.clone(),
        });
        let pre = pre.clone();
        let asking = async move {
            let said = tokio::time::timeout(DESCRIBE_TIME, async {
                let instance = pre.instantiate_async(&mut store).await?;
                instance.call_describe(&mut store).await
            });
            match said.await {
                Ok(Ok(said)) => Ok(said),
                Ok(Err(trap)) => Err(failure(store.data_mut(), &trap)),
                Err(_) => Err(CallFailure::TimedOut),
            }
        };
        self.slices.run(meter, DESCRIBE_CPU, asking).await.unwrap_or(Err(CallFailure::Processor))
    }

    /// Calls an automation, when it is its tenant's turn.
    pub(crate) async fn call(&self, plugin: &Arc<Callable>, call: AutomationCall) -> CallResult {
        let limits = &self.services.limits.automations;
        let deadline = Instant::now() + limits.call;
        let Ok(place) = tokio::time::timeout(limits.call, self.fairness.enter(call.tenant)).await else {
            return not_called("too many of the tenant's automations are at work");
        };
        let labels = Arc::new(MetricLabels {
            plugin: call.plugin.clone(),
            digest: call.digest.clone(),
            tenant: Some(call.tenant),
            instance: Some(call.id),
        });
        let grants = &call.grants;
        let cpu = match grants.cpu_ms {
            0 => limits.cpu,
            ms => Duration::from_millis(ms.into()).min(limits.cpu_most),
        };
        let memory = match grants.memory_bytes {
            0 => limits.memory_bytes,
            bytes => bytes.min(limits.memory_most),
        };
        let meter = Arc::new(Meter::default());
        let call = Arc::new(call);
        let store = store(Making {
            engine: &self.engine,
            services: &self.services,
            labels: labels.clone(),
            caller: Caller::Automation(call.clone(), place.tenant.clone()),
            memory,
            meter: meter.clone(),
        });
        let begun = Instant::now();
        let guest = {
            let (plugin, call) = (plugin.clone(), call.clone());
            async move {
                let mut store = store;
                let left = deadline.saturating_duration_since(Instant::now());
                let answer = tokio::time::timeout(left, async {
                    let instance = plugin.pre.instantiate_async(&mut store).await?;
                    instance.call_handle(&mut store, &world::event(&call), call.state.as_deref()).await
                });
                let answer = answer.await;
                let state = store.data_mut();
                let outcome = match answer {
                    Ok(Ok(Ok(outcome))) => Ok(outcome),
                    Ok(Ok(Err(said))) => Err(CallFailure::Said(cut(&said, SAID_BYTES))),
                    Ok(Err(trap)) => Err(failure(state, &trap)),
                    Err(_) => Err(CallFailure::TimedOut),
                };
                (outcome, std::mem::take(&mut state.inputs))
            }
        };
        let (answer, inputs) = match self.slices.run(meter.clone(), cpu, guest).await {
            Ok((answer, inputs)) => (answer, inputs),
            Err(Exhausted) => (Err(CallFailure::Processor), Vec::new()),
        };
        let (duration, spent) = (begun.elapsed(), meter.cpu());
        place.used(spent);
        let outcome = match answer {
            Ok(said) => self.accepted(plugin, &call, said).await,
            Err(failure) => Err(failure),
        };
        // A replay does not count as a use of the plugin.
        if call.replay.is_none() {
            let ended = match &outcome {
                Ok(_) => Some(Ended::Well),
                Err(CallFailure::NotCalled(_)) => None,
                Err(failure) if failure.is_trap() => Some(Ended::Trapped(failure.code().as_str())),
                Err(failure) => Some(Ended::Failed(failure.code().as_str())),
            };
            if let Some(ended) = ended {
                self.services.telemetry.ended(&labels, ended, duration, spent, meter.memory());
            }
        }
        CallResult { outcome, inputs, cpu: spent, memory: meter.memory() }
    }

    /// The answer, if it can be carried out.
    async fn accepted(
        &self,
        plugin: &Callable,
        call: &AutomationCall,
        said: wit::Outcome,
    ) -> Result<Outcome, CallFailure> {
        let outcome = world::outcome(said, plugin.description.observer).map_err(CallFailure::Unfit)?;
        let added = outcome.actions.iter().filter_map(|action| match action {
            Action::WriteKv(key, Some(value)) => Some((key.len() + value.len()) as u64),
            _ => None,
        });
        let (added, most) = (added.sum::<u64>(), call.grants.kv_bytes);
        if added == 0 || call.replay.is_some() {
            return Ok(outcome);
        }
        if most == 0 {
            return Err(CallFailure::Unfit("it writes its key/value store without being granted one".to_owned()));
        }
        // What it replaces is not subtracted: the bound is there to stop growth, not to be met to the byte.
        match self.services.kv.bytes(call.automation.kv()).await {
            Ok(held) if held.saturating_add(added) <= most => Ok(outcome),
            Ok(_) => Err(CallFailure::Unfit(format!("its key/value store may hold {most} bytes"))),
            Err(error) => {
                tracing::warn!(%error, "the size of an automation's key/value store is not known");
                Err(CallFailure::NotCalled("the engine's store does not answer".to_owned()))
            }
        }
    }
}
