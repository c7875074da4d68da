//! Templates: spintax with variables, the same text in every retry, the preview.

use std::collections::HashSet;

use anyhow::{Context, Result};
use pombo_tests::tenant::{text_of, unique};
use serde_json::{Value, json};

use crate::shared::{mailing_tenant, queueing_tenant, smtp};

#[test]
fn spintax_varies_between_messages_and_not_between_retries() -> Result<()> {
    let (tenant, connector) = mailing_tenant()?;
    let choices = ["Olá", "Oi", "Tudo bem"];
    let template = "{Olá|Oi|Tudo bem} {{ nome }}, {pedido|{compra|encomenda}} {{ numero }}";
    let mut texts = HashSet::new();
    for n in 0..12 {
        // Kept by the server and yet not answered: it is sent again, and both copies are there to be compared.
        let to = format!("fault.drop-after.1.spin{}@customers.test", unique());
        let body = json!({"connectorId": connector, "to": to, "contactName": "Ana", "message": template, "variables": {"numero": n}});
        tenant.wait_status(&text_of(&tenant.send(&body)?, "id")?, &["SENT"])?;
        let mails = smtp()?.mails_to(&to)?;
        assert_eq!(mails.len(), 2);
        assert_eq!(mails[0].text("text/plain"), mails[1].text("text/plain"));
        let text = mails[0].text("text/plain");
        assert!(
            choices.iter().any(|c| text.starts_with(&format!("{c} Ana, "))) && text.ends_with(&format!(" {n}")),
            "{text}"
        );
        texts.insert(text.rsplit_once(' ').map(|(start, _)| start.to_owned()).context("one word")?);
    }
    assert!(texts.len() > 2, "{texts:?}");
    Ok(())
}

#[test]
fn the_preview_shows_samples_and_how_often_texts_coincide() -> Result<()> {
    let (tenant, _) = queueing_tenant()?;
    let preview = |body: Value| tenant.client.post("/v1/render/preview", &body);
    let shown = preview(json!({"template": "{a|b|c} {{ nome }} {x|y}", "variables": {"nome": "Ana"}, "samples": 20}))?
        .expect_json(200)?;
    let samples = shown["samples"].as_array().context("no samples")?;
    assert_eq!((samples.len(), &shown["distinctTexts"]), (20, &json!(6)), "{shown}");
    assert!(samples.iter().all(|s| s.as_str().is_some_and(|s| s.contains(" Ana "))), "{shown}");
    let collision = shown["collisionProbability"].as_f64().context("no estimate")?;
    assert!((collision - 1.0 / 6.0).abs() < 0.02, "{shown}");
    assert_eq!(shown["variables"], json!(["nome"]));
    let wrong = preview(json!({"template": "first line\nOlá {{ ninguem }}"}))?.expect_json(400)?;
    assert_eq!(wrong["error"]["position"]["line"], 2, "{wrong}");
    assert!(text_of(&wrong["error"], "message")?.contains("ninguem"), "{wrong}");
    for (template, why) in [("{% for %}", "syntax"), ("{{ nome", "never closed"), ("", "empty")] {
        let reply = preview(json!({"template": template}))?;
        assert_eq!(reply.status, 400, "{why}: {reply:?}");
    }
    Ok(())
}

#[test]
fn an_undefined_variable_is_refused_when_it_is_sent() -> Result<()> {
    let (tenant, connector) = queueing_tenant()?;
    let reply = tenant
        .try_send(&json!({"connectorId": connector, "to": "a@customers.test", "message": "Olá {{ cidade }}"}))?
        .expect(400)?;
    assert!(reply.text().contains("cidade"), "{reply:?}");
    let endless = tenant.try_send(&json!({
        "connectorId": connector, "to": "a@customers.test",
        "message": "{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}",
    }))?;
    assert!((400..600).contains(&endless.status) && endless.status != 500, "{endless:?}");
    assert_eq!(tenant.total(&[])?, 0);
    // The renderer works on afterwards.
    let literal = "JSON {\"a\": 1}, um \\{ só, R$ {{ valor }}";
    let body =
        json!({"connectorId": connector, "to": "a@customers.test", "message": literal, "variables": {"valor": "1,00"}});
    tenant.send(&body)?;
    Ok(())
}
