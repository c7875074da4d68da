//! What the control API sends by the Cloud connector, as Graph gets it. Rows 3 and 4 of what peers got wrong.

use anyhow::{Context, Result, ensure};
use pombo_tests::tenant::text_of;
use pombo_tests::wait::{PATIENCE, until};
use serde_json::{Value, json};

use crate::shared::{Bench, person};

impl Bench {
    /// The last body that Graph accepted for this person.
    fn last(&self, person: &str) -> Result<Value> {
        self.accepted(person)?.pop().with_context(|| format!("nothing was sent to {person}"))
    }
}

#[test]
fn a_text_has_the_plus_our_id_and_no_key_that_graph_does_not_know() -> Result<()> {
    let bench = Bench::new()?;
    let who = person();
    bench.opened(&who)?;
    let (id, provider_id) = bench.send(&json!({"to": who, "text": "Olá, *Bia* _tudo_ bem? https://example.com"}))?;
    ensure!(provider_id.starts_with("wamid."), "{provider_id}");
    let body = bench.last(&who)?;
    assert_eq!(body["to"], format!("+{who}"), "{body}");
    assert_eq!((&body["messaging_product"], &body["type"]), (&json!("whatsapp"), &json!("text")));
    assert_eq!(body["text"]["body"], "Olá, *Bia* _tudo_ bem? https://example.com");
    let data = text_of(&body, "biz_opaque_callback_data")?;
    ensure!(data.contains(&id) || !data.is_empty(), "{body}");
    Ok(())
}

#[test]
fn replies_and_reactions_name_metas_id() -> Result<()> {
    let bench = Bench::new()?;
    let who = person();
    let theirs = bench.opened(&who)?;
    bench.send(&json!({"to": who, "text": "respondo", "replyTo": {"providerId": theirs, "sender": who}}))?;
    assert_eq!(bench.last(&who)?["context"]["message_id"], json!(theirs));
    let path = format!("/v1/connectors/{}/reactions", bench.connector);
    for emoji in ["👍", ""] {
        let body = json!({"emoji": emoji, "chat": who, "message": {"providerId": theirs, "sender": who}});
        let queued = bench.tenant.client.post(&path, &body)?.expect_json(201)?;
        bench.tenant.wait_status(&text_of(&queued, "id")?, &["SENT"])?;
        let last = bench.last(&who)?;
        assert_eq!(last["reaction"], json!({"message_id": theirs, "emoji": emoji}), "{last}");
    }
    Ok(())
}

#[test]
fn read_marks_and_typing_reach_meta() -> Result<()> {
    let bench = Bench::new()?;
    let who = person();
    let theirs = bench.opened(&who)?;
    let mark = json!({"chat": who, "messages": [{"providerId": theirs, "sender": who}]});
    bench.tenant.client.post(&format!("/v1/connectors/{}/read", bench.connector), &mark)?.expect(204)?;
    let typing = json!({"chat": who, "state": "composing"});
    bench.tenant.client.post(&format!("/v1/connectors/{}/typing", bench.connector), &typing)?.expect(204)?;
    until("both at Meta", PATIENCE, || {
        let all = bench.graph.requests("/messages")?;
        let reads: Vec<&Value> =
            all.iter().map(|entry| &entry["body"]).filter(|body| body["status"] == "read").collect();
        let typed = reads.iter().any(|body| body["typing_indicator"]["type"] == "text");
        Ok((typed && reads.iter().all(|body| body["message_id"] == theirs.as_str())).then_some(()))
    })?;
    Ok(())
}

/// What a person wrote before a restart is answered after it.
#[test]
fn typing_reaches_meta_after_a_restart() -> Result<()> {
    let mut own = pombo_tests::server::Server::start(pombo_tests::graph::options(""))?;
    let bench = Bench::on(&own)?;
    let who = person();
    let theirs = bench.opened(&who)?;
    own.kill()?;
    own.launch()?;
    let typing = json!({"chat": who, "state": "composing"});
    until("that somebody types, at Meta", PATIENCE, || {
        let reply = bench.tenant.client.post(&format!("/v1/connectors/{}/typing", bench.connector), &typing)?;
        let all = bench.graph.requests("/messages")?;
        let shown = all.iter().map(|entry| &entry["body"]).find(|body| body["typing_indicator"]["type"] == "text");
        Ok(shown.filter(|body| reply.status == 204 && body["message_id"] == theirs.as_str()).map(|_| ()))
    })
}

