//! Values for a template's variables: what is missing, what is too much, and the content that follows. Pure.
//!
//! A variable of the body has its own name. One of a header's text has it, too, where variables are named; where they are numbered it is
//! `header.1`. A header that is a file is the variable `header`, a place on a map `header.latitude` and so on. What a button takes is
//! `button.0`, counted from 0 over all buttons; the end of an offer is `offer`. Inside of a card, all of these begin with `card.0.`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::scan::{names, replaced};
use super::{Button, ButtonKind, Component, Examples, HeaderFormat, Template, TemplateFormat};
use crate::Timestamp;
use crate::model::message::MessageAction;
use crate::model::variables::escaped;
use crate::model::{MessageType, OwnContent};

/// Maximum length of a variable's value, in characters.
pub const MAX_VALUE_CHARS: usize = 1024;

/// Maximum length of a code, in characters.
const MAX_CODE_CHARS: usize = 15;

/// Maximum length of a link to a file, in bytes.
const MAX_LINK_BYTES: usize = 2048;

/// Spaces in a row that a channel takes.
pub(super) const MAX_SPACES: &str = "    ";

/// A variable of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateVariable {
    /// The name under which its value is given.
    pub name: String,
    /// An example of a value.
    pub example: Option<String>,
    /// Where it stands.
    pub place: Place,
    /// Whether it must be given.
    pub required: bool,
}

/// Where a variable stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In the header.
    Header,
    /// In the body.
    Body,
    /// In this button, counted from 0.
    Button(usize),
    /// In this card, counted from 0.
    Card(usize),
    /// In the offer.
    Offer,
}

/// What a header shows that is not a text.
#[derive(Debug, Clone, PartialEq)]
pub enum HeaderMedia {
    /// A file that the channel fetches from this address.
    Link(String),
    /// A file that the channel has under this id.
    Id(String),
    /// The first file of the message.
    Attachment,
    /// A place on a map.
    Location {
        /// Degrees north.
        latitude: f64,
        /// Degrees east.
        longitude: f64,
        /// Its name.
        title: Option<String>,
        /// Its address.
        address: Option<String>,
    },
}

/// What is to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filled {
    /// What people read of it. It is not a template of the renderer: see [`Self::draft_text`].
    pub text: String,
    /// What the message does: says the text, or carries content of the connector's own.
    pub action: MessageAction,
    /// The category of the message.
    pub message_type: MessageType,
}

impl Filled {
    /// The text for a message that goes through the queue: it is rendered to [`Self::text`].
    pub fn draft_text(&self) -> String {
        escaped(&self.text)
    }
}

/// What is wrong with a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VariableProblem {
    /// The variable's name.
    pub name: String,
    /// What is wrong.
    pub problem: String,
}

impl Template {
    /// Its variables, in the order of its parts; each name once.
    pub fn variables(&self) -> Vec<TemplateVariable> {
        let mut found = Vec::new();
        self.variables_of(&self.components, "", None, &mut found);
        let mut seen = BTreeSet::new();
        found.retain(|variable| seen.insert(variable.name.clone()));
        found
    }

