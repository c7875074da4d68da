//! The queue: states, order, approval, schedule, pace, and what a person may decide.

use std::time::Duration;

use anyhow::{Context, Result};
use pombo_tests::tenant::{Tenant, text_of, unique};
use pombo_tests::wait::{PATIENCE, until};
use serde_json::{Value, json};

use crate::shared::{mailing_tenant, queueing_tenant, smtp};

fn step(tenant: &Tenant, id: &str, step: &str, body: &Value) -> Result<Value> {
    tenant.client.post(&format!("/v1/messages/{id}/{step}"), body)?.expect_json(200)
}

#[test]
fn the_answer_is_the_documented_object() -> Result<()> {
    let (tenant, connector) = queueing_tenant()?;
    let sent = tenant.send(&json!({
        "connectorId": connector, "to": "maria@customers.test", "message": "Olá! Seu pedido foi confirmado.",
        "messageType": "TRANSACTIONAL", "externalId": "REF-123",
    }))?;
    for (field, wanted) in [
        ("status", json!("PENDING")),
        ("to", json!("maria@customers.test")),
        ("message", json!("Olá! Seu pedido foi confirmado.")),
        ("priority", json!(5)),
        ("connectorId", json!(connector)),
        ("messageType", json!("TRANSACTIONAL")),
        ("externalId", json!("REF-123")),
    ] {
        assert_eq!(sent[field], wanted, "{sent}");
    }
    let created = text_of(&sent, "createdAt")?;
    assert!(created.len() == 24 && created.ends_with('Z') && created.contains('T'), "{created}");
    assert_eq!(text_of(&sent, "id")?.len(), 36);
    Ok(())
}

#[test]
fn a_person_approves_rejects_cancels_and_retries() -> Result<()> {
    let (tenant, connector) = mailing_tenant()?;
    let held = |n: &str| -> Result<(String, String)> {
        let to = format!("{n}{}@customers.test", unique());
        let body = json!({"connectorId": connector, "to": to, "message": "please", "requiresApproval": true});
        let sent = tenant.send(&body)?;
        assert_eq!(sent["status"], "PENDING_APPROVAL");
        Ok((text_of(&sent, "id")?, to))
    };
    let (approved, to) = held("yes")?;
    assert!(smtp()?.attempts(&to)?.is_empty());
    let why = || tenant.client.get(&format!("/v1/messages/{approved}/why"))?.expect_json(200);
    assert_eq!(why()?["code"], "approval");
    step(&tenant, &approved, "approve", &json!({}))?;
    tenant.wait_status(&approved, &["SENT"])?;
    let why = why()?;
    assert_eq!(why["code"], "accepted", "{why}");
    assert!(why["sentence"].as_str().is_some_and(|said| said.ends_with("it does not report deliveries.")), "{why}");
    let again = tenant.client.post(&format!("/v1/messages/{approved}/approve"), &json!({}))?;
    assert_eq!(again.status, 409, "{again:?}");

    let (rejected, to) = held("no")?;
    let message = step(&tenant, &rejected, "reject", &json!({"reason": "wrong campaign"}))?;
    assert_eq!(message["status"], "CANCELED");
    assert!(message["reason"].to_string().contains("wrong campaign"), "{message}");
    assert!(smtp()?.attempts(&to)?.is_empty());

    let later = json!({"connectorId": connector, "to": to, "message": "x", "scheduledAt": "2027-01-01T00:00:00Z"});
    let canceled = text_of(&tenant.send(&later)?, "id")?;
    assert_eq!(step(&tenant, &canceled, "cancel", &json!({}))?["status"], "CANCELED");
    // Retried, it is due at once: the schedule was the first attempt's.
    step(&tenant, &canceled, "retry", &json!({}))?;
    tenant.wait_status(&canceled, &["SENT"])?;

    let to = format!("fault.550.1.n{}@customers.test", unique());
    let failed = tenant.send_text(&connector, &to, "once more")?;
    tenant.wait_status(&failed, &["FAILED"])?;
    step(&tenant, &failed, "retry", &json!({}))?;
    tenant.wait_status(&failed, &["SENT"])?;
    let resolve = tenant.client.post(&format!("/v1/messages/{failed}/resolve"), &json!({"outcome": "failed"}))?;
    assert_eq!(resolve.status, 409, "only an UNKNOWN message can be resolved: {resolve:?}");
    Ok(())
}

