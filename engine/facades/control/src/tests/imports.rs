//! Imports, from the upload to the report, and across a restart.

use poem::{Body, Request};
use pombo_domain::Timestamp;
use pombo_domain::model::pace::EqualTextsView;
use pombo_domain::ports::{Change, StoreError};
use rust_xlsxwriter::Workbook;
use serde_json::{Value, json};

use super::support::{Answer, Caller, Engine, Refused};

/// A workbook with these (to, message) rows.
pub(super) fn workbook(rows: &[(&str, &str)]) -> Vec<u8> {
    workbook_of("GERAL", rows)
}

/// The same, with rows of this category.
fn workbook_of(category: &str, rows: &[(&str, &str)]) -> Vec<u8> {
    let mut workbook = Workbook::new();
    let sheet = workbook.add_worksheet();
    for (column, header) in (0..).zip(["to", "message", "externalId", "scheduledAt", "messageType"]) {
        sheet.write_string(0, column, header).expect("writes");
    }
    for (row, (to, message)) in (1..).zip(rows) {
        sheet.write_string(row, 0, *to).expect("writes");
        sheet.write_string(row, 1, *message).expect("writes");
        sheet.write_string(row, 2, format!("row-{}", row + 1)).expect("writes");
        sheet.write_string(row, 4, category).expect("writes");
    }
    workbook.save_to_buffer().expect("saves")
}

/// Uploads a workbook.
pub(super) async fn upload(engine: &Engine, caller: &Caller, file: Vec<u8>, connector: Option<&str>) -> Answer {
    let mut body = Vec::new();
    if let Some(connector) = connector {
        body.extend(b"--b\r\nContent-Disposition: form-data; name=\"connectorId\"\r\n\r\n");
        body.extend(connector.as_bytes());
        body.extend(b"\r\n");
    }
    body.extend(b"--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"janeiro.xlsx\"\r\n\r\n");
    body.extend(file);
    body.extend(b"\r\n--b--\r\n");
    send(engine, caller, body).await
}

async fn send(engine: &Engine, caller: &Caller, body: Vec<u8>) -> Answer {
    let request = Request::builder()
        .method(poem::http::Method::POST)
        .uri("/v1/imports".parse().expect("a path"))
        .header("x-api-key", &caller.key)
        .content_type("multipart/form-data; boundary=b");
    engine.call(request.body(Body::from_vec(body))).await
}

fn path(import: &Value) -> String {
    format!("/v1/imports/{}", import["id"].as_str().expect("an id"))
}

/// The external ids of all messages, oldest first.
async fn external_ids(engine: &Engine, caller: &Caller) -> Vec<String> {
    let mut ids = Vec::new();
    for page in 1.. {
        let listed = engine.get(caller, &format!("/v1/messages?limit=250&page={page}")).await.expect(200);
        let rows = listed["data"].as_array().expect("a list");
        if rows.is_empty() {
            break;
        }
        ids.extend(rows.iter().map(|row| row["externalId"].as_str().unwrap_or_default().to_owned()));
    }
    ids.reverse();
    ids
}