    fn variables_of(
        &self,
        components: &[Component],
        prefix: &str,
        card: Option<usize>,
        found: &mut Vec<TemplateVariable>,
    ) {
        let place = |place: Place| card.map_or(place, Place::Card);
        let code = first_of_body(components);
        let mut buttons = 0;
        for component in components {
            match component {
                Component::Header { format: HeaderFormat::Text, text, examples, .. } => {
                    for name in text.as_deref().map(names).unwrap_or_default() {
                        let example = examples.get(name).cloned();
                        let name = self.header_key(prefix, name);
                        found.push(TemplateVariable { name, example, place: place(Place::Header), required: true });
                    }
                }
                Component::Header { format: HeaderFormat::Location, .. } => {
                    for (part, required) in LOCATION {
                        let name = format!("{prefix}header.{part}");
                        found.push(TemplateVariable { name, example: None, place: place(Place::Header), required });
                    }
                }
                Component::Header { .. } | Component::SampledHeader { .. } => {
                    let name = format!("{prefix}header");
                    found.push(TemplateVariable { name, example: None, place: place(Place::Header), required: true });
                }
                Component::Body { text, examples, .. } => {
                    for name in names(text) {
                        let (name, example) = (format!("{prefix}{name}"), examples.get(name).cloned());
                        found.push(TemplateVariable { name, example, place: place(Place::Body), required: true });
                    }
                }
                Component::Buttons(listed) => {
                    for button in listed {
                        if let Some(required) = needs(button, code) {
                            let name = format!("{prefix}button.{buttons}");
                            let (example, at) = (example_of(button), place(Place::Button(buttons)));
                            found.push(TemplateVariable { name, example, place: at, required });
                        }
                        buttons += 1;
                    }
                }
                Component::Offer { has_expiration, .. } => {
                    if *has_expiration {
                        let (name, example) = (format!("{prefix}offer"), None);
                        found.push(TemplateVariable { name, example, place: place(Place::Offer), required: true });
                    }
                }
                Component::Carousel(cards) => {
                    // Cards have no cards: what they hold is not looked into any deeper.
                    if card.is_none() {
                        for (number, inner) in cards.iter().enumerate() {
                            let prefix = format!("card.{number}.");
                            self.variables_of(&inner.components, &prefix, Some(number), found);
                        }
                    }
                }
                Component::Footer { .. } | Component::Other(..) => {}
            }
        }
    }

    /// The name under which the value of a variable of a header's text is given.
    pub(super) fn header_key(&self, prefix: &str, name: &str) -> String {
        match self.format {
            TemplateFormat::Named => format!("{prefix}{name}"),
            TemplateFormat::Positional => format!("{prefix}header.{name}"),
        }
    }

    /// The message that it becomes with these values; `header` is what its header shows, where that is not a text and `given` has no
    /// link to it.
    pub fn fill(
        &self,
        given: &BTreeMap<String, String>,
        header: Option<&HeaderMedia>,
    ) -> Result<Filled, Vec<VariableProblem>> {
        let mut filling = Filling { given, header, of_channel: self.connector.is_some(), problems: Vec::new() };
        let content = self.content_of(&self.components, "", &mut filling);
        let known: BTreeSet<String> = self.variables().into_iter().map(|variable| variable.name).collect();
        for name in given.keys().filter(|name| !known.contains(*name)) {
            filling.problem(name, "is not a variable of this template");
        }
        let shows_file = |component: &Component| match component {
            Component::Header { format, .. } => *format != HeaderFormat::Text,
            Component::SampledHeader { .. } => true,
            _ => false,
        };
        if header.is_some() && !self.components.iter().any(shows_file) {
            filling.problem("header", "must not be given: the header of this template is not a file or a location");
        }
        if filling.problems.is_empty() && filling.of_channel {
            filling.problems = self.too_long(given);
        }
        if !filling.problems.is_empty() {
            return Err(filling.problems);
        }
        let text = self.preview(given);
        let action = match self.connector {
            None => MessageAction::Say,
            Some(_) => {
                let mut value = Map::new();
                value.insert("name".to_owned(), json!(self.name));
                value.insert("language".to_owned(), json!(self.language.as_deref().unwrap_or_default()));
                value.insert("format".to_owned(), json!(self.format.as_str()));
                value.insert("category".to_owned(), json!(self.category.as_str()));
                value.extend(content);
                let content: OwnContent = Self::content(&Value::Object(value));
                MessageAction::Other(content)
            }
        };
        Ok(Filled { text, action, message_type: self.message_type() })
    }

