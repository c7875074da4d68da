//! `pombo plugin list`, `rollback` and `promote`: the engine's plugins and their versions.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::args::{ListArgs, NamedArgs};
use super::consent::bytes_text;
use super::engine::Engine;
use super::named;
use super::output::say;
use super::publish::short;
use super::wire::{Page, Plugin, Version};

pub(super) async fn list(args: &ListArgs) -> anyhow::Result<ExitCode> {
    let engine = Engine::of(&args.engine)?;
    if let Some(name) = &args.name {
        let plugin: Value = engine.get(&["plugins", name], &[]).await?;
        print_or(args.json, &plugin, |plugin| Ok(versions(&serde_json::from_value(plugin.clone())?)))?;
    } else {
        let page: Page<Value> = engine.get(&["plugins"], &[]).await?;
        print_or(args.json, &Value::Array(page.data), |plugins| {
            Ok(table(&serde_json::from_value::<Vec<Plugin>>(plugins.clone())?))
        })?;
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn rollback(args: &NamedArgs) -> anyhow::Result<ExitCode> {
    step(args, "rollback").await
}

pub(super) async fn promote(args: &NamedArgs) -> anyhow::Result<ExitCode> {
    step(args, "promote").await
}

async fn step(args: &NamedArgs, what: &str) -> anyhow::Result<ExitCode> {
    let name = named(args.name.as_deref(), &args.project)?;
    let engine = Engine::of(&args.engine)?;
    let plugin: Plugin = engine.post(&["plugins", &name, what], &json!({})).await?;
    say(versions(&plugin).trim_end())?;
    Ok(ExitCode::SUCCESS)
}

fn print_or(as_json: bool, value: &Value, text: impl Fn(&Value) -> anyhow::Result<String>) -> anyhow::Result<()> {
    if as_json {
        say(value)?;
    } else {
        say(text(value)?.trim_end())?;
    }
    Ok(())
}

/// One line per plugin.
fn table(plugins: &[Plugin]) -> String {
    let width = plugins.iter().map(|plugin| plugin.name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for plugin in plugins {
        let kind = plugin.kind.as_deref().unwrap_or("");
        let version =
            plugin.version.clone().or_else(|| Some(active(plugin)?.version.clone())).unwrap_or_else(|| "-".to_owned());
        let shown = plugin.display_name.as_deref().unwrap_or("");
        text.push_str(format!("{:<width$}  {kind:<10}  {version:<10}  {shown}", plugin.name).trim_end());
        text.push('\n');
    }
    text
}

/// One line per version, newest first.
fn versions(plugin: &Plugin) -> String {
    let mut text = format!("{}\n", plugin.name);
    for version in plugin.versions.iter().rev() {
        let place = place(plugin, version);
        let at = version.uploaded_at.as_deref().unwrap_or("");
        let signed = if version.signed_by.as_ref().is_some_and(|s| !s.is_null()) { "signed" } else { "" };
        let line = format!(
            "  {:<10} {}  {:>9}  {at}  {signed:<6}  {place}",
            version.version,
            short(&version.digest),
            bytes_text(version.size)
        );
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// The role of a version.
fn place(plugin: &Plugin, version: &Version) -> String {
    let is = |digest: &Option<String>| digest.as_deref() == Some(&*version.digest);
    if let Some(rollout) = plugin.rollout.as_ref().filter(|rollout| rollout.to == version.digest) {
        return match (rollout.share, rollout.automatic) {
            (100, true) => "active, still watched".to_owned(),
            (100, false) => "active".to_owned(),
            (share, _) => format!("canary, {share} % of the conversations"),
        };
    }
    if is(&plugin.active) {
        return "active".to_owned();
    }
    if is(&plugin.previous) {
        return "the previous one".to_owned();
    }
    match (version.status.as_str(), &version.reason) {
        ("ready", _) => String::new(),
        // Often enough it is the very word.
        (status, Some(reason)) if reason.replace(' ', "-").starts_with(status) => reason.clone(),
        (status, Some(reason)) => format!("{status}: {reason}"),
        (status, None) => status.to_owned(),
    }
}

fn active(plugin: &Plugin) -> Option<&Version> {
    plugin.versions.iter().find(|version| Some(&version.digest) == plugin.active.as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_told_newest_first_with_their_part() {
        let digests = ["a", "b", "c", "d"].map(|c| c.repeat(64));
        let version = |i: usize, status: &str| json!({"digest": digests[i], "version": format!("0.{i}.0"), "status": status, "size": 1024});
        let plugin: Plugin = serde_json::from_value(json!({
            "name": "greeter", "active": digests[1], "previous": digests[0],
            "versions": [version(0, "ready"), version(1, "ready"), version(2, "needs-consent"), version(3, "ready")],
            "rollout": {"to": digests[3], "share": 10, "automatic": true},
        }))
        .expect("a plugin");
        let text = versions(&plugin);
        let ends: Vec<&str> = text.lines().skip(1).map(|line| line.split("KiB").nth(1).unwrap_or("").trim()).collect();
        assert_eq!(
            ends,
            ["canary, 10 % of the conversations", "needs-consent", "active", "the previous one"],
            "{text}"
        );
    }
}
