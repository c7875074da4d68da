//! What the AI DESK API answers when a message is not accepted in time: 500, with when to try again, or with the id to look for where Meta
//! may have the message. What is said not to be sent never reaches Graph afterwards: its journal is asked after later messages went.

use std::sync::{Mutex, OnceLock, PoisonError};

use anyhow::{Context, Result, ensure};
use pombo_tests::graph::options;
use pombo_tests::http::{Client, Reply};
use pombo_tests::server::Server;
use pombo_tests::tenant::text_of;
use pombo_tests::wait::{PATIENCE, until};
use serde_json::{Value, json};

use crate::aidesk::{DIRECT, Desk, TEMPLATE};
use crate::shared::{Bench, person};

/// An engine that waits two seconds for an outcome, and gives up a call of a plugin's after six.
fn server() -> Result<&'static Server> {
    static SERVER: OnceLock<Server> = OnceLock::new();
    static STARTING: Mutex<()> = Mutex::new(());
    let _one_at_a_time = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(server) = SERVER.get() {
        return Ok(server);
    }
    let lines = "[aidesk]\nsend_wait_seconds = 2\n[sandbox]\nhost_call_timeout_seconds = 6\n";
    let server = Server::start(options(lines))?;
    Ok(SERVER.get_or_init(|| server))
}

fn desk() -> Result<Desk> {
    let mut bench = Bench::on(server()?)?;
    bench.let_call_back(server()?)?;
    Desk::of(bench)
}

impl Desk {
    /// Whether the instance may have so many messages with Meta at once, and so many a day.
    fn pace(&self, pace: &Value) -> Result<()> {
        self.bench.tenant.pace(&self.bench.connector, pace)
    }

    /// The only message to this person, as the queue lists it.
    fn queued(&self, who: &str) -> Result<Value> {
        let list = self.bench.tenant.list(&[("search", who)])?;
        assert_eq!(list["meta"]["total"], 1, "{list}");
        Ok(list["data"][0].clone())
    }

    /// Another message goes by the queue, after everything that was to go before it.
    fn another_goes(&self) -> Result<()> {
        let id = self.bench.queue_named(&person(), "boas_vindas")?;
        self.bench.tenant.wait_status(&id, &["SENT"])?;
        Ok(())
    }
}

/// A documented failure: 500, with a body that says so.
fn failed(reply: Reply) -> Result<(Value, Option<u64>)> {
    let retry_after = reply.header("retry-after").map(str::parse).transpose()?;
    let body = reply.expect_json(500)?;
    assert_eq!((&body["success"], &body["status"]), (&json!(false), &json!("error")), "{body}");
    Ok((body, retry_after))
}

/// Meta does not answer in time. Whether it took the message shows later; the answer names the message, so that it can be looked up with the
/// instance's own key.
#[test]
fn what_meta_does_not_answer_is_500_with_the_id_to_look_for() -> Result<()> {
    let desk = desk()?;
    let key = desk.bench.bound_key()?;
    let own = Client::new(desk.bench.tenant.client.address()).key(&key);
    for (fault, outcome, accepted) in [("hang", "UNKNOWN", 0), ("hang_after_accept", "SENT", 1)] {
        let who = person();
        desk.bench.graph.fault(&json!({"match": {"to": who}, fault: true}))?;
        let (body, retry_after) = failed(desk.try_template(&desk.body(&who))?)?;
        assert_eq!(retry_after, None, "{fault}: it is not to be sent again unseen");
        ensure!(text_of(&body, "message")?.contains("do not send it again without looking"), "{fault}: {body}");
        let id = text_of(&body, "message_uuid").with_context(|| format!("{fault}: {body}"))?;
        let seen = own.get(&format!("/v1/messages/{id}"))?.expect_json(200)?;
        assert_eq!(seen["to"], who.as_str(), "{fault}: {seen}");
        let ended = desk.bench.tenant.wait_status(&id, &["UNKNOWN", "FAILED", "SENT"])?;
        // Without an answer nobody knows at first; what Meta tells of it is found by our id.
        let ended = if ended["status"] == outcome { ended } else { desk.bench.tenant.wait_status(&id, &[outcome])? };
        assert_eq!(ended["providerId"].is_string(), accepted == 1, "{fault}: {ended}");
        desk.another_goes()?;
        assert_eq!(desk.bench.accepted(&who)?.len(), accepted, "{fault}");
        assert_eq!(desk.bench.graph.messages_to(&who)?, 1, "{fault}: it was sent again");
    }
    desk.bench.nothing_violated()
}

