//! Conversations in which no automation takes part: read, archived, deleted, and forgotten after the tenant's days.

use anyhow::{Result, ensure};
use pombo_tests::automation::conversation;
use pombo_tests::server::Server;
use pombo_tests::tenant::text_of;
use pombo_tests::wait::{PATIENCE, until};
use serde_json::{Value, json};

use crate::shared::{Chat, options};

#[test]
fn a_conversation_is_kept_without_an_automation() -> Result<()> {
    let mut server = Server::start(options("")?)?;
    let chat = Chat::new(&server)?;
    let client = chat.tenant.client.clone();
    chat.pipe.write("ana", "bom dia");
    chat.pipe.write("ana", "tem pão?");
    let shown = until("both messages", PATIENCE, || {
        let page = client.get("/v1/conversations?archived=false")?.expect_json(200)?;
        Ok((page["data"][0]["unread"] == 2).then(|| page["data"][0].clone()))
    })?;
    assert_eq!((&shown["chat"], &shown["automated"]), (&json!("ana"), &json!(false)), "{shown}");
    let at = format!("/v1/conversations/{}", text_of(&shown, "id")?);
    let open = json!({"connectorId": chat.connector, "to": "ana"});
    assert_eq!(client.post("/v1/conversations", &open)?.expect_json(200)?["id"], shown["id"], "the one that is there");

    // Nobody answers by itself, so a person may.
    client.post(&format!("{at}/messages"), &json!({"text": "tem, sim"}))?.expect(201)?;
    assert_eq!(chat.pipe.answers("ana", 1)?, ["tem, sim"]);
    let texts = |at: &str| -> Result<Vec<Value>> {
        let page = client.get(&format!("{at}/messages"))?.expect_json(200)?;
        Ok(page["data"].as_array().into_iter().flatten().map(|message| message["text"].clone()).collect())
    };
    assert_eq!(texts(&at)?, ["bom dia", "tem pão?", "tem, sim"]);

    let step = |name: &str| client.post(&format!("{at}/{name}"), &json!({}))?.expect_json(200);
    assert_eq!(step("read")?["unread"], 0);
    ensure!(client.post(&format!("{at}/unread"), &json!({}))?.expect_json(200)?["unread"] == 1);
    ensure!(client.post(&format!("{at}/archive"), &json!({}))?.expect_json(200)?["archivedAt"].is_string());
    assert_eq!(client.get("/v1/conversations?archived=false")?.expect_json(200)?["total"], 0);
    client.delete(&format!("{at}/archive"))?.expect(200)?;
    client.post(&format!("{at}/archive"), &json!({}))?.expect(200)?;

    // It comes back when she writes, also after a crash.
    server.kill()?;
    server.launch()?;
    chat.pipe.write("ana", "volto já");
    until("the conversation to come back", PATIENCE, || {
        let page = client.get("/v1/conversations?archived=false")?.expect_json(200)?;
        Ok((page["total"] == 1).then_some(()))
    })?;
    assert_eq!(texts(&at)?.len(), 4);
    let settings = client.patch("/v1/settings", &json!({"receivedDays": 30}))?.expect_json(200)?;
    assert_eq!(settings["receivedDays"], 30);

    client.delete(&at)?.expect(204)?;
    client.get(&at)?.expect(404)?;
    chat.pipe.write("ana", "oi de novo");
    until("a new conversation", PATIENCE, || {
        let page = client.get("/v1/conversations?archived=false")?.expect_json(200)?;
        Ok((page["total"] == 1).then_some(()))
    })?;
    let new = conversation(&chat.tenant, "ana")?;
    ensure!(new["id"] != shown["id"], "{new}");
    assert_eq!(texts(&format!("/v1/conversations/{}", text_of(&new, "id")?))?, ["oi de novo"]);
    Ok(())
}
