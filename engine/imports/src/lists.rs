//! Lists of recipients: a workbook (xlsx) or a text file with separators (CSV), with a header. One column has the addresses, one may have
//! names, the others have values for variables, under the name of their column. Reading is bounded and on a thread that may block.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::sync::Arc;

use async_trait::async_trait;
use calamine::{Reader, Xlsx};
use pombo_domain::ports::{MAX_WORKBOOK_BYTES, RecipientList, RecipientLists, RecipientRow};
use pombo_domain::{Error, ErrorCode, Field, Result};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::spreadsheet::reader::{content, text};
use crate::spreadsheet::{MAX_ROWS, archive};

/// Headers of the column of addresses, in lower case.
const TO: &[&str] = &["to", "para", "telefone", "phone", "numero", "número", "whatsapp", "email", "e-mail"];
/// Headers of the column of names, in lower case.
const NAME: &[&str] = &["name", "nome", "contactname"];
/// Columns of a list, at most.
const MAX_COLUMNS: usize = 100;
/// Files that come in at once, each held in memory.
const PLACES: usize = 8;
/// Files read at once.
const AT_ONCE: usize = 2;

/// Reads lists; see the module.
pub struct ListReader {
    places: Arc<Semaphore>,
    turns: Arc<Semaphore>,
}

impl Default for ListReader {
    fn default() -> Self {
        Self { places: Arc::new(Semaphore::new(PLACES)), turns: Arc::new(Semaphore::new(AT_ONCE)) }
    }
}

impl RecipientLists for ListReader {
    fn reserve(&self) -> Result<Box<dyn RecipientList>> {
        let busy = || Error {
            retry_after_ms: Some(2_000),
            ..Error::new(ErrorCode::RateLimited, "other lists are coming in; send this one again in a moment")
        };
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| busy())?;
        Ok(Box::new(Incoming { _place: place, turns: Arc::clone(&self.turns) }))
    }
}

/// A list on its way in, with its place.
struct Incoming {
    _place: OwnedSemaphorePermit,
    turns: Arc<Semaphore>,
}

#[async_trait]
impl RecipientList for Incoming {
    async fn read(self: Box<Self>, file: Vec<u8>) -> Result<Vec<RecipientRow>> {
        let turn = Arc::clone(&self.turns).acquire_owned().await;
        let _turn = turn.map_err(|_| Error::internal("the turns of lists of recipients are closed"))?;
        let read = tokio::task::spawn_blocking(move || rows(file)).await;
        read.map_err(|_| Error::internal("reading a list of recipients panicked"))?
    }
}

fn wrong(message: impl Into<String>) -> Error {
    Error::invalid(Field::File, message)
}

/// The rows of a file, whichever of the two it is.
fn rows(file: Vec<u8>) -> Result<Vec<RecipientRow>> {
    if file.len() as u64 > MAX_WORKBOOK_BYTES {
        return Err(wrong("is larger than 20 MB; split it"));
    }
    let mut list = List::default();
    if file.starts_with(b"PK\x03\x04") {
        workbook(file, &mut list)?;
    } else {
        let text = String::from_utf8(file).map_err(|_| wrong("is neither an xlsx workbook nor a text in UTF-8"))?;
        separated(text.trim_start_matches('\u{feff}'), &mut list)?;
    }
    if list.rows.is_empty() {
        return Err(wrong("has no rows below its header"));
    }
    Ok(list.rows)
}

/// A list while its lines come in, the header first.
#[derive(Default)]
struct List {
    header: Option<Header>,
    rows: Vec<RecipientRow>,
}

struct Header {
    names: Vec<String>,
    to: usize,
    name: Option<usize>,
}

