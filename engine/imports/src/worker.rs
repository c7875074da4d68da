//! Runs imports one after the other, on a separate task.
//!
//! An uploaded workbook is in the worker's folder as `{id}.xlsx`, together with `{id}.json`, until its import has ended. So an
//! import that a crash interrupted is started again at the next start: its chunks are the same, and each is accepted only once
//! (see the import commands). The workbook is read on a blocking thread that is at most two chunks ahead.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pombo_domain::commands::Commands;
use pombo_domain::commands::messages::imports::{CHUNK_ROWS, ImportRow};
use pombo_domain::commands::messages::send::Draft;
use pombo_domain::model::{Import, MessageType, Variables};
use pombo_domain::ports::{WorkbookUpload, Workbooks};
use pombo_domain::time::LocalTime;
use pombo_domain::{Error, ErrorCode, Field, FieldProblem, Timestamp};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::job::{Job, Note, beside, forget, workbook};
use crate::spreadsheet::{MessageRow, ReadRow, Sheet, SheetError, category, column_of};
use crate::upload::Upload;

/// An interrupted import is not started again after this time, in milliseconds, because the keys of its chunks may be forgotten
/// after a day.
const REPEATABLE_MS: i64 = 20 * 3_600_000;
/// Number of attempts for a chunk that the engine cannot accept at the moment; the pauses double, starting with one second.
const TRIES: u32 = 6;
/// Number of parts of an import's rows after each of which its progress is stored.
const SAVES: u32 = 20;
/// When to try again while too many imports wait, in milliseconds.
const RETRY_MS: u64 = 10_000;

/// Settings of the worker.
#[derive(Debug, Clone)]
pub struct ImportWorkerOptions {
    /// Folder for uploaded workbooks; created if it does not exist.
    pub folder: PathBuf,
    /// Maximum number of imports that wait for their turn.
    pub waiting: usize,
}

/// A handle of the worker, which accepts imports. Cheap to clone.
#[derive(Clone)]
pub struct ImportWorker {
    commands: Commands,
    jobs: mpsc::Sender<Job>,
    folder: Arc<Path>,
}

impl ImportWorker {
    /// Starts the worker: it resumes interrupted imports and then handles new ones, until `stop` is cancelled. The task ends
    /// after the current chunk; an import that it leaves is resumed at the next start.
    pub async fn start(
        commands: Commands,
        options: ImportWorkerOptions,
        stop: CancellationToken,
    ) -> io::Result<(Self, JoinHandle<()>)> {
        tokio::fs::create_dir_all(&options.folder).await?;
        let folder: Arc<Path> = options.folder.into();
        let (jobs, waiting) = mpsc::channel(options.waiting.max(1));
        let task = Task { commands: commands.clone(), folder: folder.clone(), stop };
        let interrupted = task.take_up().await?;
        let running = tokio::spawn(task.run(interrupted, waiting));
        Ok((Self { commands, jobs, folder }, running))
    }
}

impl Workbooks for ImportWorker {
    fn reserve(&self) -> pombo_domain::Result<Box<dyn WorkbookUpload>> {
        match self.jobs.clone().try_reserve_owned() {
            Ok(place) => Ok(Box::new(Upload::new(self.commands.clone(), self.folder.clone(), place))),
            Err(_) => Err(Error {
                retry_after_ms: Some(RETRY_MS),
                ..Error::new(ErrorCode::RateLimited, "too many imports are waiting for their turn")
            }),
        }
    }
}

/// What the reading thread passes on.
enum Read {
    Total(u32),
    Chunk(Vec<ReadRow>),
}

/// How an import ended.
enum End {
    Over(Option<String>),
    /// The engine stops or accepts no writes; the import stays as it is until the next start.
    Later,
}

struct Task {
    commands: Commands,
    folder: Arc<Path>,
    stop: CancellationToken,
}

