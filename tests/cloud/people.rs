//! People: numbers that Meta writes otherwise, people without a number, and automations that answer them alone. Rows 8, 12 and 22 of
//! what peers got wrong.

use anyhow::{Context, Result, ensure};
use pombo_tests::automation::automate;
use pombo_tests::tenant::unique;
use pombo_tests::wait::{PATIENCE, until};
use pombo_tests::whatsapp::Events;
use serde_json::{Value, json};

use crate::shared::{Bench, named_template, person};

impl Bench {
    /// The tenant's contacts.
    pub(crate) fn contacts(&self) -> Result<Vec<Value>> {
        let page = self.tenant.client.get("/v1/contacts?limit=100")?.expect_json(200)?;
        Ok(page["data"].as_array().context("no data")?.clone())
    }

    /// The connector's conversations.
    pub(crate) fn conversations(&self) -> Result<Vec<Value>> {
        let path = format!("/v1/conversations?connectorId={}&limit=100", self.connector);
        let page = self.tenant.client.get(&path)?.expect_json(200)?;
        Ok(page["data"].as_array().context("no data")?.clone())
    }
}

/// Row 8: Brazil's ninth digit made two contacts.
#[test]
fn a_number_that_meta_writes_otherwise_is_one_contact() -> Result<()> {
    let bench = Bench::new()?;
    bench.template(&named_template("nono_digito"))?;
    let phone = person();
    let wa_id = format!("{}{}", &phone[..4], &phone[5..]);
    bench.graph.person(&json!({"phone": phone, "wa_id": wa_id, "name": "Ana"}))?;
    let id = bench.queue_named(&phone, "nono_digito")?;
    bench.tenant.wait_status(&id, &["SENT"])?;
    let answer = bench.graph.says(&phone, &json!({"type": "text", "text": {"body": "recebi"}}))?;
    Events::all(&bench.tenant).message(&answer)?;
    let contacts = bench.contacts()?;
    assert_eq!(contacts.len(), 1, "{contacts:?}");
    let conversations = bench.conversations()?;
    assert_eq!(conversations.len(), 1, "{conversations:?}");
    // The answer opened the window for the number that is on the contact, too.
    bench.send(&json!({"to": phone, "text": "que bom"}))?;
    assert_eq!(bench.conversations()?.len(), 1);
    Ok(())
}

/// Row 22: people without a phone number were dropped.
#[test]
fn a_person_without_a_number_is_a_contact_like_any_other() -> Result<()> {
    let bench = Bench::new()?;
    let bsuid = format!("BR.{}", 1_502_000_000_000 + unique());
    bench.graph.person(&json!({"user_id": bsuid, "username": "ana.s", "name": "Ana", "hides_phone": true}))?;
    let id = bench.graph.says(&bsuid, &json!({"type": "text", "text": {"body": "sem telefone"}}))?;
    let mut events = Events::all(&bench.tenant);
    let message = events.message(&id)?;
    assert_eq!((&message["chat"], &message["text"]), (&json!(bsuid), &json!("sem telefone")));
    let conversation = bench.conversation(&bsuid)?;
    assert_eq!(conversation["contactName"], "Ana", "{conversation}");
    bench.send(&json!({"to": bsuid, "text": "oi, Ana"}))?;
    let sent = bench.accepted(&bsuid)?;
    assert_eq!(sent.len(), 1);
    ensure!(sent[0]["to"].is_null() && sent[0]["recipient"] == bsuid.as_str(), "{}", sent[0]);
    bench.nothing_violated()
}

/// Row 12: a bot answered the statuses of its own messages, until 131056.
#[test]
fn automations_are_not_asked_about_statuses() -> Result<()> {
    let bench = Bench::new()?;
    bench.graph.knobs(&json!({"receipts": "sent+delivered+read", "duplicates": 2}))?;
    let flow = json!({"flow": {"start": "a", "steps": {
        "a": {"type": "question", "text": "Como posso ajudar?", "variable": "x", "next": "b"},
        "b": {"type": "question", "text": "E mais?", "variable": "y", "next": "a"}}}});
    automate(&bench.tenant, &bench.connector, "flow", &flow)?;
    let who = person();
    bench.graph.says(&who, &json!({"type": "text", "text": {"body": "oi"}}))?;
    let answered =
        |count: usize| until("the answers", PATIENCE, || Ok((bench.accepted(&who)?.len() >= count).then_some(())));
    answered(1)?;
    bench.graph.settle()?;
    bench.graph.says(&who, &json!({"type": "text", "text": {"body": "um pão"}}))?;
    answered(2)?;
    bench.graph.settle()?;
    let texts: Vec<Value> = bench.accepted(&who)?.iter().map(|body| body["text"]["body"].clone()).collect();
    assert_eq!(texts, ["Como posso ajudar?", "E mais?"]);
    bench.nothing_violated()
}
