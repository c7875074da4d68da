//! E-mail: what a mail looks like, and every way in which a mail server can fail.

use anyhow::{Context, Result};
use pombo_tests::tenant::{Tenant, email_config, merge, text_of, unique};
use pombo_tests::wait::{PATIENCE, until};
use serde_json::{Value, json};

use crate::shared::{mailing_tenant, server, smtp};

#[test]
fn a_message_becomes_a_mail_with_text_and_html() -> Result<()> {
    let tenant = Tenant::create(server()?)?;
    let connector = tenant.email(
        smtp()?,
        "plain",
        &json!({
            "replyTo": "answers@sender.test",
            "listUnsubscribe": {"url": "https://sender.test/out?who={recipient}", "mailto": "out@sender.test"},
        }),
    )?;
    let to = format!("maria{}@customers.test", unique());
    let sent = tenant.send(&json!({
        "connectorId": connector, "to": to, "contactName": "Maria Oliveira", "subject": "Pedido de {{ nome }}",
        "message": "Olá *{{ nome }}*, veja _isto_, ~aquilo~ e ```x < y``` em https://exemplo.test/a?b=1&c=2",
    }))?;
    let id = text_of(&sent, "id")?;
    let message = tenant.wait_status(&id, &["SENT"])?;
    let mails = smtp()?.mails_to(&to)?;
    assert_eq!(mails.len(), 1);
    let mail = &mails[0];
    assert_eq!(mail.subject(), "Pedido de Maria Oliveira");
    assert_eq!(
        mail.text("text/plain"),
        "Olá *Maria Oliveira*, veja _isto_, ~aquilo~ e ```x < y``` em https://exemplo.test/a?b=1&c=2"
    );
    let html = mail.text("text/html");
    for wanted in
        ["<strong>Maria Oliveira</strong>", "<em>isto</em>", "x &lt; y", "href=\"https://exemplo.test/a?b=1&amp;c=2\""]
    {
        assert!(html.contains(wanted), "{wanted} is not in {html}");
    }
    assert!(mail.header("From").contains("pombo@sender.test"), "{mail:?}");
    assert!(mail.header("To").contains("Maria Oliveira") && mail.header("To").contains(&to), "{mail:?}");
    assert_eq!(mail.header("Reply-To"), "answers@sender.test");
    let unsubscribe = mail.header("List-Unsubscribe");
    assert!(unsubscribe.contains("https://sender.test/out?who=maria"), "{unsubscribe}");
    assert!(unsubscribe.contains("mailto:out@sender.test"), "{unsubscribe}");
    assert_eq!(mail.header("List-Unsubscribe-Post"), "List-Unsubscribe=One-Click");
    assert!(mail.message_id().contains(&id), "the Message-ID {} is not made of {id}", mail.message_id());
    let provider_id = text_of(&message, "providerId")?;
    assert_eq!(mail.message_id(), format!("<{provider_id}>"));
    assert!(message["sentAt"].is_string() && message["attempts"] == 1, "{message}");
    Ok(())
}

/// A fault, and what must come of it.
struct Case {
    fault: &'static str,
    status: &'static str,
    attempts: u64,
    mails: usize,
    reason: Option<&'static str>,
}

const CASES: [Case; 13] = [
    Case { fault: "451.1", status: "SENT", attempts: 2, mails: 1, reason: None },
    Case { fault: "data-451.1", status: "SENT", attempts: 2, mails: 1, reason: None },
    Case { fault: "drop-rcpt.1", status: "SENT", attempts: 2, mails: 1, reason: None },
    Case { fault: "drop-data.1", status: "SENT", attempts: 2, mails: 1, reason: None },
    Case { fault: "drop-end.1", status: "SENT", attempts: 2, mails: 1, reason: None },
    Case { fault: "drop-after.1", status: "SENT", attempts: 2, mails: 2, reason: None },
    Case { fault: "hang-rcpt.1", status: "SENT", attempts: 2, mails: 1, reason: None },
    Case { fault: "hang-data.1", status: "SENT", attempts: 2, mails: 1, reason: None },
    Case { fault: "451.0", status: "FAILED", attempts: 4, mails: 0, reason: Some("temporary") },
    Case { fault: "550.0", status: "FAILED", attempts: 1, mails: 0, reason: Some("invalid_recipient") },
    Case { fault: "553.0", status: "FAILED", attempts: 1, mails: 0, reason: Some("invalid_recipient") },
    Case { fault: "552.0", status: "FAILED", attempts: 1, mails: 0, reason: Some("rejected") },
    Case { fault: "data-554.0", status: "FAILED", attempts: 1, mails: 0, reason: Some("rejected") },
];

