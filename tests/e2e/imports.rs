//! The template, filled in, and its import: good rows go in, bad ones are reported by row and column.

use anyhow::{Context, Result};
use pombo_tests::files::{read_workbook, write_workbook};
use pombo_tests::http::{Form, Reply};
use pombo_tests::tenant::{SENDSYNC, Tenant, text_of};
use pombo_tests::wait::{PATIENCE, until};
use serde_json::{Value, json};

use crate::shared::queueing_tenant;

const XLSX: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";

fn upload(tenant: &Tenant, book: &[u8], connector: Option<&str>) -> Result<Reply> {
    let mut form = Form::new().file("file", "mensagens.xlsx", XLSX, book);
    if let Some(connector) = connector {
        form = form.field("connectorId", connector);
    }
    form.into_request(tenant.client.request("POST", "/v1/imports")).send()
}

fn finished(tenant: &Tenant, import: &Value) -> Result<Value> {
    let path = format!("/v1/imports/{}", text_of(import, "id")?);
    until("the import to end", PATIENCE, || {
        let now = tenant.client.get(&path)?.expect_json(200)?;
        Ok((now["status"] != "RUNNING").then_some(now))
    })
}

#[test]
fn what_the_template_shows_the_import_takes() -> Result<()> {
    let (tenant, connector) = queueing_tenant()?;
    let reply = tenant.client.get(&format!("{SENDSYNC}/queue/template"))?.expect(200)?;
    assert!(reply.header("content-type").is_some_and(|t| t.starts_with(XLSX)), "{:?}", reply.headers);
    assert!(reply.header("content-disposition").is_some_and(|d| d.contains(".xlsx")), "{:?}", reply.headers);
    let headers = read_workbook(&reply.body)?.into_iter().next().context("the template is empty")?;
    let column =
        |name: &str| headers.iter().position(|h| h == name).with_context(|| format!("no column {name}: {headers:?}"));
    let row = |cells: &[(&str, &str)]| -> Result<Vec<String>> {
        let mut row = vec![String::new(); headers.len()];
        for (name, text) in cells {
            row[column(name)?] = (*text).to_owned();
        }
        Ok(row)
    };
    let at = "2027-05-01T10:00:00-03:00";
    let rows = vec![
        headers.clone(),
        row(&[
            ("connectorId", &connector),
            ("to", "one@customers.test"),
            ("message", "Olá {{ nome }}"),
            ("contactName", "Um"),
            ("externalId", "X1"),
        ])?,
        row(&[("connectorId", &connector), ("to", "not an address"), ("message", "x")])?,
        row(&[
            ("connectorId", &connector),
            ("to", "two@customers.test"),
            ("message", "dois"),
            ("messageType", "MARKETING"),
            ("priority", "9"),
            ("externalId", "X2"),
        ])?,
        row(&[("connectorId", &connector), ("to", "three@customers.test")])?,
        row(&[("connectorId", &connector), ("to", "four@customers.test"), ("message", "x"), ("priority", "high")])?,
        vec![String::new(); headers.len()],
        row(&[
            ("connectorId", &connector),
            ("to", "five@customers.test"),
            ("message", "cinco"),
            ("scheduledAt", at),
            ("externalId", "X5"),
        ])?,
        row(&[
            ("connectorId", &connector),
            ("to", "six@customers.test"),
            ("message", "seis"),
            ("requiresApproval", "SIM"),
            ("externalId", "X6"),
        ])?,
        row(&[("to", "seven@customers.test"), ("message", "no connector")])?,
    ];
    let import = upload(&tenant, &write_workbook(&rows)?, None)?.expect_json(202)?;
    let done = finished(&tenant, &import)?;
    assert_eq!(
        (&done["status"], &done["accepted"], &done["rejected"]),
        (&json!("DONE"), &json!(4), &json!(4)),
        "{done}"
    );
    let path = format!("/v1/imports/{}/rows", text_of(&import, "id")?);
    let report = tenant.client.get(&path)?.expect_json(200)?;
    let report = report["data"].as_array().context("no rows")?;
    let numbers: Vec<u64> = report.iter().filter_map(|r| r["row"].as_u64()).collect();
    assert_eq!(numbers, [2, 3, 4, 5, 6, 8, 9, 10], "the row numbers are not the sheet's");
    for (number, column) in [(3, "to"), (5, "message"), (6, "priority"), (10, "connectorId")] {
        let row = report.iter().find(|r| r["row"] == number).context("no row")?;
        assert!(row.get("messageId").is_none(), "{row}");
        let problem = &row["problems"][0];
        assert_eq!(problem["column"], column, "{row}");
        assert!(!text_of(problem, "message")?.is_empty(), "{row}");
    }
    assert_eq!(tenant.total(&[])?, 4);
    for (external, field, wanted) in [
        ("X1", "contactName", json!("Um")),
        ("X2", "priority", json!(9)),
        ("X2", "messageType", json!("MARKETING")),
        ("X5", "status", json!("WAITING")),
        ("X6", "status", json!("PENDING_APPROVAL")),
    ] {
        let list = tenant.list(&[("externalId", external)])?;
        let message = tenant.message(&text_of(&list["data"][0], "id")?)?;
        assert_eq!(message[field], wanted, "{external}: {message}");
    }
    // The same rows with a connector for those that name none.
    let again = upload(
        &tenant,
        &write_workbook(&rows[9..10].iter().fold(vec![headers.clone()], |mut all, row| {
            all.push(row.clone());
            all
        }))?,
        Some(&connector),
    )?
    .expect_json(202)?;
    assert_eq!(finished(&tenant, &again)?["accepted"], 1);
    let list = tenant.client.get("/v1/imports")?.expect_json(200)?;
    assert_eq!(list["data"].as_array().map(Vec::len), Some(2));
    Ok(())
}