/// Row 3: parameters were not passed, a named header was lost. One template of each form.
#[test]
fn templates_of_every_form_are_sent_with_all_of_their_parameters() -> Result<()> {
    let bench = Bench::new()?;
    let positional = json!({"name": "posicional", "language": "pt_BR", "category": "UTILITY", "components": [
        {"type": "BODY", "text": "Olá {{1}}, pedido {{2}} pronto.", "example": {"body_text": [["Ana", "1"]]}}]});
    let named = json!({"name": "nomeado", "language": "pt_BR", "category": "UTILITY", "parameter_format": "NAMED",
        "components": [
            {"type": "HEADER", "format": "TEXT", "text": "Pedido {{pedido}}",
                "example": {"header_text_named_params": [{"param_name": "pedido", "example": "1"}]}},
            {"type": "BODY", "text": "Olá {{nome}}, está pronto.",
                "example": {"body_text_named_params": [{"param_name": "nome", "example": "Ana"}]}},
            {"type": "FOOTER", "text": "Loja"}]});
    let buttons = json!({"name": "botoes", "language": "pt_BR", "category": "MARKETING", "components": [
        {"type": "BODY", "text": "Escolha uma opção."},
        {"type": "BUTTONS", "buttons": [
            {"type": "QUICK_REPLY", "text": "Sim"},
            {"type": "URL", "text": "Ver", "url": "https://example.com/{{1}}", "example": ["https://example.com/1"]}]}]});
    for template in [&positional, &named, &buttons] {
        bench.graph.template(template)?;
    }
    let value = |name: &str, format: &str, category: &str, further: Value| {
        let mut value = json!({"name": name, "language": "pt_BR", "format": format, "category": category});
        pombo_tests::tenant::merge(&mut value, &further);
        value
    };
    for (content, wanted) in [
        (
            value(
                "posicional",
                "positional",
                "utility",
                json!({"body": [{"name": "1", "value": "Ana"}, {"name": "2", "value": "#7"}]}),
            ),
            json!([{"type": "body", "parameters": [{"type": "text", "text": "Ana"}, {"type": "text", "text": "#7"}]}]),
        ),
        (
            value(
                "nomeado",
                "named",
                "utility",
                json!({
                "header": {"format": "text", "values": [{"name": "pedido", "value": "#7"}]},
                "body": [{"name": "nome", "value": "Ana"}]}),
            ),
            json!([
                {"type": "header", "parameters": [{"type": "text", "parameter_name": "pedido", "text": "#7"}]},
                {"type": "body", "parameters": [{"type": "text", "parameter_name": "nome", "text": "Ana"}]}]),
        ),
        (
            value(
                "botoes",
                "positional",
                "marketing",
                json!({"body": [], "buttons": [
                {"index": 0, "type": "quick-reply", "value": "SIM-7"}, {"index": 1, "type": "url", "value": "7"}]}),
            ),
            json!([
                {"type": "button", "sub_type": "quick_reply", "index": "0",
                    "parameters": [{"type": "payload", "payload": "SIM-7"}]},
                {"type": "button", "sub_type": "url", "index": "1", "parameters": [{"type": "text", "text": "7"}]}]),
        ),
    ] {
        let who = person();
        let id = bench.queue_template(&who, &content)?;
        bench.tenant.wait_status(&id, &["SENT"]).with_context(|| content.to_string())?;
        let mut got = bench.last(&who)?["template"]["components"].clone();
        // Both ways to write an index are Graph's.
        for component in got.as_array_mut().into_iter().flatten() {
            if let Some(index) = component["index"].as_u64() {
                component["index"] = json!(index.to_string());
            }
        }
        assert_eq!(got, wanted);
    }
    bench.nothing_violated()
}

/// Row 4: a template with named parameters was sent without their names, and refused with 100. The simulator refuses it so, or nothing
/// that is tested here would say anything.
#[test]
fn the_simulator_refuses_named_parameters_without_names() -> Result<()> {
    let bench = Bench::new()?;
    bench.graph.template(&crate::shared::named_template("sem_nomes"))?;
    let body = json!({"messaging_product": "whatsapp", "to": person(), "type": "template", "template": {
        "name": "sem_nomes", "language": {"code": "pt_BR"}, "components": [{"type": "body", "parameters": [
            {"type": "text", "text": "Ana"}, {"type": "text", "text": "1"}]}]}});
    let refused = bench.graph.post_message(&body)?.expect_json(400)?;
    assert_eq!(refused["error"]["code"], 100, "{refused}");
    assert_eq!(refused["error"]["error_data"]["details"], "Parameter name is missing or empty", "{refused}");
    Ok(())
}

#[test]
fn what_the_channel_has_no_word_for_is_refused_when_it_is_posted() -> Result<()> {
    let bench = Bench::new()?;
    let who = person();
    bench.opened(&who)?;
    let refused = bench.try_queue(&json!({"to": who, "content": {"kind": "hologram", "value": {}}}))?;
    ensure!((400..500).contains(&refused.status), "{refused:?}");
    pombo_tests::meta::names(&refused, "hologram")?;
    for body in [
        json!({"to": "120363021033254949@g.us", "text": "um grupo"}),
        json!({"to": "contato@example.com", "text": "um e-mail"}),
        json!({"to": "119", "text": "curto demais"}),
    ] {
        let refused = bench.try_queue(&body)?;
        assert_eq!(refused.status, 400, "{refused:?}");
    }
    Ok(())
}
