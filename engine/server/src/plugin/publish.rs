//! `pombo plugin publish`: builds, signs, uploads, asks for consent, activates.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::args::{ProjectArgs, PublishArgs};
use super::consent;
use super::engine::Engine;
use super::multipart::Multipart;
use super::output::{path_text, say};
use super::project::Project;
use super::wire::{Plugin, Uploaded};
use super::{random, signature, toolchain};

/// The component for a command: the named file, or the project's, built if needed.
pub(super) fn component(file: Option<&Path>, project: &ProjectArgs) -> anyhow::Result<PathBuf> {
    if let Some(file) = file {
        return Ok(file.to_owned());
    }
    let project = Project::find(project)?;
    toolchain::build_when_changed(&project)?;
    Ok(project.out)
}

/// Uploads a component, signed if a key file is given.
pub(super) async fn upload(engine: &Engine, file: &Path, key_file: Option<&Path>) -> anyhow::Result<Uploaded> {
    let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let digest = hex::encode(Sha256::digest(&bytes));
    let mut parts = Multipart::new(random()?).file("component", "plugin.wasm", "application/wasm", &bytes);
    if let Some(key_file) = key_file {
        parts = parts.text("signature", &signature::sign(key_file, &digest)?);
    }
    let uploaded: Uploaded = engine.upload(&["plugins"], &parts).await?;
    anyhow::ensure!(
        uploaded.digest == digest,
        "the engine received a different component than was sent; upload it again"
    );
    Ok(uploaded)
}

/// Consents to what a version asks for, if that is more than was granted: by option, or on the terminal. Returns whether it was
/// needed.
pub(super) fn agree(uploaded: &Uploaded, by_option: bool) -> anyhow::Result<bool> {
    let granted = uploaded.granted.as_ref();
    if !consent::is_needed(&uploaded.wants, granted) {
        // Asking for nothing still wants somebody's word the first time, and there is nothing to read.
        return Ok(granted.is_none());
    }
    eprintln!("\n{} {} asks for:\n{}", uploaded.name, uploaded.version, consent::table(&uploaded.wants, granted));
    if !by_option {
        consent::ask("Grant it?")?;
    }
    Ok(true)
}

/// Makes an uploaded version the running one, for all or for a share; returns the engine's new description of the plugin.
pub(super) async fn activate(
    engine: &Engine,
    uploaded: &Uploaded,
    share: u8,
    automatic: bool,
    grant: bool,
) -> anyhow::Result<Value> {
    let body = json!({"digest": uploaded.digest, "share": share, "automatic": automatic, "grant": grant});
    Ok(engine.post(&["plugins", &uploaded.name, "activate"], &body).await?)
}

pub(super) async fn run(args: &PublishArgs) -> anyhow::Result<ExitCode> {
    let engine = Engine::of(&args.engine)?;
    let file = component(args.file.as_deref(), &args.project)?;
    eprintln!("uploading {}", path_text(&file));
    let uploaded = upload(&engine, &file, args.key_file.as_deref()).await?;
    if args.no_activate {
        if args.json {
            say(json!({"uploaded": uploaded}))?;
        } else {
            let Uploaded { name, version, digest, .. } = &uploaded;
            say(format_args!("{name} {version} ({}) is uploaded but does not run yet", short(digest)))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let grant = agree(&uploaded, args.grant)?;
    let share = args.share.unwrap_or(100);
    let plugin = activate(&engine, &uploaded, share, !args.manual, grant).await?;
    if args.json {
        say(json!({"uploaded": uploaded, "plugin": plugin}))?;
    } else {
        let plugin: Plugin = serde_json::from_value(plugin)?;
        say(said(&uploaded, &plugin, share, !args.manual).trim_end())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The message for a person afterwards.
fn said(uploaded: &Uploaded, plugin: &Plugin, share: u8, automatic: bool) -> String {
    let Uploaded { name, version, digest, .. } = uploaded;
    let signed = if uploaded.signed_by.as_ref().is_some_and(|s| !s.is_null()) { "signed" } else { "not signed" };
    let mut text = format!("{name} {version} ({}, {signed}) ", short(digest));
    let running = plugin.active.as_deref() == Some(digest);
    let watched = plugin.rollout.as_ref().is_some_and(|rollout| rollout.automatic);
    text.push_str(&match (running, watched) {
        (true, false) => "runs now\n".to_owned(),
        (true, true) => {
            "runs now; it is watched, and the engine goes back to the previous version if it misbehaves\n".to_owned()
        }
        (false, _) => format!("gets {share} % of the conversations\n"),
    });
    if !running {
        if !automatic {
            text.push_str(&format!("  pombo plugin promote {name}    let it take over\n"));
        } else {
            text.push_str("  It takes over by itself if it behaves, and is rolled back if it does not.\n");
            text.push_str(&format!("  pombo plugin promote {name}    let it take over now\n"));
        }
        text.push_str(&format!(
            "  pombo plugin rollback {name}   go back\n  pombo plugin list {name}       show its state\n"
        ));
    }
    if uploaded.is_new && plugin.versions.len() == 1 && uploaded.kind == "automation" {
        text.push_str(&format!(
            "It is new: put it on a connector with POST /v1/automations {{\"name\": …, \"plugin\": \"{name}\", \"connectorId\": …}}\n"
        ));
    }
    text
}

/// Enough of a digest to tell versions apart.
pub(super) fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}

#[cfg(test)]
mod tests {
    use super::super::wire::Rollout;
    use super::*;

    fn uploaded(granted: Value) -> Uploaded {
        serde_json::from_value(json!({
            "name": "greeter", "kind": "automation", "version": "1.1.0", "digest": "ab".repeat(32), "status": "ready",
            "wants": {"hosts": ["=x.test"], "kvBytes": 0, "cpuMs": 0, "memoryBytes": 0, "eventsPerMinute": 0},
            "granted": granted, "signedBy": null, "isNew": granted.is_null(),
        }))
        .expect("an upload's answer")
    }

    fn plugin(active: &str) -> Plugin {
        let version = json!({"digest": active, "version": "1.0.0"});
        serde_json::from_value(json!({"name": "greeter", "active": active, "versions": [version]})).expect("a plugin")
    }

    #[test]
    fn what_is_already_granted_is_not_asked_for() {
        let granted = json!({"hosts": ["=x.test", "=y.test"]});
        assert!(!agree(&uploaded(granted), false).expect("no question"));
        assert!(agree(&uploaded(Value::Null), true).expect("agreed by option"));
    }

    #[test]
    fn a_person_is_told_how_it_stands() {
        let one = Uploaded { is_new: true, ..uploaded(json!({"hosts": ["=x.test"]})) };
        let now = said(&one, &plugin(&one.digest), 100, true);
        assert!(now.starts_with("greeter 1.1.0 (abababababab, not signed) runs now\n"), "{now}");
        assert!(now.contains("POST /v1/automations"), "it is the first version: {now}");
        let mut later = plugin(&one.digest);
        later.versions.push(later.versions[0].clone());
        later.rollout = Some(Rollout { to: one.digest.clone(), share: 100, automatic: true });
        let watched = said(&one, &later, 100, true);
        assert_eq!(watched.matches('\n').count(), 1, "{watched}");
        assert!(watched.contains("watched"), "{watched}");
        let canary = said(&one, &plugin("other"), 10, false);
        assert!(canary.contains("gets 10 % of the conversations"), "{canary}");
        assert!(canary.contains("promote greeter") && canary.contains("rollback greeter"), "{canary}");
    }
}
