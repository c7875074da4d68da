//! Reads a filled workbook. Blocking: run it on a blocking thread.
//!
//! Two passes over the sheet, each streaming: the first counts the rows with content, so that progress has a whole; the second
//! hands them out one by one. Only the shared strings are in memory.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Seek};
use std::path::Path;

use calamine::{DataRef, Reader, Xlsx, XlsxError};
use serde_json::{Map, Value};

use super::archive::{self, ArchiveError};
use super::columns::{Column, MESSAGES_SHEET, VARIABLE_HEADER};
use super::{MAX_ROWS, MAX_WORKBOOK_BYTES};

/// Cells to the right of this column are ignored.
const MAX_COLUMNS: u32 = 200;
/// The largest whole number that a cell keeps exactly: 2^53.
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;

/// Why a workbook cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SheetError {
    /// The file itself is not acceptable.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// It is larger than [`MAX_WORKBOOK_BYTES`].
    #[error("the file is larger than {} MB; split it", MAX_WORKBOOK_BYTES / 1024 / 1024)]
    TooLarge,
    /// It does not contain an xlsx workbook.
    #[error("the file is not a readable xlsx workbook: {0}")]
    Workbook(String),
    /// Its header is not the template's.
    #[error("{0}")]
    Header(String),
    /// It has more rows than [`MAX_ROWS`].
    #[error("the sheet has more than {MAX_ROWS} rows with content; split it")]
    TooManyRows,
    /// It has no rows below the header.
    #[error("the sheet has no rows below its header")]
    Empty,
    /// The temporary file cannot be read.
    #[error("the uploaded file could not be read: {0}")]
    Io(#[from] std::io::Error),
}

impl From<XlsxError> for SheetError {
    fn from(error: XlsxError) -> Self {
        Self::Workbook(error.to_string())
    }
}

/// A row with the fields of a message; its cells are read but not yet checked.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MessageRow {
    /// The field `connectorId`.
    pub connector_id: Option<String>,
    /// The field `to`.
    pub to: Option<String>,
    /// The field `message`.
    pub message: Option<String>,
    /// The field `contactName`.
    pub contact_name: Option<String>,
    /// The field `subject`.
    pub subject: Option<String>,
    /// `messageType`, in upper case.
    pub message_type: Option<String>,
    /// The field `priority`.
    pub priority: Option<u8>,
    /// `scheduledAt`: a text as it was written, or a date cell as `2030-01-22T10:00:00`, which has no zone.
    pub scheduled_at: Option<String>,
    /// The field `requiresApproval`.
    pub requires_approval: Option<bool>,
    /// The field `forceDirect`.
    pub force_direct: Option<bool>,
    /// The field `externalId`.
    pub external_id: Option<String>,
    /// The field `notes`.
    pub notes: Option<String>,
    /// The field `webhookUrl`.
    pub webhook_url: Option<String>,
    /// The field `attachmentUrl`.
    pub attachment_url: Option<String>,
    /// `variables` and the `var.` columns together.
    pub variables: Map<String, Value>,
}

/// A cell whose content does not fit its column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CellProblem {
    /// Header of the column.
    pub column: String,
    /// What is wrong and what to change.
    pub message: String,
}

