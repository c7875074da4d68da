//! Templates: one's own, those of a channel, and messages that are made of them; queues and statuses of conversations.

use pombo_domain::model::MessageAction;
use pombo_domain::ports::{Answer as Answered, Operation, OperationError, OwnKind, Store};
use serde_json::{Value, json};
use uuid::Uuid;

use super::conversations::opened;
use super::sending::upload;
use super::support::{Answer, Caller, Engine, Refused};

async fn patched(engine: &Engine, caller: &Caller, path: &str, body: Value) -> Answer {
    engine.ask("PATCH", path, &[("x-api-key", &caller.key)], Some(body)).await
}

async fn deleted(engine: &Engine, caller: &Caller, path: &str) -> Answer {
    engine.ask("DELETE", path, &[("x-api-key", &caller.key)], None).await
}

fn path(template: &Value) -> String {
    format!("/v1/templates/{}", template["id"].as_str().expect("an id"))
}

fn own_text(name: &str, text: &str) -> Value {
    json!({"name": name, "category": "utility", "components": [{"type": "body", "text": text}]})
}

/// A connector whose channel keeps templates.
async fn keeper(engine: &Engine) -> String {
    engine.world.connectors.describe_plugin("connector-chat", |plugin| {
        plugin.features.push("templates".to_owned());
        plugin.contents.push(OwnKind { name: "template".to_owned(), schema: None });
    });
    engine.chat(&engine.a).await.0
}

fn answers(engine: &Engine, answer: Value) {
    engine.world.connectors.answer(Ok(Answered::Other(answer.to_string())));
}

/// The kind and the value of the only operation that was asked for.
fn asked(engine: &Engine) -> (String, Value) {
    let mut asked = engine.world.connectors.asked();
    match (asked.pop(), asked.is_empty()) {
        (Some(Operation::Other(kind, json)), true) => (kind, serde_json::from_str(&json).expect("JSON")),
        other => panic!("{other:?}"),
    }
}

fn order() -> Value {
    json!([
        {"type": "body", "text": "Olá {{nome}}, seu pedido está pronto.", "examples": {"nome": "Ana"}},
        {"type": "buttons", "buttons": [{"type": "quick-reply", "text": "Ok"}]}
    ])
}

fn stored_action(engine: &Engine, message: &Value) -> (MessageAction, Option<u32>, String) {
    let id: Uuid = message["id"].as_str().expect("an id").parse().expect("a UUID");
    let found = engine.world.store.message_by_id(engine.a.tenant.index, id).expect("reads").expect("it was stored");
    let content = found.message.content;
    (content.options.action, content.options.template, content.text)
}

