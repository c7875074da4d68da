//! The document, its table, and that the answers are what it says.

use poem_openapi::types::ToJSON;

use super::*;

/// The thirteen operations, as this project reads the documentation.
const DOCUMENTED: [(&str, &str, bool); 13] = [
    ("post", "/auth/login", false),
    ("get", "/connectors", true),
    ("post", "/queue/send", true),
    ("post", "/queue/bulk", true),
    ("get", "/queue/list", true),
    ("get", "/queue/template", true),
    ("post", "/whatsapp/connect/{connectorId}", true),
    ("get", "/whatsapp/status/{connectorId}", true),
    ("post", "/whatsapp/disconnect/{connectorId}", true),
    ("get", "/contacts", true),
    ("post", "/contacts", true),
    ("patch", "/contacts/{id}/status", true),
    ("delete", "/contacts/{id}", true),
];

#[test]
fn the_kept_document_and_table_are_those_that_are_generated() {
    pombo_testkit::documents::assert_kept(FACADE.name, &(FACADE.document)(), &FACADE.table());
}

#[test]
fn the_document_has_the_documented_operations_and_no_other() {
    let document: Value = serde_json::from_str(&(FACADE.document)()).expect("JSON");
    let paths = document["paths"].as_object().expect("paths");
    let count: usize = paths.values().map(|item| item.as_object().expect("operations").len()).sum();
    assert_eq!(count, DOCUMENTED.len());
    for (method, path, protected) in DOCUMENTED {
        let operation = &paths[path][method];
        assert!(operation["operationId"].is_string(), "{method} {path}");
        let schemes = operation["security"].as_array().map_or(0, Vec::len);
        assert_eq!(schemes, if protected { 2 } else { 0 }, "{method} {path}");
        let responses = operation["responses"].as_object().expect("responses");
        assert!(responses.contains_key("401") && responses.contains_key("500"), "{method} {path}");
        assert!(responses.contains_key("200") || responses.contains_key("201"), "{method} {path}");
    }
}

/// Sends what the document gives as an example, once the placeholders are replaced.
#[tokio::test]
async fn the_documents_examples_are_accepted() {
    let site = Site::new().await;
    let document: Value = serde_json::from_str(&(FACADE.document)()).expect("JSON");
    let example = |name: &str| document["components"]["schemas"][name]["example"].clone();
    let mut send = example("SendMessage");
    (send["connectorId"], send["to"]) = (json!(site.loja.connector.id), json!("a@exemplo.com"));
    assert_eq!(site.post("/queue/send", send).await.status, 201);
    let mut bulk = example("SendBulk");
    for row in bulk["messages"].as_array_mut().expect("rows") {
        (row["connectorId"], row["to"]) = (json!(site.loja.connector.id), json!("a@exemplo.com"));
    }
    assert_eq!(site.post("/queue/bulk", bulk).await.ok()["accepted"], 2);
    let contact = site.post("/contacts", example("SaveContact")).await;
    assert_eq!(contact.status, 201);
    let path = format!("/contacts/{}/status", contact.json()["id"].as_str().expect("an id"));
    assert_eq!(site.send_json(Method::PATCH, &path, example("ContactStatus")).await.status, 200);
}

/// Serde writes the answers, the framework's derive declares them: the two must agree.
#[test]
fn what_is_written_is_what_is_declared() {
    use super::super::queue::wire_samples;
    for (written, declared) in wire_samples() {
        assert_eq!(Some(written), declared);
    }
    let error = super::super::error::ApiError { status_code: 400, message: "m".to_owned(), error: "e".to_owned() };
    assert_eq!(serde_json::to_value(&error).ok(), error.to_json());
}