/// A row with content.
#[derive(Debug, Clone, PartialEq)]
pub struct ReadRow {
    /// Number of the row in the sheet.
    pub row: u32,
    /// The fields of the row, or what is wrong with its cells.
    pub message: Result<MessageRow, Vec<CellProblem>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Target {
    Field(Column),
    Variable(String),
}

impl Target {
    fn header(&self) -> String {
        match self {
            Self::Field(column) => column.header().to_owned(),
            Self::Variable(name) => format!("{VARIABLE_HEADER}{name}"),
        }
    }
}

/// An open workbook whose header has been read.
pub struct Sheet {
    workbook: Xlsx<BufReader<File>>,
    name: String,
    header_row: u32,
    columns: BTreeMap<u32, Target>,
    rows_total: u32,
}

pub(crate) enum Cell {
    Text(String),
    Number(f64),
    Truth(bool),
    Date(String),
    Faulty(String),
}

impl Sheet {
    /// Opens a workbook: checks the archive, reads the header, counts the rows.
    pub fn open(path: &Path) -> Result<Self, SheetError> {
        let mut file = File::open(path)?;
        if file.metadata()?.len() > MAX_WORKBOOK_BYTES {
            return Err(SheetError::TooLarge);
        }
        archive::check(BufReader::new(&file))?;
        file.rewind()?;
        let workbook = Xlsx::new(BufReader::new(file))?;
        let names = workbook.sheet_names();
        let name = names.iter().find(|name| name.trim().eq_ignore_ascii_case(MESSAGES_SHEET)).or(names.first());
        let name = name.ok_or_else(|| SheetError::Workbook("it has no sheet".to_owned()))?.clone();
        let mut sheet = Self { workbook, name, header_row: 0, columns: BTreeMap::new(), rows_total: 0 };
        sheet.read_header()?;
        sheet.count_rows()?;
        Ok(sheet)
    }

    /// The number of rows with content below the header.
    pub fn rows_total(&self) -> u32 {
        self.rows_total
    }

    /// Whether the sheet has this column.
    pub fn has(&self, column: Column) -> bool {
        self.columns.values().any(|target| *target == Target::Field(column))
    }

    /// Passes the rows with content to `take` in order, until `take` returns false.
    pub fn read(&mut self, mut take: impl FnMut(ReadRow) -> bool) -> Result<(), SheetError> {
        let (header_row, columns) = (self.header_row, self.columns.clone());
        let mut cells = Vec::new();
        let mut current = None;
        let mut wanted = true;
        self.each_cell(|row, column, cell| {
            if row <= header_row || !columns.contains_key(&column) {
                return true;
            }
            if current != Some(row)
                && let Some(row) = current.replace(row)
            {
                wanted = take(typed(row, std::mem::take(&mut cells), &columns));
            }
            cells.push((column, cell));
            wanted
        })?;
        if let (true, Some(row)) = (wanted, current) {
            take(typed(row, cells, &columns));
        }
        Ok(())
    }

    fn read_header(&mut self) -> Result<(), SheetError> {
        let mut header: Option<u32> = None;
        let mut cells = Vec::new();
        self.each_cell(|row, column, cell| {
            if *header.get_or_insert(row) != row {
                return false;
            }
            cells.push((column, cell));
            true
        })?;
        self.header_row = header.ok_or(SheetError::Empty)?;
        let mut problems = Vec::new();
        for (at, cell) in cells {
            let Cell::Text(text) = cell else {
                problems.push(format!("column {} has a header that is not text", letters(at)));
                continue;
            };
            let target = match text.strip_prefix(VARIABLE_HEADER).map(str::trim) {
                Some(name) if !name.is_empty() => Some(Target::Variable(name.to_owned())),
                _ => Column::of_header(&text).map(Target::Field),
            };
            match target {
                None => problems.push(format!(
                    "column {} ({text:?}) is unknown; use the template's headers, and {VARIABLE_HEADER}name for a variable \
                     of the text",
                    letters(at)
                )),
                Some(target) if self.columns.values().any(|known| *known == target) => {
                    problems.push(format!("column {} repeats {}", letters(at), target.header()));
                }
                Some(target) => {
                    self.columns.insert(at, target);
                }
            }
        }
        for column in [Column::To, Column::Message] {
            if !self.has(column) {
                problems.push(format!("the column {} is missing", column.header()));
            }
        }
        if problems.is_empty() {
            return Ok(());
        }
        problems.truncate(20);
        Err(SheetError::Header(format!("row {}: {}", self.header_row + 1, problems.join("; "))))
    }

