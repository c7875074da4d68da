//! `Idempotency-Key`: the same request again gets the first result; a different request is refused.

use anyhow::Result;
use pombo_tests::http::{Form, Reply};
use pombo_tests::server::{Options, Server};
use pombo_tests::tenant::{SENDSYNC, Tenant};
use serde_json::{Value, json};

use crate::shared::{queueing_tenant, smtp};

fn keyed(tenant: &Tenant, operation: &str, key: &str, body: &Value) -> Result<Reply> {
    tenant
        .client
        .request("POST", &format!("{SENDSYNC}/queue/{operation}"))
        .header("Idempotency-Key", key)
        .json(body)
        .send()
}

#[test]
fn the_same_key_gives_the_first_result() -> Result<()> {
    let (tenant, connector) = queueing_tenant()?;
    let body = json!({"connectorId": connector, "to": "a@customers.test", "message": "once"});
    let first = keyed(&tenant, "send", "order-1", &body)?.expect_json(201)?;
    let second = keyed(&tenant, "send", "order-1", &body)?.expect_json(201)?;
    assert_eq!(first["id"], second["id"]);
    assert_eq!(tenant.total(&[])?, 1);
    let mut other = body.clone();
    other["message"] = json!("something else");
    let reply = keyed(&tenant, "send", "order-1", &other)?;
    assert!(reply.status == 409 || reply.status == 422, "{reply:?}");
    keyed(&tenant, "send", "order-2", &body)?.expect(201)?;
    assert_eq!(tenant.total(&[])?, 2);
    for bad in ["x".repeat(300), " ".to_owned()] {
        let reply = keyed(&tenant, "send", &bad, &body)?;
        assert!(reply.status == 400 || bad.trim().is_empty() && reply.status == 201, "{reply:?}");
    }
    // Another tenant's key of the same name is another key.
    let (stranger, connector) = queueing_tenant()?;
    let body = json!({"connectorId": connector, "to": "a@customers.test", "message": "once"});
    let theirs = keyed(&stranger, "send", "order-1", &body)?.expect_json(201)?;
    assert_ne!(theirs["id"], first["id"]);
    Ok(())
}

#[test]
fn a_bulk_and_a_form_are_repeated_row_by_row_the_same() -> Result<()> {
    let (tenant, connector) = queueing_tenant()?;
    let row = |n: usize| {
        let to = if n == 3 { "bad".to_owned() } else { format!("p{n}@customers.test") };
        json!({"connectorId": connector, "to": to, "message": "bulk"})
    };
    let body = json!({"messages": (0..10).map(row).collect::<Vec<_>>()});
    let first = keyed(&tenant, "bulk", "campaign", &body)?.expect_json(201)?;
    let second = keyed(&tenant, "bulk", "campaign", &body)?.expect_json(201)?;
    assert_eq!(first["results"], second["results"]);
    assert_eq!(tenant.total(&[])?, 9);
    let form = || {
        Form::new()
            .field("connectorId", &connector)
            .field("to", "f@customers.test")
            .field("message", "form")
            .file("attachments", "a.txt", "text/plain", b"content")
            .into_request(
                tenant.client.request("POST", &format!("{SENDSYNC}/queue/send")).header("Idempotency-Key", "form-1"),
            )
            .send()
    };
    let (first, second) = (form()?.expect_json(201)?, form()?.expect_json(201)?);
    assert_eq!(first["id"], second["id"]);
    assert_eq!(tenant.total(&[])?, 10);
    Ok(())
}

#[test]
fn at_the_same_moment_too_there_is_one_message() -> Result<()> {
    let (tenant, connector) = queueing_tenant()?;
    let body = json!({"connectorId": connector, "to": "a@customers.test", "message": "race"});
    let replies: Vec<Result<Reply>> = std::thread::scope(|scope| {
        let running: Vec<_> = (0..16).map(|_| scope.spawn(|| keyed(&tenant, "send", "race", &body))).collect();
        running.into_iter().map(|t| t.join().unwrap_or_else(|_| anyhow::bail!("a thread panicked"))).collect()
    });
    let mut ids = Vec::new();
    for reply in replies {
        let reply = reply?;
        // While the first is still being stored, a 409 may ask to come again.
        if reply.status == 409 {
            continue;
        }
        ids.push(reply.expect_json(201)?["id"].clone());
    }
    assert!(!ids.is_empty());
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert_eq!(tenant.total(&[])?, 1);
    Ok(())
}

#[test]
fn a_key_is_remembered_across_kill_9() -> Result<()> {
    let mut server = Server::start(Options::default())?;
    let tenant = Tenant::create(&server)?;
    let connector = tenant.email(smtp()?, "plain", &json!({}))?;
    tenant.set_paused(&connector, true)?;
    let body = json!({"connectorId": connector, "to": "a@customers.test", "message": "once"});
    let first = keyed(&tenant, "send", "kept", &body)?.expect_json(201)?;
    server.kill()?;
    server.launch()?;
    let second = keyed(&tenant, "send", "kept", &body)?.expect_json(201)?;
    assert_eq!((first["id"].clone(), tenant.total(&[])?), (second["id"].clone(), 1));
    Ok(())
}
