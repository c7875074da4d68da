//! The variables that a message's template can use, and texts that are not templates.

use serde_json::{Map, Value};

use super::NewMessage;

/// The caller's own variables: a JSON object of scalars, kept as compact text from the request to the renderer, so that no message
/// pays for a map that nobody reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variables(String);

impl Variables {
    /// From a JSON object of scalars that the caller wrote as text itself.
    pub fn from_compact(json: String) -> Self {
        Self(json)
    }
    /// From an object; `None` when it is empty.
    pub fn of(object: Map<String, Value>) -> Option<Self> {
        (!object.is_empty()).then(|| Self(Value::Object(object).to_string()))
    }
    /// The JSON text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl NewMessage {
    /// A JSON object as text: the contact's name (`nome`, `name`) and its first word (`primeiro_nome`, `first_name`), then the
    /// caller's own variables, which take precedence. Without a contact name those four are undefined.
    pub fn template_variables(&self) -> String {
        let mut object = String::from("{");
        if let Some(name) = self.contact_name.as_deref() {
            let quoted = quoted(name);
            let first = self::quoted(name.split_whitespace().next().unwrap_or(name));
            object
                .push_str(&format!(r#""nome":{quoted},"name":{quoted},"primeiro_nome":{first},"first_name":{first}"#));
        }
        // Later keys win wherever the object is read, so the caller's own follow.
        let own = self.variables.as_deref().map(str::trim).and_then(|own| own.strip_prefix('{')).unwrap_or("}");
        if object.len() > 1 && own.trim_start() != "}" {
            object.push(',');
        }
        object.push_str(own);
        object
    }
}

/// The reverse of [`escaped`]; a text without escapes stays as it is.
pub fn unescaped(text: &str) -> String {
    let special = |c: &char| matches!(c, '{' | '|' | '}' | '\\');
    let mut plain = String::with_capacity(text.len());
    let mut letters = text.chars().peekable();
    while let Some(c) = letters.next() {
        match letters.next_if(|next| c == '\\' && special(next)) {
            Some(escaped) => plain.push(escaped),
            None => plain.push(c),
        }
    }
    plain
}

/// A template that is rendered to this very text: what stands for something in a template is escaped.
pub fn escaped(text: &str) -> String {
    let special = |c: char| matches!(c, '{' | '|' | '}' | '\\');
    let mut escaped = String::with_capacity(text.len() + text.matches(special).count());
    for c in text.chars() {
        if special(c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::ConnectorIndex;
    use crate::model::MessageType;

    fn variables(contact_name: Option<&str>, own: Option<&str>) -> Value {
        let message = NewMessage {
            connector: ConnectorIndex(0),
            to: String::new(),
            text: String::new(),
            subject: None,
            contact_name: contact_name.map(str::to_owned),
            message_type: MessageType::General,
            priority: 5,
            scheduled_at: None,
            requires_approval: false,
            force_direct: false,
            notes: None,
            webhook_url: None,
            external_id: None,
            attachments: Vec::new(),
            attachment_url: None,
            variables: own.map(str::to_owned),
            options: Default::default(),
        };
        serde_json::from_str(&message.template_variables()).expect("a JSON object")
    }

    #[test]
    fn the_name_its_first_word_and_the_callers_variables_which_win() {
        assert_eq!(variables(None, None), json!({}));
        assert_eq!(variables(None, Some(r#"{"a":1}"#)), json!({"a": 1}));
        let ana =
            json!({"nome": "Ana \"Nina\" Sá", "name": "Ana \"Nina\" Sá", "primeiro_nome": "Ana", "first_name": "Ana"});
        assert_eq!(variables(Some("Ana \"Nina\" Sá"), None), ana);
        assert_eq!(variables(Some("Ana \"Nina\" Sá"), Some("{ }")), ana);
        let own = variables(Some("Ana Sá"), Some(r#"{"nome":"Dona Ana","n":2}"#));
        assert_eq!((&own["nome"], &own["first_name"], &own["n"]), (&json!("Dona Ana"), &json!("Ana"), &json!(2)));
    }
}
