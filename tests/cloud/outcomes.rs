//! What becomes of a message: Meta's codes at once and later, answers of any shape, answers that are lost. Rows 13 and 17 of what peers
//! got wrong.

use anyhow::{Context, Result, ensure};
use pombo_tests::tenant::text_of;
use pombo_tests::wait::{PATIENCE, until};
use pombo_tests::whatsapp::Events;
use serde_json::{Value, json};

use crate::shared::{Bench, named_content, named_template, person};

/// Row 13: a failure that came after the acceptance was never shown.
#[test]
fn a_late_failure_fails_the_message_with_its_reason() -> Result<()> {
    let bench = Bench::new()?;
    bench.template(&named_template("tarde"))?;
    for code in [131_026, 131_047, 131_049, 131_053, 131_042, 130_472] {
        let who = person();
        bench.graph.fault(&json!({"match": {"to": who}, "code": code, "async": true}))?;
        let mut events = Events::from_now(&bench.tenant)?;
        let id = bench.queue_named(&who, "tarde")?;
        let message = bench.tenant.wait_status(&id, &["FAILED"])?;
        assert_eq!(message["reason"]["channelCode"], code.to_string(), "{message}");
        ensure!(!text_of(&message["reason"], "detail")?.is_empty(), "{message}");
        let receipt = events.receipt(&id, "failed")?;
        ensure!(receipt["reason"].is_string(), "{receipt}");
        assert_eq!(bench.accepted(&who)?.len(), 1, "{code} was sent again");
        assert_eq!(bench.tenant.list(&[("status", "FAILED"), ("search", &who)])?["data"][0]["id"], json!(id));
    }
    Ok(())
}

/// Row 13, too: an error whose body had another shape was a crash.
#[test]
fn refusals_of_every_shape_are_understood() -> Result<()> {
    let bench = Bench::new()?;
    bench.template(&named_template("formas"))?;
    for shape in ["json", "string_error_data"] {
        let who = person();
        bench.graph.fault(&json!({"match": {"to": who}, "code": 131_009, "body": shape}))?;
        let id = bench.queue_named(&who, "formas")?;
        let message = bench.tenant.wait_status(&id, &["FAILED"])?;
        assert_eq!(message["reason"]["channelCode"], "131009", "{shape}: {message}");
    }
    // A gateway's page, or nothing, says nothing about the message: a status will, or a person.
    for shape in ["html", "empty"] {
        let who = person();
        bench.graph.fault(&json!({"match": {"to": who}, "code": 1, "http": 502, "body": shape}))?;
        let id = bench.queue_named(&who, "formas")?;
        let message = bench.tenant.wait_status(&id, &["UNKNOWN", "SENT", "WAITING"])?;
        ensure!(message["attempts"].as_u64().is_some_and(|attempts| attempts >= 1), "{shape}: {message}");
    }
    Ok(())
}

/// Row 17: after a time-out the message was sent again, and came twice.
#[test]
fn an_answer_that_is_lost_waits_for_its_status() -> Result<()> {
    let bench = Bench::new()?;
    bench.template(&named_template("perdida"))?;
    let who = person();
    bench.graph.fault(&json!({"match": {"to": who}, "reset_after_accept": true}))?;
    let id = bench.queue_named(&who, "perdida")?;
    let message = bench.message_when(&id, "sent by what its status says", |message| message["status"] == "SENT")?;
    ensure!(message["providerId"].as_str().is_some_and(|id| id.starts_with("wamid.")), "{message}");
    assert_eq!(bench.graph.messages_to(&who)?, 1, "it was sent again");
    bench.nothing_violated()
}

#[test]
fn an_answer_that_is_lost_and_a_failure_that_follows_is_failed() -> Result<()> {
    let bench = Bench::new()?;
    bench.template(&named_template("perdida_falha"))?;
    let who = person();
    bench.graph.person(&json!({"phone": who, "has_whatsapp": false}))?;
    bench.graph.fault(&json!({"match": {"to": who}, "reset_after_accept": true}))?;
    let id = bench.queue_named(&who, "perdida_falha")?;
    let message = bench.tenant.wait_status(&id, &["FAILED"])?;
    assert_eq!(message["reason"]["channelCode"], "131026", "{message}");
    assert_eq!(bench.graph.messages_to(&who)?, 1, "it was sent again");
    Ok(())
}

#[test]
fn what_can_never_be_sent_fails_at_once_with_metas_code() -> Result<()> {
    let bench = Bench::new()?;
    bench.template(&named_template("nunca"))?;
    for code in
        [131_008, 131_009, 131_021, 131_030, 131_051, 132_000, 132_005, 132_007, 132_012, 132_018, 130_403, 131_062]
    {
        let who = person();
        bench.graph.fault(&json!({"match": {"to": who}, "code": code}))?;
        let id = bench.queue_named(&who, "nunca")?;
        let message = bench.tenant.wait_status(&id, &["FAILED"])?;
        assert_eq!(message["reason"]["channelCode"], code.to_string(), "{message}");
        assert_eq!(bench.graph.messages_to(&who)?, 1, "{code} was sent again");
    }
    Ok(())
}

#[test]
fn what_meta_cannot_do_now_is_tried_again() -> Result<()> {
    let bench = Bench::new()?;
    bench.template(&named_template("de_novo"))?;
    for code in [2, 131_000, 131_016, 133_004] {
        let who = person();
        bench.graph.fault(&json!({"match": {"to": who}, "code": code}))?;
        let id = bench.queue_named(&who, "de_novo")?;
        bench.tenant.wait_status(&id, &["SENT"])?;
        assert_eq!(bench.accepted(&who)?.len(), 1, "{code}");
    }
    Ok(())
}

