//! An automation's configuration: checked by its plugin's schema, and its secrets never read back.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use pombo_tests::automation::automate;
use pombo_tests::files::hmac_sha256;
use pombo_tests::server::Server;
use serde_json::json;

use crate::service::Service;
use crate::shared::{Chat, options};

/// Whether any file below a folder holds these bytes.
pub(crate) fn holds(folder: &Path, bytes: &[u8]) -> Result<bool> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let found = match path.is_dir() {
            true => holds(&path, bytes)?,
            false => std::fs::read(&path)?.windows(bytes.len()).any(|window| window == bytes),
        };
        if found {
            return Ok(true);
        }
    }
    Ok(false)
}

#[test]
fn a_configuration_that_does_not_fit_is_refused_by_the_fields_name() -> Result<()> {
    let server = Server::start(options("")?)?;
    let chat = Chat::new(&server)?;
    let secret = "não conte a ninguém";
    let good = json!({"url": "http://127.0.0.1:9/", "secret": secret});
    for (config, field) in [
        (json!({"secret": secret}), "config.url"),
        (json!({"url": 7, "secret": secret}), "config.url"),
        (json!({"url": "http://127.0.0.1:9/", "secret": "curto-demais"}), "config.secret"),
        (json!({"url": "http://127.0.0.1:9/", "secret": secret, "timeoutSeconds": 99}), "config.timeoutSeconds"),
        (json!({"url": "http://127.0.0.1:9/", "secret": secret, "colour": "red"}), "colour"),
    ] {
        let body =
            json!({"name": "x", "plugin": "integration-webhook", "connectorId": chat.connector, "config": config});
        let refused = chat.tenant.client.post("/v1/automations", &body)?.expect_json(400)?.to_string();
        ensure!(refused.contains(field), "{config}: {refused}");
        ensure!(!refused.contains(secret) && !refused.contains("curto-demais"), "it shows a secret: {refused}");
    }
    let automation = automate(&chat.tenant, &chat.connector, "integration-webhook", &good)?;
    let path = format!("/v1/automations/{automation}");
    let refused = chat.tenant.client.patch(&path, &json!({"config": {"url": true}}))?.expect_json(400)?;
    ensure!(refused.to_string().contains("config.url"), "{refused}");
    // A secret that must be there cannot be removed.
    let refused =
        chat.tenant.client.patch(&path, &json!({"config": {"url": "http://127.0.0.1:9/", "secret": null}}))?;
    ensure!(refused.expect_json(400)?.to_string().contains("config.secret"), "it names the field");
    Ok(())
}

#[test]
fn secrets_are_written_and_used_but_never_read() -> Result<()> {
    let mut server = Server::start(options("")?)?;
    let chat = Chat::new(&server)?;
    let service = Service::start(|_| (200, json!({"text": "recebido"}).to_string()))?;
    let secret = "so-o-servidor-sabe-4711";
    let config = json!({"url": service.url("/bot"), "secret": secret, "token": "outro-segredo-4712"});
    let automation = automate(&chat.tenant, &chat.connector, "integration-webhook", &config)?;
    let path = format!("/v1/automations/{automation}");
    let signed = |n: usize| -> Result<()> {
        let request = service.requests().remove(n);
        let expected = hmac_sha256(secret.as_bytes(), &request.body)?;
        ensure!(request.header("x-pombo-signature") == expected, "{:?}", request.headers);
        Ok(())
    };
    chat.pipe.write("ana", "oi");
    chat.pipe.answers("ana", 1)?;
    signed(0)?;
    // A change that leaves the secret out leaves it as it is; null removes one.
    let changed = json!({"config": {"url": service.url("/outro"), "token": null}});
    let changed = chat.tenant.client.patch(&path, &changed)?.expect_json(200)?;
    ensure!(changed["secretsSet"] == json!(["secret"]), "{changed}");
    chat.pipe.write("ana", "de novo");
    chat.pipe.answers("ana", 2)?;
    signed(1)?;
    for get in [
        path.as_str(),
        "/v1/automations",
        "/v1/plugins",
        "/v1/plugins/integration-webhook",
        "/v1/plugins/integration-webhook/logs",
        "/v1/events",
        "/v1/conversations",
        "/v1/messages",
        "/v1/automations/parked",
    ] {
        let shown = chat.tenant.client.get(get)?.expect(200)?.text();
        ensure!(!shown.contains(secret) && !shown.contains("4712"), "{get}: {shown}");
    }
    server.terminate(Duration::from_secs(30))?;
    let text = server.inspect()?;
    ensure!(text.contains(&automation), "the automation is not in what is inspected");
    ensure!(!text.contains(secret) && !text.contains("4712"), "pombo inspect shows a secret");
    let log = server.log()?;
    ensure!(!log.contains(secret) && !log.contains("4712"), "the log has a secret");
    ensure!(!holds(&server.data(), secret.as_bytes())?, "a secret lies in the data folder as it is");
    Ok(())
}