#[test]
fn a_person_decides_what_became_of_a_message_in_doubt() -> Result<()> {
    let (tenant, _) = mailing_tenant()?;
    let mut in_doubt = Vec::new();
    for (outcome, status) in [("sent", "SENT"), ("failed", "FAILED")] {
        // The connection breaks whenever the mail has been given: nobody can know whether it was taken.
        let connector = tenant.email(smtp()?, "plain", &json!({}))?;
        let to = format!("fault.drop-after.0.n{}@customers.test", unique());
        in_doubt.push((tenant.send_text(&connector, &to, "did it arrive?")?, outcome, status));
    }
    for (id, outcome, status) in in_doubt {
        tenant.wait_status(&id, &["UNKNOWN"])?;
        assert_eq!(step(&tenant, &id, "resolve", &json!({"outcome": outcome}))?["status"], status);
        assert_eq!(tenant.message(&id)?["status"], status);
    }
    Ok(())
}

#[test]
fn a_scheduled_message_waits_for_its_time() -> Result<()> {
    let (tenant, connector) = mailing_tenant()?;
    let to = format!("later{}@customers.test", unique());
    // The clock is the server's: its own answer tells what it is.
    let now = tenant.client.get("/health")?;
    let date = now.header("date").map(str::to_owned);
    let base = tenant.send(&json!({"connectorId": connector, "to": to, "message": "now"}))?;
    let created = text_of(&base, "createdAt")?;
    let at = plus_seconds(&created, 4).with_context(|| format!("{created} {date:?}"))?;
    let body = json!({"connectorId": connector, "to": to, "message": "later", "scheduledAt": at});
    let sent = tenant.send(&body)?;
    assert_eq!(sent["status"], "WAITING", "{sent}");
    let message = tenant.wait_status(&text_of(&sent, "id")?, &["SENT"])?;
    assert!(text_of(&message, "sentAt")? >= at, "sent before its time: {message}");
    let bygone = json!({"connectorId": connector, "to": to, "message": "past", "scheduledAt": "2020-01-01T00:00:00Z"});
    let reply = tenant.try_send(&bygone)?;
    assert!(reply.status == 201 || reply.status == 400, "{reply:?}");
    Ok(())
}

/// Adds seconds to an ISO instant within its hour; `None` past the end of the hour's last minute is avoided by carrying.
fn plus_seconds(at: &str, seconds: u32) -> Option<String> {
    let (date, time) = at.split_once('T')?;
    let mut parts = time.trim_end_matches('Z').split([':', '.']).map(|p| p.parse::<u32>().ok());
    let (h, m, s, ms) = (parts.next()??, parts.next()??, parts.next()??, parts.next().flatten().unwrap_or(0));
    let total = h * 3600 + m * 60 + s + seconds;
    if total >= 86_400 {
        // Past midnight the day would change too: a later instant of the same day is not there, so use its end.
        return Some(format!("{date}T23:59:59.999Z"));
    }
    Some(format!("{date}T{:02}:{:02}:{:02}.{ms:03}Z", total / 3600, total / 60 % 60, total % 60))
}

#[test]
fn priority_goes_first_then_arrival_and_direct_before_all() -> Result<()> {
    let (tenant, connector) = queueing_tenant()?;
    tenant.pace(&connector, &json!({"maxInFlight": 1}))?;
    let mark = unique();
    let mut wanted: Vec<(u64, usize)> = Vec::new();
    for n in 0..30 {
        let priority = [5, 1, 10][n % 3];
        let body = json!({
            "connectorId": connector, "to": format!("o{mark}-{n}@customers.test"), "message": "order", "priority": priority,
        });
        tenant.send(&body)?;
        wanted.push((10 - priority, n));
    }
    let direct = json!({"connectorId": connector, "to": format!("o{mark}-99@customers.test"), "message": "direct", "forceDirect": true, "priority": 1});
    let direct = text_of(&tenant.send(&direct)?, "id")?;
    wanted.sort();
    tenant.set_paused(&connector, false)?;
    tenant.wait_total(&[("status", "SENT")], 31, PATIENCE)?;
    let order: Vec<String> = smtp()?
        .mails()?
        .iter()
        .map(|m| m.recipient().to_owned())
        .filter(|to| to.starts_with(&format!("o{mark}-")))
        .collect();
    let expected: Vec<String> = std::iter::once(99)
        .chain(wanted.iter().map(|(_, n)| *n))
        .map(|n| format!("o{mark}-{n}@customers.test"))
        .collect();
    assert_eq!(order, expected);
    tenant.wait_status(&direct, &["SENT"])?;
    Ok(())
}

