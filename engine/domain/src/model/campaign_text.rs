//! What the rows of a campaign say, fixed when it started: whoever comes last gets the text that was checked.
//!
//! Only a text of the tenant's own is fixed. What a channel keeps is sent by its name, and the channel says what it holds then, so a copy
//! of that would only claim that people read something else than they did.

use serde::{Deserialize, Serialize};

use super::template::{Component, Template, TemplateFormat};

/// A text, see the module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FixedText {
    /// How its variables are named.
    pub format: TemplateFormat,
    /// What it consists of, in order.
    pub components: Vec<Component>,
}

impl FixedText {
    /// The text of a template as it is now; `None` for one that a channel keeps.
    pub fn of(template: &Template) -> Option<Self> {
        let Template { connector, format, components, .. } = template;
        connector.is_none().then(|| Self { format: *format, components: components.clone() })
    }

    /// The template as it is now, with this text.
    pub fn within(&self, template: &Template) -> Template {
        Template { format: self.format, components: self.components.clone(), ..template.clone() }
    }
}