impl List {
    /// Takes a line with its cells; an empty one is left out.
    fn line(&mut self, line: u32, cells: Vec<String>) -> Result<()> {
        if cells.iter().all(|cell| cell.trim().is_empty()) {
            return Ok(());
        }
        let Some(header) = &self.header else {
            self.header = Some(Header::of(cells)?);
            return Ok(());
        };
        if self.rows.len() >= MAX_ROWS as usize {
            return Err(wrong(format!("has more than {MAX_ROWS} rows; split it")));
        }
        let mut row = RecipientRow { line, ..RecipientRow::default() };
        let mut values = BTreeMap::new();
        for (at, cell) in cells.into_iter().enumerate() {
            let cell = cell.trim();
            let Some(name) = header.names.get(at).filter(|_| !cell.is_empty()) else { continue };
            if at == header.to {
                row.to = cell.to_owned();
                continue;
            }
            if Some(at) == header.name {
                row.name = Some(cell.to_owned());
            }
            if !name.is_empty() {
                values.insert(name.clone(), cell.to_owned());
            }
        }
        row.values = values;
        self.rows.push(row);
        Ok(())
    }
}

impl Header {
    fn of(cells: Vec<String>) -> Result<Self> {
        let names: Vec<String> = cells.into_iter().map(|cell| cell.trim().to_owned()).collect();
        if names.len() > MAX_COLUMNS {
            return Err(wrong(format!("has more than {MAX_COLUMNS} columns")));
        }
        let mut seen = std::collections::BTreeSet::new();
        if let Some(twice) = names.iter().find(|name| !name.is_empty() && !seen.insert(name.to_lowercase())) {
            return Err(wrong(format!("has two columns called {twice:?}")));
        }
        let find = |words: &[&str]| names.iter().position(|name| words.contains(&name.to_lowercase().as_str()));
        let to =
            find(TO).ok_or_else(|| wrong(format!("has no column of addresses; call it one of {}", TO.join(", "))))?;
        let name = find(NAME);
        Ok(Self { names, to, name })
    }
}

fn workbook(file: Vec<u8>, list: &mut List) -> Result<()> {
    archive::check(Cursor::new(&file)).map_err(|error| wrong(error.to_string()))?;
    let unreadable = |error: calamine::XlsxError| wrong(format!("is not a readable xlsx workbook: {error}"));
    let mut workbook: Xlsx<_> = Xlsx::new(Cursor::new(file)).map_err(unreadable)?;
    let sheet = workbook.sheet_names().first().cloned().ok_or_else(|| wrong("has no sheet"))?;
    let mut cells = workbook.worksheet_cells_reader(&sheet).map_err(unreadable)?;
    let mut line: Vec<String> = Vec::new();
    let mut current = None;
    while let Some(found) = cells.next_cell().map_err(unreadable)? {
        let (row, column) = found.get_position();
        if column as usize >= MAX_COLUMNS {
            continue;
        }
        let Some(cell) = content(found.get_value()) else { continue };
        if current != Some(row) {
            match current.replace(row) {
                Some(before) if before > row => return Err(wrong("has rows that are not in order")),
                Some(before) => list.line(before + 1, std::mem::take(&mut line))?,
                None => {}
            }
        }
        let cell = text(cell).map_err(|problem| wrong(format!("line {}: a cell {problem}", row + 1)))?;
        line.resize(line.len().max(column as usize + 1), String::new());
        line[column as usize] = cell;
    }
    match current {
        Some(row) => list.line(row + 1, line),
        None => Ok(()),
    }
}

