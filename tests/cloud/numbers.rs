//! The numbers by which campaigns and templates are named: what has none is refused where it is named, and a number that was given once is
//! not given again, also where what had it is gone and the engine was started anew.

use anyhow::{Context, Result, ensure};
use pombo_tests::campaigns::api::{self, is};
use pombo_tests::graph::options;
use pombo_tests::server::Server;
use pombo_tests::tenant::text_of;
use serde_json::{Value, json};

use crate::campaigns::row;
use crate::shared::{Bench, named_template, person};

/// The number of what was made, and its id.
fn numbered(made: &Value) -> Result<(u64, String)> {
    Ok((made["number"].as_u64().with_context(|| format!("no number in {made}"))?, text_of(made, "id")?))
}

impl Bench {
    /// Makes a text of the tenant's own.
    fn own_text(&self, name: &str) -> Result<(u64, String)> {
        let components = json!([{"type": "body", "text": "Olá {{nome}}, até já."}]);
        let body = json!({"name": name, "category": "utility", "components": components});
        numbered(&self.tenant.client.post("/v1/templates", &body)?.expect_json(201)?)
    }

    /// Makes a draft of a campaign without recipients.
    fn draft(&self, template: u64) -> Result<(u64, String)> {
        numbered(&api::draft(&self.tenant.client, &self.connector, &json!(template), &[])?)
    }
}

#[test]
fn a_campaign_names_a_template_that_is_there_and_may_be_sent_by_its_connector() -> Result<()> {
    let bench = Bench::new()?;
    let client = &bench.tenant.client;
    let template = bench.template(&named_template("conhecido"))?;
    let second = bench.graph.another_number()?;
    let other = pombo_tests::graph::connect(&bench.tenant, &bench.graph.config_of(&second, &json!({})))?;
    api::sync(client, &other)?;
    let foreign = api::template(client, &other, "conhecido")?["number"].as_u64().context("no number")?;
    let (_, draft) = bench.draft(template)?;
    for (number, message) in
        [(4_711, "is not the number of a template"), (foreign, "belongs to another connector than the campaign's")]
    {
        let body = json!({"name": "Sem modelo", "template": number, "connectorId": bench.connector});
        let change = json!({"template": number});
        for refused in [client.post("/v1/campaigns", &body)?, client.patch(&format!("/v1/campaigns/{draft}"), &change)?]
        {
            let refused = refused.expect_json(400)?;
            assert_eq!(refused["error"]["fields"], json!([{"field": "template", "message": message}]), "{refused}");
        }
    }
    // Nothing was made, and nothing was changed.
    let listed = client.get("/v1/campaigns?limit=10")?.expect_json(200)?;
    let templates: Vec<&Value> = listed["data"].as_array().into_iter().flatten().map(|one| &one["template"]).collect();
    assert_eq!(templates, [&json!(template)], "{listed}");

    // A number of no campaign is not found, by whatever operation.
    for path in ["4711", "0", "999999999"] {
        let path = format!("/v1/campaigns/{path}");
        client.get(&path)?.expect(404)?;
        for step in ["check", "start", "pause", "resume", "stop"] {
            client.post(&format!("{path}/{step}"), &json!({}))?.expect(404)?;
        }
        client.delete(&path)?.expect(404)?;
    }
    Ok(())
}

/// A template that is deleted after the campaign was drafted.
#[test]
fn a_campaign_whose_template_was_deleted_says_so_and_does_not_start() -> Result<()> {
    let bench = Bench::new()?;
    let (number, template) = bench.own_text("Passageiro")?;
    let who = person();
    bench.opened(&who)?;
    let id = bench.campaign(number, &[row(&who, "Ana")])?;
    bench.tenant.client.delete(&format!("/v1/templates/{template}"))?.expect(204)?;
    for step in ["check", "start"] {
        let refused = bench.tenant.client.post(&format!("/v1/campaigns/{id}/{step}"), &json!({}))?;
        let refused = refused.expect_json(400)?;
        assert_eq!(refused["error"]["fields"][0]["field"], "template", "{step}: {refused}");
    }
    ensure!(is(&api::shown(&bench.tenant.client, &id)?, "DRAFT"), "it is a draft still");
    assert_eq!(bench.graph.messages_to(&who)?, 0);
    Ok(())
}

#[test]
fn a_number_is_given_once_even_over_a_deletion_and_a_start() -> Result<()> {
    let mut own = Server::start(options(""))?;
    let bench = Bench::on(&own)?;
    let client = &bench.tenant.client;
    let (kept, _) = bench.own_text("O que fica")?;
    let (first, first_id) = bench.own_text("O que vai")?;
    let (draft, draft_id) = bench.draft(kept)?;
    assert_eq!((first, draft), (kept + 1, 1));
    // The newest ones go, so that the highest number is free.
    client.delete(&format!("/v1/templates/{first_id}"))?.expect(204)?;
    client.delete(&format!("/v1/campaigns/{draft}"))?.expect(204)?;
    client.get(&format!("/v1/campaigns/{draft}"))?.expect(404)?;
    let (second, second_id) = bench.own_text("O que vem")?;
    let (another, another_id) = bench.draft(kept)?;
    assert_eq!((second, another), (first + 1, draft + 1));
    ensure!(second_id != first_id && another_id != draft_id, "an id was given twice");
    client.delete(&format!("/v1/templates/{second_id}"))?.expect(204)?;
    client.delete(&format!("/v1/campaigns/{another_id}"))?.expect(204)?;
    own.kill()?;
    own.launch()?;
    assert_eq!((bench.own_text("Depois")?.0, bench.draft(kept)?.0), (second + 1, another + 1));
    Ok(())
}