#[tokio::test]
async fn good_rows_go_in_and_bad_ones_are_reported_with_row_and_column() {
    let mut engine = Engine::new().await;
    let connector = engine.connector(&engine.a).await;
    let rows = [
        ("ana@loja.com", "oi"),
        ("não é um endereço", "oi"),
        ("bia@loja.com", "{{ x }}"),
        ("", "sem"),
        ("c@d.e", "ok"),
    ];
    let taken = upload(&engine, &engine.a, workbook(&rows), Some(&connector)).await.expect(202);
    assert_eq!((&taken["status"], &taken["fileName"]), (&json!("RUNNING"), &json!("janeiro.xlsx")));
    engine.finish().await;
    engine.start().await;
    let done = engine.get(&engine.a, &path(&taken)).await.expect(200);
    assert_eq!(done["status"], "DONE", "{done}");
    let counts = ["rowsTotal", "rowsRead", "accepted", "rejected"].map(|field| done[field].as_u64());
    assert_eq!(counts, [Some(5), Some(5), Some(2), Some(3)]);
    let report = engine.get(&engine.a, &format!("{}/rows?status=rejected", path(&taken))).await.expect(200);
    let report = report["data"].as_array().expect("a list").iter();
    let found: Vec<_> = report.map(|row| (row["row"].as_u64(), row["problems"][0]["column"].as_str())).collect();
    assert_eq!(found, [(Some(3), Some("to")), (Some(4), Some("message")), (Some(5), Some("to"))]);
    let all = engine.get(&engine.a, &format!("{}/rows?limit=4", path(&taken))).await.expect(200);
    assert_eq!((all["data"].as_array().map(Vec::len), &all["nextPage"]), (Some(4), &json!(2)));
    assert!(all["data"][0]["messageId"].is_string());
    assert_eq!(external_ids(&engine, &engine.a).await, ["row-2", "row-6"]);
    assert_eq!(std::fs::read_dir(engine.imports()).map(Iterator::count).ok(), Some(0), "the files are gone");
}

#[tokio::test]
async fn an_interrupted_import_is_taken_up_and_takes_each_row_once() {
    let mut engine = Engine::new().await;
    let connector = engine.connector(&engine.a).await;
    let rows: Vec<(&str, &str)> = (0..1200).map(|_| ("ana@loja.com", "oi")).collect();
    // The second chunk of messages is refused, and all that follow, as when the disk fails.
    let mut inserts = 0;
    engine.world.store.refuse(move |_, batch| {
        inserts += usize::from(batch.changes.iter().any(|change| matches!(change, Change::Insert(_))));
        (inserts > 1).then(|| StoreError::Unavailable("the disk is gone".to_owned()))
    });
    let taken = upload(&engine, &engine.a, workbook(&rows), Some(&connector)).await.expect(202);
    engine.finish().await;
    engine.world.store.no_plan();
    assert_eq!(engine.world.commands.running_imports().map(|running| running.len()), Ok(1));
    engine.start().await;
    assert_eq!(external_ids(&engine, &engine.a).await.len(), 500, "the first chunk had gone in");
    engine.finish().await;
    engine.start().await;
    let done = engine.get(&engine.a, &path(&taken)).await.expect(200);
    assert_eq!((&done["status"], &done["accepted"], &done["rowsRead"]), (&json!("DONE"), &json!(1200), &json!(1200)));
    let expected: Vec<String> = (2..1202).map(|row| format!("row-{row}")).collect();
    assert_eq!(external_ids(&engine, &engine.a).await, expected);
}

#[tokio::test]
async fn an_interrupted_import_whose_file_is_gone_fails_and_says_so() {
    let mut engine = Engine::new().await;
    let tenant = engine.a.tenant.index;
    let id = uuid::Uuid::from_u128(77);
    engine.world.commands.begin_import(tenant, id, "x.xlsx").await.expect("begins");
    engine.finish().await;
    std::fs::write(engine.imports().join("upload-abc"), "left behind").expect("writes");
    engine.start().await;
    let failed = engine.get(&engine.a, &format!("/v1/imports/{id}")).await.expect(200);
    assert_eq!(failed["status"], "FAILED");
    assert!(failed["error"].as_str().is_some_and(|text| text.contains("the engine stopped")));
    assert_eq!(std::fs::read_dir(engine.imports()).map(Iterator::count).ok(), Some(0), "what was left behind is gone");
}

