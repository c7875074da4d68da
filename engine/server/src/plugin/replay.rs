//! `pombo plugin replay`: tries a candidate version on recorded events, before it goes live.

use std::fmt::Write;
use std::process::ExitCode;

use serde_json::json;

use super::args::ReplayArgs;
use super::diff;
use super::engine::Engine;
use super::output::{path_text, say};
use super::publish::{component, short, upload};
use super::wire::{Difference, Replayed};

pub(super) async fn run(args: &ReplayArgs) -> anyhow::Result<ExitCode> {
    let engine = Engine::of(&args.engine)?;
    let file = component(args.file.as_deref(), &args.project)?;
    // Uploaded, not activated: it answers nobody.
    eprintln!("uploading {}", path_text(&file));
    let uploaded = upload(&engine, &file, args.key_file.as_deref()).await?;
    let mut body = json!({"digest": uploaded.digest});
    if let Some(automation) = args.automation {
        body["automationId"] = json!(automation);
    }
    if let Some(limit) = args.limit {
        body["limit"] = json!(limit);
    }
    let replayed: Replayed = engine.post(&["plugins", &uploaded.name, "replay"], &body).await?;
    if args.json {
        say(serde_json::to_string(&replayed)?)?;
    } else {
        let candidate = format!("{} {} ({})", uploaded.name, uploaded.version, short(&uploaded.digest));
        say(report(&candidate, &replayed).trim_end())?;
    }
    Ok(if replayed.different == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The report for a person.
fn report(candidate: &str, replayed: &Replayed) -> String {
    let Replayed { calls, same, different, failed, unreadable, complete, differ } = replayed;
    if *calls == 0 {
        return format!(
            "there are no recordings to try {candidate} on: an automation on the plugin records while its `record` is true\n"
        );
    }
    let mut text = String::new();
    for Difference { at, kind, event_id, was, is, .. } in differ {
        // A string takes it, here and below.
        let _ = writeln!(text, "{at} {kind} (event {event_id})\n{}", diff::text(was, is));
    }
    if (differ.len() as u64) < *different {
        let _ = writeln!(text, "and {} more that differ\n", different - differ.len() as u64);
    }
    let _ = writeln!(
        text,
        "{candidate}: {calls} recorded calls, {same} answered the same, {different} differently; {failed} failed"
    );
    if *unreadable > 0 {
        let _ = writeln!(text, "{unreadable} recordings can no longer be read");
    }
    if !complete {
        text.push_str("There were more recordings than a replay has time for: the newest were tried.\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_ends_with_the_sum() {
        let id = uuid::Uuid::nil();
        let replayed: Replayed = serde_json::from_value(json!({
            "calls": 5, "same": 3, "different": 2, "failed": 0, "unreadable": 1, "complete": false,
            "differ": [{
                "at": "2026-01-02T03:04:05Z", "kind": "message-received", "eventId": id, "automationId": id, "conversationId": id,
                "was": {"claim": true}, "is": {"claim": false},
            }],
        }))
        .expect("an answer");
        let text = report("greeter 1.1.0 (abc)", &replayed);
        let expected = [
            "2026-01-02T03:04:05Z message-received (event 00000000-0000-0000-0000-000000000000)",
            "    {",
            "  -   \"claim\": true",
            "  +   \"claim\": false",
            "    }",
            "",
            "and 1 more that differ",
            "",
            "greeter 1.1.0 (abc): 5 recorded calls, 3 answered the same, 2 differently; 0 failed",
            "1 recordings can no longer be read",
            "There were more recordings than a replay has time for: the newest were tried.",
            "",
        ];
        assert_eq!(text, expected.join("\n"));
    }

    #[test]
    fn nothing_recorded_says_what_to_do() {
        let replayed: Replayed =
            serde_json::from_value(json!({"calls": 0, "same": 0, "different": 0, "failed": 0, "complete": true}))
                .expect("an answer");
        assert!(report("x", &replayed).contains("`record`"));
    }
}
