//! Imports: messages from a spreadsheet, taken in chunks through the same code as a bulk.
//!
//! Each chunk has an Idempotency-Key of its own, made of the import's id and the chunk's number: after a crash the same file is
//! read again from its beginning, and the chunks that were already accepted give the same result as before. The caller reads the
//! file; this module handles its rows.

use std::borrow::Cow;
use std::collections::HashMap;

use uuid::Uuid;

use crate::commands::Commands;
use crate::commands::messages::send::{Draft, Idempotency};
use crate::commands::text::{self, Field};
use crate::model::Import;
use crate::model::import::{ImportStatus, RowProblem};
use crate::ports::{Batch, Change};
use crate::{Error, ErrorCode, Result, TenantIndex, Timestamp};

/// Number of rows of a chunk, except the last. Imports can be repeated only if it does not change between two readings of one
/// file.
pub const CHUNK_ROWS: usize = 500;
/// Maximum number of imports that a list shows, newest first.
pub const MAX_LISTED: usize = 250;

/// A row as it was read.
pub struct ImportRow {
    /// Number of the row in the sheet.
    pub row: u32,
    /// The message of the row, or what is wrong with its cells: (column, message).
    pub draft: Result<Draft<'static>, Vec<(String, String)>>,
}

impl Commands {
    /// An import of a tenant.
    pub fn get_import(&self, tenant: TenantIndex, id: Uuid) -> Result<Import> {
        self.ports().store.import(tenant, id)?.ok_or_else(|| Error::not_found("Import"))
    }

    /// A tenant's imports, newest first, without their reports.
    pub fn list_imports(&self, tenant: TenantIndex) -> Result<Vec<Import>> {
        Ok(self.ports().store.imports(tenant, MAX_LISTED)?)
    }

    /// All tenants' imports that have not ended: after a start, those that were interrupted.
    pub fn running_imports(&self) -> Result<Vec<Import>> {
        let mut running = Vec::new();
        for tenant in self.ports().store.tenants()? {
            let imports = self.ports().store.imports(tenant.index, MAX_LISTED)?;
            for import in imports.into_iter().filter(|import| import.status == ImportStatus::Running) {
                running.extend(self.ports().store.import(tenant.index, import.id)?);
            }
        }
        Ok(running)
    }

    /// Checks whether an import may use this connector for rows that name none.
    pub fn check_import_connector(&self, tenant: TenantIndex, connector: &str) -> Result<()> {
        let unknown = || Error::invalid("connectorId", "no such connector; use the id of one of your connectors");
        let id = Uuid::parse_str(connector).map_err(|_| unknown())?;
        match self.get_connector(tenant, id) {
            Ok(_) => Ok(()),
            Err(error) if error.code == ErrorCode::NotFound => Err(unknown()),
            Err(error) => Err(error),
        }
    }

    /// Stores a new import; its rows follow.
    pub async fn begin_import(&self, tenant: TenantIndex, id: Uuid, file_name: &str) -> Result<Import> {
        let cleaned: String = file_name.chars().filter(|c| !c.is_control()).take(255).collect();
        let named = text::checked_optional(Field { name: "file", max_chars: 255, lines: false }, Some(&cleaned))?;
        let import = Import {
            id,
            tenant,
            file_name: named.unwrap_or_else(|| "import.xlsx".to_owned()),
            status: ImportStatus::Running,
            rows_total: 0,
            rows_read: 0,
            accepted: 0,
            rejected: 0,
            problems: Vec::new(),
            messages: Vec::new(),
            error: None,
            created_at: self.ports().clock.now(),
            finished_at: None,
        };
        self.save_import(&import).await?;
        Ok(import)
    }

    /// Stores the progress of an import.
    pub async fn save_import(&self, import: &Import) -> Result<()> {
        self.ports().store.commit(Batch::of(vec![Change::Import(import.clone())])).await?;
        Ok(())
    }

    /// Ends an import: done, or failed with the reason.
    pub async fn finish_import(&self, import: &mut Import, error: Option<String>) -> Result<()> {
        import.status = if error.is_some() { ImportStatus::Failed } else { ImportStatus::Done };
        import.error = error;
        import.finished_at = Some(self.ports().clock.now());
        self.save_import(import).await
    }

