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
use crate::telemetry::Whose;
use crate::wasi::{Wasi, WasiState};

/// For whom a call is.
pub(crate) enum Caller {
    /// Nobody: it only says who it is.
    Describing,
    /// An automation.
    Automation(Arc<AutomationCall>, Arc<Tenant>),
}

/// One store's data.
pub(crate) struct CallState {
    memory: Memory,
    wasi: Wasi,
    pub(crate) services: Arc<Services>,
    whose: Arc<Whose>,
    pub(crate) caller: Caller,
    now: Duration,
    pub(super) random: Randomness,
    /// What its configuration names; made when it is first asked for.
    pub(crate) hosts: Option<Hosts>,
    /// What it was answered.
    pub(crate) inputs: Vec<HostAnswer>,
    /// In a replay, which of the recorded answers were given.
    pub(crate) given: Vec<bool>,
    pub(crate) questions: u32,
    /// Why the host ended it.
    pub(crate) failure: Option<CallFailure>,
}

/// Memory of all instances of one call, and what it may have.
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
    /// A line for its author. A replay says nothing a second time, and a description is asked for by nobody who would read it.
    pub(crate) fn line(&self, level: &'static str, text: &str) {
        if matches!(&self.caller, Caller::Automation(call, _) if call.replay.is_none()) {
            self.services.telemetry.line(&self.whose, level, text);
        }
    }
    /// Whether it wanted more memory than it may have.
    pub(crate) fn out_of_memory(&self) -> bool {
        self.memory.refused
    }
    /// What it wrote to its standard error, as interpreters do when they give up.
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

/// What a new store needs to know.
pub(crate) struct Making<'m> {
    pub(crate) engine: &'m Engine,
    pub(crate) services: &'m Arc<Services>,
    pub(crate) whose: Arc<Whose>,
    pub(crate) caller: Caller,
    pub(crate) memory: u64,
    pub(crate) meter: Arc<Meter>,
}

/// A store for one call.
pub(crate) fn store(making: Making<'_>) -> Store<CallState> {
    let Making { engine, services, whose, caller, memory, meter } = making;
    let (now, seed, recorded) = match &caller {
        Caller::Automation(call, _) => (call.now.0.max(0) as u64, call.seed, call.replay.as_ref().map_or(0, Vec::len)),
        Caller::Describing => (0, 0, 0),
    };
    let state = CallState {
        memory: Memory { used: 0, limit: memory, refused: false, meter: meter.clone() },
        wasi: Wasi::recorded(Duration::from_millis(now), seed),
        services: services.clone(),
        whose,
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
