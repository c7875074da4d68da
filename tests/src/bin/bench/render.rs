//! Rendering: the sandbox's own example measures both sides in one program; this module reads its output.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use pombo_tests::process::target;
use serde_json::Value;

/// Microseconds a text.
pub(crate) struct Figure {
    pub(crate) ours: f64,
    pub(crate) native: f64,
}

/// `render` with variables only, then one figure for each further template.
pub(crate) fn measure() -> Result<Vec<(String, Figure)>> {
    let example = target().join("release/examples/render");
    ensure!(example.is_file(), "{} is not built: `make bench` does it", example.display());
    let output = Command::new(&example).output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "{}: {said}", output.status);
    let mut figures = Vec::new();
    for line in String::from_utf8(output.stdout)?.lines() {
        let line: Value = serde_json::from_str(line).with_context(|| line.to_owned())?;
        if line["figure"] != "render" {
            continue;
        }
        let template = line["template"].as_str().context("no template")?;
        let name = match template {
            "variables" => "render".to_owned(),
            other => format!("render_{}", other.replace(' ', "_")),
        };
        let number = |field: &str| line[field].as_f64().with_context(|| format!("no {field}"));
        figures.push((name, Figure { ours: number("ours")?, native: number("peer")? }));
    }
    ensure!(figures.iter().any(|(name, _)| name == "render"), "the example printed no figure");
    Ok(figures)
}