#[tokio::test]
async fn a_text_of_ones_own_is_made_changed_shown_sent_and_deleted() {
    let engine = Engine::new().await;
    let made = engine.post(&engine.a, "/v1/templates", own_text(" Aviso ", "Oi {{nome}}! {a|b}")).await.expect(201);
    assert_eq!((&made["number"], &made["name"], &made["status"]), (&json!(1), &json!("Aviso"), &json!("approved")));
    assert_eq!(made["variables"], json!([{"name": "nome", "place": "body", "required": true}]));
    assert_eq!(made.get("connectorId"), None);
    engine.post(&engine.a, "/v1/templates", own_text("Aviso", "x")).await.error(409);
    engine.post(&engine.b, "/v1/templates", own_text("Aviso", "x")).await.expect(201);
    assert_eq!(engine.get(&engine.a, &path(&made)).await.expect(200), made);
    let changed =
        patched(&engine, &engine.a, &path(&made), json!({"category": "marketing", "language": "pt_BR"})).await;
    assert_eq!(changed.expect(200)["category"], "marketing");

    let shown = |values: Value| engine.post_owned(format!("{}/preview", path(&made)), values);
    let preview = shown(json!({"variables": {"nome": "Ana"}})).await.expect(200);
    assert_eq!(preview, json!({"text": "Oi Ana! {a|b}", "problems": []}));
    let preview = shown(json!({})).await.expect(200);
    assert_eq!((&preview["text"], &preview["problems"][0]["name"]), (&json!("Oi {{nome}}! {a|b}"), &json!("nome")));

    let (connector, _) = engine.chat(&engine.a).await;
    let send = |body: Value| engine.post_owned(format!("/v1/connectors/{connector}/messages"), body);
    let to = |more: Value| {
        let mut body = json!({"to": "5511988887777", "templateId": made["id"]});
        body.as_object_mut().expect("an object").extend(more.as_object().cloned().unwrap_or_default());
        body
    };
    let sent = send(to(json!({"variables": {"nome": "Ana"}}))).await.expect(201);
    assert_eq!((&sent["messageType"], &sent["templateNumber"]), (&json!("MARKETING"), &json!(1)));
    assert_eq!(stored_action(&engine, &sent), (MessageAction::Say, Some(1), r"Oi Ana! \{a\|b\}".to_owned()));
    assert_eq!(send(to(json!({}))).await.error(400).1, ["variables.nome"]);
    let extra = json!({"variables": {"nome": "A", "outro": "x"}, "header": {"link": "https://x.com/a"}});
    assert_eq!(send(to(extra)).await.error(400).1, ["variables.outro", "header"]);
    assert_eq!(send(to(json!({"text": "x", "messageType": "SUPPORT"}))).await.error(400).1, ["text", "messageType"]);
    assert_eq!(send(to(json!({"header": {}}))).await.error(400).1, ["header"]);
    let place = json!({"header": {"location": {"latitude": 1.5, "longitude": 2.5, "title": "x".repeat(256)}}});
    assert_eq!(send(to(place)).await.error(400).1, ["header.location.title"]);
    let nobody = json!({"to": "5511988887777", "templateId": Uuid::from_u128(9)});
    assert_eq!(send(nobody).await.error(404).1, ["templateId"]);
    let lone = json!({"to": "5511988887777", "text": "x", "header": {"link": "https://x.com/a"}});
    assert_eq!(send(lone).await.error(400).1, ["header"]);

    deleted(&engine, &engine.a, &path(&made)).await.expect(204);
    deleted(&engine, &engine.a, &path(&made)).await.error(404);
    let again = engine.post(&engine.a, "/v1/templates", own_text("Aviso", "x")).await.expect(201);
    assert_eq!(again["number"], 2, "a number is not given twice");
}

