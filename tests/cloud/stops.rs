//! What pauses a campaign by itself, and that the rest goes once, and once only, when a person resumes it.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use pombo_tests::campaigns::api::{self, is};
use pombo_tests::tenant::text_of;
use pombo_tests::whatsapp::connected;
use serde_json::{Value, json};

use crate::campaigns::row;
use crate::shared::{Bench, named_template, person};

const PEOPLE: usize = 12;

impl Bench {
    /// A campaign to so many people, slow enough that a rule finds some of them still waiting.
    fn slow_campaign(&self, name: &str, rules: Option<&Value>) -> Result<String> {
        let template = self.template(&named_template(name))?;
        self.tenant.pace(&self.connector, &json!({"delayMinMs": 100, "delayMaxMs": 100, "maxInFlight": 1}))?;
        let rows: Vec<Value> = (0..PEOPLE).map(|_| row(&person(), "Ana")).collect();
        let id = self.campaign(template, &rows)?;
        if let Some(rules) = rules {
            let path = format!("/v1/campaigns/{id}");
            self.tenant.client.patch(&path, &json!({"stop": rules}))?.expect(200)?;
        }
        Ok(id)
    }

    /// Waits until it is paused and nothing of it waits; the reason, and more of it for a person.
    fn paused_by_itself(&self, id: &str) -> Result<(String, String)> {
        let settled = |shown: &Value| is(shown, "PAUSED") && shown["counts"]["queued"] == 0;
        let shown = self.campaign_when(id, "paused, with nothing that waits", settled)?;
        ensure!(shown["counts"]["pending"].as_u64().is_some_and(|pending| pending > 0), "nobody is left: {shown}");
        Ok((text_of(&shown["pausing"], "reason")?, text_of(&shown["pausing"], "detail")?))
    }

    /// Resumes it, and waits until it is finished: who did not fail got one message, and nobody got two.
    fn resumed_to_the_end(&self, id: &str) -> Result<()> {
        self.campaign_step(id, "resume")?;
        let shown = self.campaign_when(id, "finished", |shown| is(shown, "FINISHED"))?;
        let failed = api::counted(&shown, "failed")?;
        self.each_at_most_once(PEOPLE - usize::try_from(failed)?)
    }

    /// Graph accepted this many messages, each for another person.
    fn each_at_most_once(&self, expected: usize) -> Result<()> {
        let accepted = self.graph.accepted()?;
        let people: BTreeSet<String> = accepted.iter().map(|body| body["to"].to_string()).collect();
        assert_eq!((accepted.len(), people.len()), (expected, expected), "{accepted:?}");
        Ok(())
    }

    /// A person opens the session again.
    fn open_session(&self) -> Result<()> {
        self.tenant.client.post(&format!("/v1/connectors/{}/session", self.connector), &json!({}))?.expect(200)?;
        connected(&self.tenant, &self.connector)
    }

    /// From the third message on, Graph refuses each with this code.
    fn refuses_from_the_third_on(&self, code: u32) -> Result<()> {
        self.graph.fault(&json!({"match": {"path": "/messages", "nth": 3, "count": 0}, "code": code}))
    }
}

/// The codes that fail a message: the template is paused, or disabled.
#[test]
fn a_code_of_failures_pauses_the_campaign() -> Result<()> {
    for code in [132_015, 132_016] {
        let bench = Bench::new()?;
        let id = bench.slow_campaign("parada_por_modelo", None)?;
        bench.refuses_from_the_third_on(code)?;
        bench.campaign_step(&id, "start")?;
        let (reason, detail) = bench.paused_by_itself(&id)?;
        ensure!(reason.eq_ignore_ascii_case("stop_code") && detail.contains(&code.to_string()), "{reason}: {detail}");
        bench.graph.no_faults()?;
        bench.resumed_to_the_end(&id)?;
    }
    Ok(())
}

/// The codes with which Meta takes nothing more until somebody acts: the token, a locked account, one that has not paid.
#[test]
fn a_channel_that_takes_nothing_more_pauses_the_campaign() -> Result<()> {
    for code in [190, 131_031, 368, 131_042] {
        let bench = Bench::new()?;
        let id = bench.slow_campaign("parada_pela_conta", None)?;
        bench.refuses_from_the_third_on(code)?;
        bench.campaign_step(&id, "start")?;
        let (reason, detail) = bench.paused_by_itself(&id)?;
        ensure!(reason.eq_ignore_ascii_case("channel_stopped"), "{code}: {reason}: {detail}");
        ensure!(detail.contains(&code.to_string()), "{code}: {detail}");
        bench.each_at_most_once(2)?;
        bench.graph.no_faults()?;
        bench.open_session()?;
        bench.resumed_to_the_end(&id)?;
        bench.each_at_most_once(PEOPLE)?;
    }
    Ok(())
}

