//! Statuses that do not carry our id: what another version of the API, or another program of the account, leaves out.

use anyhow::{Context, Result, bail};
use pombo_tests::campaigns::api::{self, is};
use pombo_tests::meta::{failed, now, status};
use pombo_tests::tenant::text_of;
use serde_json::{Value, json};

use crate::campaigns::row;
use crate::shared::{Bench, named_template, person};

/// What another program of the account sends along: it looks like an id of ours.
const ANOTHER: &str = "6f9619ff-8b86-4011-b42d-00c04fc964ff";

#[test]
fn a_status_with_metas_id_alone_changes_message_row_and_figures() -> Result<()> {
    let bench = Bench::silent()?;
    let template = bench.template(&named_template("so_o_wamid"))?;
    let people: Vec<String> = (0..3).map(|_| person()).collect();
    let rows: Vec<Value> = people.iter().map(|who| row(who, "Ana")).collect();
    let id = bench.campaign(template, &rows)?;
    bench.campaign_step(&id, "start")?;
    let shown = bench.campaign_when(&id, "sent", |shown| shown["counts"]["accepted"] == 3)?;
    let mut sent = Vec::new();
    for (row, who) in api::rows(&bench.tenant.client, &id)?.iter().zip(&people) {
        let message = text_of(row, "messageId")?;
        let wamid = text_of(&bench.tenant.message(&message)?, "providerId")?;
        sent.push((message, wamid, who));
    }
    let [(reached, first, ana), (seen, second, bia), (lost, third, cida)] = &sent[..] else { bail!("{sent:?}") };
    let line = bench.graph.line();
    let told = [
        status(first, "sent", ana, None, now()),
        status(first, "delivered", ana, None, now()),
        status(second, "delivered", bia, Some(ANOTHER), now()),
        status(second, "read", bia, Some(ANOTHER), now()),
        failed(third, cida, None, (131_026, "Message undeliverable"), now()),
    ];
    bench.hook.post(&line.body(&[line.statuses(&told)]))?;
    bench.message_when(reached, "delivered", |message| message["receipts"]["deliveredAt"].is_string())?;
    bench.message_when(seen, "read", |message| message["receipts"]["readAt"].is_string())?;
    let message = bench.tenant.wait_status(lost, &["FAILED"])?;
    assert_eq!(message["reason"]["channelCode"], "131026", "{message}");
    bench.campaign_when(&id, "counted", |shown| {
        ["delivered", "read", "failed"].iter().all(|word| shown["counts"][*word] == 1)
    })?;
    let stored = api::rows(&bench.tenant.client, &id)?;
    for (row, word) in stored.iter().zip(["delivered", "read", "failed"]) {
        assert!(is(row, word), "{word}: {row}");
    }
    let number = shown["number"].as_u64().context("no number")?;
    let path = format!("/v1/stats/messages?campaign={number}");
    let stats = bench.tenant.client.get(&path)?.expect_json(200)?;
    assert_eq!(stats["total"], json!({"accepted": 3, "delivered": 2, "read": 1, "failed": 1}), "{stats}");
    Ok(())
}
