//! One search over messages, conversations and contacts.

use pombo_domain::model::{Inbound, InboundContent};
use serde_json::{Value, json};

use super::history::{attempt, known, receive, says};
use super::support::{Caller, Engine, Refused};

async fn searched(engine: &Engine, caller: &Caller, query: &str) -> Value {
    engine.get(caller, &format!("/v1/search{query}")).await.expect(200)
}

/// Numbers of the messages that a search finds, and its `after`.
async fn numbers(engine: &Engine, query: &str) -> (Vec<u64>, Option<u64>) {
    let found = searched(engine, &engine.a, query).await;
    let messages = &found["messages"];
    assert_eq!(messages["complete"], messages.get("after").is_none(), "{messages}");
    let rows = messages["data"].as_array().expect("a list").iter();
    (rows.map(|row| row["number"].as_u64().expect("a number")).collect(), messages["after"].as_u64())
}

#[tokio::test]
async fn words_are_found_in_what_both_sides_wrote_with_their_places() {
    let engine = Engine::new().await;
    let (connector, index) = engine.chat(&engine.a).await;
    receive(&engine, &engine.a, index, says("5511", "R1", "Bom dia, João! Pedido 41235 confirmado")).await;
    let chat = known(&engine, index, "5511");
    let path = format!("/v1/conversations/{chat}/messages");
    let sent = engine.post(&engine.a, &path, json!({"text": "segue o boleto"})).await.expect(201);
    let sent = sent["id"].as_str().expect("an id").to_owned();
    attempt(&engine, &engine.a, index, &sent, Some("Olá João,\nsegue o boleto")).await;

    let found = searched(&engine, &engine.a, "?q=JOAO%20123&in=messages").await;
    assert_eq!((found.get("conversations"), found.get("contacts")), (None, None));
    let hit = &found["messages"]["data"][0];
    assert_eq!(
        (&hit["conversationId"], &hit["connectorId"], &hit["chat"], &hit["contactName"]),
        (&json!(chat), &json!(connector), &json!("5511"), &json!("Ana Sá"))
    );
    assert_eq!((&hit["number"], &hit["direction"], &hit["kind"]), (&json!(1), &json!("in"), &json!("text")));
    assert_eq!(hit["excerpt"], "Bom dia, João! Pedido 41235 confirmado");
    assert_eq!(hit["marks"], json!([{"from": 9, "to": 13}, {"from": 23, "to": 26}]));
    assert_eq!((&hit["cutBefore"], &hit["cutAfter"]), (&json!(false), &json!(false)));
    assert!(hit["at"].is_string() && hit["id"].is_string(), "{hit}");

    let own = searched(&engine, &engine.a, "?q=joao&in=messages").await;
    let own = &own["messages"]["data"][0];
    assert_eq!((&own["id"], &own["direction"]), (&json!(sent), &json!("out")));
    assert_eq!((&own["excerpt"], &own["marks"]), (&json!("Olá João, segue o boleto"), &json!([{"from": 4, "to": 8}])));
    assert_eq!(numbers(&engine, "?q=123").await, (vec![1], None), "three digits of a number");
    assert_eq!(numbers(&engine, "?q=joao").await, (vec![2, 1], None));
    assert_eq!(numbers(&engine, "?q=joao%20maria").await, (vec![], None));
}

#[tokio::test]
async fn what_was_deleted_and_what_is_anothers_is_not_found() {
    let engine = Engine::new().await;
    let (_, index) = engine.chat(&engine.a).await;
    let (_, of_b) = engine.chat(&engine.b).await;
    receive(&engine, &engine.a, index, says("5511", "R1", "AÇÃO secreta")).await;
    receive(&engine, &engine.a, index, says("5512", "R1", "uma ação")).await;
    receive(&engine, &engine.b, of_b, says("5513", "R1", "ação de outra empresa")).await;
    assert_eq!(numbers(&engine, "?q=acao").await, (vec![2, 1], None));
    let edit = InboundContent::Edit { of: "R1".to_owned(), text: "uma venda".to_owned() };
    receive(&engine, &engine.a, index, Inbound { content: edit, ..says("5512", "R2", "") }).await;
    assert_eq!(numbers(&engine, "?q=acao").await.0, [1]);
    assert_eq!(numbers(&engine, "?q=venda").await.0, [2]);
    let revoke = InboundContent::Revoke("R1".to_owned());
    receive(&engine, &engine.a, index, Inbound { content: revoke, ..says("5511", "R2", "") }).await;
    assert_eq!(numbers(&engine, "?q=secreta").await, (vec![], None));
    let chat = known(&engine, index, "5512");
    let (key, path) = ([("x-api-key", engine.a.key.as_str())], format!("/v1/conversations/{chat}"));
    engine.ask("DELETE", &path, &key, None).await.expect(204);
    assert_eq!(numbers(&engine, "?q=venda").await, (vec![], None));
    let other = searched(&engine, &engine.b, "?q=acao").await;
    assert_eq!(other["messages"]["data"].as_array().map(Vec::len), Some(1));
    let foreign = known(&engine, index, "5511");
    let refused = engine.get(&engine.b, &format!("/v1/search?q=x&conversationId={foreign}")).await;
    assert_eq!(refused.error(404).0, "not_found");
}