#[test]
fn every_fault_of_the_server_ends_as_it_must() -> Result<()> {
    let tenant = Tenant::create(server()?)?;
    let mut running = Vec::new();
    for case in &CASES {
        // A connector each: a fault that concerns the connection must not disturb the other cases.
        let connector = tenant.email(smtp()?, "plain", &json!({"timeoutSeconds": 2}))?;
        let to = format!("fault.{}.n{}@customers.test", case.fault, unique());
        let id = tenant.send_text(&connector, &to, &format!("case {}", case.fault))?;
        running.push((case, to, id));
    }
    for (case, to, id) in running {
        let fault = case.fault;
        let message = tenant.wait_status(&id, &["SENT", "FAILED", "UNKNOWN"]).with_context(|| fault.to_owned())?;
        assert_eq!(message["status"], case.status, "{fault}: {message}");
        assert_eq!(message["attempts"], case.attempts, "{fault}: {message}");
        let mails = smtp()?.mails_to(&to)?;
        assert_eq!(mails.len(), case.mails, "{fault}: {mails:?}");
        assert!(mails.iter().all(|mail| mail.message_id() == mails[0].message_id()), "{fault}: {mails:?}");
        assert!(mails.iter().all(|mail| mail.message_id().contains(&id)), "{fault}: {mails:?}");
        if let Some(reason) = case.reason {
            assert_eq!(message["reason"]["code"], reason, "{fault}: {message}");
            let detail = text_of(&message["reason"], "detail")?;
            let code = fault.trim_start_matches("data-").split('.').next().unwrap_or_default();
            assert!(detail.contains(code), "{fault}: the reason does not quote the server: {detail}");
        }
    }
    Ok(())
}

#[test]
fn a_server_that_wants_fewer_mails_gets_a_pause() -> Result<()> {
    let tenant = Tenant::create(server()?)?;
    for code in ["421", "450"] {
        let connector = tenant.email(smtp()?, "plain", &json!({}))?;
        let to = format!("fault.{code}.1.n{}@customers.test", unique());
        let id = tenant.send_text(&connector, &to, "slower please")?;
        let held = until(&format!("{code} to hold the message"), PATIENCE, || {
            let message = tenant.message(&id)?;
            Ok((message["reason"]["code"] == "throttled").then_some(message))
        })?;
        assert!(held["status"] == "WAITING" || held["status"] == "PENDING", "{held}");
        assert!(text_of(&held["reason"], "detail")?.contains(code), "{held}");
        // Another message of this connector waits too; the server is not contacted until then.
        let other = format!("after{}@customers.test", unique());
        let second = tenant.send_text(&connector, &other, "not yet")?;
        tenant.wait_status(&second, &["WAITING"])?;
        assert!(smtp()?.attempts(&other)?.is_empty());
    }
    Ok(())
}