impl Task {
    /// The interrupted imports that can be started again, oldest first. The others fail; files without an import are deleted.
    async fn take_up(&self) -> io::Result<VecDeque<Job>> {
        let running = self.commands.running_imports().map_err(io::Error::other)?;
        let mut entries = tokio::fs::read_dir(&*self.folder).await?;
        while let Some(entry) = entries.next_entry().await? {
            let path = entry.path();
            let id = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| Uuid::parse_str(stem).ok());
            if !running.iter().any(|import| Some(import.id) == id) {
                tokio::fs::remove_file(path).await?;
            }
        }
        let now = self.commands.now();
        let mut jobs = Vec::new();
        for mut import in running {
            let note = tokio::fs::read(beside(&self.folder, import.id)).await.ok();
            let note = note.and_then(|note| serde_json::from_slice::<Note>(&note).ok());
            let whole = tokio::fs::try_exists(workbook(&self.folder, import.id)).await.unwrap_or(false);
            match note.filter(|note| whole && note.tenant == import.tenant) {
                Some(note) if now.since(import.created_at) < REPEATABLE_MS => {
                    jobs.push(Job { import, connector: note.connector });
                }
                _ => {
                    let error = format!(
                        "the engine stopped during this import; rows after the first {} with content may be missing",
                        import.rows_read
                    );
                    self.commands.finish_import(&mut import, Some(error)).await.map_err(io::Error::other)?;
                    forget(&self.folder, import.id).await;
                }
            }
        }
        jobs.sort_by_key(|job| job.import.created_at);
        Ok(jobs.into())
    }

    async fn run(self, mut interrupted: VecDeque<Job>, mut waiting: mpsc::Receiver<Job>) {
        loop {
            let next = match interrupted.pop_front() {
                Some(job) if !self.stop.is_cancelled() => Some(job),
                Some(_) => None,
                None => tokio::select! {
                    biased;
                    () = self.stop.cancelled() => None,
                    job = waiting.recv() => job,
                },
            };
            let Some(job) = next else { return };
            let id = job.import.id;
            if let End::Later = self.import(job).await {
                tracing::warn!(import = %id, "an import was interrupted; it is taken up at the next start");
            }
        }
    }

    async fn import(&self, Job { mut import, connector }: Job) -> End {
        let id = import.id;
        // Begun again, it counts again.
        (import.rows_total, import.rows_read, import.accepted, import.rejected) = (0, 0, 0, 0);
        import.problems.clear();
        import.messages.clear();
        let end = self.rows(&mut import, connector).await;
        if let End::Over(error) = &end {
            if let Err(error) = self.commands.finish_import(&mut import, error.clone()).await {
                tracing::error!(import = %id, %error, "an import's end could not be stored");
                return End::Later;
            }
            forget(&self.folder, id).await;
        }
        end
    }

    async fn rows(&self, import: &mut Import, connector: Option<Uuid>) -> End {
        let (hand_over, mut read) = mpsc::channel(2);
        let path = workbook(&self.folder, import.id);
        let reading = tokio::task::spawn_blocking(move || read_workbook(&path, &hand_over));
        let (mut chunk, mut saved) = (0, 0);
        while let Some(piece) = read.recv().await {
            if self.stop.is_cancelled() {
                return End::Later;
            }
            let save = match piece {
                Read::Total(total) => {
                    import.rows_total = total;
                    true
                }
                Read::Chunk(rows) => {
                    if let Err(end) = self.chunk(import, chunk, connector, rows).await {
                        return end;
                    }
                    chunk += 1;
                    import.rows_read - saved >= import.rows_total / SAVES
                }
            };
            if save {
                saved = import.rows_read;
                if let Err(error) = self.commands.save_import(import).await {
                    tracing::warn!(import = %import.id, %error, "an import's progress could not be stored");
                }
            }
        }
        match reading.await {
            Ok(Ok(())) => End::Over(None),
            Ok(Err(error)) => End::Over(Some(error.to_string())),
            // A defect in reading must not stop the imports of others. The panic's text may quote a cell.
            Err(_) => {
                tracing::error!(import = %import.id, "reading a workbook panicked");
                End::Over(Some("the workbook could not be read".to_owned()))
            }
        }
    }

    async fn chunk(
        &self,
        import: &mut Import,
        number: u32,
        connector: Option<Uuid>,
        rows: Vec<ReadRow>,
    ) -> Result<(), End> {
        let rows: Vec<ImportRow> = rows.into_iter().map(import_row).collect();
        let mut pause_ms = 1000;
        for attempt in 1.. {
            match self.commands.import_chunk(import, number, connector, &rows, column_of).await {
                Ok(()) => return Ok(()),
                Err(error) if !may_pass(&error) => {
                    let id = import.id;
                    tracing::error!(import = %id, code = ?error.code, "an import failed");
                    return Err(End::Over(Some("the engine could not take the rows that follow".to_owned())));
                }
                Err(_) if attempt == TRIES => return Err(End::Later),
                Err(_) => {}
            }
            let clock = self.commands.clock();
            tokio::select! {
                () = self.stop.cancelled() => return Err(End::Later),
                () = clock.sleep_until(clock.now().plus_ms(pause_ms)) => pause_ms *= 2,
            }
        }
        Err(End::Later)
    }
}

