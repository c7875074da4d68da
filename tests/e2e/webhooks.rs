//! Webhooks: signed, in order, retried, ended by 410, recorded, replayable, and kept across a crash.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pombo_tests::files::hmac_sha256;
use pombo_tests::http::query;
use pombo_tests::server::{Options, Server};
use pombo_tests::tenant::{Tenant, text_of, unique};
use pombo_tests::wait::{PATIENCE, until};
use pombo_tests::webhook::Receiver;
use serde_json::{Value, json};

use crate::shared::{mailing_tenant, queueing_tenant, smtp};

fn send_with_hook(tenant: &Tenant, connector: &str, to: &str, url: &str) -> Result<String> {
    let body =
        json!({"connectorId": connector, "to": to, "message": "hook", "webhookUrl": url, "externalId": "HOOK-1"});
    text_of(&tenant.send(&body)?, "id")
}

fn deliveries(tenant: &Tenant, message: &str) -> Result<Vec<Value>> {
    let list = tenant.client.get(&query("/v1/webhook-deliveries", &[("messageId", message), ("limit", "250")]))?;
    Ok(list.expect_json(200)?["data"].as_array().context("no data")?.clone())
}

fn wait_delivery(tenant: &Tenant, message: &str, status: &str) -> Result<Vec<Value>> {
    until(&format!("all deliveries of {message} to be {status}"), PATIENCE, || {
        let found = deliveries(tenant, message)?;
        Ok(Some(found).filter(|all| !all.is_empty() && all.iter().all(|d| d["status"] == status)))
    })
}

#[test]
fn every_change_is_told_in_order_and_signed() -> Result<()> {
    let receiver = Receiver::start()?;
    let (tenant, connector) = mailing_tenant()?;
    let id = send_with_hook(
        &tenant,
        &connector,
        &format!("fault.451.1.n{}@customers.test", unique()),
        &receiver.url("/order"),
    )?;
    tenant.wait_status(&id, &["SENT"])?;
    wait_delivery(&tenant, &id, "DELIVERED")?;
    let received = receiver.received("/order");
    let bodies: Vec<Value> = received.iter().map(|r| r.json()).collect();
    let statuses: Vec<&str> = bodies.iter().filter_map(|b| b["status"].as_str()).collect();
    assert_eq!(statuses.first(), Some(&"PENDING"), "{statuses:?}");
    assert_eq!(statuses.last(), Some(&"SENT"), "{statuses:?}");
    assert!(statuses.contains(&"PROCESSING") && statuses.contains(&"WAITING"), "{statuses:?}");
    let sequence: Vec<u64> = bodies.iter().filter_map(|b| b["sequence"].as_u64()).collect();
    assert!(sequence.is_sorted() && sequence.len() == bodies.len(), "{sequence:?}");
    for pair in bodies.windows(2) {
        assert_eq!(pair[1]["previousStatus"], pair[0]["status"], "a change is missing: {statuses:?}");
    }
    let secret = text_of(&tenant.client.get("/v1/webhook-secret")?.expect_json(200)?, "secret")?;
    let key = STANDARD.decode(secret.strip_prefix("whsec_").context("not a secret of Standard Webhooks")?)?;
    let mut ids = Vec::new();
    for request in &received {
        assert_eq!((request.method.as_str(), request.json()["id"].as_str()), ("POST", Some(id.as_str())));
        assert_eq!(request.json()["externalId"], "HOOK-1");
        let types = request.headers.iter().filter(|(name, _)| name == "content-type");
        assert_eq!(types.map(|(_, value)| value.as_str()).collect::<Vec<_>>(), ["application/json"]);
        // The signature of Standard Webhooks, and the hex digest of the body.
        let mut signed =
            format!("{}.{}.", request.header("webhook-id"), request.header("webhook-timestamp")).into_bytes();
        signed.extend_from_slice(&request.body);
        let signature = format!("v1,{}", STANDARD.encode(hex::decode(hmac_sha256(&key, &signed)?)?));
        assert_eq!(request.header("webhook-signature"), signature, "{request:?}");
        assert_eq!(request.header("x-pombo-signature"), hmac_sha256(&key, &request.body)?, "{request:?}");
        ids.push(request.header("webhook-id").to_owned());
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), received.len(), "two events have one id");
    Ok(())
}

