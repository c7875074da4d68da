//! The Prometheus registry. HTTP is counted here; store, scheduler and sandbox count by themselves and are asked at each scrape.

use std::fmt;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use http::StatusCode;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

/// One number from a part of the engine.
pub(crate) struct Sample {
    /// Name without `pombo_`, and for a counter without `_total`.
    pub(crate) name: &'static str,
    pub(crate) help: &'static str,
    pub(crate) value: Value,
    /// A label, if there are several samples with the same name; these follow each other.
    pub(crate) label: Option<(&'static str, String)>,
}

/// Kind of number.
#[derive(Clone, Copy)]
pub(crate) enum Value {
    /// A value that only increases.
    Counter(u64),
    /// Goes up and down.
    Gauge(f64),
}

impl Value {
    fn encode(self, metric: MetricEncoder<'_>) -> Result<(), fmt::Error> {
        match self {
            Self::Counter(n) => ConstCounter::new(n).encode(metric),
            Self::Gauge(n) => ConstGauge::new(n).encode(metric),
        }
    }
}

/// Gets the numbers of a part of the engine.
pub(crate) type Source = Box<dyn Fn() -> Vec<Sample> + Send + Sync>;

/// What `/metrics` shows.
pub(crate) struct Metrics {
    registry: Registry,
}

impl Metrics {
    /// The metrics of HTTP and of the process, and those of `sources`.
    pub(crate) fn new(started: Instant, http: &HttpMetrics, sources: Vec<Source>) -> Self {
        let mut registry = Registry::with_prefix("pombo");
        http.register(&mut registry);
        registry.register("build", "The running version", Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]));
        registry.register_collector(Box::new(Sources(vec![Box::new(move || process(started))])));
        registry.register_collector(Box::new(Sources(sources)));
        Self { registry }
    }

    /// Prometheus' text format, version 0.0.4.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String does not fail.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.registry);
        as_prometheus_text(&text)
    }
}

/// OpenMetrics describes a counter without the `_total` of its samples, and has a type and an end mark that the older format does
/// not have.
fn as_prometheus_text(open_metrics: &str) -> String {
    let mut text = String::with_capacity(open_metrics.len() + 1024);
    let mut help: Option<(&str, &str)> = None;
    for line in open_metrics.lines() {
        if let Some((name, words)) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' ')) {
            help = Some((name, words));
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            let (suffix, kind) = match kind {
                "counter" => ("_total", "counter"),
                "info" => ("_info", "gauge"),
                "unknown" => ("", "untyped"),
                other => ("", other),
            };
            if let Some((_, words)) = help.take().filter(|(described, _)| *described == name) {
                text.push_str(&format!("# HELP {name}{suffix} {words}\n"));
            }
            text.push_str(&format!("# TYPE {name}{suffix} {kind}\n"));
        } else if !line.starts_with("# ") {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

struct Sources(Vec<Source>);

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} sources", self.0.len())
    }
}

impl Collector for Sources {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        for source in &self.0 {
            let samples = source();
            for same in samples.chunk_by(|a, b| a.name == b.name) {
                let kind = match same[0].value {
                    Value::Counter(_) => ConstCounter::new(0_u64).metric_type(),
                    Value::Gauge(_) => ConstGauge::new(0_f64).metric_type(),
                };
                let mut family = encoder.encode_descriptor(same[0].name, same[0].help, None, kind)?;
                for sample in same {
                    match &sample.label {
                        Some((key, value)) => {
                            let labels = [(*key, value.as_str())];
                            sample.value.encode(family.encode_family(&labels)?)?;
                        }
                        None => {
                            sample.value.encode(family)?;
                            // Without a label there is one of its name only.
                            break;
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

fn process(started: Instant) -> Vec<Sample> {
    let gauge = |name, help, value| Sample { name, help, value: Value::Gauge(value), label: None };
    let mut samples = vec![gauge("uptime_seconds", "Time since the start", started.elapsed().as_secs_f64())];
    if let Some(bytes) = resident_bytes() {
        samples.push(gauge("resident_memory_bytes", "Memory in use", bytes as f64));
    }
    samples
}

/// Linux's view of the process; `None` elsewhere.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// Counts requests and connections. Cheap to clone.
#[derive(Clone)]
pub(crate) struct HttpMetrics {
    requests: Family<RequestLabels, Counter>,
    seconds: Family<FacadeLabel, Histogram, fn() -> Histogram>,
    connections: Gauge,
    accepted: Counter<u64, AtomicU64>,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RequestLabels {
    facade: &'static str,
    status: u16,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct FacadeLabel {
    facade: &'static str,
}

fn latency() -> Histogram {
    Histogram::new([0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0])
}

impl Default for HttpMetrics {
    fn default() -> Self {
        Self {
            requests: Family::default(),
            seconds: Family::new_with_constructor(latency as fn() -> Histogram),
            connections: Gauge::default(),
            accepted: Counter::default(),
        }
    }
}

impl HttpMetrics {
    fn register(&self, registry: &mut Registry) {
        registry.register("http_requests", "Requests answered", self.requests.clone());
        registry.register(
            "http_request_seconds",
            "Seconds from a request's head to its response's head",
            self.seconds.clone(),
        );
        registry.register("http_connections", "Open connections", self.connections.clone());
        registry.register("http_connections_accepted", "Connections accepted", self.accepted.clone());
    }

    pub(crate) fn connection_opened(&self) {
        self.accepted.inc();
        self.connections.inc();
    }

    pub(crate) fn connection_closed(&self) {
        self.connections.dec();
    }

    pub(crate) fn request(&self, facade: &'static str, status: StatusCode, took: Duration) {
        self.requests.get_or_create(&RequestLabels { facade, status: status.as_u16() }).inc();
        self.seconds.get_or_create(&FacadeLabel { facade }).observe(took.as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_shows_requests_and_what_the_sources_say() {
        let source: Source = Box::new(|| {
            ["a", "b"]
                .map(|plugin| Sample {
                    name: "traps",
                    help: "Traps",
                    value: Value::Counter(3),
                    label: Some(("plugin", plugin.to_owned())),
                })
                .into()
        });
        let http = HttpMetrics::default();
        let metrics = Metrics::new(Instant::now(), &http, vec![source]);
        http.request("sendsync", StatusCode::CREATED, Duration::from_millis(2));
        let text = metrics.text();
        for line in [
            "pombo_http_requests_total{facade=\"sendsync\",status=\"201\"} 1",
            "pombo_traps_total{plugin=\"a\"} 3",
            "pombo_traps_total{plugin=\"b\"} 3",
            "pombo_http_request_seconds_bucket{le=\"0.0025\",facade=\"sendsync\"} 1",
        ] {
            assert!(text.contains(line), "{line} is missing in\n{text}");
        }
        assert_eq!(text.matches("# TYPE pombo_traps_total counter\n").count(), 1);
        assert!(text.contains("# TYPE pombo_build_info gauge\n"), "{text}");
        assert!(text.contains("\npombo_uptime_seconds 0."), "{text}");
        let comments = text.lines().filter(|line| line.starts_with('#'));
        assert!(comments.into_iter().all(|line| line.starts_with("# HELP ") || line.starts_with("# TYPE ")), "{text}");
    }
}