/// It waits behind one that Meta does not answer.
#[test]
fn what_is_not_begun_in_time_is_500_canceled_and_never_reaches_meta() -> Result<()> {
    let desk = desk()?;
    let (slow, late) = (person(), person());
    desk.bench.opened(&late)?;
    let contact = desk.contact(&late)?;
    desk.pace(&json!({"maxInFlight": 1}))?;
    desk.bench.graph.fault(&json!({"match": {"to": slow}, "hang": true}))?;
    let first = desk.bench.queue_named(&slow, "boas_vindas")?;
    until("Meta to be asked", PATIENCE, || Ok((desk.bench.graph.messages_to(&slow)? == 1).then_some(())))?;
    let text = json!({"contact_id": contact, "instance_id": desk.instance, "message_content": "Olá"});
    let client = &desk.client;
    let asked = std::thread::scope(|scope| -> Result<Vec<Reply>> {
        let requests = [(TEMPLATE, desk.body(&late)), (DIRECT, text)];
        let asking = requests.map(|(path, body)| scope.spawn(move || client.post(path, &body)));
        asking.into_iter().map(|one| one.join().map_err(|_| anyhow::anyhow!("a request panicked"))?).collect()
    })?;
    for reply in asked {
        let (body, _) = failed(reply)?;
        ensure!(text_of(&body, "message")?.contains("was not sent in time and will not be"), "{body}");
        ensure!(body["message_uuid"].is_null(), "{body}");
    }
    let list = desk.bench.tenant.list(&[("search", &late)])?;
    let statuses: Vec<&Value> = list["data"].as_array().into_iter().flatten().map(|one| &one["status"]).collect();
    assert_eq!(statuses, ["CANCELED", "CANCELED"], "{list}");
    // The queue goes on, while the first one still hangs and after it was given up.
    desk.pace(&json!({"maxInFlight": 4}))?;
    desk.another_goes()?;
    desk.bench.tenant.wait_status(&first, &["UNKNOWN"])?;
    desk.another_goes()?;
    assert_eq!(desk.bench.graph.messages_to(&late)?, 0);
    // It may be sent again, as the answer says.
    desk.template(&desk.body(&late))?;
    assert_eq!(desk.bench.accepted(&late)?.len(), 1);
    desk.bench.nothing_violated()
}

/// Meta slows the number down, shortly or for longer than anybody waits.
#[test]
fn what_meta_puts_off_is_500_with_retry_after_and_is_not_sent_later() -> Result<()> {
    let desk = desk()?;
    let who = person();
    desk.bench.graph.fault(&json!({"match": {"to": who, "count": 0}, "code": 130_429}))?;
    let (body, retry_after) = failed(desk.try_template(&desk.body(&who))?)?;
    ensure!(text_of(&body, "message")?.contains("slow down; it was not sent and will not be"), "{body}");
    ensure!(retry_after.is_some_and(|seconds| (1..=60).contains(&seconds)), "{retry_after:?}");
    assert_eq!(desk.queued(&who)?["status"], "CANCELED");
    desk.bench.graph.no_faults()?;
    desk.another_goes()?;
    ensure!(desk.bench.accepted(&who)?.is_empty(), "it was sent later");

    // A quarter of an hour: the next request is not even begun.
    let (first, second) = (person(), person());
    desk.bench.graph.fault(&json!({"match": {"to": first}, "code": 131_048}))?;
    for (who, asked) in [(&first, 1), (&second, 0)] {
        let (body, retry_after) = failed(desk.try_template(&desk.body(who))?)?;
        ensure!(text_of(&body, "message")?.contains("slow down"), "{body}");
        ensure!(retry_after.is_some_and(|seconds| (600..=900).contains(&seconds)), "{retry_after:?}");
        assert_eq!(desk.bench.graph.messages_to(who)?, asked);
    }
    assert_eq!(desk.queued(&first)?["status"], "FAILED", "its time is over before it could go again");
    assert_eq!(desk.bench.tenant.total(&[("search", &second)])?, 0, "nothing was stored");
    Ok(())
}

