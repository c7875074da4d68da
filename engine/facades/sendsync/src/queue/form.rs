//! A message as multipart/form-data: the same fields as text, and files streamed piece by piece to the media store. Files of a
//! request that is refused or cut off are removed.

use std::borrow::Cow;
use std::sync::Arc;

use poem::web;
use poem::{Request, RequestBody};
use pombo_domain::commands::messages::send::Draft;
use pombo_domain::model::attachment::MAX_FILE_BYTES;
use pombo_domain::model::message::MAX_TEXT_BYTES;
use pombo_domain::model::{Attachment, Variables};
use pombo_domain::ports::MediaError;
use pombo_domain::{Field, FieldProblem, TenantIndex};
use sha2::{Digest, Sha256};
use tokio::io::AsyncReadExt;

use super::draft::{set_category, set_connector, set_schedule, whole};
use pombo_api::body::LimitedMultipart;
use pombo_api::error::Failure;
use pombo_api::fields::{self, Scalars};
use pombo_api::options::ApiState;

/// The longest text field. The message is the longest of them; a little more is read, so that the command can say what is too long.
const MAX_FIELD_BYTES: usize = 2 * MAX_TEXT_BYTES;
/// Parts of a form, with those that are not ours.
const MAX_PARTS: usize = 100;
const PIECE_BYTES: usize = 64 * 1024;

/// A form that was read whole.
pub(super) struct Form {
    pub(super) draft: Draft<'static>,
    pub(super) files: Uploaded,
    /// SHA-256 of names and contents, whatever the boundary was.
    pub(super) digest: [u8; 32],
}

/// Files that are stored but belong to no message yet. Dropped, it removes them.
pub(super) struct Uploaded {
    state: Arc<ApiState>,
    tenant: TenantIndex,
    files: Vec<Attachment>,
}

impl Uploaded {
    /// Keeps those among `kept` and removes the others: a repeated request has its files from the first time.
    pub(super) async fn keep(mut self, kept: &[Attachment]) {
        self.files.retain(|file| kept.iter().all(|kept| kept.id != file.id));
        self.remove().await;
    }

    /// Removes them all.
    pub(super) async fn remove(mut self) {
        while let Some(file) = self.files.pop() {
            if let Err(error) = self.state.commands.media().delete(self.tenant, file.id).await {
                tracing::warn!(%error, "a file of a refused request stays");
            }
        }
    }
}

impl Drop for Uploaded {
    /// For a request whose connection broke: nobody is left to await the removal.
    fn drop(&mut self) {
        let files = std::mem::take(&mut self.files);
        if let (false, Ok(runtime)) = (files.is_empty(), tokio::runtime::Handle::try_current()) {
            let (state, tenant) = (self.state.clone(), self.tenant);
            runtime.spawn(Self { state, tenant, files }.remove());
        }
    }
}

/// Reads a form.
pub(super) async fn read(
    state: &Arc<ApiState>,
    tenant: TenantIndex,
    request: &Request,
    body: &mut RequestBody,
) -> Result<Form, Failure> {
    let mut parts = LimitedMultipart::open(request, body, state.options.limits.multipart_bytes).await?;
    let mut reading = Reading {
        texts: Vec::new(),
        problems: Vec::new(),
        files: Uploaded { state: state.clone(), tenant, files: Vec::new() },
        digest: Sha256::new(),
    };
    match reading.read_parts(&mut parts).await {
        Ok(()) => Ok(reading.finish()),
        Err(failure) => {
            reading.files.remove().await;
            parts.discard().await;
            Err(failure)
        }
    }
}

struct Reading {
    texts: Vec<(&'static str, String)>,
    problems: Vec<FieldProblem>,
    files: Uploaded,
    digest: Sha256,
}

impl Reading {
    async fn read_parts(&mut self, parts: &mut LimitedMultipart) -> Result<(), Failure> {
        let mut count = 0;
        while let Some(part) = parts.next().await? {
            count += 1;
            if count > MAX_PARTS {
                return Err(Failure::bad_request(format!("the form has more than {MAX_PARTS} fields")));
            }
            let name = part.name().unwrap_or_default().to_owned();
            let is_file = part.file_name().is_some();
            if name == "attachments" {
                if is_file {
                    self.read_file(part, parts).await?;
                } else {
                    self.problem("attachments", "must be files; send each with a file name");
                }
            } else if is_file {
                self.problem(&name.chars().take(60).collect::<String>(), "send files in the field attachments");
            } else if let Some(known) = super::draft::SendFields::NAMES.iter().find(|known| **known == name) {
                let text = self.read_text(known, part, parts).await?;
                if self.texts.iter().any(|(earlier, _)| earlier == known) {
                    self.problem(known, "is given more than once");
                }
                self.texts.push((known, text));
            }
            // Any other field is not ours: its content is passed over.
        }
        Ok(())
    }

    fn problem(&mut self, field: &str, message: &str) {
        self.problems.push(FieldProblem::new(field, message));
    }

    fn digest_name(&mut self, name: &str) {
        self.digest.update((name.len() as u64).to_be_bytes());
        self.digest.update(name.as_bytes());
    }

