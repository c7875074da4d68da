//! Addresses that a tenant must not make the engine call: private, loopback and link-local ones, however they are written.

use anyhow::Result;
use pombo_tests::server::{Options, Server};
use pombo_tests::tenant::{Tenant, text_of, unique};
use pombo_tests::wait::{PATIENCE, until};
use pombo_tests::webhook::Receiver;
use serde_json::json;

use crate::shared::smtp;

/// Outbound as it is by default, the mail server allowed to connectors.
const GUARDED: &str = r#"
[outbound]
allow = []
[webhooks]
retry_seconds = [1]
timeout_seconds = 2
[scheduler]
max_attempts = 2
backoff_first_ms = 500
backoff_max_ms = 1000
[sandbox]
allow_private = ["127.0.0.1"]
smtp_plain_hosts = ["127.0.0.1"]
"#;

#[test]
fn a_private_target_is_never_called() -> Result<()> {
    let receiver = Receiver::start()?;
    let port = receiver.address().port();
    let server = Server::start(Options::only(GUARDED))?;
    let tenant = Tenant::create(&server)?;
    let connector = tenant.email(smtp()?, "plain", &json!({}))?;
    let hosts = [
        format!("127.0.0.1:{port}"),
        format!("localhost:{port}"),
        format!("LOCALHOST.:{port}"),
        format!("127.1:{port}"),
        format!("0x7f.0.0.1:{port}"),
        format!("2130706433:{port}"),
        format!("017700000001:{port}"),
        format!("0.0.0.0:{port}"),
        format!("[::1]:{port}"),
        format!("[::ffff:127.0.0.1]:{port}"),
        format!("[::]:{port}"),
        "10.0.0.1".to_owned(),
        "192.168.1.1".to_owned(),
        "172.16.0.1".to_owned(),
        "169.254.169.254".to_owned(),
        "100.64.0.1".to_owned(),
        "[fe80::1]".to_owned(),
        "[fc00::1]".to_owned(),
        "[64:ff9b::7f00:1]".to_owned(),
    ];
    for host in &hosts {
        for field in ["webhookUrl", "attachmentUrl"] {
            let to = format!("guarded{}@customers.test", unique());
            let mut body = json!({"connectorId": connector, "to": to, "message": "x"});
            body[field] = json!(format!("http://{host}/secret.pdf"));
            let reply = tenant.try_send(&body)?;
            if reply.status == 400 {
                assert!(reply.text().contains(field), "{field} {host}: {reply:?}");
                continue;
            }
            // A name may only be known to be private once it is looked up.
            let id = text_of(&reply.expect_json(201)?, "id")?;
            if field == "attachmentUrl" {
                let failed = tenant.wait_status(&id, &["FAILED"])?;
                assert_eq!(failed["reason"]["code"], "attachment", "{host}: {failed}");
                assert!(smtp()?.mails_to(&to)?.is_empty());
            } else {
                until("the delivery to be given up or refused", PATIENCE, || {
                    let path = format!("/v1/webhook-deliveries?messageId={id}");
                    let list = tenant.client.get(&path)?.expect_json(200)?;
                    let tried = list["data"][0]["attempts"].as_array().map_or(0, Vec::len);
                    Ok((tried > 0).then_some(()))
                })?;
            }
        }
    }
    assert_eq!(receiver.count(), 0, "a private address was called");
    Ok(())
}

#[test]
fn a_redirect_is_checked_like_the_address_itself() -> Result<()> {
    let (open, closed) = (Receiver::start()?, Receiver::start_at("127.0.0.2")?);
    // Only one address is allowed; what it redirects to is not.
    let config = GUARDED.replace("allow = []", "allow = [\"127.0.0.1\"]");
    let server = Server::start(Options::only(&config))?;
    let tenant = Tenant::create(&server)?;
    let connector = tenant.email(smtp()?, "plain", &json!({}))?;
    let to = format!("redirect{}@customers.test", unique());
    let url = open.url(&format!("/redirect/x?to={}", closed.url("/file/100/a.pdf")));
    let body = json!({"connectorId": connector, "to": to, "message": "x", "attachmentUrl": url});
    let id = text_of(&tenant.send(&body)?, "id")?;
    let failed = tenant.wait_status(&id, &["FAILED"])?;
    assert_eq!(failed["reason"]["code"], "attachment", "{failed}");
    assert!(open.count() >= 1, "the allowed address was not asked");
    assert_eq!(closed.count(), 0, "the redirect was followed to a private address");
    Ok(())
}

#[test]
fn a_connector_reaches_no_private_server_that_the_operator_did_not_allow() -> Result<()> {
    // Without --demo, which opens the loopback for its mailbox.
    let server = Server::start(Options { demo: false, ..Options::only("") })?;
    let tenant = Tenant::create(&server)?;
    let mut config = pombo_tests::tenant::email_config(smtp()?.port("plain")?);
    config["timeoutSeconds"] = json!(2);
    let request = json!({"name": "private", "plugin": "connector-email", "config": config});
    let reply = tenant.client.post("/v1/connectors", &request)?;
    if reply.status == 400 {
        return Ok(());
    }
    let connector = text_of(&reply.expect_json(201)?, "id")?;
    let to = format!("private{}@customers.test", unique());
    let id = tenant.send_text(&connector, &to, "must not leave")?;
    until("the refusal to show", PATIENCE, || Ok(tenant.message(&id)?["reason"]["code"].is_string().then_some(())))?;
    assert!(smtp()?.attempts(&to)?.is_empty(), "the private server was reached");
    Ok(())
}
