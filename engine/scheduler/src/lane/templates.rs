//! The templates of a claim's messages, as the renderer gets them.

use std::sync::Arc;

use pombo_domain::model::message::NewMessage;

/// Keeps texts that repeat from message to message only once.
#[derive(Default)]
pub(super) struct Templates {
    last: Option<Arc<str>>,
    none: Option<Arc<str>>,
}

impl Templates {
    pub(super) fn text(&mut self, text: &str) -> Arc<str> {
        match &self.last {
            Some(last) if **last == *text => last.clone(),
            _ => self.last.insert(Arc::from(text)).clone(),
        }
    }

    pub(super) fn variables(&mut self, content: &NewMessage) -> Arc<str> {
        if content.variables.is_none() && content.contact_name.is_none() {
            return self.none.get_or_insert_with(|| Arc::from("{}")).clone();
        }
        Arc::from(content.template_variables())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_are_shared() {
        let mut templates = Templates::default();
        let (a, b, c) = (templates.text("x"), templates.text("x"), templates.text("y"));
        assert!(Arc::ptr_eq(&a, &b) && !Arc::ptr_eq(&a, &c) && *c == *"y");
    }
}
