//! Writes the empty workbook that people fill in. Its first sheet has only headers, because an example row would be sent.

use rust_xlsxwriter::{
    DataValidation, DataValidationErrorStyle, DataValidationRule, Format, FormatAlign, FormatBorder, Note, Workbook,
    XlsxError,
};

use super::MAX_ROWS;
use super::columns::{Column, INSTRUCTIONS_SHEET, Kind, MESSAGES_SHEET};

/// The template, an xlsx file.
pub fn template() -> Result<Vec<u8>, XlsxError> {
    workbook()?.save_to_buffer()
}

/// The template before it is saved, for tests to fill in.
pub(super) fn workbook() -> Result<Workbook, XlsxError> {
    let mut workbook = Workbook::new();
    write_messages(&mut workbook)?;
    write_instructions(&mut workbook)?;
    Ok(workbook)
}

fn header_format() -> Format {
    Format::new().set_bold().set_background_color(0x00DD_EBF7).set_border_bottom(FormatBorder::Thin).set_num_format("@")
}

fn write_messages(workbook: &mut Workbook) -> Result<(), XlsxError> {
    let sheet = workbook.add_worksheet();
    sheet.set_name(MESSAGES_SHEET)?;
    sheet.set_freeze_panes(1, 0)?;
    let header = header_format();
    for (at, column) in (0..).zip(Column::ALL) {
        let about = column.about();
        let format = match about.kind {
            Kind::Priority => Format::new().set_num_format("0"),
            Kind::DateTime => Format::new().set_num_format("yyyy\\-mm\\-dd\\ hh:mm"),
            Kind::Text | Kind::List(_) => Format::new().set_num_format("@"),
        };
        sheet.set_column_width(at, about.width)?;
        sheet.set_column_format(at, &format)?;
        sheet.write_string_with_format(0, at, about.header, &header)?;
        sheet.insert_note(0, at, &Note::new(about.explanation).set_width(260).set_height(110))?;
        let validation = match about.kind {
            Kind::List(values) => DataValidation::new().allow_list_strings(values)?,
            Kind::Priority => DataValidation::new().allow_whole_number(DataValidationRule::Between(1, 10)),
            Kind::Text | Kind::DateTime => continue,
        };
        let validation = validation
            .set_error_style(DataValidationErrorStyle::Stop)
            .set_error_title(about.header)?
            .set_error_message(about.explanation)?;
        sheet.add_data_validation(1, at, MAX_ROWS, at, &validation)?;
    }
    Ok(())
}

fn write_instructions(workbook: &mut Workbook) -> Result<(), XlsxError> {
    let sheet = workbook.add_worksheet();
    sheet.set_name(INSTRUCTIONS_SHEET)?;
    let header = header_format();
    let wrapped = Format::new().set_text_wrap().set_align(FormatAlign::Top);
    let text = wrapped.clone().set_num_format("@");
    for (at, (title, width)) in
        (0..).zip([("Coluna", 20.0), ("Obrigatória", 12.0), ("O que é", 80.0), ("Exemplo", 50.0)])
    {
        sheet.set_column_width(at, width)?;
        sheet.write_string_with_format(0, at, title, &header)?;
    }
    let mut row = 1;
    for column in Column::ALL {
        let about = column.about();
        sheet.write_string_with_format(row, 0, about.header, &wrapped)?;
        sheet.write_string_with_format(row, 1, if about.required { "SIM" } else { "NÃO" }, &wrapped)?;
        sheet.write_string_with_format(row, 2, about.explanation, &wrapped)?;
        sheet.write_string_with_format(row, 3, about.example, &text)?;
        row += 1;
    }
    row += 1;
    for line in [
        "Preencha a planilha \"Mensagens\", uma mensagem por linha. A ordem das colunas é livre e as opcionais podem faltar.",
        "Uma linha com problema não impede as outras: o relatório da importação diz a linha, a coluna e o motivo.",
        "No máximo 100.000 linhas e 20 MB por arquivo.",
    ] {
        sheet.write_string_with_format(row, 2, line, &wrapped)?;
        row += 1;
    }
    Ok(())
}
