//! Campaigns. Rows 5, 6 and 21 of what peers got wrong.

use anyhow::{Context, Result, ensure};
use pombo_tests::campaigns::api::{self, is, recipient};
use pombo_tests::campaigns::{rows, run};
use pombo_tests::graph::Graph;
use pombo_tests::tenant::{text_of, unique};
use pombo_tests::wait::{PATIENCE, until};
use pombo_tests::webhook::jpeg;
use serde_json::{Value, json};

use crate::shared::{Bench, marketing_template, named_template, person, server};

impl Bench {
    /// A draft of a campaign with this template and these rows; its id.
    pub(crate) fn campaign(&self, template: u64, rows: &[Value]) -> Result<String> {
        text_of(&api::draft(&self.tenant.client, &self.connector, &json!(template), rows)?, "id")
    }

    pub(crate) fn campaign_step(&self, id: &str, step: &str) -> Result<Value> {
        api::step(&self.tenant.client, id, step)
    }

    pub(crate) fn campaign_when(&self, id: &str, what: &str, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
        let mut last = Value::Null;
        until(&format!("the campaign to be {what}"), PATIENCE, || {
            last = api::shown(&self.tenant.client, id)?;
            Ok(wanted(&last).then(|| last.clone()))
        })
        .with_context(|| format!("it is {last}"))
    }
}

/// A row of a campaign that sends the template of [`named_template`].
pub(crate) fn row(to: &str, name: &str) -> Value {
    recipient(to, &json!({"nome": name, "codigo": "A1"}))
}

/// Row 5: a campaign's job ran twice, and people got two messages, or was marked as done first, and they got none. This one is paused,
/// killed three times and disturbed in every way that Meta knows.
#[test]
fn a_disturbed_campaign_gives_each_recipient_exactly_one_outcome() -> Result<()> {
    run(rows(2_000)?, 400)?;
    Ok(())
}

/// Row 6: after a pause the rows got other parameters.
#[test]
fn rows_are_frozen_when_the_campaign_starts() -> Result<()> {
    let bench = Bench::new()?;
    let template = bench.template(&named_template("congelada"))?;
    let people: Vec<String> = (0..6).map(|_| person()).collect();
    for who in &people {
        let contact = json!({"type": "WHATSAPP", "identifier": who, "name": "Antes"});
        bench.tenant.client.post("/v1/contacts", &contact)?;
    }
    let rows: Vec<Value> = people.iter().map(|who| recipient(who, &json!({"codigo": "A1"}))).collect();
    let id = bench.campaign(template, &rows)?;
    let bindings = json!({"variables": {"nome": {"contact": "name"}}});
    bench.tenant.client.patch(&format!("/v1/campaigns/{id}"), &bindings)?.expect(200)?;
    bench.tenant.set_paused(&bench.connector, true)?;
    bench.campaign_step(&id, "start")?;
    bench.campaign_step(&id, "pause")?;
    for who in &people {
        let contact = json!({"type": "WHATSAPP", "identifier": who, "name": "Depois"});
        bench.tenant.client.post("/v1/contacts", &contact)?;
    }
    bench.campaign_step(&id, "resume")?;
    bench.tenant.set_paused(&bench.connector, false)?;
    bench.campaign_when(&id, "finished", |shown| is(shown, "FINISHED"))?;
    let sent = bench.graph.accepted()?;
    assert_eq!(sent.len(), 6);
    for body in &sent {
        ensure!(body.to_string().contains("Antes") && !body.to_string().contains("Depois"), "{body}");
    }
    Ok(())
}

