//! Tags: made, renamed, deleted, counted.

use serde_json::{Value, json};

use super::conversations::opened;
use super::support::{Answer, Caller, Engine, Refused};

async fn patched(engine: &Engine, caller: &Caller, path: &str, body: Value) -> Answer {
    engine.ask("PATCH", path, &[("x-api-key", &caller.key)], Some(body)).await
}

async fn made(engine: &Engine, body: Value) -> Value {
    engine.post(&engine.a, "/v1/tags", body).await.expect(201)
}

fn path(tag: &Value) -> String {
    format!("/v1/tags/{}", tag["id"].as_str().expect("an id"))
}

/// Names and counts, as listed.
async fn listed(engine: &Engine, caller: &Caller) -> Vec<(String, u64)> {
    let list = engine.get(caller, "/v1/tags").await.expect(200);
    let row = |tag: &Value| {
        (tag["name"].as_str().unwrap_or_default().to_owned(), tag["conversations"].as_u64().unwrap_or_default())
    };
    list["data"].as_array().expect("a list").iter().map(row).collect()
}

fn own(name: &str, count: u64) -> (String, u64) {
    (name.to_owned(), count)
}

#[tokio::test]
async fn a_tag_is_made_renamed_counted_and_deleted() {
    let engine = Engine::new().await;
    let vip = made(&engine, json!({"name": " vip ", "color": "#3B82f6"})).await;
    let expected = json!({
        "id": vip["id"], "number": 1, "name": "vip", "color": "#3b82f6", "conversations": 0, "count": 0,
        "createdAt": "2030-01-01T00:00:00.000Z", "updatedAt": "2030-01-01T00:00:00.000Z"
    });
    assert_eq!(vip, expected);
    let plain = made(&engine, json!({"name": "boleto"})).await;
    assert_eq!(plain["color"], "#6b7280");
    assert_eq!(engine.get(&engine.a, &path(&vip)).await.expect(200), vip);

    let (connector, _) = engine.chat(&engine.a).await;
    let mut conversations = Vec::new();
    for chat in ["5511", "5522"] {
        let id = opened(&engine, &engine.a, &connector, chat).await;
        conversations.push(format!("/v1/conversations/{id}"));
    }
    let tags = |at: usize, tags: Value| patched(&engine, &engine.a, &conversations[at], json!({"tags": tags}));
    assert_eq!(tags(0, json!(["VIP", "Novo"])).await.expect(200)["tags"], json!(["Novo", "vip"]), "by any spelling");
    tags(1, json!(["vip"])).await.expect(200);
    assert_eq!(listed(&engine, &engine.a).await, [own("boleto", 0), own("Novo", 1), own("vip", 2)]);

    engine.world.clock.jump(1_000);
    let gold = patched(&engine, &engine.a, &path(&vip), json!({"name": "Ouro", "color": "#ffd700"})).await.expect(200);
    assert_eq!((&gold["name"], &gold["color"], &gold["conversations"]), (&json!("Ouro"), &json!("#ffd700"), &json!(2)));
    assert_eq!(gold["updatedAt"], "2030-01-01T00:00:01.000Z");
    assert_eq!(engine.get(&engine.a, &conversations[1]).await.expect(200)["tags"], json!(["Ouro"]));
    let found = engine.get(&engine.a, "/v1/conversations?tag=ouro").await.expect(200);
    assert_eq!(found["data"].as_array().map(Vec::len), Some(2));
    assert_eq!(patched(&engine, &engine.a, &path(&vip), json!({})).await.expect(200), gold);
    patched(&engine, &engine.a, &path(&vip), json!({"name": "OURO"})).await.expect(200);

    let key = [("x-api-key", engine.a.key.as_str())];
    engine.ask("DELETE", &path(&vip), &key, None).await.expect(204);
    engine.ask("DELETE", &path(&vip), &key, None).await.error(404);
    engine.get(&engine.a, &path(&vip)).await.error(404);
    assert_eq!(engine.get(&engine.a, &conversations[0]).await.expect(200)["tags"], json!(["Novo"]));
    assert_eq!(made(&engine, json!({"name": "ouro"})).await["conversations"], 0, "another tag");
}

#[tokio::test]
async fn what_is_wrong_with_a_tag_is_named() {
    let engine = Engine::new().await;
    let tag = made(&engine, json!({"name": "Ação"})).await;
    let other = made(&engine, json!({"name": "outra"})).await;
    for (body, fields) in [
        (json!({}), vec!["body"]),
        (json!({"name": " "}), vec!["name"]),
        (json!({"name": "x".repeat(51)}), vec!["name"]),
        (json!({"name": "a\nb", "color": "red"}), vec!["name", "color"]),
        (json!({"name": "x", "color": "#12345"}), vec!["color"]),
        (json!({"name": "x", "colour": "#123456"}), vec!["colour"]),
    ] {
        assert_eq!(engine.post(&engine.a, "/v1/tags", body.clone()).await.error(400).1, fields, "{body}");
    }
    assert_eq!(engine.post(&engine.a, "/v1/tags", json!({"name": "ACAO"})).await.error(409).0, "conflict");
    assert_eq!(patched(&engine, &engine.a, &path(&other), json!({"name": "ação"})).await.error(409).0, "conflict");
    assert_eq!(patched(&engine, &engine.a, &path(&tag), json!({"color": "x"})).await.error(400).1, ["color"]);
    assert_eq!(engine.get(&engine.a, "/v1/tags/x").await.error(404).0, "not_found");
    assert_eq!(listed(&engine, &engine.a).await, [own("Ação", 0), own("outra", 0)]);

    let (connector, _) = engine.chat(&engine.a).await;
    let id = opened(&engine, &engine.a, &connector, "5511").await;
    let conversation = format!("/v1/conversations/{id}");
    let long = patched(&engine, &engine.a, &conversation, json!({"tags": ["x".repeat(51)]})).await;
    assert_eq!(long.error(400).1, ["tags"], "a new one is as short as any");
}

#[tokio::test]
async fn another_tenants_tags_do_not_exist() {
    let engine = Engine::new().await;
    let tag = made(&engine, json!({"name": "vip"})).await;
    engine.get(&engine.b, &path(&tag)).await.error(404);
    patched(&engine, &engine.b, &path(&tag), json!({"name": "x"})).await.error(404);
    engine.ask("DELETE", &path(&tag), &[("x-api-key", engine.b.key.as_str())], None).await.error(404);
    assert!(listed(&engine, &engine.b).await.is_empty());
    assert_eq!(engine.post(&engine.b, "/v1/tags", json!({"name": "VIP"})).await.expect(201)["number"], 1);
    assert_eq!(listed(&engine, &engine.a).await, [own("vip", 0)]);
}