#[tokio::test]
async fn a_channels_template_is_stored_when_the_channel_took_it() {
    let engine = Engine::new().await;
    let connector = keeper(&engine).await;
    let body = |name: &str| {
        json!({
            "connectorId": connector, "name": name, "language": "pt_BR", "category": "utility", "components": order()
        })
    };
    assert_eq!(engine.post(&engine.a, "/v1/templates", body("Pedido")).await.error(400).1, ["name"]);
    assert!(engine.world.connectors.asked().is_empty(), "nothing is asked that would be refused");
    engine.world.connectors.answer(Err(OperationError::Unknown("timeout".to_owned())));
    assert_eq!(engine.post(&engine.a, "/v1/templates", body("pedido")).await.error(502).0, "unknown_outcome");
    assert_eq!(engine.get(&engine.a, "/v1/templates").await.expect(200)["total"], 0);
    asked(&engine);

    answers(&engine, json!({"id": "77", "status": "pending", "category": "marketing"}));
    let made = engine.post(&engine.a, "/v1/templates", body("pedido")).await.expect(201);
    let (kind, value) = asked(&engine);
    assert_eq!((kind.as_str(), &value["name"], &value["components"]), ("create-template", &json!("pedido"), &order()));
    assert_eq!((&made["status"], &made["category"]), (&json!("pending"), &json!("marketing")));
    assert_eq!((&made["remoteId"], &made["connectorId"]), (&json!("77"), &json!(connector)));
    engine.post(&engine.a, "/v1/templates", body("pedido")).await.error(409);

    // It cannot be sent yet.
    let send = json!({"to": "5511988887777", "templateId": made["id"], "variables": {"nome": "Ana"}});
    let messages = format!("/v1/connectors/{connector}/messages");
    let refused = engine.post(&engine.a, &messages, send.clone()).await;
    assert_eq!(refused.error(409).0, "conflict");
    assert!(refused.expect(409)["error"]["message"].as_str().is_some_and(|text| text.contains("pending")));
    assert_eq!(patched(&engine, &engine.a, &path(&made), json!({"name": "x"})).await.error(400).1, ["name"]);
    let parts = json!({"components": [{"type": "body", "text": "Outro texto"}]});
    patched(&engine, &engine.a, &path(&made), parts.clone()).await.error(409);

    // The channel lists it in two pages, approved.
    let remote = |name: &str, status: &str| {
        json!({
            "id": "77", "name": name, "language": "pt_BR", "status": status, "category": "utility", "format": "named",
            "quality": "green", "components": order()
        })
    };
    let sync = || engine.post_owned(format!("/v1/connectors/{connector}/templates/sync"), json!({}));
    answers(&engine, json!({"templates": [remote("pedido", "approved")], "after": "x"}));
    answers(&engine, json!({"templates": [remote("outro", "rejected")]}));
    let synced = sync().await.expect(200);
    assert_eq!(synced, json!({"total": 2, "added": 1, "changed": 1, "removed": 0}));
    assert_eq!(
        engine.world.connectors.asked()[1],
        Operation::Other("list-templates".into(), r#"{"after":"x"}"#.into())
    );
    let after = engine.get(&engine.a, &path(&made)).await.expect(200);
    assert_eq!(
        (&after["number"], &after["status"], &after["quality"]),
        (&json!(1), &json!("approved"), &json!("green"))
    );

    let sent = engine.post(&engine.a, &messages, send).await.expect(201);
    let (action, number, text) = stored_action(&engine, &sent);
    let MessageAction::Other(content) = action else { panic!("content of the connector's own") };
    assert_eq!((content.kind.as_str(), number), ("template", Some(1)));
    assert_eq!(text, "Olá Ana, seu pedido está pronto.\n[Ok]");
    assert_eq!(sent["content"]["value"]["body"], json!([{"name": "nome", "value": "Ana"}]));
    assert_eq!(sent["messageType"], "NOTIFICATION");

    answers(&engine, json!({"status": "pending"}));
    let edited = patched(&engine, &engine.a, &path(&made), parts).await.expect(200);
    assert_eq!((&edited["status"], asked(&engine).0.as_str()), (&json!("pending"), "edit-template"));

    // What the channel has no more is deleted, and keeps its number.
    answers(&engine, json!({"templates": [remote("outro", "approved")]}));
    assert_eq!(sync().await.expect(200), json!({"total": 1, "added": 0, "changed": 1, "removed": 1}));
    let gone = engine.get(&engine.a, &path(&made)).await.expect(200);
    assert_eq!((&gone["number"], &gone["status"]), (&json!(1), &json!("deleted")));
    let listed = engine.get(&engine.a, "/v1/templates?status=approved").await.expect(200);
    assert_eq!((&listed["total"], &listed["data"][0]["name"]), (&json!(1), &json!("outro")));
    engine.world.connectors.asked();
    answers(&engine, json!({}));
    deleted(&engine, &engine.a, &path(&listed["data"][0])).await.expect(204);
    assert_eq!(asked(&engine), ("delete-template".to_owned(), json!({"id": "77", "name": "outro"})));

    // A list without an end, and one that cannot be read, change nothing.
    for _ in 0..2 {
        answers(&engine, json!({"templates": [], "after": "x"}));
    }
    assert_eq!(sync().await.error(502).0, "channel_failed");
    answers(&engine, json!({"templates": [{"name": "x"}]}));
    assert_eq!(sync().await.error(502).0, "channel_failed");
    let plain = engine.connector(&engine.a).await;
    let refused = engine.post(&engine.a, &format!("/v1/connectors/{plain}/templates/sync"), json!({})).await;
    assert_eq!(refused.error(400).0, "unsupported");
    let foreign = engine.post(&engine.b, &format!("/v1/connectors/{connector}/templates/sync"), json!({})).await;
    assert_eq!(foreign.error(404).0, "not_found");
}

#[tokio::test]
async fn numbered_variables_have_names_besides_that_the_channel_does_not_know() {
    let engine = Engine::new().await;
    let connector = keeper(&engine).await;
    let body =
        json!([{"type": "body", "text": "Olá {{1}}, seu código é {{2}} hoje.", "examples": {"1": "Ana", "2": "A1"}}]);
    let create = |names: Value| {
        json!({"connectorId": connector, "name": "codigo", "language": "pt_BR", "category": "utility",
            "format": "positional", "components": body, "variableNames": names})
    };
    for (names, field) in [
        (json!(["nome"]), "variableNames"),
        (json!(["nome", "2"]), "variableNames[1]"),
        (json!(["nome", "nome"]), "variableNames[1]"),
        (json!(["header", "codigo"]), "variableNames[0]"),
    ] {
        assert_eq!(engine.post(&engine.a, "/v1/templates", create(names)).await.error(400).1, [field]);
    }
    let named = json!({"name": "x", "category": "utility", "variableNames": ["nome"],
        "components": [{"type": "body", "text": "Oi {{nome}}"}]});
    assert_eq!(engine.post(&engine.a, "/v1/templates", named).await.error(400).1, ["variableNames"]);
    assert!(engine.world.connectors.asked().is_empty());

    answers(&engine, json!({"id": "77", "status": "approved"}));
    let made = engine.post(&engine.a, "/v1/templates", create(json!(["nome", "codigo"]))).await.expect(201);
    assert_eq!(made["variableNames"], json!(["nome", "codigo"]));
    assert_eq!(asked(&engine).1.get("variableNames"), None, "the channel has no use for them");
    // A change of the names alone asks nobody, and keeps the approval.
    let renamed =
        patched(&engine, &engine.a, &path(&made), json!({"variableNames": ["nome", "senha"]})).await.expect(200);
    assert_eq!((&renamed["variableNames"], &renamed["status"]), (&json!(["nome", "senha"]), &json!("approved")));
    assert!(engine.world.connectors.asked().is_empty());
    // A synchronisation keeps them.
    let listed = json!({"id": "77", "name": "codigo", "language": "pt_BR", "status": "approved", "category": "marketing",
        "format": "positional", "components": body});
    answers(&engine, json!({"templates": [listed]}));
    let sync = engine.post_owned(format!("/v1/connectors/{connector}/templates/sync"), json!({})).await.expect(200);
    assert_eq!(sync["changed"], 1, "{sync}");
    let shown = engine.get(&engine.a, &path(&made)).await.expect(200);
    assert_eq!((&shown["category"], &shown["variableNames"]), (&json!("marketing"), &json!(["nome", "senha"])));

    let preview = engine.post_owned(format!("{}/preview", path(&made)), json!({"variables": {"nome": "Bia"}})).await;
    let preview = preview.expect(200);
    assert_eq!(preview["text"], "Olá Bia, seu código é A1 hoje.");
    assert_eq!(preview["problems"][0]["name"], "senha");
    let send = |variables: Value| {
        let body = json!({"to": "5511988887777", "templateId": made["id"], "variables": variables});
        engine.post_owned(format!("/v1/connectors/{connector}/messages"), body)
    };
    let sent = send(json!({"nome": "Bia", "senha": 7})).await.expect(201);
    assert_eq!(sent["content"]["value"]["body"][1], json!({"name": "2", "value": "7"}));
    assert_eq!(send(json!({"nome": "Bia", "2": 7})).await.error(400).1, ["variables.2"]);
    // None again: an empty list.
    let without = patched(&engine, &engine.a, &path(&made), json!({"variableNames": []})).await.expect(200);
    assert_eq!(without.get("variableNames"), None);
}

#[tokio::test]
async fn content_of_a_plugins_own_is_queued_as_it_is() {
    let engine = Engine::new().await;
    let (connector, _) = engine.chat(&engine.a).await;
    let send = |body: Value| engine.post_owned(format!("/v1/connectors/{connector}/messages"), body);
    let body = json!({"to": "5511", "text": "Loja {x}", "content": {"kind": "location", "value": {"latitude": 1.5}}});
    assert_eq!(send(body.clone()).await.error(400).1, ["content"], "the plugin does not know it");
    let kind = OwnKind { name: "location".to_owned(), schema: None };
    engine.world.connectors.describe_plugin("connector-chat", |plugin| plugin.contents.push(kind));
    let sent = send(body).await.expect(201);
    assert_eq!(sent["content"], json!({"kind": "location", "value": {"latitude": 1.5}}));
    assert_eq!(sent.get("act"), None);
    assert_eq!(stored_action(&engine, &sent).2, r"Loja \{x\}");
    let one = engine.get(&engine.a, &format!("/v1/messages/{}", sent["id"].as_str().expect("an id"))).await.expect(200);
    assert_eq!(one["rendered"]["message"], "Loja {x}", "{one}");
}

#[tokio::test]
async fn conversations_are_put_into_queues_and_get_statuses() {
    let engine = Engine::new().await;
    let made = |path: &'static str, name: &str| engine.post_owned(path.to_owned(), json!({"name": name}));
    let sales = made("/v1/queues", "Vendas").await.expect(201);
    assert_eq!((&sales["number"], &sales["name"]), (&json!(1), &json!("Vendas")));
    made("/v1/queues", "VENDAS").await.error(409);
    let open = made("/v1/conversation-statuses", "Vendas").await.expect(201);
    let at = |list: &str, label: &Value| format!("/v1/{list}/{}", label["id"].as_str().expect("an id"));
    let renamed = patched(&engine, &engine.a, &at("queues", &sales), json!({"name": "Loja", "color": "#00ff00"})).await;
    assert_eq!((&renamed.expect(200)["name"], &renamed.expect(200)["color"]), (&json!("Loja"), &json!("#00ff00")));
    let plain = patched(&engine, &engine.a, &at("queues", &sales), json!({"color": null})).await.expect(200);
    assert_eq!(plain.get("color"), None);
    for list in ["queues", "conversation-statuses"] {
        assert_eq!(engine.get(&engine.b, &format!("/v1/{list}")).await.expect(200)["data"], json!([]));
        let label = if list == "queues" { &sales } else { &open };
        assert_eq!(engine.get(&engine.a, &at(list, label)).await.expect(200)["id"], label["id"]);
        engine.get(&engine.b, &at(list, label)).await.error(404);
        patched(&engine, &engine.b, &at(list, label), json!({"name": "stolen"})).await.error(404);
        deleted(&engine, &engine.b, &at(list, label)).await.error(404);
    }

    let (connector, _) = engine.chat(&engine.a).await;
    let id = opened(&engine, &engine.a, &connector, "5511").await;
    opened(&engine, &engine.a, &connector, "5522").await;
    let conversation = format!("/v1/conversations/{id}");
    let body = json!({"queueId": sales["id"], "statusId": open["id"]});
    let sorted = patched(&engine, &engine.a, &conversation, body).await.expect(200);
    assert_eq!((&sorted["queueId"], &sorted["statusId"]), (&sales["id"], &open["id"]));
    let found = |filter: String| {
        let engine = &engine;
        async move { engine.get(&engine.a, &format!("/v1/conversations?{filter}")).await.expect(200)["total"].clone() }
    };
    assert_eq!(found(format!("queueId={}", sales["id"].as_str().expect("an id"))).await, 1);
    assert_eq!(found(format!("statusId={}", open["id"].as_str().expect("an id"))).await, 1);
    let unknown = json!({"queueId": Uuid::from_u128(9)});
    assert_eq!(patched(&engine, &engine.a, &conversation, unknown).await.error(400).1, ["queueId"]);
    let cleared = patched(&engine, &engine.a, &conversation, json!({"statusId": null})).await.expect(200);
    assert_eq!((cleared.get("statusId"), &cleared["queueId"]), (None, &sales["id"]));
    deleted(&engine, &engine.a, &at("queues", &sales)).await.expect(204);
    assert_eq!(engine.get(&engine.a, &conversation).await.expect(200).get("queueId"), None);
    assert_eq!(made("/v1/queues", "Loja").await.expect(201)["number"], 2);
}

#[tokio::test]
async fn another_tenants_connector_keeps_no_template_of_ours() {
    let engine = Engine::new().await;
    let mut body = own_text("aviso", "Olá");
    body["connectorId"] = json!(engine.connector(&engine.b).await);
    let (code, fields) = engine.post(&engine.a, "/v1/templates", body).await.error(404);
    assert_eq!((code.as_str(), fields), ("not_found", vec!["connectorId".to_owned()]));
}

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";
const JPEG: &[u8] = b"\xff\xd8\xff\xe0\0\x10JFIF";

fn with_picture(connector: &str, format: &str, file: Value) -> Value {
    json!({
        "connectorId": connector, "name": "com_foto", "language": "pt_BR", "category": "utility", "components": [
            {"type": "header", "format": format, "exampleFile": file}, {"type": "body", "text": "Seu pedido saiu."}]
    })
}

#[tokio::test]
async fn a_sample_that_is_not_the_tenants_or_does_not_fit_is_refused_before_the_channel_is_asked() {
    let engine = Engine::new().await;
    let connector = keeper(&engine).await;
    let picture = upload(&engine, &engine.a, "foto.png", "image/png", PNG).await.expect(201);
    let text = upload(&engine, &engine.a, "foto.png", "image/png", "não é uma foto".as_bytes()).await.expect(201);
    let foreign = upload(&engine, &engine.b, "foto.png", "image/png", PNG).await.expect(201);
    let made = async |format: &str, file: Value| {
        engine.post(&engine.a, "/v1/templates", with_picture(&connector, format, file)).await
    };
    for unknown in [foreign["id"].clone(), json!(Uuid::from_u128(9))] {
        let (code, fields) = made("image", json!({"id": unknown})).await.error(404);
        assert_eq!((code.as_str(), fields), ("not_found", vec!["components[0].exampleFile.id".to_owned()]));
    }
    for (format, file, field) in [
        ("video", json!({"id": picture["id"]}), "components[0].exampleFile"),
        ("document", json!({"id": picture["id"]}), "components[0].exampleFile"),
        ("image", json!({"id": text["id"]}), "components[0].exampleFile"),
        ("image", json!({"id": picture["id"], "fileName": "../x"}), "components[0].exampleFile.fileName"),
        ("image", json!({"id": "x"}), "components[0].exampleFile.id"),
        ("image", json!(picture["id"]), "components[0].exampleFile"),
        ("image", Value::Null, "components[0].example"),
    ] {
        assert_eq!(made(format, file).await.error(400).1, [field], "{format}");
    }
    assert!(engine.world.connectors.asked().is_empty(), "the channel was asked");
}

#[tokio::test]
async fn a_headers_sample_goes_to_the_channel_is_shown_and_outlives_a_synchronisation() {
    let engine = Engine::new().await;
    let connector = keeper(&engine).await;
    let given = || {
        let files = std::mem::take(&mut *engine.world.connectors.operation_files.lock());
        files.into_iter().flatten().map(|file| json!(file.id)).collect::<Vec<Value>>()
    };
    // What is said of a file does not count.
    let picture = upload(&engine, &engine.a, "foto.txt", "text/plain", PNG).await.expect(201);
    answers(&engine, json!({"id": "78", "status": "pending"}));
    let body = with_picture(&connector, "image", json!({"id": picture["id"]}));
    let made = engine.post(&engine.a, "/v1/templates", body).await.expect(201);
    let (kind, value) = asked(&engine);
    let file = json!({"media": picture["id"], "filename": "sample.png", "contentType": "image/png", "size": PNG.len()});
    assert_eq!((kind.as_str(), &value["components"][0]["exampleFile"]), ("create-template", &file));
    assert_eq!(given(), [picture["id"].clone()]);

    let shown = engine.get(&engine.a, &path(&made)).await.expect(200);
    let sample = &shown["components"][0]["exampleFile"];
    assert_eq!((&sample["id"], &sample["contentType"]), (&picture["id"], &json!("image/png")));
    let link = sample["url"].as_str().expect("a link").replace("http://127.0.0.1:8080", "");
    assert_eq!(engine.ask("GET", &link, &[], None).await.body, PNG);
    let preview = engine.post(&engine.a, &format!("{}/preview", path(&made)), json!({})).await.expect(200);
    assert_eq!((&preview["sample"]["id"], &preview["text"]), (&picture["id"], &json!("[image]\nSeu pedido saiu.")));

    // The channel tells a link to its own copy, and not where that came from.
    let listed = json!({"templates": [{"id": "78", "name": "com_foto", "language": "pt_BR", "status": "approved",
        "category": "utility", "format": "named", "components": [
            {"type": "header", "format": "image", "example": "https://x.com/copy"},
            {"type": "body", "text": "Seu pedido saiu."}]}]});
    answers(&engine, listed);
    engine.post(&engine.a, &format!("/v1/connectors/{connector}/templates/sync"), json!({})).await.expect(200);
    let synced = engine.get(&engine.a, &path(&made)).await.expect(200);
    let header = &synced["components"][0];
    assert_eq!((&header["example"], &header["exampleFile"]["id"]), (&json!("https://x.com/copy"), &picture["id"]));
    assert_eq!((asked(&engine).0.as_str(), given()), ("list-templates", Vec::new()));

    // What was shown can be sent back with another text, or with another sample.
    let mut parts = synced["components"].clone();
    parts[1]["text"] = json!("Seu pedido chegou.");
    answers(&engine, json!({"status": "approved"}));
    patched(&engine, &engine.a, &path(&made), json!({"components": parts})).await.expect(200);
    assert_eq!(
        (asked(&engine).1["components"][0]["exampleFile"].clone(), given()),
        (file, vec![picture["id"].clone()])
    );
    let other = upload(&engine, &engine.a, "a.jpg", "image/jpeg", JPEG).await.expect(201);
    parts[0] = json!({"type": "header", "format": "image", "exampleFile": {"id": other["id"], "fileName": "b.jpg"}});
    answers(&engine, json!({"status": "approved"}));
    let edited = patched(&engine, &engine.a, &path(&made), json!({"components": parts})).await.expect(200);
    assert_eq!(edited["components"][0]["exampleFile"]["fileName"], "b.jpg");
    assert_eq!((asked(&engine).0.as_str(), given()), ("edit-template", vec![other["id"].clone()]));
}
