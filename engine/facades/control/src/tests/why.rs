//! Why a message is where it is, as a caller reads it.

use pombo_domain::model::hearing::{DeliveryTimes, HearingView};
use pombo_domain::model::{Reached, Reason, ReasonCode, Receipts, Status};
use pombo_domain::ports::{Batch, Change, Store};
use pombo_domain::{MessageKey, ids};
use serde_json::{Value, json};
use uuid::Uuid;

use super::history::{attempt, receive, says};
use super::support::{Caller, Engine, Refused};

fn key_of(caller: &Caller, id: &str) -> MessageKey {
    let id: Uuid = id.parse().expect("a UUID");
    MessageKey { tenant: caller.tenant.index, serial: ids::message_serial(id).expect("a message's") }
}

fn fact<'a>(why: &'a Value, name: &str) -> Option<&'a Value> {
    let facts = why["facts"].as_array().expect("a list").iter();
    facts.filter(|fact| fact["name"] == name).map(|fact| &fact["value"]).next()
}

#[tokio::test]
async fn a_message_says_what_it_waits_for_and_what_became_of_it() {
    let engine = Engine::new().await;
    let connector = engine.connector(&engine.a).await;
    let unapproved = engine.message(&engine.a, &connector, true).await;
    let path = |id: &str| format!("/v1/messages/{id}/why");
    let why = engine.get(&engine.a, &path(&unapproved)).await.expect(200);
    assert_eq!(why, json!({"code": "approval", "sentence": "It waits until a person approves it.", "facts": []}));

    let id = engine.message(&engine.a, &connector, false).await;
    let key = key_of(&engine.a, &id);
    let other = engine.connector(&engine.a).await;
    let others = engine.message(&engine.a, &other, false).await;
    engine.world.clock.stand();
    // The connector's quiet hours end in an hour.
    engine.world.clock.jump(-3_600_000);
    let why = engine.get(&engine.a, &path(&id)).await.expect(200);
    assert_eq!((&why["code"], &why["until"]), (&json!("quiet_hours"), &json!("2030-01-01T00:00:00.000Z")));
    assert!(why["sentence"].as_str().is_some_and(|text| text.starts_with("These are the connector's quiet hours")));
    assert!(fact(&why, "queued").is_some(), "{why}");

    engine.world.store.force(key, |state| {
        state.status = Status::Failed;
        state.attempts = 1;
        let reason = Reason::new(ReasonCode::InvalidRecipient, "no such account");
        state.reason = Some(reason.with_channel_code(Some("131026")));
    });
    let why = engine.get(&engine.a, &path(&id)).await.expect(200);
    let sentence = "It failed: no such account (the channel's code is 131026); correct the recipient's address.";
    assert_eq!((&why["code"], &why["sentence"]), (&json!("failed"), &json!(sentence)));
    assert_eq!(fact(&why, "channel_code"), Some(&json!("131026")));
    assert_eq!(fact(&why, "advice"), Some(&json!("correct the recipient's address")));

    engine.get(&engine.b, &path(&id)).await.error(404);
    let body = json!({"name": "one connector", "connectorId": connector});
    let bound = engine.post(&engine.a, "/v1/keys", body).await.expect(201);
    let bound = bound["key"].as_str().expect("a key").to_owned();
    let own = engine.ask("GET", &path(&id), &[("x-api-key", &bound)], None).await.expect(200);
    assert_eq!(own["code"], "failed");
    engine.ask("GET", &path(&others), &[("x-api-key", &bound)], None).await.error(403);
}

#[tokio::test]
async fn a_message_that_is_later_than_its_peers_is_shown_as_not_seen_with_the_cause() {
    let engine = Engine::new().await;
    let (connector, index) = engine.chat(&engine.a).await;
    receive(&engine, &engine.a, index, says("5511988887777", "R1", "oi")).await;
    let send = async || {
        let body = json!({"to": "5511988887777", "text": "Oi"});
        let made = engine.post(&engine.a, &format!("/v1/connectors/{connector}/messages"), body).await.expect(201);
        let id = made["id"].as_str().expect("an id").to_owned();
        engine.world.clock.jump(1_000);
        attempt(&engine, &engine.a, index, &id, None).await;
        id
    };
    let id = send().await;
    engine.world.clock.jump(3_600_000);
    let path = format!("/v1/messages/{id}");
    let shown = engine.get(&engine.a, &path).await.expect(200);
    assert_eq!(shown["receipts"], json!({"members": []}), "nothing is known of its peers");

    let delivery = Some(DeliveryTimes { samples: 500, p50_ms: 2_000, p99_ms: 60_000 });
    *engine.fixed.hearing.lock().expect("no test panics in it") = HearingView { delivery, ..HearingView::default() };
    let shown = engine.get(&engine.a, &path).await.expect(200);
    let late = &shown["receipts"]["notSeen"];
    assert_eq!((&late["cause"], &late["since"]), (&json!("recipient_offline"), &shown["sentAt"]));
    assert!(late["recipientHeardAt"].is_string() && late["detail"].is_string(), "{late}");
    assert_eq!(shown["status"], "SENT", "it is neither failed nor sent again");
    let why = engine.get(&engine.a, &format!("{path}/why")).await.expect(200);
    assert_eq!((&why["code"], fact(&why, "cause")), (&json!("not_seen"), Some(&json!("recipient_offline"))));

    // The next one arrives: it is this one that the recipient's device cannot read.
    let next = send().await;
    let now = Some(engine.state.commands.now());
    let first = Reached { delivered_at: now, read_at: None, played_at: None };
    let receipts = Change::Receipts(key_of(&engine.a, &next), Receipts { first, ..Receipts::default() });
    engine.world.store.commit(Batch::of(vec![receipts])).await.expect("commits");
    let shown = engine.get(&engine.a, &path).await.expect(200);
    assert_eq!(shown["receipts"]["notSeen"]["cause"], "later_delivered");
    let next = engine.get(&engine.a, &format!("/v1/messages/{next}")).await.expect(200);
    assert_eq!(next["receipts"].get("notSeen"), None);
}
