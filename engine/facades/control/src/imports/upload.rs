//! Receives a workbook, streamed piece by piece; a request that is refused or cut off leaves nothing behind.

use poem::web::Field;
use poem_openapi::registry::MetaSchema;
use pombo_domain::Error;
use pombo_domain::ports::{MAX_WORKBOOK_BYTES, WorkbookUpload, Workbooks};
use uuid::Uuid;

use pombo_api::body::LimitedMultipart;
use pombo_api::error::Failure;
use pombo_api::multipart::{FORM_BYTES, Form, Multipart, Pieces, inline, unknown_part};

/// The form of an upload.
pub(crate) struct ImportForm;

impl Form for ImportForm {
    const NAME: &'static str = "ImportUpload";

    fn schema() -> MetaSchema {
        let file = MetaSchema {
            description: Some("The workbook (xlsx), at most 20 MB and 100,000 rows, in the form of the template."),
            ..MetaSchema::new_with_format("string", "binary")
        };
        let connector = MetaSchema {
            description: Some("Id of the connector for rows whose connectorId is empty."),
            ..MetaSchema::new_with_format("string", "uuid")
        };
        MetaSchema {
            description: Some("A workbook to import."),
            required: vec!["file"],
            properties: vec![("file", inline(file)), ("connectorId", inline(connector))],
            ..MetaSchema::new("object")
        }
    }
}

/// What was in the form.
pub(crate) struct Received {
    /// The whole file, not yet an import.
    pub(crate) workbook: Box<dyn WorkbookUpload>,
    pub(crate) file_name: String,
    /// The connector of rows that name none.
    pub(crate) connector: Option<Uuid>,
}

/// Reads a form, once there is a place in the queue.
pub(crate) async fn receive(form: Multipart<'_, ImportForm>, workbooks: &dyn Workbooks) -> Result<Received, Failure> {
    let mut workbook = workbooks.reserve()?;
    let mut form = form.open(MAX_WORKBOOK_BYTES + FORM_BYTES).await?;
    match read_parts(&mut form, &mut *workbook).await {
        Ok((Some(file_name), connector)) => Ok(Received { workbook, file_name, connector }),
        Ok((None, _)) => Err(Error::invalid("file", "send the workbook as this part").into()),
        Err(failure) => {
            form.discard().await;
            Err(failure)
        }
    }
}

/// The file's name and the connector, where they were sent.
async fn read_parts(
    form: &mut LimitedMultipart,
    workbook: &mut dyn WorkbookUpload,
) -> Result<(Option<String>, Option<Uuid>), Failure> {
    let (mut file_name, mut connector) = (None, None);
    while let Some(part) = form.next().await? {
        let name = part.name().unwrap_or_default().to_owned();
        match name.as_str() {
            "file" if file_name.is_some() => return Err(Error::invalid(name, "send one workbook at a time").into()),
            "connectorId" if connector.is_some() => return Err(Error::invalid(name, "was given twice").into()),
            "file" => {
                file_name = Some(part.file_name().unwrap_or_default().to_owned());
                store(form, part, workbook).await?;
            }
            "connectorId" => {
                let text = part.text().await.map_err(|_| form.broken())?;
                // A text that is not an id names a connector that does not exist.
                let id = |text: &str| Uuid::parse_str(text).unwrap_or_default();
                connector = Some(text.trim()).filter(|text| !text.is_empty()).map(id);
            }
            _ => return Err(unknown_part(&name, "known are file and connectorId")),
        }
    }
    Ok((file_name, connector))
}

async fn store(form: &LimitedMultipart, part: Field, workbook: &mut dyn WorkbookUpload) -> Result<(), Failure> {
    let mut pieces = Pieces::of(part);
    while let Some(piece) = pieces.next(form).await? {
        workbook.write(piece).await?;
    }
    Ok(())
}
