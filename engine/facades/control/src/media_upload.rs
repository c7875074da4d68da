//! Receives a file into a tenant's media, streamed piece by piece; a request that is refused or cut off leaves nothing behind.

use poem::web::Field;
use poem_openapi::registry::MetaSchema;
use pombo_domain::model::Attachment;
use pombo_domain::model::attachment::MAX_STORED_BYTES;
use pombo_domain::ports::MediaError;
use pombo_domain::{Error, TenantIndex};

use pombo_api::body::LimitedMultipart;
use pombo_api::error::Failure;
use pombo_api::multipart::{Form, Multipart, Pieces, inline, unknown_part};
use pombo_api::options::ApiState;

/// The form of an upload.
pub(crate) struct MediaForm;

impl Form for MediaForm {
    const NAME: &'static str = "MediaUpload";

    fn schema() -> MetaSchema {
        let file = MetaSchema {
            description: Some(
                "The file with its name and type, at most 100 MB. Channels take less than that for most types.",
            ),
            ..MetaSchema::new_with_format("string", "binary")
        };
        MetaSchema {
            description: Some("A file to send later."),
            required: vec!["file"],
            properties: vec![("file", inline(file))],
            ..MetaSchema::new("object")
        }
    }
}

/// Reads the file into the tenant's media.
pub(crate) async fn receive(
    form: Multipart<'_, MediaForm>,
    state: &ApiState,
    tenant: TenantIndex,
) -> Result<Attachment, Failure> {
    let mut form = form.open(state.options.limits.multipart_bytes).await?;
    let mut received = None;
    let outcome = read_parts(state, tenant, &mut form, &mut received).await;
    match (outcome, received) {
        (Ok(()), Some(file)) => Ok(file),
        (Ok(()), None) => Err(Error::invalid("file", "send the file as this part, with a file name").into()),
        (Err(failure), received) => {
            if let Some(file) = received
                && let Err(error) = state.commands.media().delete(tenant, file.id).await
            {
                tracing::warn!(%error, "a file of a refused upload stays");
            }
            form.discard().await;
            Err(failure)
        }
    }
}

async fn read_parts(
    state: &ApiState,
    tenant: TenantIndex,
    form: &mut LimitedMultipart,
    received: &mut Option<Attachment>,
) -> Result<(), Failure> {
    while let Some(part) = form.next().await? {
        let name = part.name().unwrap_or_default();
        if name != "file" {
            return Err(unknown_part(name, "send one part named file"));
        }
        if received.is_some() {
            return Err(Error::invalid("file", "send one file at a time").into());
        }
        if part.file_name().is_none_or(str::is_empty) {
            return Err(Error::invalid("file", "must be a file with a name").into());
        }
        *received = Some(store(state, tenant, part, form).await?);
    }
    Ok(())
}

async fn store(
    state: &ApiState,
    tenant: TenantIndex,
    part: Field,
    form: &LimitedMultipart,
) -> Result<Attachment, Failure> {
    let file_name = part.file_name().unwrap_or_default().to_owned();
    let content_type = part.content_type().map(str::to_owned);
    let media = state.commands.media();
    let mut writer =
        media.create(tenant, &file_name, content_type.as_deref(), MAX_STORED_BYTES).await.map_err(refused)?;
    let mut pieces = Pieces::of(part);
    while let Some(piece) = pieces.next(form).await? {
        writer.write(piece).await.map_err(refused)?;
    }
    writer.finish().await.map_err(refused)
}

fn refused(error: MediaError) -> Failure {
    match error {
        MediaError::TooLarge(_) => Failure::too_large(format!("file: {error}")),
        MediaError::NotFound | MediaError::Io(_) => Failure::internal(error.to_string()),
    }
}
