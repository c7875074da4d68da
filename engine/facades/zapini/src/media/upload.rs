//! Receives an uploaded file, streamed piece by piece. `type` may come after `file`, as the documented example sends it. A request that
//! is refused or cut off leaves nothing behind.

use poem::web::Field as Part;
use poem_openapi::registry::MetaSchema;
use pombo_api::body::LimitedMultipart;
use pombo_api::error::Failure;
use pombo_api::multipart::{FORM_BYTES, Form, Multipart, Pieces, inline};
use pombo_api::options::ApiState;
use pombo_domain::commands::media_files::FileUpload;
use pombo_domain::model::{FileKind, MediaFile, Right};
use pombo_domain::{Error, Field, TenantIndex};
use serde_json::Value;

use crate::credentials::Caller;
use crate::media_message::{KINDS, kind_of};

/// Maximum number of parts, with those that are not ours.
const MAX_PARTS: usize = 100;
/// Maximum length of a text part that is read, in bytes.
const MAX_TEXT_BYTES: usize = 100;

/// The form of an upload.
pub(super) struct MediaForm;

impl Form for MediaForm {
    const NAME: &'static str = "MediaUpload";

    fn schema() -> MetaSchema {
        let file = MetaSchema {
            description: Some("The file, with its name."),
            ..MetaSchema::new_with_format("string", "binary")
        };
        let kind = MetaSchema {
            description: Some(
                "What to send it as: what it is, or `document`. If omitted, it is what its content shows.",
            ),
            enum_items: FileKind::ALL.map(|kind| Value::from(kind.as_str())).to_vec(),
            ..MetaSchema::new("string")
        };
        MetaSchema {
            description: Some("A file to send later."),
            required: vec!["file"],
            properties: vec![("file", inline(file)), ("type", inline(kind))],
            ..MetaSchema::new("object")
        }
    }
}

/// Reads the file into the tenant's stored files.
pub(super) async fn receive(
    form: Multipart<'_, MediaForm>,
    state: &ApiState,
    caller: &Caller,
) -> Result<MediaFile, Failure> {
    let largest = state.commands.file_policy().largest().saturating_add(FORM_BYTES);
    let limit = state.options.limits.multipart_bytes.min(largest);
    if let Err(failure) = caller.must(Right::Converse) {
        form.discard(limit).await;
        return Err(failure);
    }
    let mut form = form.open(limit).await?;
    match read_parts(state, caller.tenant, &mut form).await {
        Ok((upload, kind)) => Ok(upload.finish(kind).await?),
        Err(failure) => {
            form.discard().await;
            Err(failure)
        }
    }
}

async fn read_parts(
    state: &ApiState,
    tenant: TenantIndex,
    form: &mut LimitedMultipart,
) -> Result<(FileUpload, Option<FileKind>), Failure> {
    let (mut upload, mut kind) = (None, None);
    let mut parts = 0;
    while let Some(part) = form.next().await? {
        parts += 1;
        if parts > MAX_PARTS {
            return Err(Failure::bad_request(format!("the form has more than {MAX_PARTS} fields")));
        }
        match part.name().unwrap_or_default() {
            "file" if upload.is_some() => return Err(problem(Field::File, "send one file at a time")),
            "file" => upload = Some(read_file(state, tenant, part, form).await?),
            "type" => kind = read_kind(part, form).await?,
            // Any other field is not ours: its content is passed over.
            _ => {}
        }
    }
    let upload = upload.ok_or_else(|| problem(Field::File, "is required; send it as a part with a file name"))?;
    Ok((upload, kind))
}

async fn read_file(
    state: &ApiState,
    tenant: TenantIndex,
    part: Part,
    form: &LimitedMultipart,
) -> Result<FileUpload, Failure> {
    let file_name = part.file_name().unwrap_or_default().to_owned();
    if file_name.is_empty() {
        return Err(problem(Field::File, "must be a file with a name"));
    }
    let mut upload = state.commands.begin_file(tenant, &file_name).await?;
    let mut pieces = Pieces::of(part);
    while let Some(piece) = pieces.next(form).await? {
        upload.write(piece).await?;
    }
    Ok(upload)
}

/// What the caller says that the file is; an empty text says nothing.
async fn read_kind(part: Part, form: &LimitedMultipart) -> Result<Option<FileKind>, Failure> {
    let wrong = || problem(Field::Type, KINDS);
    let (mut pieces, mut bytes) = (Pieces::of(part), Vec::new());
    while let Some(piece) = pieces.next(form).await? {
        if bytes.len() + piece.len() > MAX_TEXT_BYTES {
            return Err(wrong());
        }
        bytes.extend_from_slice(piece);
    }
    let text = String::from_utf8_lossy(&bytes);
    if text.trim().is_empty() {
        return Ok(None);
    }
    kind_of(&text).map(Some).ok_or_else(wrong)
}

fn problem(field: Field, message: &str) -> Failure {
    Error::invalid(field, message).into()
}
