//! Who gets a campaign that goes to contacts: those with a tag, those that a search finds, those that are known on its connector; and what
//! is given combines.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use pombo_tests::campaigns::api::{self, is};
use pombo_tests::graph::connect;
use pombo_tests::tenant::text_of;
use serde_json::{Value, json};

use crate::shared::{Bench, named_template, person};

impl Bench {
    /// A draft of a campaign to these contacts: each is called by the first word of the name.
    fn aimed(&self, template: u64, audience: &Value) -> Result<String> {
        let body = json!({"name": "Contatos", "template": template, "connectorId": self.connector, "audience": audience,
            "variables": {"nome": {"contact": "firstName", "default": "cliente"}, "codigo": {"text": "VIP10"}}});
        let made = self.tenant.client.post("/v1/campaigns", &body)?.expect_json(201)?;
        assert_eq!(made["audience"]["type"], "contacts", "{made}");
        text_of(&made, "id")
    }

    /// How many rows it would have, and why some of them would be left out.
    fn checked(&self, campaign: &str) -> Result<(Value, Value)> {
        let report = self.campaign_step(campaign, "check")?;
        Ok((report["rows"].clone(), report["skipped"].clone()))
    }

    /// Sends it; each who got it, with the name in the message.
    fn sent_to(&self, campaign: &str) -> Result<BTreeSet<(String, String)>> {
        let before = self.graph.accepted()?.len();
        self.campaign_step(campaign, "start")?;
        self.campaign_when(campaign, "finished", |shown| is(shown, "FINISHED"))?;
        let bodies = self.graph.accepted()?;
        let mut all = BTreeSet::new();
        for body in &bodies[before..] {
            let parameters = body["template"]["components"][0]["parameters"].as_array().context("no parameters")?;
            let nome = parameters.iter().find(|one| one["parameter_name"] == "nome").context("no name")?;
            let to = text_of(body, "to")?.trim_start_matches('+').to_owned();
            ensure!(all.insert((to, text_of(nome, "text")?)), "somebody got it twice: {body}");
        }
        Ok(all)
    }

    /// A person of this name writes; the conversation's tags are set.
    fn tagged(&self, name: &str, tags: &[&str]) -> Result<String> {
        let who = person();
        self.graph.person(&json!({"phone": who, "name": name}))?;
        self.opened(&who)?;
        let id = text_of(&self.conversation(&who)?, "id")?;
        self.tenant.client.patch(&format!("/v1/conversations/{id}"), &json!({"tags": tags}))?.expect(200)?;
        Ok(who)
    }

    /// The id of a tag.
    fn tag(&self, name: &str) -> Result<String> {
        let all = self.tenant.client.get("/v1/tags")?.expect_json(200)?;
        let tag = all["data"].as_array().into_iter().flatten().find(|one| one["name"] == name);
        text_of(tag.with_context(|| format!("no tag {name} in {all}"))?, "id")
    }
}

fn expected<const N: usize>(people: [(&String, &str); N]) -> BTreeSet<(String, String)> {
    people.into_iter().map(|(who, name)| (who.clone(), name.to_owned())).collect()
}

#[test]
fn a_tag_chooses_the_conversations_of_the_connector_that_have_it() -> Result<()> {
    let bench = Bench::new()?;
    let template = bench.template(&named_template("com_etiqueta"))?;
    let ana = bench.tagged("Ana Souza", &["vip"])?;
    let bia = bench.tagged("Bia Lima", &["vip", "atrasado"])?;
    let cida = bench.tagged("Cida Souza", &["atrasado"])?;
    bench.tagged("Dani Alves", &[])?;
    let (vip, late) = (bench.tag("vip")?, bench.tag("atrasado")?);

    let to = |audience: Value| bench.aimed(template, &audience);
    let all = to(json!({"type": "contacts", "tagId": vip}))?;
    assert_eq!(bench.checked(&all)?, (json!(2), json!({})));
    assert_eq!(bench.sent_to(&all)?, expected([(&ana, "Ana"), (&bia, "Bia")]));

    // With a search, both must be true; case and accents do not count.
    let some = to(json!({"type": "contacts", "tagId": late, "search": "SOÚZA"}))?;
    assert_eq!(bench.sent_to(&some)?, expected([(&cida, "Cida")]));

    // What is fixed at the start stays: a tag that comes later makes no row, and one that goes takes none back.
    let fixed = to(json!({"type": "contacts", "tagId": late}))?;
    bench.tenant.set_paused(&bench.connector, true)?;
    bench.campaign_step(&fixed, "start")?;
    for (who, tags) in [(&ana, json!(["vip", "atrasado"])), (&cida, json!([]))] {
        let id = text_of(&bench.conversation(who)?, "id")?;
        bench.tenant.client.patch(&format!("/v1/conversations/{id}"), &json!({"tags": tags}))?.expect(200)?;
    }
    let rows = api::rows(&bench.tenant.client, &fixed)?;
    let to_whom: BTreeSet<&str> = rows.iter().filter_map(|row| row["to"].as_str()).collect();
    assert_eq!(to_whom, BTreeSet::from([bia.as_str(), cida.as_str()]));

    // A tag that is gone, and one that never was.
    let gone = to(json!({"type": "contacts", "tagId": vip}))?;
    bench.tenant.client.delete(&format!("/v1/tags/{vip}"))?.expect(204)?;
    for step in ["check", "start"] {
        let refused = bench.tenant.client.post(&format!("/v1/campaigns/{gone}/{step}"), &json!({}))?;
        ensure!(refused.status == 409 && refused.text().contains("tag"), "{step}: {refused:?}");
    }
    let body = json!({"name": "x", "template": template, "connectorId": bench.connector,
        "audience": {"type": "contacts", "tagId": vip}});
    let refused = bench.tenant.client.post("/v1/campaigns", &body)?.expect_json(400)?;
    assert_eq!(refused["error"]["fields"][0]["field"], "audience.tagId", "{refused}");
    Ok(())
}

