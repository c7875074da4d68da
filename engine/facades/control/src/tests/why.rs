//! Why a message is where it is, as a caller reads it.

use pombo_domain::model::{Reason, ReasonCode, Status};
use pombo_domain::{MessageKey, ids};
use serde_json::{Value, json};
use uuid::Uuid;

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
