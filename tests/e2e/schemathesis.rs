//! schemathesis against the running server, with both documents: every answer must be one that the document declares.

use std::fs;
use std::process::Command;

use anyhow::{Result, ensure};
use pombo_tests::process::target;
use pombo_tests::server::{Options, Server, binary};
use pombo_tests::tenant::{SENDSYNC, Tenant};
use serde_json::json;

use crate::shared::smtp;

/// Examples of each operation: enough to reach every parameter, few enough for CI.
const EXAMPLES: &str = "40";

fn check(facade: &str, base: &str) -> Result<()> {
    let server = Server::start(Options::default())?;
    let tenant = Tenant::create(&server)?;
    // Something of everything, so that an id found in one answer is of use in the next request.
    let connector = tenant.email(smtp()?, "plain", &json!({}))?;
    tenant.set_paused(&connector, true)?;
    tenant
        .send(&json!({"connectorId": connector, "to": "a@customers.test", "message": "x", "requiresApproval": true}))?;
    let document = server.folder().join("document.json");
    let printed = Command::new(binary()).args(["openapi", "--facade", facade]).output()?;
    ensure!(printed.status.success(), "pombo openapi failed");
    fs::write(&document, &printed.stdout)?;
    let mut command = Command::new(target().join("venv/bin/schemathesis"));
    command.current_dir(server.folder()).arg("run").arg(&document);
    command.args(["--url", &format!("http://{}{base}", server.address())]);
    command.args(["--header", &format!("X-API-Key: {}", tenant.key)]);
    command.args([
        "--max-examples",
        EXAMPLES,
        "--seed",
        "7",
        "--generation-database",
        "none",
        "--no-color",
        "--workers",
        "1",
    ]);
    let output = command.output()?;
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    fs::write(target().join(format!("schemathesis-{facade}.txt")), &said)?;
    let end: Vec<&str> = said.lines().collect();
    let end = end[end.len().saturating_sub(150)..].join("\n");
    ensure!(output.status.success(), "{facade}: {}\n{end}", output.status);
    server.client().get("/ready")?.expect(200)?;
    Ok(())
}

#[test]
fn the_queue_api_keeps_its_document() -> Result<()> {
    check("sendsync", SENDSYNC)
}

#[test]
fn the_control_api_keeps_its_document() -> Result<()> {
    check("control", "")
}
