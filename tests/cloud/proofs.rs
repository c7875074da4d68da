//! Apps that demand a proof of their secret in each call (`appsecret_proof`).

use anyhow::{Context, Result, ensure};
use pombo_tests::files::hmac_sha256;
use pombo_tests::graph::{Graph, PLUGIN};
use pombo_tests::tenant::{Tenant, text_of};
use pombo_tests::webhook::jpeg;
use pombo_tests::whatsapp::session;
use serde_json::json;

use crate::shared::{Bench, named_template, person, server};

#[test]
fn every_call_carries_the_proof_and_nothing_else_shows_a_secret() -> Result<()> {
    let graph = Graph::start()?;
    graph.knobs(&json!({"require_proof": true}))?;
    let bench = Bench::at(server()?, graph, &json!({"appSecretProof": true}))?;
    bench.template(&named_template("provado"))?;
    let who = person();
    bench.tenant.wait_status(&bench.queue_named(&who, "provado")?, &["SENT"])?;
    bench.opened(&who)?;
    let file = bench.upload("foto.jpg", "image/jpeg", &jpeg(1_000))?;
    bench.send(&json!({"to": who, "text": "uma foto", "attachments": [file]}))?;
    let header = json!({"type": "header", "format": "image", "exampleFile": {"id": file["id"]}});
    let body = json!({"connectorId": bench.connector, "name": "com_amostra", "language": "pt_BR", "category": "utility",
        "components": [header, {"type": "body", "text": "Seu pedido saiu."}]});
    bench.tenant.client.post("/v1/templates", &body)?.expect(201)?;

    let proof = hmac_sha256(bench.graph.app_secret().as_bytes(), bench.graph.token().as_bytes())?;
    let asked = bench.graph.requests("")?;
    for path in ["/messages", "/media", "/message_templates", "/uploads", "/upload:"] {
        let is_there = asked.iter().any(|entry| entry["path"].as_str().is_some_and(|of| of.contains(path)));
        ensure!(is_there, "{path} was not asked");
    }
    for entry in &asked {
        let query = text_of(entry, "query")?;
        // When the token ends, Meta says to the app, and only to whoever names the token there.
        if text_of(entry, "path")?.ends_with("/debug_token") {
            ensure!(entry["status"] == 200, "{entry}");
            continue;
        }
        ensure!(entry["status"] == 200 && query.contains(&format!("appsecret_proof={proof}")), "{entry}");
        ensure!(!query.contains(bench.graph.token()), "the token stands in an address: {entry}");
    }
    Ok(())
}

#[test]
fn without_the_proof_the_connector_says_what_to_set() -> Result<()> {
    let graph = Graph::start()?;
    graph.knobs(&json!({"require_proof": true}))?;
    let tenant = Tenant::create(server()?)?;
    let connector = tenant.connector(PLUGIN, &graph.config(&json!({})))?;
    let session = session(&tenant, &connector, "LOGGED_OUT")?;
    let reason = session["reason"].as_str().context("no reason")?;
    ensure!(reason.contains("appsecret_proof") && reason.contains("appSecretProof"), "{reason}");
    Ok(())
}

#[test]
fn a_proof_with_the_secret_of_another_app_is_not_taken() -> Result<()> {
    let graph = Graph::start()?;
    let tenant = Tenant::create(server()?)?;
    let config = graph.config(&json!({"appSecretProof": true, "appSecret": "of another app"}));
    let connector = tenant.connector(PLUGIN, &config)?;
    let session = session(&tenant, &connector, "LOGGED_OUT")?;
    ensure!(session["reason"].as_str().is_some_and(|reason| reason.contains("Invalid appsecret_proof")), "{session}");
    Ok(())
}
