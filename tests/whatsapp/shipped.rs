//! The plugin that ships checks the server's certificate: it does not pair with a server that has none of WhatsApp's.

use anyhow::{Result, ensure};
use pombo_tests::process::target;
use pombo_tests::server::{Options, Server};
use pombo_tests::tenant::Tenant;
use pombo_tests::whatsapp::{PLUGIN, WhatsApp};
use serde_json::json;

#[test]
fn the_shipped_connector_cannot_be_pointed_at_another_server() -> Result<()> {
    let whatsapp = WhatsApp::start(&[])?;
    let server = Server::start(Options { demo: false, ..Options::default() })?;
    let tenant = Tenant::create(&server)?;
    let body = json!({"name": "x", "plugin": PLUGIN, "config": whatsapp.config(&json!({}))});
    let refused = tenant.client.post("/v1/connectors", &body)?;
    ensure!(refused.status == 400 && refused.text().contains("serverHost"), "{refused:?}");
    // The same component beside the one for the simulator: the check is compiled in, not configured.
    let (shipped, simulated) =
        (std::fs::read(target().join("plugins/connector-whatsapp.wasm"))?, std::fs::read(target().join("simulator/connector-whatsapp.wasm"))?);
    ensure!(shipped != simulated);
    Ok(())
}