#[test]
fn a_failing_receiver_is_tried_again_and_order_is_kept() -> Result<()> {
    let receiver = Receiver::start()?;
    let (tenant, connector) = mailing_tenant()?;
    let id = send_with_hook(&tenant, &connector, &format!("a{}@customers.test", unique()), &receiver.url("/fail/3/x"))?;
    tenant.wait_status(&id, &["SENT"])?;
    let all = wait_delivery(&tenant, &id, "DELIVERED")?;
    let received = receiver.received("/fail/3/x");
    assert_eq!(received.iter().map(|r| r.answered).collect::<Vec<_>>()[..4], [500, 500, 500, 200]);
    let first: Vec<&str> = received[..4].iter().map(|r| r.header("webhook-id")).collect();
    assert!(first.iter().all(|other| *other == first[0]), "a retry has another id: {first:?}");
    assert!(received[..4].iter().all(|r| r.body == received[0].body), "a retry has another body");
    let statuses: Vec<Value> = received[3..].iter().map(|r| r.json()["status"].clone()).collect();
    assert_eq!(statuses, [json!("PENDING"), json!("PROCESSING"), json!("SENT")]);
    let tried: Vec<&Value> = all.iter().filter(|d| d["body"]["status"] == "PENDING").collect();
    assert_eq!((tried.len(), &tried[0]["tries"]), (1, &json!(4)), "{all:?}");
    let answers: Vec<Value> =
        tried[0]["attempts"].as_array().into_iter().flatten().map(|a| a["status"].clone()).collect();
    assert_eq!(answers, [json!(500), json!(500), json!(500), json!(200)]);
    Ok(())
}

#[test]
fn no_answer_is_a_failure_too() -> Result<()> {
    let receiver = Receiver::start()?;
    let (tenant, connector) = queueing_tenant()?;
    let id = send_with_hook(&tenant, &connector, "a@customers.test", &receiver.url("/hang/1/x"))?;
    let all = wait_delivery(&tenant, &id, "DELIVERED")?;
    assert_eq!(receiver.received("/hang/1/x").len(), 2);
    let attempts = all[0]["attempts"].as_array().context("no attempts")?;
    assert!(attempts[0]["status"].is_null() && attempts[0]["error"].is_string(), "{attempts:?}");
    Ok(())
}

#[test]
fn gone_ends_it_and_a_replay_begins_again() -> Result<()> {
    let receiver = Receiver::start()?;
    let (tenant, connector) = queueing_tenant()?;
    let id = send_with_hook(&tenant, &connector, "a@customers.test", &receiver.url("/gone/x"))?;
    let all = wait_delivery(&tenant, &id, "ABANDONED")?;
    assert_eq!(receiver.received("/gone/x").len(), 1, "410 was tried again");
    let delivery = text_of(&all[0], "id")?;
    let alone = tenant.client.get(&format!("/v1/webhook-deliveries/{delivery}"))?.expect_json(200)?;
    assert_eq!(alone, all[0], "alone it is shown as in the list");
    let path = format!("/v1/webhook-deliveries/{delivery}/replay");
    tenant.client.post(&path, &json!({}))?.expect(200)?;
    let received = receiver.wait_for("/gone/x", 2)?;
    assert_eq!(received[1].header("webhook-id"), received[0].header("webhook-id"));
    assert_eq!(received[1].body, received[0].body);
    // A delivered one can be replayed as well.
    let id = send_with_hook(&tenant, &connector, "b@customers.test", &receiver.url("/fine"))?;
    let all = wait_delivery(&tenant, &id, "DELIVERED")?;
    let path = format!("/v1/webhook-deliveries/{}/replay", text_of(&all[0], "id")?);
    tenant.client.post(&path, &json!({}))?.expect(200)?;
    receiver.wait_for("/fine", 2)?;
    let shown = wait_delivery(&tenant, &id, "DELIVERED")?;
    assert_eq!(
        shown[0]["attempts"].as_array().map(Vec::len),
        Some(2),
        "what was tried before is not on record: {shown:?}"
    );
    Ok(())
}

