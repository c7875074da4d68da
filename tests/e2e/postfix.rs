//! One run against a real mail server.

use anyhow::Result;
use pombo_tests::mail::Postfix;
use pombo_tests::tenant::{Tenant, email_config, unique};
use pombo_tests::wait::{PATIENCE, until};
use serde_json::json;

use crate::shared::server;

#[test]
fn postfix_takes_what_it_knows_and_refuses_the_rest() -> Result<()> {
    let postfix = Postfix::start()?;
    let tenant = Tenant::create(server()?)?;
    let connector = tenant.connector("connector-email", &email_config(postfix.port))?;
    let mark = unique();
    let mut ids = Vec::new();
    for n in 0..20 {
        let body = json!({
            "connectorId": connector, "to": format!("inbox-{mark}-{n}@pombo.test"),
            "message": format!("Olá! Número {n} de {mark}.\n.\n..pontos no começo"), "subject": format!("Número {n}"),
        });
        ids.push(tenant.send(&body)?["id"].as_str().unwrap_or_default().to_owned());
    }
    let unknown = tenant.send_text(&connector, "nobody@pombo.test", "you are not there")?;
    for id in &ids {
        tenant.wait_status(id, &["SENT"])?;
    }
    let failed = tenant.wait_status(&unknown, &["FAILED"])?;
    assert_eq!(failed["reason"]["code"], "invalid_recipient", "{failed}");
    let mails = until("20 mails in the mailbox", PATIENCE, || Ok(Some(postfix.mails()?).filter(|m| m.len() >= 20)))?;
    assert_eq!(mails.len(), 20);
    for id in &ids {
        let of_it = mails.iter().filter(|mail| mail.contains(&format!("<{id}@"))).count();
        assert_eq!(of_it, 1, "message {id}");
    }
    Ok(())
}
