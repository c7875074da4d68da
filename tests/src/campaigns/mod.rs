//! A campaign amid everything that goes wrong: it is paused and resumed, the engine is killed three times, Meta throttles, cuts
//! connections and fails messages late; some numbers have no WhatsApp, and some people want no marketing, or say so while it runs. Afterwards
//! each recipient has exactly one outcome, the counters add up, and the simulator saw no limit broken.
//!
//! `people` is who gets it and what must become of each, `check` the comparison, `api` the calls.

pub mod api;
mod check;
mod people;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::campaigns::people::{Fate, Person, Refusal};
use crate::graph::{Graph, connect, options};
use crate::http::query;
use crate::meta::Hook;
use crate::server::{Options, Server};
use crate::tenant::{Tenant, text_of};
use crate::wait::until;

/// The environment variable with the number of rows.
const ROWS: &str = "POMBO_CAMPAIGN_ROWS";
const PATIENCE: Duration = Duration::from_secs(300);
const KILLS: usize = 3;
/// The template.
const NAME: &str = "promocao";

/// The number of rows that the environment asks for, or `default`.
pub fn rows(default: usize) -> Result<usize> {
    match std::env::var(ROWS) {
        Ok(text) => text.parse().with_context(|| format!("{ROWS} is not a number: {text}")),
        Err(_) => Ok(default),
    }
}

/// What a run showed.
#[derive(Debug, Clone, Copy)]
pub struct Figures {
    /// Recipients.
    pub rows: usize,
    /// Messages a second that the limits allow.
    pub allowed: f64,
    /// Messages a second that Graph accepted while nothing disturbed.
    pub reached: f64,
}

/// An engine, a simulator, and a campaign on them.
struct Drill {
    server: Server,
    tenant: Tenant,
    graph: Graph,
    connector: String,
    people: Vec<Person>,
    campaign: String,
}

/// Sends a campaign to so many people, `per_second` at most, and disturbs it.
pub fn run(rows: usize, per_second: u32) -> Result<Figures> {
    ensure!(rows >= 1_000, "too few rows for every fate");
    let mut drill = Drill::start(rows, per_second)?;
    drill.dry_run()?;
    drill.step("start")?;
    let reached = drill.undisturbed(rows / 4)?;
    drill.pause_and_resume()?;
    for kill in 0..KILLS {
        let goal = rows / 4 + rows * (kill + 1) / 8;
        drill.accepted_by_graph(goal)?;
        drill.server.kill()?;
        drill.server.launch().with_context(|| format!("after kill {kill}"))?;
        crate::whatsapp::connected(&drill.tenant, &drill.connector)?;
    }
    drill.finish()?;
    check::outcomes(&drill)?;
    check::counts(&drill)?;
    check::graph(&drill)?;
    drill.server.terminate(Duration::from_secs(60))?;
    drill.server.inspect()?;
    let figures = Figures { rows, allowed: f64::from(per_second), reached };
    eprintln!("{figures:?}");
    Ok(figures)
}

/// A webhook may bring many updates at once.
fn engine() -> Options {
    options("[sandbox]\nevents_per_second = 100000\nevent_kb_per_second = 100000\n")
}

impl Drill {
    fn start(rows: usize, per_second: u32) -> Result<Self> {
        let server = Server::start(engine())?;
        let (graph, tenant) = (Graph::start()?, Tenant::create(&server)?);
        graph.number(&json!({"throughput": per_second}))?;
        // Meta posts many updates at once when there are many, and again what was not taken: soon, so that nobody waits for it here.
        graph.knobs(&json!({"batch": 1000, "parallel": 2, "retry_gaps_seconds": [1], "receipts": "sent+delivered"}))?;
        let connector = connect(&tenant, &graph.config(&json!({"perSecond": per_second})))?;
        let hook = Hook::to(&server, &connector, graph.app_secret());
        graph.call_back(&hook.url(&server))?;
        let people = people::all(rows);
        let drill = Self { server, tenant, graph, connector, people, campaign: String::new() };
        drill.set_up_people()?;
        drill.make_campaign()
    }

