//! Messages by their channel's ids, and counts of messages by stage.

use pombo_domain::MessageKey;
use pombo_domain::ids::message_serial;
use pombo_domain::model::{ReceiptKind, Receipts};
use pombo_domain::ports::{Batch, Change};
use serde_json::{Value, json};
use uuid::Uuid;

use super::support::{Caller, Engine, Refused};

/// A message of the caller that the channel accepted under this id.
async fn sent(engine: &Engine, caller: &Caller, connector: &str, provider_id: &str) -> MessageKey {
    let body = json!({"to": "ana@x.com", "text": "Oi"});
    let made = engine.post(caller, &format!("/v1/connectors/{connector}/messages"), body).await.expect(201);
    let id = Uuid::parse_str(made["id"].as_str().expect("an id")).expect("a UUID");
    let key = MessageKey { tenant: caller.tenant.index, serial: message_serial(id).expect("a message's id") };
    engine.world.step(key, |state, now| state.claim(now).expect("it is queued"));
    engine.world.step(key, |state, now| state.sent(Some(provider_id.to_owned()), now).expect("it runs"));
    key
}

async fn bound(engine: &Engine, connector: &str) -> String {
    let body = json!({"name": "one connector", "connectorId": connector});
    let made = engine.post(&engine.a, "/v1/keys", body).await.expect(201);
    made["key"].as_str().expect("a text").to_owned()
}

fn ids(page: &Value) -> Vec<&str> {
    page["data"].as_array().expect("a list").iter().map(|row| row["providerId"].as_str().unwrap_or_default()).collect()
}

#[tokio::test]
async fn a_message_is_found_by_its_channels_id() {
    let engine = Engine::new().await;
    let (one, two) = (engine.connector(&engine.a).await, engine.connector(&engine.a).await);
    let theirs = engine.connector(&engine.b).await;
    for (caller, connector) in [(&engine.a, &one), (&engine.a, &two), (&engine.b, &theirs)] {
        sent(&engine, caller, connector, "wamid.1").await;
    }
    sent(&engine, &engine.a, &one, "wamid.2").await;
    let find = async |query: &str| engine.get(&engine.a, &format!("/v1/messages?{query}")).await.expect(200);
    let both = find("providerId=wamid.1").await;
    assert_eq!((ids(&both), &both["meta"]["total"]), (vec!["wamid.1", "wamid.1"], &json!(2)));
    let narrowed = find(&format!("providerId=wamid.1&connectorId={one}")).await;
    assert_eq!(narrowed["data"][0]["connectorId"], one.as_str());
    assert_eq!(narrowed["meta"]["total"], 1);
    assert_eq!(find("providerId=wamid.1&status=FAILED").await["meta"]["total"], 0);
    let second = find("providerId=wamid.1&page=2&limit=1").await;
    assert_eq!((ids(&second).len(), &second["meta"]["pages"]), (1, &json!(2)));
    assert_eq!(find("providerId=nada").await["data"], json!([]));
    let wrong = engine.get(&engine.a, "/v1/messages?providerId=wamid.1&search=ana").await;
    assert_eq!(wrong.error(400).1, ["search"]);
}

