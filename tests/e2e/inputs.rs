//! Bad input: the answer is a clear 4xx that names what to change, and nothing is stored.

use anyhow::Result;
use pombo_tests::http::Form;
use pombo_tests::tenant::{SENDSYNC, text_of};
use serde_json::{Value, json};

use crate::shared::{queueing_tenant, server};

#[test]
fn a_bad_message_is_refused_by_the_field_that_is_wrong() -> Result<()> {
    let (tenant, connector) = queueing_tenant()?;
    let good = json!({"connectorId": connector, "to": "a@customers.test", "message": "hello"});
    let cases: Vec<(&str, Value)> = vec![
        ("connectorId", Value::Null),
        ("connectorId", json!(7)),
        ("to", Value::Null),
        ("to", json!("")),
        ("to", json!("5511999998888")),
        ("to", json!("1".repeat(200))),
        ("to", json!("a@b@c.test")),
        ("to", json!("a\r\nBcc: x@y.test@customers.test")),
        ("to", json!(["a@customers.test"])),
        ("message", Value::Null),
        ("message", json!("")),
        ("message", json!(42)),
        ("message", json!({"text": "x"})),
        ("message", json!("a NUL \u{0} inside")),
        ("message", json!("x".repeat(70_000))),
        ("message", json!("{{ nobody_knows }}")),
        ("message", json!("{% if %}")),
        ("priority", json!("high")),
        ("priority", json!(0)),
        ("priority", json!(11)),
        ("priority", json!(5.5)),
        ("priority", json!(1e308)),
        ("priority", json!(-1)),
        ("messageType", json!("SPAM")),
        ("messageType", json!(1)),
        ("scheduledAt", json!("tomorrow")),
        ("scheduledAt", json!("2024-02-30T00:00:00Z")),
        ("scheduledAt", json!(1_700_000_000)),
        ("requiresApproval", json!("yes")),
        ("forceDirect", json!(1)),
        ("contactName", json!("x".repeat(10_000))),
        ("externalId", json!("x".repeat(10_000))),
        ("notes", json!({"a": 1})),
        ("webhookUrl", json!("not a url")),
        ("webhookUrl", json!("ftp://127.0.0.1/x")),
        ("attachmentUrl", json!("file:///etc/passwd")),
        ("variables", json!("x")),
        ("variables", json!([1])),
    ];
    for (field, value) in cases {
        let mut body = good.clone();
        body[field] = value.clone();
        if value.is_null() {
            body.as_object_mut().map(|o| o.remove(field));
        }
        let shown: String = value.to_string().chars().take(60).collect();
        let reply = tenant.try_send(&body)?;
        assert_eq!(reply.status, 400, "{field} = {shown}: {reply:?}");
        let error = reply.json()?;
        assert_eq!((&error["statusCode"], &error["error"]), (&json!(400), &json!("Bad Request")), "{error}");
        assert!(text_of(&error, "message")?.contains(field), "{field} = {shown}: it is not named in {error}");
    }
    let mut foreign = good.clone();
    foreign["connectorId"] = json!("3f0c1c1e-0000-4000-8000-000000000000");
    tenant.try_send(&foreign)?.expect(404)?;
    assert_eq!(tenant.total(&[])?, 0, "something was stored");
    tenant.try_send(&good)?.expect(201)?;
    assert_eq!(tenant.total(&[])?, 1);
    Ok(())
}

#[test]
fn a_bad_body_is_refused_whatever_it_is() -> Result<()> {
    let (tenant, connector) = queueing_tenant()?;
    let path = format!("{SENDSYNC}/queue/send");
    let good = json!({"connectorId": connector, "to": "a@customers.test", "message": "hello"}).to_string();
    let post =
        |content_type: &str, body: &[u8]| tenant.client.request("POST", &path).body(content_type, body.to_vec()).send();
    for (what, content_type, body, statuses) in [
        ("broken JSON", "application/json", &b"{\"connectorId\": "[..], &[400][..]),
        ("two values", "application/json", b"{} {}", &[400]),
        ("an array", "application/json", b"[]", &[400]),
        ("a number", "application/json", b"1", &[400]),
        ("null", "application/json", b"null", &[400]),
        ("nothing", "application/json", b"", &[400]),
        ("not UTF-8", "application/json", b"{\"message\": \"\xff\xfe\"}", &[400]),
        ("deep nesting", "application/json", &[b'['; 20_000], &[400]),
        ("text", "text/plain", good.as_bytes(), &[415, 400]),
        ("a form", "application/x-www-form-urlencoded", b"to=a", &[415, 400]),
        ("no type", "", good.as_bytes(), &[415, 400]),
        ("multipart without a boundary", "multipart/form-data", good.as_bytes(), &[400, 415]),
        (
            "multipart that ends early",
            "multipart/form-data; boundary=x",
            b"--x\r\nContent-Disposition: form-data; name=\"to\"\r\n\r\na",
            &[400],
        ),
    ] {
        let reply = post(content_type, body)?;
        assert!(statuses.contains(&reply.status), "{what}: {reply:?}");
        let error = reply.json()?;
        assert_eq!(error["statusCode"], reply.status, "{what}: {error}");
        assert!(!text_of(&error, "message")?.is_empty(), "{what}: {error}");
    }
    assert_eq!(tenant.total(&[])?, 0, "something was stored");
    Ok(())
}

