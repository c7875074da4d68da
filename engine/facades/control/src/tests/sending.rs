//! One message, and what is done about others.

use std::collections::BTreeMap;

use poem::Request;
use pombo_domain::model::message::{MessageAction, Target};
use pombo_domain::model::{
    Contact, ContactType, EventBody, Inbound, InboundContent, MessageOptions, NotDelivered, Reached, Receipts, Status,
    StoredMessage,
};
use pombo_domain::ports::{Batch, Change, Store};
use pombo_domain::{MessageKey, Timestamp, ids};
use pombo_testkit::samples;
use serde_json::{Value, json};
use uuid::Uuid;

use super::support::{Caller, Engine, Refused};

fn received(provider_id: &str, content: InboundContent) -> EventBody {
    let chat = "120363000000000000@g.us".to_owned();
    EventBody::Message(Inbound { chat, is_group: true, content, ..samples::inbound("5511988887777", provider_id) })
}

fn stored(engine: &Engine, caller: &Caller, answer: &Value) -> StoredMessage {
    let id: Uuid = answer["id"].as_str().expect("an id").parse().expect("a UUID");
    engine.world.store.message_by_id(caller.tenant.index, id).expect("reads").expect("it was stored")
}

fn key_of(caller: &Caller, answer: &Value) -> MessageKey {
    let id = answer["id"].as_str().expect("an id").parse().expect("a UUID");
    MessageKey { tenant: caller.tenant.index, serial: ids::message_serial(id).expect("a message's") }
}

/// The channel has it.
fn sent(engine: &Engine, caller: &Caller, answer: &Value, provider_id: &str) {
    engine.world.store.force(key_of(caller, answer), |state| {
        state.status = Status::Sent;
        state.provider_id = Some(provider_id.to_owned());
    });
}

fn target(provider_id: &str, sender: Option<&str>, text: Option<&str>) -> Target {
    let own = str::to_owned;
    Target { provider_id: own(provider_id), sender: sender.map(own), text: text.map(own) }
}