    /// Handles chunk number `chunk` of an import and records the result of each row in it. `connector` is used for rows that name
    /// none. Does not store the import; if it fails, nothing of the chunk is recorded and it may be repeated.
    pub async fn import_chunk(
        &self,
        import: &mut Import,
        chunk: u32,
        connector: Option<&str>,
        rows: &[ImportRow],
    ) -> Result<()> {
        let read = rows.len();
        let mut numbers = Vec::with_capacity(read);
        let mut drafts = Vec::with_capacity(read);
        let mut problems = Vec::new();
        let mut zones = HashMap::new();
        let mut refused = 0;
        for ImportRow { row, draft } in rows {
            match draft {
                Ok(draft) => {
                    let mut draft = draft.clone();
                    if draft.connector_id.is_none() {
                        draft.connector_id = connector.map(|id| Cow::Owned(id.to_owned()));
                    }
                    self.localise(import.tenant, &mut draft, &mut zones)?;
                    numbers.push(*row);
                    drafts.push(draft);
                }
                Err(found) => {
                    refused += 1;
                    problems.extend(found.iter().map(|(column, message)| RowProblem {
                        row: *row,
                        column: column.clone(),
                        message: message.clone(),
                    }));
                }
            }
        }
        let outcomes = if drafts.is_empty() {
            Vec::new()
        } else {
            let mut content = [0; 32];
            content[..16].copy_from_slice(import.id.as_bytes());
            content[16..20].copy_from_slice(&chunk.to_be_bytes());
            let key = Idempotency::new("import", &format!("{}/{chunk}", import.id), content)?;
            self.send_bulk(import.tenant, &drafts, Some(key)).await?
        };
        for (row, outcome) in numbers.into_iter().zip(outcomes) {
            match outcome {
                Ok(accepted) => {
                    import.accepted += 1;
                    import.messages.push((row, accepted.id));
                }
                Err(error) => {
                    refused += 1;
                    problems.extend(row_problems(row, error));
                }
            }
        }
        problems.sort_by_key(|problem| problem.row);
        import.rows_read += read as u32;
        import.rejected += refused;
        let room = Import::KEPT_PROBLEMS.saturating_sub(import.problems.len());
        import.problems.extend(problems.into_iter().take(room));
        Ok(())
    }

    /// A schedule without an offset is in the connector's time zone, because a spreadsheet's dates have no zone.
    fn localise(
        &self,
        tenant: TenantIndex,
        draft: &mut Draft<'static>,
        zones: &mut HashMap<String, Option<jiff::tz::TimeZone>>,
    ) -> Result<()> {
        let (Some(at), Some(id)) = (draft.scheduled_at.as_deref(), draft.connector_id.as_deref()) else {
            return Ok(());
        };
        let zone = match zones.get(id) {
            Some(zone) => zone.clone(),
            None => {
                let connector = match Uuid::parse_str(id) {
                    Ok(id) => self.ports().store.connector_by_id(tenant, id)?,
                    Err(_) => None,
                };
                let zone = connector.and_then(|found| jiff::tz::TimeZone::get(&found.pace.time_zone).ok());
                zones.insert(id.to_owned(), zone.clone());
                zone
            }
        };
        if let Some(instant) = zone.and_then(|zone| in_zone(at, zone)) {
            draft.scheduled_at = Some(Cow::Owned(instant.to_iso()));
        }
        Ok(())
    }
}

/// The instant of a civil time in a zone; `None` for a text that has its own offset or is not a time.
fn in_zone(text: &str, zone: jiff::tz::TimeZone) -> Option<Timestamp> {
    if text.trim().parse::<jiff::Timestamp>().is_ok() {
        return None;
    }
    let civil: jiff::civil::DateTime = text.trim().parse().ok()?;
    Some(Timestamp(civil.to_zoned(zone).ok()?.timestamp().as_millisecond()))
}

/// The problems of a refused row by column: the fields of a message are the headers of the columns.
fn row_problems(row: u32, error: Error) -> Vec<RowProblem> {
    if error.fields.is_empty() {
        // An error about the connector names it at the beginning of its sentence.
        let (column, message) = match error.message.split_once(": ") {
            Some((column, message)) if column.chars().all(|c| c.is_ascii_alphanumeric()) => (column, message),
            _ => ("", error.message.as_str()),
        };
        return vec![RowProblem { row, column: column.to_owned(), message: message.to_owned() }];
    }
    let problem = |field: crate::FieldProblem| RowProblem { row, column: field.field, message: field.message };
    error.fields.into_iter().map(problem).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_without_an_offset_is_in_the_connectors_zone() {
        let zone = || jiff::tz::TimeZone::get("America/Sao_Paulo").expect("bundled");
        let iso = |text| in_zone(text, zone()).map(Timestamp::to_iso);
        assert_eq!(iso("2030-01-22T10:00:00").as_deref(), Some("2030-01-22T13:00:00.000Z"));
        assert_eq!(iso("2030-01-22 10:00").as_deref(), Some("2030-01-22T13:00:00.000Z"));
        assert_eq!(iso("2030-01-22").as_deref(), Some("2030-01-22T03:00:00.000Z"));
        assert_eq!(iso("2030-01-22T10:00:00Z"), None, "it has its own");
        assert_eq!(iso("amanhã"), None);
    }

    #[test]
    fn a_refused_row_names_its_columns() {
        let columns = |error| row_problems(7, error).into_iter().map(|p| (p.row, p.column)).collect::<Vec<_>>();
        assert_eq!(columns(Error::invalid("to", "bad")), [(7, "to".to_owned())]);
        let unknown = Error::new(ErrorCode::NotFound, "connectorId: no such connector");
        assert_eq!(columns(unknown), [(7, "connectorId".to_owned())]);
        assert_eq!(columns(Error::conflict("try again")), [(7, String::new())]);
    }
}