#[tokio::test]
async fn a_key_of_one_connector_sees_there_its_own_messages_alone() {
    let engine = Engine::new().await;
    let (one, two) = (engine.connector(&engine.a).await, engine.connector(&engine.a).await);
    for connector in [&one, &two] {
        sent(&engine, &engine.a, connector, "wamid.1").await;
    }
    let key = bound(&engine, &one).await;
    let bearer = format!("Bearer {key}");
    for header in [("x-api-key", key.as_str()), ("authorization", bearer.as_str())] {
        let find = async |query: String| engine.ask("GET", &format!("/v1/messages{query}"), &[header], None).await;
        for query in ["?providerId=wamid.1".to_owned(), format!("?providerId=wamid.1&connectorId={one}")] {
            let page = find(query).await.expect(200);
            assert_eq!(page["meta"]["total"], 1);
            assert_eq!(page["data"][0]["connectorId"], one.as_str());
        }
        for query in [String::new(), format!("?providerId=wamid.1&connectorId={two}"), format!("?connectorId={one}")] {
            let refused = find(query).await;
            assert!(refused.text().contains("may only be used with"), "{}", refused.text());
            assert_eq!(refused.error(403).0, "forbidden");
        }
    }
    // By the id that a send answered, where it did not know the channel's.
    let header = [("x-api-key", key.as_str())];
    let own = engine.ask("GET", "/v1/messages?providerId=wamid.1", &header, None).await.expect(200);
    let own = own["data"][0]["id"].as_str().expect("an id").to_owned();
    let shown = engine.ask("GET", &format!("/v1/messages/{own}"), &header, None).await.expect(200);
    assert_eq!((&shown["status"], &shown["connectorId"]), (&json!("SENT"), &json!(one)));
    let others = engine.get(&engine.a, &format!("/v1/messages?connectorId={two}")).await.expect(200);
    for id in [others["data"][0]["id"].as_str().expect("an id"), one.as_str(), "x"] {
        engine.ask("GET", &format!("/v1/messages/{id}"), &header, None).await.error(403);
    }
    engine.ask("POST", &format!("/v1/messages/{own}/cancel"), &header, None).await.error(403);
    // Beside another credential it is refused, as everywhere.
    let tenants = format!("Bearer {}", engine.a.key);
    let both = [("x-api-key", key.as_str()), ("authorization", tenants.as_str())];
    engine.ask("GET", "/v1/messages?providerId=wamid.1", &both, None).await.error(403);
}

#[tokio::test]
async fn counts_are_split_as_they_are_asked_for() {
    let engine = Engine::new().await;
    let (one, two) = (engine.connector(&engine.a).await, engine.connector(&engine.a).await);
    let key = sent(&engine, &engine.a, &one, "p1").await;
    sent(&engine, &engine.a, &two, "p2").await;
    let mut receipts = Receipts::default();
    receipts.note(None, ReceiptKind::Read, engine.world.commands.now(), None);
    engine.world.store.write(Batch::of(vec![Change::Receipts(key, receipts)])).expect("stored");
    let stats = async |query: &str| engine.get(&engine.a, &format!("/v1/stats/messages{query}")).await.expect(200);
    let all = stats("").await;
    let total = json!({"accepted": 2, "delivered": 1, "read": 1, "failed": 0});
    assert_eq!((&all["total"], &all["data"]), (&total, &json!([{"counts": total}])));
    let split = stats("?by=connector,category").await;
    let rows = split["data"].as_array().expect("rows");
    assert_eq!(rows.len(), 2);
    let row = rows.iter().find(|row| row["connectorId"] == one.as_str()).expect("its row");
    let seen = json!({"accepted": 1, "delivered": 1, "read": 1, "failed": 0});
    assert_eq!((&row["messageType"], &row["counts"]), (&json!("GERAL"), &seen));
    assert_eq!(stats(&format!("?connectorId={two}")).await["total"]["accepted"], 1);
    assert_eq!(stats("?campaign=3").await["total"]["accepted"], 0);
    for by in ["hour", "day"] {
        let rows = stats(&format!("?by={by}")).await;
        assert!(rows["data"][0]["at"].as_str().is_some_and(|at| at.ends_with(":00:00.000Z")), "{rows}");
    }
    let theirs = engine.get(&engine.b, "/v1/stats/messages").await.expect(200);
    assert_eq!(theirs["data"], json!([]));
    for (query, field) in [
        ("?by=hour,day", "by"),
        ("?by=weather", "by"),
        ("?dateFrom=2030-01-02T00:00:00Z&dateTo=2030-01-01T00:00:00Z", "dateFrom"),
        ("?dateFrom=2020-01-01T00:00:00Z", "dateTo"),
        ("?by=hour&dateFrom=2029-10-01T00:00:00Z", "dateFrom"),
    ] {
        let refused = engine.get(&engine.a, &format!("/v1/stats/messages{query}")).await;
        assert_eq!(refused.error(400).1, [field], "{query}");
    }
    let unknown = engine.get(&engine.a, &format!("/v1/stats/messages?connectorId={}", Uuid::nil())).await;
    unknown.error(404);
}
