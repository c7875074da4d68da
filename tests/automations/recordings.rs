//! Calls are recorded, and a candidate version is replayed on them.

use std::time::Duration;

use anyhow::{Result, ensure};
use pombo_tests::automation::{automate, automate_with, install, upload, variant};
use pombo_tests::server::Server;
use pombo_tests::tenant::text_of;
use serde_json::{Value, json};

use crate::secrets::holds;
use crate::service::Service;
use crate::shared::{Chat, options};

fn replay(chat: &Chat, plugin: &str, body: &Value) -> Result<Value> {
    chat.tenant.client.post(&format!("/v1/plugins/{plugin}/replay"), body)?.expect_json(200)
}

#[test]
fn a_replay_shows_where_another_version_answers_differently() -> Result<()> {
    let server = Server::start(options("")?)?;
    let chat = Chat::new(&server)?;
    let (echo, counting) = install(&chat.tenant.client, &variant("echo", "count 1")?)?;
    let automation = automate(&chat.tenant, &chat.connector, &echo, &json!({}))?;
    for n in 1..=3 {
        chat.pipe.write("ana", &format!("m{n}"));
        chat.pipe.answers("ana", n)?;
    }
    let same = replay(&chat, &echo, &json!({"digest": counting}))?;
    ensure!(
        same["calls"] == 3 && same["same"] == 3 && same["differ"] == json!([]) && same["complete"] == true,
        "{same}"
    );

    let plain = text_of(&upload(&chat.tenant.client, &variant("echo", "good 2")?)?, "digest")?;
    let other = replay(&chat, &echo, &json!({"digest": plain, "automationId": automation}))?;
    ensure!(other["calls"] == 3 && other["different"] == 3 && other["failed"] == 0, "{other}");
    let newest = &other["differ"][0];
    ensure!(newest["kind"] == "message-received" && newest["automationId"] == automation.as_str(), "{newest}");
    let text = |answer: &Value| answer["actions"][0]["send"]["content"]["text"].clone();
    ensure!(text(&newest["was"]) == "m3 #3" && text(&newest["is"]) == "m3", "{newest}");
    let broken = text_of(&upload(&chat.tenant.client, &variant("echo", "trap 3")?)?, "digest")?;
    let failed = replay(&chat, &echo, &json!({"digest": broken, "limit": 2}))?;
    ensure!(failed["calls"] == 2 && failed["failed"] == 2, "{failed}");
    ensure!(failed["differ"][0]["is"]["failure"]["code"] == "trap", "{failed}");

    // Nothing was sent by any of it, and nothing of it is recorded.
    chat.pipe.write("ana", "m4");
    assert_eq!(chat.pipe.answers("ana", 4)?[3], "m4 #4");
    let unknown = json!({"digest": "0".repeat(64)});
    chat.tenant.client.post(&format!("/v1/plugins/{echo}/replay"), &unknown)?.expect(404)?;
    Ok(())
}

#[test]
fn what_is_not_to_be_recorded_is_not() -> Result<()> {
    let server = Server::start(options("")?)?;
    let chat = Chat::new(&server)?;
    let (echo, digest) = install(&chat.tenant.client, &variant("echo", "count 1")?)?;
    automate_with(&chat.tenant, &chat.connector, &echo, &json!({}), &json!({"record": false}))?;
    chat.pipe.write("ana", "oi");
    chat.pipe.answers("ana", 1)?;
    let none = replay(&chat, &echo, &json!({"digest": digest}))?;
    ensure!(none["calls"] == 0, "{none}");
    Ok(())
}

#[test]
fn recordings_lie_encrypted_and_answer_for_the_servers_that_were_asked() -> Result<()> {
    let mut server = Server::start(options("")?)?;
    let chat = Chat::new(&server)?;
    // The answer as it is written here is in the recording and nowhere else: what becomes of it has no escapes.
    let written = r"\u0072esposta-escrita-assim";
    let body = format!(r#"{{"text": "{written}", "state": {{"lembrado": "estado-no-banco"}}}}"#);
    let service = Service::start(move |_| (200, body.clone()))?;
    let config = json!({"url": service.url("/bot"), "secret": "0123456789abcdef"});
    automate(&chat.tenant, &chat.connector, "integration-webhook", &config)?;
    chat.pipe.write("ana", "oi");
    assert_eq!(chat.pipe.answers("ana", 1)?, ["resposta-escrita-assim"]);
    let plugin = chat.tenant.client.get("/v1/plugins/integration-webhook")?.expect_json(200)?;
    let same = replay(&chat, "integration-webhook", &json!({"digest": text_of(&plugin, "active")?}))?;
    // It is called when the conversation is opened and when its answer is sent, too.
    let calls = same["calls"].as_u64().unwrap_or(0);
    ensure!((2..=3).contains(&calls) && same["same"] == calls && same["differ"] == json!([]), "{same}");
    ensure!(service.requests().len() == 1, "a replay asked the server");
    server.terminate(Duration::from_secs(30))?;
    // The search finds what is stored as it is.
    ensure!(holds(&server.data(), b"estado-no-banco")?, "the state is not found");
    ensure!(!holds(&server.data(), written.as_bytes())?, "a recording is readable");
    Ok(())
}