/// A text with separators: a semicolon, a comma or a tab, whichever the header has most of. Cells may be in quotes.
fn separated(text: &str, list: &mut List) -> Result<()> {
    let head = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let count = |separator: char| head.matches(separator).count();
    let separator = [',', '\t', ';'].into_iter().max_by_key(|separator| count(*separator)).unwrap_or(';');
    let (mut cells, mut cell) = (Vec::new(), String::new());
    let (mut quoted, mut line, mut begun) = (false, 1_u32, 1_u32);
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => {
                letters.next();
                cell.push('"');
            }
            '"' if quoted => quoted = false,
            '"' if cell.trim().is_empty() => {
                cell.clear();
                quoted = true;
            }
            '\r' if !quoted => {}
            '\n' if !quoted => {
                cells.push(std::mem::take(&mut cell));
                list.line(begun, std::mem::take(&mut cells))?;
                line = line.saturating_add(1);
                begun = line;
            }
            letter if letter == separator && !quoted => {
                if cells.len() >= MAX_COLUMNS {
                    return Err(wrong(format!("line {begun}: has more than {MAX_COLUMNS} columns")));
                }
                cells.push(std::mem::take(&mut cell));
            }
            letter => {
                line = line.saturating_add(u32::from(letter == '\n'));
                cell.push(letter);
            }
        }
    }
    if quoted {
        return Err(wrong(format!("line {begun}: a quotation mark is not closed")));
    }
    cells.push(cell);
    list.line(begun, cells)
}

#[cfg(test)]
mod tests {
    use rust_xlsxwriter::Workbook;

    use super::*;

    fn row(line: u32, to: &str, name: Option<&str>, values: &[(&str, &str)]) -> RecipientRow {
        let values = values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        RecipientRow { line, to: to.to_owned(), name: name.map(str::to_owned), values }
    }

    #[test]
    fn a_text_is_read_with_quotes_lines_and_either_separator() {
        let text = "\u{feff}Telefone;Nome;cidade\r\n\r\n5511;\"Ana \"\"A\"\"\";\"São;Paulo\"\r\n5522;;\"a\nb\"\n5533\n";
        let read = rows(text.as_bytes().to_vec()).expect("a list");
        let expected = [
            row(3, "5511", Some("Ana \"A\""), &[("Nome", "Ana \"A\""), ("cidade", "São;Paulo")]),
            row(4, "5522", None, &[("cidade", "a\nb")]),
            row(6, "5533", None, &[]),
        ];
        assert_eq!(read, expected);
        let comma = rows(b"to,x\n1,\"a,b\"".to_vec()).expect("a list");
        assert_eq!(comma, [row(2, "1", None, &[("x", "a,b")])]);
    }

    #[test]
    fn a_workbook_is_read_with_numbers_as_their_digits() {
        let mut book = Workbook::new();
        let sheet = book.add_worksheet();
        sheet.write(0, 0, "nome").expect("written");
        sheet.write(0, 1, "telefone").expect("written");
        sheet.write(2, 0, "Ana").expect("written");
        sheet.write(2, 1, 5_511_999_998_888_u64 as f64).expect("written");
        let file = book.save_to_buffer().expect("a workbook");
        assert_eq!(rows(file).expect("a list"), [row(3, "5511999998888", Some("Ana"), &[("nome", "Ana")])]);
    }

    #[tokio::test]
    async fn only_so_many_lists_come_in_at_once() {
        let reader = ListReader::default();
        let mut places: Vec<_> = (0..PLACES).map(|_| reader.reserve().expect("a place")).collect();
        let refused = reader.reserve().err().expect("there is no place left");
        assert_eq!((refused.code, refused.retry_after_ms), (ErrorCode::RateLimited, Some(2_000)));
        let place = places.pop().expect("there are some");
        assert_eq!(place.read(b"to\n1\n".to_vec()).await.expect("a list").len(), 1);
        assert!(reader.reserve().is_ok(), "its place is free again");
    }

    #[test]
    fn what_is_not_a_list_is_refused_with_what_is_wrong() {
        let problem = |file: &[u8]| rows(file.to_vec()).expect_err("it is not a list").message;
        assert!(problem(b"to;x\n").contains("no rows"));
        assert!(problem(b"x;y\n1;2\n").contains("no column of addresses"));
        assert!(problem(b"to;a;A\n1;2;3\n").contains("two columns"));
        assert!(problem(b"to;a\n1;\"x\n").contains("not closed"));
        assert!(problem(&[0xff, 0xfe, 1]).contains("UTF-8"));
        assert!(problem(b"PK\x03\x04nothing").contains("xlsx"));
    }
}
