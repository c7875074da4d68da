//! Webhooks: batches, duplicates, any order, signatures over the bytes as they came, statuses before the answer. Rows 1, 2, 11, 14, 16,
//! 18 and 19 of what peers got wrong.

use std::collections::BTreeSet;

use anyhow::{Context, Result, anyhow, ensure};
use pombo_tests::meta::{SIGNATURE, contact, escaped, failed, now, orders, said, status, wamid};
use pombo_tests::tenant::text_of;
use pombo_tests::wait::{PATIENCE, until};
use pombo_tests::whatsapp::Events;
use serde_json::{Value, json};

use crate::shared::{Bench, person};

/// A code of Meta's, with its title.
const UNDELIVERABLE: (u32, &str) = (131_026, "Message undeliverable");

/// The received messages of a tenant with this id of Meta's: one, or the id was lost or doubled.
fn received(all: &[Value], id: &str) -> usize {
    all.iter().filter(|event| event["type"] == "message.received" && event["data"]["providerId"] == id).count()
}

/// Row 1: only the first update of a batch was handled.
#[test]
fn every_update_of_a_batch_is_taken_once() -> Result<()> {
    let bench = Bench::silent()?;
    let line = bench.graph.line();
    let people: Vec<String> = (0..6).map(|_| person()).collect();
    // Something sent, for statuses.
    bench.opened(&people[0])?;
    let (sent, sent_provider) = bench.send(&json!({"to": people[0], "text": "enviado"}))?;
    let mut ids = Vec::new();
    let entries: Vec<Value> = people
        .chunks(2)
        .map(|pair| {
            let messages: Vec<Value> = pair
                .iter()
                .flat_map(|who| [(who, "primeira"), (who, "segunda")])
                .map(|(who, text)| {
                    let id = wamid();
                    ids.push(id.clone());
                    said(who, &id, text, now())
                })
                .collect();
            let contacts: Vec<Value> = pair.iter().map(|who| contact(who, "Ana")).collect();
            let statuses = [
                status(&sent_provider, "sent", &people[0], Some(&sent), now()),
                status(&sent_provider, "delivered", &people[0], Some(&sent), now()),
                status(&wamid(), "delivered", &pair[0], None, now()),
            ];
            line.entry(&[line.messages(&contacts, &messages), line.statuses(&statuses)])
        })
        .collect();
    bench.hook.post(&json!({"object": "whatsapp_business_account", "entry": entries}))?;
    let mut events = Events::all(&bench.tenant);
    for id in &ids {
        events.message(id)?;
    }
    events.receipt(&sent, "delivered")?;
    let all = events.drain()?;
    assert_eq!(ids.len(), 12);
    for id in &ids {
        assert_eq!(received(all, id), 1, "{id}");
    }
    for who in &people[1..] {
        let texts: Vec<Value> = bench.said(who)?.iter().map(|entry| entry["text"].clone()).collect();
        assert_eq!(texts, [json!("primeira"), json!("segunda")], "{who}");
    }
    Ok(())
}

#[test]
fn a_thousand_updates_in_one_post_all_arrive() -> Result<()> {
    let bench = Bench::silent()?;
    let line = bench.graph.line();
    let people: Vec<String> = (0..20).map(|_| person()).collect();
    let messages: Vec<Value> =
        (0..1000).map(|n| said(&people[n % people.len()], &wamid(), &format!("mensagem {n}"), now())).collect();
    let contacts: Vec<Value> = people.iter().map(|who| contact(who, "Ana")).collect();
    bench.hook.post(&line.body(&[line.messages(&contacts, &messages)]))?;
    let seen: BTreeSet<String> = until("all of them", PATIENCE, || {
        let mut texts = BTreeSet::new();
        let mut events = Events::all(&bench.tenant);
        for event in events.drain()? {
            if event["type"] == "message.received" {
                texts.insert(text_of(&event["data"], "text")?);
            }
        }
        Ok((texts.len() >= 1000).then_some(texts))
    })?;
    assert_eq!(seen.len(), 1000);
    Ok(())
}

/// Row 2: a late `sent` or `delivered` overwrote `read`.
#[test]
fn statuses_in_any_order_end_in_the_same_state() -> Result<()> {
    let bench = Bench::silent()?;
    let (line, who) = (bench.graph.line(), person());
    bench.opened(&who)?;
    let mut shown = BTreeSet::new();
    let began = now();
    for order in orders(&[("sent", 1), ("delivered", 2), ("read", 3)]) {
        let (id, provider_id) = bench.send(&json!({"to": who, "text": "em qualquer ordem"}))?;
        for (word, after) in &order {
            let update = status(&provider_id, word, &who, Some(&id), began + after);
            bench.hook.post(&line.body(&[line.statuses(&[update])]))?;
        }
        let message = bench.message_when(&id, "read and delivered", |message| {
            message["receipts"]["readAt"].is_string() && message["receipts"]["deliveredAt"].is_string()
        })?;
        assert_eq!(message["status"], "SENT", "{message}");
        // When it was delivered is not known better where only the reading of it was told first.
        shown.insert(message["receipts"]["readAt"].to_string());
    }
    assert_eq!(shown.len(), 1, "the order shows: {shown:?}");
    Ok(())
}

