//! A day of a shop on the Zapini API, over the simulator: contacts are imported and tagged, an automation answers, a person takes
//! over, and everything is told to a webhook once.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use pombo_tests::automation::automate;
use pombo_tests::http::{Client, Reply};
use pombo_tests::tenant::text_of;
use pombo_tests::wait::{PATIENCE, until};
use pombo_tests::webhook::Receiver;
use pombo_whatsapp_sim::peer::Kind;
use serde_json::{Value, json};

use crate::shared::pair;

/// A client of the facade.
struct Zapini(Client);

impl Zapini {
    fn ask(&self, method: &str, path: &str, body: &Value, status: u16) -> Result<Value> {
        let request = self.0.request(method, &format!("/zapini{path}"));
        let answer = if body.is_null() { request.send() } else { request.json(body).send() };
        let answer = answer?.expect_json(status)?;
        ensure!(answer["success"] == true, "{method} {path}: {answer}");
        Ok(answer)
    }
    fn get(&self, path: &str) -> Result<Value> {
        self.ask("GET", path, &Value::Null, 200)
    }
    fn post(&self, path: &str, body: &Value) -> Result<Value> {
        self.ask("POST", path, body, 200)
    }
    fn delete(&self, path: &str) -> Result<Value> {
        self.ask("DELETE", path, &Value::Null, 200)
    }
    fn file(&self, path: &str) -> Result<Reply> {
        self.0.get(&format!("/zapini{path}"))?.expect(200)
    }
}

