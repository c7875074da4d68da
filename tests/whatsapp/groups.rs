//! Groups: made, changed, written to and left through the API, seen by their members.

use anyhow::{Result, ensure};
use pombo_tests::http::encode;
use pombo_tests::tenant::text_of;
use pombo_tests::whatsapp::Events;
use serde_json::json;

use crate::shared::{number, pair};

#[test]
fn a_group_lives_through_the_api() -> Result<()> {
    let (stage, pair) = pair()?;
    let (whatsapp, client) = (&stage.whatsapp, &pair.tenant.client);
    let third = number();
    whatsapp.register(&third)?;
    let third_peer = whatsapp.peer(&third)?;
    let mut events = Events::from_now(&pair.tenant)?;
    let groups = format!("/v1/connectors/{}/groups", pair.connector);

    let made = client.post(&groups, &json!({"subject": "Obra", "members": [pair.theirs]}))?.expect_json(201)?;
    let id = text_of(&made, "id")?;
    assert_eq!((&made["subject"], made["members"].as_array().map(Vec::len)), (&json!("Obra"), Some(2)), "{made}");
    let group = format!("{groups}/{}", encode(&id));
    let jid = id.parse()?;

    let (_, provider_id) = pair.send(&json!({"to": id, "text": "bom dia, grupo"}))?;
    let got = whatsapp.wait(pair.peer.message(&provider_id))?;
    assert_eq!((got.group, got.text.as_deref()), (true, Some("bom dia, grupo")));

    let theirs = whatsapp.wait(pair.peer.send_text(&jid, "bom dia"))?;
    let event = events.message(&theirs)?;
    assert_eq!((&event["chat"], &event["sender"], &event["isGroup"]), (&json!(id), &json!(pair.theirs), &json!(true)));

    client.patch(&group, &json!({"subject": "Obra nova", "description": "Rua A"}))?.expect(204)?;
    let change = |step: &str, who: &str| -> Result<serde_json::Value> {
        client.post(&format!("{group}/members"), &json!({step: [who]}))?.expect_json(200)
    };
    change("add", &third)?;
    change("promote", &third)?;
    let seen = client.get(&group)?.expect_json(200)?;
    assert_eq!((&seen["subject"], &seen["description"]), (&json!("Obra nova"), &json!("Rua A")), "{seen}");
    let member = seen["members"].as_array().and_then(|m| m.iter().find(|m| m["address"] == third.as_str())).cloned();
    ensure!(member.is_some_and(|m| m["admin"] == true), "{seen}");
    let (_, provider_id) = pair.send(&json!({"to": id, "text": "bem-vinda"}))?;
    assert_eq!(whatsapp.wait(third_peer.message(&provider_id))?.text.as_deref(), Some("bem-vinda"));
    change("demote", &third)?;
    change("remove", &third)?;

    let invite = client.get(&format!("{group}/invite"))?.expect_json(200)?;
    ensure!(invite.to_string().contains("https://chat.whatsapp.com/"), "{invite}");
    let renewed = client.post(&format!("{group}/invite/revoke"), &json!({}))?.expect_json(200)?;
    ensure!(renewed["link"].is_string() && renewed["link"] != invite["link"], "{renewed} after {invite}");
    assert_eq!(client.get(&format!("{group}/invite"))?.expect_json(200)?, renewed);
    let listed = client.get(&groups)?.expect_json(200)?;
    ensure!(listed.to_string().contains(&id), "{listed}");

    whatsapp.wait(pair.peer.leave(&jid))?;
    events.expect("the member's leaving", |e| {
        e["type"] == "group.changed" && e["data"]["change"] == "removed" && e["data"]["group"] == id.as_str()
    })?;
    client.delete(&group)?.expect(204)?;
    let gone = client.get(&groups)?.expect_json(200)?;
    ensure!(!gone.to_string().contains(&id), "{gone}");
    Ok(())
}

#[test]
fn what_an_e_mail_connector_cannot_do_is_said() -> Result<()> {
    let stage = crate::shared::stage()?;
    let tenant = pombo_tests::tenant::Tenant::create(&stage.server)?;
    let connector = tenant.connector("connector-email", &pombo_tests::tenant::email_config(1))?;
    for path in ["groups", "session"] {
        let reply = tenant.client.get(&format!("/v1/connectors/{connector}/{path}"))?;
        ensure!((200..500).contains(&reply.status), "{path}: {reply:?}");
    }
    let reply =
        tenant.client.post(&format!("/v1/connectors/{connector}/groups"), &json!({"subject": "x", "members": []}))?;
    ensure!((400..500).contains(&reply.status), "{reply:?}");
    ensure!(reply.text().contains("unsupported") || reply.text().contains("not offer"), "{reply:?}");
    Ok(())
}
