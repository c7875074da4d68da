//! What Meta thinks of what is sent, and what follows from it: a quality that became worse counts against the account as a block or a
//! restriction does, so that the pace slows down and at last stops, until a person decides.

use anyhow::{Context, Result, ensure};
use pombo_tests::http::Client;
use pombo_tests::wait::{PATIENCE, until};
use pombo_tests::whatsapp::{Events, connected};
use serde_json::{Value, json};

use crate::shared::{Bench, named_template, person};

impl Bench {
    /// Meta rates the number so, and the connector asks how it is.
    fn rated(&self, quality: &str) -> Result<()> {
        self.graph.number(&json!({"quality": quality}))?;
        let zapini = Client::new(self.tenant.client.address()).bearer(&self.tenant.key);
        zapini.get(&format!("/zapini/instances/{}/status?realtime=true", self.connector))?.expect(200)?;
        Ok(())
    }

    /// Waits until the pace's present state looks as wanted.
    fn pace_when(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
        let mut last = Value::Null;
        until(&format!("the pace to be {what}"), PATIENCE, || {
            let report =
                self.tenant.client.get(&format!("/v1/connectors/{}/pace", self.connector))?.expect_json(200)?;
            last = report["now"].clone();
            Ok(wanted(&last).then(|| last.clone()))
        })
        .with_context(|| format!("it is {last}"))
    }
}

/// What was told of the account's health, of this kind.
fn told(events: &mut Events<'_>, kind: &str) -> Result<Value> {
    let event = events.expect(&format!("health that is {kind}"), |event| {
        event["type"] == "health.changed" && event["data"]["kind"] == kind
    })?;
    Ok(event["data"].clone())
}

#[test]
fn a_quality_that_became_worse_slows_the_number_down_and_pauses_it() -> Result<()> {
    let bench = Bench::new()?;
    bench.template(&named_template("qualidade"))?;
    let (queue, status) = bench.queue_and_status()?;
    let template = bench.found("qualidade")?["number"].clone();
    let health = json!({"windowHours": 24, "slowBelow": 70, "pauseBelow": 35, "minSent": 20});
    let pace = json!({"delayMinMs": 100, "delayMaxMs": 100, "maxInFlight": 4, "health": health});
    bench.tenant.pace(&bench.connector, &pace)?;
    let mut events = Events::from_now(&bench.tenant)?;
    let green = bench.pace_when("green", |now| now["quality"] == "green")?;
    assert_eq!((&green["health"]["score"], &green["health"]["level"]), (&json!(100), &json!("good")), "{green}");
    assert_eq!(green["delayMinMs"], 100, "{green}");

    // Yellow counts as a block: one of twenty messages at least, which is 50 points.
    bench.rated("YELLOW")?;
    let yellow = bench.pace_when("yellow", |now| now["quality"] == "yellow" && now["health"]["blocks"] == 1)?;
    assert_eq!((&yellow["health"]["score"], &yellow["health"]["level"]), (&json!(50), &json!("slowed")), "{yellow}");
    assert_eq!(yellow["delayMinMs"], 140, "the pauses grow: {yellow}");
    let warned = told(&mut events, "blocked")?;
    ensure!(warned["reason"].as_str().is_some_and(|reason| reason.contains("yellow")), "{warned}");
    told(&mut events, "slowed")?;
    // The same once more is no news, and it is sent all the same.
    bench.rated("YELLOW")?;
    let id = bench.queue_named(&person(), "qualidade")?;
    bench.tenant.wait_status(&id, &["SENT"])?;
    assert_eq!(bench.pace_when("the same", |now| now["quality"] == "yellow")?["health"]["blocks"], 1);

    // Red counts as a restriction: 40 points more.
    bench.rated("RED")?;
    let red = bench.pace_when("red", |now| now["quality"] == "red" && now["health"]["restrictions"] == 1)?;
    assert_eq!((&red["health"]["score"], &red["health"]["level"]), (&json!(10), &json!("paused")), "{red}");
    let warned = told(&mut events, "restricted")?;
    ensure!(warned["reason"].as_str().is_some_and(|reason| reason.contains("red")), "{warned}");
    told(&mut events, "paused")?;
    let path = format!("/v1/connectors/{}", bench.connector);
    until("the connector to be paused", PATIENCE, || {
        let shown = bench.tenant.client.get(&path)?.expect_json(200)?;
        Ok(shown["status"].as_str().is_some_and(|word| word.eq_ignore_ascii_case("paused")).then_some(()))
    })?;

    // What comes now waits; who wants an answer at once gets one.
    let who = person();
    let waits = bench.queue_named(&who, "qualidade")?;
    let body = json!({"number": who, "template_id": template, "queue_id": queue, "status_id": status,
        "variables": {"nome": "Ana", "codigo": "1"}});
    let refused = bench.aidesk().post("/aidesk/send-message", &body)?.expect(400)?;
    ensure!(refused.text().contains("paused"), "{refused:?}");
    assert_eq!(bench.graph.messages_to(&who)?, 0);

    // A person resumes it: what was counted before counts no longer, and Meta is asked again.
    bench.tenant.set_paused(&bench.connector, false)?;
    connected(&bench.tenant, &bench.connector)?;
    bench.rated("GREEN")?;
    bench.tenant.wait_status(&waits, &["SENT"])?;
    let good = bench.pace_when("green again", |now| now["quality"] == "green" && now["health"]["level"] == "good")?;
    assert_eq!(good["health"]["score"], 100, "{good}");
    ensure!(good["health"]["since"].is_string(), "{good}");
    bench.nothing_violated()
}

/// Without rules for it, the quality is shown and nothing follows.
#[test]
fn without_health_rules_a_quality_is_shown_and_told_and_slows_nothing() -> Result<()> {
    let bench = Bench::new()?;
    bench.template(&named_template("so_mostrada"))?;
    let mut events = Events::from_now(&bench.tenant)?;
    bench.rated("RED")?;
    let red = bench.pace_when("red", |now| now["quality"] == "red")?;
    ensure!(red["health"].is_null(), "{red}");
    told(&mut events, "restricted")?;
    let id = bench.queue_named(&person(), "so_mostrada")?;
    bench.tenant.wait_status(&id, &["SENT"])?;
    Ok(())
}

/// The quality of a template is told by a webhook, and shown with it.
#[test]
fn a_templates_quality_is_shown_with_it() -> Result<()> {
    let bench = Bench::silent()?;
    bench.template(&named_template("avaliado"))?;
    for (score, word) in [("YELLOW", "yellow"), ("RED", "red"), ("GREEN", "green")] {
        let told = json!({"previous_quality_score": "UNKNOWN", "new_quality_score": score,
            "message_template_name": "avaliado", "message_template_language": "pt_BR"});
        bench.hook.post(&bench.graph.line().other("message_template_quality_update", &told))?;
        until(&format!("the template to be {word}"), PATIENCE, || {
            Ok((bench.found("avaliado")?["quality"] == word).then_some(()))
        })?;
    }
    Ok(())
}
