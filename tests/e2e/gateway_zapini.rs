//! The documented API on both sides: an instance behind a gateway that speaks it, served by Zapini's API. Its sends wait for the gateway,
//! its webhooks come in, and what happens is posted on.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use pombo_tests::gateway::{Script, incoming};
use pombo_tests::http::{Client, Form};
use pombo_tests::server::Server;
use pombo_tests::tenant::text_of;
use pombo_tests::wait::{PATIENCE, until};
use pombo_tests::webhook::{Receiver, jpeg};
use pombo_tests::whatsapp::{Events, connected};
use serde_json::{Value, json};

use crate::gateway::{Bench, OURS, THEIRS, staged};

/// Posts to the instance's documented addresses, as the gateway's owner would point it there.
struct Hook<'a> {
    client: Client,
    bench: &'a Bench,
    secret: String,
}

impl<'a> Hook<'a> {
    fn of(server: &Server, bench: &'a Bench) -> Result<Self> {
        let path = format!("/v1/connectors/{}/receiving", bench.connector);
        let shown = bench.tenant.client.get(&path)?.expect_json(200)?;
        Ok(Self { client: server.client(), bench, secret: text_of(&shown, "secret")? })
    }

    fn post(&self, path: &str, body: &Value) -> Result<()> {
        let path = format!("/zapini/webhooks/instance/{}/{path}?secret={}", self.bench.connector, self.secret);
        let answer = self.client.post(&path, body)?.expect_json(200)?;
        ensure!(answer["success"] == true, "{answer}");
        Ok(())
    }

    /// Somebody's reaction to a message.
    fn react(&self, to: &str, id: &str, emoji: &str) -> Result<()> {
        let jid = format!("{THEIRS}@s.whatsapp.net");
        let body = json!({
            "key": {"remoteJid": jid, "id": to, "fromMe": false},
            "reaction": {"text": emoji, "key": {"id": id}}, "senderJid": jid,
        });
        self.post("reaction", &body)
    }

    /// How far an own message came.
    fn progress(&self, id: &str, status: u64) -> Result<()> {
        let key = json!({"remoteJid": format!("{THEIRS}@s.whatsapp.net"), "id": id, "fromMe": true});
        self.post("status", &json!({"key": key, "status": status, "messageTimestamp": 1_705_312_200}))
    }
}

/// A client with a token of its own, whose requests are counted alone.
fn zapini(server: &Server, bench: &Bench) -> Result<Client> {
    let made = bench.tenant.client.post("/v1/keys", &json!({"name": "zapini"}))?.expect_json(201)?;
    Ok(server.client().bearer(&text_of(&made, "key")?))
}

#[test]
fn the_zapini_api_serves_an_instance_behind_a_gateway() -> Result<()> {
    staged(|server, bench| {
        let client = &zapini(server, bench)?;
        let sent = client.post("/zapini/send-message", &json!({"recipient": THEIRS, "message": "pela API"}))?;
        let sent = sent.expect_json(200)?;
        let call = bench.gateway.call("the text", |call| call.body["message"] == "pela API")?;
        assert_eq!(Some(text_of(&sent, "message_id")?), call.id, "{sent}");

        let mut events = Events::from_now(&bench.tenant)?;
        let hook = Hook::of(server, bench)?;
        hook.post("incoming", &incoming(THEIRS, "ZAP-TEXT", &json!({"conversation": "Hello!"})))?;
        events.message("ZAP-TEXT")?;
        hook.react("ZAP-TEXT", "ZAP-REACTION", "👍")?;
        events.message("ZAP-REACTION")?;
        let sent = client.post("/zapini/send-message", &json!({"recipient": THEIRS, "message": "lido?"}))?;
        let sent = sent.expect_json(200)?;
        hook.progress(&text_of(&sent, "message_id")?, 4)?;
        events.receipt(&text_of(&sent, "message_uuid")?, "read")?;
        hook.post("qr", &json!({"qr": "2@ZAP", "qr_image": "...", "generated_at": "2025-01-15T10:30:00Z"}))?;
        let code = client.get("/zapini/qr")?.expect_json(200)?;
        assert_eq!(code["qr"], "2@ZAP", "{code}");
        let connection = json!({"status": "connected", "phone_number": OURS, "timestamp": "2025-01-15T10:30:00Z"});
        hook.post("connection", &connection)?;
        until("the instance to be connected", PATIENCE, || {
            let status = client.get("/zapini/status")?.expect_json(200)?;
            Ok((status["status"] == "connected" && status["phone"] == OURS).then_some(()))
        })
    })
}

