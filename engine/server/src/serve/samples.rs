//! The counts of store, scheduler and sandbox, for the metrics.

use std::sync::Arc;

use pombo_domain::model::Status;
use pombo_domain::ports::{Connectors, SessionState, Store, StoreHealth};
use pombo_sandbox::Sandbox;

use crate::telemetry::metrics::{Sample, Source, Value};

/// The sources of all parts.
pub(super) fn all(
    store: &Arc<pombo_store::DiskStore>,
    scheduler: &pombo_scheduler::Handle,
    sandbox: &Arc<Sandbox>,
) -> Vec<Source> {
    let store: Arc<dyn Store> = store.clone();
    let scheduler = scheduler.clone();
    let (sandbox, connectors) = (sandbox.clone(), store.clone());
    vec![
        Box::new(move || of_store(&*store)),
        Box::new(move || of_scheduler(&scheduler)),
        Box::new(move || of_sandbox(&sandbox, &*connectors)),
    ]
}

fn of_store(store: &dyn Store) -> Vec<Sample> {
    let good = store.health() == StoreHealth::Good;
    let mut samples = vec![Sample {
        name: "store_healthy",
        help: "1 while the store accepts writes, otherwise 0",
        value: Value::Gauge(f64::from(u8::from(good))),
        label: None,
    }];
    let mut totals = [0_u64; 8];
    // A tenant list that cannot be read shows in the health; the rest of the metrics stays.
    for tenant in store.tenants().unwrap_or_default() {
        for (total, count) in totals.iter_mut().zip(store.status_counts(tenant.index)) {
            *total += count;
        }
    }
    samples.extend(Status::ALL.into_iter().map(|status| Sample {
        name: "messages",
        help: "Messages by status, over all tenants",
        value: Value::Gauge(totals[status as usize] as f64),
        label: Some(("status", status.as_str().to_owned())),
    }));
    samples
}

fn of_scheduler(scheduler: &pombo_scheduler::Handle) -> Vec<Sample> {
    let snapshot = scheduler.metrics();
    let gauge = |name, help, value| Sample { name, help, value: Value::Gauge(value), label: None };
    let mut samples: Vec<Sample> = snapshot
        .counters()
        .map(|(event, count)| Sample {
            name: "scheduler_events",
            help: "Actions of the scheduler, by kind",
            value: Value::Counter(count),
            label: Some(("event", event.to_owned())),
        })
        .collect();
    samples.push(gauge(
        "scheduler_in_flight",
        "Claimed messages whose outcome is not stored yet",
        snapshot.in_flight as f64,
    ));
    samples.push(gauge(
        "scheduler_lag_seconds",
        "The time by which the most recently claimed message was overdue",
        snapshot.lag_ms as f64 / 1000.0,
    ));
    match scheduler.health_levels() {
        Ok(levels) => samples.extend(levels.into_iter().map(|(level, connectors)| Sample {
            name: "connector_health",
            help: "Connectors by their account's health level",
            value: Value::Gauge(connectors as f64),
            label: Some(("level", level.as_str().to_owned())),
        })),
        Err(error) => tracing::error!(%error, "the connectors' health cannot be read"),
    }
    samples.push(gauge("scheduler_lanes", "Connectors with a running lane", scheduler.lanes() as f64));
    samples
}

fn of_sandbox(sandbox: &Sandbox, store: &dyn Store) -> Vec<Sample> {
    let mut samples: Vec<Sample> = Connectors::plugins(sandbox)
        .into_iter()
        .map(|plugin| Sample {
            name: "connector_plugins",
            help: "Connector plugins that are loaded",
            value: Value::Gauge(1.0),
            label: Some(("plugin", plugin.name)),
        })
        .collect();
    let states = [
        "stopped",
        "connecting",
        "connected",
        "disconnected",
        "qr_code",
        "pairing_code",
        "unpaired",
        "logged_out",
        "failing",
    ];
    let mut counts = [0_u32; 9];
    for connector in store.connectors(None).unwrap_or_default() {
        let state = match sandbox.session(connector.index) {
            SessionState::Stopped => 0,
            SessionState::Connecting => 1,
            SessionState::Connected => 2,
            SessionState::Disconnected(_) => 3,
            SessionState::QrCode(_) => 4,
            SessionState::PairingCode(_) => 5,
            SessionState::Unpaired(_) => 6,
            SessionState::LoggedOut(_) => 7,
            SessionState::Failing(_) => 8,
        };
        counts[state] += 1;
    }
    samples.extend(states.into_iter().zip(counts).map(|(state, count)| Sample {
        name: "connector_sessions",
        help: "Connectors by the state of their session",
        value: Value::Gauge(f64::from(count)),
        label: Some(("state", state.to_owned())),
    }));
    samples
}
