//! The document: only documented operations, with what each may answer.

use std::collections::BTreeSet;

use super::*;

/// The operations as the documentation has them, all 81; whether they need a token.
const DOCUMENTED: &[(&str, &str, bool)] = &[
    ("post", "/auth/login", false),
    ("get", "/auth/me", true),
    ("post", "/auth/logout", true),
    ("post", "/auth/refresh", true),
    ("get", "/instances", true),
    ("get", "/instances/{uuid}", true),
    ("get", "/instances/{uuid}/qr", true),
    ("get", "/instances/{uuid}/status", true),
    ("get", "/instances/{uuid}/stats", true),
    ("post", "/instances/{uuid}/disconnect", true),
    ("post", "/instances/{uuid}/reconnect", true),
    ("put", "/instances/{uuid}/webhook", true),
    ("post", "/webhooks/instance/{uuid}/incoming", false),
    ("post", "/webhooks/instance/{uuid}/status", false),
    ("post", "/webhooks/instance/{uuid}/qr", false),
    ("post", "/webhooks/instance/{uuid}/connection", false),
    ("post", "/webhooks/instance/{uuid}/reaction", false),
    ("get", "/status", true),
    ("get", "/qr", true),
    ("post", "/send-message", true),
    ("post", "/send-media", true),
    ("post", "/send-reaction", true),
    ("get", "/health", false),
    ("get", "/conversations", true),
    ("get", "/conversations/archived", true),
    ("get", "/conversations/{uuid}", true),
    ("get", "/conversations/{uuid}/messages", true),
    ("post", "/conversations/{uuid}/mark-read", true),
    ("post", "/conversations/{uuid}/archive", true),
    ("delete", "/conversations/{uuid}/archive", true),
    ("delete", "/conversations/{uuid}", true),
    ("get", "/conversations/{uuid}/automation", true),
    ("post", "/conversations/{uuid}/automation/pause", true),
    ("post", "/conversations/{uuid}/automation/resume", true),
    ("post", "/conversations/automation/bulk-pause", true),
    ("post", "/conversations/automation/bulk-resume", true),
    ("post", "/api/v1/conversations/automation/bulk-pause", true),
    ("post", "/api/v1/conversations/automation/bulk-resume", true),
    ("get", "/contacts", true),
    ("post", "/contacts", true),
    ("get", "/contacts/{id}", true),
    ("patch", "/contacts/{id}", true),
    ("delete", "/contacts/{id}", true),
    ("post", "/contacts/import", true),
    ("get", "/contacts/export", true),
    ("post", "/media/upload", true),
    ("get", "/media/{id}", true),
    ("delete", "/media/{id}", true),
    ("get", "/messages/{uuid}/media", true),
    ("post", "/messages/send-media", true),
    ("get", "/instances/{uuid}/groups", true),
    ("post", "/instances/{uuid}/groups", true),
    ("get", "/instances/{uuid}/groups/{jid}", true),
    ("patch", "/instances/{uuid}/groups/{jid}", true),
    ("post", "/instances/{uuid}/groups/{jid}/participants", true),
    ("delete", "/instances/{uuid}/groups/{jid}/participants", true),
    ("post", "/instances/{uuid}/groups/{jid}/admins", true),
    ("delete", "/instances/{uuid}/groups/{jid}/admins", true),
    ("post", "/instances/{uuid}/groups/{jid}/leave", true),
    ("get", "/instances/{uuid}/groups/{jid}/invite", true),
    ("delete", "/instances/{uuid}/groups/{jid}/invite", true),
    ("get", "/tags", true),
    ("post", "/tags", true),
    ("get", "/tags/{uuid}", true),
    ("patch", "/tags/{uuid}", true),
    ("delete", "/tags/{uuid}", true),
    ("put", "/conversations/{uuid}/tags", true),
    ("get", "/api/v1/chat/conversations", true),
    ("get", "/api/v1/chat/conversations/{uuid}", true),
    ("get", "/api/v1/chat/conversations/{uuid}/messages", true),
    ("post", "/api/v1/chat/conversations/{uuid}/mark-read", true),
    ("post", "/api/v1/chat/conversations/{uuid}/archive", true),
    ("delete", "/api/v1/chat/conversations/{uuid}/archive", true),
    ("post", "/api/v1/chat/conversations/{uuid}/pause-automation", true),
    ("post", "/api/v1/chat/conversations/{uuid}/resume-automation", true),
    ("post", "/api/v1/chat/send", true),
    ("post", "/api/v1/chat/send-media", true),
    ("patch", "/api/v1/chat/messages/{uuid}", true),
    ("delete", "/api/v1/chat/messages/{uuid}", true),
    ("post", "/api/v1/chat/messages/{uuid}/reaction", true),
    ("delete", "/api/v1/chat/messages/{uuid}/reaction", true),
];

#[test]
fn the_kept_document_and_table_are_those_that_are_generated() {
    pombo_testkit::documents::assert_kept(FACADE.name, &(FACADE.document)(), &FACADE.table());
}

#[test]
fn the_document_has_the_operations_at_their_documented_paths_and_no_other() {
    let document: Value = serde_json::from_str(&(FACADE.document)()).expect("JSON");
    let mut found = BTreeSet::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            let protected = operation["security"].as_array().is_some_and(|schemes| !schemes.is_empty());
            found.insert((method.clone(), path.clone(), protected));
            let responses = operation["responses"].as_object().expect("responses");
            let needs = if protected { vec!["401", "403", "429", "500"] } else { vec!["200"] };
            assert!(needs.iter().all(|status| responses.contains_key(*status)), "{method} {path}");
        }
    }
    let documented: BTreeSet<_> =
        DOCUMENTED.iter().map(|(method, path, token)| ((*method).to_owned(), (*path).to_owned(), *token)).collect();
    assert_eq!(found, documented);
}

#[test]
fn operations_have_ids_of_their_own() {
    let document: Value = serde_json::from_str(&(FACADE.document)()).expect("JSON");
    let items = document["paths"].as_object().expect("paths").values();
    let ids: Vec<&str> = items
        .flat_map(|item| item.as_object().expect("operations").values())
        .map(|operation| operation["operationId"].as_str().expect("an id"))
        .collect();
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len());
}