#[tokio::test]
async fn an_upload_that_is_no_workbook_is_refused_before_anything_is_stored() {
    let engine = Engine::new().await;
    let connector = engine.connector(&engine.b).await;
    assert_eq!(upload(&engine, &engine.a, b"to;message".to_vec(), None).await.error(400).1, ["file"]);
    let good = || workbook(&[("ana@loja.com", "oi")]);
    let others = upload(&engine, &engine.a, good(), Some(&connector)).await;
    assert_eq!(others.error(400).1, ["connectorId"], "another tenant's connector");
    assert_eq!(send(&engine, &engine.a, b"--b--\r\n".to_vec()).await.error(400).1, ["file"]);
    let unknown = b"--b\r\nContent-Disposition: form-data; name=\"arquivo\"\r\n\r\nx\r\n--b--\r\n".to_vec();
    assert_eq!(send(&engine, &engine.a, unknown).await.error(400).1, ["arquivo"]);
    let cut = b"--b\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\nPK".to_vec();
    assert_eq!(send(&engine, &engine.a, cut).await.error(400).0, "invalid");
    let mut large = b"PK\x03\x04".to_vec();
    large.resize(pombo_imports::MAX_WORKBOOK_BYTES as usize + 1, 0);
    assert_eq!(upload(&engine, &engine.a, large, None).await.error(413).0, "too_large");
    assert_eq!(engine.get(&engine.a, "/v1/imports").await.expect(200)["data"], json!([]));
    assert_eq!(std::fs::read_dir(engine.imports()).map(Iterator::count).ok(), Some(0), "nothing is left on disk");
}

#[tokio::test]
async fn a_workbook_with_another_header_fails_with_the_reason() {
    let mut engine = Engine::new().await;
    let mut workbook = Workbook::new();
    workbook.add_worksheet().write_string(0, 0, "telefone").expect("writes");
    let taken = upload(&engine, &engine.a, workbook.save_to_buffer().expect("saves"), None).await.expect(202);
    engine.finish().await;
    engine.start().await;
    let failed = engine.get(&engine.a, &path(&taken)).await.expect(200);
    assert_eq!(failed["status"], "FAILED");
    assert!(
        failed["error"].as_str().is_some_and(|text| text.contains("column A (\"telefone\") is unknown")),
        "{failed}"
    );
}

#[tokio::test]
async fn an_import_warns_of_equal_advertising() {
    let engine = Engine::new().await;
    let connector = engine.connector(&engine.a).await;
    let file = workbook(&[("ana@loja.com", "oi")]);
    let first = upload(&engine, &engine.a, file.clone(), Some(&connector)).await.expect(202);
    assert_eq!(first.get("warnings"), None);
    let texts = EqualTextsView { count: 101, since: Timestamp(1_893_456_000_000) };
    *engine.fixed.equal_texts.lock().expect("no test panics in it") = Some(texts);
    let second = upload(&engine, &engine.a, file, Some(&connector)).await.expect(202);
    for shown in [second, engine.get(&engine.a, &path(&first)).await.expect(200)] {
        let warning = shown["warnings"][0].as_str().expect("a warning");
        assert!(warning.contains(&connector) && warning.contains("101 times"), "{shown}");
    }
}

#[tokio::test]
async fn an_import_warns_of_its_own_equal_advertising_over_all_of_its_parts() {
    let mut engine = Engine::new().await;
    let connector = engine.connector(&engine.a).await;
    // It is taken in parts of 500 rows, and no part alone has more than 100 that are the same.
    let texts: Vec<String> =
        (0..600).map(|n| if n % 5 == 0 { "Compre pão".to_owned() } else { format!("Compre {n} pães") }).collect();
    let rows: Vec<(&str, &str)> = texts.iter().map(|text| ("ana@loja.com", text.as_str())).collect();
    let advertising = upload(&engine, &engine.a, workbook_of("MARKETING", &rows), Some(&connector)).await.expect(202);
    let support = upload(&engine, &engine.a, workbook_of("SUPPORT", &rows), Some(&connector)).await.expect(202);
    engine.finish().await;
    engine.start().await;
    let done = engine.get(&engine.a, &path(&advertising)).await.expect(200);
    assert_eq!((&done["status"], &done["accepted"]), (&json!("DONE"), &json!(600)), "{done}");
    let warning = "120 recipients would get the same advertising text within 24 hours; let the texts differ";
    assert_eq!(done["warnings"], json!([warning]));
    let done = engine.get(&engine.a, &path(&support)).await.expect(200);
    assert_eq!((&done["status"], done.get("warnings")), (&json!("DONE"), None), "it does not advertise");
}
