//! What a channel tells of a template that it keeps: its status, quality or category has changed, or what it consists of. The last is not
//! told itself: the connector is asked for it, see [`crate::templates`].

use pombo_domain::model::{Quality, TemplateCategory, TemplateStatus};
use pombo_domain::ports::{Change, TemplateChange, TemplateNews};
use serde::Deserialize;

use super::BatchBuilder;
use crate::intake::bounds;

/// The kind of such an event.
pub(super) const TEMPLATE: &str = "template";

/// Maximum length of a name or an id, in bytes: four for each character that a template's name can have.
const MAX_ID_BYTES: usize = 2_048;

/// Its JSON; all but name and language are optional.
#[derive(Deserialize)]
struct Told {
    name: String,
    language: String,
    id: Option<String>,
    status: Option<String>,
    quality: Option<String>,
    category: Option<String>,
    reason: Option<String>,
    contents: Option<bool>,
}

impl BatchBuilder<'_> {
    /// Takes such an event. One of another form, or that is about a template that nobody knows, changes nothing.
    pub(super) fn template_told(&mut self, json: &str) {
        let Ok(told) = serde_json::from_str::<Told>(json) else { return };
        let Told { name, language, id, status, quality, category, reason, contents } = told;
        let ids = [Some(&name), Some(&language), id.as_ref()];
        if ids.into_iter().flatten().any(|id| id.len() > MAX_ID_BYTES || id.contains('\0')) {
            return;
        }
        self.templates |= contents == Some(true);
        let reason = reason.map(|mut reason| {
            bounds::cut(&mut reason, bounds::NAME);
            reason
        });
        let news = TemplateNews {
            connector: self.connector.index,
            tenant: self.tenant,
            name,
            language,
            remote_id: id.filter(|id| !id.is_empty()),
            status: status.and_then(|word| TemplateStatus::parse(&word)),
            quality: quality.and_then(|word| Quality::parse(&word)),
            category: category.and_then(|word| TemplateCategory::parse(&word)),
            reason: reason.filter(|reason| !reason.is_empty()),
        };
        self.changes.push(Change::Template(Box::new(TemplateChange::Told(news))));
    }
}