    /// Who has no WhatsApp, who refuses marketing, and whose message fails late or whose answer is lost.
    fn set_up_people(&self) -> Result<()> {
        for person in &self.people {
            let to = &person.phone;
            match person.fate {
                Fate::Delivered => {}
                Fate::NoWhatsApp => self.graph.person(&json!({"phone": to, "has_whatsapp": false}))?,
                Fate::FailsLate(code) => {
                    self.graph.fault(&json!({"match": {"to": to}, "code": code, "async": true}))?;
                }
                Fate::AnswerLost => self.graph.fault(&json!({"match": {"to": to}, "reset_after_accept": true}))?,
                Fate::RefusesMarketing => {
                    self.contact(&json!({"type": "WHATSAPP", "identifier": to, "refusedCategories": ["MARKETING"]}))?;
                }
                Fate::RefusesLater(_) => self.graph.person(&json!({"phone": to, "name": person.name}))?,
            }
        }
        // Meta throttles the number now and then.
        for nth in [3, 5, 7].map(|part| self.people.len() * part / 10) {
            self.graph.fault(&json!({"match": {"path": "/messages", "nth": nth, "count": 3}, "code": 130_429}))?;
        }
        Ok(())
    }

    /// Saves a contact.
    fn contact(&self, contact: &Value) -> Result<Value> {
        let reply = self.tenant.client.post("/v1/contacts", contact)?;
        ensure!(reply.status == 200 || reply.status == 201, "{reply:?}");
        reply.json()
    }

    /// People refuse marketing whose rows were fixed as if they wanted it, and whose turn has not come.
    fn refuse_meanwhile(&self) -> Result<()> {
        let client = &self.tenant.client;
        let later = |person: &&Person| matches!(person.fate, Fate::RefusesLater(_));
        for person in self.people.iter().filter(later) {
            let (to, Fate::RefusesLater(how)) = (&person.phone, person.fate) else { continue };
            match how {
                Refusal::Word => {
                    self.graph.says(to, &json!({"type": "text", "text": {"body": "Sair"}}))?;
                }
                Refusal::AtMeta => self.graph.prefers(to, "stop")?,
                Refusal::ByTenant => {
                    self.contact(&json!({"type": "WHATSAPP", "identifier": to, "refusedCategories": ["MARKETING"]}))?;
                }
                Refusal::OfEverything => {
                    let id = text_of(&self.contact(&json!({"type": "WHATSAPP", "identifier": to}))?, "id")?;
                    client.patch(&format!("/v1/contacts/{id}"), &json!({"active": false}))?.expect(200)?;
                }
            }
        }
        // What Meta tells comes by webhooks.
        for person in self.people.iter().filter(later) {
            until(&format!("the refusal of {}", person.phone), PATIENCE, || {
                let page = client.get(&query("/v1/contacts", &[("search", &person.phone)]))?.expect_json(200)?;
                let contact = &page["data"][0];
                Ok((contact["active"] == false || contact["refusedCategories"] == json!(["MARKETING"])).then_some(()))
            })?;
        }
        Ok(())
    }

    fn make_campaign(mut self) -> Result<Self> {
        self.graph.template(&json!({"name": NAME, "language": "pt_BR", "category": "MARKETING",
            "parameter_format": "NAMED", "components": [{"type": "BODY", "text": "Oi {{nome}}, temos pão fresco hoje!",
                "example": {"body_text_named_params": [{"param_name": "nome", "example": "Ana"}]}}]}))?;
        let client = &self.tenant.client;
        api::sync(client, &self.connector)?;
        let template = api::template(client, &self.connector, NAME)?;
        // The last row is a person who is in the list already, with the number written otherwise.
        let mut rows: Vec<Value> = self.people.iter().map(Person::row).collect();
        let again = self.people.first().context("nobody")?;
        rows.push(api::recipient(&format!("+{}", again.phone), &json!({"nome": "De novo"})));
        self.campaign = text_of(&api::draft(client, &self.connector, &template["number"], &rows)?, "id")?;
        Ok(self)
    }

