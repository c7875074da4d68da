//! Lists as files, written as they are read, so that a large one is never in memory whole.

use std::collections::VecDeque;
use std::marker::PhantomData;

use futures::{StreamExt, stream};
use poem::http::header;
use poem::{Body, IntoResponse, Response};
use poem_openapi::payload::{Payload, PlainText};
use poem_openapi::registry::{MetaMediaType, MetaResponse, MetaResponses, Registry};
use poem_openapi::types::Type;
use poem_openapi::{ApiResponse, Enum};

use crate::csv;
use crate::error::Failure;

/// Form of an export.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[oai(rename_all = "snake_case")]
pub enum ExportFormat {
    /// JSON.
    Json,
    /// A table with a head, as spreadsheets read it.
    Csv,
}

/// A list to be exported: where its rows come from, and how each is written.
pub trait Export: Send + 'static {
    /// A row.
    type Row: Send;
    /// What the whole file is in JSON, as the document has it.
    type Json: Type + Send;
    /// Name of the file, without its ending.
    const FILE: &'static str;
    /// What the file is, for the document.
    const DESCRIPTION: &'static str;
    /// What stands in JSON before the rows, and behind them.
    const AROUND: (&'static str, &'static str) = ("[", "]");
    /// The columns' names in CSV.
    const HEAD: &'static [&'static str];

    /// The next rows, which may be none; `None` behind the last ones.
    fn next(&mut self) -> impl Future<Output = Result<Option<Vec<Self::Row>>, Failure>> + Send;
    /// A row as JSON.
    fn json(row: &Self::Row) -> Result<String, Failure>;
    /// A row's cells, one for each column.
    fn cells(row: &Self::Row) -> Vec<String>;
}

/// A file under way.
pub struct Download<E> {
    format: ExportFormat,
    body: Body,
    of: PhantomData<fn() -> E>,
}

/// Where a file's text stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Written {
    Nothing,
    Head,
    Rows,
    End,
}

/// Writes piece after piece.
struct Writer<E> {
    export: E,
    format: ExportFormat,
    written: Written,
}

impl<E: Export> Writer<E> {
    /// The next piece of the file; `None` at its end.
    async fn next(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        if self.written == Written::End {
            return Ok(None);
        }
        let rows = self.export.next().await?;
        let mut text = String::with_capacity(rows.as_ref().map_or(0, Vec::len) * 200);
        if self.written == Written::Nothing {
            match self.format {
                ExportFormat::Csv => csv::line(E::HEAD, &mut text),
                ExportFormat::Json => text.push_str(E::AROUND.0),
            }
            self.written = Written::Head;
        }
        match rows {
            Some(rows) => {
                for row in &rows {
                    self.row(row, &mut text)?;
                }
            }
            None => {
                if self.format == ExportFormat::Json {
                    text.push_str(E::AROUND.1);
                }
                self.written = Written::End;
            }
        }
        Ok(Some(text.into_bytes()))
    }

    fn row(&mut self, row: &E::Row, text: &mut String) -> Result<(), Failure> {
        match self.format {
            ExportFormat::Csv => csv::line(&E::cells(row), text),
            ExportFormat::Json => {
                if self.written == Written::Rows {
                    text.push(',');
                }
                text.push_str(&E::json(row)?);
            }
        }
        self.written = Written::Rows;
        Ok(())
    }
}

impl<E: Export> Download<E> {
    /// Begins the file. Its first piece is read before the answer begins, so that a failing store is an error and not half a file.
    pub async fn begin(export: E, format: ExportFormat) -> Result<Self, Failure> {
        let mut writer = Writer { export, format, written: Written::Nothing };
        let first = VecDeque::from_iter(writer.next().await?);
        let pieces = stream::unfold((first, Some(writer)), |(mut ready, writer)| async move {
            if let Some(piece) = ready.pop_front() {
                return Some((Ok(piece), (ready, writer)));
            }
            let mut writer = writer?;
            match writer.next().await {
                Ok(Some(piece)) => Some((Ok(piece), (ready, Some(writer)))),
                Ok(None) => None,
                // The file breaks off: the reader of the stream sees that it is not whole.
                Err(_) => Some((Err(std::io::Error::other("the list cannot be read now")), (ready, None))),
            }
        });
        Ok(Self { format, body: Body::from_bytes_stream(pieces.boxed()), of: PhantomData })
    }
}

