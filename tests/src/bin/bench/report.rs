//! The results, as a table for people and as target/bench.json.

use anyhow::Result;
use pombo_tests::process::target;
use serde_json::{Map, Value, json};

#[derive(Default)]
pub(crate) struct Report {
    figures: Map<String, Value>,
    lines: Vec<[String; 6]>,
}

fn number(value: f64) -> String {
    if value >= 1000.0 {
        format!("{value:.0}")
    } else if value >= 10.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.3}")
    }
}

impl Report {
    /// Two figures of which more is better; `aim` is the ratio wanted.
    pub(crate) fn higher(&mut self, name: &str, what: &str, unit: &str, ours: f64, peer: f64, aim: f64) {
        let ratio = ours / peer;
        self.add(name, json!({"ours": ours, "peer": peer, "ratio": ratio, "unit": unit, "aim": aim, "baseline": what}));
        self.line(
            name,
            unit,
            &number(ours),
            &number(peer),
            &format!("{ratio:.2}x"),
            &verdict(ratio >= aim, &format!("{aim}x")),
        );
    }

    /// Two figures of which less is better; `aim` is the share of the peer's that is wanted at most.
    pub(crate) fn lower(&mut self, name: &str, what: &str, unit: &str, ours: f64, peer: f64, aim: f64) {
        let ratio = ours / peer;
        self.add(name, json!({"ours": ours, "peer": peer, "ratio": ratio, "unit": unit, "aim": aim, "baseline": what}));
        self.line(
            name,
            unit,
            &number(ours),
            &number(peer),
            &format!("{ratio:.2}x"),
            &verdict(ratio <= aim, &format!("{aim}x")),
        );
    }

    /// A list's latencies next to the baseline's.
    pub(crate) fn latency(&mut self, name: &str, what: &str, ours: Value, peer: &Value, aim_p99: f64) {
        let (p50, p99) = (ours["p50"].as_f64().unwrap_or(f64::NAN), ours["p99"].as_f64().unwrap_or(f64::NAN));
        let (peer50, peer99) = (peer["p50"].as_f64().unwrap_or(f64::NAN), peer["p99"].as_f64().unwrap_or(f64::NAN));
        let ratio = p99 / peer99;
        self.add(name, json!({"p50": p50, "p99": p99, "unit": "ms", "peer": peer, "ratio": ratio, "aim_p99": aim_p99, "baseline": what}));
        let both = |a: f64, b: f64| format!("{} / {}", number(a), number(b));
        self.line(
            name,
            "ms p50/p99",
            &both(p50, p99),
            &both(peer50, peer99),
            &format!("{ratio:.3}x"),
            &verdict(p99 < aim_p99, &format!("p99 < {aim_p99}")),
        );
    }

    /// Latencies with a bound, and nothing to compare them with.
    pub(crate) fn bounded(&mut self, name: &str, ours: &Value, aim_p99: f64) {
        let (p50, p99) = (ours["p50"].as_f64().unwrap_or(f64::NAN), ours["p99"].as_f64().unwrap_or(f64::NAN));
        self.add(name, json!({"p50": p50, "p99": p99, "unit": "ms", "aim_p99": aim_p99}));
        let both = format!("{} / {}", number(p50), number(p99));
        self.line(name, "ms p50/p99", &both, "", "", &verdict(p99 < aim_p99, &format!("p99 < {aim_p99}")));
    }

    /// Seconds, with a bound.
    pub(crate) fn seconds(&mut self, name: &str, what: &str, ours: f64, peer: Option<f64>, aim: f64) {
        self.add(name, json!({"seconds": ours, "peer": peer, "unit": "s", "aim": aim, "baseline": what}));
        self.line(
            name,
            "s",
            &number(ours),
            &peer.map(number).unwrap_or_default(),
            "",
            &verdict(ours <= aim, &format!("{aim} s")),
        );
    }

    fn add(&mut self, name: &str, value: Value) {
        self.figures.insert(name.to_owned(), value);
    }

    fn line(&mut self, name: &str, unit: &str, ours: &str, peer: &str, ratio: &str, verdict: &str) {
        let line = [name, unit, ours, peer, ratio, verdict].map(str::to_owned);
        println!("  {}", line.join("  "));
        self.lines.push(line);
    }

    /// Prints the table and writes the file.
    pub(crate) fn finish(mut self, context: Value) -> Result<()> {
        self.figures.insert("context".to_owned(), context);
        let header = ["figure", "unit", "ours", "baseline", "ratio", "aim"].map(str::to_owned);
        let rows: Vec<&[String; 6]> = std::iter::once(&header).chain(&self.lines).collect();
        let widths: Vec<usize> = (0..6).map(|c| rows.iter().map(|r| r[c].chars().count()).max().unwrap_or(0)).collect();
        println!();
        for row in rows {
            let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
            println!("{}", cells.join("  ").trim_end());
        }
        let path = target().join("bench.json");
        // What was measured by other programs, or of other parts, stays.
        let mut figures: Map<String, Value> =
            std::fs::read_to_string(&path).ok().and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
        figures.append(&mut self.figures);
        std::fs::write(&path, serde_json::to_string_pretty(&Value::Object(figures))? + "\n")?;
        println!("\nwritten to {}", path.display());
        Ok(())
    }
}

fn verdict(met: bool, aim: &str) -> String {
    format!("{aim} {}", if met { "met" } else { "NOT MET" })
}
