//! Receives a list of recipients, or another file that is one part of a form. It is read whole before anything of it is stored.

use poem_openapi::registry::MetaSchema;
use pombo_domain::Error;
use pombo_domain::ports::MAX_WORKBOOK_BYTES;

use pombo_api::error::Failure;
use pombo_api::multipart::{FORM_BYTES, Form, Multipart, Pieces, inline, unknown_part};

/// The form of an upload.
pub(crate) struct ListForm;

impl Form for ListForm {
    const NAME: &'static str = "CampaignListUpload";

    fn schema() -> MetaSchema {
        let file = MetaSchema {
            description: Some(
                "The list: a workbook (xlsx) or a text in UTF-8 with separators (CSV), at most 20 MB and 100,000 rows. Its first \
                 line has the names of the columns: one is `to` (or `telefone`, `phone`, `email` …), one may be `name`, the others \
                 have values for variables.",
            ),
            ..MetaSchema::new_with_format("string", "binary")
        };
        MetaSchema {
            description: Some("A list of recipients."),
            required: vec!["file"],
            properties: vec![("file", inline(file))],
            ..MetaSchema::new("object")
        }
    }
}

/// The file with its name.
pub(crate) async fn receive<F: Form>(form: Multipart<'_, F>) -> Result<(String, Vec<u8>), Failure> {
    let mut form = form.open(MAX_WORKBOOK_BYTES + FORM_BYTES).await?;
    let mut received = None;
    while let Some(part) = form.next().await? {
        let name = part.name().unwrap_or_default();
        if name != "file" {
            let failure = unknown_part(name, "send one part named file");
            form.discard().await;
            return Err(failure);
        }
        if received.is_some() {
            form.discard().await;
            return Err(Error::invalid("file", "send one file at a time").into());
        }
        let file_name = part.file_name().unwrap_or_default().to_owned();
        let mut file = Vec::new();
        let mut pieces = Pieces::of(part);
        while let Some(piece) = pieces.next(&form).await? {
            file.extend_from_slice(piece);
        }
        received = Some((file_name, file));
    }
    received.ok_or_else(|| Error::invalid("file", "send the list as this part").into())
}
