//! The wasmtime engines, and the thread that ticks the connectors' epoch.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::JoinHandle;

use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use pombo_domain::model::PluginKind;

use crate::limits::{
    AUTOMATION_CORE_INSTANCES, AUTOMATION_MEMORIES, AUTOMATION_TABLE_ELEMENTS, AUTOMATION_TABLES, Limits,
    TABLE_ELEMENTS, TICK,
};

/// What decides about compiled code: the same for the engine that compiles as for the one that runs it.
fn settings(kind: PluginKind) -> Config {
    let mut config = Config::new();
    config.wasm_component_model(true).epoch_interruption(true);
    match kind {
        PluginKind::Connector => config.wasm_component_model_async(true),
        // Its worlds are synchronous for the guest, and calls without that support are cheaper.
        PluginKind::Automation => config.concurrency_support(false),
    };
    config
}

/// An engine that only compiles.
pub(crate) fn compiling(kind: PluginKind) -> wasmtime::Result<Engine> {
    Engine::new(&settings(kind))
}

/// The engine that automations run in: each call has a fresh instance, so that slots change hands thousands of times a second.
pub(crate) fn automations(limits: &Limits) -> wasmtime::Result<Engine> {
    let instances = limits.automations.instances.max(1);
    let scans = PoolingAllocationConfig::is_pagemap_scan_available();
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances)
        .total_core_instances(instances.saturating_mul(AUTOMATION_CORE_INSTANCES))
        .total_tables(instances.saturating_mul(4).max(AUTOMATION_TABLES * 16))
        .total_memories(instances.saturating_mul(3))
        .total_stacks(instances)
        .max_core_instances_per_component(AUTOMATION_CORE_INSTANCES)
        .max_tables_per_component(AUTOMATION_TABLES)
        .max_memories_per_component(AUTOMATION_MEMORIES)
        .max_component_instance_size(4 << 20)
        .max_core_instance_size(4 << 20)
        .max_memory_size(limits.automations.memory_most as usize)
        .table_elements(AUTOMATION_TABLE_ELEMENTS)
        // Only what a call has written is put back, and stays in the address space for the next one.
        .pagemap_scan(Enabled::Auto)
        .linear_memory_keep_resident(if scans { 8 << 20 } else { 256 << 10 })
        .table_keep_resident(128 << 10)
        .max_unused_warm_slots(100);
    let mut config = settings(PluginKind::Automation);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    Engine::new(&config)
}

/// The engine that connectors and the renderer run in.
///
/// A slot of the pool is address space (4 GiB a memory, so that the compiled code needs no bounds checks) and costs memory
/// only where its guest has written: a thousand idle instances are a thousand times their own pages, not their limits.
pub(crate) fn engine(limits: &Limits) -> wasmtime::Result<Engine> {
    let instances = limits.instances;
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances)
        // A component holds its module and a few small ones that wit-component adds around it.
        .total_core_instances(instances.saturating_mul(6))
        .total_tables(instances.saturating_mul(6))
        .total_memories(instances.saturating_mul(2))
        .total_stacks(instances.saturating_mul(4))
        .max_core_instances_per_component(20)
        .max_tables_per_component(20)
        .max_memories_per_component(2)
        .max_component_instance_size(4 << 20)
        .max_core_instance_size(2 << 20)
        .max_memory_size(limits.memory_bytes)
        .table_elements(TABLE_ELEMENTS)
        .linear_memory_keep_resident(256 << 10)
        .table_keep_resident(16 << 10)
        .max_unused_warm_slots(100);
    let mut config = settings(PluginKind::Connector);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    Engine::new(&config)
}

/// Ticks while it lives.
#[derive(Debug)]
pub(crate) struct Ticker {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    pub(crate) fn start(engine: &Engine) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let (engine, stopped) = (engine.clone(), stop.clone());
        let thread = std::thread::Builder::new().name("epoch".to_owned()).spawn(move || {
            while !stopped.load(Relaxed) {
                std::thread::park_timeout(TICK);
                engine.increment_epoch();
            }
        })?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // It can only end by returning.
            let _ = thread.join();
        }
    }
}