/// Row 6, too: a text of our own that is changed while the campaign is paused.
#[test]
fn the_text_is_frozen_when_the_campaign_starts() -> Result<()> {
    let bench = Bench::new()?;
    let client = &bench.tenant.client;
    let components = |text: &str| json!([{"type": "body", "text": text}]);
    let body = json!({"name": "Lembrete", "category": "utility", "components": components("Olá {{nome}}, até já.")});
    let template = client.post("/v1/templates", &body)?.expect_json(201)?;
    let people: Vec<String> = (0..4).map(|_| person()).collect();
    for who in &people {
        bench.opened(who)?;
    }
    let rows: Vec<Value> = people.iter().map(|who| row(who, "Ana")).collect();
    let id = bench.campaign(template["number"].as_u64().context("no number")?, &rows)?;
    bench.tenant.set_paused(&bench.connector, true)?;
    bench.campaign_step(&id, "start")?;
    bench.campaign_step(&id, "pause")?;
    let path = format!("/v1/templates/{}", text_of(&template, "id")?);
    client.patch(&path, &json!({"components": components("Outra coisa.")}))?.expect(200)?;
    bench.tenant.set_paused(&bench.connector, false)?;
    bench.campaign_step(&id, "resume")?;
    bench.campaign_when(&id, "finished", |shown| is(shown, "FINISHED"))?;
    let sent = bench.graph.accepted()?;
    assert_eq!(sent.len(), 4);
    for body in &sent {
        assert_eq!(body["text"]["body"], "Olá Ana, até já.", "{body}");
    }
    Ok(())
}

/// Row 21: a campaign failed without saying why.
#[test]
fn each_row_says_why_it_failed() -> Result<()> {
    let bench = Bench::new()?;
    let template = bench.template(&named_template("motivos"))?;
    let codes = [131_026, 131_049, 130_472, 131_009];
    let mut rows = vec![row(&person(), "Ana")];
    for code in codes {
        let who = person();
        bench.graph.fault(&json!({"match": {"to": who}, "code": code, "async": code != 131_009}))?;
        rows.push(row(&who, "Bia"));
    }
    let id = bench.campaign(template, &rows)?;
    bench.campaign_step(&id, "start")?;
    let shown = bench.campaign_when(&id, "finished", |shown| {
        is(shown, "FINISHED") && shown["counts"]["failed"] == 4 && shown["counts"]["delivered"] == 1
    })?;
    let stored = api::rows(&bench.tenant.client, &id)?;
    for (row, code) in stored[1..].iter().zip(codes) {
        assert_eq!(row["code"], code.to_string(), "{row}");
        ensure!(!text_of(row, "detail")?.is_empty(), "{row}");
        assert_eq!(shown["counts"]["failedBy"][code.to_string()], 1, "{shown}");
    }
    // The export has them, too.
    let export = bench.tenant.client.get(&format!("/v1/campaigns/{id}/rows.csv"))?.expect(200)?;
    for code in codes {
        ensure!(export.text().contains(&code.to_string()), "{code} is not exported");
    }
    Ok(())
}

#[test]
fn the_checks_before_the_start_send_nothing_and_name_everything() -> Result<()> {
    let bench = Bench::new()?;
    let template = bench.template(&marketing_template("conferida"))?;
    let (fine, refusing, twice) = (person(), person(), person());
    let contact = json!({"type": "WHATSAPP", "identifier": refusing, "refusedCategories": ["MARKETING"]});
    bench.tenant.client.post("/v1/contacts", &contact)?;
    let rows = [
        recipient(&fine, &json!({"nome": "Ana"})),
        recipient(&refusing, &json!({"nome": "Bia"})),
        recipient(&twice, &json!({"nome": "Cida"})),
        recipient(&format!("+{twice}"), &json!({"nome": "Cida"})),
        recipient("12", &json!({"nome": "Dani"})),
        recipient(&person(), &json!({})),
        recipient(&person(), &json!({"nome": "Eva\nSilva"})),
    ];
    let id = bench.campaign(template, &rows)?;
    let report = bench.campaign_step(&id, "check")?;
    for (reason, count) in [("refused", 1), ("duplicate", 1), ("bad_address", 1)] {
        assert_eq!(report["skipped"][reason], count, "{reason}: {report}");
    }
    ensure!(report["skipped"]["missing_variable"].as_u64().is_some_and(|count| count >= 1), "{report}");
    assert_eq!(bench.graph.accepted_count()?, 0);
    bench.campaign_step(&id, "start")?;
    bench.campaign_when(&id, "finished", |shown| is(shown, "FINISHED"))?;
    let to: Vec<Value> = bench.graph.accepted()?.iter().map(|body| body["to"].clone()).collect();
    assert_eq!(to.len(), 2, "{to:?}");
    Ok(())
}