/// The conversation on another number of the business has a tag of its own.
#[test]
fn a_tag_on_another_connector_chooses_nobody() -> Result<()> {
    let bench = Bench::new()?;
    bench.graph.template(&named_template("outra_conexao"))?;
    let second = bench.graph.another_number()?;
    let other = connect(&bench.tenant, &bench.graph.config_of(&second, &json!({})))?;
    api::sync(&bench.tenant.client, &other)?;
    let template = api::template(&bench.tenant.client, &other, "outra_conexao")?["number"].clone();
    bench.tagged("Ana Souza", &["vip"])?;
    let body = json!({"name": "Outra", "template": template, "connectorId": other,
        "audience": {"type": "contacts", "tagId": bench.tag("vip")?}, "variables": {"codigo": {"text": "1"}}});
    let id = text_of(&bench.tenant.client.post("/v1/campaigns", &body)?.expect_json(201)?, "id")?;
    let report = bench.campaign_step(&id, "check")?;
    assert_eq!((&report["rows"], &report["sendable"]), (&json!(0), &json!(0)), "{report}");
    bench.tenant.client.post(&format!("/v1/campaigns/{id}/start"), &json!({}))?.expect(409)?;
    assert_eq!(bench.graph.accepted_count()?, 0);
    Ok(())
}

#[test]
fn a_search_chooses_contacts_by_name_company_or_address() -> Result<()> {
    let bench = Bench::new()?;
    let template = bench.template(&named_template("por_busca"))?;
    let saved = |name: &str, company: &str, known: bool| -> Result<(String, String)> {
        let who = person();
        let connectors = if known { json!([bench.connector]) } else { json!([]) };
        let body = json!({"type": "WHATSAPP", "identifier": who, "name": name, "company": company, "connectorIds": connectors});
        let reply = bench.tenant.client.post("/v1/contacts", &body)?;
        ensure!(reply.status == 200 || reply.status == 201, "{reply:?}");
        Ok((who, text_of(&reply.json()?, "id")?))
    };
    let (ana, _) = saved("Ana Souza", "Padaria Sol", true)?;
    let (bia, _) = saved("Bia Lima", "Padaria Lua", false)?;
    let (cida, cida_id) = saved("Cida Sol", "Mercado", true)?;
    let (dani, _) = saved("Dani Alves", "Farmácia", false)?;
    let mail = json!({"type": "EMAIL", "identifier": "padaria@customers.test", "name": "Padaria"});
    bench.tenant.client.post("/v1/contacts", &mail)?.expect(201)?;

    let to = |audience: Value| bench.aimed(template, &audience);
    let bakeries = to(json!({"type": "contacts", "search": "pádaria"}))?;
    assert_eq!(bench.checked(&bakeries)?, (json!(2), json!({})), "no address of another kind is a row");
    assert_eq!(bench.sent_to(&bakeries)?, expected([(&ana, "Ana"), (&bia, "Bia")]));
    // Every word must be there, in any of the fields.
    let both = to(json!({"type": "contacts", "search": "sol padaria"}))?;
    assert_eq!(bench.sent_to(&both)?, expected([(&ana, "Ana")]));
    let address = to(json!({"type": "contacts", "search": dani}))?;
    assert_eq!(bench.sent_to(&address)?, expected([(&dani, "Dani")]));

    // Who opted out is left out, with the reason.
    let patch = json!({"active": false, "reason": "pediu"});
    bench.tenant.client.patch(&format!("/v1/contacts/{cida_id}"), &patch)?.expect(200)?;
    let sun = to(json!({"type": "contacts", "search": "sol"}))?;
    assert_eq!(bench.checked(&sun)?, (json!(2), json!({"opted_out": 1})));
    assert_eq!(bench.sent_to(&sun)?, expected([(&ana, "Ana")]));
    assert_eq!(bench.graph.messages_to(&cida)?, 0);

    // Nobody has it.
    let nobody = to(json!({"type": "contacts", "search": "açougue"}))?;
    assert_eq!(bench.checked(&nobody)?, (json!(0), json!({})));
    bench.tenant.client.post(&format!("/v1/campaigns/{nobody}/start"), &json!({}))?.expect(409)?;
    bench.nothing_violated()
}

/// A message makes somebody known on the connector, as does whoever puts a contact there.
#[test]
fn known_on_the_connector_are_those_who_were_put_there_or_written_to() -> Result<()> {
    let bench = Bench::new()?;
    let template = bench.template(&named_template("conhecidos"))?;
    let (put, written, stranger) = (person(), person(), person());
    for (who, name, known) in [(&put, "Ana", true), (&written, "Bia", false), (&stranger, "Cida", false)] {
        let connectors = if known { json!([bench.connector]) } else { json!([]) };
        let body = json!({"type": "WHATSAPP", "identifier": who, "name": name, "connectorIds": connectors});
        bench.tenant.client.post("/v1/contacts", &body)?.expect(201)?;
    }
    let audience = json!({"type": "contacts", "knownOnConnector": true});
    let first = bench.aimed(template, &audience)?;
    assert_eq!(bench.checked(&first)?.0, json!(1));
    let id = bench.queue_named(&written, "conhecidos")?;
    bench.tenant.wait_status(&id, &["SENT"])?;
    assert_eq!(bench.sent_to(&first)?, expected([(&put, "Ana"), (&written, "Bia")]));
    assert_eq!(bench.graph.messages_to(&stranger)?, 0);
    Ok(())
}
