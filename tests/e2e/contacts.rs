//! Contacts and tags, and the WhatsApp operations, which are for the next channel.

use anyhow::{Context, Result};
use pombo_tests::http::{Form, query};
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
fn contacts_are_imported_searched_exported_and_an_opt_out_stays() -> Result<()> {
    let (tenant, connector) = mailing_tenant()?;
    let v1 = &tenant.client;
    let to = format!("gone{}@customers.test", unique());
    let save = || v1.post("/v1/contacts", &json!({"type": "EMAIL", "identifier": to, "connectorIds": [connector]}));
    let made = save()?.expect_json(201)?;
    assert_eq!((&made["number"], &made["connectorIds"]), (&json!(1), &json!([connector])));
    assert_eq!(v1.get("/v1/contacts/1")?.expect_json(200)?, made);
    let rows = json!({"contacts": [
        {"type": "EMAIL", "identifier": "nova@customers.test", "name": "=1+1", "company": "Ação"},
        {"type": "EMAIL", "identifier": "nobody"}
    ]});
    let done = v1.post("/v1/contacts/import", &rows)?.expect_json(200)?;
    assert_eq!((&done["created"], &done["refused"][0]["row"]), (&json!(1), &json!(1)), "{done}");
    let found = v1.get("/v1/contacts?search=acao")?.expect_json(200)?;
    assert_eq!((&found["total"], &found["data"][0]["identifier"]), (&json!(1), &json!("nova@customers.test")));
    let csv = v1.get("/v1/contacts/export?format=csv")?.expect(200)?.text();
    assert!(csv.contains("nova@customers.test,\"'=1+1\""), "{csv}");
    assert_eq!(v1.get("/v1/contacts/export")?.expect_json(200)?.as_array().map(Vec::len), Some(2));

    let list = "email;name;company\r\nfile@customers.test;Ana;Loja\r\nnobody@;Bia;\r\n";
    let done = Form::new()
        .file("file", "contacts.csv", "text/csv", list.as_bytes())
        .into_request(v1.request("POST", &query("/v1/contacts/import-file", &[("connectorId", &connector)])))
        .send()?
        .expect_json(200)?;
    assert_eq!((&done["created"], &done["refused"][0]["line"]), (&json!(1), &json!(3)), "{done}");

    let path = format!("/v1/contacts/{}", text_of(&made, "id")?);
    assert_eq!(v1.get(&format!("{path}/conversations"))?.expect_json(200)?, json!({"data": []}));
    let off = json!({"active": false, "reason": "asked to"});
    let off = v1.request("PUT", &format!("{path}/active")).json(&off).send()?.expect_json(200)?;
    assert_eq!((&off["active"], &off["reason"]), (&json!(false), &json!("asked to")));
    v1.delete(&path)?.expect(204)?;
    v1.get(&path)?.expect(404)?;
    tenant.try_send(&json!({"connectorId": connector, "to": to, "message": "x"}))?.expect(400)?;
    let again = save()?.expect_json(201)?;
    assert_eq!((&again["active"], &again["reason"], &again["number"]), (&json!(false), &json!("asked to"), &json!(4)));
    Ok(())
}

#[test]
fn tags_are_made_changed_and_deleted() -> Result<()> {
    let (tenant, _) = queueing_tenant()?;
    let v1 = &tenant.client;
    let made = v1.post("/v1/tags", &json!({"name": "VIP", "color": "#FF0000"}))?.expect_json(201)?;
    v1.post("/v1/tags", &json!({"name": "vip"}))?.expect(409)?;
    let path = format!("/v1/tags/{}", text_of(&made, "id")?);
    let changed = v1.patch(&path, &json!({"name": "Ouro"}))?.expect_json(200)?;
    assert_eq!((&changed["name"], &changed["color"]), (&json!("Ouro"), &json!("#ff0000")));
    assert_eq!(v1.get(&path)?.expect_json(200)?, changed);
    assert_eq!(v1.get("/v1/tags")?.expect_json(200)?, json!({"data": [changed]}));
    v1.delete(&path)?.expect(204)?;
    assert_eq!(v1.get("/v1/tags")?.expect_json(200)?, json!({"data": []}));
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