/// A template of Graph's form with a picture in its header.
fn pictured_template(name: &str) -> Value {
    let mut template = named_template(name);
    let body = template["components"][0].clone();
    let header = json!({"type": "HEADER", "format": "IMAGE", "example": {"header_handle": ["4::aW"]}});
    template["components"] = json!([header, body]);
    template
}

#[test]
fn a_picture_is_uploaded_and_then_known_by_its_id() -> Result<()> {
    let bench = Bench::new()?;
    let template = bench.template(&pictured_template("com_foto"))?;
    let people: Vec<String> = (0..5).map(|_| person()).collect();
    let rows: Vec<Value> = people.iter().map(|who| row(who, "Ana")).collect();
    let id = bench.campaign(template, &rows)?;
    let path = format!("/v1/campaigns/{id}");
    let client = &bench.tenant.client;
    assert_eq!(bench.campaign_step(&id, "check")?["sendable"], 0, "there is no picture");
    let wrong = client.patch(&path, &json!({"header": {"location": {"latitude": 1, "longitude": 2}}}))?;
    ensure!(wrong.status == 400 && wrong.text().contains("header"), "{wrong:?}");
    let file = bench.upload("foto.jpg", "image/jpeg", &jpeg(40_000))?;
    let header = json!({"header": {"file": {"id": file["id"], "fileName": "foto.jpg"}}});
    assert_eq!(client.patch(&path, &header)?.expect_json(200)?["header"], header["header"]);
    assert_eq!(bench.campaign_step(&id, "check")?["sendable"], 5);
    bench.campaign_step(&id, "start")?;
    client.patch(&path, &json!({"header": null}))?.expect(409)?;
    bench.campaign_when(&id, "finished", |shown| is(shown, "FINISHED"))?;
    let sent = bench.graph.accepted()?;
    assert_eq!(sent.len(), 5);
    for body in &sent {
        let header = &body["template"]["components"][0];
        ensure!(header["type"] == "header" && header["parameters"][0]["image"]["id"].is_string(), "{body}");
    }
    // Messages that go at the same time may each upload it; the next campaign finds it at Meta.
    let uploads = || -> Result<usize> {
        Ok(bench.graph.requests("/media")?.iter().filter(|entry| entry["method"] == "POST").count())
    };
    let before = uploads()?;
    let next = bench.campaign(template, &[row(&person(), "Bia")])?;
    client.patch(&format!("/v1/campaigns/{next}"), &header)?.expect(200)?;
    bench.campaign_step(&next, "start")?;
    bench.campaign_when(&next, "finished", |shown| is(shown, "FINISHED"))?;
    assert_eq!((before > 0, uploads()?), (true, before));
    bench.nothing_violated()
}

/// Row 20: a line break in a name of the list.
#[test]
fn line_breaks_of_a_list_become_spaces_where_the_connector_is_set_so() -> Result<()> {
    let bench = Bench::at(server()?, Graph::start()?, &json!({"newlines": "replace"}))?;
    let template = bench.template(&named_template("quebrada"))?;
    let who = person();
    let id = bench.campaign(template, &[row(&who, "Eva\nda Silva")])?;
    assert_eq!(bench.campaign_step(&id, "check")?["sendable"], 1);
    bench.campaign_step(&id, "start")?;
    bench.campaign_when(&id, "finished", |shown| is(shown, "FINISHED"))?;
    assert_eq!(
        api::rows(&bench.tenant.client, &id)?[0]["variables"]["nome"],
        "Eva da Silva",
        "what is fixed is what is sent"
    );
    ensure!(bench.accepted(&who)?[0].to_string().contains("Eva da Silva"));
    bench.nothing_violated()
}

