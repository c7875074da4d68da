//! Round trips: the template, filled by a writer as a person would, read back.

use std::path::PathBuf;

use rust_xlsxwriter::{ExcelDateTime, Format, Workbook};
use serde_json::json;

use super::columns::Column;
use super::*;

/// A workbook on disk that is removed with its folder.
struct Saved {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

fn save(mut workbook: Workbook) -> Saved {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("filled.xlsx");
    workbook.save(&path).expect("saves");
    Saved { _folder: folder, path }
}

fn rows(saved: &Saved) -> Vec<ReadRow> {
    let mut sheet = Sheet::open(&saved.path).expect("opens");
    let mut rows = Vec::new();
    sheet
        .read(|row| {
            rows.push(row);
            true
        })
        .expect("reads");
    assert_eq!(sheet.rows_total() as usize, rows.len());
    rows
}

fn at(column: Column) -> u16 {
    Column::ALL.iter().position(|c| *c == column).expect("all are in the list") as u16
}

#[test]
fn the_template_filled_is_read_as_it_was_filled() {
    let mut workbook = template::workbook().expect("writes");
    let sheet = workbook.worksheet_from_name(MESSAGES_SHEET).expect("the first sheet");
    sheet.write_string(1, at(Column::To), "5511999998888").expect("writes");
    sheet.write_string(1, at(Column::Message), " Olá {{ nome }} ").expect("writes");
    sheet.write_string(1, at(Column::MessageType), "marketing").expect("writes");
    sheet.write_number(1, at(Column::Priority), 7).expect("writes");
    let date = ExcelDateTime::from_ymd(2030, 1, 22).and_then(|d| d.and_hms(10, 30, 0)).expect("a date");
    sheet
        .write_datetime_with_format(
            1,
            at(Column::ScheduledAt),
            &date,
            &Format::new().set_num_format("yyyy-mm-dd hh:mm"),
        )
        .expect("writes");
    sheet.write_string(1, at(Column::RequiresApproval), "SIM").expect("writes");
    sheet.write_string(1, at(Column::Variables), r#"{"cidade":"Recife"}"#).expect("writes");
    // Row 3 stays empty: it does not count as a row, and the next one keeps its number.
    sheet.write_number(3, at(Column::To), 5_511_999_998_888_f64).expect("writes");
    sheet.write_string(3, at(Column::Message), "oi").expect("writes");
    sheet.write_boolean(3, at(Column::ForceDirect), true).expect("writes");
    sheet.write_number(3, at(Column::ExternalId), 12345).expect("writes");
    sheet.write_string(3, at(Column::ScheduledAt), "2030-01-22T10:00:00-03:00").expect("writes");
    let rows = rows(&save(workbook));

    let first = MessageRow {
        to: Some("5511999998888".to_owned()),
        message: Some("Olá {{ nome }}".to_owned()),
        message_type: Some("MARKETING".to_owned()),
        priority: Some(7),
        scheduled_at: Some("2030-01-22T10:30:00".to_owned()),
        requires_approval: Some(true),
        variables: json!({"cidade": "Recife"}).as_object().cloned().expect("an object"),
        ..MessageRow::default()
    };
    let second = MessageRow {
        to: Some("5511999998888".to_owned()),
        message: Some("oi".to_owned()),
        force_direct: Some(true),
        external_id: Some("12345".to_owned()),
        scheduled_at: Some("2030-01-22T10:00:00-03:00".to_owned()),
        ..MessageRow::default()
    };
    assert_eq!(rows, [ReadRow { row: 2, message: Ok(first) }, ReadRow { row: 4, message: Ok(second) }]);
}

/// A workbook of one sheet with these texts.
fn plain(cells: &[&[&str]]) -> Saved {
    let mut workbook = Workbook::new();
    let sheet = workbook.add_worksheet();
    for (row, line) in (0..).zip(cells) {
        for (column, text) in (0..).zip(*line) {
            sheet.write_string(row, column, *text).expect("writes");
        }
    }
    save(workbook)
}

#[test]
fn headers_may_come_in_any_order_and_spelling_with_variables_of_their_own() {
    let rows = rows(&plain(&[&["Message *", "var.cidade", "TO"], &["oi", "Recife", "a@b.com"]]));
    let message = rows[0].message.as_ref().expect("a good row");
    assert_eq!((message.to.as_deref(), message.message.as_deref()), (Some("a@b.com"), Some("oi")));
    assert_eq!(message.variables["cidade"], "Recife");
}

#[test]
fn a_bad_cell_is_told_with_row_and_column_and_the_good_rows_stay() {
    let rows = rows(&plain(&[
        &["to", "message", "priority", "requiresApproval", "variables"],
        &["5511999998888", "oi", "11", "talvez", "[1]"],
        &["", "sem destino", "", "", ""],
        &["5511999998888", "boa", "3", "não", ""],
    ]));
    let problems = rows[0].message.as_ref().expect_err("three bad cells");
    let columns: Vec<_> = problems.iter().map(|p| p.column.as_str()).collect();
    assert_eq!((rows[0].row, columns), (2, vec!["priority", "requiresApproval", "variables"]));
    let problems = rows[1].message.as_ref().expect_err("no recipient");
    assert_eq!((rows[1].row, problems[0].column.as_str()), (3, "to"));
    assert!(rows[2].message.is_ok());
}

#[test]
fn a_phone_number_that_lost_its_digits_is_refused() {
    let mut workbook = Workbook::new();
    let sheet = workbook.add_worksheet();
    for (column, header) in [(0, "to"), (1, "message")] {
        sheet.write_string(0, column, header).expect("writes");
    }
    for (row, number) in (1..).zip([5.5e30, 55.5, -5.0]) {
        sheet.write_number(row, 0, number).expect("writes");
        sheet.write_string(row, 1, "oi").expect("writes");
    }
    for row in rows(&save(workbook)) {
        assert_eq!(row.message.expect_err("no phone number")[0].column, "to");
    }
}

#[test]
fn a_header_that_is_not_the_templates_is_refused_and_named() {
    let error = |cells: &[&[&str]]| Sheet::open(&plain(cells).path).err().map(|e| e.to_string()).unwrap_or_default();
    assert!(error(&[&["to", "message", "mensage"], &["a", "b", "c"]]).contains("column C (\"mensage\") is unknown"));
    assert!(error(&[&["to"], &["a"]]).contains("the column message is missing"));
    assert!(error(&[&["to", "message", "To"], &["a", "b", "c"]]).contains("column C repeats to"));
    assert!(error(&[&["to", "message"]]).contains("no rows"));
    assert!(error(&[]).contains("no rows"));
}

#[test]
fn the_template_by_itself_has_no_rows() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("template.xlsx");
    std::fs::write(&path, template().expect("writes")).expect("saves");
    assert!(matches!(Sheet::open(&path), Err(SheetError::Empty)));
}
