//! Templates and labels as text.

use pombo_domain::ports::StoreResult;

use super::veiled;
use crate::backend::Bytes;
use crate::keys;
use crate::tables::{labels, templates};

/// A line of a template or a label; `None` for other documents.
pub(super) fn document(key: &Bytes, value: &Bytes) -> StoreResult<Option<String>> {
    Ok(Some(match key[0] {
        keys::TEMPLATE => {
            let template = templates::parse(value)?;
            format!(
                "template {}/{} id={} connector={} status={} name={} row={}",
                template.tenant.0,
                template.number,
                template.id,
                template.connector.map_or_else(|| "-".to_owned(), |connector| connector.0.to_string()),
                template.status,
                veiled(template.name.as_bytes()),
                veiled(value)
            )
        }
        keys::LABEL => {
            let label = labels::parse(value)?;
            format!(
                "label {}/{:?}/{} id={} name={} row={}",
                label.tenant.0,
                label.kind,
                label.number,
                label.id,
                veiled(label.name.as_bytes()),
                veiled(value)
            )
        }
        _ => return Ok(None),
    }))
}
