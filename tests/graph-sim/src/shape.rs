//! What a template asks of whoever sends it: variables, media, buttons. Made once from the components; pure.

use serde_json::Value;

/// The header.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Header {
    /// There is none.
    #[default]
    None,
    /// A text with variables.
    Text(Part),
    /// `IMAGE`, `VIDEO`, `DOCUMENT`, `LOCATION`, `PRODUCT`.
    Format(String),
}

/// A text and the names of its variables, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) text: String,
    pub(crate) variables: Vec<String>,
}

impl Part {
    pub(crate) fn new(text: &str) -> Self {
        Self { text: text.to_owned(), variables: variables(text) }
    }
}

/// A button.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Button {
    /// Upper case.
    pub(crate) kind: String,
    /// Whether whoever sends must give a value.
    pub(crate) variable: bool,
    pub(crate) text: String,
}

/// The whole template, or one card of a carousel.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) named: bool,
    pub(crate) header: Header,
    pub(crate) body: Part,
    pub(crate) buttons: Vec<Button>,
    pub(crate) cards: Vec<Shape>,
    pub(crate) offer: bool,
}

impl Shape {
    /// Reads components.
    pub(crate) fn new(components: &Value, named: bool) -> Self {
        let mut shape = Self { named, ..Self::default() };
        for component in components.as_array().into_iter().flatten() {
            let text = component["text"].as_str().unwrap_or_default();
            match upper(&component["type"]).as_str() {
                "HEADER" => {
                    shape.header = match upper(&component["format"]).as_str() {
                        "" | "TEXT" => Header::Text(Part::new(text)),
                        other => Header::Format(other.to_owned()),
                    }
                }
                "BODY" => shape.body = Part::new(text),
                "BUTTONS" => {
                    shape.buttons = component["buttons"].as_array().into_iter().flatten().map(button).collect();
                }
                "CAROUSEL" => {
                    let cards = component["cards"].as_array().into_iter().flatten();
                    shape.cards = cards.map(|card| Self::new(&card["components"], named)).collect();
                }
                "LIMITED_TIME_OFFER" => shape.offer = true,
                _ => {}
            }
        }
        shape
    }
}

fn button(button: &Value) -> Button {
    let kind = upper(&button["type"]);
    let variable = match kind.as_str() {
        "URL" => button["url"].as_str().is_some_and(|url| url.contains("{{")),
        "COPY_CODE" | "OTP" | "MPM" => true,
        _ => false,
    };
    Button { kind, variable, text: button["text"].as_str().unwrap_or_default().to_owned() }
}

/// A text in upper case; empty if it is none.
pub(crate) fn upper(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_uppercase()
}

/// The names between `{{` and `}}`, each once, in order.
pub(crate) fn variables(text: &str) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once("{{") {
        let Some((name, behind)) = after.split_once("}}") else { break };
        let name = name.trim();
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
        rest = behind;
    }
    names
}

/// The text with values in place of its variables.
pub(crate) fn filled(part: &Part, values: &[(String, String)]) -> String {
    let mut text = part.text.clone();
    for (name, value) in values {
        text = text.replace(&format!("{{{{{name}}}}}"), value);
    }
    text
}