#[test]
fn encryption_and_login_work_and_are_never_skipped() -> Result<()> {
    let tenant = Tenant::create(server()?)?;
    let ca = smtp()?.ca()?;
    let login = json!({"username": "pombo", "password": "correct horse"});
    for (listener, security, with_login) in [
        ("starttls", "starttls", false),
        ("tls", "tls", false),
        ("auth", "none", true),
        ("starttls_auth", "starttls", true),
    ] {
        let mut further = json!({"host": "localhost", "security": security, "tlsCa": ca});
        if with_login {
            merge(&mut further, &login);
        }
        let connector = tenant.email(smtp()?, listener, &further)?;
        let to = format!("{}{}@customers.test", listener.replace('_', "-"), unique());
        let id = tenant.send_text(&connector, &to, "secret enough")?;
        tenant.wait_status(&id, &["SENT"]).with_context(|| listener.to_owned())?;
        let mail = smtp()?.wait_for(&to)?;
        assert_eq!(mail.0["tls"], security != "none", "{listener}: {mail:?}");
        assert_eq!(mail.0["user"], if with_login { json!("pombo") } else { Value::Null }, "{listener}: {mail:?}");
        let shown = tenant.client.get(&format!("/v1/connectors/{connector}"))?.expect(200)?;
        assert!(!shown.text().contains("correct horse"), "the password is shown: {shown:?}");
        assert_eq!(shown.json()?["secretsSet"], if with_login { json!(["password"]) } else { json!([]) });
    }
    // Without the certificate authority, or with another password, nothing leaves and nothing is lost.
    let wrong = [
        ("starttls", json!({"host": "localhost", "security": "starttls"})),
        ("tls", json!({"host": "localhost", "security": "tls"})),
        ("plain", json!({"security": "starttls"})),
        ("auth", json!({"username": "pombo", "password": "wrong"})),
    ];
    for (listener, further) in wrong {
        let connector = tenant.email(smtp()?, listener, &further)?;
        let to = format!("wrong-{listener}{}@customers.test", unique());
        let id = tenant.send_text(&connector, &to, "must not leave")?;
        let message = until(&format!("{listener} to be refused"), PATIENCE, || {
            let message = tenant.message(&id)?;
            Ok(message["reason"]["code"].is_string().then_some(message))
        })?;
        assert!(message["status"] == "WAITING" || message["status"] == "PENDING", "{listener}: {message}");
        assert!(smtp()?.mails_to(&to)?.is_empty(), "{listener}: it was sent");
        assert!(!message.to_string().contains("wrong\""), "{listener}: the password is in {message}");
    }
    let log = server()?.log()?;
    assert!(!log.contains("correct horse"), "a password is in the log");
    Ok(())
}

#[test]
fn messages_of_an_unreachable_server_wait_for_the_right_configuration() -> Result<()> {
    let (tenant, _) = mailing_tenant()?;
    for listener in ["refuse", "silent"] {
        let connector = tenant.email(smtp()?, listener, &json!({"timeoutSeconds": 1}))?;
        let to = format!("{listener}{}@customers.test", unique());
        let id = tenant.send_text(&connector, &to, "wait for me")?;
        until("the failure to show", PATIENCE, || {
            Ok(tenant.message(&id)?["reason"]["code"].is_string().then_some(()))
        })?;
        let config = email_config(smtp()?.port("plain")?);
        tenant.client.patch(&format!("/v1/connectors/{connector}"), &json!({"config": config}))?.expect(200)?;
        if listener == "silent" {
            // Refused with 421, the other one still has its pause before it.
            tenant.wait_status(&id, &["SENT"]).context("silent")?;
            assert_eq!(smtp()?.mails_to(&to)?.len(), 1);
        } else {
            let status = text_of(&tenant.message(&id)?, "status")?;
            assert!(["WAITING", "PENDING", "PROCESSING", "SENT"].contains(&status.as_str()), "{status}");
        }
    }
    Ok(())
}

#[test]
fn a_connector_that_cannot_work_is_refused_by_its_schema() -> Result<()> {
    let tenant = Tenant::create(server()?)?;
    for (field, further) in [
        ("host", json!({"host": null})),
        ("port", json!({"port": 70000})),
        ("security", json!({"security": "ssl"})),
        ("surprise", json!({"surprise": true})),
        ("email", json!({"from": {"name": "nobody"}})),
        ("email", json!({"from": {"email": "nobody"}})),
    ] {
        let mut config = email_config(25);
        merge(&mut config, &further);
        let request = json!({"name": "x", "plugin": "connector-email", "config": config});
        let reply = tenant.client.post("/v1/connectors", &request)?.expect(400)?;
        assert!(reply.text().contains(field), "{field} is not named: {reply:?}");
    }
    let request = json!({"name": "x", "plugin": "no-such-plugin", "config": {}});
    let reply = tenant.client.post("/v1/connectors", &request)?;
    assert!((400..500).contains(&reply.status) && reply.text().contains("plugin"), "{reply:?}");
    let all = tenant.client.get("/v1/connectors")?.expect_json(200)?;
    assert_eq!(all["data"], json!([]), "a refused connector was stored");
    Ok(())
}
