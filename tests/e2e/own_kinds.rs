//! What has no case of its own in the connector's world passes through the whole engine by name, with the form that the plugin
//! describes: a poll, a call, and a step of linking an account that asks for something. The plugin is the probe of the hostile ones.

use anyhow::{Result, ensure};
use pombo_tests::tenant::{Tenant, text_of};
use pombo_tests::whatsapp::{Events, connected};
use serde_json::{Value, json};

use crate::hostile::server_with;

/// Names of the wrong fields of a refusal.
fn fields(refused: &Value) -> Vec<&str> {
    let all = refused["error"]["fields"].as_array().into_iter().flatten();
    all.filter_map(|field| field["field"].as_str()).collect()
}

#[test]
fn a_poll_a_call_and_a_challenge_pass_through_by_name() -> Result<()> {
    let server = server_with(&["probe"])?;
    let tenant = Tenant::create(&server)?;
    let client = &tenant.client;
    let connector = tenant.connector("hostile-probe", &json!({"host": "127.0.0.1:9"}))?;
    tenant.pace(&connector, &json!({}))?;
    connected(&tenant, &connector)?;
    let at = |below: &str| format!("/v1/connectors/{connector}/{below}");

    // The description says which there are, with their forms.
    let about = client.get("/v1/plugins/hostile-probe")?.expect_json(200)?["about"].clone();
    let schema_of = |of: &str, name: &str| -> Value {
        let mut kinds = about[of].as_array().into_iter().flatten();
        kinds.find(|kind| kind["name"] == name).map(|kind| kind["schema"].clone()).unwrap_or_default()
    };
    assert_eq!(schema_of("contents", "poll")["required"], json!(["question", "choices"]), "{about}");
    assert_eq!(schema_of("operations", "call")["required"], json!(["id", "act"]), "{about}");
    assert_eq!(schema_of("operations", "link-step")["required"], json!(["id", "answer"]), "{about}");

    // What the channel tells is in the log as it was told.
    let told = [
        ("poll-vote", json!({"poll": "P1", "by": "ana", "choices": ["ja"]})),
        ("call", json!({"id": "c1", "from": "ana", "video": false, "state": "ringing"})),
        (
            "link-step",
            json!({"id": "s1", "kind": "code", "text": "Enter the code that was sent to …11", "schema": {"type": "string"},
                "expiresAtMillis": 4_000_000_000_000_u64}),
        ),
    ];
    let said: Vec<Value> =
        told.iter().map(|(kind, payload)| json!({"kind": kind, "json": payload.to_string()})).collect();
    let secret = text_of(&client.get(&at("receiving"))?.expect_json(200)?, "secret")?;
    let channel = server.client().with("X-Webhook-Secret", &secret);
    channel.post(&at("receive/tell"), &json!(said))?.expect(200)?;
    let mut events = Events::all(&tenant);
    for (kind, payload) in &told {
        let event = events.expect(kind, |event| event["type"] == "other" && event["data"]["kind"] == *kind)?;
        assert_eq!((&event["data"]["payload"], &event["connectorId"]), (payload, &json!(connector)), "{kind}");
    }

    // The person answers the challenge and rejects the call.
    for (kind, value) in
        [("link-step", json!({"id": "s1", "answer": "segredo-4711"})), ("call", json!({"id": "c1", "act": "reject"}))]
    {
        let answered = client.post(&at("operations"), &json!({"kind": kind, "value": value}))?.expect_json(200)?;
        assert_eq!(answered, json!({"value": value}), "the probe answers with what it was asked");
    }
    for (kind, value, wrong) in [
        ("link-step", json!({"id": "s1", "answer": ""}), "value.answer"),
        ("call", json!({"id": "c1", "act": "listen"}), "value.act"),
    ] {
        let refused = client.post(&at("operations"), &json!({"kind": kind, "value": value}))?.expect_json(400)?;
        assert_eq!(fields(&refused), [wrong], "{refused}");
    }
    let refused = client.post(&at("operations"), &json!({"kind": "poll", "value": {}}))?.expect_json(400)?;
    assert_eq!(refused["error"]["code"], "unsupported", "{refused}");
    // What was answered may be a secret: it is nowhere.
    ensure!(!events.drain()?.iter().any(|event| event.to_string().contains("segredo-4711")), "it is in the events");
    ensure!(!server.log()?.contains("segredo-4711"), "it is in the log");

    // A poll goes out, if it has the form of one.
    let poll = json!({"question": "Amanhã?", "choices": ["sim", "não"]});
    let body = |value: &Value| json!({"to": "ana", "text": "Amanhã?", "content": {"kind": "poll", "value": value}});
    let queued = client.post(&at("messages"), &body(&poll))?.expect_json(201)?;
    let sent = tenant.wait_status(&text_of(&queued, "id")?, &["SENT", "FAILED"])?;
    let told = text_of(&sent, "providerId")?;
    let value = told.strip_prefix("other poll ").unwrap_or_default();
    assert_eq!(serde_json::from_str::<Value>(value)?, poll, "{sent}");
    let one = json!({"question": "Amanhã?", "choices": ["sim"]});
    let refused = client.post(&at("messages"), &body(&one))?.expect_json(400)?;
    assert_eq!(fields(&refused), ["content.value.choices"], "{refused}");
    Ok(())
}