    /// The values of these parts in the form in which they travel.
    fn content_of(&self, components: &[Component], prefix: &str, filling: &mut Filling<'_>) -> Map<String, Value> {
        let mut content = Map::new();
        let (mut body, mut buttons, mut index) = (Vec::new(), Vec::new(), 0);
        let code = first_of_body(components);
        for component in components {
            match component {
                Component::Header { format, text, .. } => {
                    let header = match format {
                        HeaderFormat::Text => {
                            let names = text.as_deref().map(names).unwrap_or_default();
                            let value = |name: &&str| json!({"name": name, "value": filling.required(&self.header_key(prefix, name))});
                            let values: Vec<Value> = names.iter().map(value).collect();
                            (!values.is_empty()).then(|| json!({"format": "text", "values": values}))
                        }
                        HeaderFormat::Location => filling.location(prefix),
                        HeaderFormat::Image | HeaderFormat::Video | HeaderFormat::Document => {
                            let media = filling.media(prefix, *format);
                            media.map(|media| json!({"format": format.as_str(), "media": media}))
                        }
                    };
                    content.extend(header.map(|header| ("header".to_owned(), header)));
                }
                Component::SampledHeader { format, .. } => {
                    let media = filling.media(prefix, *format);
                    let header = media.map(|media| json!({"format": format.as_str(), "media": media}));
                    content.extend(header.map(|header| ("header".to_owned(), header)));
                }
                Component::Body { text, .. } => {
                    let value =
                        |name: &str| json!({"name": name, "value": filling.required(&format!("{prefix}{name}"))});
                    body.extend(names(text).into_iter().map(value));
                }
                Component::Buttons(listed) => {
                    for button in listed {
                        let key = format!("{prefix}button.{index}");
                        if let Some(value) = filling.button(&key, button, code.map(|name| format!("{prefix}{name}"))) {
                            buttons.push(json!({"index": index, "type": button.kind.as_str(), "value": value}));
                        }
                        index += 1;
                    }
                }
                Component::Offer { has_expiration, .. } => {
                    if *has_expiration && let Some(at) = filling.instant(&format!("{prefix}offer")) {
                        content.insert("offerEndsAtMillis".to_owned(), json!(at.0));
                    }
                }
                Component::Carousel(cards) => {
                    if prefix.is_empty() {
                        let card = |(number, card): (usize, &super::Card)| {
                            Value::Object(self.content_of(&card.components, &format!("card.{number}."), filling))
                        };
                        let cards: Vec<Value> = cards.iter().enumerate().map(card).collect();
                        content.insert("cards".to_owned(), Value::Array(cards));
                    }
                }
                Component::Footer { .. } | Component::Other(..) => {}
            }
        }
        content.insert("body".to_owned(), Value::Array(body));
        content.insert("buttons".to_owned(), Value::Array(buttons));
        content
    }

    /// What the recipient sees: the texts of header, body, footer and buttons, each on a line of its own. Examples stand for what is not
    /// given.
    pub fn preview(&self, given: &BTreeMap<String, String>) -> String {
        let mut lines = Vec::new();
        self.preview_of(&self.components, "", given, &mut lines);
        lines.join("\n")
    }

    fn preview_of(
        &self,
        components: &[Component],
        prefix: &str,
        given: &BTreeMap<String, String>,
        lines: &mut Vec<String>,
    ) {
        let filled = |text: &str, examples: &Examples, key: &dyn Fn(&str) -> String| {
            replaced(text, |name| given.get(&key(name)).or_else(|| examples.get(name)).map(String::as_str))
        };
        for component in components {
            match component {
                Component::Header { format: HeaderFormat::Text, text, examples, .. } => {
                    let text = text.as_deref().unwrap_or_default();
                    lines.push(filled(text, examples, &|name| self.header_key(prefix, name)));
                }
                Component::Header { format, .. } | Component::SampledHeader { format, .. } => {
                    lines.push(format!("[{format}]"));
                }
                Component::Body { text, examples, .. } => {
                    lines.push(filled(text, examples, &|name| format!("{prefix}{name}")));
                }
                Component::Footer { text, .. } | Component::Offer { text, .. } => lines.push(text.clone()),
                Component::Buttons(buttons) => {
                    let texts = buttons.iter().filter(|button| !button.text.is_empty());
                    lines.extend(texts.map(|button| format!("[{}]", button.text)));
                }
                Component::Carousel(cards) => {
                    if prefix.is_empty() {
                        for (number, card) in cards.iter().enumerate() {
                            self.preview_of(&card.components, &format!("card.{number}."), given, lines);
                        }
                    }
                }
                Component::Other(..) => {}
            }
        }
        lines.retain(|line| !line.is_empty());
    }
}

