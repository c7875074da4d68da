//! The plugin that ships checks the server's certificate: it does not pair with a server that has none of WhatsApp's.

use std::process::Command;

use anyhow::{Result, ensure};
use pombo_tests::process::{Tool, root, target};
use pombo_tests::server::{Options, Server};
use pombo_tests::tenant::Tenant;
use pombo_tests::wait::{PATIENCE, until};
use pombo_tests::whatsapp::{PLUGIN, WhatsApp};
use serde_json::json;

#[test]
fn the_shipped_connector_cannot_be_pointed_at_another_server() -> Result<()> {
    let whatsapp = WhatsApp::start(&[])?;
    let server = Server::start(Options { demo: false, ..Options::default() })?;
    let tenant = Tenant::create(&server)?;
    let body = json!({"name": "x", "plugin": PLUGIN, "config": whatsapp.config(&json!({}))});
    let refused = tenant.client.post("/v1/connectors", &body)?;
    let says = refused.text();
    ensure!(refused.status == 400 && says.contains("Host") && says.contains("is not a field"), "{refused:?}");
    // The same component next to the one for the simulator: the check is compiled in, not configured.
    let (shipped, simulated) = (
        std::fs::read(target().join("plugins/connector-whatsapp.wasm"))?,
        std::fs::read(target().join("simulator/connector-whatsapp.wasm"))?,
    );
    ensure!(shipped != simulated);
    Ok(())
}

/// TLS for WhatsApp's name in front of the simulator, trusted by the engine: so the shipped plugin reaches the handshake.
#[test]
fn the_shipped_connector_refuses_the_simulators_certificate() -> Result<()> {
    let whatsapp = WhatsApp::start(&[])?;
    let folder = tempfile::tempdir()?;
    let mut command = Command::new(target().join("venv/bin/python"));
    command.arg(root().join("tests/tools/tls_front.py")).arg("--dir").arg(folder.path());
    command.args(["--name", "web.whatsapp.com", "--to", &whatsapp.port().to_string()]);
    let mut front = Tool::start("TLS in front of the simulator", &mut command)?;
    let port = front.ready_file(&folder.path().join("port"))?;
    let ca = folder.path().join("ca.pem");
    let config = format!(
        "[sandbox]\nextra_ca = {:?}\nconnect_to = [\"web.whatsapp.com=127.0.0.1:{port}\"]\n",
        ca.display().to_string()
    );
    let server = Server::start(Options { demo: false, ..Options::with(&config) })?;
    let tenant = Tenant::create(&server)?;
    let connector =
        tenant.connector(PLUGIN, &json!({"reconnect": {"minMillis": 50, "maxSeconds": 1, "visibleAfter": 1}}))?;
    let path = format!("/v1/connectors/{connector}/session");
    let session = tenant.client.post(&path, &json!({}))?;
    ensure!(!session.text().contains("qrText"), "{session:?}");
    // It came as far as the handshake, again and again, and never to a code.
    let connections = folder.path().join("connections");
    until("several handshakes", PATIENCE, || Ok(std::fs::metadata(&connections).ok().filter(|file| file.len() >= 2)))?;
    let state = tenant.client.get(&path)?.expect_json(200)?;
    ensure!(state["status"] != "CONNECTED" && state["qrText"].is_null(), "{state}");
    Ok(())
}