    fn shown(&self) -> Result<Value> {
        api::shown(&self.tenant.client, &self.campaign)
    }

    fn step(&self, step: &str) -> Result<Value> {
        api::step(&self.tenant.client, &self.campaign, step)
    }

    fn rows(&self) -> Result<Vec<Value>> {
        api::rows(&self.tenant.client, &self.campaign)
    }

    /// How many rows stand there.
    fn counted(&self, word: &str) -> Result<u64> {
        api::counted(&self.shown()?, word)
    }

    /// The checks before the start name what is wrong and send nothing.
    fn dry_run(&self) -> Result<()> {
        let report = self.step("check")?;
        let refusing = self.people.iter().filter(|one| matches!(one.fate, Fate::RefusesMarketing)).count() as u64;
        let skipped = &report["skipped"];
        ensure!(skipped["duplicate"] == 1 && skipped["refused"] == refusing, "{report}");
        ensure!(self.graph.accepted_count()? == 0, "the dry run sent something");
        Ok(())
    }

    /// Waits until Graph accepted so many messages; how fast it went meanwhile.
    fn undisturbed(&self, goal: usize) -> Result<f64> {
        // Not from the start: the first second may use what the bucket held.
        let from = self.accepted_by_graph(goal / 4)?;
        let start = Instant::now();
        let to = self.accepted_by_graph(goal)?;
        Ok((to - from) as f64 / start.elapsed().as_secs_f64())
    }

    /// Waits until Graph accepted so many messages; how many there are.
    fn accepted_by_graph(&self, goal: usize) -> Result<usize> {
        let waited = until(&format!("{goal} accepted messages"), PATIENCE, || {
            let count = self.graph.accepted_count()?;
            Ok((count >= goal).then_some(count))
        });
        waited.with_context(|| format!("the campaign: {:?}", self.shown()))
    }

    /// Paused, nothing new is begun, and what was on its way gets its outcome. Who refuses it meanwhile is left out when it goes on.
    fn pause_and_resume(&self) -> Result<()> {
        self.step("pause")?;
        ensure!(api::is(&self.shown()?, "PAUSED"), "{}", self.shown()?);
        until("what was on its way", PATIENCE, || Ok((self.counted("queued")? == 0).then_some(())))?;
        let before = self.graph.accepted_count()?;
        self.tenant.client.get(&format!("/v1/connectors/{}/pace", self.connector))?.expect(200)?;
        ensure!(self.graph.accepted_count()? == before, "a paused campaign sends");
        ensure!(self.counted("pending")? > 0, "{}", self.shown()?);
        self.refuse_meanwhile()?;
        self.step("resume")?;
        Ok(())
    }

    /// Waits until every row has ended. What a kill left open, so that nobody can tell, a person decides: Graph's journal knows.
    fn finish(&self) -> Result<()> {
        let ended = until("the campaign to be finished", PATIENCE, || {
            let shown = self.shown()?;
            Ok(api::is(&shown, "FINISHED").then_some(()))
        });
        ended.with_context(|| format!("the campaign: {:?}", self.shown()))?;
        self.graph.settle()?;
        let accepted = self.graph.accepted()?;
        for row in self.rows()? {
            if !api::is(&row, "UNKNOWN") {
                continue;
            }
            let to = format!("+{}", text_of(&row, "to")?);
            // A status of Meta's would have come by now: it has not got the message.
            let has_it = accepted.iter().any(|body| body["to"] == to.as_str());
            ensure!(!has_it, "Meta has it, and its status did not count: {row}");
            let path = format!("/v1/messages/{}/resolve", text_of(&row, "messageId")?);
            self.tenant.client.post(&path, &json!({"outcome": "retry"}))?.expect(200)?;
        }
        until("what was decided by hand", PATIENCE, || {
            let shown = self.shown()?;
            let open = ["unknown", "queued", "accepted"].map(|word| api::counted(&shown, word));
            Ok(open.into_iter().sum::<Result<u64>>().map(|left| (left == 0).then_some(()))?)
        })
        .with_context(|| format!("the campaign: {:?}", self.shown()))
    }
}