#[test]
fn the_days_limit_is_500_with_retry_after_and_nothing_is_stored() -> Result<()> {
    let desk = desk()?;
    desk.pace(&json!({"dailyCap": 1, "maxInFlight": 4}))?;
    let (first, second) = (person(), person());
    desk.template(&desk.body(&first))?;
    let (body, retry_after) = failed(desk.try_template(&desk.body(&second))?)?;
    ensure!(text_of(&body, "message")?.contains("limit for today"), "{body}");
    ensure!(retry_after.is_some_and(|seconds| (1..=86_400).contains(&seconds)), "{retry_after:?}");
    assert_eq!(desk.bench.tenant.total(&[])?, 1);
    desk.pace(&json!({}))?;
    desk.another_goes()?;
    assert_eq!(desk.bench.graph.messages_to(&second)?, 0);
    desk.template(&desk.body(&second))?;
    desk.bench.nothing_violated()
}

/// The portfolio may reach one person a day: the second is not kept waiting for tomorrow.
#[test]
fn who_is_beyond_the_portfolios_limit_is_500_and_is_not_written_to_when_the_limit_rises() -> Result<()> {
    let desk = desk()?;
    let limited = |limit: &Value| -> Result<()> {
        desk.bench.graph.portfolio(&json!({"tier": limit}))?;
        let told = json!({"max_daily_conversations_per_business": limit, "max_phone_numbers_per_business": 20});
        desk.bench.hook.post(&desk.bench.graph.line().other("business_capability_update", &told))
    };
    limited(&json!(1))?;
    let path = format!("/v1/connectors/{}/pace", desk.bench.connector);
    until("the limit to be known", PATIENCE, || {
        let report = desk.bench.tenant.client.get(&path)?.expect_json(200)?;
        Ok((report["now"]["audience"]["limit"] == 1).then_some(()))
    })?;
    let (first, second) = (person(), person());
    desk.template(&desk.body(&first))?;
    let (body, _) = failed(desk.try_template(&desk.body(&second))?)?;
    ensure!(text_of(&body, "message")?.contains("will not be"), "{body}");
    assert_eq!(desk.queued(&second)?["status"], "FAILED");
    limited(&json!("TIER_2K"))?;
    desk.another_goes()?;
    assert_eq!(desk.bench.graph.messages_to(&second)?, 0);
    // Who was written to already does not count again.
    desk.template(&desk.body(&first))?;
    desk.bench.nothing_violated()
}

#[test]
fn a_revoked_key_is_401_at_both_operations_and_sends_nothing() -> Result<()> {
    let desk = desk()?;
    let who = person();
    desk.bench.opened(&who)?;
    let contact = desk.contact(&who)?;
    let client = &desk.bench.tenant.client;
    let made = client
        .post("/v1/keys", &json!({"name": "a revogar", "connectorId": desk.bench.connector}))?
        .expect_json(201)?;
    let key = Client::new(client.address()).with("apikey", &text_of(&made, "key")?);
    let text = json!({"contact_id": contact, "instance_id": desk.instance, "message_content": "Olá"});
    let asked = [(TEMPLATE, desk.body(&who)), (DIRECT, text)];
    for (path, body) in &asked {
        key.post(path, body)?.expect(200)?;
    }
    client.post(&format!("/v1/keys/{}/revoke", text_of(&made, "id")?), &json!({}))?.expect(200)?;
    for (path, body) in &asked {
        let refused = key.post(path, body)?.expect_json(401)?;
        let expected =
            json!({"success": false, "status": "error", "message": "the API key is unknown or revoked", "errors": {}});
        assert_eq!(refused, expected, "{path}");
    }
    assert_eq!(desk.bench.accepted(&who)?.len(), 2);
    Ok(())
}