    fn count_rows(&mut self) -> Result<(), SheetError> {
        let (header_row, columns) = (self.header_row, self.columns.clone());
        let mut last = header_row;
        let mut total = 0;
        let mut ordered = true;
        self.each_cell(|row, column, _| {
            if row < last {
                ordered = false;
            } else if row > last && columns.contains_key(&column) {
                last = row;
                total += 1;
            }
            ordered && total <= MAX_ROWS
        })?;
        if !ordered {
            return Err(SheetError::Workbook("its rows are not in order".to_owned()));
        }
        if total > MAX_ROWS {
            return Err(SheetError::TooManyRows);
        }
        if total == 0 {
            return Err(SheetError::Empty);
        }
        self.rows_total = total;
        Ok(())
    }

    /// Passes the cells with content to `take`, until it returns false.
    fn each_cell(&mut self, mut take: impl FnMut(u32, u32, Cell) -> bool) -> Result<(), SheetError> {
        let mut cells = self.workbook.worksheet_cells_reader(&self.name)?;
        while let Some(found) = cells.next_cell()? {
            let (row, column) = found.get_position();
            if column >= MAX_COLUMNS {
                continue;
            }
            if let Some(cell) = content(found.get_value())
                && !take(row, column, cell)
            {
                break;
            }
        }
        Ok(())
    }
}

/// The content of a cell; `None` if it is empty or has only spaces.
pub(crate) fn content(value: &DataRef<'_>) -> Option<Cell> {
    let text = |text: &str| {
        let text = text.trim();
        (!text.is_empty()).then(|| Cell::Text(text.to_owned()))
    };
    match value {
        DataRef::Empty => None,
        DataRef::String(value) => text(value),
        DataRef::SharedString(value) => text(value),
        DataRef::Int(value) => Some(Cell::Number(*value as f64)),
        DataRef::Float(value) => Some(Cell::Number(*value)),
        DataRef::Bool(value) => Some(Cell::Truth(*value)),
        DataRef::DateTime(value) if value.is_datetime() && value.as_f64() >= 1.0 => {
            let (year, month, day, hour, minute, second, _) = value.to_ymd_hms_milli();
            Some(Cell::Date(format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")))
        }
        DataRef::DateTime(_) => Some(Cell::Faulty("is a duration or a time without a date".to_owned())),
        DataRef::DateTimeIso(value) => Some(Cell::Date(value.clone())),
        DataRef::DurationIso(_) => Some(Cell::Faulty("is a duration".to_owned())),
        DataRef::Error(error) => Some(Cell::Faulty(format!("has the error {error}"))),
    }
}

fn typed(row: u32, cells: Vec<(u32, Cell)>, columns: &BTreeMap<u32, Target>) -> ReadRow {
    let mut message = MessageRow::default();
    let mut problems = Vec::new();
    for (at, cell) in cells {
        let Some(target) = columns.get(&at) else { continue };
        if let Err(problem) = set(&mut message, target, cell) {
            problems.push(CellProblem { column: target.header(), message: problem });
        }
    }
    for (column, given) in [(Column::To, message.to.is_some()), (Column::Message, message.message.is_some())] {
        let header = column.header();
        if !given && !problems.iter().any(|problem| problem.column == header) {
            problems.push(CellProblem { column: header.to_owned(), message: "must not be empty".to_owned() });
        }
    }
    ReadRow { row: row + 1, message: if problems.is_empty() { Ok(message) } else { Err(problems) } }
}

fn set(row: &mut MessageRow, target: &Target, cell: Cell) -> Result<(), String> {
    let column = match target {
        Target::Field(column) => *column,
        Target::Variable(name) => {
            let value = match cell {
                Cell::Truth(value) => Value::Bool(value),
                cell => Value::String(text(cell)?),
            };
            row.variables.insert(name.clone(), value);
            return Ok(());
        }
    };
    match column {
        Column::ConnectorId => row.connector_id = Some(text(cell)?),
        Column::To => row.to = Some(recipient(cell)?),
        Column::Message => row.message = Some(text(cell)?),
        Column::ContactName => row.contact_name = Some(text(cell)?),
        Column::Subject => row.subject = Some(text(cell)?),
        Column::MessageType => row.message_type = Some(text(cell)?.to_uppercase()),
        Column::Priority => row.priority = Some(priority(cell)?),
        Column::ScheduledAt => {
            if let Cell::Number(_) = cell {
                return Err("is a number; format the column as a date, or write ISO 8601".to_owned());
            }
            row.scheduled_at = Some(text(cell)?);
        }
        Column::RequiresApproval => row.requires_approval = Some(truth(cell)?),
        Column::ForceDirect => row.force_direct = Some(truth(cell)?),
        Column::ExternalId => row.external_id = Some(text(cell)?),
        Column::Notes => row.notes = Some(text(cell)?),
        Column::WebhookUrl => row.webhook_url = Some(text(cell)?),
        Column::AttachmentUrl => row.attachment_url = Some(text(cell)?),
        Column::Variables => match serde_json::from_str(&text(cell)?) {
            Ok(Value::Object(given)) => {
                // A column of its own is the more specific word, wherever it stands.
                for (name, value) in given {
                    row.variables.entry(name).or_insert(value);
                }
            }
            _ => return Err("must be a JSON object such as {\"cidade\": \"Recife\"}".to_owned()),
        },
    }
    Ok(())
}

pub(crate) fn text(cell: Cell) -> Result<String, String> {
    match cell {
        Cell::Text(text) => Ok(text),
        Cell::Number(number) if whole(number) => Ok(format!("{number:.0}")),
        Cell::Number(number) => Ok(number.to_string()),
        Cell::Truth(value) => Ok(value.to_string()),
        Cell::Date(civil) => Ok(civil),
        Cell::Faulty(what) => Err(what),
    }
}

fn whole(number: f64) -> bool {
    number.fract() == 0.0 && number.abs() <= MAX_EXACT
}

/// The recipient in a cell; a number cell gives its digits if it has kept all of them.
fn recipient(cell: Cell) -> Result<String, String> {
    match cell {
        Cell::Number(number) if whole(number) && number > 0.0 => Ok(format!("{number:.0}")),
        Cell::Number(_) => {
            Err("is a number that is not a whole phone number; format the column as text and type it again".to_owned())
        }
        Cell::Truth(_) | Cell::Date(_) => {
            Err("is not a recipient; format the column as text and type it again".to_owned())
        }
        cell => text(cell),
    }
}

fn priority(cell: Cell) -> Result<u8, String> {
    let number = match &cell {
        Cell::Number(number) => Some(*number),
        Cell::Text(text) => text.parse().ok(),
        _ => None,
    };
    match number {
        Some(number) if whole(number) && (1.0..=10.0).contains(&number) => Ok(number as u8),
        _ => Err("must be a whole number from 1 to 10".to_owned()),
    }
}

fn truth(cell: Cell) -> Result<bool, String> {
    let word = match cell {
        Cell::Truth(value) => return Ok(value),
        cell => text(cell)?.to_lowercase(),
    };
    match word.as_str() {
        "sim" | "s" | "true" | "verdadeiro" | "yes" | "1" => Ok(true),
        "não" | "nao" | "n" | "false" | "falso" | "no" | "0" => Ok(false),
        _ => Err("must be SIM or NÃO".to_owned()),
    }
}

/// A column's letters: 0 is `A`, 26 is `AA`.
fn letters(column: u32) -> String {
    let mut left = column + 1;
    let mut reversed = Vec::new();
    while left > 0 {
        let digit = (left - 1) % 26;
        reversed.push(char::from(b'A' + digit as u8));
        left = (left - 1) / 26;
    }
    reversed.into_iter().rev().collect()
}