#[test]
fn a_large_import_reports_its_progress_and_ends_exact() -> Result<()> {
    let (tenant, connector) = queueing_tenant()?;
    let mut rows = vec![["to", "message", "externalId"].map(str::to_owned).to_vec()];
    for n in 0..5000 {
        let to = if n % 50 == 0 { "bad".to_owned() } else { format!("p{n}@customers.test") };
        rows.push(vec![to, format!("linha {n}"), format!("L{n}")]);
    }
    let import = upload(&tenant, &write_workbook(&rows)?, Some(&connector))?.expect_json(202)?;
    let done = finished(&tenant, &import)?;
    assert_eq!((&done["rowsTotal"], &done["rowsRead"]), (&json!(5000), &json!(5000)), "{done}");
    assert_eq!((&done["accepted"], &done["rejected"]), (&json!(4900), &json!(100)), "{done}");
    assert_eq!(tenant.total(&[])?, 4900);
    Ok(())
}

#[test]
fn what_is_no_workbook_is_refused() -> Result<()> {
    let (tenant, connector) = queueing_tenant()?;
    for (what, content) in
        [("text", &b"to;message\na@b.test;x"[..]), ("nothing", b""), ("half a file", b"PK\x03\x04broken")]
    {
        let reply = upload(&tenant, content, Some(&connector))?;
        if reply.status == 202 {
            let done = finished(&tenant, &reply.json()?)?;
            assert_eq!(done["status"], "FAILED", "{what}: {done}");
            assert!(!text_of(&done, "error")?.is_empty(), "{what}: {done}");
        } else {
            assert_eq!(reply.status, 400, "{what}: {reply:?}");
        }
    }
    // A header that nothing can be made of.
    let book = write_workbook(&[vec!["nome".into(), "telefone".into()], vec!["a".into(), "b".into()]])?;
    let reply = upload(&tenant, &book, Some(&connector))?;
    let text = if reply.status == 202 { finished(&tenant, &reply.json()?)?.to_string() } else { reply.text() };
    assert!(text.contains("message") || text.contains("to"), "the missing columns are not named: {text}");
    assert_eq!(tenant.total(&[])?, 0);
    Ok(())
}
