//! The form in which a list of recipients is uploaded.

use poem_openapi::registry::MetaSchema;

use pombo_api::multipart::{Form, inline};

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