#[test]
fn the_pace_holds_messages_back_and_says_so() -> Result<()> {
    let (tenant, connector) = mailing_tenant()?;
    tenant.pace(&connector, &json!({"dailyCap": 3}))?;
    let mark = unique();
    for n in 0..6 {
        tenant.send_text(&connector, &format!("cap{mark}-{n}@customers.test"), "capped")?;
    }
    tenant.wait_total(&[("status", "SENT")], 3, PATIENCE)?;
    tenant.wait_total(&[("status", "WAITING")], 1, PATIENCE)?;
    let report = tenant.client.get(&format!("/v1/connectors/{connector}/pace"))?.expect_json(200)?;
    assert_eq!((&report["now"]["sentToday"], &report["now"]["capToday"]), (&json!(3), &json!(3)), "{report}");
    assert!(report["now"]["waitingReason"].is_string(), "{report}");
    // Direct messages do not wait for it.
    let body = json!({"connectorId": connector, "to": format!("cap{mark}-d@customers.test"), "message": "urgent", "forceDirect": true});
    tenant.wait_status(&text_of(&tenant.send(&body)?, "id")?, &["SENT"])?;
    tenant.pace(&connector, &json!({}))?;
    tenant.wait_total(&[("status", "SENT")], 7, PATIENCE)?;

    let slow = tenant.email(smtp()?, "plain", &json!({}))?;
    tenant.pace(&slow, &json!({"delayMinMs": 400, "delayMaxMs": 600}))?;
    for n in 0..5 {
        tenant.send_text(&slow, &format!("slow{mark}-{n}@customers.test"), "slowly")?;
    }
    tenant.wait_total(&[("status", "SENT"), ("connectorId", &slow)], 5, PATIENCE)?;
    let mut times = Vec::new();
    for n in 0..5 {
        let mail = smtp()?.wait_for(&format!("slow{mark}-{n}@customers.test"))?;
        times.push(mail.0["time"].as_f64().context("no time")?);
    }
    let gaps: Vec<f64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(gaps.iter().all(|gap| *gap > 0.35), "{gaps:?}");
    for bad in [
        json!({"delayMinMs": 5, "delayMaxMs": 1}),
        json!({"timeZone": "Mars/Olympus"}),
        json!({"quietHours": {"from": "25:00", "to": "07:00"}}),
    ] {
        let reply = tenant.client.put(&format!("/v1/connectors/{slow}/pace"), &bad)?;
        assert_eq!(reply.status, 400, "{bad}: {reply:?}");
    }
    Ok(())
}

#[test]
fn a_paused_connector_keeps_its_messages() -> Result<()> {
    let (tenant, connector) = queueing_tenant()?;
    let to = format!("paused{}@customers.test", unique());
    let id = tenant.send_text(&connector, &to, "not now")?;
    let other = tenant.email(smtp()?, "plain", &json!({}))?;
    let proof = tenant.send_text(&other, &format!("proof{}@customers.test", unique()), "now")?;
    tenant.wait_status(&proof, &["SENT"])?;
    assert!(["PENDING", "WAITING"].contains(&text_of(&tenant.message(&id)?, "status")?.as_str()));
    let list = tenant.client.get("/sendsync/api/connectors")?.expect_json(200)?;
    let shown =
        list.as_array().and_then(|all| all.iter().find(|c| c["id"] == json!(connector))).context("not listed")?.clone();
    assert_eq!((&shown["status"], &shown["type"]), (&json!("PAUSED"), &json!("EMAIL")));
    assert!(shown["companyId"].is_string() && shown["name"].is_string());
    tenant.set_paused(&connector, false)?;
    tenant.wait_status(&id, &["SENT"])?;
    // Deleted, it takes nothing more and its messages are still there.
    tenant.client.delete(&format!("/v1/connectors/{connector}"))?.expect(204)?;
    tenant.try_send(&json!({"connectorId": connector, "to": to, "message": "x"}))?.expect(404)?;
    assert_eq!(tenant.message(&id)?["status"], "SENT");
    Ok(())
}

#[test]
fn one_connectors_flood_does_not_hold_up_another_tenant() -> Result<()> {
    let (noisy, flood) = queueing_tenant()?;
    for _ in 0..5 {
        let rows: Vec<Value> = (0..1000)
            .map(|_| json!({"connectorId": flood, "to": format!("flood{}@customers.test", unique()), "message": "flood"}))
            .collect();
        noisy.try_bulk(&rows)?.expect(201)?;
    }
    noisy.set_paused(&flood, false)?;
    let (quiet, connector) = mailing_tenant()?;
    let id = quiet.send_text(&connector, &format!("quiet{}@customers.test", unique()), "me too")?;
    quiet.wait_status_for(&id, &["SENT"], Duration::from_secs(10))?;
    noisy.set_paused(&flood, true)?;
    let left = noisy.total(&[("status", "PENDING")])?;
    assert!(left > 0, "the flood was over before: the test shows nothing");
    until(
        "what was in flight to end",
        PATIENCE,
        || Ok((noisy.total(&[("status", "PROCESSING")])? == 0).then_some(())),
    )?;
    Ok(())
}