#[test]
fn a_day_at_the_shop() -> Result<()> {
    let (stage, pair) = pair()?;
    let zapini = Zapini(stage.server.client().bearer(&pair.tenant.key));
    let (whatsapp, receiver) = (&stage.whatsapp, Receiver::start()?);
    let chat = format!("{}@s.whatsapp.net", pair.ours).parse()?;
    let webhook = json!({"webhook_url": receiver.url("/day"), "webhook_secret": "s3cret"});
    zapini.ask("PUT", &format!("/instances/{}/webhook", pair.connector), &webhook, 200)?;

    // The morning: contacts and tags.
    let mut rows: Vec<Value> =
        (0..999).map(|n| json!({"phone_number": format!("55219{:08}", n), "name": format!("Cliente {n}")})).collect();
    rows.push(json!({"phone_number": pair.theirs, "name": "=Ana", "company": "Padaria"}));
    let import = json!({"instance_id": pair.connector, "contacts": rows});
    assert_eq!(
        zapini.post("/contacts/import", &import)?["data"],
        json!({"imported": 1000, "skipped": 0, "errors": []})
    );
    let found = zapini.get("/contacts?search=Ana&per_page=10")?;
    let ana = found["data"][0]["id"].clone();
    assert_eq!((&found["meta"]["pagination"]["total"], &found["data"][0]["name"]), (&json!(1), &json!("=Ana")));
    let contact = format!("/contacts/{ana}");
    zapini.ask("PATCH", &contact, &json!({"notes": "compra às sextas"}), 200)?;
    assert_eq!(zapini.get(&contact)?["data"]["contact"]["notes"], "compra às sextas");
    let new = json!({"instance_id": pair.connector, "phone_number": "5521988887777", "name": "Zé"});
    let made = zapini.ask("POST", "/contacts", &new, 201)?["data"]["contact"]["id"].clone();
    zapini.delete(&format!("/contacts/{made}"))?;
    let tag = |name: &str| -> Result<String> {
        let made = zapini.ask("POST", "/tags", &json!({"name": name, "color": "#ef4444"}), 201)?;
        text_of(&made["data"]["tag"], "id")
    };
    let (vip, late) = (tag("VIP")?, tag("atrasado")?);
    zapini.ask("PATCH", &format!("/tags/{vip}"), &json!({"name": "cliente VIP"}), 200)?;
    assert_eq!(zapini.get(&format!("/tags/{vip}"))?["data"]["tag"]["name"], "cliente VIP");
    zapini.delete(&format!("/tags/{late}"))?;

    // Ana writes, and an automation answers.
    let flow = json!({"flow": {"start": "a", "personWords": ["atendente"], "steps": {
        "a": {"type": "question", "text": "Como posso ajudar?", "variable": "x", "next": "e"},
        "e": {"type": "end", "text": "ok"}}}});
    automate(&pair.tenant, &pair.connector, "flow", &flow)?;
    whatsapp.wait(pair.peer.send_text(&chat, "oi"))?;
    assert_eq!(whatsapp.wait(pair.peer.next_message())?.text.as_deref(), Some("Como posso ajudar?"));
    let listed = zapini.get("/conversations?include_tags=true")?;
    let conversation = listed["data"][0].clone();
    ensure!(listed["data"].as_array().is_some_and(|all| all.len() == 1), "{listed}");
    let id = text_of(&conversation, "id")?;
    assert_eq!((&conversation["display_name"], &conversation["unread_count"]), (&json!("=Ana"), &json!(1)));
    let at = format!("/conversations/{id}");
    let text = json!({"recipient": pair.theirs, "message": "aqui é o Zé"});
    let refused = zapini.0.post("/zapini/send-message", &text)?.expect_json(403)?;
    assert_eq!(refused["error"]["code"], "AUTOMATION_ACTIVE");

    // A person takes over and answers; the text is not a template.
    zapini.post(&format!("{at}/automation/pause"), &json!({"reason": "venda grande"}))?;
    let text = json!({"recipient": pair.theirs, "message": "{Oi|Olá} {{ nome }}, *tudo bem*?"});
    let sent = zapini.post("/send-message", &text)?;
    let arrived = whatsapp.wait(pair.peer.next_message())?;
    assert_eq!(arrived.text.as_deref(), text["message"].as_str());
    assert_eq!(sent["message_id"], json!(arrived.id));
    // And with a picture, fetched from the shop's own server.
    let picture = json!({
        "recipient": pair.theirs, "media_url": receiver.url("/image/9000/bolo.jpg"), "media_type": "image",
        "caption": "saiu do forno"
    });
    let shown = zapini.post("/send-media", &picture)?;
    let arrived = whatsapp.wait(pair.peer.next_message())?;
    assert_eq!((arrived.kind, arrived.text.as_deref()), (Kind::Image, Some("saiu do forno")));
    assert_eq!(shown["message_id"], json!(arrived.id));
    let asked = whatsapp.wait(pair.peer.send_text(&chat, "tudo, e o pedido?"))?;
    let unread = || -> Result<Value> { Ok(zapini.get(&at)?["data"]["unread_count"].clone()) };
    // Asked of the control API, because a token has only so many requests here.
    until("the second message", PATIENCE, || {
        let shown = pair.tenant.client.get(&format!("/v1/conversations/{id}"))?.expect_json(200)?;
        Ok((shown["unread"] == 2).then_some(()))
    })?;
    let reaction = json!({"to": format!("{}@s.whatsapp.net", pair.theirs), "messageId": asked, "emoji": "👍"});
    zapini.post("/send-reaction", &reaction)?;
    let reacted = whatsapp.wait(pair.peer.next_message())?;
    assert_eq!((reacted.kind, reacted.text.as_deref()), (Kind::Reaction, Some("👍")));
    zapini.post(&format!("{at}/mark-read"), &json!({}))?;
    assert_eq!(unread()?, 0);
    whatsapp.wait(pair.peer.receipt(&asked, "read"))?;

    // The chat API shows the same.
    let tagged = zapini.ask("PUT", &format!("{at}/tags"), &json!({"tag_ids": [vip]}), 200)?;
    ensure!(tagged.to_string().contains("cliente VIP"), "{tagged}");
    assert_eq!(zapini.get("/tags")?["data"]["tags"][0]["conversations_count"], 1);
    let chats = zapini.get(&format!("/api/v1/chat/conversations?tag_ids={vip}"))?;
    assert_eq!(chats["data"][0]["tags"][0]["name"], "cliente VIP", "{chats}");
    let chat_at = format!("/api/v1/chat/conversations/{id}");
    zapini.get(&chat_at)?;
    let body = json!({"instance_id": pair.connector, "recipient": pair.theirs, "message": "sai <hoje>"});
    let said = zapini.post("/api/v1/chat/send", &body)?["data"]["message"].clone();
    let arrived = whatsapp.wait(pair.peer.next_message())?;
    assert_eq!((arrived.text.as_deref(), &said["formatted_body"]), (Some("sai <hoje>"), &json!("sai &lt;hoje&gt;")));
    // It is changed at once: a webhook shows what was said, whenever it is told.
    let message = format!("/api/v1/chat/messages/{}", text_of(&said, "unique_id")?);
    zapini.post(&format!("{message}/reaction"), &json!({"emoji": "🎉"}))?;
    zapini.delete(&format!("{message}/reaction"))?;
    zapini.ask("PATCH", &message, &json!({"message": "sai amanhã"}), 200)?;
    zapini.delete(&message)?;
    let kinds = [Kind::Reaction, Kind::Reaction, Kind::Edit, Kind::Revoke];
    for kind in kinds {
        assert_eq!(whatsapp.wait(pair.peer.next_message())?.kind, kind);
    }
    let history = zapini.get(&format!("{chat_at}/messages?limit=100"))?["data"].clone();
    let texts: Vec<&Value> =
        history["messages"].as_array().into_iter().flatten().map(|shown| &shown["message_body"]).collect();
    assert_eq!(
        texts,
        ["oi", "Como posso ajudar?", "{Oi|Olá} {{ nome }}, *tudo bem*?", "saiu do forno", "tudo, e o pedido?", ""]
    );
    let row = |n: usize| &history["messages"][n];
    assert_eq!((&row(3)["media_type"], row(3)["media_url"].is_string()), (&json!("image"), true), "{history}");
    assert_eq!(row(4)["grouped_reactions"][0]["emoji"], "👍", "{history}");
    assert_eq!(row(5)["is_deleted"], true, "{history}");
    let plain = zapini.get(&format!("{at}/messages?before_id={}", history["newest_id"]))?["data"].clone();
    assert_eq!(plain["messages"].as_array().map(Vec::len), Some(5), "{plain}");
    zapini.post(&format!("{chat_at}/mark-read"), &json!({}))?;

    // The evening: archived, handed back to the automation, exported.
    zapini.post(&format!("{chat_at}/archive"), &json!({}))?;
    assert_eq!(zapini.get("/conversations")?["data"], json!([]));
    assert_eq!(zapini.get("/conversations/archived")?["data"][0]["id"], json!(id));
    zapini.delete(&format!("{chat_at}/archive"))?;
    zapini.post(&format!("{at}/archive"), &json!({}))?;
    zapini.delete(&format!("{at}/archive"))?;
    zapini.post(&format!("{at}/archive"), &json!({}))?;
    zapini.post(&format!("{at}/automation/resume"), &json!({}))?;
    assert_eq!(zapini.get(&at)?["data"]["automation_status"], "active");
    let stats = zapini.get(&format!("/instances/{}/stats", pair.connector))?;
    ensure!(stats.to_string().contains("\"messages_sent_today\":"), "{stats}");
    let csv = zapini.file("/contacts/export?format=csv")?.text();
    ensure!(csv.lines().count() == 1_001 && csv.contains("'=Ana") && !csv.contains("+55"), "{}", &csv[..200]);
    assert_eq!(zapini.get("/contacts/export?format=json")?["data"].as_array().map(Vec::len), Some(1_000));

    // Night: the shop's phone is taken off and put on again.
    let own = &pair.tenant;
    zapini.post(&format!("/instances/{}/disconnect", pair.connector), &json!({}))?;
    whatsapp.pair(own, &pair.connector, &pair.ours)?;

    // Each message was told once, in its order; so was how far each came, and each change of the instance.
    let told = |event: &str| -> Vec<Value> {
        let all = receiver.received("/day");
        let all = all.iter().filter(|one| one.header("x-webhook-event") == event);
        all.map(|one| one.json()["data"].clone()).collect()
    };
    let deliveries = format!("/v1/connectors/{}/webhook/deliveries?limit=250", pair.connector);
    until("everything to be told", PATIENCE, || {
        let page = own.client.get(&deliveries)?.expect_json(200)?;
        let waits = page["data"].as_array().into_iter().flatten().any(|post| post["status"] == "PENDING");
        // A delivery is told when the other side's phone says so, which may be last.
        let steps = told("message.status");
        let arrived = told("message.sent").iter().all(|sent| {
            steps.iter().any(|step| step["message_id"] == sent["message_id"] && step["new_status"] == "delivered")
        });
        Ok((!waits && arrived && !told("instance.connected").is_empty()).then_some(()))
    })?;
    let steps: Vec<String> =
        told("message.status").iter().map(|data| format!("{} {}", data["message_id"], data["new_status"])).collect();
    let different: BTreeSet<&String> = steps.iter().collect();
    assert_eq!(different.len(), steps.len(), "{steps:?}");
    for sent in told("message.sent") {
        // Where the delivery is told before the sending is stored, it is the first step.
        let step = format!("{} \"delivered\"", sent["message_id"]);
        ensure!(steps.contains(&step), "{step} is not among {steps:?}");
    }
    for event in ["instance.disconnected", "instance.connected"] {
        assert_eq!(told(event).len(), 1, "{event}: {:?}", told(event));
    }
    let codes = told("instance.qr");
    let texts: BTreeSet<String> = codes.iter().map(|data| data["qr"].to_string()).collect();
    ensure!(!codes.is_empty() && texts.len() == codes.len(), "{} codes, {} different", codes.len(), texts.len());
    let contents = |event: &str| told(event).iter().map(|data| data["content"].clone()).collect::<Vec<_>>();
    assert_eq!(contents("message.received"), ["oi", "tudo, e o pedido?"]);
    let sent = ["Como posso ajudar?", "{Oi|Olá} {{ nome }}, *tudo bem*?", "saiu do forno", "sai <hoje>"];
    assert_eq!(contents("message.sent"), sent);
    let ids: BTreeSet<String> = told("message.sent").iter().map(|data| data["message_id"].to_string()).collect();
    assert_eq!(ids.len(), 4);

    zapini.delete(&at)?;
    zapini.0.get(&format!("/zapini{at}"))?.expect(404)?;
    Ok(())
}