/// Meta takes advertising for numbers of the United States, and delivers none of it. Canada has the same country code.
#[test]
fn advertising_for_the_united_states_is_left_out_and_nothing_else() -> Result<()> {
    let bench = Bench::new()?;
    let advertising = bench.template(&marketing_template("so_no_brasil"))?;
    let number = |area: u32| format!("1{area}{}", 5_550_000 + unique() % 10_000);
    let (brazilian, american, canadian) = (person(), number(212), number(416));
    for (phone, country) in [(&american, "US"), (&canadian, "CA")] {
        bench.graph.person(&json!({"id": phone, "phone": phone, "country": country}))?;
    }
    let rows: Vec<Value> =
        [&brazilian, &american, &canadian].into_iter().map(|to| recipient(to, &json!({"nome": "Ana"}))).collect();
    let id = bench.campaign(advertising, &rows)?;
    let report = bench.campaign_step(&id, "check")?;
    assert_eq!((&report["sendable"], &report["skipped"]), (&json!(2), &json!({"undeliverable": 1})), "{report}");
    assert_eq!(report["undeliverable"][0]["rows"], 1, "{report}");
    ensure!(text_of(&report["undeliverable"][0], "detail")?.contains("United States"), "{report}");
    ensure!(report["warnings"].to_string().contains("rows that are left out: 1"), "{report}");
    bench.campaign_step(&id, "start")?;
    bench.campaign_when(&id, "finished", |shown| is(shown, "FINISHED"))?;
    let stored = api::rows(&bench.tenant.client, &id)?;
    assert_eq!(
        (&stored[1]["status"], &stored[1]["code"]),
        (&json!("skipped"), &json!("undeliverable")),
        "{}",
        stored[1]
    );
    let sent = |to: &str| bench.accepted(to).map(|bodies| bodies.len());
    assert_eq!((sent(&brazilian)?, sent(&american)?, sent(&canadian)?), (1, 0, 1));

    // What is not advertising reaches them.
    let notice = bench.template(&named_template("pedido"))?;
    let id = bench.campaign(notice, &[row(&american, "Bob")])?;
    assert_eq!(bench.campaign_step(&id, "check")?["sendable"], 1);
    bench.campaign_step(&id, "start")?;
    bench.campaign_when(&id, "delivered", |shown| shown["counts"]["delivered"] == 1)?;
    bench.nothing_violated()
}

#[test]
fn a_campaign_stops_by_its_rules_and_by_a_person() -> Result<()> {
    let bench = Bench::new()?;
    let template = bench.template(&named_template("parada"))?;
    bench.graph.fault(&json!({"match": {"path": "/messages", "count": 0}, "code": 132_015}))?;
    let rows: Vec<Value> = (0..40).map(|_| row(&person(), "Ana")).collect();
    let id = bench.campaign(template, &rows)?;
    let rules = json!({"stop": {"codes": ["132015"], "codeTimes": 3}});
    bench.tenant.client.patch(&format!("/v1/campaigns/{id}"), &rules)?.expect(200)?;
    bench.campaign_step(&id, "start")?;
    let paused = bench.campaign_when(&id, "paused", |shown| is(shown, "PAUSED"))?;
    ensure!(paused["pausing"]["reason"].is_string(), "{paused}");
    bench.graph.no_faults()?;
    bench.campaign_step(&id, "stop")?;
    let stopped =
        bench.campaign_when(&id, "ended", |shown| shown["counts"]["pending"] == 0 && shown["counts"]["queued"] == 0)?;
    ensure!(is(&stopped, "STOPPED"), "{stopped}");
    bench.tenant.client.post(&format!("/v1/campaigns/{id}/resume"), &json!({}))?.expect(409)?;
    assert_eq!(bench.graph.accepted_count()?, 0);
    Ok(())
}