/// The parts of a place on a map, and whether they must be given.
const LOCATION: [(&str, bool); 4] = [("latitude", true), ("longitude", true), ("title", false), ("address", false)];

/// The first variable of a body: a one-time password's button takes it over.
fn first_of_body(components: &[Component]) -> Option<&str> {
    components.iter().find_map(|component| match component {
        Component::Body { text, .. } => names(text).first().copied(),
        _ => None,
    })
}

/// Whether a value must be given for a button; `None` if it takes none that is not given elsewhere.
fn needs(button: &Button, code: Option<&str>) -> Option<bool> {
    match &button.kind {
        ButtonKind::Url => {
            let url = button.url.as_deref().unwrap_or_default();
            (!names(url).is_empty()).then_some(true)
        }
        ButtonKind::CopyCode => Some(true),
        ButtonKind::Otp => code.is_none().then_some(true),
        ButtonKind::Phone | ButtonKind::ContactRequest => None,
        ButtonKind::QuickReply
        | ButtonKind::Flow
        | ButtonKind::Catalog
        | ButtonKind::Products
        | ButtonKind::Other(_) => Some(false),
    }
}

/// An example of a button's value: of an address, what stands in place of its variable.
fn example_of(button: &Button) -> Option<String> {
    let example = button.example.as_deref()?;
    let prefix = button.url.as_deref().and_then(|url| url.split("{{").next()).unwrap_or_default();
    Some(example.strip_prefix(prefix).unwrap_or(example).to_owned())
}

/// Values on their way into a template.
struct Filling<'a> {
    given: &'a BTreeMap<String, String>,
    header: Option<&'a HeaderMedia>,
    of_channel: bool,
    problems: Vec<VariableProblem>,
}