#[tokio::test]
async fn a_message_goes_into_the_queue_with_all_that_it_asks_for() {
    let engine = Engine::new().await;
    let (id, index) = engine.chat(&engine.a).await;
    let path = format!("/v1/connectors/{id}/messages");
    engine.append(&engine.a, index, received("R1", InboundContent::Text("quanto custa?".to_owned()))).await;
    let file = upload(&engine, &engine.a, "voz.ogg", "audio/ogg", b"OggS").await.expect(201);
    let body = json!({
        "to": "+5511988887777", "text": "Oi @5511977776666, {{ nome }}", "subject": "S", "contactName": "Ana",
        "messageType": "SUPPORT", "mentions": ["+5511977776666"], "replyTo": {"event": 1}, "voiceNote": true,
        "attachments": [{"id": file["id"], "fileName": file["fileName"], "contentType": file["contentType"]}],
        "priority": 9, "scheduledAt": "2030-02-01T10:00:00-03:00", "webhookUrl": "http://loja.com/hook",
        "externalId": "P-1", "forceDirect": true, "notes": "n", "variables": {"nome": "Ana", "n": 2}
    });
    let made = engine.post(&engine.a, &path, body).await.expect(201);
    assert_eq!((&made["status"], &made["scheduledAt"]), (&json!("WAITING"), &json!("2030-02-01T13:00:00.000Z")));
    assert_eq!(made["replyTo"], json!({"providerId": "R1", "sender": "5511988887777"}));
    assert_eq!((&made["mentions"], &made["voiceNote"]), (&json!(["5511977776666"]), &json!(true)));
    assert_eq!(made["attachments"][0]["size"], 4);
    let content = stored(&engine, &engine.a, &made).message.content;
    assert_eq!((content.to.as_str(), content.priority, content.force_direct), ("5511988887777", 9, true));
    let reply_to = Some(target("R1", Some("5511988887777"), Some("quanto custa?")));
    let mentions = vec!["5511977776666".to_owned()];
    let options = MessageOptions { reply_to, mentions, voice_note: true, ..MessageOptions::default() };
    assert_eq!(content.options, options);
    assert_eq!(content.attachments[0].file_name, "voz.ogg");

    let wordless = json!({"to": "5511988887777", "attachments": [{"id": file["id"]}]});
    let wordless = engine.post(&engine.a, &path, wordless).await.expect(201);
    assert_eq!(
        (&wordless["message"], &wordless["attachments"][0]["contentType"]),
        (&json!(""), &json!("application/octet-stream"))
    );
    let plain = engine.post(&engine.a, &path, json!({"to": "120363000000000000@g.us", "text": "a todos"})).await;
    let plain = plain.expect(201);
    for absent in ["act", "replyTo", "mentions", "voiceNote", "receipts"] {
        assert!(plain.get(absent).is_none(), "{absent}");
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_message_is_named() {
    let engine = Engine::new().await;
    let (id, index) = engine.chat(&engine.a).await;
    let path = format!("/v1/connectors/{id}/messages");
    engine.append(&engine.a, index, received("R1", InboundContent::Revoke("R0".to_owned()))).await;
    let theirs = upload(&engine, &engine.b, "x.png", "image/png", b"x").await.expect(201);
    for (changes, fields) in [
        (json!({"to": ""}), vec!["to"]),
        (json!({"to": "ana"}), vec!["to"]),
        (json!({"to": null}), vec!["to"]),
        (json!({"text": null}), vec!["text"]),
        (json!({"text": "{{ x }}"}), vec!["text"]),
        (json!({"priority": 11}), vec!["priority"]),
        (json!({"priority": "5"}), vec!["priority"]),
        (json!({"scheduledAt": "amanhã"}), vec!["scheduledAt"]),
        (json!({"webhookUrl": "http://forbidden/"}), vec!["webhookUrl"]),
        (json!({"mentions": ["5511988887777", "ana"]}), vec!["mentions[1]"]),
        (json!({"replyTo": {}}), vec!["replyTo"]),
        (json!({"replyTo": {"event": 1, "providerId": "x"}}), vec!["replyTo"]),
        (json!({"replyTo": {"event": 1}}), vec!["replyTo"]),
        (json!({"replyTo": {"event": 1, "sender": "1"}}), vec!["replyTo.sender"]),
        (json!({"replyTo": {"providerId": "a b"}}), vec!["replyTo.providerId"]),
        (json!({"attachments": [{"id": theirs["id"]}]}), vec!["attachments[0].id"]),
        (
            json!({"attachments": [{"id": theirs["id"], "fileName": "a/b", "contentType": "x"}]}),
            vec!["attachments[0].fileName", "attachments[0].contentType", "attachments[0].id"],
        ),
        (json!({"variables": {"x": []}}), vec!["variables.x"]),
        (json!({"voz": true}), vec!["voz"]),
    ] {
        let mut body = json!({"to": "5511988887777", "text": "Oi"});
        for (name, value) in changes.as_object().expect("an object") {
            body[name] = value.clone();
        }
        assert_eq!(engine.post(&engine.a, &path, body).await.error(400).1, fields, "{changes}");
    }
    let answer = |reply: Value| {
        let (engine, path) = (&engine, &path);
        async move { engine.post(&engine.a, path, json!({"to": "5511988887777", "text": "Oi", "replyTo": reply})).await }
    };
    assert_eq!(answer(json!({"event": 9})).await.error(404).0, "not_found");
    assert_eq!(answer(json!({"messageId": Uuid::nil()})).await.error(404).0, "not_found");
}

#[tokio::test]
async fn a_repeated_request_makes_one_message() {
    let engine = Engine::new().await;
    let (id, _) = engine.chat(&engine.a).await;
    let path = format!("/v1/connectors/{id}/messages");
    let headers = [("x-api-key", engine.a.key.as_str()), ("idempotency-key", "k1")];
    let send = |text: &str| engine.ask("POST", &path, &headers, Some(json!({"to": "5511988887777", "text": text})));
    let first = send("Oi").await.expect(201);
    assert_eq!(send("Oi").await.expect(201)["id"], first["id"]);
    assert_eq!(send("Olá").await.error(409).0, "conflict");
    assert_eq!(engine.get(&engine.a, "/v1/messages").await.expect(200)["meta"]["total"], 1);
    for bad in ["k 1", "até"] {
        let headers = [("x-api-key", engine.a.key.as_str()), ("idempotency-key", bad)];
        let refused = engine.ask("POST", &path, &headers, Some(json!({"to": "5511988887777", "text": "Oi"}))).await;
        assert_eq!(refused.error(400).1, ["Idempotency-Key"], "{bad}");
    }
}

#[tokio::test]
async fn a_deletion_without_a_body_is_the_same_request_as_one_with_an_empty_object() {
    let engine = Engine::new().await;
    let (id, _) = engine.chat(&engine.a).await;
    let body = json!({"to": "5511988887777", "text": "Oi"});
    let first = engine.post(&engine.a, &format!("/v1/connectors/{id}/messages"), body).await.expect(201);
    sent(&engine, &engine.a, &first, "3EB0");
    let path = format!("/v1/messages/{}/revoke", first["id"].as_str().expect("an id"));
    let headers = [("x-api-key", engine.a.key.as_str()), ("idempotency-key", "k1")];
    let made = engine.ask("POST", &path, &headers, None).await.expect(201);
    assert_eq!(engine.ask("POST", &path, &headers, Some(json!({}))).await.expect(201)["id"], made["id"]);
    assert_eq!(engine.ask("POST", &path, &headers, None).await.expect(201)["id"], made["id"]);
    let other = engine.ask("POST", &path, &headers, Some(json!({"forceDirect": true}))).await;
    assert_eq!(other.error(409).0, "conflict");
}

#[tokio::test]
async fn a_sent_message_is_reacted_to_edited_and_deleted_by_messages_of_their_own() {
    let engine = Engine::new().await;
    let (id, _) = engine.chat(&engine.a).await;
    let body = json!({"to": "5511988887777", "text": "Oi {{ nome }}", "variables": {"nome": "Ana"}});
    let first = engine.post(&engine.a, &format!("/v1/connectors/{id}/messages"), body).await.expect(201);
    let path = format!("/v1/messages/{}", first["id"].as_str().expect("an id"));
    let early = engine.post(&engine.a, &format!("{path}/reactions"), json!({"emoji": "👍"})).await;
    assert_eq!(early.error(409).0, "conflict", "the channel does not have it yet");
    sent(&engine, &engine.a, &first, "3EB0");

    let quoted = || target("3EB0", None, Some("Oi Ana"));
    for (step, body, action, text) in [
        ("reactions", json!({"emoji": "👍"}), MessageAction::React(quoted()), "👍"),
        ("reactions", json!({"emoji": ""}), MessageAction::React(quoted()), ""),
        ("edit", json!({"text": "Olá"}), MessageAction::Edit(quoted()), "Olá"),
        ("revoke", json!({"externalId": "E"}), MessageAction::Revoke(quoted()), ""),
    ] {
        let made = engine.post(&engine.a, &format!("{path}/{step}"), body).await.expect(201);
        let content = stored(&engine, &engine.a, &made).message.content;
        assert_eq!((content.options.action, content.text.as_str()), (action, text), "{step}");
        assert_eq!((content.to.as_str(), content.priority), ("5511988887777", 10));
        assert_eq!(made["act"]["message"], json!({"providerId": "3EB0"}));
    }
    let of_an_act = engine.get(&engine.a, "/v1/messages?limit=1").await.expect(200)["data"][0].clone();
    sent(&engine, &engine.a, &of_an_act, "3EB1");
    let again = format!("/v1/messages/{}/revoke", of_an_act["id"].as_str().expect("an id"));
    let key = [("x-api-key", engine.a.key.as_str())];
    assert_eq!(engine.ask("POST", &again, &key, None).await.error(409).0, "conflict");

    assert_eq!(engine.post(&engine.a, &format!("{path}/edit"), json!({"text": " "})).await.error(400).1, ["text"]);
    assert_eq!(
        engine.post(&engine.a, &format!("{path}/edit"), json!({"text": "{{ x }}"})).await.error(400).1,
        ["text"]
    );
    let long = json!({"emoji": "a".repeat(65)});
    assert_eq!(engine.post(&engine.a, &format!("{path}/reactions"), long).await.error(400).1, ["emoji"]);
}

#[tokio::test]
async fn a_received_message_is_named_by_its_event_or_by_the_channels_id() {
    let engine = Engine::new().await;
    let (id, index) = engine.chat(&engine.a).await;
    engine.append(&engine.a, index, received("R1", InboundContent::Text("oi".to_owned()))).await;
    let react = format!("/v1/connectors/{id}/reactions");
    let by_event = engine.post(&engine.a, &react, json!({"emoji": "❤️", "message": {"event": 1}})).await.expect(201);
    let content = stored(&engine, &engine.a, &by_event).message.content;
    assert_eq!(content.to, "120363000000000000@g.us");
    assert_eq!(content.options.action, MessageAction::React(target("R1", Some("5511988887777"), Some("oi"))));

    let named = json!({"providerId": "R9", "sender": "5511988887777"});
    let revoke = format!("/v1/connectors/{id}/revoke");
    let body = json!({"message": named, "chat": "120363000000000000@g.us"});
    let revoked = engine.post(&engine.a, &revoke, body).await.expect(201);
    let content = stored(&engine, &engine.a, &revoked).message.content;
    assert_eq!(content.options.action, MessageAction::Revoke(target("R9", Some("5511988887777"), None)));

    let no_chat = engine.post(&engine.a, &revoke, json!({"message": named})).await;
    assert_eq!(no_chat.error(400).1, ["chat"]);
    let other_chat = json!({"emoji": "x", "message": {"event": 1}, "chat": "5511900000000"});
    assert_eq!(engine.post(&engine.a, &react, other_chat).await.error(400).1, ["chat"]);
    let (theirs, _) = engine.chat(&engine.b).await;
    let path = format!("/v1/connectors/{theirs}/reactions");
    let not_theirs = engine.post(&engine.b, &path, json!({"emoji": "x", "message": {"event": 1}})).await;
    assert_eq!(not_theirs.error(404).0, "not_found", "an event is of its own tenant");
}

#[tokio::test]
async fn what_a_plugin_does_not_declare_is_refused_before_anything_is_stored() {
    let engine = Engine::new().await;
    let id = engine.connector(&engine.a).await;
    let first = engine.message(&engine.a, &id, false).await;
    let connector = format!("/v1/connectors/{id}");
    let message = format!("/v1/messages/{first}");
    let named = json!({"providerId": "x"});
    for (path, body) in [
        (format!("{connector}/messages"), json!({"to": "a@b.com", "text": "x", "replyTo": named})),
        (format!("{connector}/messages"), json!({"to": "a@b.com", "text": "x", "mentions": ["a@b.com"]})),
        (format!("{connector}/messages"), json!({"to": "a@b.com", "text": "x", "voiceNote": true})),
        (format!("{connector}/reactions"), json!({"emoji": "x", "message": named, "chat": "a@b.com"})),
        (format!("{connector}/revoke"), json!({"message": named, "chat": "a@b.com"})),
        (format!("{message}/reactions"), json!({"emoji": "x"})),
        (format!("{message}/edit"), json!({"text": "x"})),
        (format!("{message}/revoke"), json!({})),
        (format!("{connector}/read"), json!({"chat": "a@b.com", "messages": [named]})),
        (format!("{connector}/typing"), json!({"chat": "a@b.com", "state": "composing"})),
        (format!("{connector}/lookup"), json!({"addresses": ["a@b.com"]})),
        (format!("{connector}/operations"), json!({"kind": "call", "value": {}})),
        (format!("{connector}/groups"), json!({"subject": "x"})),
    ] {
        assert_eq!(engine.post(&engine.a, &path, body).await.error(400).0, "unsupported", "{path}");
    }
    assert_eq!(engine.world.connectors.asked(), []);
    assert_eq!(engine.get(&engine.a, "/v1/messages").await.expect(200)["meta"]["total"], 1);
    let plain = json!({"to": "a@b.com", "text": "x", "subject": "S"});
    engine.post(&engine.a, &format!("{connector}/messages"), plain).await.expect(201);
}

#[tokio::test]
async fn a_message_shows_what_the_channel_reported() {
    let engine = Engine::new().await;
    let (id, _) = engine.chat(&engine.a).await;
    let body = json!({"to": "120363000000000000@g.us", "text": "Oi"});
    let made = engine.post(&engine.a, &format!("/v1/connectors/{id}/messages"), body).await.expect(201);
    let path = format!("/v1/messages/{}", made["id"].as_str().expect("an id"));
    assert_eq!(engine.get(&engine.a, &path).await.expect(200)["receipts"], json!({"members": []}));
    let reached = Reached { delivered_at: Some(Timestamp(0)), read_at: Some(Timestamp(1000)), played_at: None };
    let receipts = Receipts {
        provider_id: Some("3EB0".to_owned()),
        first: reached,
        members: BTreeMap::from([("5511988887777".to_owned(), reached)]),
        failed: Some(NotDelivered {
            at: Timestamp(2000),
            why: "cannot be reached".to_owned(),
            code: Some("131026".to_owned()),
            provider_id: None,
        }),
        early: None,
    };
    let change = Change::Receipts(key_of(&engine.a, &made), receipts);
    engine.world.store.commit(Batch::of(vec![change])).await.expect("commits");
    let (delivered, read) = ("1970-01-01T00:00:00.000Z", "1970-01-01T00:00:01.000Z");
    let expected = json!({
        "deliveredAt": delivered, "readAt": read,
        "failed": {"at": "1970-01-01T00:00:02.000Z", "reason": "cannot be reached", "channelCode": "131026"},
        "members": [{"address": "5511988887777", "deliveredAt": delivered, "readAt": read}]
    });
    assert_eq!(engine.get(&engine.a, &path).await.expect(200)["receipts"], expected);
}

#[tokio::test]
async fn who_opted_out_under_any_address_gets_nothing() {
    let engine = Engine::new().await;
    let (id, _) = engine.chat(&engine.a).await;
    let tenant = engine.a.tenant.index;
    let contact = |id: u128, identifier: &str, active: bool| {
        let contact = samples::contact(tenant, ContactType::WhatsApp, identifier);
        Change::Contact(Contact { id: Uuid::from_u128(id), active, ..contact })
    };
    let alias = |alias: &str, identifier: &str| Change::ContactAlias {
        tenant,
        kind: ContactType::WhatsApp,
        alias: alias.to_owned(),
        identifier: identifier.to_owned(),
    };
    let known =
        vec![contact(1, "5511988887777", false), alias("551188887777", "5511988887777"), contact(2, "5521", true)];
    engine.world.store.commit(Batch::of(known)).await.expect("commits");
    let path = format!("/v1/connectors/{id}/messages");
    let send = |to: &str| engine.post(&engine.a, &path, json!({"to": to, "text": "x"}));
    for to in ["5511988887777", "551188887777"] {
        assert_eq!(send(to).await.error(400).1, ["to"], "{to}");
    }
    send("5521").await.expect(201);
}

/// Uploads a file as a browser would.
pub(super) async fn upload(
    engine: &Engine,
    caller: &Caller,
    name: &str,
    kind: &str,
    bytes: &[u8],
) -> super::support::Answer {
    let part = format!(
        "--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\nContent-Type: {kind}\r\n\r\n"
    );
    let body = [part.as_bytes(), bytes, b"\r\n--B--\r\n"].concat();
    post_form(engine, caller, body).await
}

async fn post_form(engine: &Engine, caller: &Caller, body: Vec<u8>) -> super::support::Answer {
    let request = Request::builder().method(poem::http::Method::POST).uri("/v1/media".parse().expect("a path"));
    let request = request.header("x-api-key", &caller.key).content_type("multipart/form-data; boundary=B");
    engine.call(request.body(body)).await
}

#[tokio::test]
async fn a_file_is_uploaded_opened_by_its_link_and_by_nobody_else() {
    let engine = Engine::new().await;
    let made = upload(&engine, &engine.a, "foto.png", "image/png", b"\x89PNG").await.expect(201);
    assert_eq!((&made["contentType"], &made["size"]), (&json!("image/png"), &json!(4)));
    let link = made["url"].as_str().expect("a link").replace("http://127.0.0.1:8080", "");
    assert_eq!(engine.ask("GET", &link, &[], None).await.body, b"\x89PNG");
    engine.get(&engine.b, &format!("/v1/media/{}", made["id"].as_str().expect("an id"))).await.error(404);

    let part = |name: &str, file: &str| {
        format!("--B\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\nx\r\n").into_bytes()
    };
    let end = b"--B--\r\n".to_vec();
    let named = "; filename=\"a.txt\"";
    for (body, field) in [
        (end.clone(), "file"),
        ([part("file", ""), end.clone()].concat(), "file"),
        ([part("outro", named), end.clone()].concat(), "outro"),
        ([part("file", named), part("file", "; filename=\"bb.txt\""), end].concat(), "file"),
    ] {
        assert_eq!(post_form(&engine, &engine.a, body).await.error(400).1, [field]);
    }
    let cut = post_form(&engine, &engine.a, part("file", named)).await;
    assert_eq!(cut.error(400).0, "invalid");
    assert_eq!(engine.post(&engine.a, "/v1/media", json!({})).await.error(415).0, "unsupported_media_type");
    assert_eq!(engine.world.files(), 1, "what was refused is gone");
}