fn may_pass(error: &Error) -> bool {
    matches!(error.code, ErrorCode::Unavailable | ErrorCode::Conflict)
}

/// Reads a workbook on a blocking thread. Ends early if nobody receives the rows any longer.
fn read_workbook(path: &Path, hand_over: &mpsc::Sender<Read>) -> Result<(), SheetError> {
    let mut sheet = Sheet::open(path)?;
    if hand_over.blocking_send(Read::Total(sheet.rows_total())).is_err() {
        return Ok(());
    }
    let mut rows = Vec::with_capacity(CHUNK_ROWS);
    sheet.read(|row| {
        rows.push(row);
        if rows.len() < CHUNK_ROWS {
            return true;
        }
        let full = std::mem::replace(&mut rows, Vec::with_capacity(CHUNK_ROWS));
        hand_over.blocking_send(Read::Chunk(full)).is_ok()
    })?;
    if !rows.is_empty() {
        // Nobody listens only when the import is given up; then these rows are not wanted either.
        let _ = hand_over.blocking_send(Read::Chunk(rows));
    }
    Ok(())
}

fn import_row(ReadRow { row, message }: ReadRow) -> ImportRow {
    let mut local_time = None;
    let draft = message.map(|message| {
        local_time = message.scheduled_at.as_deref().and_then(LocalTime::parse);
        draft_of(message)
    });
    let draft = draft.map_err(|problems| problems.into_iter().map(|p| (p.column, p.message)).collect());
    ImportRow { row, draft, local_time }
}

fn draft_of(row: MessageRow) -> Draft<'static> {
    let owned = |text: Option<String>| text.map(Cow::Owned);
    let mut problems = Vec::new();
    let message_type = match row.message_type.as_deref().map(category) {
        None => MessageType::default(),
        Some(Ok(category)) => category,
        Some(Err(message)) => {
            problems.push(FieldProblem::new(Field::MessageType, message));
            MessageType::default()
        }
    };
    let scheduled_at = row.scheduled_at.as_deref().and_then(|text| {
        let at = Timestamp::parse_any_year(text);
        if at.is_none() {
            let message = "must be ISO 8601, for example 2030-01-22T10:00:00Z";
            problems.push(FieldProblem::new(Field::ScheduledAt, message));
        }
        at
    });
    Draft {
        // A text that is not an id names a connector that does not exist.
        connector: row.connector_id.map(|text| Uuid::parse_str(text.trim()).unwrap_or_default()),
        to: owned(row.to),
        text: owned(row.message),
        wordless: false,
        subject: owned(row.subject),
        contact_name: owned(row.contact_name),
        message_type,
        priority: row.priority,
        scheduled_at,
        requires_approval: row.requires_approval.unwrap_or(false),
        force_direct: row.force_direct.unwrap_or(false),
        notes: owned(row.notes),
        webhook_url: owned(row.webhook_url),
        external_id: owned(row.external_id),
        attachments: Vec::new(),
        attachment_url: owned(row.attachment_url),
        variables: Variables::of(row.variables),
        options: Default::default(),
        manual: false,
        in_spite_of_automation: false,
        author: None,
        problems,
    }
}
