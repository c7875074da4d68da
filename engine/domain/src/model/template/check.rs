//! What a template must be before it is stored or a channel is asked to take it. Pure.

use super::scan::{Piece, names, number, pieces};
use super::{Button, ButtonKind, Component, Examples, HeaderFormat, TemplateCategory, TemplateFormat, samples};
use crate::{Field, FieldPath, FieldProblem};

/// Maximum length of a name, in characters.
pub const MAX_NAME_CHARS: usize = 512;

pub(super) const MAX_HEADER_CHARS: usize = 60;
pub(super) const MAX_BODY_CHARS: usize = 1024;
const MAX_OFFER_BODY_CHARS: usize = 600;
const MAX_CARD_BODY_CHARS: usize = 160;
const MAX_FOOTER_CHARS: usize = 60;
const MAX_OFFER_CHARS: usize = 16;
const MAX_OWN_CHARS: usize = 4096;
const MAX_LANGUAGE_CHARS: usize = 15;
const MAX_BUTTONS: usize = 10;
const MAX_BUTTON_CHARS: usize = 25;
const MAX_URL_CHARS: usize = 2000;
const CARDS: std::ops::RangeInclusive<usize> = 2..=10;
const MAX_CARD_BUTTONS: usize = 2;

/// What is wrong with a text of the tenant's own.
pub fn check_own(name: &str, language: Option<&str>, components: &[Component]) -> Vec<FieldProblem> {
    let mut problems = Problems::default();
    let length = name.chars().count();
    if name.trim().is_empty() || length > MAX_NAME_CHARS || name.chars().any(char::is_control) {
        problems.add(Field::Name, format!("must have 1 to {MAX_NAME_CHARS} characters and no control characters"));
    }
    if let Some(language) = language {
        check_language(language, &mut problems);
    }
    match components {
        [Component::Body { text, .. }] => {
            let at = || Field::Components.at(0).named("text");
            if text.trim().is_empty() {
                problems.add(at(), "must not be empty");
            } else if text.chars().count() > MAX_OWN_CHARS {
                problems.add(at(), format!("must have at most {MAX_OWN_CHARS} characters"));
            } else if text.contains('\0') {
                problems.add(at(), "must not contain the NUL character");
            }
        }
        _ => problems.add(Field::Components, "must be one body: a text of one's own has no other parts"),
    }
    problems.0
}

/// What is wrong with a template that a channel shall keep.
pub fn check_for_channel(
    name: &str,
    language: Option<&str>,
    category: TemplateCategory,
    format: TemplateFormat,
    components: &[Component],
) -> Vec<FieldProblem> {
    let mut problems = Problems::default();
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if name.is_empty() || name.chars().count() > MAX_NAME_CHARS || !name.chars().all(plain) {
        problems.add(
            Field::Name,
            format!("must have 1 to {MAX_NAME_CHARS} characters, each a lower-case letter, a digit or an underscore"),
        );
    }
    match language {
        Some(language) => check_language(language, &mut problems),
        None => problems.add(Field::Language, "is required for a template of a connector"),
    }
    let of = Of { category, format, path: FieldPath::from(Field::Components), in_card: false };
    check_components(&of, components, &mut problems);
    problems.0
}

fn check_language(language: &str, problems: &mut Problems) {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if language.len() < 2 || language.len() > MAX_LANGUAGE_CHARS || !language.chars().all(plain) {
        problems.add(Field::Language, "must be the code of a language, as in pt_BR");
    }
}

#[derive(Default)]
struct Problems(Vec<FieldProblem>);

impl Problems {
    fn add(&mut self, field: impl Into<FieldPath>, problem: impl Into<String>) {
        self.0.push(FieldProblem::new(field, problem));
    }
}

/// What the parts belong to.
struct Of {
    category: TemplateCategory,
    format: TemplateFormat,
    /// The list of the parts.
    path: FieldPath,
    in_card: bool,
}

impl Of {
    fn at(&self, index: usize, name: &str) -> FieldPath {
        self.path.clone().at(index).named(name)
    }
}