#[test]
fn what_a_gateway_tells_twice_counts_once() -> Result<()> {
    staged(|server, bench| {
        let (client, hook) = (&zapini(server, bench)?, Hook::of(server, bench)?);
        let mut events = Events::from_now(&bench.tenant)?;
        let told = incoming(THEIRS, "TWICE-TEXT", &json!({"conversation": "duas vezes"}));
        for _ in 0..3 {
            hook.post("incoming", &told)?;
            hook.react("TWICE-TEXT", "TWICE-REACTION", "👍")?;
        }
        let sent = client.post("/zapini/send-message", &json!({"recipient": THEIRS, "message": "uma vez"}))?;
        let sent = sent.expect_json(200)?;
        let (id, uuid) = (text_of(&sent, "message_id")?, text_of(&sent, "message_uuid")?);
        for status in [3, 3, 4, 3, 4] {
            hook.progress(&id, status)?;
        }
        events.receipt(&uuid, "read")?;
        // What comes last has nothing before it that is still on its way.
        hook.post("incoming", &incoming(THEIRS, "TWICE-LAST", &json!({"conversation": "fim"})))?;
        events.message("TWICE-LAST")?;
        let all = events.drain()?.to_vec();
        let count = |wanted: &dyn Fn(&Value) -> bool| all.iter().filter(|event| wanted(event)).count();
        for provider_id in ["TWICE-TEXT", "TWICE-REACTION"] {
            assert_eq!(count(&|e| e["data"]["providerId"] == provider_id), 1, "{provider_id}");
        }
        for kind in ["delivered", "read"] {
            let receipt = |e: &Value| {
                e["type"] == "message.receipt" && e["data"]["messageId"] == json!(uuid) && e["data"]["kind"] == kind
            };
            assert_eq!(count(&receipt), 1, "{kind}");
        }
        let listed = client.get(&format!("/zapini/chat/conversations?search={THEIRS}"))?.expect_json(200)?;
        let conversation = text_of(&listed["data"][0], "id")?;
        let page = client.get(&format!("/zapini/chat/conversations/{conversation}/messages?limit=100"))?;
        let page = page.expect_json(200)?;
        let messages = page["data"]["messages"].as_array().context("messages")?;
        let text: Vec<&Value> = messages.iter().filter(|one| one["whatsapp_message_id"] == "TWICE-TEXT").collect();
        assert_eq!(text.len(), 1, "{page}");
        assert_eq!(text[0]["grouped_reactions"][0]["count"], 1, "{page}");
        let own = messages.iter().find(|one| one["unique_id"] == json!(uuid)).context("the own one")?;
        assert_eq!(own["status"], "read", "{own}");
        Ok(())
    })
}

