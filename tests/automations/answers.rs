//! A message arrives and the automation answers: order, state, timers, webhooks and manual starts.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use pombo_tests::automation::{automate, automate_with, component, conversation, install, variant};
use pombo_tests::server::Server;
use pombo_tests::tenant::text_of;
use pombo_tests::wait::{PATIENCE, until};
use pombo_tests::whatsapp::Events;
use serde_json::json;

use crate::shared::{Chat, options};

#[test]
fn an_echo_answers_each_message_once_and_in_order() -> Result<()> {
    let server = Server::start(options("")?)?;
    let chat = Chat::new(&server)?;
    let (echo, _) = install(&chat.tenant.client, &variant("echo", "count")?)?;
    automate(&chat.tenant, &chat.connector, &echo, &json!({}))?;
    for n in 0..20 {
        chat.pipe.write_all([("ana".to_owned(), format!("a{n}")), ("bia".to_owned(), format!("{{b|{n}}} {{{{x}}}}"))]);
    }
    for who in ["ana", "bia"] {
        let answers = chat.pipe.answers(who, 20)?;
        ensure!(answers.len() == 20, "{answers:?}");
        // Handled in order, as the count says, however many are on their way at once; and said word for word.
        for n in 0..20 {
            let text = if who == "ana" { format!("a{n}") } else { format!("{{b|{n}}} {{{{x}}}}") };
            ensure!(answers.contains(&format!("{text} #{}", n + 1)), "{n}: {answers:?}");
        }
    }
    let (_, repeated) = chat.pipe.counts();
    assert_eq!(repeated, 0);
    Ok(())
}

#[test]
fn the_first_that_claims_answers_and_an_outage_of_the_channel_loses_nothing() -> Result<()> {
    let server = Server::start(options("")?)?;
    let chat = Chat::new(&server)?;
    let (echo, _) = install(&chat.tenant.client, &component("echo")?)?;
    // Two of the same: only the first in order answers.
    automate_with(&chat.tenant, &chat.connector, &echo, &json!({}), &json!({"name": "second", "position": 20}))?;
    automate_with(&chat.tenant, &chat.connector, &echo, &json!({}), &json!({"name": "first", "position": 10}))?;
    chat.pipe.set_down(true);
    chat.pipe.write("ana", "oi");
    until("the answer to wait for the channel", PATIENCE, || Ok((chat.tenant.total(&[])? == 1).then_some(())))?;
    chat.pipe.set_down(false);
    chat.pipe.answers("ana", 1)?;
    chat.pipe.write("ana", "de novo");
    let answers = chat.pipe.answers("ana", 2)?;
    assert_eq!(answers.len(), 2, "{answers:?}");
    assert_eq!(chat.tenant.total(&[])?, 2);
    Ok(())
}

#[test]
fn what_went_wrong_is_parked_with_its_reason_and_can_be_replayed() -> Result<()> {
    let server = Server::start(options("[automations]\nretry_seconds = [1]")?)?;
    let chat = Chat::new(&server)?;
    let receiver = pombo_tests::webhook::Receiver::start()?;
    let config = json!({"url": receiver.url("/fail/2/bot"), "secret": "0123456789abcdef"});
    let automation = automate(&chat.tenant, &chat.connector, "integration-webhook", &config)?;
    let mut events = Events::from_now(&chat.tenant)?;
    chat.pipe.write("ana", "oi");
    let parked = events.expect("a parked event", |event| event["type"] == "automation.parked")?;
    let page =
        chat.tenant.client.get(&format!("/v1/automations/parked?automationId={automation}"))?.expect_json(200)?;
    let item = page["data"][0].clone();
    ensure!(item["id"].is_string() && item["reason"].as_str().is_some_and(|r| !r.is_empty()), "{page} {parked}");
    // A later message is answered although the earlier one lies aside; then that one is tried again.
    chat.pipe.write("ana", "e agora?");
    receiver.wait_for("/fail/2/bot", 3)?;
    let id = text_of(&item, "id")?;
    chat.tenant.client.post(&format!("/v1/automations/parked/{id}/replay"), &json!({}))?.expect(204)?;
    until("nothing to be parked", PATIENCE, || {
        let page = chat.tenant.client.get("/v1/automations/parked")?.expect_json(200)?;
        Ok(page["data"].as_array().is_some_and(Vec::is_empty).then_some(()))
    })?;
    Ok(())
}

#[test]
fn a_flow_waits_across_a_restart_and_can_be_started_by_hand() -> Result<()> {
    let mut server = Server::start(options("")?)?;
    let chat = Chat::new(&server)?;
    let flow = json!({"flow": {
        "start": "hello", "trigger": {"onlyStarted": true},
        "steps": {
            "hello": {"type": "question", "text": "{{nome}}, tudo bem?", "variable": "r", "timeoutMinutes": 1, "onTimeout": "later", "next": "bye"},
            "later": {"type": "end", "text": "até depois, {{nome}}"},
            "bye": {"type": "end", "text": "que bom"}
        }
    }});
    let automation = automate(&chat.tenant, &chat.connector, "flow", &flow)?;
    let start = format!("/v1/automations/{automation}/start");
    chat.tenant.client.post(&start, &json!({"to": "ana", "input": {"nome": "Ana"}}))?.expect(202)?;
    chat.tenant.client.post(&start, &json!({"to": "bia", "input": {"nome": "Bia"}}))?.expect(202)?;
    assert_eq!(chat.pipe.answers("ana", 1)?, ["Ana, tudo bem?"]);
    chat.pipe.answers("bia", 1)?;
    server.kill()?;
    server.launch()?;
    chat.pipe.write("ana", "tudo");
    assert_eq!(chat.pipe.answers("ana", 2)?[1], "que bom");
    let all = |sent: &[pombo_tests::pipe::Sent]| sent.iter().any(|s| s.to == "bia" && s.text == "até depois, Bia");
    chat.pipe.wait("the timer after the restart", Duration::from_secs(120), all)?;
    let kept = conversation(&chat.tenant, "bia")?;
    let id = text_of(&kept, "id")?;
    let whole = chat.tenant.client.get(&format!("/v1/conversations/{id}"))?.expect_json(200)?;
    assert_eq!(whole["timers"].as_array().context("no timers")?.len(), 0);
    Ok(())
}
