//! Imports: messages from a spreadsheet, taken in chunks through the same code as a bulk.
//!
//! Each chunk has an idempotency key of its own, made of the import's id and the chunk's number: after a crash the same file is
//! read again from its beginning, and the chunks that were already accepted give the same result as before. The caller reads the
//! file; this module handles its rows.

use std::collections::HashMap;

use uuid::Uuid;

use crate::commands::Commands;
use crate::commands::messages::send::{Draft, Idempotency};
use crate::commands::text::{self, Rule};
use crate::field::Names;
use crate::model::Import;
use crate::model::import::{ImportStatus, RowProblem};
use crate::ports::{Batch, Change};
use crate::time::LocalTime;
use crate::{Error, ErrorCode, Field, FieldProblem, Result, TenantIndex};

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
    /// The time that it is scheduled for where the cell says no offset, as a spreadsheet's dates do: it is in the connector's
    /// time zone. Counts in place of the draft's instant.
    pub local_time: Option<LocalTime>,
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
    pub fn check_import_connector(&self, tenant: TenantIndex, connector: Uuid) -> Result<()> {
        let unknown = || Error::invalid(Field::Connector, "no such connector; use the id of one of your connectors");
        match self.get_connector(tenant, connector) {
            Ok(_) => Ok(()),
            Err(error) if error.code == ErrorCode::NotFound => Err(unknown()),
            Err(error) => Err(error),
        }
    }

    /// Stores a new import; its rows follow.
    pub async fn begin_import(&self, tenant: TenantIndex, id: Uuid, file_name: &str) -> Result<Import> {
        let cleaned: String = file_name.chars().filter(|c| !c.is_control()).take(255).collect();
        let named = text::checked_optional(Rule { field: Field::File, max_chars: 255, lines: false }, Some(&cleaned))?;
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
        connector: Option<Uuid>,
        rows: &[ImportRow],
        columns: Names,
    ) -> Result<()> {
        let read = rows.len();
        let mut numbers = Vec::with_capacity(read);
        let mut drafts = Vec::with_capacity(read);
        let mut problems = Vec::new();
        let mut zones = HashMap::new();
        let mut refused = 0;
        for ImportRow { row, draft, local_time } in rows {
            match draft {
                Ok(draft) => {
                    let mut draft = draft.clone();
                    draft.connector = draft.connector.or(connector);
                    if let Some(local) = local_time {
                        let zone = self.zone_of(import.tenant, draft.connector, &mut zones)?;
                        draft.scheduled_at = Some(local.within(zone));
                    }
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
        self.hand_in_import(import.id, chunk == 0, &drafts, &outcomes);
        for (row, outcome) in numbers.into_iter().zip(outcomes) {
            match outcome {
                Ok(accepted) => {
                    import.accepted += 1;
                    import.messages.push((row, accepted.id));
                }
                Err(error) => {
                    refused += 1;
                    problems.extend(row_problems(row, &error, columns));
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
    fn zone_of(
        &self,
        tenant: TenantIndex,
        connector: Option<Uuid>,
        zones: &mut HashMap<Uuid, jiff::tz::TimeZone>,
    ) -> Result<jiff::tz::TimeZone> {
        let Some(id) = connector else { return Ok(jiff::tz::TimeZone::UTC) };
        if let Some(zone) = zones.get(&id) {
            return Ok(zone.clone());
        }
        let connector = self.ports().store.connector_by_id(tenant, id)?;
        let zone = connector.and_then(|found| jiff::tz::TimeZone::get(&found.pace.time_zone).ok());
        let zone = zone.unwrap_or(jiff::tz::TimeZone::UTC);
        zones.insert(id, zone.clone());
        Ok(zone)
    }
}

/// What is wrong with a refused row, column by column.
fn row_problems(row: u32, error: &Error, columns: Names) -> Vec<RowProblem> {
    if error.fields.is_empty() {
        return vec![RowProblem { row, column: String::new(), message: error.message.clone() }];
    }
    let problem = |problem: &FieldProblem| RowProblem {
        row,
        column: problem.field.written(columns),
        message: problem.sentence(columns).into_owned(),
    };
    error.fields.iter().map(problem).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::connectors::unknown_connector;

    #[test]
    fn a_refused_row_names_its_columns() {
        let columns =
            |error| row_problems(7, &error, Field::word).into_iter().map(|p| (p.row, p.column)).collect::<Vec<_>>();
        assert_eq!(columns(Error::invalid(Field::To, "bad")), [(7, "to".to_owned())]);
        assert_eq!(columns(unknown_connector()), [(7, "connector".to_owned())]);
        assert_eq!(columns(Error::conflict("try again")), [(7, String::new())]);
    }
}
