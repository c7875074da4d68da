//! Meta's limits, which the engine keeps before it calls: one person's, the number's, and the people of a portfolio in a day, which all
//! of its numbers share. The simulator counts, and says when one was broken.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Result, ensure};
use pombo_tests::graph::{Graph, connect};
use pombo_tests::meta::Hook;
use pombo_tests::tenant::{Tenant, text_of};
use pombo_tests::wait::{PATIENCE, until};
use serde_json::{Value, json};

use crate::shared::{Bench, named_content, named_template, person, server};

/// The code of the reason for which a message waits.
fn waits_for(message: &Value) -> &str {
    message["reason"]["code"].as_str().unwrap_or_default()
}

/// Whether a message is tried later than when that was decided: both are instants of one form.
fn is_later(message: &Value) -> bool {
    message["dueAt"].as_str() > message["updatedAt"].as_str()
}

#[test]
fn one_person_gets_so_many_at_once_and_the_others_do_not_wait() -> Result<()> {
    let bench = Bench::new()?;
    let (busy, other) = (person(), person());
    for who in [&busy, &other] {
        bench.opened(who)?;
    }
    // Meta lends 45, and gives one back every six seconds.
    let ids: Vec<String> =
        (0..50).map(|n| bench.queue(&json!({"to": busy, "text": format!("mensagem {n}")}))).collect::<Result<_>>()?;
    let after = bench.queue(&json!({"to": other, "text": "não espera"}))?;
    bench.tenant.wait_status(&after, &["SENT"])?;
    until("the bucket to be empty", PATIENCE, || {
        let last = bench.tenant.message(&ids[49])?;
        Ok((last["status"] == "WAITING").then_some(()))
    })?;
    let last = bench.tenant.message(&ids[49])?;
    ensure!(waits_for(&last) == "recipient_rate" && is_later(&last), "{last}");
    ensure!(bench.accepted(&busy)?.len() >= 44, "the burst is not used");
    bench.nothing_violated()
}

#[test]
fn the_numbers_rate_is_kept_with_what_is_received() -> Result<()> {
    let bench = Bench::new()?;
    bench.template(&named_template("ritmo"))?;
    bench.graph.number(&json!({"throughput": 20}))?;
    let path = format!("/v1/connectors/{}", bench.connector);
    bench.tenant.client.patch(&path, &json!({"config": bench.graph.config(&json!({"perSecond": 20}))}))?.expect(200)?;
    pombo_tests::whatsapp::connected(&bench.tenant, &bench.connector)?;
    let ids: Vec<String> =
        (0..60).map(|_| bench.queue_template(&person(), &named_content("ritmo"))).collect::<Result<_>>()?;
    for _ in 0..20 {
        bench.graph.says(&person(), &json!({"type": "text", "text": {"body": "enquanto isso"}}))?;
    }
    for id in &ids {
        bench.tenant.wait_status(id, &["SENT"])?;
    }
    bench.nothing_violated()
}

/// Two numbers of a portfolio send at once, each to people of its own: together they reach no more than the portfolio may.
#[test]
fn two_numbers_share_the_limit_of_their_portfolio() -> Result<()> {
    const LIMIT: usize = 50;
    let (graph, tenant) = (Graph::start()?, Tenant::create(server()?)?);
    graph.portfolio(&json!({"tier": LIMIT}))?;
    let second = graph.another_number()?;
    graph.template(&named_template("limite"))?;
    let first = connect(&tenant, &graph.config(&json!({})))?;
    let other = connect(&tenant, &graph.config_of(&second, &json!({})))?;
    let hook = Hook::to(server()?, &first, graph.app_secret());
    graph.call_back(&hook.url(server()?))?;
    // Meta tells the limit by a webhook, as a number or as a tier.
    hook.post(&graph.line().other(
        "business_capability_update",
        &json!({"max_daily_conversations_per_business": LIMIT, "max_phone_numbers_per_business": 20}),
    ))?;
    let send = |connector: &str| -> Result<String> {
        let body = json!({"to": person(), "content": {"kind": "template", "value": named_content("limite")}});
        let path = format!("/v1/connectors/{connector}/messages");
        text_of(&tenant.client.post(&path, &body)?.expect_json(201)?, "id")
    };
    for _ in 0..40 {
        send(&first)?;
        send(&other)?;
    }
    let sent = || -> Result<usize> { Ok(usize::try_from(tenant.total(&[("status", "SENT")])?)?) };
    until("the limit to be used", PATIENCE, || Ok((sent()? >= LIMIT).then_some(())))?;
    let held = until("the rest to be held back", PATIENCE, || {
        let list = tenant.client.get("/v1/messages?status=WAITING&limit=100")?.expect_json(200)?;
        let all = list["data"].as_array().cloned().unwrap_or_default();
        Ok(all.into_iter().find(|one| waits_for(one) == "audience"))
    })?;
    ensure!(is_later(&held), "{held}");
    let people: BTreeSet<String> =
        graph.accepted()?.iter().filter_map(|body| body["to"].as_str().map(str::to_owned)).collect();
    assert_eq!(people.len(), LIMIT);
    assert_eq!(sent()?, LIMIT);
    // A person who was written to already does not count again.
    let again = people.first().cloned().unwrap_or_default();
    let body = json!({"to": again, "content": {"kind": "template", "value": named_content("limite")}});
    let queued = tenant.client.post(&format!("/v1/connectors/{other}/messages"), &body)?.expect_json(201)?;
    tenant.wait_status_for(&text_of(&queued, "id")?, &["SENT"], Duration::from_secs(60))?;
    // The limit is raised: the next one goes. Those who wait are looked at again within a quarter of an hour.
    graph.portfolio(&json!({"tier": "TIER_2K"}))?;
    hook.post(&graph.line().other(
        "business_capability_update",
        &json!({"max_daily_conversations_per_business": "TIER_2K", "max_phone_numbers_per_business": 20}),
    ))?;
    for connector in [&first, &other] {
        tenant.wait_status(&send(connector)?, &["SENT"])?;
    }
    graph.nothing_violated()
}