    async fn read_text(&mut self, name: &str, part: web::Field, parts: &LimitedMultipart) -> Result<String, Failure> {
        let mut reader = std::pin::pin!(part.into_async_read());
        let mut bytes = Vec::new();
        let mut piece = [0; 4096];
        loop {
            let read = reader.read(&mut piece).await.map_err(|_| parts.broken())?;
            if read == 0 {
                break;
            }
            if bytes.len() + read > MAX_FIELD_BYTES {
                let limit = MAX_TEXT_BYTES / 1024;
                return Err(Failure::too_large(format!("{name}: must be at most {limit} KB of text")));
            }
            bytes.extend_from_slice(&piece[..read]);
        }
        self.digest_name(name);
        self.digest_name(&String::from_utf8_lossy(&bytes));
        String::from_utf8(bytes).map_err(|_| Failure::bad_request(format!("{name}: must be UTF-8 text")))
    }

    async fn read_file(&mut self, part: web::Field, parts: &LimitedMultipart) -> Result<(), Failure> {
        let file_name = part.file_name().unwrap_or_default().to_owned();
        let content_type = part.content_type().map(str::to_owned);
        let mut reader = std::pin::pin!(part.into_async_read());
        let mut piece = vec![0; PIECE_BYTES];
        let mut read = reader.read(&mut piece).await.map_err(|_| parts.broken())?;
        if file_name.is_empty() && read == 0 {
            // A file input that was left empty.
            return Ok(());
        }
        let most = self.files.state.options.limits.files;
        if self.files.files.len() >= most {
            return Err(Failure::bad_request(format!("attachments: must be at most {most} files")));
        }
        self.digest_name("attachments");
        self.digest_name(&file_name);
        let state = self.files.state.clone();
        let media = state.commands.media();
        let created = media.create(self.files.tenant, &file_name, content_type.as_deref(), MAX_FILE_BYTES).await;
        let mut writer = created.map_err(refused)?;
        let mut content = Sha256::new();
        while read > 0 {
            content.update(&piece[..read]);
            writer.write(&piece[..read]).await.map_err(refused)?;
            read = reader.read(&mut piece).await.map_err(|_| parts.broken())?;
        }
        self.digest.update(content.finalize());
        let file = writer.finish().await.map_err(refused)?;
        self.files.files.push(file);
        Ok(())
    }

    fn finish(mut self) -> Form {
        let problems = std::mem::take(&mut self.problems);
        let mut draft = Draft { attachments: self.files.files.clone(), problems, ..Draft::default() };
        for (name, text) in self.texts {
            // A form has no other way to leave a field out once it is shown.
            if text.is_empty() && !matches!(name, "connectorId" | "to" | "message") {
                continue;
            }
            set(&mut draft, name, text);
        }
        Form { draft, files: self.files, digest: self.digest.finalize().into() }
    }
}

/// Puts a field's text into the draft.
fn set(draft: &mut Draft<'static>, name: &str, text: String) {
    let problems = &mut draft.problems;
    let mut problem = |field: Field, message: String| problems.push(FieldProblem::new(field, message));
    let truth = |text: &str| match text.trim().to_ascii_lowercase().as_str() {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    };
    let mut flag = |field: Field, text: &str| {
        truth(text).unwrap_or_else(|| {
            problem(field, "must be true or false".to_owned());
            false
        })
    };
    match name {
        "requiresApproval" => draft.requires_approval = flag(Field::RequiresApproval, &text),
        "forceDirect" => draft.force_direct = flag(Field::ForceDirect, &text),
        "priority" => match text.trim().parse::<f64>() {
            Ok(number) => draft.priority = Some(whole(number)),
            Err(_) => problem(Field::Priority, "must be a number".to_owned()),
        },
        "variables" => match serde_json::from_str::<fields::Field<Scalars>>(&text) {
            Ok(fields::Field::Value(Scalars(json))) => draft.variables = Some(Variables::from_compact(json)),
            Ok(fields::Field::Missing) => {}
            Ok(fields::Field::Wrong(message)) => problem(Field::Variables, message.into_owned()),
            Err(_) => problem(Field::Variables, "must be a JSON object".to_owned()),
        },
        "connectorId" => set_connector(draft, &text),
        "messageType" => set_category(draft, &text),
        "scheduledAt" => set_schedule(draft, &text),
        _ => {
            let slot = match name {
                "to" => &mut draft.to,
                "message" => &mut draft.text,
                "contactName" => &mut draft.contact_name,
                "notes" => &mut draft.notes,
                "webhookUrl" => &mut draft.webhook_url,
                "externalId" => &mut draft.external_id,
                "attachmentUrl" => &mut draft.attachment_url,
                "subject" => &mut draft.subject,
                _ => return,
            };
            *slot = Some(Cow::Owned(text));
        }
    }
}

fn refused(error: MediaError) -> Failure {
    match error {
        MediaError::TooLarge(_) => Failure::too_large(format!("attachments: {error}")),
        MediaError::NotFound | MediaError::Io(_) => Failure::internal(error.to_string()),
    }
}
