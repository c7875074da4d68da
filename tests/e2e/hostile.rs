//! Hostile plugins: each can only hurt itself. The engine continues to serve, and another tenant's mail leaves at the same time.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use pombo_tests::process::target;
use pombo_tests::server::{OPEN, Options, Server};
use pombo_tests::tenant::{Tenant, unique};
use pombo_tests::wait::{PATIENCE, until};
use serde_json::json;

use crate::shared::smtp;

const MB: u64 = 1 << 20;

/// A server whose plugin folder holds these cases of target/hostile.
pub(crate) fn server_with(cases: &[&str]) -> Result<Server> {
    let mut server = Server::prepare(Options::default())?;
    let folder = server.folder().join("plugins");
    std::fs::create_dir(&folder)?;
    for case in cases {
        let built = target().join("hostile").join(format!("{case}.wasm"));
        ensure!(built.is_file(), "{} is not built: run plugins/build.sh", built.display());
        std::fs::copy(built, folder.join(format!("{case}.wasm")))?;
    }
    let lines = format!(
        "[sandbox]\nplugin_dir = {folder:?}\ncpu_deadline_ms = 300\nhost_call_timeout_seconds = 2\nsend_timeout_seconds = 3\n"
    );
    std::fs::write(server.folder().join("config.toml"), Options::with(&lines).config)?;
    ensure!(OPEN.contains("[sandbox]"));
    server.launch()?;
    Ok(server)
}

/// The connectors that the binary carries.
const SHIPPED: [&str; 4] = ["connector-email", "connector-gateway", "connector-whatsapp", "connector-whatsapp-cloud"];

/// The names of the connectors that the server knows, other than its own.
fn foreign_plugins(tenant: &Tenant) -> Result<Vec<String>> {
    let list = tenant.client.get("/v1/plugins")?.expect_json(200)?;
    let names = list["data"]
        .as_array()
        .context("no data")?
        .iter()
        .filter(|p| p["kind"] == "connector")
        .filter_map(|p| p["name"].as_str().map(str::to_owned));
    Ok(names.filter(|name| !SHIPPED.contains(&name.as_str())).collect())
}

#[test]
fn the_engine_serves_on_beside_every_hostile_plugin() -> Result<()> {
    let cases = ["endless-loop", "memory", "trap", "log-flood", "huge-result", "hanging-host-call"];
    for case in cases {
        let mut server = server_with(&[case])?;
        let tenant = Tenant::create(&server)?;
        let names = foreign_plugins(&tenant)?;
        assert_eq!(names.len(), 1, "{case}: {names:?}");
        let before = server.memory("VmRSS")?;
        let config = match case {
            "hanging-host-call" => json!({"host": "127.0.0.1", "port": smtp()?.port("silent")?}),
            _ => json!({}),
        };
        let request = json!({"name": case, "plugin": names[0], "config": config});
        let made = tenant.client.post("/v1/connectors", &request)?;
        ensure!(made.status == 201, "{case}: {made:?}");
        let connector = made.json()?["id"].as_str().context("no id")?.to_owned();
        let mut hurt = Vec::new();
        for n in 0..5 {
            let reply = tenant.try_send(
                &json!({"connectorId": connector, "to": format!("victim{n}@customers.test"), "message": "x"}),
            )?;
            // A plugin that misbehaves while it checks the recipient is not the caller's fault, and no 500 either.
            match reply.status {
                201 => hurt.push(reply.json()?["id"].as_str().context("no id")?.to_owned()),
                400 | 503 => {}
                _ => anyhow::bail!("{case}: {reply:?}"),
            }
        }
        // Meanwhile another tenant's mail leaves, at once.
        let neighbour = Tenant::create(&server)?;
        let mail = neighbour.email(smtp()?, "plain", &json!({}))?;
        for n in 0..5 {
            let id = neighbour.send_text(&mail, &format!("beside{n}-{}@customers.test", unique()), "still here")?;
            neighbour
                .wait_status_for(&id, &["SENT"], Duration::from_secs(15))
                .with_context(|| format!("beside {case}"))?;
            server.client().get("/health")?.expect(200)?;
        }
        for id in &hurt {
            // Whatever became of it, it is a state with a reason, not a message that hangs.
            let message = until(&format!("{case} to show"), PATIENCE, || {
                let message = tenant.message(id)?;
                Ok((message["status"] == "SENT" || message["reason"]["code"].is_string()).then_some(message))
            })?;
            if case != "log-flood" {
                assert_ne!(message["status"], "SENT", "{case}: {message}");
            }
        }
        let grown = server.memory("VmRSS")?.saturating_sub(before);
        assert!(grown < 300 * MB, "{case}: the engine grew by {} MB", grown / MB);
        let log = server.log()?;
        assert!(log.len() < 2_000_000, "{case}: the log has {} bytes", log.len());
        assert!(!log.contains("panicked"), "{case}: {}", server.log_end());
        let status = server.terminate(Duration::from_secs(40))?;
        assert!(status.success(), "{case}: {status}");
        server.inspect()?;
    }
    Ok(())
}

#[test]
fn a_plugin_that_imports_what_no_plugin_may_is_not_loaded() -> Result<()> {
    let server = server_with(&["forbidden-import", "trap"])?;
    let tenant = Tenant::create(&server)?;
    let names = foreign_plugins(&tenant)?;
    assert!(names.iter().any(|n| n.contains("trap")) && !names.iter().any(|n| n.contains("forbidden")), "{names:?}");
    let log = server.log()?;
    assert!(log.contains("forbidden-import"), "the refusal is not in the log:\n{}", server.log_end());
    let connector = tenant.email(smtp()?, "plain", &json!({}))?;
    let id = tenant.send_text(&connector, &format!("fine{}@customers.test", unique()), "fine")?;
    tenant.wait_status(&id, &["SENT"])?;
    Ok(())
}