fn check_components(of: &Of, components: &[Component], problems: &mut Problems) {
    let has_offer = components.iter().any(|component| matches!(component, Component::Offer { .. }));
    let mut seen: Vec<&str> = Vec::new();
    for (at, component) in components.iter().enumerate() {
        let kind = component.kind();
        if seen.contains(&kind) && !matches!(component, Component::Other(..)) {
            problems.add(of.at(at, "type"), "is there twice");
        }
        seen.push(kind);
        match component {
            Component::Header { format: HeaderFormat::Text, text, examples, .. } => {
                let text = text.as_deref().unwrap_or_default();
                check_text(of, at, text, MAX_HEADER_CHARS, problems);
                check_variables(of, at, text, examples, true, problems);
                if names(text).len() > 1 {
                    problems.add(of.at(at, "text"), "must have at most one variable");
                }
            }
            Component::Header { format, example, .. } => {
                if format.is_file() && example.as_deref().is_none_or(str::is_empty) {
                    problems.add(
                        of.at(at, "example"),
                        "is required: the channel's handle of a sample file, or exampleFile with an uploaded one",
                    );
                }
            }
            Component::SampledHeader { format, sample, .. } => {
                if let Some(problem) = samples::problem(*format, sample) {
                    problems.add(of.at(at, samples::KEY), problem);
                }
            }
            // The channel itself writes what goes with a code, and shows it as the text.
            Component::Body { .. } if of.category == TemplateCategory::Authentication => {}
            Component::Body { text, examples, .. } => {
                let most = match (of.in_card, has_offer) {
                    (true, _) => MAX_CARD_BODY_CHARS,
                    (false, true) => MAX_OFFER_BODY_CHARS,
                    (false, false) => MAX_BODY_CHARS,
                };
                check_text(of, at, text, most, problems);
                check_variables(of, at, text, examples, false, problems);
                check_density(of, at, text, problems);
            }
            Component::Footer { text, .. } => {
                // The channel itself writes when a code expires.
                if of.category != TemplateCategory::Authentication || !text.is_empty() {
                    check_text(of, at, text, MAX_FOOTER_CHARS, problems);
                }
                if !names(text).is_empty() {
                    problems.add(of.at(at, "text"), "must have no variables");
                }
            }
            Component::Offer { text, .. } => {
                check_text(of, at, text, MAX_OFFER_CHARS, problems);
                if !names(text).is_empty() {
                    problems.add(of.at(at, "text"), "must have no variables");
                }
            }
            Component::Buttons(buttons) => check_buttons(of, at, buttons, problems),
            Component::Carousel(cards) => {
                if of.in_card {
                    problems.add(of.at(at, "type"), "must not be inside of a card");
                    continue;
                }
                if !CARDS.contains(&cards.len()) {
                    problems.add(of.at(at, "cards"), format!("must be {} to {}", CARDS.start(), CARDS.end()));
                }
                let layout = |card: &super::Card| -> Vec<String> {
                    let buttons = card.components.iter().filter_map(|component| match component {
                        Component::Buttons(buttons) => Some(buttons),
                        _ => None,
                    });
                    buttons.flatten().map(|button| button.kind.as_str().to_owned()).collect()
                };
                for (number, card) in cards.iter().enumerate() {
                    let path = of.path.clone().at(at).named("cards").at(number);
                    if cards.first().is_some_and(|first| layout(first) != layout(card)) {
                        problems.add(path.clone(), "must have the same kinds of buttons as the first card");
                    }
                    let path = path.named("components");
                    let inner = Of { category: of.category, format: of.format, path, in_card: true };
                    check_components(&inner, &card.components, problems);
                }
            }
            Component::Other(..) => {}
        }
    }
    let has_body = components.iter().any(|component| matches!(component, Component::Body { .. }));
    if !has_body && !of.in_card {
        problems.add(of.path.clone(), "must contain a body");
    }
}

fn check_text(of: &Of, at: usize, text: &str, most: usize, problems: &mut Problems) {
    if text.trim().is_empty() {
        problems.add(of.at(at, "text"), "must not be empty");
    } else if text.chars().count() > most {
        problems.add(of.at(at, "text"), format!("must have at most {most} characters"));
    }
}

