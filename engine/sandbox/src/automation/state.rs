//! What a store holds for one call, and how such stores are made.

use std::sync::Arc;
use std::time::Duration;

use pombo_domain::ports::{AutomationCall, CallFailure, HostAnswer};
use wasmtime::{Engine, ResourceLimiter, Store, UpdateDeadline};

use super::fairness::Tenant;
use super::slices::{FIRST_SLICE, Meter, SLICE};
use crate::grants::Hosts;
use crate::limits::{AUTOMATION_TABLE_ELEMENTS, TRANSFER_BYTES};
use crate::randomness::Randomness;
use crate::state::Services;
use crate::telemetry::MetricLabels;
use crate::wasi::{Wasi, WasiState};

/// What a call is made for.
pub(crate) enum Caller {
    /// No automation: the plugin only describes itself.
    Describing,
    /// An automation of this tenant.
    Automation(Arc<AutomationCall>, Arc<Tenant>),
}

/// One store's data.
pub(crate) struct CallState {
    memory: Memory,
    wasi: Wasi,
    pub(crate) services: Arc<Services>,
    labels: Arc<MetricLabels>,
    pub(crate) caller: Caller,
    now: Duration,
    pub(super) random: Randomness,
    /// What its configuration names; made when it is first asked for.
    pub(crate) hosts: Option<Hosts>,
    /// The answers that the host gave.
    pub(crate) inputs: Vec<HostAnswer>,
    /// In a replay, which of the recorded answers were given.
    pub(crate) given: Vec<bool>,
    pub(crate) questions: u32,
    /// Why the host ended the call.
    pub(crate) failure: Option<CallFailure>,
}

/// The memory that all instances of one call have, and may have.
#[derive(Debug)]
struct Memory {
    used: u64,
    limit: u64,
    refused: bool,
    meter: Arc<Meter>,
}

impl ResourceLimiter for Memory {
    fn memory_growing(&mut self, current: usize, desired: usize, _most: Option<usize>) -> wasmtime::Result<bool> {
        let after = self.used.saturating_sub(current as u64).saturating_add(desired as u64);
        if after > self.limit {
            self.refused = true;
            return Ok(false);
        }
        self.used = after;
        self.meter.has(after);
        Ok(true)
    }
    fn table_growing(&mut self, _current: usize, desired: usize, _most: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= AUTOMATION_TABLE_ELEMENTS)
    }
}

impl CallState {
    /// Keeps a line for the plugin's author. Replays and descriptions write none.
    pub(crate) fn line(&self, level: &'static str, text: &str) {
        if matches!(&self.caller, Caller::Automation(call, _) if call.replay.is_none()) {
            self.services.telemetry.line(&self.labels, level, text);
        }
    }
    /// Whether the guest was refused memory.
    pub(crate) fn out_of_memory(&self) -> bool {
        self.memory.refused
    }
    /// What the guest wrote to its standard error, as interpreters do when they give up.
    pub(crate) fn last_words(&self) -> Option<String> {
        let text = String::from_utf8_lossy(self.wasi.stderr());
        let text = text.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }
    pub(crate) fn now_millis(&self) -> u64 {
        self.now.as_millis() as u64
    }
}

impl WasiState for CallState {
    fn wasi(&mut self) -> &mut Wasi {
        &mut self.wasi
    }
}

/// What a store is made of.
pub(crate) struct Making<'m> {
    pub(crate) engine: &'m Engine,
    pub(crate) services: &'m Arc<Services>,
    pub(crate) labels: Arc<MetricLabels>,
    pub(crate) caller: Caller,
    pub(crate) memory: u64,
    pub(crate) meter: Arc<Meter>,
}

/// A store for one call.
pub(crate) fn store(making: Making<'_>) -> Store<CallState> {
    let Making { engine, services, labels, caller, memory, meter } = making;
    let (now, seed, recorded) = match &caller {
        Caller::Automation(call, _) => (call.now.0.max(0) as u64, call.seed, call.replay.as_ref().map_or(0, Vec::len)),
        Caller::Describing => (0, 0, 0),
    };
    let state = CallState {
        memory: Memory { used: 0, limit: memory, refused: false, meter: meter.clone() },
        wasi: Wasi::recorded(Duration::from_millis(now), seed),
        services: services.clone(),
        labels,
        caller,
        now: Duration::from_millis(now),
        random: Randomness::new(seed, 0),
        hosts: None,
        inputs: Vec::new(),
        given: vec![false; recorded],
        questions: 0,
        failure: None,
    };
    let mut store = Store::new(engine, state);
    store.limiter(|state| &mut state.memory);
    store.set_hostcall_fuel(TRANSFER_BYTES);
    store.set_epoch_deadline(FIRST_SLICE);
    store.epoch_deadline_callback(move |_| {
        meter.gave_way();
        Ok(UpdateDeadline::Yield(SLICE))
    });
    store
}