#[test]
fn the_pair_limit_holds_back_one_person_alone() -> Result<()> {
    let bench = Bench::new()?;
    bench.template(&named_template("par"))?;
    let (held, free) = (person(), person());
    bench.graph.fault(&json!({"match": {"to": held}, "code": 131_056}))?;
    let first = bench.queue_named(&held, "par")?;
    until("the refusal", PATIENCE, || Ok((bench.graph.messages_to(&held)? >= 1).then_some(())))?;
    let second = bench.queue_named(&free, "par")?;
    bench.tenant.wait_status(&second, &["SENT"])?;
    bench.tenant.wait_status(&first, &["SENT"])?;
    assert_eq!(bench.accepted(&held)?.len(), 1);
    Ok(())
}

#[test]
fn a_token_that_ended_stops_the_channel_and_keeps_the_queue() -> Result<()> {
    let bench = Bench::new()?;
    bench.template(&named_template("ficha"))?;
    bench.graph.revoke(true)?;
    let ids: Vec<String> = (0..3).map(|_| bench.queue_named(&person(), "ficha")).collect::<Result<_>>()?;
    let session = format!("/v1/connectors/{}/session", bench.connector);
    until("the connector to be disconnected", PATIENCE, || {
        let session = bench.tenant.client.get(&session)?.expect_json(200)?;
        Ok((session["status"] != "CONNECTED").then_some(()))
    })?;
    for id in &ids {
        let message = bench.tenant.message(id)?;
        ensure!(message["status"] == "PENDING" || message["status"] == "WAITING", "{message}");
    }
    assert_eq!(bench.graph.accepted()?.len(), 0);
    bench.graph.revoke(false)?;
    // A person sets the token, the same one here: the connector starts again.
    let path = format!("/v1/connectors/{}", bench.connector);
    bench.tenant.client.patch(&path, &json!({"config": bench.graph.config(&json!({}))}))?.expect(200)?;
    for id in &ids {
        bench.tenant.wait_status(id, &["SENT"])?;
    }
    assert_eq!(bench.graph.accepted()?.len(), 3);
    Ok(())
}

#[test]
fn somebody_without_whatsapp_fails_and_the_others_do_not() -> Result<()> {
    let bench = Bench::new()?;
    bench.template(&named_template("sem_conta"))?;
    let (without, with) = (person(), person());
    bench.graph.person(&json!({"phone": without, "has_whatsapp": false}))?;
    let first = bench.queue_named(&without, "sem_conta")?;
    let second = bench.queue_named(&with, "sem_conta")?;
    let message = bench.tenant.wait_status(&first, &["FAILED"])?;
    assert_eq!(message["reason"]["channelCode"], "131026", "{message}");
    bench.message_when(&second, "delivered", |message| message["receipts"]["deliveredAt"].is_string())?;
    Ok(())
}

#[test]
fn our_id_travels_with_each_message_and_no_two_have_the_same() -> Result<()> {
    let bench = Bench::new()?;
    bench.template(&named_template("etiqueta"))?;
    let ids: Vec<String> = (0..5).map(|_| bench.queue_named(&person(), "etiqueta")).collect::<Result<_>>()?;
    for id in &ids {
        bench.tenant.wait_status(id, &["SENT"])?;
    }
    let sent = bench.graph.accepted()?;
    let data: Vec<&str> = sent.iter().filter_map(|body| body["biz_opaque_callback_data"].as_str()).collect();
    assert_eq!(data.len(), 5, "{sent:?}");
    for data in &data {
        assert_eq!(data.len().min(512), data.len());
        assert_eq!(data.chars().filter(|c| !c.is_ascii_graphic()).count(), 0, "{data}");
    }
    bench.nothing_violated()
}

#[test]
fn meta_may_hold_a_message_back_and_drop_it() -> Result<()> {
    let bench = Bench::new()?;
    bench.graph.template(&{
        let mut template = named_template("retida");
        template["pacing"] = json!(1);
        template
    })?;
    bench.sync()?;
    let first = bench.queue_template(&person(), &named_content("retida"))?;
    bench.tenant.wait_status(&first, &["SENT"])?;
    let second = bench.queue_template(&person(), &named_content("retida"))?;
    let held = bench.tenant.wait_status(&second, &["SENT"])?;
    ensure!(held["receipts"]["deliveredAt"].is_null(), "{held}");
    // Meta decides against the template: what it holds is dropped.
    bench.graph.drop_held("retida")?;
    let dropped = bench.tenant.wait_status(&second, &["FAILED"])?;
    assert_eq!(dropped["reason"]["channelCode"], "132015", "{dropped}");
    Ok(())
}

#[test]
fn a_message_is_found_by_metas_id() -> Result<()> {
    let bench = Bench::new()?;
    bench.template(&named_template("por_id"))?;
    let id = bench.queue_named(&person(), "por_id")?;
    let provider_id = text_of(&bench.tenant.wait_status(&id, &["SENT"])?, "providerId")?;
    let path = pombo_tests::http::query("/v1/messages", &[("providerId", &provider_id)]);
    let found = bench.tenant.client.get(&path)?.expect_json(200)?;
    let all = found["data"].as_array().context("no data")?;
    assert_eq!(all.iter().map(|one| &one["id"]).collect::<Vec<_>>(), [&Value::from(id)]);
    Ok(())
}
