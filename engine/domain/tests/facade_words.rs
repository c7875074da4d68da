//! The domain and the scheduler speak their own language: no facade's field names, routes, headers or words stand in them. Each facade
//! names the domain's keys itself and adds its own hints.

use std::fs;
use std::path::{Path, PathBuf};

/// What only a facade may say.
const WORDS: &[&str] = &[
    "companyId",
    "connectorId",
    "contactName",
    "dateFrom",
    "dateTo",
    "delayMaxMs",
    "delayMinMs",
    "duringAutomation",
    "externalId",
    "forceDirect",
    "messageType",
    "providerId",
    "quietHours",
    "replyTo",
    "requiresApproval",
    "scheduledAt",
    "attachmentUrl",
    "webhookUrl",
    "GERAL",
    "WHATSAPP",
    "Idempotency-Key",
    "X-Pombo",
    "X-API-Key",
    "X-Request-Id",
    "Retry-After",
    "Content-Type",
    "/v1/",
    "GET /",
    "POST /",
    "PUT /",
    "PATCH /",
    "DELETE /",
    "SendSync",
    "sendsync",
    "Zapini",
    "zapini",
    "AI DESK",
    "aidesk",
    "apikey",
    "queue_id",
    "status_id",
    "instance_id",
    "message_content",
    "media_caption",
    "media_file_id",
    "wamid",
];

/// Words that stand where they must, with the reason.
const ALLOWED: &[(&str, &str)] = &[
    // The text that a key is stored as, which never changes.
    ("domain/src/field.rs", r#"#[serde(rename = "connectorId")]"#),
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("tests.rs") {
            found.push(path);
        }
    }
}

#[test]
fn no_facade_word_stands_in_the_domain_or_the_scheduler() {
    let engine = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the engine's folder");
    let mut files = Vec::new();
    for part in ["domain/src", "scheduler/src"] {
        sources(&engine.join(part), &mut files);
    }
    assert!(files.len() > 100, "the sources are there");
    let mut found = Vec::new();
    for file in files {
        let name = file.strip_prefix(engine).expect("below the engine").display().to_string().replace('\\', "/");
        let text = fs::read_to_string(&file).expect("readable");
        // Tests may compare with what is stored and written.
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for (number, line) in code.lines().enumerate() {
            let allowed = ALLOWED.iter().any(|(of, part)| name == *of && line.contains(part));
            let words = WORDS.iter().filter(|word| !allowed && line.contains(**word));
            found.extend(words.map(|word| format!("{name}:{}: {word}", number + 1)));
        }
    }
    assert!(found.is_empty(), "words of a facade; name the thing in the domain's own words:\n{}", found.join("\n"));
}