/// The code with which Meta slows a number down that too many people block.
#[test]
fn a_code_with_which_meta_slows_the_number_down_pauses_the_campaign() -> Result<()> {
    let bench = Bench::new()?;
    let id = bench.slow_campaign("parada_por_bloqueios", None)?;
    bench.refuses_from_the_third_on(131_048)?;
    bench.campaign_step(&id, "start")?;
    let (reason, detail) = bench.paused_by_itself(&id)?;
    ensure!(reason.eq_ignore_ascii_case("stop_code") && detail.contains("131048"), "{reason}: {detail}");
    bench.graph.no_faults()?;
    bench.campaign_step(&id, "resume")?;
    // Meta is left alone for a quarter of an hour; what was counted before does not pause it again.
    bench.campaign_when(&id, "running, with messages that wait", |shown| {
        is(shown, "RUNNING") && shown["counts"]["queued"].as_u64().is_some_and(|queued| queued > 0)
    })?;
    bench.each_at_most_once(2)
}

#[test]
fn too_many_failures_pause_the_campaign() -> Result<()> {
    let bench = Bench::new()?;
    let rules = json!({"failedPercent": 20, "minSent": 4, "codes": []});
    let id = bench.slow_campaign("parada_por_falhas", Some(&rules))?;
    bench.refuses_from_the_third_on(131_009)?;
    bench.campaign_step(&id, "start")?;
    let (reason, detail) = bench.paused_by_itself(&id)?;
    ensure!(reason.eq_ignore_ascii_case("failed_percent"), "{reason}: {detail}");
    bench.graph.no_faults()?;
    bench.resumed_to_the_end(&id)
}

#[test]
fn a_connector_that_is_paused_too_often_pauses_the_campaign() -> Result<()> {
    let bench = Bench::new()?;
    let rules = json!({"connectorPauses": 1, "codes": []});
    let id = bench.slow_campaign("parada_pelo_conector", Some(&rules))?;
    bench.tenant.set_paused(&bench.connector, true)?;
    bench.campaign_step(&id, "start")?;
    let (reason, detail) = bench.paused_by_itself(&id)?;
    ensure!(reason.eq_ignore_ascii_case("connector_paused"), "{reason}: {detail}");
    bench.tenant.set_paused(&bench.connector, false)?;
    connected(&bench.tenant, &bench.connector)?;
    bench.resumed_to_the_end(&id)?;
    bench.each_at_most_once(PEOPLE)
}

/// A campaign that is started while nothing goes says so at once.
#[test]
fn a_campaign_that_is_started_while_the_session_is_closed_is_paused() -> Result<()> {
    let bench = Bench::new()?;
    let id = bench.slow_campaign("sessao_fechada", None)?;
    bench.tenant.client.delete(&format!("/v1/connectors/{}/session", bench.connector))?.expect(200)?;
    bench.campaign_step(&id, "start")?;
    let (reason, detail) = bench.paused_by_itself(&id)?;
    ensure!(reason.eq_ignore_ascii_case("channel_stopped"), "{reason}: {detail}");
    bench.open_session()?;
    bench.resumed_to_the_end(&id)?;
    bench.each_at_most_once(PEOPLE)
}

/// What Meta accepts and keeps back while it judges a template is told apart from what is on its way.
#[test]
fn what_meta_keeps_back_is_shown_until_it_is_delivered() -> Result<()> {
    let bench = Bench::new()?;
    bench.graph.template(&{
        let mut template = named_template("retida_na_campanha");
        template["pacing"] = json!(1);
        template
    })?;
    bench.sync()?;
    let template = bench.found("retida_na_campanha")?["number"].as_u64().context("no number")?;
    let rows: Vec<Value> = (0..3).map(|_| row(&person(), "Ana")).collect();
    let id = bench.campaign(template, &rows)?;
    bench.campaign_step(&id, "start")?;
    let shown = bench.campaign_when(&id, "kept back but for one", |shown| {
        shown["counts"]["held"] == 2 && shown["counts"]["delivered"] == 1
    })?;
    assert_eq!((&shown["counts"]["accepted"], &shown["counts"]["rows"]), (&json!(2), &json!(3)), "{shown}");
    let stored = api::rows(&bench.tenant.client, &id)?;
    let held: Vec<&Value> = stored.iter().filter(|row| row["code"] == "held").collect();
    assert_eq!(held.len(), 2, "{stored:?}");
    for row in held {
        ensure!(is(row, "ACCEPTED") && !text_of(row, "detail")?.is_empty(), "{row}");
    }
    let export = bench.tenant.client.get(&format!("/v1/campaigns/{id}/rows.csv"))?.expect(200)?;
    assert_eq!(export.text().matches("held").count(), 2, "{}", export.text());
    bench.graph.release_held("retida_na_campanha")?;
    let shown = bench.campaign_when(&id, "delivered", |shown| shown["counts"]["delivered"] == 3)?;
    assert_eq!((&shown["counts"]["held"], &shown["counts"]["accepted"]), (&json!(0), &json!(0)), "{shown}");
    ensure!(api::rows(&bench.tenant.client, &id)?.iter().all(|row| row["code"].is_null()), "{shown}");
    Ok(())
}
