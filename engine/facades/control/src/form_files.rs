//! Receives a form whose only part is a file. It is read whole before anything of it is stored.

use pombo_domain::Error;
use pombo_domain::ports::MAX_WORKBOOK_BYTES;

use pombo_api::error::Failure;
use pombo_api::multipart::{FORM_BYTES, Form, Multipart, Pieces, unknown_part};

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
    received.ok_or_else(|| Error::invalid("file", "send the file as this part").into())
}