#[tokio::test]
async fn messages_come_page_by_page_also_of_one_conversation() {
    let engine = Engine::new().await;
    let (_, index) = engine.chat(&engine.a).await;
    for n in 1..=5 {
        let chat = if n % 2 == 1 { "5511" } else { "5512" };
        receive(&engine, &engine.a, index, says(chat, &format!("R{n}"), &format!("oi {n}"))).await;
    }
    assert_eq!(numbers(&engine, "?q=oi&limit=2").await, (vec![5, 4], Some(4)));
    assert_eq!(numbers(&engine, "?q=oi&limit=2&after=4").await, (vec![3, 2], Some(2)));
    assert_eq!(numbers(&engine, "?q=oi&limit=2&after=2").await, (vec![1], None));
    let within = format!("?q=oi&limit=2&conversationId={}", known(&engine, index, "5511"));
    assert_eq!(numbers(&engine, &within).await, (vec![5, 3], Some(3)));
    assert_eq!(numbers(&engine, &format!("{within}&after=3")).await, (vec![1], None));
    let found = searched(&engine, &engine.a, &within).await;
    assert_eq!((found.get("conversations"), found.get("contacts")), (None, None));
}

#[tokio::test]
async fn conversations_and_contacts_are_found_by_who_they_are() {
    let engine = Engine::new().await;
    let (_, index) = engine.chat(&engine.a).await;
    receive(&engine, &engine.a, index, says("5511", "R1", "bom dia")).await;
    for (n, name) in ["Loja Sá", "Sá e Filhos", "Maria"].iter().enumerate() {
        let contact = json!({"type": "WHATSAPP", "identifier": format!("551198765432{n}"), "name": name});
        engine.post(&engine.a, "/v1/contacts", contact).await.expect(201);
    }
    let found = searched(&engine, &engine.a, "?q=sa&limit=1").await;
    assert_eq!(found["messages"], json!({"data": [], "complete": true}));
    let (conversations, contacts) = (&found["conversations"], &found["contacts"]);
    assert_eq!((&conversations["total"], &conversations["data"][0]["chat"]), (&json!(1), &json!("5511")));
    assert_eq!((&contacts["total"], &contacts["data"][0]["name"]), (&json!(2), &json!("Loja Sá")));
    assert_eq!(contacts["data"].as_array().map(Vec::len), Some(1));
    // What was said is found as a message, not as a conversation.
    let said = searched(&engine, &engine.a, "?q=bom&in=messages,conversations").await;
    assert_eq!((&said["conversations"]["total"], said.get("contacts")), (&json!(0), None));
    assert_eq!(said["messages"]["data"].as_array().map(Vec::len), Some(1));
    let number = searched(&engine, &engine.a, "?q=%2B55%20(11)%2098765-4322&in=contacts").await;
    assert_eq!((&number["contacts"]["total"], &number["contacts"]["data"][0]["name"]), (&json!(1), &json!("Maria")));
}

#[tokio::test]
async fn what_is_wrong_with_a_search_is_named() {
    let engine = Engine::new().await;
    let long = format!("?q={}", "x".repeat(201));
    for (query, field) in [
        ("?q=", "q"),
        ("?q=%20", "q"),
        (long.as_str(), "q"),
        ("?q=x&in=all", "in"),
        ("?q=x&in=", "in"),
        ("?q=x&in=contacts&after=3", "in"),
        ("?q=x&in=messages,conversations&conversationId=0190d3f0-0000-7000-8000-000000000000", "in"),
        ("?q=x&conversationId=1", "conversationId"),
        ("?q=x&limit=101", "limit"),
        ("?q=x&x=1", "x"),
    ] {
        let refused = engine.get(&engine.a, &format!("/v1/search{query}")).await;
        assert_eq!(refused.error(400).1, [field], "{query}");
    }
    assert_eq!(engine.ask("GET", "/v1/search?q=x", &[], None).await.error(401).0, "unauthenticated");
}