#[test]
fn failed_wins_over_sent_alone() -> Result<()> {
    let bench = Bench::silent()?;
    let (line, who) = (bench.graph.line(), person());
    bench.opened(&who)?;
    let post = |update: Value| bench.hook.post(&line.body(&[line.statuses(&[update])]));
    let (late, provider_id) = bench.send(&json!({"to": who, "text": "falha depois"}))?;
    post(status(&provider_id, "sent", &who, Some(&late), now()))?;
    post(failed(&provider_id, &who, Some(&late), UNDELIVERABLE, now()))?;
    let message = bench.tenant.wait_status(&late, &["FAILED"])?;
    assert_eq!(message["reason"]["channelCode"], "131026", "{message}");

    let (read, provider_id) = bench.send(&json!({"to": who, "text": "já foi lida"}))?;
    post(status(&provider_id, "read", &who, Some(&read), now()))?;
    bench.message_when(&read, "read", |message| message["receipts"]["readAt"].is_string())?;
    post(failed(&provider_id, &who, Some(&read), UNDELIVERABLE, now()))?;
    // What comes after it has been taken, so the one before it was, too.
    let (after, provider_id) = bench.send(&json!({"to": who, "text": "a seguinte"}))?;
    post(status(&provider_id, "delivered", &who, Some(&after), now()))?;
    bench.message_when(&after, "delivered", |message| message["receipts"]["deliveredAt"].is_string())?;
    assert_eq!(bench.tenant.message(&read)?["status"], "SENT");
    Ok(())
}

/// Row 11: a duplicate webhook became a duplicate message.
#[test]
fn the_same_post_three_times_and_at_once_is_one_message() -> Result<()> {
    let bench = Bench::silent()?;
    let (line, who) = (bench.graph.line(), person());
    let (one, two) = (wamid(), wamid());
    let body = line.text(&who, &one, "uma vez", now());
    for _ in 0..3 {
        bench.hook.post(&body)?;
    }
    let body = line.text(&who, &two, "ao mesmo tempo", now());
    std::thread::scope(|scope| -> Result<()> {
        let posts: Vec<_> = (0..8).map(|_| scope.spawn(|| bench.hook.post(&body))).collect();
        posts.into_iter().try_for_each(|post| post.join().map_err(|_| anyhow!("a post panicked"))?)
    })?;
    let mut events = Events::all(&bench.tenant);
    events.message(&one)?;
    events.message(&two)?;
    let all = events.drain()?;
    assert_eq!((received(all, &one), received(all, &two)), (1, 1));
    assert_eq!(bench.said(&who)?.len(), 2);
    Ok(())
}

/// Row 14: the signature was checked over a body that had been parsed and written again.
#[test]
fn signatures_are_checked_over_the_bytes_as_they_came() -> Result<()> {
    let bench = Bench::silent()?;
    let (line, who) = (bench.graph.line(), person());
    let odd = "ação 😀 contato@exemplo.com https://a.b/c?d=<1>&e=100%";
    // As Meta writes it, with odd spaces, and as nobody does.
    let first = wamid();
    bench.hook.post(&line.text(&who, &first, odd, now()))?;
    let second = wamid();
    let spaced = escaped(&line.text(&who, &second, odd, now())).replace(":{", " :\n\t {").replace(",\"", " , \"");
    bench.hook.post_bytes(spaced.into_bytes())?.expect(200)?;
    let third = wamid();
    bench.hook.post_bytes(line.text(&who, &third, odd, now()).to_string().into_bytes())?.expect(200)?;
    let mut events = Events::all(&bench.tenant);
    for id in [&first, &second, &third] {
        assert_eq!(events.message(id)?["text"], odd);
    }

    let body = escaped(&line.text(&who, &wamid(), "não é da Meta", now())).into_bytes();
    let right = pombo_tests::files::hmac_sha256(bench.graph.app_secret().as_bytes(), &body)?;
    let wrong = pombo_tests::files::hmac_sha256(b"another secret", &body)?;
    let mut other = body.clone();
    other.push(b' ');
    for (body, signature) in [
        (&body, None),
        (&body, Some(format!("sha256={wrong}"))),
        (&body, Some(format!("sha1={right}"))),
        (&body, Some("sha256=".to_owned())),
        (&other, Some(format!("sha256={right}"))),
    ] {
        let reply = bench.hook.post_with(body.clone(), signature.as_deref())?;
        ensure!(reply.status == 401 || reply.status == 403, "{SIGNATURE}: {signature:?}: {reply:?}");
    }
    assert_eq!(bench.said(&who)?.len(), 3);
    Ok(())
}