#[test]
fn files_reactions_and_chats_of_an_instance_behind_a_gateway() -> Result<()> {
    staged(|server, bench| {
        let (client, hook) = (&zapini(server, bench)?, Hook::of(server, bench)?);
        let receiver = Receiver::start()?;
        let at = format!("/zapini/instances/{}", bench.connector);
        let webhook = json!({"webhook_url": receiver.url("/gateway"), "webhook_secret": "s3cret"});
        client.put(&format!("{at}/webhook"), &webhook)?.expect(200)?;
        let mut events = Events::from_now(&bench.tenant)?;
        hook.post("incoming", &incoming(THEIRS, "CHAT-TEXT", &json!({"conversation": "tem foto?"})))?;
        events.message("CHAT-TEXT")?;

        // A file by its id, with its caption.
        let content = jpeg(50_000);
        let form = Form::new().file("file", "foto.jpg", "image/jpeg", &content);
        let made = form.into_request(client.request("POST", "/zapini/media/upload")).send()?.expect_json(201)?;
        let media = text_of(&made["data"], "id")?;
        let body = json!({"recipient": THEIRS, "media_id": media, "media_type": "image", "caption": "olha a foto"});
        let sent = client.post("/zapini/send-media", &body)?.expect_json(200)?;
        let call = bench.gateway.call("the file", |call| call.body["caption"] == "olha a foto")?;
        assert_eq!((call.path.as_str(), &call.body["media_type"]), ("/send-media", &json!("image")));
        assert_eq!((call.id, call.file.as_ref()), (Some(text_of(&sent, "message_id")?), Some(&content)));

        // A reaction to what the person wrote, named by WhatsApp's id alone.
        let jid = format!("{THEIRS}@s.whatsapp.net");
        let body = json!({"to": jid, "messageId": "CHAT-TEXT", "emoji": "❤️"});
        client.post("/zapini/send-reaction", &body)?.expect(200)?;
        let call = bench.gateway.call("the reaction", |call| call.body["emoji"] == "❤️")?;
        assert_eq!((call.path.as_str(), &call.body["messageId"]), ("/send-reaction", &json!("CHAT-TEXT")));
        let path = "/zapini/api/v1/chat/messages/CHAT-TEXT/reaction";
        client.post(path, &json!({"emoji": "🎉"}))?.expect(200)?;
        bench.gateway.call("the second reaction", |call| call.body["emoji"] == "🎉")?;

        // The chat API: a text, a file, the history; what the gateway's API cannot do is said.
        let body = json!({"instance_id": bench.connector, "recipient": THEIRS, "message": "pelo chat"});
        let said = client.post("/zapini/api/v1/chat/send", &body)?.expect_json(200)?["data"]["message"].clone();
        bench.gateway.call("the text", |call| call.body["message"] == "pelo chat")?;
        let body = json!({
            "instance_id": bench.connector, "recipient": THEIRS, "media_id": media, "media_type": "document",
            "filename": "planta.jpg"
        });
        let shown = client.post("/zapini/chat/send-media", &body)?.expect_json(200)?["data"]["message"].clone();
        assert_eq!((&shown["media_type"], &shown["status"]), (&json!("document"), &json!("sent")));
        let message = format!("/zapini/chat/messages/{}", text_of(&said, "unique_id")?);
        for refused in [client.patch(&message, &json!({"message": "outra"}))?, client.delete(&message)?] {
            assert_eq!(refused.expect_json(422)?["error"]["code"], "UNSUPPORTED");
        }
        let listed = client.get("/zapini/api/v1/chat/conversations?per_page=100")?.expect_json(200)?;
        let mut chats = listed["data"].as_array().into_iter().flatten();
        let chat = chats.find(|chat| chat["contact_number"] == THEIRS).context("the conversation")?;
        assert_eq!(chat["instance"]["uuid"], json!(bench.connector), "{chat}");
        let chat = format!("/zapini/api/v1/chat/conversations/{}", text_of(chat, "id")?);
        let page = client.get(&format!("{chat}/messages?limit=100"))?.expect_json(200)?;
        let messages = page["data"]["messages"].as_array().context("messages")?;
        let theirs = messages.iter().find(|one| one["whatsapp_message_id"] == "CHAT-TEXT").context("theirs")?;
        assert_eq!(theirs["grouped_reactions"][0]["emoji"], "🎉", "{theirs}");
        client.post(&format!("{chat}/mark-read"), &json!({}))?.expect(200)?;
        assert_eq!(client.get(&chat)?.expect_json(200)?["data"]["unread_count"], 0);

        // What the gateway refuses is said, and names the instance.
        let no = json!({"success": false, "error": {"code": "INVALID_RECIPIENT", "message": "no such number"}});
        bench.gateway.script(Script::Answer(422, no));
        let refused = client.post("/zapini/send-message", &json!({"recipient": THEIRS, "message": "não vai"}))?;
        let refused = refused.expect_json(422)?["error"].clone();
        assert_eq!(refused["code"], "INVALID_RECIPIENT", "{refused}");
        assert_eq!(refused["details"]["instance_id"], json!([bench.connector]), "{refused}");

        // Everything is told once: what came, what went, how far it came, and that the instance was away.
        hook.progress(&text_of(&said, "whatsapp_message_id")?, 4)?;
        hook.post("connection", &json!({"status": "disconnected"}))?;
        pombo_tests::whatsapp::session(&bench.tenant, &bench.connector, "DISCONNECTED")?;
        hook.post("connection", &json!({"status": "connected", "phone_number": OURS}))?;
        connected(&bench.tenant, &bench.connector)?;
        let told = |event: &str| -> Vec<Value> {
            let all = receiver.received("/gateway");
            let all = all.iter().filter(|one| one.header("x-webhook-event") == event);
            all.map(|one| one.json()["data"].clone()).collect()
        };
        until("the webhook to be told everything", PATIENCE, || {
            let read = told("message.status").iter().any(|data| data["new_status"] == "read");
            Ok((read && !told("instance.connected").is_empty()).then_some(()))
        })?;
        let contents = |event: &str| told(event).iter().map(|data| data["content"].clone()).collect::<Vec<_>>();
        assert_eq!(contents("message.received"), ["tem foto?"]);
        assert_eq!(contents("message.sent"), [json!("olha a foto"), json!("pelo chat"), json!("")]);
        let kinds: Vec<Value> = told("message.sent").iter().map(|data| data["media_type"].clone()).collect();
        assert_eq!(kinds, [json!("image"), Value::Null, json!("document")]);
        for event in ["instance.disconnected", "instance.connected"] {
            assert_eq!(told(event).len(), 1, "{event}: {:?}", told(event));
        }
        let steps: Vec<String> = told("message.status")
            .iter()
            .map(|data| format!("{} {}", data["message_id"], data["new_status"]))
            .collect();
        let different: BTreeSet<&String> = steps.iter().collect();
        assert_eq!(different.len(), steps.len(), "{steps:?}");
        client
            .put(&format!("{at}/webhook"), &json!({"webhook_url": receiver.url("/gateway"), "is_active": false}))?
            .expect(200)?;
        Ok(())
    })
}