/// Two numbers of a portfolio with a campaign each: together they reach as many people as the portfolio may, and not one more.
#[test]
fn two_campaigns_of_a_portfolio_share_its_limit() -> Result<()> {
    const LIMIT: usize = 60;
    let bench = Bench::new()?;
    bench.graph.portfolio(&json!({"tier": LIMIT}))?;
    let second = bench.graph.another_number()?;
    let other = pombo_tests::graph::connect(&bench.tenant, &bench.graph.config_of(&second, &json!({})))?;
    bench.graph.template(&named_template("dividida"))?;
    bench.hook.post(&bench.graph.line().other(
        "business_capability_update",
        &json!({"max_daily_conversations_per_business": LIMIT, "max_phone_numbers_per_business": 20}),
    ))?;
    let client = &bench.tenant.client;
    let mut campaigns = Vec::new();
    for connector in [&bench.connector, &other] {
        api::sync(client, connector)?;
        let template = api::template(client, connector, "dividida")?;
        let rows: Vec<Value> = (0..50).map(|_| row(&person(), "Ana")).collect();
        let id = text_of(&api::draft(client, connector, &template["number"], &rows)?, "id")?;
        campaigns.push(id);
    }
    for id in &campaigns {
        bench.campaign_step(id, "start")?;
    }
    until("the limit to be used", PATIENCE, || Ok((bench.graph.accepted_count()? >= LIMIT).then_some(())))?;
    until("the rest to wait", PATIENCE, || {
        let list = client.get("/v1/messages?status=WAITING&limit=100")?.expect_json(200)?;
        Ok(list["data"].to_string().to_lowercase().contains("audience").then_some(()))
    })?;
    assert_eq!(bench.graph.accepted_count()?, LIMIT);
    bench.nothing_violated()
}

#[test]
fn a_campaign_is_listed_changed_scheduled_and_deleted() -> Result<()> {
    let bench = Bench::new()?;
    let template = bench.template(&named_template("agendada"))?;
    let client = &bench.tenant.client;
    let id = bench.campaign(template, &[row(&person(), "Ana")])?;
    let path = format!("/v1/campaigns/{id}");
    client.patch(&path, &json!({"name": "Agendada"}))?.expect(200)?;
    let listed = client.get("/v1/campaigns?limit=10")?.expect_json(200)?;
    assert_eq!(listed["data"][0]["name"], "Agendada", "{listed}");
    // A year from now, as the engine writes instants.
    let now = text_of(&api::shown(client, &id)?, "createdAt")?;
    let year: u32 = now[..4].parse()?;
    let at = format!("{}{}", year + 1, now[4..].replace("-02-29", "-02-28"));
    let started = client.post(&format!("{path}/start"), &json!({"scheduledAt": at}))?.expect_json(200)?;
    ensure!(is(&started, "SCHEDULED"), "{started}");
    client.patch(&path, &json!({"name": "Tarde demais"}))?.expect(409)?;
    bench.campaign_step(&id, "stop")?;
    assert_eq!(bench.graph.accepted_count()?, 0);
    let draft = bench.campaign(template, &[row(&person(), "Bia")])?;
    let contact = json!({"type": "WHATSAPP", "identifier": person(), "name": "Cida"});
    let contact = client.post("/v1/contacts", &contact)?.json()?;
    let path = format!("/v1/campaigns/{draft}/contacts");
    let chosen = client.post(&path, &json!({"contacts": [contact["id"]]}))?.expect_json(200)?;
    assert_eq!(chosen["audience"]["rows"], 1, "{chosen}");
    client.delete(&format!("/v1/campaigns/{draft}"))?.expect(204)?;
    client.get(&format!("/v1/campaigns/{draft}"))?.expect(404)?;
    Ok(())
}