#[test]
fn the_address_is_verified_with_the_token_alone() -> Result<()> {
    let bench = Bench::silent()?;
    let reply = bench.hook.verify(bench.graph.verify_token(), "1158201444")?.expect(200)?;
    assert_eq!(reply.text(), "1158201444");
    ensure!(reply.header("content-type").is_some_and(|kind| kind.starts_with("text/plain")), "{:?}", reply.headers);
    let reply = bench.hook.verify("another token", "1158201444")?;
    ensure!(reply.status == 403 && !reply.text().contains("1158201444"), "{reply:?}");
    Ok(())
}

/// Row 16: a status that came before the message's id was stored was dropped.
#[test]
fn a_status_before_the_answer_is_kept() -> Result<()> {
    let bench = Bench::new()?;
    bench.graph.knobs(&json!({"status_before_answer": true, "receipts": "sent+delivered+read"}))?;
    let who = person();
    bench.opened(&who)?;
    let (id, _) = bench.send(&json!({"to": who, "text": "o recibo chega antes"}))?;
    bench.message_when(&id, "read", |message| message["receipts"]["readAt"].is_string())?;
    Ok(())
}

/// Row 18: a bad status made the whole payload fail.
#[test]
fn a_broken_update_does_not_take_the_others_with_it() -> Result<()> {
    let bench = Bench::silent()?;
    let (line, who, id) = (bench.graph.line(), person(), wamid());
    let broken = [
        json!({"id": 5, "status": {"a": 1}}),
        json!("not a status"),
        json!({"status": "failed", "errors": "none"}),
        status(&wamid(), "something-new", &who, None, now()),
    ];
    let messages = [json!({"type": "text"}), json!(null), said(&who, &id, "a boa", now())];
    let changes = [
        line.statuses(&broken),
        json!({"field": "messages"}),
        json!({"field": "brand_new_field", "value": {"x": [1, {"y": null}]}}),
        line.messages(&[contact(&who, "Ana"), json!(7)], &messages),
    ];
    bench.hook.post(&line.body(&changes))?;
    assert_eq!(Events::all(&bench.tenant).message(&id)?["text"], "a boa");
    Ok(())
}

/// Row 19: the type of a timestamp, and unknown fields, were fatal.
#[test]
fn unknown_fields_and_both_types_of_timestamps_are_read() -> Result<()> {
    let bench = Bench::silent()?;
    let (line, who) = (bench.graph.line(), person());
    let at = now() - 60;
    let (first, second) = (wamid(), wamid());
    let mut as_text = said(&who, &first, "como texto", at);
    let mut as_number = said(&who, &second, "como número", at);
    as_number["timestamp"] = json!(at);
    for message in [&mut as_text, &mut as_number] {
        message["brand_new"] = json!({"deep": [{"er": true}]});
        message["text"]["preview"] = json!(false);
        message["context"] = json!({"forwarded": true, "more": 1});
    }
    let mut who_writes = contact(&who, "Ana");
    who_writes["profile"]["new"] = json!("x");
    let mut change = line.messages(&[who_writes], &[as_text, as_number]);
    change["value"]["something"] = json!([1, 2]);
    let mut body = line.body(&[change]);
    body["entry"][0]["time"] = json!(at);
    body["more"] = json!("x");
    bench.hook.post(&body)?;
    let mut events = Events::all(&bench.tenant);
    let (first, second) = (events.message(&first)?, events.message(&second)?);
    assert_eq!(first["sentAt"], second["sentAt"]);
    Ok(())
}

#[test]
fn statuses_of_what_another_system_sent_are_no_error() -> Result<()> {
    let bench = Bench::silent()?;
    let (line, who) = (bench.graph.line(), person());
    let foreign = [
        status(&wamid(), "delivered", &who, Some("theirs:42"), now()),
        failed(&wamid(), &who, None, UNDELIVERABLE, now()),
    ];
    bench.hook.post(&line.body(&[line.statuses(&foreign)]))?;
    let list = bench.tenant.client.get("/v1/messages?limit=10")?.expect_json(200)?;
    assert_eq!(list["data"].as_array().context("no data")?.len(), 0, "{list}");
    Ok(())
}

/// Meta repeats what was not answered with 200 for up to seven days: here two posts are dropped on the way, and come late.
#[test]
fn posts_that_meta_had_to_repeat_arrive_once() -> Result<()> {
    let bench = Bench::new()?;
    bench.graph.knobs(&json!({"drop_first": 2, "duplicates": 2, "shuffle": true, "batch": 1000,
        "retry_gaps_seconds": [3600, 1]}))?;
    let people: Vec<String> = (0..5).map(|_| person()).collect();
    for who in &people {
        bench.graph.says(who, &json!({"type": "text", "text": {"body": format!("oi de {who}")}}))?;
    }
    // Dropped first: what is dropped later comes an hour later.
    bench.graph.settle()?;
    bench.graph.advance(2 * 3600)?;
    for who in &people {
        assert_eq!(bench.said(who)?.len(), 1, "{who}");
    }
    Ok(())
}