#[test]
fn a_huge_body_is_refused_without_being_kept() -> Result<()> {
    let (tenant, connector) = queueing_tenant()?;
    let before = server()?.memory("VmRSS")?;
    let huge = json!({"connectorId": connector, "to": "a@customers.test", "message": "x".repeat(60 << 20)});
    let reply = tenant.try_send(&huge)?;
    assert!(reply.status == 413 || reply.status == 400, "{reply:?}");
    assert_eq!(reply.json()?["statusCode"], reply.status);
    let rows: Vec<Value> =
        (0..1001).map(|_| json!({"connectorId": connector, "to": "a@customers.test", "message": "x"})).collect();
    let reply = tenant.try_bulk(&rows)?.expect(400)?;
    assert!(reply.text().contains("1000"), "{reply:?}");
    tenant.try_bulk(&[])?.expect(400)?;
    assert_eq!(tenant.total(&[])?, 0, "something was stored");
    let after = server()?.memory("VmRSS")?;
    assert!(after < before + (100 << 20), "its memory went from {before} to {after}");
    Ok(())
}

#[test]
fn the_good_rows_of_a_bulk_go_in_and_the_bad_ones_are_told() -> Result<()> {
    let (tenant, connector) = queueing_tenant()?;
    let row = |n: usize| match n {
        3 => json!({"connectorId": connector, "to": "nobody", "message": "x"}),
        10 => json!({"connectorId": connector, "to": "a@customers.test"}),
        500 => json!({"connectorId": "unknown", "to": "a@customers.test", "message": "x"}),
        700 => json!("not an object"),
        999 => json!({"connectorId": connector, "to": "a@customers.test", "message": "x", "priority": 99}),
        n => {
            json!({"connectorId": connector, "to": format!("p{n}@customers.test"), "message": format!("row {n}"), "externalId": format!("R{n}")})
        }
    };
    let rows: Vec<Value> = (0..1000).map(row).collect();
    let answer = tenant.try_bulk(&rows)?.expect_json(201)?;
    let text = answer.to_string();
    assert_eq!(tenant.total(&[])?, 995, "{}", text.chars().take(500).collect::<String>());
    let results = answer.as_object().into_iter().flatten().filter_map(|(_, v)| v.as_array()).max_by_key(|v| v.len());
    let results = results.map_or(&[][..], Vec::as_slice);
    let refused: Vec<&Value> = results.iter().filter(|r| r.get("id").is_none_or(Value::is_null)).collect();
    assert_eq!(results.len(), 1000, "not every row is answered: {}", text.chars().take(500).collect::<String>());
    assert_eq!(refused.len(), 5, "{refused:?}");
    for (n, field) in [(3, "to"), (10, "message"), (500, "connector"), (999, "priority")] {
        let row = results[n].to_string();
        assert!(results[n].get("id").is_none_or(Value::is_null) && row.contains(field), "row {n}: {row}");
    }
    assert_eq!(tenant.total(&[("externalId", "R998")])?, 1);
    let none = tenant.try_bulk(&[json!({"connectorId": connector, "to": "nobody", "message": "x"})])?;
    assert!(none.status == 400 || none.status == 201, "{none:?}");
    assert_eq!(tenant.total(&[])?, 995);
    Ok(())
}

#[test]
fn multipart_fields_arrive_as_text_and_are_checked_the_same() -> Result<()> {
    let (tenant, connector) = queueing_tenant()?;
    let path = format!("{SENDSYNC}/queue/send");
    let form = |priority: &str, approval: &str| {
        Form::new()
            .field("connectorId", &connector)
            .field("to", "a@customers.test")
            .field("message", "Olá {{ pedido }}")
            .field("priority", priority)
            .field("requiresApproval", approval)
            .field("variables", r#"{"pedido": 7}"#)
    };
    let sent = form("9", "true").into_request(tenant.client.request("POST", &path)).send()?.expect_json(201)?;
    assert_eq!((&sent["priority"], &sent["status"]), (&json!(9), &json!("PENDING_APPROVAL")), "{sent}");
    for (priority, approval, field) in
        [("nine", "true", "priority"), ("11", "true", "priority"), ("9", "maybe", "requiresApproval")]
    {
        let reply = form(priority, approval).into_request(tenant.client.request("POST", &path)).send()?.expect(400)?;
        assert!(reply.text().contains(field), "{reply:?}");
    }
    assert_eq!(tenant.total(&[])?, 1);
    Ok(())
}

#[test]
fn the_frameworks_own_errors_are_json_too() -> Result<()> {
    let (tenant, _) = queueing_tenant()?;
    for (method, path, status) in [
        ("GET", "/sendsync/api/nowhere", 404),
        ("DELETE", "/sendsync/api/queue/send", 405),
        ("GET", "/sendsync/api/queue/send", 405),
        ("GET", "/v1/nowhere", 404),
        ("DELETE", "/v1/plugins", 405),
        ("GET", "/v1/messages/not-a-uuid", 404),
        ("PATCH", "/sendsync/api/contacts/not-a-uuid/status", 404),
    ] {
        let reply = tenant.client.request(method, path).json(&json!({"active": true})).send()?;
        assert_eq!(reply.status, status, "{reply:?}");
        assert!(reply.header("content-type").unwrap_or_default().starts_with("application/json"), "{reply:?}");
        let body = reply.json()?;
        if path.starts_with("/sendsync") {
            assert_eq!(body["statusCode"], status, "{reply:?}");
        } else {
            assert!(body["error"]["code"].is_string() && body["error"]["message"].is_string(), "{reply:?}");
        }
    }
    Ok(())
}