#[test]
fn events_survive_kill_9() -> Result<()> {
    let receiver = Receiver::start()?;
    let mut server = Server::start(Options::with("[webhooks]\nretry_seconds = [1, 1, 1, 1, 1, 1, 1, 1]"))?;
    let tenant = Tenant::create(&server)?;
    let connector = tenant.email(smtp()?, "plain", &json!({}))?;
    let ids: Vec<String> = (0..20)
        .map(|n| {
            let to = format!("kept{}@customers.test", unique());
            send_with_hook(&tenant, &connector, &to, &receiver.url(&format!("/fail/2/kept-{n}")))
        })
        .collect::<Result<_>>()?;
    for id in &ids {
        tenant.wait_status(id, &["SENT"])?;
    }
    server.kill()?;
    server.launch()?;
    for (n, id) in ids.iter().enumerate() {
        wait_delivery(&tenant, id, "DELIVERED")?;
        let received = receiver.received(&format!("/fail/2/kept-{n}"));
        let mut taken: Vec<u64> =
            received.iter().filter(|r| r.answered == 200).filter_map(|r| r.json()["sequence"].as_u64()).collect();
        // An answer that the crash kept from being stored repeats its event.
        taken.dedup();
        assert_eq!(taken, [0, 1, 2], "message {n}");
    }
    server.terminate(Duration::from_secs(60))?;
    server.inspect()?;
    Ok(())
}

#[test]
fn a_connectors_secret_for_its_channel_is_shown_changed_and_asked_for() -> Result<()> {
    let (tenant, connector) = queueing_tenant()?;
    let path = format!("/v1/connectors/{connector}/receiving");
    let shown = tenant.client.get(&path)?.expect_json(200)?;
    ensure!(text_of(&shown, "url")?.ends_with(&format!("/v1/connectors/{connector}/receive")), "{shown}");
    let changed = tenant.client.post(&format!("{path}/rotate"), &json!({}))?.expect_json(200)?;
    let (old, new) = (text_of(&shown, "secret")?, text_of(&changed, "secret")?);
    ensure!(old != new && tenant.client.get(&path)?.expect_json(200)? == changed, "it did not change");
    let call =
        |secret: &str| tenant.client.post(&format!("/v1/connectors/{connector}/receive/x?secret={secret}"), &json!({}));
    call(&old)?.expect(401)?;
    // The connector of the tests sends e-mail: it takes no requests, and says so to those who have the secret.
    let refused = call(&new)?.expect_json(400)?;
    ensure!(refused["error"]["code"] == "unsupported", "{refused}");
    Ok(())
}

#[test]
fn endpoints_are_created_tested_changed_and_deleted() -> Result<()> {
    let receiver = Receiver::start()?;
    let (tenant, connector) = mailing_tenant()?;
    let client = &tenant.client;
    let list = "/v1/webhook-endpoints";
    let body = json!({"url": receiver.url("/endpoint"), "connectorIds": [connector], "events": ["message.status"]});
    let made = client.post(list, &body)?.expect_json(201)?;
    ensure!(made["id"] == connector && made["enabled"] == true, "{made}");
    let secret = text_of(&made, "secret")?;
    client.post(list, &body)?.expect(409)?;
    let path = format!("{list}/{connector}");
    let shown = client.get(&path)?.expect_json(200)?;
    ensure!(client.get(list)?.expect_json(200)?["data"] == json!([shown]) && shown.get("secret").is_none(), "{shown}");

    let tested = client.post(&format!("{path}/test"), &json!({}))?.expect_json(200)?;
    ensure!(tested["ok"] == true && tested["status"] == 200, "{tested}");
    let posts = receiver.wait_for("/endpoint", 1)?;
    ensure!(posts[0].header("x-pombo-test") == "true", "{:?}", posts[0]);
    let signature = hmac_sha256(secret.as_bytes(), &posts[0].body)?;
    ensure!(posts[0].header("x-webhook-signature") == signature, "{:?}", posts[0]);

    // A receiver that wants no more ends the test, not the endpoint.
    let changed = client.patch(&path, &json!({"url": receiver.url("/gone/endpoint")}))?.expect_json(200)?;
    ensure!(changed["events"] == json!(["message.status"]), "{changed}");
    let tested = client.post(&format!("{path}/test"), &json!({}))?.expect_json(200)?;
    ensure!(tested["ok"] == false && tested["status"] == 410, "{tested}");
    ensure!(client.get(&path)?.expect_json(200)?["enabled"] == true, "it is still on");
    client.delete(&path)?.expect(204)?;
    client.get(&path)?.expect(404)?;
    Ok(())
}