impl<E: Export> IntoResponse for Download<E> {
    fn into_response(self) -> Response {
        let (content_type, ending) = match self.format {
            ExportFormat::Json => ("application/json", "json"),
            ExportFormat::Csv => ("text/csv; charset=utf-8", "csv"),
        };
        let disposition = format!("attachment; filename=\"{}.{ending}\"", E::FILE);
        Response::builder()
            .content_type(content_type)
            .header(header::CONTENT_DISPOSITION, disposition)
            .header("x-content-type-options", "nosniff")
            .body(self.body)
    }
}

impl<E: Export> ApiResponse for Download<E> {
    fn meta() -> MetaResponses {
        let content = vec![
            MetaMediaType { content_type: "application/json", schema: E::Json::schema_ref() },
            MetaMediaType { content_type: "text/csv", schema: <PlainText<String> as Payload>::schema_ref() },
        ];
        let response = MetaResponse {
            description: E::DESCRIPTION,
            status: Some(200),
            status_range: None,
            content,
            headers: Vec::new(),
        };
        MetaResponses { responses: vec![response] }
    }

    fn register(registry: &mut Registry) {
        E::Json::register(registry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives these pieces, then fails if told to.
    struct Numbers(VecDeque<Vec<u32>>, bool);

    impl Export for Numbers {
        type Row = u32;
        type Json = Vec<u32>;
        const FILE: &'static str = "numbers";
        const DESCRIPTION: &'static str = "Numbers.";
        const HEAD: &'static [&'static str] = &["number", "formula"];

        async fn next(&mut self) -> Result<Option<Vec<u32>>, Failure> {
            match self.0.pop_front() {
                None if self.1 => Err(Failure::bad_request("no")),
                rows => Ok(rows),
            }
        }
        fn json(row: &u32) -> Result<String, Failure> {
            Ok(row.to_string())
        }
        fn cells(row: &u32) -> Vec<String> {
            vec![row.to_string(), format!("={row}")]
        }
    }

    async fn written(pieces: Vec<Vec<u32>>, format: ExportFormat) -> (String, String) {
        let file = Download::begin(Numbers(pieces.into(), false), format).await.expect("a file");
        let response = file.into_response();
        let name = response.header(header::CONTENT_DISPOSITION).unwrap_or_default().to_owned();
        (name, response.into_body().into_string().await.expect("a text"))
    }

    #[tokio::test]
    async fn a_file_is_whole_however_its_rows_come() {
        let json = |text: &str| ("attachment; filename=\"numbers.json\"".to_owned(), text.to_owned());
        let csv = |text: &str| ("attachment; filename=\"numbers.csv\"".to_owned(), text.to_owned());
        for pieces in [vec![], vec![vec![]]] {
            assert_eq!(written(pieces.clone(), ExportFormat::Json).await, json("[]"));
            assert_eq!(written(pieces, ExportFormat::Csv).await, csv("number,formula\r\n"));
        }
        for pieces in [vec![vec![1, 2, 3]], vec![vec![1], vec![], vec![2, 3]], vec![vec![], vec![1, 2], vec![3]]] {
            assert_eq!(written(pieces.clone(), ExportFormat::Json).await, json("[1,2,3]"));
            let text = "number,formula\r\n1,\"'=1\"\r\n2,\"'=2\"\r\n3,\"'=3\"\r\n";
            assert_eq!(written(pieces, ExportFormat::Csv).await, csv(text));
        }
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_begun_is_an_error_and_one_that_breaks_off_is_seen() {
        let begun = Download::begin(Numbers(VecDeque::new(), true), ExportFormat::Json).await;
        assert!(begun.is_err());
        let pieces = VecDeque::from([vec![1]]);
        let file = Download::begin(Numbers(pieces, true), ExportFormat::Json).await.expect("it begins");
        assert!(file.into_response().into_body().into_string().await.is_err());
    }
}