/// Names, order, neighbours and examples of a text's variables, which `may_frame` it or not.
fn check_variables(of: &Of, at: usize, text: &str, examples: &Examples, may_frame: bool, problems: &mut Problems) {
    let found = names(text);
    let names_problem = match of.format {
        TemplateFormat::Positional => {
            let gapless = found.iter().enumerate().all(|(place, name)| number(name) == u32::try_from(place + 1).ok());
            (!gapless).then_some("variables must be {{1}}, {{2}} and so on, without gaps")
        }
        TemplateFormat::Named => {
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            let named = found.iter().all(|name| name.chars().all(plain) && number(name).is_none());
            (!named).then_some(
                "names of variables must have lower-case letters, digits and underscores, and not be numbers",
            )
        }
    };
    if let Some(problem) = names_problem {
        problems.add(of.at(at, "text"), problem);
    }
    let whole = pieces(text);
    let (starts, ends) = match (whole.first(), whole.last()) {
        (Some(first), Some(last)) => (is_variable(first), is_variable(last)),
        _ => (false, false),
    };
    if !may_frame && (starts || ends) {
        problems.add(of.at(at, "text"), "must not start or end with a variable");
    }
    let blank = |piece: &Piece<'_>| matches!(piece, Piece::Text(text) if text.trim().is_empty());
    let adjacent = whole.windows(2).any(|two| is_variable(&two[0]) && is_variable(&two[1]))
        || whole.windows(3).any(|three| is_variable(&three[0]) && blank(&three[1]) && is_variable(&three[2]));
    if adjacent {
        problems.add(of.at(at, "text"), "variables must have text between them");
    }
    for name in found {
        if examples.get(name).is_none_or(|example| example.trim().is_empty()) {
            let path = of.path.clone().at(at).named("examples").named(name);
            problems.add(path, "is required: an example for each variable");
        }
    }
}

fn is_variable(piece: &Piece<'_>) -> bool {
    matches!(piece, Piece::Variable(_))
}

/// Too many variables for a short text are refused.
fn check_density(of: &Of, at: usize, text: &str, problems: &mut Problems) {
    let whole = pieces(text);
    let variables = whole.iter().filter(|piece| is_variable(piece)).count();
    let words: usize = whole
        .iter()
        .map(|piece| match piece {
            Piece::Text(text) => text.split_whitespace().filter(|word| word.chars().any(char::is_alphanumeric)).count(),
            Piece::Variable(_) => 0,
        })
        .sum();
    if words < variables {
        problems.add(of.at(at, "text"), "must have more words for so many variables");
    }
}

fn check_buttons(of: &Of, at: usize, buttons: &[Button], problems: &mut Problems) {
    let list = || of.path.clone().at(at).named("buttons");
    let most = if of.in_card { MAX_CARD_BUTTONS } else { MAX_BUTTONS };
    if buttons.is_empty() || buttons.len() > most {
        problems.add(list(), format!("must be 1 to {most}"));
    }
    for (kind, most) in [(ButtonKind::Url, 2), (ButtonKind::Phone, 1), (ButtonKind::CopyCode, 1), (ButtonKind::Otp, 1)]
    {
        if buttons.iter().filter(|button| button.kind == kind).count() > most {
            problems.add(list(), format!("must have at most {most} of the type {}", kind.as_str()));
        }
    }
    let quick: Vec<bool> = buttons.iter().map(|button| button.kind == ButtonKind::QuickReply).collect();
    if quick.windows(2).filter(|two| two[0] != two[1]).count() > 1 {
        problems.add(list(), "must have all of the type quick-reply next to each other");
    }
    for (number, button) in buttons.iter().enumerate() {
        let field = |name: &str| list().at(number).named(name);
        let needs_text = !matches!(button.kind, ButtonKind::CopyCode | ButtonKind::Otp | ButtonKind::Other(_));
        if needs_text && button.text.trim().is_empty() {
            problems.add(field("text"), "must not be empty");
        } else if button.text.chars().count() > MAX_BUTTON_CHARS {
            problems.add(field("text"), format!("must have at most {MAX_BUTTON_CHARS} characters"));
        }
        if !names(&button.text).is_empty() {
            problems.add(field("text"), "must have no variables");
        }
        let has_example = button.example.as_deref().is_some_and(|example| !example.trim().is_empty());
        match &button.kind {
            ButtonKind::Url => {
                let url = button.url.as_deref().unwrap_or_default();
                let whole = pieces(url);
                let variables = whole.iter().filter(|piece| is_variable(piece)).count();
                if url.is_empty() || url.chars().count() > MAX_URL_CHARS {
                    problems.add(field("url"), format!("must have 1 to {MAX_URL_CHARS} characters"));
                } else if !(url.starts_with("https://") || url.starts_with("http://")) {
                    problems.add(field("url"), "must begin with https:// or http://");
                } else if variables > 1 || (variables == 1 && !whole.last().is_some_and(is_variable)) {
                    problems.add(field("url"), "must have at most one variable, at its end");
                }
                if variables > 0 && !has_example {
                    problems.add(field("example"), "is required: an example of the whole address");
                }
            }
            ButtonKind::CopyCode if !has_example => {
                problems.add(field("example"), "is required: an example of the code");
            }
            _ => {}
        }
    }
}
