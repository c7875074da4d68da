//! Advertising that is the same for many: requests that hand in more than a hundred of it within a day are warned, and nothing is held
//! back. A campaign's part is with the Cloud connector's tests.

use anyhow::Result;
use pombo_tests::files::write_workbook;
use pombo_tests::http::Form;
use pombo_tests::tenant::{Tenant, text_of, unique};
use pombo_tests::wait::{PATIENCE, until};
use serde_json::{Value, json};

use crate::shared::{mailing_tenant, queueing_tenant};

const XLSX: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";

/// So many messages of a category with the same text, each to somebody else.
fn many(connector: &str, count: usize, category: &str, text: &str) -> Vec<Value> {
    let message = |_| {
        let to = format!("e{}@customers.test", unique());
        json!({"connectorId": connector, "to": to, "message": text, "messageType": category})
    };
    (0..count).map(message).collect()
}

/// Hands in so many advertising texts at once; the warnings of the answer, null without any.
fn handed_in(tenant: &Tenant, connector: &str, count: usize, text: &str) -> Result<Value> {
    let answer = tenant.try_bulk(&many(connector, count, "MARKETING", text))?.expect_json(201)?;
    assert_eq!((&answer["success"], &answer["accepted"]), (&json!(true), &json!(count)), "{answer}");
    Ok(answer["warnings"].clone())
}

/// What is said of so many.
fn warning(count: usize) -> String {
    format!("{count} recipients would get the same advertising text within 24 hours; let the texts differ")
}

#[test]
fn a_bulk_of_more_than_a_hundred_equal_advertising_texts_is_warned() -> Result<()> {
    let (tenant, connector) = queueing_tenant()?;
    assert_eq!(handed_in(&tenant, &connector, 100, "Pão fresco!")?, Value::Null);
    assert_eq!(handed_in(&tenant, &connector, 101, "Bolo fresco!")?, json!([warning(101)]));
    // What is no advertising may be the same for everybody, and so may texts that differ in one word each.
    let notices = tenant.try_bulk(&many(&connector, 101, "NOTIFICATION", "Fechamos hoje."))?.expect_json(201)?;
    assert_eq!(notices["warnings"], Value::Null, "{notices}");
    let mut differing = many(&connector, 101, "MARKETING", "");
    for (n, message) in differing.iter_mut().enumerate() {
        message["message"] = json!(format!("Oi, cliente {n}!"));
    }
    let answer = tenant.try_bulk(&differing)?.expect_json(201)?;
    assert_eq!(answer["warnings"], Value::Null, "{answer}");
    Ok(())
}

#[test]
fn what_was_handed_in_within_a_day_counts_and_another_connectors_does_not() -> Result<()> {
    let (tenant, connector) = queueing_tenant()?;
    let (other_tenant, other) = queueing_tenant()?;
    let text = "Só hoje!";
    assert_eq!(handed_in(&tenant, &connector, 60, text)?, Value::Null);
    assert_eq!(handed_in(&other_tenant, &other, 60, text)?, Value::Null);
    assert_eq!(handed_in(&tenant, &connector, 60, "Só amanhã!")?, Value::Null);
    assert_eq!(handed_in(&tenant, &connector, 60, text)?, json!([warning(120)]));
    // A bulk that is refused hands nothing in.
    let refused = vec![json!({"connectorId": other, "to": "nobody", "message": text, "messageType": "MARKETING"}); 60];
    other_tenant.try_bulk(&refused)?.expect(400)?;
    assert_eq!(handed_in(&other_tenant, &other, 40, text)?, Value::Null);
    Ok(())
}

#[test]
fn an_import_counts_its_texts_with_those_of_the_day() -> Result<()> {
    let (tenant, connector) = queueing_tenant()?;
    let text = "Promoção da semana";
    assert_eq!(handed_in(&tenant, &connector, 60, text)?, Value::Null);
    let import = |count: usize| -> Result<Value> {
        let mut rows = vec![["to", "message", "messageType"].map(str::to_owned).to_vec()];
        rows.extend(
            (0..count).map(|_| vec![format!("i{}@customers.test", unique()), text.to_owned(), "MARKETING".to_owned()]),
        );
        let form = Form::new().file("file", "mensagens.xlsx", XLSX, &write_workbook(&rows)?);
        let form = form.field("connectorId", &connector);
        let begun = form.into_request(tenant.client.request("POST", "/v1/imports")).send()?.expect_json(202)?;
        let path = format!("/v1/imports/{}", text_of(&begun, "id")?);
        let done = until("the import to end", PATIENCE, || {
            let now = tenant.client.get(&path)?.expect_json(200)?;
            Ok((now["status"] != "RUNNING").then_some(now))
        })?;
        assert_eq!((&done["status"], &done["accepted"]), (&json!("DONE"), &json!(count)), "{done}");
        Ok(done["warnings"].clone())
    };
    assert_eq!(import(40)?, Value::Null);
    assert_eq!(import(1)?, json!([warning(101)]));
    Ok(())
}

#[test]
fn what_was_sent_is_shown_with_the_pace_and_said_to_whoever_hands_in_more() -> Result<()> {
    let (tenant, connector) = mailing_tenant()?;
    tenant.pace(&connector, &json!({"maxInFlight": 8}))?;
    let text = "Liquidação!";
    let shown = || -> Result<Value> {
        let report = tenant.client.get(&format!("/v1/connectors/{connector}/pace"))?.expect_json(200)?;
        Ok(report["now"]["equalTexts"].clone())
    };
    handed_in(&tenant, &connector, 100, text)?;
    tenant.wait_total(&[("status", "SENT")], 100, PATIENCE)?;
    assert_eq!(shown()?, Value::Null, "a hundred are no danger");
    handed_in(&tenant, &connector, 1, text)?;
    tenant.wait_total(&[("status", "SENT")], 101, PATIENCE)?;
    let texts = shown()?;
    assert_eq!(texts["count"], 101, "{texts}");
    let since = text_of(&texts, "since")?;
    // The next advertising through it is warned, whatever it says; nothing is held back.
    let said = format!(
        "connector {connector} sent the same advertising text 101 times since {since}, which puts its account at risk; let the texts differ"
    );
    assert_eq!(handed_in(&tenant, &connector, 1, "Outra coisa")?, json!([said]));
    tenant.wait_total(&[("status", "SENT")], 102, PATIENCE)?;
    Ok(())
}
