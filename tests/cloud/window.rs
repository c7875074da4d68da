//! The reply window: by the channel's own timestamps, refused before anything is stored, open again when the person writes. Row 15 of
//! what peers got wrong: a window by a frozen or a local clock, and acceptance counted as delivery.

use anyhow::{Result, ensure};
use pombo_tests::meta::{now, wamid};
use pombo_tests::tenant::{SENDSYNC, text_of};
use serde_json::{Value, json};

use crate::shared::{Bench, named_template, person};

const DAY: i64 = 24 * 3600;

impl Bench {
    /// What is shown of the window to this person.
    fn reply_window(&self, person: &str) -> Result<Value> {
        let id = text_of(&self.conversation(person)?, "id")?;
        let shown = self.tenant.client.get(&format!("/v1/conversations/{id}"))?.expect_json(200)?;
        Ok(shown["replyWindow"].clone())
    }

    /// A webhook says that the person wrote so many seconds ago.
    fn wrote(&self, person: &str, seconds_ago: i64) -> Result<()> {
        self.hook.post(&self.graph.line().text(person, &wamid(), "oi", now() - seconds_ago))?;
        self.conversation(person)?;
        Ok(())
    }
}

#[test]
fn it_is_open_for_24_hours_by_metas_time_and_not_by_when_the_webhook_came() -> Result<()> {
    let bench = Bench::silent()?;
    // Both webhooks come now. The edges to the second are the engine's own tests', whose clock is driven.
    let (open, closed) = (person(), person());
    bench.wrote(&open, DAY - 3600)?;
    bench.wrote(&closed, DAY + 1)?;
    assert_eq!(bench.reply_window(&open)?["open"], true);
    assert_eq!(bench.reply_window(&closed)?["open"], false);
    let refused = bench.try_queue(&json!({"to": closed, "text": "fora da janela"}))?;
    ensure!(refused.status == 409, "{refused:?}");
    let code = text_of(&refused.json()?["error"], "code")?;
    ensure!(code.eq_ignore_ascii_case("window_closed"), "{refused:?}");
    // An old message that comes late does not close it, and a new one opens it.
    bench.wrote(&open, DAY + 3600)?;
    assert_eq!(bench.reply_window(&open)?["open"], true);
    bench.wrote(&closed, 5)?;
    assert_eq!(bench.reply_window(&closed)?["open"], true);
    bench.queue(&json!({"to": closed, "text": "agora sim"}))?;
    Ok(())
}

#[test]
fn outside_of_it_only_templates_are_taken_and_nothing_reaches_meta() -> Result<()> {
    let bench = Bench::new()?;
    bench.template(&named_template("fora"))?;
    let who = person();
    // Nobody has written yet: by the control API and by the queue API.
    for reply in [
        bench.try_queue(&json!({"to": who, "text": "oi"}))?,
        bench.tenant.try_send(&json!({"connectorId": bench.connector, "to": who, "message": "oi"}))?,
    ] {
        ensure!((400..500).contains(&reply.status), "{reply:?}");
    }
    ensure!(bench.accepted(&who)?.is_empty());
    let sent = bench.queue_named(&who, "fora")?;
    bench.tenant.wait_status(&sent, &["SENT"])?;
    // A bulk says it of each row.
    let rows = [
        json!({"connectorId": bench.connector, "to": who, "message": "fora da janela"}),
        json!({"connectorId": bench.connector, "to": person(), "message": "fora da janela"}),
    ];
    let bulk = bench.tenant.try_bulk(&rows)?;
    ensure!(bulk.status < 500, "{bulk:?}");
    assert_eq!(bench.accepted(&who)?.len(), 1);
    bench.nothing_violated()
}

#[test]
fn a_person_who_writes_opens_it_at_both_ends() -> Result<()> {
    let bench = Bench::new()?;
    let who = person();
    bench.opened(&who)?;
    bench.send(&json!({"to": who, "text": "respondo"}))?;
    let list = format!("{SENDSYNC}/queue/list?status=SENT");
    assert_eq!(bench.tenant.client.get(&list)?.expect_json(200)?["meta"]["total"], 1);
    let texts: Vec<Value> = bench.accepted(&who)?.iter().map(|body| body["text"]["body"].clone()).collect();
    assert_eq!(texts, ["respondo"]);
    bench.nothing_violated()
}

/// The simulator's clock goes on by a day, the engine's does not: Meta's refusal is taken as it is.
#[test]
fn what_meta_says_about_the_window_counts() -> Result<()> {
    let bench = Bench::new()?;
    let who = person();
    bench.opened(&who)?;
    bench.graph.advance(DAY + 1)?;
    let id = bench.queue(&json!({"to": who, "text": "a Meta sabe melhor"}))?;
    let message = bench.tenant.wait_status(&id, &["FAILED"])?;
    assert_eq!(message["reason"]["channelCode"], "131047", "{message}");
    Ok(())
}

#[test]
fn accepted_is_not_delivered() -> Result<()> {
    let bench = Bench::new()?;
    bench.graph.knobs(&json!({"receipts": "none"}))?;
    let who = person();
    bench.opened(&who)?;
    let (id, _) = bench.send(&json!({"to": who, "text": "aceita"}))?;
    let message = bench.tenant.message(&id)?;
    ensure!(message["receipts"]["deliveredAt"].is_null(), "{message}");
    Ok(())
}