impl Filling<'_> {
    fn problem(&mut self, name: &str, problem: impl Into<String>) {
        if !self.problems.iter().any(|known| known.name == name) {
            self.problems.push(VariableProblem { name: name.to_owned(), problem: problem.into() });
        }
    }

    /// The value of a variable that must be given; an empty one after a problem.
    fn required(&mut self, name: &str) -> String {
        match self.optional(name) {
            Some(value) => value,
            None => {
                self.problem(name, "is required");
                String::new()
            }
        }
    }

    /// The value of a variable, if it is given; an empty one counts as not given.
    fn optional(&mut self, name: &str) -> Option<String> {
        let value = self.given.get(name).filter(|value| !value.trim().is_empty())?.clone();
        let problem = if value.chars().count() > MAX_VALUE_CHARS {
            format!("must have at most {MAX_VALUE_CHARS} characters")
        } else if self.of_channel && value.contains(['\n', '\r', '\t']) {
            "must not contain line breaks or tabs".to_owned()
        } else if self.of_channel && value.contains(&format!("{MAX_SPACES} ")) {
            format!("must not contain more than {} spaces in a row", MAX_SPACES.len())
        } else if value.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
            "must not contain control characters".to_owned()
        } else {
            return Some(value);
        };
        self.problem(name, problem);
        Some(value)
    }

    /// The file that a header shows.
    fn media(&mut self, prefix: &str, format: HeaderFormat) -> Option<Value> {
        let key = format!("{prefix}header");
        let header = self.header.filter(|_| prefix.is_empty());
        match header {
            Some(HeaderMedia::Link(link)) => self.link(&key, link.clone()),
            Some(HeaderMedia::Id(id)) => Some(json!({"id": id})),
            Some(HeaderMedia::Attachment) => Some(json!({"attachment": 0})),
            Some(HeaderMedia::Location { .. }) => {
                self.problem(&key, format!("must be a file: the header of this template is of the format {format}"));
                None
            }
            None => match self.given.get(&key).filter(|link| !link.is_empty()) {
                Some(link) => self.link(&key, link.clone()),
                None => {
                    self.problem(&key, format!("is required: a file for the header, which is of the format {format}"));
                    None
                }
            },
        }
    }

    fn link(&mut self, key: &str, link: String) -> Option<Value> {
        let begins = |scheme: &str| link.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
        let plain = !link.chars().any(|c| c.is_control() || c.is_whitespace());
        if link.len() <= MAX_LINK_BYTES && plain && (begins("https://") || begins("http://")) {
            return Some(json!({"link": link}));
        }
        self.problem(key, format!("must be an http or https URL of at most {MAX_LINK_BYTES} characters"));
        None
    }

    /// The place that a header shows.
    fn location(&mut self, prefix: &str) -> Option<Value> {
        let header = self.header.filter(|_| prefix.is_empty());
        let (latitude, longitude, title, address) = match header {
            Some(HeaderMedia::Location { latitude, longitude, title, address }) => {
                (Some(*latitude), Some(*longitude), title.clone(), address.clone())
            }
            Some(_) => {
                self.problem(&format!("{prefix}header"), "must be a location");
                return None;
            }
            None => {
                let latitude = self.degrees(&format!("{prefix}header.latitude"));
                let longitude = self.degrees(&format!("{prefix}header.longitude"));
                let title = self.optional(&format!("{prefix}header.title"));
                (latitude, longitude, title, self.optional(&format!("{prefix}header.address")))
            }
        };
        for (part, value, most) in [("latitude", latitude, 90.0), ("longitude", longitude, 180.0)] {
            if value.is_some_and(|value| !(-most..=most).contains(&value)) {
                self.problem(&format!("{prefix}header.{part}"), format!("must be a number from -{most} to {most}"));
            }
        }
        let mut place = Map::new();
        place.insert("format".to_owned(), json!("location"));
        place.insert("latitude".to_owned(), json!(latitude?));
        place.insert("longitude".to_owned(), json!(longitude?));
        place.extend(title.map(|title| ("title".to_owned(), json!(title))));
        place.extend(address.map(|address| ("address".to_owned(), json!(address))));
        Some(Value::Object(place))
    }

    fn degrees(&mut self, key: &str) -> Option<f64> {
        let value = self.required(key);
        let number = value.trim().parse::<f64>().ok().filter(|number| number.is_finite());
        if number.is_none() {
            self.problem(key, "must be a number of degrees");
        }
        number
    }

    /// What a button takes; `code` is the variable of the body that a one-time password's button takes over.
    fn button(&mut self, key: &str, button: &Button, code: Option<String>) -> Option<Value> {
        let value = match (&button.kind, code) {
            (ButtonKind::Otp, Some(code)) => {
                let value = self.required(&code);
                self.code(&code, &value);
                return Some(json!(value));
            }
            (_, code) => match needs(button, code.as_deref())? {
                true => self.required(key),
                false => self.optional(key)?,
            },
        };
        match &button.kind {
            ButtonKind::Flow | ButtonKind::Catalog | ButtonKind::Products | ButtonKind::Other(_) => {
                let object = serde_json::from_str::<Value>(&value).ok().filter(Value::is_object);
                if object.is_none() {
                    self.problem(key, "must be a JSON object");
                }
                object
            }
            ButtonKind::CopyCode | ButtonKind::Otp => {
                self.code(key, &value);
                Some(json!(value))
            }
            ButtonKind::QuickReply | ButtonKind::Url | ButtonKind::Phone | ButtonKind::ContactRequest => {
                Some(json!(value))
            }
        }
    }

    fn code(&mut self, key: &str, value: &str) {
        if value.chars().count() > MAX_CODE_CHARS {
            self.problem(key, format!("must have at most {MAX_CODE_CHARS} characters"));
        }
    }

    /// An instant: a date and time with an offset, or milliseconds since 1970.
    fn instant(&mut self, key: &str) -> Option<Timestamp> {
        let value = self.required(key);
        let text = value.trim();
        let at = text.parse::<i64>().ok().map(Timestamp).or_else(|| Timestamp::parse(text));
        if at.is_none_or(|at| at.0 <= 0) {
            self.problem(key, "must be a date and time with an offset, or milliseconds since 1970");
            return None;
        }
        at
    }
}
