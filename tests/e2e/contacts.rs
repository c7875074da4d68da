//! Contacts, and the WhatsApp operations, which are for the next channel.

use anyhow::{Context, Result};
use pombo_tests::tenant::{SENDSYNC, text_of, unique};
use serde_json::json;

use crate::shared::{mailing_tenant, queueing_tenant, smtp};

#[test]
fn a_contact_is_made_renamed_switched_off_and_removed() -> Result<()> {
    let (tenant, _) = queueing_tenant()?;
    let path = format!("{SENDSYNC}/contacts");
    let save = |body| tenant.client.post(&path, &body);
    let made =
        save(json!({"identifier": "Maria@CUSTOMERS.test", "type": "EMAIL", "name": "Maria"}))?.expect_json(201)?;
    let again = save(json!({"identifier": "maria@customers.test", "type": "EMAIL", "name": "Maria Oliveira"}))?
        .expect_json(200)?;
    assert_eq!((&made["id"], &again["name"]), (&again["id"], &json!("Maria Oliveira")));
    save(json!({"identifier": "5511999998888", "type": "WHATSAPP"}))?.expect(201)?;
    let all = tenant.client.get(&path)?.expect_json(200)?;
    assert_eq!(all.as_array().map(Vec::len), Some(2), "{all}");
    for bad in [
        json!({"identifier": "nobody", "type": "EMAIL"}),
        json!({"identifier": "abc", "type": "WHATSAPP"}),
        json!({"identifier": "a@customers.test", "type": "FAX"}),
        json!({"type": "EMAIL"}),
        json!({"identifier": "a@customers.test"}),
        json!({"identifier": 7, "type": "EMAIL"}),
    ] {
        let reply = save(bad.clone())?;
        assert_eq!(reply.status, 400, "{bad}: {reply:?}");
    }
    let id = text_of(&made, "id")?;
    let off = tenant
        .client
        .patch(&format!("{path}/{id}/status"), &json!({"active": false, "reason": "asked to"}))?
        .expect_json(200)?;
    assert_eq!((&off["active"], &off["reason"]), (&json!(false), &json!("asked to")));
    tenant.client.patch(&format!("{path}/{id}/status"), &json!({}))?.expect(400)?;
    let reply = tenant.client.delete(&format!("{path}/{id}"))?;
    assert!(reply.status == 200 || reply.status == 204, "{reply:?}");
    tenant.client.delete(&format!("{path}/{id}"))?.expect(404)?;
    let left = tenant.client.get(&path)?.expect_json(200)?;
    assert_eq!(left.as_array().map(Vec::len), Some(1), "{left}");
    Ok(())
}

#[test]
fn nothing_is_sent_to_who_opted_out() -> Result<()> {
    let (tenant, connector) = mailing_tenant()?;
    let to = format!("out{}@customers.test", unique());
    let contact = tenant.client.post(&format!("{SENDSYNC}/contacts"), &json!({"identifier": to, "type": "EMAIL"}))?;
    let id = text_of(&contact.expect_json(201)?, "id")?;
    // In the queue before the opt-out: it is not sent either.
    tenant.set_paused(&connector, true)?;
    let queued = tenant.send_text(&connector, &to, "queued before")?;
    tenant.client.patch(&format!("{SENDSYNC}/contacts/{id}/status"), &json!({"active": false}))?.expect(200)?;
    tenant.set_paused(&connector, false)?;
    let message = tenant.wait_status(&queued, &["FAILED", "CANCELED"])?;
    assert_eq!(message["reason"]["code"], "inactive_contact", "{message}");
    for written in [to.clone(), to.replace("out", "OUT")] {
        let reply =
            tenant.try_send(&json!({"connectorId": connector, "to": written, "message": "after"}))?.expect(400)?;
        assert!(reply.text().contains("inactive"), "{reply:?}");
    }
    assert!(smtp()?.attempts(&to)?.is_empty());
    tenant.client.patch(&format!("{SENDSYNC}/contacts/{id}/status"), &json!({"active": true}))?.expect(200)?;
    let id = tenant.send_text(&connector, &to, "back again")?;
    tenant.wait_status(&id, &["SENT"])?;
    Ok(())
}

#[test]
fn a_name_given_with_a_message_is_kept_and_used_when_none_is() -> Result<()> {
    let (tenant, connector) = mailing_tenant()?;
    let to = format!("named{}@customers.test", unique());
    let body = json!({"connectorId": connector, "to": to, "contactName": "João Silva", "message": "Olá {{ nome }} / {{ primeiro_nome }}"});
    tenant.wait_status(&text_of(&tenant.send(&body)?, "id")?, &["SENT"])?;
    let all = tenant.client.get(&format!("{SENDSYNC}/contacts"))?.expect_json(200)?;
    let contact =
        all.as_array().and_then(|a| a.iter().find(|c| c["identifier"] == json!(to))).context("no contact was made")?;
    assert_eq!(contact["name"], "João Silva");
    let second = tenant.send_text(&connector, &to, "De novo, {{ nome }}")?;
    tenant.wait_status(&second, &["SENT"])?;
    let texts: Vec<String> = smtp()?.mails_to(&to)?.iter().map(|m| m.text("text/plain")).collect();
    assert_eq!(texts, ["Olá João Silva / João", "De novo, João Silva"]);
    Ok(())
}

#[test]
fn the_whatsapp_operations_say_that_an_email_connector_is_none() -> Result<()> {
    let (tenant, connector) = queueing_tenant()?;
    for (method, name) in [("POST", "connect"), ("GET", "status"), ("POST", "disconnect")] {
        let path = format!("{SENDSYNC}/whatsapp/{name}");
        let reply = tenant.client.request(method, &format!("{path}/{connector}")).send()?.expect(400)?;
        assert!(text_of(&reply.json()?, "message")?.to_lowercase().contains("whatsapp"), "{reply:?}");
        tenant.client.request(method, &format!("{path}/3f0c1c1e-0000-4000-8000-000000000000")).send()?.expect(404)?;
        tenant.client.request(method, &format!("{path}/con_123456")).send()?.expect(404)?;
    }
    Ok(())
}
